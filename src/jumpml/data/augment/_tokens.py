"""Texts as token ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, final

import torch

from jumpml.data.augment._augmentation import Augmentation, only_for, uniform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Generator, Tensor

    from jumpml.core import FieldInfo


class _Tokens(Augmentation):
    """A change that knows which ids are padding, what is unknown, and what stands around every text."""

    _name: str

    def __init__(self, probability: float, *, padding: int = 0, unknown: int = 1, around: Sequence[int] = ()) -> None:
        self.probability = probability
        self.padding, self.unknown, self.around = padding, unknown, tuple(around)

    def suited(self, field: FieldInfo) -> Self:
        told: Any = field.options.get("tokenizer", {})
        ids = {key: told[key] for key in ("padding", "unknown") if key in told}
        return type(self)(self.probability, **ids, around=(*told.get("start", ()), *told.get("end", ())))

    def problem(self, field: FieldInfo) -> str:
        return "" if field.kind == "text" else only_for(self._name, "texts", field)

    def _around(self, values: Tensor) -> Tensor:
        """Which tokens stand around a text, bool ``[batch, length]``."""
        found = torch.zeros_like(values, dtype=torch.bool)
        for token in self.around:
            found |= values == token
        return found


@final
class MaskTokens(_Tokens):
    """Make tokens unknown: the word dropout of Bowman et al. 2016 (https://arxiv.org/abs/1511.06349).

    Args:
        probability: The share of tokens that are masked.
        padding: The id behind a text's end.
        unknown: The id of what is unknown.
        around: The ids of tokens that stand around every text; they stay. In a file all three are the tokenizer's own.

    Example:
        >>> MaskTokens(1.0)(torch.tensor([[7, 8, 0]]), torch.Generator().manual_seed(0))
        tensor([[1, 1, 0]])
    """

    _name = "mask_tokens"

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Change int64 ``[batch, length]``."""
        chosen = uniform(tuple(values.shape), generator, values) < self.probability
        return values.masked_fill(chosen & (values != self.padding) & ~self._around(values), self.unknown)


@final
class DropTokens(_Tokens):
    """Leave tokens out; the others close up. One is always kept (Wei and Zou 2019, https://arxiv.org/abs/1901.11196).

    Args:
        probability: The share of tokens that are left out.
        padding: The id behind a text's end.
        unknown: The id of what is unknown.
        around: The ids of tokens that stand around every text; they stay. In a file all three are the tokenizer's own.

    Example:
        >>> DropTokens(0.5)(torch.tensor([[7, 8, 9, 0]]), torch.Generator().manual_seed(0))
        tensor([[8, 0, 0, 0]])
    """

    _name = "drop_tokens"

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Change int64 ``[batch, length]``."""
        padding, around = values == self.padding, self._around(values)
        drawn = uniform(tuple(values.shape), generator, values).masked_fill(padding | around, -1.0)
        kept = (drawn >= self.probability).scatter(1, drawn.argmax(1, keepdim=True), True)
        kept = (kept | around) & ~padding
        order = (~kept).to(values.dtype).argsort(dim=1, stable=True)
        return values.masked_fill(~kept, self.padding).gather(1, order)
