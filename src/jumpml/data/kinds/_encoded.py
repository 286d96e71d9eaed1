"""Raw values that are files, such as pictures and sounds."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from jumpml.core import DataError
from jumpml.data.kinds._kind import Kind, is_missing
from jumpml.data.sources._blob import Blob, file_blob

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from jumpml.data.kinds._raw_column import RawColumn

    Decoder = Callable[[Blob, NDArray[Any]], None]


class EncodedKind(Kind):
    """A kind whose raw values may be files, which can stay where they are and be decoded each time anew."""

    @abstractmethod
    def decoder(self, told: Any) -> Decoder:
        """What decodes one file into one row's values, float32 of the field's shape; it can be pickled.

        It raises `DataError`, with the file's name in the text, where the file is damaged or something else.
        """

    def blobs(self, raw: RawColumn, told: Any) -> list[Blob | None] | None:
        """Each row's file, None where it has none; None for all where the values are no files.

        Raises:
            DataError: A value is neither a file nor a path, or a path leads out of the folder.
        """
        return blobs_of(raw, told.folder)


def blobs_of(raw: RawColumn, folder: str) -> list[Blob | None] | None:
    """As `EncodedKind.blobs`, with paths that start in ``folder``, itself in the data file's."""
    if raw.values.ndim != 1 or raw.values.dtype.kind not in "OU":
        return None
    values = raw.values.tolist()
    first = next((value for value in values if not is_missing(value)), None)
    if not isinstance(first, (Blob, str)):
        return None
    blobs: list[Blob | None] = []
    for row, value in enumerate(values):
        blob = None
        try:
            if isinstance(value, Blob):
                blob = value
            elif isinstance(value, str):
                blob = file_blob(raw.root(folder), value)
            elif not is_missing(value):
                raw.reject(row, f"expected a file or its path, got {value!r:.60}.")
        except DataError as error:
            raw.reject(row, str(error))
        blobs.append(blob)
    return blobs


def decode_blobs(raw: RawColumn, blobs: Sequence[Blob | None], decoder: Decoder, like: NDArray) -> NDArray:
    """Every row's file decoded.

    Args:
        raw: Where the files come from.
        blobs: A file a row, or None.
        decoder: Decodes one into its row.
        like: What a row without a file becomes.

    Raises:
        DataError: A file cannot be decoded.
    """
    values = np.empty((len(blobs), *like.shape), dtype=like.dtype)
    for row, blob in enumerate(blobs):
        values[row] = like
        if blob is not None:
            try:
                decoder(blob, values[row])
            except DataError as error:
                raw.reject(row, str(error))
    return values
