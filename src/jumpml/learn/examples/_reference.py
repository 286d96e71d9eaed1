"""A reference model's loss of each train row, which says how hard it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.core import POSITION, LearnerError, ModelSpec, load_spec
from jumpml.evaluate import evaluation_mode, plain_losses
from jumpml.graph import Model, build_nodes, build_tasks, fields_read
from jumpml.learn.examples._row_losses import by_row, row_loss
from jumpml.objectives import build_objectives

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from torch import Tensor

    from jumpml.data import DataLoaders

SUPERVISED = "supervised"


def difficulty_of_run(run: Path, loaders: DataLoaders, trust: Collection[str] = ()) -> Tensor:
    """How hard the model of a finished run finds each train row.

    Args:
        run: Its folder: its best checkpoint is taken where it has one, else its newest.
        loaders: The data, with the fields that the run's model reads.
        trust: Packages beside ``torch.nn`` and ``jumpml`` that its model file may name classes of.

    Returns:
        float64 ``[train rows]`` in plain order.

    Raises:
        LearnerError: It is no run.
        JumpMLError: Its model does not fit the data.
    """
    files = sorted((run / "specs").glob("*.model.yaml"))
    if not files:
        raise LearnerError(f"{run} is no run: it has no specs/*.model.yaml. A run is a folder that `jumpml run` made.")
    spec = load_spec(ModelSpec, files[0])
    read = [name for name in fields_read(spec) if name in loaders.readable]
    loaders.bind(read)
    inputs = {name: loaders.info(name) for name in read}
    model = Model(
        inputs=inputs,
        fields=dict(loaders.fields),
        seed=spec.seed,
        nodes=build_nodes(spec, inputs, loaders.fields, trust),
        tasks=build_tasks(spec),
        objectives=build_objectives(spec, trust),
    )
    model.load_nodes(run)
    return difficulty_by(model.to(loaders.device), loaders)


def difficulty_by(model: Model, loaders: DataLoaders, *, of: Collection[str] | None = None) -> Tensor:
    """How hard a model finds each train row: its loss of it, without augmentation, in evaluation mode.

    Of several objectives it is their mean by their weights.

    Args:
        model: The reference.
        loaders: The data.
        of: The objectives; all of the phase ``supervised`` that have a loss a row, and no views, where None.

    Returns:
        float64 ``[train rows]`` in plain order; NaN where no objective counts the row.

    Raises:
        LearnerError: No objective has a loss a row.

    Example:
        ``Pace(RootPacing(), difficulty=difficulty_by(small_model, loaders))``
    """
    named = by_row(model, SUPERVISED, None if of is None else tuple(of))
    objectives = {name: model.objectives[name] for name in named if not model.objectives[name].views}
    if not objectives:
        raise LearnerError("the reference model has no objective with a loss a row, so that it finds no row hard.")
    weights = {name: objective.weight for name, objective in objectives.items()}
    found = []
    with evaluation_mode(model), torch.inference_mode():
        places = any(POSITION in objective.inputs for objective in objectives.values())
        for batch in loaders.train.plain(positions=places):
            found.append(row_loss(plain_losses(model, objectives, batch), weights).double().cpu())
    return torch.cat(found)
