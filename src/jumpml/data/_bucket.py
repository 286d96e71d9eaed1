"""Texts of similar length in one batch, and how far a batch is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import torch

from jumpml.core import DataError, derive_seed, did_you_mean
from jumpml.data._around import Around
from jumpml.data._order import Epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from jumpml.core import FieldInfo
    from jumpml.data._order import Order
    from jumpml.data._table import Table

STRETCH = 50  # batches whose rows are sorted by length together: more save little, and leave less to chance
MULTIPLE = 8  # what lengths are rounded up to: fewer different shapes, which devices like


@final
class Bucketed(Around):
    """The rows of another order, in batches of similar length.

    What the other order serves is taken in stretches of 50 batches, each sorted by length and cut into batches; then
    the batches are shuffled. Rows of equal length stay in the other order's sequence, which should be a random one.

    Args:
        order: Which rows an epoch serves. Where it keeps some apart, batch by batch, that is lost.
        lengths: int64 ``[rows]``, by position in the split.

    Example:
        >>> from jumpml.data import Mixture, Shuffled
        >>> lengths = torch.tensor([1, 9, 1, 9, 1, 9])
        >>> order = Bucketed(Mixture({"texts": Shuffled(torch.arange(6))}), lengths)
        >>> positions, sizes = order.epoch(seed=0, epoch=0, batch_size=3)
        >>> sorted(lengths[batch].tolist() for batch in positions.split(sizes))
        [[1, 1, 1], [9, 9, 9]]
    """

    def __init__(self, order: Order, lengths: Tensor) -> None:
        super().__init__(order)
        self._lengths = lengths

    def around(self, order: Order) -> Bucketed:
        """The rows of another order, in batches of similar length."""
        return Bucketed(order, self._lengths)

    def epoch(self, seed: int, epoch: int, batch_size: int) -> Epoch:
        """The other order's rows and sizes of batches, rearranged."""
        positions, sizes = self._order.epoch(seed, epoch, batch_size)
        stretch = torch.arange(len(positions)) // (STRETCH * batch_size)
        by_length = self._lengths[positions].argsort(stable=True)
        sorted_within = by_length[stretch[by_length].argsort(stable=True)]
        batches = positions[sorted_within].split(sizes)
        generator = torch.Generator().manual_seed(derive_seed(seed, "bucket", epoch))
        chosen = torch.randperm(len(batches), generator=generator).tolist()
        return Epoch(torch.cat([batches[index] for index in chosen]), tuple(sizes[index] for index in chosen))

    def rearranged(self, way: Callable[[Order, bool], Order]) -> Bucketed:
        """What is made of the other order, in batches of similar length."""
        return self.around(self._order.rearranged(lambda order, _: way(order, True)))


@final
class Cut:
    """How far a text is cut in a batch: to the longest of its rows, rounded up to a multiple of 8.

    Lengths are known to the host, so that no batch waits for the device.

    Args:
        field: The text's name.
        fields: What each field is.
        table: Holds the tokens.

    Attributes:
        field: The text's name.
        fields: The text and the labels of its tokens, which are cut together.
        lengths: int64 ``[rows]`` of all rows, on the CPU: tokens up to the last that is no padding.
        shortest: What no batch is shorter than.

    Raises:
        DataError: There is no such field, or it is no text.
    """

    def __init__(self, field: str, fields: Mapping[str, FieldInfo], table: Table) -> None:
        if field not in fields:
            raise DataError(f"bucket: there is no field {field!r}. {did_you_mean(field, fields)}")
        if fields[field].kind != "text":
            raise DataError(f"bucket: expected a text field, got {field!r}, a {fields[field].kind}.")
        self.field, (self._whole,) = field, fields[field].value.shape
        labels = (name for name, info in fields.items() if info.options.get("text") == field)
        self.fields = frozenset([field, *labels])
        padding, places = padding_of(fields[field]), torch.arange(1, self._whole + 1)
        rows = torch.arange(len(table.values[field]))
        blocks = ((block.cpu() != padding) * places for block in table.blocks(field, rows))
        self.lengths = torch.cat([block.amax(dim=1) for block in blocks])
        self.shortest = self._rounded(int(self.lengths.amin()))

    def width(self, rows: Tensor) -> int:
        """The length of a batch of these rows, int64 ``[batch]``."""
        return self._rounded(int(self.lengths[rows].amax()))

    def _rounded(self, length: int) -> int:
        return min(self._whole, -(-max(length, 1) // MULTIPLE) * MULTIPLE)


def padding_of(info: FieldInfo) -> int:
    """The id behind a text's end."""
    told: Any = info.options.get("tokenizer", {})
    return told.get("padding", 0)
