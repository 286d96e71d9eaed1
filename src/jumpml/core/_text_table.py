"""A table for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    """Rows below their heads, in columns that are as wide as need be.

    Args:
        head: The columns' names.
        rows: The cells by row.
        align: A letter a column: ``l`` for words, ``r`` for numbers.

    Example:
        >>> print(text_table(["node", "ms"], [["encoder", "1.5"], ["head", "12"]], "lr"))
        node      ms
        encoder  1.5
        head      12
    """
    lines = [list(head), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if side == "l" else cell.rjust(width)
            for cell, width, side in zip(line, widths, align, strict=True)
        ).rstrip()
        for line in lines
    )
