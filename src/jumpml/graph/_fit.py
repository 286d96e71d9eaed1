"""What would fit where a module fails on its inputs."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from jumpml.graph._inferred import dtype_name
from jumpml.graph._node import class_name, signature_text

_SIZES: tuple[tuple[type[nn.Module], str, int], ...] = (
    (nn.Linear, "in_features", -1),
    (_ConvNd, "in_channels", 1),
    (_BatchNorm, "num_features", 1),
    (nn.RNNBase, "input_size", -1),
)
_AXES = {1: "length", 2: "height, width", 3: "depth, height, width"}


def what_would_fit(module: nn.Module, values: Sequence[Any], arguments: Sequence[str] | None, error: Exception) -> str:
    """How to repair a failed call, in a sentence; empty where that cannot be known.

    Args:
        module: The node's module.
        values: What it was given.
        arguments: The names under which it was given them, or None for positional ones.
        error: What it raised.
    """
    hint = _call(module, values, arguments)
    if hint:
        return hint
    if any(isinstance(value, (tuple, list, Mapping)) for value in values):
        return "An input that is a tuple or dict has parts: read one of them, as in 'node.0' or 'node.key'."
    for layer, given in _layers(error):
        hint = _layer(layer, given)
        if hint:
            return f"{'It' if layer is module else f'Its {class_name(type(layer))}'} {hint}"
    return ""


def _call(module: nn.Module, values: Sequence[Any], arguments: Sequence[str] | None) -> str:
    """Whether it was the number or the names of the arguments."""
    named = {} if arguments is None else dict.fromkeys(arguments)
    try:
        inspect.signature(module.forward).bind(*(values if arguments is None else ()), **named)
    except TypeError:
        hint = f"Its forward takes {signature_text(module.forward)}."
        if arguments is None and len(values) > 1:
            hint += " To give it several values as one, put a jumpml.blocks.Concat node before it."
        return hint
    return ""


def _layers(error: Exception) -> list[tuple[nn.Module, Tensor]]:
    """The layers that the error came through, innermost first, and their inputs: torch's layers call that ``input``."""
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)]
    found = [(frame.get("self"), frame.get("input")) for frame in reversed(frames)]
    return [(layer, given) for layer, given in found if isinstance(layer, nn.Module) and isinstance(given, Tensor)]


def _layer(layer: nn.Module, given: Tensor) -> str:
    if isinstance(layer, nn.Embedding):
        return f"reads int64 codes below {layer.num_embeddings}, and is given {dtype_name(given)}."
    if not given.is_floating_point():
        return f"reads floating point numbers, and is given {dtype_name(given)}: embed or one-hot a category first."
    if isinstance(layer, _ConvNd) and given.ndim != len(layer.kernel_size) + 2:
        return f"reads [batch, channels, {_AXES[len(layer.kernel_size)]}], and is given {given.ndim} axes."
    for kind, attribute, axis in _SIZES:
        size = getattr(layer, attribute, None)
        if isinstance(layer, kind) and given.ndim > 1 and size != given.shape[axis]:
            place = "last" if axis == -1 else "second"
            return f"has {attribute}={size}, and is given {given.shape[axis]} along the {place} axis: make them equal."
    if isinstance(layer, nn.LayerNorm):
        return f"has normalized_shape={list(layer.normalized_shape)}, and is given rows of {list(given.shape[1:])}."
    return ""
