"""`check_self_supervised`: whether a method learns from rows alone as it should, in a learner."""

from __future__ import annotations

import copy
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from jumpml.data import Column, DataLoaders, Noise, random_split
from jumpml.graph import Node
from jumpml.testing._run import chosen, run
from jumpml.testing._self_supervised_checks import (
    SelfSupervisedCase,
    check_absent_rows,
    check_checkpoint,
    check_collapse,
    check_encoder_gradient,
    check_momentum,
    check_one_row,
    check_order,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

SELF_SUPERVISED_CHECKS: Mapping[str, Callable[[SelfSupervisedCase], str]] = MappingProxyType(
    {
        "permutation": check_order,
        "gradient": check_encoder_gradient,
        "momentum": check_momentum,
        "collapse": check_collapse,
        "checkpoint": check_checkpoint,
        "one row": check_one_row,
        "absent rows": check_absent_rows,
    }
)
ROWS, WIDTH, CLUSTERS = 96, 8, 4


def check_self_supervised(
    objective: Any,
    loaders: DataLoaders | None = None,
    nodes: Mapping[str, Node] | None = None,
    *,
    epochs: int = 20,
    lr: float = 0.01,
    least_spread: float = 0.1,
    without: Collection[str] = (),
) -> None:
    """Check that a self-supervised objective learns from rows alone, as a learner runs it.

    Models are made of copies of the objective and the nodes, and trained by `jumpml.learn.Learner` and Adam on the CPU;
    torch's global generator is left as it was.

    - ``permutation``: a batch's rows in another order have the same loss.
    - ``gradient``: a finite one reaches the node that it reads.
    - ``momentum``: none reaches a momentum encoder, which follows the weights all the same.
    - ``collapse``: once it has trained, embeddings are neither one and the same for all rows nor on a line.
    - ``checkpoint``: a run that is stopped within an epoch and resumed ends with the same bits.
    - ``one row``: a batch of one row is refused with an `ObjectiveError`, where the loss is of the whole batch.
    - ``absent rows``: rows that ``present`` leaves out change nothing, whatever stands in them.

    Args:
        objective: As its constructor made it, not yet connected.
        loaders: Data with the views that it draws, and several batches; 96 rows in four clusters, of which each view
            that it names is a noisy one, where None.
        nodes: What it reads, by name; a small encoder of such rows where None.
        epochs: How long it trains before it is looked for a collapse.
        lr: Adam's learning rate.
        least_spread: How alive the embeddings must stay; see `jumpml.evaluate.spread`. What holds rows apart by a
            stopped gradient alone may be given less.
        without: Checks that do not apply, by name.

    Raises:
        ConformanceError: Checks fail; the text names each, what was expected and what came.
        ValueError: The made-up rows do not suit what it reads, or ``without`` names no check.

    Example:
        >>> from jumpml.objectives import VICReg
        >>> check_self_supervised(VICReg("encoder", views="noisy", projector=(16, 16)), epochs=2)
    """
    checks = chosen(SELF_SUPERVISED_CHECKS, without)
    if (loaders is None) != (nodes is None):
        raise ValueError("expected data with the nodes that read it, got one of the two.")
    made = copy.deepcopy(objective)
    made.when = ("all",)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if loaders is None or nodes is None:
            loaders, nodes = _example(objective)
        case = SelfSupervisedCase(made, loaders, nodes, epochs, lr, least_spread)
        run(f"check_self_supervised: {type(objective).__name__}", checks, case)


def _example(objective: Any) -> tuple[DataLoaders, dict[str, Node]]:
    """Rows in clusters with the objective's views, and a small encoder of them under the name that it reads."""
    if len(objective.inputs) != 1 or not objective.views:
        reads = ", ".join(objective.inputs) or "nothing"
        raise ValueError(f"expected an objective on views of one node, got one on {reads}: give it loaders and nodes.")
    generator = torch.Generator().manual_seed(0)
    middles = 2 * torch.randn(CLUSTERS, WIDTH, generator=generator)
    rows = middles[torch.arange(ROWS) % CLUSTERS] + torch.randn(ROWS, WIDTH, generator=generator)
    loaders = DataLoaders(
        {"x": Column(rows, "tensor")},
        random_split(ROWS),
        views={name: {"x": [Noise(0.5)]} for name in objective.views},
        batch_size=16,
    )
    net = nn.Sequential(nn.Linear(WIDTH, 32), nn.ReLU(), nn.Linear(32, 16))
    return loaders, {objective.inputs[0]: Node(net, "x")}
