"""Codes as vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parameter import UninitializedParameter

from jumpml.graph.blocks._sizes import check_sizes

if TYPE_CHECKING:
    from jumpml.core import ValueInfo


@final
class Embedding(nn.Module):
    """A vector for each token of a text, or for each class of a category; read backwards, logits from vectors.

    How many codes there are is taken from the graph: a text's vocabulary, or what the features ``index`` and ``hash``
    give. Numbers of the embedding's width are turned into logits by the same table, so that a language model that uses
    one such module at both ends has tied weights (Press & Wolf 2017, https://aclanthology.org/E17-2025/).

    Shapes: int64 ``[batch, *any]`` to ``[batch, *any, width]``, and ``[batch, *any, width]`` to ``[batch, *any,
    num_codes]``. Initialisation: normal with deviation ``width ** -0.5``, so that logits of normalized vectors have a
    variance of 1.

    Args:
        width: Of the vectors.
        num_codes: How many codes there are; known from the data where None.

    Raises:
        ValueError: ``width`` or ``num_codes`` is no whole number of 1 or more; or, when the graph is built, the values
            hold more codes than ``num_codes``; or, when it is called, nobody has said how many there are.

    Example:
        >>> words = Embedding(8, num_codes=100)
        >>> words(torch.tensor([[5, 7, 0]])).shape, words(torch.zeros(1, 3, 8)).shape
        (torch.Size([1, 3, 8]), torch.Size([1, 3, 100]))
    """

    def __init__(self, width: int, num_codes: int | None = None) -> None:
        super().__init__()
        check_sizes(width=width)
        if num_codes is not None:
            check_sizes(num_codes=num_codes)
        self.width, self.num_codes = width, num_codes
        self.weight = UninitializedParameter()
        if num_codes is not None:
            self._make(num_codes)

    def connect(self, values: ValueInfo) -> None:
        """Make the table for a field's codes."""
        if values.dtype != "int64" or values.classes is None:
            return
        if self.num_codes is None:
            self._make(values.classes)
        elif values.classes > self.num_codes:
            raise ValueError(f"They hold {values.classes} codes, and num_codes is {self.num_codes}.")

    def forward(self, values: Tensor) -> Tensor:
        """Vectors of codes, or logits of vectors."""
        if self.num_codes is None:
            raise ValueError(
                "Embedding does not know how many codes there are. Give num_codes; or give the data, and let it read a "
                "text, or a category with the feature index or hash."
            )
        if values.is_floating_point():
            return F.linear(values, self.weight)
        return F.embedding(values, self.weight)

    def extra_repr(self) -> str:
        """What `print` shows between the brackets."""
        return f"{self.width}, num_codes={self.num_codes}"

    def resized(self) -> None:
        """Note the sizes of a table that has grown."""
        self.num_codes, self.width = self.weight.shape

    def _make(self, num_codes: int) -> None:
        self.num_codes = num_codes
        self.weight = nn.Parameter(torch.randn(num_codes, self.width) * self.width**-0.5)
