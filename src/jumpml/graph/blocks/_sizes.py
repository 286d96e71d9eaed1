"""The sizes that a block is made with: whole numbers of 1 or more."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any


def check_sizes(**sizes: int) -> None:
    """Refuse what is no size.

    Args:
        sizes: By argument, what was given.

    Raises:
        ValueError: One is no whole number, or below 1.
    """
    if not all(map(_is_size, sizes.values())):
        *names, last = sizes
        told = f"{', '.join(names)} and {last} must be whole numbers" if names else f"{last} must be a whole number"
        raise ValueError(f"{told} of 1 or more; got {', '.join(map(repr, sizes.values()))}.")


def check_widths(widths: Sequence[int], name: str = "widths") -> None:
    """Refuse what are no sizes of one layer or more.

    Args:
        widths: What was given.
        name: The argument that it was given as.

    Raises:
        ValueError: They are no list, none, or one of them is no whole number of 1 or more.
    """
    listed = isinstance(widths, Sequence) and not isinstance(widths, str)
    if not listed or not widths or not all(map(_is_size, widths)):
        told = [*widths] if listed else widths
        raise ValueError(f"{name} must be a list of at least one whole number, each 1 or more; got {told!r}.")


def _is_size(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1
