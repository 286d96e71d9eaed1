"""The Fisher information that an EWC penalty weighs parameters by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.core import LearnerError
from jumpml.evaluate import plain_losses
from jumpml.objectives import EWC, reduce

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.data import DataLoaders
    from jumpml.graph import Model


def consolidate(model: Model, loaders: DataLoaders, rows: int = 512) -> None:
    """Give every EWC objective its anchor and Fisher information.

    The empirical Fisher: the mean over rows of the squared gradient of one row's task losses at the true target, one
    backward pass a row (a batch's squared mean gradient is another, far smaller quantity). The model is in evaluation
    mode meanwhile, so that normalisation layers neither mix rows nor move.

    Args:
        model: Its EWC objectives are consolidated.
        loaders: The train rows are read.
        rows: How many of them, spread evenly.

    Raises:
        LearnerError: There is no EWC objective, or no task with one loss a row.
    """
    penalties = [objective for objective in model.objectives.values() if isinstance(objective, EWC)]
    if not penalties:
        raise LearnerError("consolidate() needs an objective of kind ewc; the model has none.")
    tasks = [name for name in model.tasks if name in model.objectives]
    if not tasks:
        raise LearnerError(
            "consolidate() takes gradients of the tasks' losses; no task of this model has an objective."
        )
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    fisher = {name: torch.zeros_like(p) for name, p in named}
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        count = _accumulate(model, loaders, rows, tasks=tasks, named=named, fisher=fisher)
    finally:
        for module, training in modes:
            module.training = training
    for penalty in penalties:
        penalty.consolidate({name: value / count for name, value in fisher.items()})


def _accumulate(
    model: Model,
    loaders: DataLoaders,
    rows: int,
    *,
    tasks: list[str],
    named: list[tuple[str, torch.nn.Parameter]],
    fisher: dict[str, Tensor],
) -> int:
    learned = loaders.train.order(0).unique()  # the phase's own data sets
    chosen = {*learned[torch.linspace(0, len(learned) - 1, min(rows, len(learned))).long()].tolist()}
    position = count = 0
    for batch in loaders.train.plain():
        size = len(next(iter(batch.values())))
        for row in range(size):
            if position + row not in chosen:
                continue
            one = {key: value[row : row + 1] for key, value in batch.items()}
            losses = plain_losses(model, {name: model.objectives[name] for name in tasks}, one)
            total = torch.stack([reduce(loss) for loss in losses.values()]).sum()
            gradients = torch.autograd.grad(total, [p for _, p in named], allow_unused=True)
            for (name, _), gradient in zip(named, gradients, strict=True):
                if gradient is not None:
                    fisher[name] += gradient.square()
            count += 1
        position += size
    return count
