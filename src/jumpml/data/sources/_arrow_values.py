"""Arrow's columns as NumPy arrays, and their types in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jumpml.core import DataError
from jumpml.data.sources._blob import BytesBlob, FileBlob, file_blob
from jumpml.data.sources._data_file import DataFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from jumpml.data.sources._blob import Blob

_EXACT = 2**53  # whole numbers up to here are exact as float64


def object_array(values: Iterable[Any], count: int) -> NDArray:
    """One object a row, whatever it is; NumPy itself would make a matrix of equally long lists."""
    return np.fromiter(values, dtype=object, count=count)


def columns_in(schema: pa.Schema, where: str) -> dict[str, pa.DataType]:
    """The columns that a table has for us: those of a struct by ``struct.column``, unless it is an encoded file.

    Raises:
        DataError: Two columns have the same name.
    """
    columns: dict[str, pa.DataType] = {}
    for field in schema:
        for name, kind in _leaves(field.name, field.type):
            if name in columns:
                raise DataError(f"{where}: the file names the column {name!r} more than once.")
            columns[name] = kind
    return columns


def fields_of(schema: pa.Schema, names: Iterable[str]) -> list[str]:
    """The table's own fields that hold some columns."""
    wanted = set(names)
    return [field.name for field in schema if any(name in wanted for name, _ in _leaves(field.name, field.type))]


def arrow_words(columns: Mapping[str, pa.DataType]) -> dict[str, str]:
    """Each column's type in words."""
    return {name: _words(kind) for name, kind in columns.items()}


def arrays_of(
    table: pa.Table, names: Iterable[str], place: Callable[[int], str], where: str, folder: Path | None = None
) -> dict[str, NDArray]:
    """Columns as arrays.

    Args:
        table: Some rows.
        names: Of the columns, as `columns_in` tells them.
        place: Names a row of the table for people.
        where: What holds the table.
        folder: Where the paths of encoded files start, which must lie in it; anywhere where None.

    Raises:
        DataError: A column's type has no array.
    """
    import pyarrow as pa

    while any(pa.types.is_struct(field.type) and not _is_file(field.type) for field in table.schema):
        table = _unnested(table)
    try:
        return {name: _array(table[name], place, folder) for name in names}
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise DataError(f"{where}: {error}") from None
    except DataError as error:
        raise DataError(f"{where}, {error}") from None
    except _NoArrayError as error:
        name = next(name for name in names if table[name].type == error.args[0])
        problem = f"the column {name!r} is of the type {error.args[0]}, which is no column of values"
        raise DataError(f"{where}: {problem}; write its parts as columns of their own.") from None


class _NoArrayError(Exception):
    """A type that cannot be shown as an array."""


def _leaves(name: str, kind: Any) -> list[tuple[str, Any]]:
    import pyarrow as pa

    if not pa.types.is_struct(kind) or _is_file(kind):
        return [(name, kind)]
    return [leaf for field in kind for leaf in _leaves(f"{name}.{field.name}", field.type)]


def _unnested(table: pa.Table) -> pa.Table:
    """Structs as columns, one level, and the structs that are files as they are."""
    import pyarrow as pa

    columns: dict[str, Any] = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        if pa.types.is_struct(field.type) and not _is_file(field.type):
            flat = pa.table({field.name: column}).flatten()
            columns |= dict(zip(flat.column_names, flat.columns, strict=True))
        else:
            columns[field.name] = column
    return pa.table(columns)


def _is_file(kind: Any) -> bool:
    """Whether this is how Hugging Face stores pictures and sounds: their bytes and their path."""
    import pyarrow as pa

    return pa.types.is_struct(kind) and {field.name for field in kind} == {"bytes", "path"}


def _is_bytes(kind: Any) -> bool:
    import pyarrow as pa

    kinds = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    return any(is_kind(kind) for is_kind in kinds)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_time)
    return any(is_kind(kind) for is_kind in kinds)


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _words(kind: Any) -> str:
    import pyarrow as pa

    is_a = pa.types
    if is_a.is_dictionary(kind):
        return _words(kind.value_type)
    if hasattr(kind, "storage_type"):
        shape = getattr(kind, "shape", None)
        return _words(kind.storage_type) if shape is None else f"{kind.value_type} {list(shape)}"
    if is_a.is_fixed_size_list(kind):
        inner = _words(kind.value_type)
        word, _, shape = inner.partition(" [")
        return f"{word} [{kind.list_size}{', ' + shape if shape else ']'}"
    if _is_list(kind):
        return f"lists of {_words(kind.value_type)}"
    if _is_bytes(kind) or _is_file(kind):
        return "bytes"
    if _is_text(kind):
        return "text"
    if is_a.is_temporal(kind):
        return "float64" if is_a.is_duration(kind) else "timestamp"
    plain = {"double": "float64", "float": "float32", "halffloat": "float16", "null": "nothing"}
    return "float64" if is_a.is_decimal(kind) else plain.get(str(kind), str(kind))


