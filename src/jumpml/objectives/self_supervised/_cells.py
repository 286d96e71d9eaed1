"""The cells of a table: what is told of each column, and how far from it an answer is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jumpml.core import Element
from jumpml.objectives.self_supervised._answers import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jumpml.core import ValueInfo


class Category(NamedTuple):
    """A column of classes.

    Attributes:
        column: Its place among the columns.
        elements: Those of the row that say the class: one for each class, or the one that is its index.
        outputs: Those of the last layer, one a class.
    """

    column: int
    elements: slice
    outputs: slice


@final
class Cells(Answer):
    """Every column of a table: its number by the squared error, its class by the cross-entropy.

    What only says that a number is missing is never asked for.

    Args:
        value: What is known of the row; an element of which nothing is known is a number. A column's classes stand
            side by side.
        apart: Whether the node gives a vector an element, of which each tells its own.

    Attributes:
        columns: How many there are.
        owners: By output of the last layer, the element that it tells of.
    """

    parts: Tensor
    says: Tensor
    classed: Tensor
    numbers: Tensor
    outputs: Tensor

    def __init__(self, value: ValueInfo, *, apart: bool) -> None:
        super().__init__()
        told = value.elements or tuple(Element(at, "number") for at in range(value.shape[0]))
        places: dict[int, dict[str, list[int]]] = {}
        for at, (column, role) in enumerate(told):
            places.setdefault(column, {}).setdefault(role, []).append(at)
        self.apart, self.columns, self.owners = apart, len(places), list[int]()
        self.categories: list[Category] = []
        parts, says = torch.zeros(2, len(told), len(places))
        classed, numbers, outputs = torch.full((len(places),), True), list[int](), list[int]()
        for column, roles in enumerate(places.values()):
            first = len(self.owners)
            parts[[at for found in roles.values() for at in found], column] = 1.0
            if "number" in roles:
                classed[column] = False
                numbers, outputs = numbers + roles["number"], [*outputs, first]
                says[roles.get("missing", []), column] = 1.0
                self.owners += roles["number"]
            else:
                found = roles.get("class") or roles["index"]
                says[found, column] = 1.0
                self.owners += found if "class" in roles else found * value.cardinalities[found[0]]
                category = Category(column, slice(found[0], found[-1] + 1), slice(first, len(self.owners)))
                self.categories.append(category)
        for name, constant in {
            "parts": parts,  # [elements, columns]: which elements tell of which column
            "says": says,  # which of them say whether it is there
            "classed": classed,  # whether it is a category, which is there where one of those is not 0
            "numbers": torch.tensor(numbers, dtype=torch.int64),
            "outputs": torch.tensor(outputs, dtype=torch.int64),
        }.items():
            self.register_buffer(name, constant, persistent=False)

    def last(self, width: int) -> nn.Module:
        """A number for each number, logits for the classes."""
        return OwnOutputs(width, self.owners) if self.apart else nn.Linear(width, len(self.owners))

    def losses(self, decoded: Tensor, whole: Tensor) -> Tensor:
        """Of ``[batch, 1, outputs]`` and ``[batch, elements]``, ``[batch, columns]``."""
        decoded = decoded.flatten(1)
        squares = decoded.index_select(1, self.outputs) - whole.index_select(1, self.numbers)
        rest, found = iter(squares.square().unbind(1)), dict[int, Tensor]()
        for column, elements, outputs in self.categories:
            target, logits = whole[:, elements], decoded[:, outputs]
            wanted = target.argmax(1) if target.shape[1] > 1 else target.squeeze(1).long()
            found[column] = F.cross_entropy(logits, wanted.clamp(0, logits.shape[1] - 1), reduction="none")
        return torch.stack([found[column] if column in found else next(rest) for column in range(self.columns)], 1)

    def hidden(self, hidden: Tensor, whole: Tensor) -> Tensor:
        """The columns, as far as the row has them."""
        return self.touched(hidden) & self.known(whole)

    def touched(self, elements: Tensor) -> Tensor:
        """Bool ``[batch, columns]``: the columns any of whose elements is true of ``[batch, elements]``."""
        return elements.to(self.parts.dtype) @ self.parts > 0

    def known(self, whole: Tensor) -> Tensor:
        """Bool ``[batch, columns]``: the columns that a row has, of ``[batch, elements]``."""
        said = (whole != 0).to(self.says.dtype) @ self.says > 0
        return said == self.classed


@final
class OwnOutputs(nn.Module):
    """Outputs each of which reads one position alone: ``[batch, positions, width]`` to ``[batch, outputs]``.

    Args:
        width: Of a position.
        owners: By output, the position that it reads.
    """

    owners: Tensor

    def __init__(self, width: int, owners: Sequence[int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(len(owners), width).uniform_(-(width**-0.5), width**-0.5))
        self.bias = nn.Parameter(torch.zeros(len(owners)))
        self.register_buffer("owners", torch.tensor(owners), persistent=False)

    def forward(self, positions: Tensor) -> Tensor:
        """The outputs."""
        return (positions.index_select(1, self.owners) * self.weight).sum(2) + self.bias
