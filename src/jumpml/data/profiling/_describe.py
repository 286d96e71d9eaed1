"""A variable's distribution as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jumpml.data.profiling._records import VariableProfile
from jumpml.data.splits._splits import SPLITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jumpml.data.profiling._variables import Variable

BARS = 20
MANY_WHOLE = 400  # between the least and the greatest: from there on a bar's width need not be whole
TAIL = 3.0  # times the middle 98%: from there on the ends would squeeze everything else into one bar


def describe(variable: Variable, alone: float | None) -> VariableProfile:
    """What a variable's values are.

    Args:
        variable: The variable.
        alone: How well it predicts the target.
    """
    known = variable.known
    distinct = np.unique(known)
    shared: dict[str, Any] = {
        "name": variable.name,
        "field": variable.field,
        "kind": variable.kind,
        "missing": variable.missing,
        "distinct": len(distinct),
        "alone": alone,
        "known": {split: int((~np.isnan(variable.of(split))).sum()) for split in SPLITS},
    }
    if not len(known):
        return VariableProfile(**shared)
    if variable.kind == "category":
        codes = np.arange(len(variable.classes))
        frequent = np.argsort(-_counts_of(known, codes), kind="stable")[:BARS]
        bars = {split: _ints(_counts_of(variable.of(split), codes)[frequent]) for split in SPLITS}
        return VariableProfile(**shared, classes=tuple(variable.classes[code] for code in frequent), counts=bars)
    edges = _edges(known, distinct)
    bars = {split: _ints(np.histogram(_inside(variable.of(split), edges), edges)[0]) for split in SPLITS}
    quantiles = tuple(np.quantile(known, [0, 0.25, 0.5, 0.75, 1]).tolist())
    return VariableProfile(**shared, quantiles=quantiles, edges=tuple(edges.tolist()), counts=bars)


def _counts_of(values: NDArray, codes: NDArray) -> NDArray[np.int64]:
    return np.bincount(values[~np.isnan(values)].astype(np.int64), minlength=len(codes))


def _inside(values: NDArray, edges: NDArray) -> NDArray:
    return np.clip(values[~np.isnan(values)], edges[0], edges[-1])


def _edges(known: NDArray, distinct: NDArray) -> NDArray[np.float64]:
    """Bars of equal width without the long tails; of equally many whole numbers each, where there are only such."""
    low, high = float(distinct[0]), float(distinct[-1])
    if high - low < MANY_WHOLE and bool((distinct % 1 == 0).all()):
        width = -(-(high - low + 1) // BARS)
        return np.arange(low - 0.5, high + width, width)
    first, last = np.quantile(known, [0.01, 0.99]).tolist()
    if last > first and high - low > TAIL * (last - first):
        low, high = first, last
    if low + (high - low) / BARS <= low:  # numbers too close to each other, or too large, for float64
        low, high = low - max(1.0, abs(low)), high + max(1.0, abs(high))
    return np.linspace(low, high, BARS + 1)


def _ints(values: NDArray) -> tuple[int, ...]:
    return tuple(values.tolist())
