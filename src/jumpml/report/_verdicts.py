"""What intervals tell of several runs; never that one is better where they overlap."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from jumpml.report import _words as words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jumpml.core import Figure


class Measured(NamedTuple):
    """One run's figure.

    Attributes:
        run: The run's name.
        figure: What it reached.
        better: Whether more is better; None where nobody said.
    """

    run: str
    figure: Figure
    better: bool | None


def verdict(measured: Sequence[Measured]) -> str:
    """What the intervals of several runs tell, in words.

    Args:
        measured: One a run.

    Returns:
        Which run is better than all others, if its interval lies apart from each; else which runs nothing tells apart.

    Example:
        >>> from jumpml.core import Figure
        >>> a, b = Figure(value=0.9, low=0.88, high=0.92, n=99), Figure(value=0.8, low=0.77, high=0.83, n=99)
        >>> verdict([Measured("a", a, True), Measured("b", b, True)])
        'a is better'
    """
    known = [each for each in measured if all(map(math.isfinite, (each.figure.low, each.figure.high)))]
    if len(known) < 2:
        return ""
    if len({each.figure.n for each in known}) > 1:
        return "on other rows: not compared"
    better = {each.better for each in known}
    if better not in ({True}, {False}):
        return "nobody said whether more is better"
    sign = 1 if better == {True} else -1
    best = max(known, key=lambda each: sign * each.figure.value)
    near = [each.run for each in known if _overlap(each.figure, best.figure)]
    if len(near) == 1:
        return f"{words.name(best.run)} is better"
    if len(near) == len(known):
        return "not told apart"
    return f"not told apart: {words.listing([words.name(run) for run in near], 4)}; the others are worse"


def _overlap(one: Figure, other: Figure) -> bool:
    return one.low <= other.high and other.low <= one.high
