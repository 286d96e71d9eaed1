"""Figures on the validation rows, and whether they are the best so far."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from jumpml.evaluate import higher_is_better, score

if TYPE_CHECKING:
    from jumpml.data import DataLoaders
    from jumpml.graph import Model
    from jumpml.learn._progress import Progress, Saving


def validate(saving: Saving | None, loaders: DataLoaders, model: Model, phase: str) -> dict[str, float]:
    """The figure that chooses the best checkpoint, and the loss; nothing where nobody reads them.

    Args:
        saving: Names the figure.
        loaders: The validation rows.
        model: The model to measure.
        phase: Without a task's objective in it nothing is measured.
    """
    if saving is None or saving.best is None or not {*model.active(phase)} & {*model.tasks}:
        return {}
    return score(loaders, model, [*dict.fromkeys([saving.best.removeprefix("val/"), "loss"])])


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
