"""Lazy layers without torch's warning that lazy layers are young."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def lazy_layers_are_meant() -> Iterator[None]:
    """Silence that one warning: sizes are inferred once, before anyone sees the parameters."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Lazy modules are a new feature", category=UserWarning)
        yield
