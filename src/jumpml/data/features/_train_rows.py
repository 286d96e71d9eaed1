"""What a feature step may learn from: the train rows, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from jumpml.core import DataError, derive_seed, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from jumpml.core import FieldInfo
    from jumpml.data.features._feature import Feature

ROWS_AT_A_TIME = 4096  # float64 copies of a whole column of pictures could be several times the column
MOST_ELEMENTS = 1 << 24  # of a sample: it is sorted


@final
class TrainRows:
    """What comes into a step, of the train rows only; memory stays bounded by a block, however many rows there are.

    Args:
        values: ``[rows, ...]``, or a function that begins anew to yield such blocks in order.
        fields: What all fields are, by name.
        other: Gives another field's decoded values ``[rows, ...]`` by its name.
        count: How many rows there are; they are counted where that is not known.
        seed: What draws and folds come from.

    Example:
        >>> train = TrainRows(torch.arange(10_000.0).unsqueeze(1))
        >>> [len(block) for block in train.blocks()], len(train.sample(100))
        ([4096, 4096, 1808], 100)
    """

    def __init__(
        self,
        values: Tensor | Callable[[], Iterable[Tensor]],
        *,
        fields: Mapping[str, FieldInfo] | None = None,
        other: Callable[[str], Tensor] | None = None,
        count: int | None = None,
        seed: int = 0,
    ) -> None:
        self._values = values
        self._fields = fields or {}
        self._other = other
        self._count = len(values) if isinstance(values, Tensor) else count
        self._seed = seed
        self._steps: tuple[Feature, ...] = ()

    def blocks(self) -> Iterator[Tensor]:
        """The rows in order, ``[block, ...]`` at a time, again at every call."""
        start = 0
        whole = (self._values,) if isinstance(self._values, Tensor) else self._values()
        for values in whole:
            for block in values.split(ROWS_AT_A_TIME):
                rows = torch.arange(start, start + len(block), device=block.device)
                start += len(block)
                yield self._through(block, rows)

    def sample(self, rows: int = 100_000) -> Tensor:
        """All rows in order where there are no more than so many, else as many drawn ones; of big rows fewer."""
        if self._count is None:
            self._count = sum(len(block) for block in self.blocks())
        count = self._count
        rows = max(1, min(rows, MOST_ELEMENTS // max(1, next(self.blocks())[0].numel())))
        if count <= rows:
            return torch.cat(list(self.blocks()))
        generator = torch.Generator().manual_seed(derive_seed(self._seed, "sample"))
        chosen = torch.zeros(count, dtype=torch.bool)
        chosen[torch.randperm(count, generator=generator)[:rows]] = True
        parts, start = [], 0
        for block in self.blocks():
            parts.append(block[chosen[start : start + len(block)].to(block.device)])
            start += len(block)
        return torch.cat(parts)

    def info(self, field: str) -> FieldInfo:
        """What another field is.

        Raises:
            DataError: There is no such field.
        """
        if field not in self._fields:
            raise DataError(f"there is no field {field!r}. {did_you_mean(field, self._fields)}")
        return self._fields[field]

    def other(self, field: str) -> Tensor:
        """Another field's decoded values, ``[rows, ...]`` in the same order.

        Raises:
            DataError: There is no such field.
        """
        self.info(field)
        if self._other is None:
            raise DataError(f"these rows come without the other fields, and a step needs {field!r}.")
        return self._other(field)

    def after(self, step: Feature) -> TrainRows:
        """What comes out of a fitted step, for the step that follows it."""
        following = TrainRows(self._values, fields=self._fields, other=self._other, count=self._count, seed=self._seed)
        following._steps = (*self._steps, step)
        return following

    def _through(self, values: Tensor, rows: Tensor) -> Tensor:
        for step in self._steps:
            values = step.serve(values, rows, keep=True)
        return values
