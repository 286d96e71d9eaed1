"""Figures on the validation rows, and whether they are the best so far."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jumpml.core import LearnerError, Problem, did_you_mean
from jumpml.evaluate import higher_is_better, score

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from jumpml.data import DataLoaders
    from jumpml.graph import Model
    from jumpml.learn._progress import Progress, Saving


def validate(figures: Sequence[str], loaders: DataLoaders, model: Model, phase: str) -> dict[str, float]:
    """The figures that something reads, and the loss beside them; nothing where nobody does.

    Args:
        figures: `val/<task>/<metric>` or `val/loss`.
        loaders: The validation rows.
        model: The model to measure.
        phase: Without a task's objective in it nothing is measured.
    """
    if not figures or not {*model.active(phase)} & {*model.tasks}:
        return {}
    wanted = dict.fromkeys([*(figure.removeprefix("val/") for figure in figures), "loss"])
    return score(loaders, model, [*wanted], phase=phase)


def improves(saving: Saving | None, progress: Progress, figures: dict[str, float]) -> bool:
    """Whether the figures are better than any before; if so, `Progress` remembers it."""
    figure = None if saving is None or saving.best is None else figures.get(saving.best.removeprefix("val/"))
    if saving is None or saving.best is None or figure is None:
        return False
    best = Best(None if progress.best is None else progress.best[0])
    better = best.take(saving.best, figure, mode=saving.mode)
    if better and best.value is not None:
        progress.best = (best.value, progress.step)
    return better


def rises(figure: str, mode: str = "auto") -> bool:
    """Whether more of a figure is better.

    Args:
        figure: ``val/<task>/<metric>``, ``val/embedding/<node>/<figure>`` or ``val/loss``.
        mode: ``max``, ``min``, or ``auto``, which asks the metric.

    Raises:
        LearnerError: The metric does not know.
    """
    if mode != "auto":
        return mode == "max"
    known = higher_is_better(figure.rpartition("/")[2])
    if known is None:
        raise LearnerError(f"whether more of {figure!r} is better is not known: say mode max or min beside it.")
    return known


@dataclass
class Best:
    """The best value of a figure so far."""

    value: float | None = None

    def take(self, figure: str, value: float, *, mode: str = "auto", min_delta: float = 0.0) -> bool:
        """Look at another value, and remember it if it is better.

        Args:
            figure: Its name, ``val/<task>/<metric>`` or ``val/loss``.
            value: Its value; one that is not finite is never better.
            mode: ``max``, ``min``, or ``auto``, which asks the metric.
            min_delta: By how much more than this a better one differs.

        Raises:
            LearnerError: It is not known which way is better.

        Example:
            >>> best = Best()
            >>> [best.take("val/loss", value, min_delta=0.1) for value in (1.0, 0.95, 0.8)]
            [True, False, True]
        """
        if not math.isfinite(value):
            return False
        upward = rises(figure, mode)
        better = self.value is None or (value > self.value + min_delta if upward else value < self.value - min_delta)
        if better:
            self.value = value
        return better


def wrong_figure(
    path: tuple[str | int, ...], figure: str, model: Model, mode: str, measured: Collection[str] = ()
) -> Iterator[Problem]:
    """A figure that no validation has, or of which nobody says which way is better.

    Args:
        path: Where it is asked for.
        figure: Its name, with ``val/`` before it.
        model: Its tasks are measured.
        mode: ``max``, ``min`` or ``auto``.
        measured: What hooks measure beside them.
    """
    tasks = model.tasks.items()
    known = ["val/loss", *(f"val/{n}/{metric}" for n, t in tasks for metric in t.metrics or t.brings.metrics)]
    known += [f"val/{name}" for name in measured]
    if figure not in known:
        near = did_you_mean(figure, known)
        yield Problem(path, f"the validation has no figure {figure!r}.", near)
        return
    try:
        rises(figure, mode)
    except LearnerError as error:
        yield Problem(path, str(error))
