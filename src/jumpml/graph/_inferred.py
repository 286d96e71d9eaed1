"""What is known of every value once shapes have flowed through the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor

from jumpml.core import ValueInfo, did_you_mean

if TYPE_CHECKING:
    from jumpml.graph._names import Names

ROWS = 2  # batch normalization needs two rows; and an output that has not two rows has lost the batch
MORE_ROWS = 3  # an odd number passes next: a node that holds two rows, or pairs of rows, fixed is found before training


@dataclass(frozen=True)
class Output:
    """What a node gave.

    Attributes:
        module: The node's class.
        parts: Of a tuple or dict, what each element is; of a tensor, nothing.
    """

    module: str
    parts: Mapping[str, str]


@dataclass(frozen=True)
class Inferred:
    """What a pass through the graph has shown.

    Attributes:
        values: Shape and type by input, node and ``node.part``. What is no tensor with the batch first is left out.
        names: What references stand for.
        rows: How many rows have passed.
        keys: By ``node.part``, the index or key that picks it.
        outputs: By node, what it gave.
        inner: By reference to an inner module that stands for no value, why not.
        need_two_rows: The nodes that fail in training on a batch of a single row.
        brought: By ``node.loss``, the losses that nodes' modules bring.
    """

    values: dict[str, ValueInfo]
    names: Names
    rows: int = ROWS
    keys: dict[str, int | str] = field(default_factory=dict)
    outputs: dict[str, Output] = field(default_factory=dict)
    inner: dict[str, str] = field(default_factory=dict)
    need_two_rows: set[str] = field(default_factory=set)
    brought: dict[str, Any] = field(default_factory=dict)

    def why_not(self, reference: str) -> str:
        """Why a reference to a node stands for no value."""
        name, part = self.names.split(reference)
        output = self.outputs[name]
        node = f"node {name!r} ({output.module})"
        if reference in self.inner:
            return f"of {node}, {self.inner[reference]}"
        if part is None:
            picks = [value for value in self.values if self.names.split(value)[0] == name]
            return f"{node} gives {len(output.parts)} values. Pick one: {', '.join(picks)}."
        if not output.parts:
            return f"{node} gives one tensor, {self.values[name]}. Read {name!r}."
        if part not in output.parts:
            return f"{node} has no part {part!r}. {did_you_mean(part, output.parts)}".rstrip()
        return f"that part of {node} is {output.parts[part]}. A value is one tensor with the batch as its first axis."


def parts_of(output: Any) -> dict[str, tuple[int | str, Any]]:
    """The elements of a tuple or dict, each with the key that picks it; nothing for anything else."""
    if isinstance(output, Mapping):
        return {str(key): (key, value) for key, value in output.items()}
    if isinstance(output, (tuple, list)):
        return {str(index): (index, value) for index, value in enumerate(output)}
    return {}


def has_rows(value: Any, rows: int) -> bool:
    """Whether a result of a pass of so many rows is a tensor that kept the batch as its first axis."""
    return isinstance(value, Tensor) and value.ndim > 0 and value.shape[0] == rows


def info(tensor: Tensor) -> ValueInfo:
    """Shape and type of a value, without its rows."""
    return ValueInfo(shape=tuple(tensor.shape[1:]), dtype=dtype_name(tensor))


def dtype_name(tensor: Tensor) -> str:
    """``float32``, ``int64``."""
    return str(tensor.dtype).removeprefix("torch.")


def describe(value: Any) -> str:
    """A value in an error: its shape and type, or its structure."""
    if isinstance(value, Tensor):
        return f"{list(value.shape)} {dtype_name(value)}"
    if isinstance(value, Mapping):
        return f"a dict of {', '.join(map(str, value)) or 'nothing'}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return "nothing (None)" if value is None else f"a {type(value).__name__}"
