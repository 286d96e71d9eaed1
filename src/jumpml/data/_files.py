"""Fields whose values stay in their files, and the worker processes that decode them batch by batch."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from jumpml.core import DataError, FieldInfo, ValueInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from jumpml.data.sources._blob import Blob


@final
@dataclass(frozen=True, kw_only=True)
class FileColumn:
    """A field that is decoded each time a row is served, as a `Column` of the same kind would have decoded it once.

    Attributes:
        blobs: Where each row's content lies; None where the row has none, which becomes NaN.
        decode: Content into a row, float32 ``shape``; it can be pickled, for it works in other processes.
        where: What to call the field in errors, such as ``data set 'digits', field 'image'``.
        kind: ``image`` or ``audio``.
        shape: One row's.
        range: The raw values that an image's 0 and 1 stand for, else None.
        options: As `Column.options`.
    """

    blobs: Sequence[Blob | None]
    decode: Callable[[Blob, NDArray[np.float32]], None]
    where: str
    kind: str
    shape: tuple[int, ...]
    range: tuple[float, float] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.blobs)

    def info(self, name: str, rows: Tensor | None = None, train: Tensor | None = None) -> FieldInfo:
        """As `Column.info`; what stays in files has no classes to count."""
        present = self.present()
        present = present if present is None or rows is None else present[rows]
        return FieldInfo(
            name=name,
            kind=self.kind,
            value=ValueInfo(shape=self.shape),
            range=self.range,
            missing=0 if present is None else int((~present).sum()),
            options=self.options,
        )

    def present(self) -> Tensor | None:
        """Which rows have content, bool ``[rows]``; None where all have."""
        present = torch.tensor([blob is not None for blob in self.blobs])
        return None if bool(present.all()) else present

    def take(self, rows: Tensor) -> Tensor:
        """Decode some rows, float32 ``[len(rows), *shape]``.

        Raises:
            DataError: A file is damaged or gone; the text names the row.
        """
        values = torch.empty(len(rows), *self.shape)
        if get_worker_info() is not None:
            values.share_memory_()  # where the other process finds it
        array = values.numpy()
        for place, row in enumerate(rows.tolist()):
            self._decode(row, array[place])
        return values

    def _decode(self, row: int, into: NDArray[np.float32]) -> None:
        blob = self.blobs[row]
        if blob is None:
            into.fill(np.nan)
            return
        try:
            self.decode(blob, into)
        except DataError as error:
            raise DataError(f"{self.where}, row {row}: {error}") from None


@final
class FileReader:
    """Decodes batches of file columns, in worker processes where there are some, and always in the order asked for.

    The workers hold no state: which rows a batch has is decided here, so that a run may go on at any batch and with
    another number of workers.

    Args:
        columns: By field.
        workers: Processes; they start with the first batch and stay. 0 decodes in this one.
    """

    def __init__(self, columns: Mapping[str, FileColumn], workers: int = 0) -> None:
        self._rows = _Batches()
        self._loader = DataLoader(
            _Files(columns),
            sampler=self._rows,
            batch_size=None,
            num_workers=workers,
            persistent_workers=workers > 0,
            worker_init_fn=_stand_apart,
            generator=torch.Generator(),  # it draws a number an epoch, and must not from the global one
        )

    def read(self, batches: Iterable[Tensor]) -> Iterator[dict[str, Tensor]]:
        """Decoded values by field, for one batch of rows after the other.

        Args:
            batches: int64 rows.

        Raises:
            DataError: A file is damaged or gone.
        """
        self._rows.batches = batches
        for batch in self._loader:
            if isinstance(batch, str):
                raise DataError(batch)
            yield batch


def _stand_apart(_: int) -> None:
    """Leave the group of processes: Ctrl-C in its terminal is the learner's to answer, which needs its batch still."""
    if hasattr(os, "setpgid"):  # Windows has no such groups
        os.setpgid(0, 0)


class _Batches:
    """What the loader asks for next; filled anew before each pass."""

    def __init__(self) -> None:
        self.batches: Iterable[Tensor] = ()

    def __iter__(self) -> Iterator[list[int]]:
        return (rows.tolist() for rows in self.batches)  # a tensor would cross to a worker by a file descriptor


class _Files(Dataset[Any]):
    def __init__(self, columns: Mapping[str, FileColumn]) -> None:
        self._columns = dict(columns)

    def __getitem__(self, rows: list[int]) -> dict[str, Tensor] | str:
        # An error that crosses a process loses its type and gains a traceback; a text does neither.
        try:
            return {name: column.take(torch.tensor(rows)) for name, column in self._columns.items()}
        except DataError as error:
            return str(error)
