"""How far from the outputs a parameter lies, in layers: along the graph, and inside nodes that are layers in a row."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jumpml.graph import Model

_IN_A_ROW = (nn.Sequential, nn.ModuleList)
NORM = re.compile(r"Norm(Act)?(\dd)?$")  # the class of any library: LlamaRMSNorm, BatchNormAct2d


def rate_shares(model: Model, decay: float) -> dict[int, float]:
    """What the learning rate of each parameter of the nodes is multiplied by: ``decay`` to the power of its height.

    A node that nothing reads has its last layer at height 0; what it reads lies above its first one, on the longest
    way where there are several (Howard & Ruder 2018, https://arxiv.org/abs/1801.06146; Bao et al. 2021,
    https://arxiv.org/abs/2106.08254). A node without parameters is no layer. Of weights that several nodes share the
    lowest place counts.

    Args:
        model: The model.
        decay: Above 0, at most 1.

    Returns:
        By the parameter's ``id``; nothing where ``decay`` is 1.
    """
    if decay == 1.0:
        return {}
    heights: dict[int, int] = {}
    above = dict.fromkeys(model.node_names, 0)  # by node, the height of its last layer
    for node in reversed(model.node_names):
        layers = [*layers_of(model.node(node))]
        for place, layer in enumerate(reversed(layers)):
            for parameter in layer:
                height = above[node] + place
                heights[id(parameter)] = min(height, heights.get(id(parameter), height))
        for source in filter(None, map(model.node_of, model.reads[node])):
            above[source] = max(above[source], above[node] + len(layers))
    return {parameter: decay**height for parameter, height in heights.items()}


def layers_of(module: nn.Module) -> Iterator[list[nn.Parameter]]:
    """A module's parameters by layer, from its input on.

    The elements of an ``nn.Sequential`` or an ``nn.ModuleList`` are layers, be it the module itself or directly in it,
    as in a transformer between its embedding and its last normalization; any other module is one. A normalization among
    these elements is no layer of its own, but of the one before it.

    Args:
        module: A node's.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1)))
        >>> [len(layer) for layer in layers_of(net)]
        [2, 2, 2]
    """
    if isinstance(module, _IN_A_ROW):
        row = list[list[nn.Parameter]]()
        for element in module:
            own = list(element.parameters())
            if isinstance(element, _IN_A_ROW):
                row += layers_of(element)
            elif row and NORM.search(type(element).__name__):
                row[-1] += own
            elif own:
                row.append(own)
        yield from row
    elif any(isinstance(child, _IN_A_ROW) for child in module.children()):
        own = list(module.parameters(recurse=False))  # class tokens, positions: they stand at the input
        layers = [layer for child in module.children() for layer in _of_child(child)]
        yield from ([[*own, *layers[0]], *layers[1:]] if layers else [own] if own else [])
    elif layer := list(module.parameters()):
        yield layer


def _of_child(child: nn.Module) -> Iterator[list[nn.Parameter]]:
    if isinstance(child, _IN_A_ROW):
        yield from layers_of(child)
    elif layer := list(child.parameters()):
        yield layer
