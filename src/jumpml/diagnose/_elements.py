"""How an input falls into the elements that an attribution ranks and a picture shows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from jumpml.core import field_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from jumpml.data import DataLoaders
    from jumpml.graph import Model

Grid = tuple[tuple[float, ...], ...]
WIDEST = 128  # cells a side of a picture; more would swell the record and not be seen


@dataclass(frozen=True, kw_only=True)
class Elements:
    """The elements of one input.

    A pixel is one element, whatever its channels, and so is a category, whatever the length of its one-hot vector: half
    of a colour or of a class means nothing. All else is one element a number.

    Attributes:
        field: The input's name.
        kind: The field's kind; ``tensor`` where features made a picture into something else.
        shape: One row's shape, as the model reads it.
    """

    field: str
    kind: str
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return math.prod(self.grid_shape)

    @property
    def grid_shape(self) -> tuple[int, int]:
        """Rows and columns of their picture."""
        if self.kind == "category":
            return 1, 1
        shape = self.shape[1:] if self.kind == "image" else self.shape
        return math.prod(shape[:-1]), math.prod(shape[-1:])

    def sum(self, values: Tensor) -> Tensor:
        """What the numbers of each element sum to, ``[n, *shape]`` to ``[n, count]``."""
        parts = values.flatten(2) if self.kind == "image" else values.reshape(len(values), -1, self.count)
        return parts.sum(1)

    def spread(self, mask: Tensor) -> Tensor:
        """A mask of elements ``[n, count]`` as one that broadcasts with ``[n, *shape]``."""
        if self.kind == "category":
            return mask
        shape = (1, *self.shape[1:]) if self.kind == "image" else self.shape
        return mask.reshape(len(mask), *shape)

    def grid(self, values: Tensor) -> Grid:
        """The picture of one row's elements ``[count]``."""
        return to_grid(values.reshape(self.grid_shape))


def elements_of(loaders: DataLoaders, model: Model, fields: Iterable[str]) -> list[Elements]:
    """The elements of each field as the model reads it; a text's mask has none of its own."""
    return [
        Elements(field=name, kind=_kind(loaders.fields[name].kind, shape), shape=shape)
        for name in fields
        if name == field_of(name)
        for shape in [model.inputs[name].shape]
    ]


def _kind(kind: str, shape: tuple[int, ...]) -> str:
    return "tensor" if kind == "image" and len(shape) != 3 else kind


def to_grid(values: Tensor) -> Grid:
    """Numbers ``[rows, columns]`` as nested tuples with four digits, averaged down where there are too many to see."""
    rows, columns = (min(side, WIDEST) for side in values.shape)
    if (rows, columns) != values.shape:
        values = F.adaptive_avg_pool2d(values[None], (rows, columns))[0]
    return tuple(tuple(float(f"{value:.4g}") for value in row) for row in values.tolist())


def value_grid(kind: str, value: Tensor) -> Grid:
    """The picture of one row's value: an image's mean over channels, one cell of a number or a category."""
    if kind == "image":
        return to_grid(value.mean(0))
    return to_grid(value.to(torch.float32).reshape(math.prod(value.shape[:-1]), -1))
