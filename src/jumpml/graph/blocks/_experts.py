"""Networks side by side, and what a gate makes of them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jumpml.graph.blocks._lazy import lazy_layers_are_meant
from jumpml.graph.blocks._sizes import check_widths

if TYPE_CHECKING:
    from collections.abc import Sequence


def experts(widths: Sequence[int], count: int) -> nn.ModuleList:
    """Networks of linear layers, each with ReLU behind it.

    Args:
        widths: Of the layers' outputs.
        count: How many networks.

    Raises:
        ValueError: ``widths`` is empty, or a width is no whole number of 1 or more.
    """
    check_widths(widths)
    return nn.ModuleList(_expert(widths) for _ in range(count))


def _expert(widths: Sequence[int]) -> nn.Sequential:
    with lazy_layers_are_meant():
        layers: list[nn.Module] = [nn.LazyLinear(widths[0]), nn.ReLU()]
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers)


def gates(outputs: Sequence[int]) -> nn.ModuleList:
    """Layers that say what each of several experts counts; as many experts each as is said."""
    with lazy_layers_are_meant():
        return nn.ModuleList(nn.LazyLinear(count, bias=False) for count in outputs)


def mixed(logits: Tensor, outputs: Sequence[Tensor]) -> Tensor:
    """The mean of what experts give, weighed by a gate.

    Args:
        logits: The gate's, ``[batch, *, experts]``.
        outputs: ``[batch, *, width]`` each.
    """
    return (F.softmax(logits, dim=-1).unsqueeze(-1) * torch.stack([*outputs], dim=-2)).sum(-2)
