"""Values alone, for validation while training."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from jumpml.core import NEXT, POSITION, PRESENT, EvaluationError, derive_seed, did_you_mean
from jumpml.evaluate._measure import first
from jumpml.evaluate._metric import UndefinedError
from jumpml.evaluate._named import metric_names, named
from jumpml.evaluate._predictions import evaluation_mode, loader_of, predict
from jumpml.evaluate._sample import AnySample, sample_of
from jumpml.objectives import reduce

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from torch import Tensor

    from jumpml.core import Loss, Objective
    from jumpml.data import DataLoaders
    from jumpml.evaluate._metric import Metric
    from jumpml.graph import LossPlan, Model

SUPERVISED = "supervised"


def score(
    loaders: DataLoaders, model: Model, names: Collection[str], split: str = "val", phase: str = SUPERVISED
) -> dict[str, float]:
    """Measure a few values without intervals.

    Args:
        loaders: The data.
        model: It is in the mode it was in when this returns.
        names: ``task/metric``, or ``loss``: the weighted sum of the phase's objectives, each its mean over the rows
            that count. Objectives that need views have no part in it, since these rows have none. What an objective
            draws at random is the same each time, and drawn from no generator outside.
        split: ``train``, ``val`` or ``test``.
        phase: The phase whose objectives ``loss`` is of.

    Returns:
        By name.

    Raises:
        EvaluationError: A name is unknown, or has no value on these rows.
    """
    wanted = {name: _named(name, model) for name in names if name != "loss"}
    predictions = predict(loaders, model, split) if wanted else {}
    samples = {task: sample_of(model.tasks[task].kind, predictions[task]) for task, _ in wanted.values()}
    scores = {name: _value(name, entry, samples[task], split) for name, (task, entry) in wanted.items()}
    if "loss" in names:
        scores["loss"] = _loss(loaders, model, split, phase)
    return scores


def _named(name: str, model: Model) -> tuple[str, Metric]:
    task, slash, metric = name.partition("/")
    if not slash or task not in model.tasks:
        known = ["loss", *(f"{task}/{m}" for task, t in model.tasks.items() for m in metric_names(t.kind))]
        raise EvaluationError(
            f"there is no value {name!r}: expected 'loss' or 'task/metric'. {did_you_mean(name, known)}"
        )
    return task, named(model.tasks[task].kind, metric.partition(".")[0])  # rmse.mass is of a named output


def _value(name: str, entry: Metric, sample: AnySample, split: str) -> float:
    figure = name.partition("/")[2]
    try:
        values = first(entry, sample)
        if figure not in values:
            raise EvaluationError(f"there is no value {name!r}. {did_you_mean(figure, values)}")
        return values[figure]
    except UndefinedError as reason:
        raise EvaluationError(f"{name!r} has no value on the split {split!r}: {reason}.") from None


def _loss(loaders: DataLoaders, model: Model, split: str, phase: str) -> float:
    active = {name: model.objectives[name] for name in model.active(phase)}
    objectives = {name: objective for name, objective in active.items() if not objective.views}
    if not objectives:
        raise EvaluationError(f"'loss' has no value: no objective without views is active in the {phase} phase.")
    total = {name: torch.zeros((), dtype=torch.float64) for name in objectives}
    rows = dict.fromkeys(objectives, 0)
    read = [name for objective in objectives.values() for name in objective.inputs]
    loaders.bind([name for name in read if name.endswith((NEXT, PRESENT)) and name in loaders.servable])
    plans: dict[frozenset[str], LossPlan] = {}
    with evaluation_mode(model), _same_draws(loaders.device):
        for batch in loader_of(loaders, split).plain(positions=POSITION in read):
            with torch.inference_mode():
                if frozenset(batch) not in plans:
                    plans[frozenset(batch)] = model.plan_losses(phase, batch, objectives)
                losses, _ = plans[frozenset(batch)](batch)
            for name, loss in losses.items():
                count = len(next(iter(batch.values()))) if loss.present is None else int(loss.present.sum())
                total[name] += reduce(loss).cpu() * count
                rows[name] += count
    return sum(model.objectives[name].weight * float(total[name]) / max(rows[name], 1) for name in objectives)


@contextmanager
def _same_draws(device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(derive_seed("validation"))
        yield


def plain_losses(model: Model, objectives: Mapping[str, Objective], batch: Mapping[str, Tensor]) -> dict[str, Loss]:
    """Some objectives' losses on plain rows; `Model.losses` wants all of a phase, and so views that these do not have.

    Args:
        model: The model, in the mode that is wanted.
        objectives: Without views, and with inputs.
        batch: Plain rows.
    """
    read = dict.fromkeys(name for objective in objectives.values() for name in objective.inputs)
    values = {**batch, **model(batch, outputs=[name for name in read if name not in batch])}
    losses = {}
    for name, objective in objectives.items():
        present = model.rows(objective.inputs, batch)
        losses[name] = objective(*map(values.__getitem__, objective.inputs), present=present)
    return losses
