"""Many columns as one value."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

from jumpml.core import DataError, FieldInfo, ValueInfo, did_you_mean
from jumpml.data.kinds._category import decode_category
from jumpml.data.kinds._kind import Decoded, Kind, shape_problem
from jumpml.data.kinds._number import decode_number
from jumpml.data.kinds._numbers import number_in, shortest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from pydantic import JsonValue
    from torch import Tensor

    from jumpml.data.kinds._column import Column
    from jumpml.data.kinds._raw_column import RawColumn

KINDS_OF_COLUMNS = ("number", "category")
MOST_CODES = 1 << 24  # float32 holds whole numbers up to here


@final
class TableKind(Kind):
    """Numbers and categories as one value: float32 ``[rows, columns]``, a category as its code, NaN where missing."""

    name = "table"
    gives = "table"
    form = "[rows, columns]"

    def decode(self, raws: Sequence[RawColumn], told: Any, train: NDArray[np.int64] | None = None) -> Decoded:
        """The columns side by side."""
        guess = told.columns == "infer"
        kinds = {raw.column: guessed(raw) for raw in raws} if guess else dict(told.columns)
        taken = [raw for raw in raws if kinds[raw.column] is not None]
        if not taken:
            raise DataError(f"{raws[0].where}: none of the columns holds a number or a text a row.")
        parts = [_decoded(raw, kinds[raw.column]) for raw in taken]
        return Decoded(
            values=torch.from_numpy(np.stack([values for _, values in parts], axis=1)),
            columns=tuple(replace(info, notes=()) for info, _ in parts),
            notes=(
                *((_told(kinds),) if guess else ()),
                *(f"{info.name}: {note}" for info, _ in parts for note in info.notes),
            ),
        )

    def by_blocks(self, told: Any) -> bool:
        """Where no classes have to be found."""
        return told.columns != "infer" and "category" not in told.columns.values()

    def expected(self, told: Any) -> ValueInfo:
        """As many numbers as columns."""
        return ValueInfo(shape=(0 if told.columns == "infer" else len(told.columns),))

    def problem(self, values: Tensor, column: Column) -> str:
        """A number, a code or NaN for each column."""
        columns = column.columns
        if values.ndim != 2 or values.shape[1] != len(columns) or not columns:
            return shape_problem(f"[rows, {len(columns)}], a place for each of `columns`", column.values)
        for index, info in enumerate(columns):
            if info.kind not in KINDS_OF_COLUMNS:
                return f"column {info.name!r}: got {info.kind!r}. {did_you_mean(info.kind, KINDS_OF_COLUMNS)}"
            known = values[:, index][~values[:, index].isnan()]
            if info.kind == "category" and not bool(
                ((known >= 0) & (known < len(info.classes)) & (known % 1 == 0)).all()
            ):
                return f"column {info.name!r}: expected codes from 0 to {len(info.classes) - 1}, NaN where missing."
            if bool(known.isinf().any()):
                return f"column {info.name!r}: expected finite values (NaN where missing), got infinity."
        return ""

    def present(self, values: Tensor) -> Tensor:
        """Where any column has a value."""
        return ~values.isnan().all(dim=1)

    def raw(self, info: FieldInfo, values: NDArray) -> list[JsonValue]:
        """A mapping from column to number or name, null where missing."""
        columns = [_raw(column, values[:, index]) for index, column in enumerate(info.columns)]
        names = [column.name for column in info.columns]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def findings(self, info: FieldInfo, train: Iterable[Tensor], count: int) -> Iterator[str]:
        """Columns that are constant, or of which no train row has a value."""
        low = torch.full((len(info.columns),), torch.inf)
        high = -low
        for block in train:
            low = low.minimum(block.nan_to_num(torch.inf).amin(0))
            high = high.maximum(block.nan_to_num(-torch.inf).amax(0))
        for column, least, most in zip(info.columns, low.tolist(), high.tolist(), strict=True):
            if least > most:
                yield f"no train row has a value of {column.name}."
            elif least == most:
                yield f"all train rows have the same value of {column.name}."


def guessed(raw: RawColumn) -> str | None:
    """What a column seems to hold: numbers where every value reads as one, else names; None where it holds neither."""
    values = raw.values
    if values.ndim != 1 or values.dtype.kind not in "OUbiuf":
        return None
    if values.dtype.kind in "biuf":
        return "category" if values.dtype.kind == "b" else "number"
    known = [value for value in values.tolist() if value is not None]
    if not all(isinstance(value, (str, int, float)) for value in known):
        return None
    numbers = all(number_in(value) is not None and not isinstance(value, bool) for value in known)
    return "number" if numbers and known else "category"


def _told(kinds: dict[str, str | None]) -> str:
    by_kind: dict[str, list[str]] = {}
    for name, kind in kinds.items():
        by_kind.setdefault(kind or "left out", []).append(name)
    return "guessed from the values: " + "; ".join(f"{kind}: {', '.join(names)}" for kind, names in by_kind.items())


def _decoded(raw: RawColumn, kind: str | None) -> tuple[FieldInfo, NDArray[np.float32]]:
    if kind == "number":
        numbers = decode_number(raw)
        info = FieldInfo(name=raw.column, kind="number", value=ValueInfo(shape=(1,)), notes=numbers.notes)
        return info, numbers.values[:, 0].numpy()
    decoded = decode_category(raw)
    if len(decoded.classes) > MOST_CODES:
        raise DataError(
            f"{raw.where}: a category of a table has at most {MOST_CODES} classes, got {len(decoded.classes)}."
        )
    codes = decoded.values.numpy()
    value = ValueInfo(shape=(), dtype="int64", classes=len(decoded.classes) or None)
    info = FieldInfo(name=raw.column, kind="category", value=value, classes=decoded.classes)
    return info, np.where(codes < 0, np.nan, codes).astype(np.float32)


def _raw(info: FieldInfo, values: NDArray) -> list[JsonValue]:
    absent = np.isnan(values)
    if info.kind == "number":
        known = shortest(values).tolist()
        return [None if none else value for none, value in zip(absent, known, strict=True)]
    codes = np.where(absent, 0, values).astype(np.int64).tolist()
    return [None if none else info.classes[code] for none, code in zip(absent, codes, strict=True)]
