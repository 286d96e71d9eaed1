"""The decoded fields of all rows, which the loaders of the splits share."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, final

import torch

from jumpml.core import field_of
from jumpml.data._disk import gather, lies_on_disk, overlaps
from jumpml.data._files import FileColumn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from jumpml.core import FieldInfo
    from jumpml.data.kinds._column import Column

BLOCK_ROWS, BLOCK_BYTES = 1 << 14, 1 << 26  # at most so much is looked at together


@final
class Table:
    """Columns by field: tensors, and files that are decoded anew each time.

    Args:
        columns: All with the same number of rows.
        fields: What they are.
        covered: By field that some data sets do not have, bool ``[rows]``: the rows of those that do.

    Attributes:
        values: By field, the tensors among them, on the table's device; those that lie on disk stay there.
        windows: Those of them whose rows overlap in memory, which a copy would make many times as large.
        present: By field with missing values in the rows that are served, which rows have one.
        files: By field, the others.
        covered: As given.
        derived: What nodes read that is made of a field: ``message.mask``, ``age.present``.
        asked: What objectives read of that which views tell: ``image.hidden``.
        device: Where the tensors are.
    """

    def __init__(
        self,
        columns: Mapping[str, Column | FileColumn],
        fields: Mapping[str, FieldInfo],
        covered: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.covered = dict(covered or {})
        self.values: dict[str, Tensor] = {}
        self.present: dict[str, Tensor] = {}
        self.files: dict[str, FileColumn] = {}
        for name, column in columns.items():
            if isinstance(column, FileColumn):
                self.files[name] = column
            else:
                self.values[name] = column.values
            present = column.present() if fields[name].missing else None
            if present is not None:
                self.present[name] = present
        self.windows = frozenset(name for name, values in self.values.items() if overlaps(values))
        self._fields = tuple(columns)
        self.derived: tuple[str, ...] = ()
        self.asked: tuple[str, ...] = ()
        self.device = torch.device("cpu")

    @property
    def names(self) -> tuple[str, ...]:
        """What batches can hold: all fields in their order, then what is made of some."""
        return (*self._fields, *self.derived)

    def take(self, name: str, rows: Tensor) -> Tensor:
        """Some rows of a field, ``[len(rows), ...]``, or of the one behind a mask; files are read here and now."""
        field = field_of(name)
        if field in self.files:
            return self.files[field].take(rows).to(self.device)
        return self.gather(self.values[field], rows)

    def gather(self, values: Tensor, rows: Tensor) -> Tensor:
        """Some rows of values of the table, on its device."""
        if lies_on_disk(values):
            return gather(values, rows.cpu()).to(self.device)
        return values.index_select(0, rows.to(values.device))

    def blocks(self, field: str, rows: Tensor) -> Iterator[Tensor]:
        """The same, some rows at a time."""
        shape = self.files[field].shape if field in self.files else self.values[field].shape[1:]
        size = max(1, min(BLOCK_ROWS, BLOCK_BYTES // (8 * max(1, prod(shape)))))  # a value has at most 8 bytes
        return (self.take(field, part) for part in rows.split(size))

    def to(self, device: torch.device | str) -> None:
        """Hold the tensors on another device; of those on disk what is taken goes there."""
        self.device = torch.device(device)
        self.values = {
            name: values if lies_on_disk(values) else _moved(values, self.device)
            for name, values in self.values.items()
        }
        self.present = {name: mask.to(device) for name, mask in self.present.items()}
        self.covered = {name: mask.to(device) for name, mask in self.covered.items()}


def _moved(values: Tensor, device: torch.device) -> Tensor:
    """The same values on another device; windows stay windows, where a plain copy would write each of them out."""
    if not overlaps(values):
        return values.to(device)
    held = values.as_strided((values.untyped_storage().nbytes() // values.element_size(),), (1,), 0)
    return held.to(device).as_strided(values.shape, values.stride(), values.storage_offset())
