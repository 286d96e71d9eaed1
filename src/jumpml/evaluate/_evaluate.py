"""Everything that is measured on one split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jumpml.core import EvaluationError, EvaluationRecord, LabelCounts, TaskEvaluation, did_you_mean
from jumpml.evaluate._calibration import calibrate, calibrate_positions
from jumpml.evaluate._curves import curves, loss_along
from jumpml.evaluate._measure import Measured, measure_sample, resolve
from jumpml.evaluate._named import own_metrics
from jumpml.evaluate._positions import Positions
from jumpml.evaluate._predictions import loader_of, predict
from jumpml.evaluate._reconstructions import reconstructions
from jumpml.evaluate._results import EvalResults
from jumpml.evaluate._sample import Sample, sample_of
from jumpml.evaluate._texts import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from jumpml.core import FieldInfo, Predictor, Task
    from jumpml.data import DataLoaders
    from jumpml.evaluate._metric import Metric
    from jumpml.evaluate._predictions import Predicted
    from jumpml.graph import Model

MOST_CLASSES = 100  # a confusion matrix of more cannot be read, and its record would be large


def evaluate(
    loaders: DataLoaders,
    model: Model,
    metrics: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
    split: str = "test",
    *,
    averaged: bool = False,
    notes: Sequence[str] = (),
    predictor: Predictor | None = None,
) -> EvalResults:
    """Measure a model on a split.

    Proportions have Wilson intervals, all else the percentiles of a bootstrap over rows. A function that returns a dict
    gives one figure a key, ``task/name.key``.

    Args:
        loaders: The data.
        model: What is measured.
        metrics: Names, `torchmetrics` objects (updated with probabilities and targets) or functions ``f(predictions,
            targets)``: a list where there is one task, a dict by task, or None; a task that is not named has its own.
        split: ``train``, ``val`` or ``test``.
        averaged: Whether the model's weights are a moving average; it goes to the record.
        notes: What a reader of the figures must know; they go to the record.
        predictor: What gives the outputs in the model's place, such as `jumpml.learn.Adapted`.

    Raises:
        EvaluationError: A metric is unknown, fails or does not fit its task; the split is empty; all of a task's
            targets are missing; an output is not finite.
    """
    asked = _by_task(metrics, model.tasks, loaders.fields)
    resolved = {name: _in_task(name, resolve, model.tasks[name].kind, entries) for name, entries in asked.items()}
    tasks: dict[str, TaskEvaluation] = {}
    told = list(notes)
    for name, predictions in predict(loaders, model, split, predictor=predictor).items():
        task = model.tasks[name]
        field = loaders.fields[task.target]
        rows = loader_of(loaders, split).rows.cpu()
        tasks[name], found = _in_task(name, _evaluate_task, task, field, resolved[name], predictions, rows)
        told += [f"{name}: {note}" for note in found]
        if isinstance(predictions, Positions):
            texts = shown(loaders, model, name, split, predictions.known())
            tasks[name] = tasks[name].model_copy(update=texts)
    record = EvaluationRecord(split=split, tasks=tasks, averaged_weights=averaged, notes=tuple(told))
    return EvalResults(record, loaders, asked)


def _by_task(
    metrics: Sequence[Any] | Mapping[str, Sequence[Any]] | None,
    tasks: Mapping[str, Task],
    fields: Mapping[str, FieldInfo],
) -> dict[str, Any]:
    own = {name: own_metrics(task, fields.get(task.target)) for name, task in tasks.items()}
    if metrics is None:
        return own
    if isinstance(metrics, Mapping):
        for name in metrics:
            if name not in tasks:
                raise EvaluationError(
                    f"metrics are asked for a task {name!r}, which the model lacks. {did_you_mean(name, tasks)}"
                )
        return own | dict(metrics)
    if len(tasks) != 1:
        names = ", ".join(map(repr, tasks)) or "none"
        raise EvaluationError(
            f"a list of metrics is for one task, and the model has {names}: give a dict of lists by task."
        )
    return dict.fromkeys(tasks, metrics)


def _in_task(name: str, function: Any, *args: Any) -> Any:
    """Call, and say in an error which task it was about."""
    try:
        return function(*args)
    except EvaluationError as error:
        raise EvaluationError(f"task {name!r}: {error}") from error.__cause__


def _evaluate_task(
    task: Task, field: FieldInfo, metrics: Sequence[Metric], predictions: Predicted, rows: Tensor
) -> tuple[TaskEvaluation, list[str]]:
    sample = sample_of(task.kind, predictions)
    measured = measure_sample(sample, metrics)
    if isinstance(sample, Positions):
        evaluation = _of_positions(task, field, measured, sample, rows[predictions.present])
        missing = len(predictions.present) - len(sample)
        notes = [*measured.notes, *_unseen_classes(sample, field)]
        return evaluation.model_copy(update={"missing": missing}), notes
    classes = _classes(sample, field)
    evaluation = TaskEvaluation(
        kind=task.kind,
        target=task.target,
        rows=len(sample),
        missing=len(predictions.present) - len(sample),
        classes=classes,
        figures=measured.figures,
        higher_is_better=measured.higher_is_better,
        confusion=_confusion(sample) if sample.decides == "class" and 0 < len(classes) <= MOST_CLASSES else None,
        labels=_labels(sample) if sample.decides == "labels" else (),
        calibration=calibrate(sample) if classes and sample.decides != "embedding" else None,
        curves=curves(sample),
        reconstructions=reconstructions(sample, rows[predictions.present]),
    )
    return evaluation, [*measured.notes, *_empty_classes(sample, classes)]


def _of_positions(
    task: Task, field: FieldInfo, measured: Measured, sample: Positions, numbers: Tensor
) -> TaskEvaluation:
    """What is told of a task that decides at positions, whose classes are the field's, or the tokens of a text."""
    return TaskEvaluation(
        kind=task.kind,
        target=task.target,
        rows=len(sample),
        missing=0,
        positions=int(sample.count.sum()),
        classes=field.classes,
        figures=measured.figures,
        higher_is_better=measured.higher_is_better,
        confusion=_tuples(sample.confusion()) if 0 < len(field.classes) <= MOST_CLASSES else None,
        calibration=calibrate_positions(sample.bins),
        curves=loss_along(sample),
        maps=sample.maps(numbers),
    )


