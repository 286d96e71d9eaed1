"""The learning-rate range test."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from jumpml.core import LearnerError, Record
from jumpml.drawing import Line, draw_panels, line_panel
from jumpml.learn.steps._meter import NonFinite
from jumpml.learn.trials._trial import phase_of, read, trial_of, windows_of, without_schedules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jumpml.learn._learner import Learner

_DIVERGED = 4.0  # times the lowest loss, smoothed
_PAST = 0.9  # the share of the past in the smoothing that looks for it
_LEAST = 5  # steps of which something can be said
_WIDTH = 0.04  # of the steps: the width of the bell that smooths what is shown


class LearningRates(Record):
    """What a learning-rate range test found; ``print`` shows it in words, a notebook as a picture."""

    phase: str
    """The phase whose objectives were learned."""
    rates: tuple[float, ...]
    """The learning rate of each step: the first parameter group's."""
    losses: tuple[float, ...]
    """The weighted sum of all objectives at each step."""
    smooth: tuple[float, ...]
    """The same, each averaged with its neighbours on both sides."""
    suggestion: float | None
    """The middle of the stretch over which the loss falls, on a logarithmic axis; None where it fell nowhere."""
    steepest: float | None
    """Where in that stretch the loss falls fastest; None likewise."""
    diverged: bool
    """Whether the test ended because the loss ran away; if not, a higher rate may do as well."""

    def __str__(self) -> str:
        """What to make of it."""
        low, high = self.rates[0], self.rates[-1]
        head = f"learning rates from {low:.3g} to {high:.3g} in {len(self.rates)} steps of the phase {self.phase!r}"
        if self.suggestion is None:
            return f"{head}\nThe loss fell at none of them: look at the data and the objectives (overfit_batch)."
        end = "" if self.diverged else f"\nThe loss never ran away: learning rates above {high:.3g} were not tried."
        return (
            f"{head}\n  suggested  {self.suggestion:.2g}   the middle of the stretch over which the loss falls\n"
            f"  steepest   {self.steepest:.2g}   where the loss falls fastest{end}"
        )

    def draw(self) -> str:
        """The loss over the learning rate, with what is suggested.

        Returns:
            An ``svg`` element that refers to nothing outside itself.
        """
        lowest = min(self.smooth)
        most = max(self.smooth[0], 1.5 * abs(lowest)) * 1.25
        shown = [min(value, most) for value in self.losses]  # what runs away would press all else to a line
        smooth = [min(value, most) for value in self.smooth]
        marks = {"suggested": self.suggestion, "steepest": self.steepest}
        told = {f"{name} {rate:.2g}": rate for name, rate in marks.items() if rate is not None}
        panel = line_panel(
            "Loss",
            [Line(self.rates, shown, None), Line(self.rates, smooth, 0)],
            alt=str(self),
            x_label="learning rate",
            log_x=True,
            marks=told,
            size=(560, 320),
        )
        return draw_panels("Which learning rate", [panel], note=f"Phase {self.phase}; the thick line is smoothed.")

    def _repr_svg_(self) -> str:
        return self.draw()


def find_lr(learner: Learner, *, phase: str | None, low: float, high: float, steps: int) -> LearningRates:
    """See `Learner.find_lr`."""
    _validate(low, high, steps)
    name = phase_of(learner, phase)
    rates: list[float] = []
    losses: list[float] = []
    with trial_of(learner, phases=without_schedules(learner.phases)) as trial, trial._loop.random:
        trial._run.enter(name)
        groups = trial.optimizer.param_groups
        own = [float(group["lr"]) for group in groups]
        windows, runs_away = windows_of(trial, name), _RunsAway()
        for number in range(steps):
            factor = low * (high / low) ** (number / (steps - 1)) / own[0]
            for group, lr in zip(groups, own, strict=True):
                group["lr"] = lr * factor  # all move together, and keep their relation
            try:
                trial.step(*next(windows))
                loss = read(trial)[-1].losses["total"]
            except NonFinite:
                break
            rates.append(own[0] * factor)
            losses.append(loss)
            if runs_away(loss):
                break
    if len(losses) < _LEAST:
        raise LearnerError(
            f"the loss is no finite number after {len(losses)} steps at learning rates from {low:.3g}: "
            "begin lower, or look at the data and the objectives."
        )
    return _found(name, rates, losses, diverged=len(losses) < steps)


