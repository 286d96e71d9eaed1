"""An adapted model beside the unadapted one, on the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import AdaptedEvaluation, AdaptedTask
from jumpml.evaluate import compare, measure, predict

if TYPE_CHECKING:
    from jumpml.evaluate import EvalResults
    from jumpml.graph import Model
    from jumpml.learn.adapting._adapted import Adapted


def evaluate_beside(results: EvalResults, model: Model, adapted: Adapted) -> AdaptedEvaluation:
    """Let an adapting copy predict what a model was evaluated on, and measure it likewise.

    Args:
        results: Of the model.
        model: The model.
        adapted: Its adapting copy.

    Returns:
        Each task's figures, and how its first one changes, with the interval of paired rows.

    Raises:
        EvaluationError: A figure has no value on these rows.
    """
    loaders, split = results.loaders, results.record.split
    before = predict(loaders, model, split)
    after = predict(loaders, model, split, predictor=adapted)
    tasks = {}
    for name, task in model.tasks.items():
        metrics = results.metrics[name]
        figures = measure(task.kind, metrics, after[name])
        key = next((key for key in task.brings.metrics if key in figures), next(iter(figures)))
        change = compare(task.kind, metrics, key, before[name], after[name])
        tasks[name] = AdaptedTask(figures=figures, headline=key, change=change)
    return AdaptedEvaluation(
        method=adapted.method.name,
        episodic=adapted.episodic,
        moved=sum(adapted.model.state_dict()[name].numel() for name in adapted.method.moved),
        batches=adapted.batches,
        undone=tuple(adapted.undone),
        checked=adapted.probe is not None,
        tasks=tasks,
    )
