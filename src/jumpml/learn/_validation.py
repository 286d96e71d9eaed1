"""Figures on the validation rows, and whether they are the best so far."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from jumpml.evaluate import higher_is_better, score

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    return score(loaders, model, [*dict.fromkeys([*(figure.removeprefix("val/") for figure in figures), "loss"])])


def improves(saving: Saving | None, progress: Progress, figures: dict[str, float]) -> bool:
    """Whether the figures are better than any before; if so, `Progress` remembers it."""
    if saving is None or saving.best is None or not figures:
        return False
    key = saving.best.removeprefix("val/")
    upward = saving.mode == "max"
    if saving.mode == "auto":
        upward = key != "loss" and bool(higher_is_better(key.rpartition("/")[2]))
    value, best = figures[key], progress.best
    if not math.isfinite(value):
        return False
    if best is not None and not (value > best[0] if upward else value < best[0]):
        return False
    progress.best = (value, progress.step)
    return True
