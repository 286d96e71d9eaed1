"""What a table seems to be, and which task its target makes."""

from __future__ import annotations

from collections import Counter
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from jumpml.core import DataError, did_you_mean
from jumpml.data.inferring._guess import IGNORE, KINDS, guess_column, told_kind
from jumpml.data.inferring._open_table import MISSING, open_table, reopen_csv
from jumpml.data.inferring._records import ColumnGuess, TableGuess
from jumpml.data.kinds._category import name_of
from jumpml.data.kinds._kind import is_missing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

ROWS = 100_000  # that are looked at
FEWEST_ROWS = 20  # with which the three splits hold anything
COLUMNS_SHOWN = 20
TASKS = {"number": "regression", "multilabel": "multilabel", "tensor": "regression"}


def infer_table(
    path: str | Path,
    target: str,
    *,
    kinds: Mapping[str, str] | None = None,
    header: Sequence[str] | None = None,
) -> TableGuess:
    r"""Guess what the columns of a table are, from its first 100,000 rows.

    Args:
        path: A csv, tsv, parquet, json lines, arrow or npz file, here or at an address with ``://``.
        target: The column that is to be predicted.
        kinds: What some columns are, where that is known: a kind of field, or ``ignore``.
        header: The names of a csv file's columns, where it has no line with them.

    Raises:
        DataError: There is no such file or column, there are too few rows, or the target cannot be predicted.

    Example:
        >>> from pathlib import Path
        >>> rows = [f"{row},{row % 7},{'xyz'[row % 3]}" for row in range(40)]
        >>> _ = Path("t.csv").write_text("id,size,colour\n" + "\n".join(rows) + "\n")
        >>> guess = infer_table("t.csv", "colour")
        >>> guess.task, [(column.column, column.kind) for column in guess.columns]
        ('multiclass', [('id', None), ('size', 'number'), ('colour', 'category')])
    """
    path, kinds = str(path), kinds or {}
    source, told, notes = open_table(path, header)
    names = list(source.schema)
    _refuse_unknown(path, names, target, kinds, headed="header" not in told or header is not None)
    columns = source.read(names, 0, ROWS + 1)
    count = len(columns[names[0]])
    rows = min(count, ROWS)
    if rows < FEWEST_ROWS:
        raise DataError(f"{path}: expected at least {FEWEST_ROWS} rows to learn, choose and measure by, got {rows}.")
    guesses = _guess_all(columns, target, kinds, rows)
    marks = sorted({mark for guess in guesses for mark in guess.marks})
    if marks and told["kind"] != "csv":
        guesses = [_without_marks(guess) for guess in guesses]
    elif marks:
        told["missing"] = [*MISSING, *marks]
        notes.append(f"{', '.join(map(repr, marks))} among numbers stands for a missing value, in every column")
        columns = reopen_csv(path, told).read(names, 0, rows)
        guesses = _guess_all(columns, target, kinds, rows)
    wanted = next(guess for guess in guesses if guess.column == target)
    used = [guess.column for guess in guesses if guess.kind is not None]
    _refuse_target(path, wanted, used)
    return TableGuess(
        source=told,
        columns=tuple(guesses),
        target=wanted,
        task=_task(wanted, columns[target]),
        rows=rows,
        more_rows=count > ROWS,
        rarest=_rarest(wanted, columns[target][:rows]),
        equal_rows=_any_equal([columns[name][:rows] for name in used]),
        notes=tuple(notes),
    )


def _guess_all(columns: Mapping[str, NDArray], target: str, kinds: Mapping[str, str], rows: int) -> list[ColumnGuess]:
    return [
        told_kind(name, kinds[name], values[:rows])
        if name in kinds
        else guess_column(name, values[:rows], is_target=name == target)
        for name, values in columns.items()
    ]


def _without_marks(guess: ColumnGuess) -> ColumnGuess:
    """A column of numbers and of texts that stand for none, in a file that cannot be told which those are."""
    if not guess.marks:
        return guess
    told = f"numbers, but also {', '.join(map(repr, guess.marks))}; write null in the file where a number is missing"
    return ColumnGuess(column=guess.column, kind=None, reason=told)


def _refuse_unknown(path: str, names: Sequence[str], target: str, kinds: Mapping[str, str], *, headed: bool) -> None:
    for name, what in ((target, "the target"), *((name, "--kind") for name in kinds)):
        if name not in names:
            near = did_you_mean(name, names[:COLUMNS_SHOWN] if len(names) > COLUMNS_SHOWN else names)
            fix = "" if headed else " Its first line holds values; --header gives the columns names."
            raise DataError(f"{path}: {what}: there is no column {name!r}. {near}{fix}".rstrip())
    for name, kind in kinds.items():
        if kind not in {*KINDS, IGNORE}:
            problem = f"column {name!r} cannot be {kind!r}; expected one of {', '.join((*KINDS, IGNORE))}."
            raise DataError(f"--kind: {problem} {did_you_mean(kind, KINDS)}")


def _refuse_target(path: str, target: ColumnGuess, used: Sequence[str]) -> None:
    told = f"{path}: the target {target.column!r} cannot be predicted"
    if target.kind is None:
        fix = f" If it is something else, say so: --kind {target.column}=category, or number."
        raise DataError(f"{told}: {target.reason}.{'' if target.reason.startswith(('con', 'no ')) else fix}")
    if target.kind in {"text", "date"}:
        article = f"it is a {target.kind} ({target.reason})"
        raise DataError(f"{told}: {article}. If it is something else, say so: --kind {target.column}=category.")
    if len(used) == 1:
        raise DataError(f"{told}: every other column is left out, so that there is nothing to predict from.")


def _task(target: ColumnGuess, values: NDArray) -> str:
    if target.kind != "category":
        return TASKS[str(target.kind)]
    return "binary" if len(_rows_of_classes(values)) == 2 else "multiclass"


def _rarest(target: ColumnGuess, values: NDArray) -> tuple[str, int] | None:
    return min(_rows_of_classes(values).items(), key=itemgetter(1)) if target.kind == "category" else None


def _rows_of_classes(values: NDArray) -> Counter[str]:
    return Counter(name_of(value) for value in values.tolist() if not is_missing(value))


def _any_equal(columns: Sequence[NDArray]) -> bool:
    """Whether two rows have the same values."""
    seen: set[Any] = set()
    for row in zip(*(_hashable(column) for column in columns), strict=True):
        if row in seen:
            return True
        seen.add(row)
    return False


def _hashable(column: NDArray) -> list[Any]:
    if column.ndim > 1:
        return [row.tobytes() for row in column]
    if column.dtype.kind == "O":
        return [str(value) if isinstance(value, (list, np.ndarray)) else value for value in column.tolist()]
    return np.nan_to_num(column).tolist() if column.dtype.kind == "f" else column.tolist()