def _array(column: Any, place: Callable[[int], str], folder: Path | None) -> NDArray:
    import pyarrow as pa

    kind, is_a = column.type, pa.types
    if is_a.is_dictionary(kind):
        return _array(column.cast(kind.value_type), place, folder)
    if hasattr(kind, "storage_type"):
        return _extension(column, place, folder)
    if _is_text(kind):
        return shared_texts(column.cast(pa.string()))
    if _is_bytes(kind):
        return object_array(_blobs(column, None, place, folder), len(column))
    if _is_file(kind):
        parts = dict(zip((field.name for field in kind), column.flatten(), strict=True))
        return object_array(_blobs(parts["bytes"], parts["path"], place, folder), len(column))
    if _is_list(kind):
        return _lists(column)
    if is_a.is_temporal(kind):
        return _times(column)
    if is_a.is_decimal(kind):
        return column.cast(pa.float64()).to_numpy()
    if is_a.is_boolean(kind) or is_a.is_integer(kind):
        return _whole(column)
    if is_a.is_floating(kind):
        return column.to_numpy()
    if is_a.is_null(kind):
        return np.full(len(column), None, dtype=object)
    raise _NoArrayError(kind)


def shared_texts(column: Any) -> NDArray:
    """Texts, None where missing; equal texts are one object, which keeps a column of few words small."""
    parts = []
    for chunk in getattr(column, "chunks", [column]):
        encoded = chunk.dictionary_encode()
        words = np.array([*encoded.dictionary.to_pylist(), None], dtype=object)
        codes = encoded.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)
        parts.append(words[codes])
    return np.concatenate(parts) if parts else np.empty(0, dtype=object)


def _whole(column: Any) -> NDArray:
    """Booleans and whole numbers, which NumPy cannot hold together with what is missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not column.null_count:
        return column.to_numpy()
    if not pa.types.is_boolean(column.type):
        extremes = pc.call_function("min_max", [column]).as_py()
        if extremes["min"] is None or (extremes["min"] >= -_EXACT and extremes["max"] <= _EXACT):
            return column.cast(pa.float64()).to_numpy()
    return object_array(column.to_pylist(), len(column))


def _times(column: Any) -> NDArray:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_duration(kind):
        return column.to_numpy() / np.timedelta64(1, "s")
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return column.cast(pa.timestamp(kind.unit)).to_numpy()  # which is in UTC
    return column.to_numpy()


def _lists(column: Any) -> NDArray:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_fixed_size_list(kind) and not column.null_count:
        shape, inner = (len(column),), kind
        while pa.types.is_fixed_size_list(inner) and not column.null_count:
            shape, inner, column = (*shape, inner.list_size), inner.value_type, column.combine_chunks().flatten()
        if pa.types.is_integer(inner) or pa.types.is_floating(inner):
            return _chunked(column).to_numpy().reshape(shape)
    if pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type):
        rows = (row for chunk in _chunked(column).chunks for row in _number_lists(chunk))
    else:
        rows = (_nested(row) for row in _chunked(column).to_pylist())
    return object_array(rows, len(column))


def _chunked(column: Any) -> Any:
    import pyarrow as pa

    return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])


def _number_lists(chunk: Any) -> Iterable[NDArray | None]:
    """Each row's numbers, as a part of one array."""
    import pyarrow.compute as pc

    values = chunk.flatten().to_numpy(zero_copy_only=False)  # without those of missing rows
    lengths = pc.call_function("list_value_length", [chunk]).fill_null(0).to_numpy(zero_copy_only=False)
    ends = np.cumsum(lengths)
    missing = chunk.is_null().to_numpy(zero_copy_only=False)
    for end, length, absent in zip(ends, lengths, missing, strict=True):
        yield None if absent else values[end - length : end]


def _nested(row: Any) -> Any:
    """Lists of lists of numbers as an array where they are one; any other list as it is."""
    if not (isinstance(row, list) and row and isinstance(row[0], list)):
        return row
    try:
        array = np.array(row)
    except ValueError:  # ragged
        return row
    return array if array.dtype.kind in "iuf" else row


def _extension(column: Any, place: Callable[[int], str], folder: Path | None) -> NDArray:
    """A type of somebody's own: by what it is stored as, in its shape where it has one."""
    import pyarrow as pa

    kind = column.type
    stored = pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type)
    shape = getattr(kind, "shape", None)
    if shape is None or stored.null_count:
        return _array(stored, place, folder)
    values = stored.combine_chunks()
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    while _is_list(values.type):
        values = values.flatten()
    return values.to_numpy(zero_copy_only=False).reshape(len(column), *shape)


def _blobs(contents: Any, paths: Any, place: Callable[[int], str], folder: Path | None) -> Iterable[Blob | None]:
    known = [None] * len(contents) if paths is None else paths.to_pylist()
    for row, (content, path) in enumerate(zip(contents, known, strict=True)):
        if content.is_valid:
            yield BytesBlob(content.as_py(), path or place(row))
        else:
            yield None if path is None else _file_of(path, place(row), folder)


def _file_of(path: str, where: str, folder: Path | None) -> Blob:
    try:
        return FileBlob(DataFile(path), path) if folder is None else file_blob(folder, path)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