def _unseen_classes(sample: Positions, field: FieldInfo) -> list[str]:
    empty = [name for name, count in zip(field.classes, sample.class_counts.tolist(), strict=False) if not count]
    return [f"no position of the split is of class {', '.join(map(repr, empty))}."] if empty else []


def _classes(sample: Sample, field: FieldInfo) -> tuple[str, ...]:
    return field.classes or tuple(map(str, range(sample.num_classes)))


def _confusion(sample: Sample) -> tuple[tuple[int, ...], ...]:
    size = sample.num_classes
    counts = (sample.target * size + sample.decided).bincount(minlength=size**2)
    return _tuples(counts.view(size, size))


def _tuples(counts: Tensor) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, counts.tolist()))


def _labels(sample: Sample) -> tuple[LabelCounts, ...]:
    true, given = sample.target == 1, sample.decided == 1
    counts = zip(*((of.sum(0).tolist()) for of in (true & given, true & ~given, given & ~true)), strict=True)
    return tuple(LabelCounts(right=right, missed=missed, wrong=wrong) for right, missed, wrong in counts)


def _empty_classes(sample: Sample, classes: Sequence[str]) -> list[str]:
    if not classes:
        return []
    empty = [name for name, count in zip(classes, sample.class_counts.tolist(), strict=True) if not count]
    of = "has the label" if sample.decides == "labels" else "is of class"
    return [f"no row of the split {of} {', '.join(map(repr, empty))}."] if empty else []
