"""Branches of low rank beside layers, and back into them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from torch import nn

from jumpml.core import GraphError
from jumpml.graph._random import own_draws
from jumpml.graph.growth._adapters import ADAPTERS, LowRankConvolution, LowRankLinear
from jumpml.graph.growth._places import modules_in, replace
from jumpml.graph.growth._surgery import Entry, Moved, Surgery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from jumpml.graph._model import Model


@final
@dataclass(frozen=True)
class LowRank(Surgery):
    """Give every linear and convolutional layer of a node a branch of low rank that learns in the layer's place.

    Hu et al. 2021 (https://arxiv.org/abs/2106.09685). The layers' own weights stay as they are, also where a phase
    trains the node; the branch begins with zeros. `Merge` adds it to the weights.

    Attributes:
        node: A node, or a module inside one. Attention of JumpML's blocks has linear layers.
        rank: Of each branch, 1 or more.

    Raises:
        GraphError: As it is made, the rank is below 1.
    """

    kind: ClassVar[str] = "low_rank"
    node: str
    rank: int

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise GraphError(f"low_rank: expected a rank of 1 or more, got {self.rank}.")

    def resolve(self, model: Model, seed: int) -> Entry:
        """The layers."""
        found = [name for name, module in modules_in(model, self.node).items() if _takes(module)]
        if not found:
            text = "has no linear or convolutional layer (in one group) without a branch of low rank"
            raise GraphError(f"{self.node!r} {text}.")
        text = f"gave {', '.join(found)} a branch of rank {self.rank}"
        return {"kind": self.kind, "text": text, "at": dict.fromkeys(found, self.rank), "seed": seed}

    @staticmethod
    def operate(model: Model, entry: Entry) -> Mapping[Tensor, Moved]:
        """Put the branches in."""
        for name, rank in entry["at"].items():
            layer = model.node(name)
            with own_draws(entry["seed"], "grow", name):
                adapted = LowRankLinear(layer, rank) if isinstance(layer, nn.Linear) else _convolution(layer, rank)
            for parameter in adapted.kept():
                parameter.requires_grad_(False)
            replace(model, layer, adapted)
        return {}


@final
@dataclass(frozen=True)
class Merge(Surgery):
    """Add the branches of low rank in a node to the weights that they stand beside; these learn again.

    Attributes:
        node: A node, or a module inside one.
    """

    kind: ClassVar[str] = "merge"
    node: str

    def resolve(self, model: Model, seed: int) -> Entry:
        """The layers."""
        found = [name for name, module in modules_in(model, self.node).items() if isinstance(module, ADAPTERS)]
        if not found:
            raise GraphError(f"{self.node!r} has no branch of low rank.")
        text = f"merged the branches of {', '.join(found)}"
        return {"kind": self.kind, "text": text, "at": dict.fromkeys(found, True), "seed": seed}

    @staticmethod
    def operate(model: Model, entry: Entry) -> Mapping[Tensor, Moved]:
        """Put plain layers in their place."""
        moved = {}
        for name in entry["at"]:
            adapted = model.node(name)
            if not isinstance(adapted, ADAPTERS):
                raise GraphError(f"the lineage merges a branch of {name!r}, which has none.")
            plain = adapted.merged()
            replace(model, adapted, plain)
            moved[plain.weight] = Moved(adapted.weight, {})
            if plain.bias is not None:
                plain.bias.requires_grad_(True)
        return moved


def _takes(module: nn.Module) -> bool:
    # by the very class: others read a layer's weights without calling it, as torch's attention does
    if type(module) in {nn.Conv1d, nn.Conv2d, nn.Conv3d}:
        return getattr(module, "groups", 0) == 1 and getattr(module, "padding_mode", "") == "zeros"
    return type(module) is nn.Linear


def _convolution(layer: nn.Module, rank: int) -> LowRankConvolution:
    if not isinstance(layer, nn.modules.conv._ConvNd):
        raise GraphError(f"the lineage gives a {type(layer).__name__} a branch of low rank, which it cannot have.")
    return LowRankConvolution(layer, rank)
