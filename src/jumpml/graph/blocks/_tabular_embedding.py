"""The elements of tables and fields as vectors."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

from jumpml.graph.blocks._sizes import check_sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jumpml.core import ValueInfo


@final
class TabularEmbedding(nn.Module):
    """A vector for each element of a table: a number times a vector, a category's row of a table, plus a bias each.

    It is the feature tokenizer of Gorishniy et al. 2021 (https://arxiv.org/abs/2106.11959). Which elements are codes,
    and of how many classes, is taken from the graph: of a table with the feature ``encode: {categories: index}``, of a
    category with ``index`` or ``hash``. Every other element is a number. What is no code, as in a row that noise has
    made, counts as the nearest one.

    Shapes: any number of values, float32 ``[batch, elements]`` or int64 codes ``[batch]``, to ``[batch, all elements,
    width]``, numbers before categories. Initialisation: uniform from ``-width ** -0.5`` to ``width ** -0.5``.

    Args:
        width: Of the vectors.
        cardinalities: By element of all values in order, how many codes it may hold, 0 for a number; known from the
            data where None.

    Raises:
        ValueError: ``width`` is no whole number of 1 or more; or, when the graph is built, the number of codes of a
            category is not known or differs from ``cardinalities``; or, when it is called, nobody has said what the
            elements are.

    Example:
        >>> embedding = TabularEmbedding(8, cardinalities=[0, 0, 3])
        >>> embedding(torch.tensor([[0.5, -1.0, 2.0]])).shape
        torch.Size([1, 3, 8])
    """

    numbers: Tensor
    categories: Tensor
    starts: Tensor
    most: Tensor

    def __init__(self, width: int, cardinalities: Sequence[int] | None = None) -> None:
        super().__init__()
        check_sizes(width=width)
        self.width = width
        self.cardinalities: tuple[int, ...] | None = None
        if cardinalities is not None:
            self._make(tuple(cardinalities))

    def connect(self, *values: ValueInfo) -> None:
        """Make a vector for each element of the fields that the node reads."""
        found = tuple(size for value in values for size in _cardinalities(value))
        if self.cardinalities is None:
            self._make(found)
        elif self.cardinalities != found:
            raise ValueError(f"Their elements hold {list(found)} codes, and cardinalities is {self.cardinalities}.")

    def forward(self, *values: Tensor) -> Tensor:
        """The vectors, ``[batch, elements, width]``."""
        if self.cardinalities is None:
            raise ValueError(
                "TabularEmbedding does not know what the elements are. Give cardinalities, or give the data: a node "
                "learns it from the fields that it reads."
            )
        columns = [value if value.ndim > 1 else value.unsqueeze(1).to(torch.float32) for value in values]
        elements = torch.cat(columns, 1)
        found = []
        if self.weight is not None:
            found.append(elements.index_select(1, self.numbers).unsqueeze(2) * self.weight)
        if self.table is not None:
            # A number that is no code counts as the nearest one; it must not reach into the next category's rows.
            codes = elements.index_select(1, self.categories).round().long().clamp(min=0).minimum(self.most)
            found.append(nn.functional.embedding(codes + self.starts, self.table))
        return torch.cat(found, 1) + self.bias

    def extra_repr(self) -> str:
        """What `print` shows between the brackets."""
        return f"{self.width}, cardinalities={self.cardinalities}"

    def _make(self, cardinalities: tuple[int, ...]) -> None:
        categories = [place for place, size in enumerate(cardinalities) if size]
        numbers = [place for place, size in enumerate(cardinalities) if not size]
        sizes = [cardinalities[place] for place in categories]
        self.cardinalities = cardinalities
        for name, places in {
            "numbers": numbers,
            "categories": categories,
            "starts": list(accumulate(sizes, initial=0))[:-1],
            "most": [size - 1 for size in sizes],
        }.items():
            self.register_buffer(name, torch.tensor(places, dtype=torch.int64), persistent=False)
        self.weight = self._drawn(len(numbers)) if numbers else None
        self.table = self._drawn(sum(sizes)) if sizes else None
        self.bias = self._drawn(len(cardinalities))

    def _drawn(self, rows: int) -> nn.Parameter:
        return nn.Parameter(torch.empty(rows, self.width).uniform_(-(self.width**-0.5), self.width**-0.5))


def _cardinalities(value: ValueInfo) -> tuple[int, ...]:
    """What the elements of one value are.

    Raises:
        ValueError: They are neither numbers in a row nor known codes.
    """
    if value.shape == () and value.dtype == "int64" and value.classes is not None:
        return (value.classes,)
    if len(value.shape) == 1 and value.dtype == "float32":
        return value.cardinalities or (0,) * value.shape[0]
    raise ValueError(
        "Expected float32 [batch, elements], or codes int64 [batch] of a known number: a table, or a category with the "
        "feature index or hash."
    )
