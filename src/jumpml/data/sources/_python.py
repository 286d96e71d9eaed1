"""What a user's own function returns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jumpml.core import DataError
from jumpml.data.sources._arrays import ArraySource
from jumpml.data.sources._source import Source


def source_of(returned: Any, where: str) -> Source:
    """A function's result as a source.

    Args:
        returned: A `Source`; a mapping of columns to arrays; or rows as dicts.
        where: What to call the function in errors.

    Raises:
        DataError: It is none of these, or its columns do not fit together.
    """
    if isinstance(returned, Source):
        return returned
    try:
        if isinstance(returned, Mapping):
            return ArraySource(returned)
        if isinstance(returned, Iterable) and not isinstance(returned, (str, bytes)):
            return ArraySource.from_rows(returned)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    expected = "a mapping of columns to arrays, rows as dicts, or a Source"
    raise DataError(f"{where}: expected {expected}, got {type(returned).__name__}.")
