"""kornia's functions, which change pictures by numbers that are drawn here.

Its augmentation classes draw from torch's global generator, and some of it once for the whole batch where rows should
differ: the order of the changes of colour, the changes of RandAugment. Its functions draw nothing.
"""

from __future__ import annotations

from typing import Any

from jumpml.core import MissingExtraError


def kornia(purpose: str) -> Any:
    """The package.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import kornia as package
    except ImportError:
        raise MissingExtraError("kornia", "vision", purpose) from None
    return package