def _validate(low: float, high: float, steps: int) -> None:
    if not 0 < low < high:
        raise LearnerError(f"expected learning rates with 0 < low < high, got low {low:g} and high {high:g}.")
    if steps < 2 * _LEAST:
        raise LearnerError(f"expected at least {2 * _LEAST} steps, got {steps}.")


class _RunsAway:
    """Whether the loss, smoothed over what is past, has gone far above its lowest."""

    def __init__(self) -> None:
        self._mean, self._lowest, self._steps = 0.0, math.inf, 0

    def __call__(self, loss: float) -> bool:
        self._steps += 1
        self._mean = _PAST * self._mean + (1 - _PAST) * loss
        smooth = self._mean / (1 - _PAST**self._steps)  # or the first ones would be pulled towards zero
        self._lowest = min(self._lowest, smooth)
        return self._steps > _LEAST and smooth > self._lowest + (_DIVERGED - 1) * abs(self._lowest)


def _found(phase: str, rates: Sequence[float], losses: Sequence[float], *, diverged: bool) -> LearningRates:
    smooth = smoothed(held(losses))
    stretch = falling(losses, smooth)
    return LearningRates(
        phase=phase,
        rates=tuple(rates),
        losses=tuple(losses),
        smooth=tuple(smooth),
        suggestion=None if stretch is None else rates[sum(stretch) // 2],
        steepest=None if stretch is None else rates[steepest(smooth, stretch)],
        diverged=diverged,
    )


def held(losses: Sequence[float]) -> list[float]:
    """Losses cut off a little above where they began: what runs away would reach far into its neighbours' averages.

    Example:
        >>> held([2.0] * 10 + [1.0, 1.0, 99.0])[-1]
        2.0
    """
    first = losses[: max(2, len(losses) // 5)]
    level = sum(first) / len(first)
    away = math.sqrt(sum((loss - level) ** 2 for loss in first) / len(first))
    return [min(loss, level + 2 * away) for loss in losses]


def smoothed(values: Sequence[float]) -> list[float]:
    """Each value averaged with its neighbours under a bell, which lags behind nothing; at the ends under a part of it.

    Example:
        >>> smoothed([1.0] * 50) == [1.0] * 50
        True
    """
    width = max(1.0, _WIDTH * len(values))
    bell = [math.exp(-0.5 * (distance / width) ** 2) for distance in range(len(values))]
    result = []
    for place in range(len(values)):
        weights = [bell[abs(place - other)] for other in range(len(values))]
        result.append(sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights))
    return result


def falling(losses: Sequence[float], smooth: Sequence[float]) -> tuple[int, int] | None:
    """The stretch over which the loss falls: from where a tenth of the fall is done down to its lowest.

    None where the fall is no larger than what single steps differ by chance.

    Example:
        >>> curve = [2.0] * 10 + [1.8, 1.5, 1.2, 1.0] + [5.0] * 3
        >>> falling(curve, curve)
        (9, 13)
    """
    first = max(1, len(smooth) // 10)
    level = sum(smooth[:first]) / first
    lowest = min(range(len(smooth)), key=smooth.__getitem__)
    fall = level - smooth[lowest]
    away = [(loss - mean) ** 2 for loss, mean in zip(held(losses)[: lowest + 1], smooth, strict=False)]
    if fall <= max(math.sqrt(sum(away) / len(away)), 1e-3 * abs(level)):
        return None
    begun = max(place for place in range(lowest) if smooth[place] >= level - 0.1 * fall)
    return begun, lowest


def steepest(smooth: Sequence[float], stretch: tuple[int, int]) -> int:
    """The place within a stretch where the loss falls fastest.

    Example:
        >>> steepest([5, 5, 4, 1, 0.5, 0.4], (1, 5))
        2
    """
    inner = range(max(1, stretch[0]), max(2, stretch[1]))
    return min(inner, key=lambda place: smooth[place + 1] - smooth[place - 1])
