"""What would fit where a module fails on its inputs."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from jumpml.graph._inferred import dtype_name
from jumpml.graph._node import class_name, signature_text

_INPUTS = ("input", "src", "tgt", "query", "input1", "x")  # how torch's layers call what they read first
_SECOND = ("key", "value", "input2")
_STEPS = "[batch, steps, features]"
_AXES: tuple[tuple[type[nn.Module], int, str], ...] = (
    (nn.Conv1d, 3, "[batch, channels, length]"),
    (nn.Conv2d, 4, "[batch, channels, height, width]"),
    (nn.Conv3d, 5, "[batch, channels, depth, height, width]"),
    (nn.ConvTranspose1d, 3, "[batch, channels, length]"),
    (nn.ConvTranspose2d, 4, "[batch, channels, height, width]"),
    (nn.ConvTranspose3d, 5, "[batch, channels, depth, height, width]"),
    (nn.BatchNorm2d, 4, "[batch, channels, height, width]"),
    (nn.BatchNorm3d, 5, "[batch, channels, depth, height, width]"),
    (nn.RNNBase, 3, _STEPS),
    (nn.MultiheadAttention, 3, _STEPS),
    (nn.TransformerEncoderLayer, 3, _STEPS),
    (nn.TransformerDecoderLayer, 3, _STEPS),
)


class _Size(NamedTuple):
    """A size that a layer was made with, and the axis of an input that must have it."""

    kind: type[nn.Module]
    name: str
    axis: int
    input: str = "input"
    at: str = ""

    def of(self, layer: nn.Module) -> int:
        """The layer's."""
        return attrgetter(self.at or self.name)(layer)


_SIZES = (
    _Size(nn.Linear, "in_features", -1),
    _Size(_ConvNd, "in_channels", 1),
    _Size(_NormBase, "num_features", 1),
    _Size(nn.GroupNorm, "num_channels", 1),
    _Size(nn.PReLU, "num_parameters", 1),
    _Size(nn.RNNBase, "input_size", -1),
    _Size(nn.RNNCellBase, "input_size", -1),
    _Size(nn.MultiheadAttention, "embed_dim", -1, "query"),
    _Size(nn.MultiheadAttention, "kdim", -1, "key"),
    _Size(nn.MultiheadAttention, "vdim", -1, "value"),
    _Size(nn.TransformerEncoderLayer, "d_model", -1, "src", "self_attn.embed_dim"),
    _Size(nn.TransformerDecoderLayer, "d_model", -1, "tgt", "self_attn.embed_dim"),
    _Size(nn.Bilinear, "in1_features", -1, "input1"),
    _Size(nn.Bilinear, "in2_features", -1, "input2"),
)


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


def _layers(error: Exception) -> list[tuple[nn.Module, dict[str, Tensor]]]:
    """The layers that the error came through, innermost first, and the tensors in their hands by local name."""
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)]
    return [
        (frame["self"], {name: value for name, value in frame.items() if isinstance(value, Tensor)})
        for frame in reversed(frames)
        if isinstance(frame.get("self"), nn.Module)
    ]


def _layer(layer: nn.Module, given: dict[str, Tensor]) -> str:
    """What a layer reads, and what it is given instead; its inputs are known by the names that torch gives them."""
    first = next((given[name] for name in _INPUTS if name in given), None)
    if first is None:
        return ""
    if isinstance(layer, (nn.Embedding, nn.EmbeddingBag)):
        return f"reads int64 codes below {layer.num_embeddings}, and is given {dtype_name(first)}."
    if not first.is_floating_point() and type(layer).__module__.startswith("torch."):
        return f"reads floating point numbers, and is given {dtype_name(first)}: embed or one-hot a category first."
    return _axes(layer, first) or _sizes(layer, given) or _rows(layer, first) or _type(layer, first)


def _axes(layer: nn.Module, given: Tensor) -> str:
    for kind, number, axes in _AXES:
        if isinstance(layer, kind) and given.ndim != number:
            return f"reads {axes}, and is given {given.ndim} axes."
    return ""


def _sizes(layer: nn.Module, given: dict[str, Tensor]) -> str:
    for size in _SIZES:
        value = given.get(size.input)
        if isinstance(layer, size.kind) and value is not None and value.ndim > 1:
            wanted, found = size.of(layer), value.shape[size.axis]
            if wanted != found and not (isinstance(layer, nn.PReLU) and wanted == 1):
                place = f"the {'last' if size.axis == -1 else 'second'} axis"
                place += f" of its {size.input}" if size.input in _SECOND else ""
                return f"has {size.name}={wanted}, and is given {found} along {place}: make them equal."
    return ""


def _rows(layer: nn.Module, given: Tensor) -> str:
    if not isinstance(layer, (nn.LayerNorm, nn.RMSNorm)):
        return ""
    wanted = [*layer.normalized_shape]
    if [*given.shape[-len(wanted) :]] == wanted:
        return ""
    return f"has normalized_shape={wanted}, and is given rows of {[*given.shape[1:]]}."


def _type(layer: nn.Module, given: Tensor) -> str:
    own = next((dtype_name(parameter) for parameter in layer.parameters()), None)
    if own is None or own == dtype_name(given):
        return ""
    return f"has weights of {own}, and is given {dtype_name(given)}: the model and what it reads must be of one type."
