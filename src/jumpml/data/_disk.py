"""Decoded values in files that the system maps into memory as they are read, for tables larger than memory."""

from __future__ import annotations

import mmap
import os
import tempfile
from dataclasses import replace
from itertools import islice, pairwise
from math import prod
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np
import torch

from jumpml.core import DataError
from jumpml.data._cache import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from torch import Tensor

    from jumpml.data.kinds import Column


PIECE_BYTES = 1 << 26  # of a file, that are in memory at a time
BLOCK_ROWS = 1 << 16  # of small rows, likewise: what is computed of them needs room too
_MAPS: WeakValueDictionary[int, mmap.mmap] = WeakValueDictionary()  # by the address of their first byte


def empty_on_disk(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A tensor of zeros whose values lie in a file of the cache folder; the file has no name and goes with the tensor.

    Args:
        shape: Its shape, without a 0.
        dtype: Its type.

    Raises:
        DataError: The disk has no room for it, or cannot be written.

    Example:
        >>> empty_on_disk([2, 3], torch.float32).sum().item()
        0.0
    """
    size = prod(shape) * dtype.itemsize
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):  # macOS and Windows lack it
                # Asked for now: a file with holes would kill the process where the disk turns out to be full.
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            mapped = mmap.mmap(file.fileno(), size)
    except OSError as error:
        raise no_room(size, error) from None
    values = torch.frombuffer(mapped, dtype=dtype).view(*shape)
    _MAPS[values.data_ptr()] = mapped
    return values


def no_room(size: int, error: OSError) -> DataError:
    """The complaint about a cache folder that cannot hold so many bytes."""
    return DataError(
        f"no room for {size / 1e6:.0f} MB of decoded values in {cache_folder()}: {error.strerror}. "
        "Name another folder in the environment variable JUMPML_CACHE."
    )


def lies_on_disk(values: Tensor) -> bool:
    """Whether values lie in a file that is mapped into memory."""
    return values.untyped_storage().data_ptr() in _MAPS


def gather(values: Tensor, rows: Tensor) -> Tensor:
    """Some rows of values that lie on disk, in the order asked for.

    They are read in the order in which they lie, and what has been read is let go, so that never much more than a piece
    of the file is in memory: rows at random would bring in a page each, and soon the whole file.

    Args:
        values: ``[all rows, ...]`` of `empty_on_disk`.
        rows: int64 ``[n]``.
    """
    ordered, places = rows.sort()
    gathered = torch.empty(len(rows), *values.shape[1:], dtype=values.dtype)
    step = max(1, PIECE_BYTES // max(1, values[:1].nbytes))
    ends = torch.searchsorted(ordered, torch.arange(0, len(values) + step, step)).tolist()
    for start, end in pairwise(ends):
        if start < end:
            gathered[places[start:end]] = values.index_select(0, ordered[start:end])
            let_go(values)
    return gathered


def in_blocks(values: Tensor, rows: Tensor | None = None) -> Iterator[Tensor]:
    """Values in order, some rows at a time; of those on disk what has been looked at is let go.

    Args:
        values: ``[all rows, ...]``.
        rows: int64, the rows that are asked for; all where None, and then a block is no copy.

    Yields:
        ``[block, ...]``, at least one block, which is empty where there is no row.
    """
    size = max(1, min(BLOCK_ROWS, PIECE_BYTES // max(1, values[:1].nbytes)))
    if rows is not None:
        take = gather if lies_on_disk(values) else torch.Tensor.__getitem__
        yield from (take(values, part) for part in rows.split(size))
        return
    for block in values.split(size):
        yield block
        let_go(values)


def overlaps(values: Tensor) -> bool:
    """Whether rows share their memory with others, as windows do."""
    return values.untyped_storage().nbytes() < values.nbytes


def let_go(values: Tensor) -> None:
    """Take the pages of values on disk out of memory; they come back as they are looked at."""
    mapped = _MAPS.get(values.untyped_storage().data_ptr())
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):  # Windows lacks it
        mapped.madvise(mmap.MADV_DONTNEED)


def on_disk(blocks: Iterable[Mapping[str, Column]], count: int) -> dict[str, Column]:
    """Columns whose values lie on disk, from blocks of their rows.

    Args:
        blocks: Of ``count`` rows together; they are alike but for their values.
        count: All rows.

    Raises:
        DataError: The disk has no room for them.
    """
    values: dict[str, Tensor] = {}
    joined: dict[str, Column] = {}
    start = end = 0
    for block in blocks:
        for name, column in block.items():
            if name not in values:
                values[name] = empty_on_disk([count, *column.values.shape[1:]], column.values.dtype)
            end = start + len(column)
            values[name][start:end] = column.values
            let_go(values[name])
            notes = joined[name].notes if name in joined else ()
            joined[name] = replace(column, notes=notes or column.notes)  # the first block's will do for an example
        start = end
    return {name: replace(joined[name], values=stored) for name, stored in values.items()}


def rows_of_codes(rows: Iterable[Sequence[int]], count: int, width: int, *, fill: int, on_disk: bool) -> Tensor:
    """Codes as int64 ``[count, width]``, on disk or in memory.

    Args:
        rows: ``count`` rows of at most ``width`` codes.
        count: How many rows.
        width: How many codes they have.
        fill: What stands behind a row's codes.
        on_disk: Where they are to lie.

    Raises:
        DataError: The disk has no room for them.
    """
    values = empty_on_disk([count, width], torch.int64) if on_disk else torch.empty(count, width, dtype=torch.int64)
    coming, size = iter(rows), max(1, min(BLOCK_ROWS, PIECE_BYTES // (8 * width)))
    for block in values.split(size):
        filled = np.full(block.shape, fill)
        for place, codes in enumerate(islice(coming, len(block))):
            filled[place, : len(codes)] = codes
        block.copy_(torch.from_numpy(filled))
        let_go(values)
    return values


def column_on_disk(column: Column) -> Column:
    """The same column with its values on disk; windows that overlap stay where they are, which takes less room."""
    if overlaps(column.values) or lies_on_disk(column.values):
        return column
    return on_disk([{"": column}], len(column))[""]
