"""A state as it was at one moment: its tensors copied into one piece of memory, in the bytes of safetensors files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from jumpml.core import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor

_TENSOR = "$tensor"
_BLOCK = 1 << 22  # bytes handed over at once
_DTYPES = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.uint16: "U16",
    torch.int32: "I32",
    torch.uint32: "U32",
    torch.int64: "I64",
    torch.uint64: "U64",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.float64: "F64",
    torch.complex64: "C64",
}


@dataclass(frozen=True)
class Packed:
    """The content of one safetensors file.

    The bytes are made here and not by `safetensors.torch.save_file`: that one copies each tensor again, and holds the
    interpreter while it writes, which would stop the steps meanwhile.

    Attributes:
        header: What names the tensors.
        body: uint8 ``[bytes]``: the tensors.
    """

    header: bytes
    body: Tensor

    def blocks(self) -> Iterator[bytes | memoryview]:
        """The file's bytes, a few at a time."""
        yield self.header
        body = self.body.numpy().data
        for start in range(0, len(body), _BLOCK):
            yield body[start : start + _BLOCK]


@dataclass(frozen=True)
class Snapshot:
    """What one checkpoint holds; training may go on while it is written.

    Attributes:
        memory: uint8: what all tensors were copied into; may be used again when the snapshot is done with.
        tensors: By file name.
        tree: All that is no tensor, as JSON has it, with the tensors' names in their places.
    """

    memory: Tensor
    tensors: Mapping[str, Packed]
    tree: Any

    @classmethod
    def take(cls, state: Mapping[str, Any], memory: Callable[[int], Tensor] | None = None) -> Snapshot:
        """Copy a state.

        Args:
            state: Nested dicts and lists of tensors and plain values; ``state["model"]`` maps names to tensors.
            memory: Gives uint8 memory of at least so many bytes; new memory where None.

        Raises:
            CheckpointError: A tensor is of a type that safetensors files cannot hold.
        """
        rest: dict[str, Tensor] = {}
        tree = _flatten({key: value for key, value in state.items() if key != "model"}, "", rest)
        plans = {"model.safetensors": _plan(state["model"]), "state.safetensors": _plan(rest)}
        starts, size = {}, 0
        for name, plan in plans.items():
            starts[name] = size
            size += -(-plan.size // 16) * 16  # each file's tensors begin where any type may
        space = new_memory(size) if memory is None else memory(size)
        tensors = {}
        for name, plan in plans.items():
            body = space[starts[name] : starts[name] + plan.size]
            plan.copy_into(body)
            tensors[name] = Packed(plan.header, body)
        return cls(space, tensors, tree)

    def state(self) -> dict[str, Any]:
        """The state again, in memory of its own."""
        model, rest = (_unpacked(self.tensors[name]) for name in ("model.safetensors", "state.safetensors"))
        return {**restored(self.tree, rest), "model": model}


def new_memory(size: int) -> Tensor:
    """Memory of so many bytes, uint8 ``[size]``."""
    return torch.empty(size, dtype=torch.uint8)


def restored(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    """A state of its tree and its tensors."""
    if isinstance(tree, list):
        return [restored(item, tensors) for item in tree]
    if isinstance(tree, dict):
        if _TENSOR in tree:
            return tensors[tree[_TENSOR]]
        return {key: restored(item, tensors) for key, item in tree["$dict"]}
    return tree


@dataclass(frozen=True)
class _Plan:
    """Where each tensor goes in a file."""

    header: bytes
    places: list[tuple[Tensor, int, int]]
    size: int

    def copy_into(self, body: Tensor) -> None:
        for tensor, start, stop in self.places:
            body[start:stop].view(tensor.dtype).view(tensor.shape).copy_(tensor)


def _plan(tensors: Mapping[str, Tensor]) -> _Plan:
    # the widest first, so that each begins at a multiple of its width; tied weights are written once a name
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    entries, places, start = {}, [], 0
    for name in names:
        tensor = tensors[name].detach()
        if tensor.dtype not in _DTYPES or tensor.layout != torch.strided:
            kind = f"{tensor.dtype}" if tensor.layout == torch.strided else f"{tensor.layout}"
            raise CheckpointError(f"{name!r} cannot be saved: a safetensors file holds no tensor of {kind}.")
        stop = start + tensor.numel() * tensor.element_size()
        entries[name] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, stop]}
        if stop > start:
            places.append((tensor, start, stop))
        start = stop
    header = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)
    return _Plan(len(header).to_bytes(8, "little") + header, places, start)


def _unpacked(packed: Packed) -> dict[str, Tensor]:
    types = {name: dtype for dtype, name in _DTYPES.items()}
    tensors = {}
    for name, entry in json.loads(packed.header[8:]).items():
        start, stop = entry["data_offsets"]
        tensors[name] = packed.body[start:stop].clone().view(types[entry["dtype"]]).view(entry["shape"])
    return tensors


def _flatten(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        tensors[name] = value
        return {_TENSOR: name}
    if isinstance(value, dict):
        # a list of pairs keeps the types of keys: an optimizer's state is keyed by whole numbers
        return {"$dict": [[key, _flatten(item, f"{name}/{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_flatten(item, f"{name}/{index}", tensors) for index, item in enumerate(value)]
    return value
