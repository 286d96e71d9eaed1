"""The decoded fields of all rows, which the loaders of the splits share."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from jumpml.data._files import FileColumn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from jumpml.data.kinds._column import Column

BLOCK_ROWS = 1 << 14


@final
class Table:
    """Columns by field: tensors, and files that are decoded anew each time.

    Args:
        columns: All with the same number of rows.

    Attributes:
        values: By field, the tensors among them, on the table's device.
        present: By field with missing values, which rows have one.
        files: By field, the others.
        names: All fields, in their order.
        device: Where the tensors are.
    """

    def __init__(self, columns: Mapping[str, Column | FileColumn]) -> None:
        self.values: dict[str, Tensor] = {}
        self.present: dict[str, Tensor] = {}
        self.files: dict[str, FileColumn] = {}
        for name, column in columns.items():
            if isinstance(column, FileColumn):
                self.files[name] = column
            else:
                self.values[name] = column.values
            present = column.present()
            if present is not None:
                self.present[name] = present
        self.names = tuple(columns)
        self.device = torch.device("cpu")

    def take(self, field: str, rows: Tensor) -> Tensor:
        """Some rows of a field, ``[len(rows), ...]``; files are read here and now."""
        if field in self.files:
            return self.files[field].take(rows).to(self.device)
        values = self.values[field]
        return values.index_select(0, rows.to(self.device))

    def blocks(self, field: str, rows: Tensor) -> Iterator[Tensor]:
        """The same, some rows at a time."""
        return (self.take(field, part) for part in rows.split(BLOCK_ROWS))

    def to(self, device: torch.device | str) -> None:
        """Hold the tensors on another device."""
        self.device = torch.device(device)
        self.values = {name: values.to(device) for name, values in self.values.items()}
        self.present = {name: mask.to(device) for name, mask in self.present.items()}
