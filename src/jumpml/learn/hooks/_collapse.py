"""Embeddings that have come to be one and the same, or to lie on a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from jumpml.evaluate import evaluation_mode, rank_me, spread
from jumpml.learn.hooks._embedding_probe import objectives_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from jumpml.core import Objective
    from jumpml.graph import Model

LEAST_SPREAD = 0.05  # of 1 on the whole sphere
LEAST_RANK = 1.5  # dimensions that unit embeddings make use of around their mean
ANYWAY = "make the views differ more, or learn more slowly"


class Watched(NamedTuple):
    """Embeddings, or what an objective makes of them.

    Attributes:
        name: In words.
        spread: How alive they are.
        problem: What is wrong where they have collapsed, with what to change; else empty.
    """

    name: str
    spread: float
    problem: str


def watch(node: str, embeddings: Tensor, model: Model, phase: str) -> Iterator[Watched]:
    """How alive a node's embeddings are in a self-supervised phase, and their projections; nothing in another.

    Args:
        node: Whose they are.
        embeddings: ``[rows, width]``.
        model: Its objectives.
        phase: The phase.
    """
    found = objectives_on(node, model, phase)
    if len(embeddings) < 2:
        return
    concerned = {name: objective for name, objective in found.items() if objective.views}
    # what a task reads may well lie on a line: two classes do
    yield from _watched(f"the embeddings of {node!r}", embeddings, concerned, any_rank=bool({*found} & {*model.tasks}))
    for name, objective in concerned.items():
        projector = getattr(objective, "projector", None)
        if objective.inputs[0] == node and isinstance(projector, nn.Module):
            with torch.no_grad(), evaluation_mode(model):
                device = next((parameter.device for parameter in projector.parameters()), None)
                projected = projector(embeddings.to(device)).cpu()
            yield from _watched(f"the projections of {name!r}", projected, {name: objective}, any_rank=False)


def _watched(name: str, rows: Tensor, concerned: Mapping[str, Objective], *, any_rank: bool) -> Iterator[Watched]:
    if not concerned or not rows.isfinite().all():
        return
    alive, text = spread(rows), ""
    if alive < LEAST_SPREAD:
        text = f"nearly one and the same for all rows: their spread is {alive:.2g}, where 1 is the whole sphere"
    elif not any_rank and _is_line(rows):
        text = "nearly on one line, whatever their width"
    told = [f"under {name!r}, {getattr(o, 'if_collapsed', '') or ANYWAY}" for name, o in concerned.items()]
    yield Watched(name, alive, f"collapse: {name} are {text}. To change: {'; '.join(told)}." if text else "")


def _is_line(rows: Tensor) -> bool:
    unit = F.normalize(rows.double(), dim=1)
    return unit.shape[1] > 2 and rank_me(unit - unit.mean(0)) < LEAST_RANK
