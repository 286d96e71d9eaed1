"""What of a module is drawn anew where it is initialized: the weights of layers that torch has, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from jumpml.graph.blocks import Embedding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

_PLAIN = (nn.Linear, nn.Bilinear, _ConvNd, nn.Embedding, nn.EmbeddingBag, Embedding)
_RECURRENT = (nn.RNNBase, nn.RNNCellBase)
SCALED = (nn.Linear, nn.Bilinear, _ConvNd)  # layers whose output is linear in their weight


class Drawable(NamedTuple):
    """The weights and biases of one layer.

    Attributes:
        path: Where the layer is within the module; empty for the module itself.
        layer: The layer.
        weights: By name within the layer, the parts of the weight that are drawn apart, each with what is made on
            along its first axis and what it is made of along its second: the gates of a recurrent layer, the three
            projections of an attention.
        biases: By name.
    """

    path: str
    layer: nn.Module
    weights: Mapping[str, tuple[Tensor, ...]]
    biases: Mapping[str, Tensor]

    def named(self, name: str) -> str:
        """A parameter's name within the module."""
        return f"{self.path}.{name}" if self.path else name


def drawables(module: nn.Module) -> Iterator[Drawable]:
    """The layers of a module whose weights are drawn; a weight that several share comes once.

    Args:
        module: A node's.
    """
    seen: set[int] = set()
    for path, layer in module.named_modules():
        own = {name: value for name, value in layer.named_parameters(recurse=False) if id(value) not in seen}
        seen |= {id(value) for value in own.values()}
        weights = {name: blocks for name, value in own.items() if (blocks := _blocks(layer, name, value.data))}
        if weights:
            biases = {name: value.data for name, value in own.items() if "bias" in name}
            yield Drawable(path, layer, weights, biases)


def _blocks(layer: nn.Module, name: str, weight: Tensor) -> tuple[Tensor, ...]:
    """The parts of a weight; none where it is no weight that is drawn."""
    if weight.ndim < 2 or not weight.is_floating_point() or "weight" not in name or not weight.numel():
        return ()
    if isinstance(layer, _ConvTransposeNd):
        # of its weight the first axis is what is read
        return tuple(part.transpose(0, 1) for part in weight.chunk(layer.groups))
    if isinstance(layer, _PLAIN):
        return (weight,)
    if isinstance(layer, _RECURRENT):
        return weight.split(layer.hidden_size) if "_hr" not in name else (weight,)
    if isinstance(layer, nn.MultiheadAttention):
        return weight.chunk(3) if name == "in_proj_weight" else (weight,)
    return ()
