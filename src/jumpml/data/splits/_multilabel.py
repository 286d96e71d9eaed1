"""Rows that carry several labels, dealt so that each label keeps its share everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def iterative_stratification(
    labels: NDArray, shares: Sequence[float], generator: np.random.Generator
) -> NDArray[np.int64]:
    """Deal rows to parts, the rarest label first, each row to the part that wants its label most.

    The paper goes row by row. For one label the sequence of parts does not depend on which of its rows comes next, so
    that all rows of a label are dealt at once, with the same result.

    Args:
        labels: Booleans or 0 and 1, ``[rows, labels]``.
        shares: Of the rows, by part; they sum to 1.
        generator: Draws which of a label's rows go where.

    Returns:
        int64 ``[rows]``: each row's part. Sizes come near their shares; `evened` makes them exact.

    References:
        Sechidis, Tsoumakas, Vlahavas: On the Stratification of Multi-Label Data. ECML PKDD 2011.
    """
    carries = np.asarray(labels) > 0
    parts = np.full(len(carries), -1)
    left = carries.sum(0)  # rows by label that are not dealt yet
    wanted_rows = np.asarray(shares) * len(carries)
    wanted = np.outer(shares, left)
    while left.any():
        rarest = int(np.where(left > 0, left, len(carries) + 1).argmin())
        rows = generator.permutation(np.flatnonzero(carries[:, rarest] & (parts < 0)))
        parts[rows] = _in_turn(wanted[:, rarest], wanted_rows, len(rows))
        dealt = np.stack([carries[rows[parts[rows] == part]].sum(0) for part in range(len(shares))])
        wanted -= dealt
        wanted_rows -= np.bincount(parts[rows], minlength=len(shares))
        left = left - dealt.sum(0)
    rows = generator.permutation(np.flatnonzero(parts < 0))  # without any label
    parts[rows] = _in_turn(wanted_rows, wanted_rows, len(rows))
    return parts


def evened(parts: NDArray[np.int64], labels: NDArray, sizes: Sequence[int]) -> NDArray[np.int64]:
    """Move rows until each part has its size, always the row that leaves the labels' shares most even.

    Args:
        parts: int64 ``[rows]``: each row's part.
        labels: Booleans or 0 and 1, ``[rows, labels]``.
        sizes: Rows by part.
    """
    parts, carries = parts.copy(), np.asarray(labels) > 0
    surplus = np.bincount(parts, minlength=len(sizes)) - sizes
    totals = carries.sum(0)
    held = np.stack([carries[parts == part].sum(0) for part in range(len(sizes))])
    excess = held - np.outer(np.asarray(sizes) / len(parts), totals)
    while surplus.any():
        full, lacking = int(surplus.argmax()), int(surplus.argmin())
        rows = np.flatnonzero(parts == full)
        # How far a move brings the squared excess down, each label relative to how many rows carry it.
        gains = carries[rows] @ ((excess[full] - excess[lacking] - 1) / np.maximum(totals, 1))
        row = rows[gains.argmax()]
        parts[row] = lacking
        surplus[[full, lacking]] += (-1, 1)
        excess[full] -= carries[row]
        excess[lacking] += carries[row]
    return parts


def _in_turn(wanted: NDArray, wanted_rows: NDArray, count: int) -> list[int]:
    """The parts of ``count`` rows: always the one that wants most of the label, of equal ones most rows."""
    label, rows = wanted.tolist(), wanted_rows.tolist()
    order = []
    for _ in range(count):
        part = max(range(len(label)), key=lambda p: (label[p], rows[p]))
        label[part] -= 1
        rows[part] -= 1
        order.append(part)
    return order
