"""How much an objective counts: a number, or one that moves over a phase."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class WeightSchedule:
    """A weight that moves over a phase, as a function of the epochs that the phase has behind it.

    Args:
        start: The weight at first.
        end: The weight at last.
        after: Epochs before it begins to move; fractions count.
        over: Epochs that the way takes: 0 is a step, None until the phase ends.
        shape: ``linear``, or ``cosine``: slow at first and at last.

    Raises:
        ValueError: A number is negative or not finite.

    Example:
        >>> warm_up = WeightSchedule(start=0.0, end=1.0, over=4)
        >>> [warm_up.at(epoch, 10) for epoch in (0, 1, 4, 9)]
        [0.0, 0.25, 1.0, 1.0]
    """

    start: float
    end: float
    after: float = 0.0
    over: float | None = None
    shape: Literal["linear", "cosine"] = "linear"

    def __post_init__(self) -> None:
        for name in ("start", "end", "after", "over"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"a weight's {name}: expected 0 or more, got {value}.")
        if self.shape not in {"linear", "cosine"}:
            raise ValueError(f"a weight's shape: expected 'linear' or 'cosine', got {self.shape!r}.")

    def at(self, epoch: float, epochs: float) -> float:
        """The weight.

        Args:
            epoch: Epochs that the phase has behind it, with the share of the open one.
            epochs: How many it has.
        """
        over = max(epochs - self.after, 0.0) if self.over is None else self.over
        gone = epoch - self.after
        if gone < 0:
            return self.start
        if gone >= over:
            return self.end
        share = gone / over
        if self.shape == "cosine":
            share = (1 - math.cos(math.pi * share)) / 2
        return self.start + (self.end - self.start) * share

    def __str__(self) -> str:
        return f"{self.start:g} to {self.end:g}"


Weight = float | WeightSchedule


def as_weight(weight: Weight) -> tuple[float, WeightSchedule | None]:
    """A weight as the number that it has at last, and the schedule on which it gets there, if any.

    Args:
        weight: As an objective is given it.

    Raises:
        ValueError: It is negative or no number.

    Example:
        >>> as_weight(0.5), as_weight(WeightSchedule(start=0, end=2))[0]
        ((0.5, None), 2.0)
    """
    if isinstance(weight, WeightSchedule):
        return float(weight.end), weight
    if not (math.isfinite(weight) and weight >= 0):
        raise ValueError(f"expected a weight of 0 or more, got {weight}.")
    return float(weight), None
