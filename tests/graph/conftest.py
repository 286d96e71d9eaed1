"""What the graph's tests share: a tiny objective, and a builder of small models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from jumpml.core import FieldInfo, Loss, ValueInfo
from jumpml.graph import Model, Node

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Sum(nn.Module):
    """An objective that adds its inputs up, row by row, and notes how it was connected and called."""

    per_example = True
    draws, differentiates = 2, ()
    schedule = None

    def __init__(
        self,
        *inputs: str,
        views: tuple[str, ...] = (),
        parameters_of: tuple[str, ...] = (),
        when: tuple[str, ...] = ("supervised",),
    ) -> None:
        super().__init__()
        self.inputs, self.views, self.parameters_of, self.when = inputs, views, parameters_of, when
        self.weight = 1.0
        self.connected: Sequence[ValueInfo | None] = ()
        self.held: Mapping[str, nn.Parameter] = {}
        self.calls: list[tuple[Tensor, ...]] = []

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        self.connected, self.held = values, parameters
        self.scale = nn.Parameter(torch.rand(()))  # drawn, so that seeds show

    def forward(self, *inputs: Tensor, present: Tensor | None = None) -> Loss:
        self.calls.append(tuple(value.detach() for value in inputs))
        rows = [value.flatten(1).sum(1) if value.ndim > 1 else value.float() for value in inputs]
        return Loss(torch.stack(rows).sum(0) if rows else self.scale, present)


@pytest.fixture
def sum_of() -> Callable[..., Any]:
    """The tiny objective's class."""
    return Sum


@pytest.fixture
def make() -> Callable[..., Model]:
    """A model that reads ``x``, four numbers a row, unless ``inputs`` says otherwise."""

    def build(nodes: Mapping[str, tuple[nn.Module, Any]], **rest: Any) -> Model:
        inputs = rest.pop("inputs", {"x": ValueInfo(shape=(4,))})
        return Model(inputs=inputs, nodes={name: Node(*node) for name, node in nodes.items()}, **rest)

    return build


@pytest.fixture
def category() -> Callable[..., FieldInfo]:
    """A category field with so many classes."""

    def build(name: str, classes: int, missing: int = 0) -> FieldInfo:
        names = tuple(f"class {code}" for code in range(classes))
        return FieldInfo(
            name=name, kind="category", value=ValueInfo(shape=(), dtype="int64"), classes=names, missing=missing
        )

    return build


@pytest.fixture
def number() -> FieldInfo:
    """The field ``years``: a number a row."""
    return FieldInfo(name="years", kind="number", value=ValueInfo(shape=(1,)))
