"""A data file's fields to columns."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from jumpml.core import DataError
from jumpml.data.kinds._column import Column
from jumpml.data.kinds._kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from jumpml.data.kinds._raw_column import RawColumn


def columns_read(fields: Mapping[str, Any], known: Iterable[str], taken: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The source's columns that each field is made of; a table that guesses gets what nothing else reads.

    Args:
        fields: What the data file says of each field.
        known: All columns of the source.
        taken: Those that something else than a field reads, such as the split.

    Raises:
        DataError: Nothing is left to guess, or two tables would guess.

    Example:
        >>> from jumpml.core import DataSpec
        >>> fields = {"x": {"kind": "table", "columns": "infer"}, "y": {"kind": "number"}}
        >>> spec = DataSpec(datasets={"d": {"source": {"kind": "csv", "path": "a.csv"}, "fields": fields}})
        >>> columns_read(spec.datasets["d"].fields, ["a", "b", "y", "fold"], ["fold"])
        {'x': ('a', 'b'), 'y': ('y',)}
    """
    read = {field: told.reads(field) for field, told in fields.items()}
    guessing = [field for field, columns in read.items() if not columns]
    named = {*chain(*read.values()), *taken}
    free = tuple(column for column in known if column not in named)
    if len(guessing) > 1:
        raise DataError(
            f"the fields {guessing[0]!r} and {guessing[1]!r} both take all other columns; name one's columns."
        )
    if guessing and not free:
        raise DataError(f"field {guessing[0]!r}: every column of the source is read by something else; none is left.")
    return {field: columns or free for field, columns in read.items()}


def decode(raws: Sequence[RawColumn], told: Any, train: NDArray[np.int64] | None = None) -> Column:
    """One field of all rows.

    Args:
        raws: The columns that the field reads.
        told: What the data file says of it.
        train: The train rows, for kinds that learn from them.

    Raises:
        DataError: A value is not what the file says; the text names data set, field and row.
    """
    decoded = KINDS[told.kind].decode(raws, told, train)
    return Column(kind=told.kind, **vars(decoded))
