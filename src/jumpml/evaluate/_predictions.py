"""A model's raw outputs on a whole split, beside the targets."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from jumpml.core import EvaluationError, did_you_mean
from jumpml.evaluate._forecast import baselines
from jumpml.evaluate._positions import UNKNOWN, PositionCounter, Positions
from jumpml.graph import classes_problem, probabilities

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor, nn

    from jumpml.core import FieldInfo, Predictor, Task
    from jumpml.data import DataLoaders, Loader
    from jumpml.graph import Model

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """One task's raw outputs on a split, in the split's order, on the CPU.

    Attributes:
        output: What the output node gave, ``[rows, *]``: logits, vectors of length 1, or numbers in the target's raw
            units, with quantiles ``[rows, *, quantiles]``.
        target: ``[rows, *]``: class codes, 0 and 1 (of each label), or numbers in raw units; anything at absent rows.
        present: bool ``[rows]``, the rows that have a target, and whose data set has what the output needs.
        quantiles: The levels that are predicted of each number.
        field: The target; None where it is not known.
        aside: What else the kind's metrics read, by name and a row each. For a forecast ``past``, what comes before the
            target; ``last`` and, where the season has several steps, ``season``: the baselines, ``[rows, elements]``;
            and ``scale``, their error on the train rows.
        block: How many neighbouring rows share what they show.
    """

    output: Tensor
    target: Tensor
    present: Tensor
    quantiles: tuple[float, ...] = ()
    field: FieldInfo | None = None
    aside: Mapping[str, Tensor] = dataclasses.field(default_factory=dict)
    block: int = 1


Predicted: TypeAlias = Predictions | Positions


def predict(loaders: DataLoaders, model: Model, split: str, *, predictor: Predictor | None = None) -> dict[str, Any]:
    """Run a model over a split: plain rows in order, in evaluation mode, without gradients.

    The outputs of a task that decides at positions are reduced batch by batch, and never held for a whole split.

    Args:
        loaders: The data.
        model: It is in the mode it was in when this returns.
        split: ``train``, ``val`` or ``test``.
        predictor: What gives the outputs instead; the model says what its tasks are.

    Returns:
        By task `Predictions`, or `Positions` where a task decides at positions.

    Raises:
        EvaluationError: The split is unknown or empty, the model has no task, a batch lacks a task's target, or its
            codes are of other classes than the model knows.
    """
    loader = loader_of(loaders, split)
    if not model.tasks:
        raise EvaluationError(
            "the model has no tasks: there is no prediction to measure. Name one under the key `tasks`."
        )
    _validate_targets(model, loaders)
    loaders.bind([task.truth for task in model.tasks.values() if task.truth != task.target])
    parts: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = {name: [] for name in model.tasks}
    counters = {name: counter_of(model, name, loaders) for name, task in model.tasks.items() if task.brings.at != "row"}
    served = 0
    with evaluation_mode(model):
        for batch in loader.plain(predictor.draws if predictor else ()):
            with torch.inference_mode():  # not around the loader: what it caches must stay usable for training
                outputs = (predictor or model)(batch)
                for name, task in model.tasks.items():
                    if name in counters:
                        rows = model.rows([task.output], batch)
                        counters[name].add(outputs[name], _told(batch[task.truth], rows))
                    else:
                        rows = model.rows([task.output, task.target], batch)
                        parts[name].append(_part(outputs[name], batch, task, loaders, rows))
            served += 1
    if not served:
        raise EvaluationError(f"the split {split!r} is empty: give it a share of the rows, or name another split.")
    rows = {name: _completed(_joined(part), loaders, model.tasks[name], split) for name, part in parts.items() if part}
    return {name: counters[name].positions() if name in counters else rows[name] for name in parts}


def _told(truth: Tensor, rows: Tensor | None) -> Tensor:
    """Class codes, none of them known in rows whose data set lacks what the output needs: these keep their place."""
    return truth if rows is None else torch.where(rows.view(-1, *[1] * (truth.dim() - 1)), truth, UNKNOWN)


def counter_of(model: Model, name: str, loaders: DataLoaders) -> PositionCounter:
    """What reduces the outputs of a task that decides at positions."""
    task, field = model.tasks[name], loaders.fields[model.tasks[name].target]
    output = model.values[task.output].shape
    return PositionCounter(
        task.kind,
        field.value.shape,
        output[0] if task.brings.at == "pixels" else output[-1],
        by_class=bool(field.classes),
    )


def loader_of(loaders: DataLoaders, split: str) -> Loader:
    """The loader of a split.

    Raises:
        EvaluationError: There is no such split.
    """
    if split not in SPLITS:
        raise EvaluationError(f"there is no split {split!r}. {did_you_mean(split, SPLITS)}")
    return getattr(loaders, split)


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put every module into evaluation mode, and afterwards back into the mode that each was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _validate_targets(model: Model, loaders: DataLoaders) -> None:
    for name, task in model.tasks.items():
        if task.target not in loaders.fields:
            known = did_you_mean(task.target, loaders.fields)
            raise EvaluationError(f"task {name!r}: the data set has no target field {task.target!r}. {known}")
        problem = classes_problem(model.fields.get(task.target), loaders.fields[task.target])
        if problem:
            raise EvaluationError(f"task {name!r}: {problem}")


def _part(
    output: Tensor, batch: Mapping[str, Tensor], task: Task, loaders: DataLoaders, rows: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    target = batch[task.target]
    present = torch.ones(len(target), dtype=torch.bool) if rows is None else rows
    if task.brings.decides == "embedding":
        output = probabilities(task.kind, output)
    if task.brings.decides == "numbers":  # while everything is still on one device
        output = _raw_numbers(output, target, task, loaders)
        target = loaders.to_raw(task.target, target)
    return output.cpu(), target.cpu(), present.cpu()


def _raw_numbers(output: Tensor, target: Tensor, task: Task, loaders: DataLoaders) -> Tensor:
    """Predicted numbers in raw units, of the target's shape; with quantiles each level's, along a last axis."""
    if not task.quantiles:
        return loaders.to_raw(task.target, output.reshape(target.shape))
    levels = output.reshape(*target.shape, len(task.quantiles)).unbind(-1)
    return torch.stack([loaders.to_raw(task.target, level) for level in levels], dim=-1)


def _completed(predictions: Predictions, loaders: DataLoaders, task: Task, split: str) -> Predictions:
    """With what is known of the target beside the rows' own."""
    field = loaders.fields.get(task.target)
    known = replace(predictions, quantiles=task.quantiles, field=field)
    if task.history is None:
        return known
    is_window = bool(field and "window" in field.options)
    aside = baselines(loaders, task, predictions.target, loader_of(loaders, split))
    return replace(known, aside=aside, block=predictions.target.shape[1] if is_window else 1)


def _joined(parts: list[tuple[Tensor, Tensor, Tensor]]) -> Predictions:
    output, target, present = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    return Predictions(output=output, target=target, present=present)
