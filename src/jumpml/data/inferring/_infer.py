"""What a table seems to be, and which task its target makes."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from jumpml.core import DataError, did_you_mean
from jumpml.data.inferring._guess import IGNORE, KINDS, guess_column, told_kind
from jumpml.data.inferring._open_table import MISSING, open_table, reopen_csv
from jumpml.data.inferring._records import ColumnGuess, TableGuess
from jumpml.data.inferring._tasks import (
    classes_of,
    hints,
    in_classes,
    in_time,
    kind_asked_for,
    refuse_tasks,
    task_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

ROWS = 100_000  # that are looked at
FEWEST_ROWS = 20  # with which the three splits hold anything
COLUMNS_SHOWN = 20


def infer_table(
    path: str | Path,
    target: str | Sequence[str],
    *,
    kinds: Mapping[str, str] | None = None,
    tasks: Mapping[str, str] | None = None,
    header: Sequence[str] | None = None,
) -> TableGuess:
    r"""Guess what the columns of a table are, from its first 100,000 rows.

    Args:
        path: A csv, tsv, parquet, json lines, arrow or npz file, here or at an address with ``://``.
        target: The column that is to be predicted, or several.
        kinds: What some columns are, where that is known: a kind of field, or ``ignore``.
        tasks: How some targets are to be predicted: a kind of task.
        header: The names of a csv file's columns, where it has no line with them.

    Raises:
        DataError: There is no such file or column, there are too few rows, or a target cannot be predicted, or not so.

    Example:
        >>> from pathlib import Path
        >>> rows = [f"{row},{row % 7},{'xyz'[row % 3]}" for row in range(40)]
        >>> _ = Path("t.csv").write_text("id,size,colour\n" + "\n".join(rows) + "\n")
        >>> guess = infer_table("t.csv", "colour")
        >>> guess.task, [(column.column, column.kind) for column in guess.columns]
        ('multiclass', [('id', None), ('size', 'number'), ('colour', 'category')])
    """
    path, kinds, tasks = str(path), kinds or {}, tasks or {}
    targets = [target] if isinstance(target, str) else list(dict.fromkeys(target))
    source, told, notes = open_table(path, header)
    names = list(source.schema)
    _refuse_unknown(path, names, targets, kinds, headed="header" not in told or header is not None)
    refuse_tasks(tasks, targets)
    columns = source.read(names, 0, ROWS + 1)
    more, columns = len(columns[names[0]]) > ROWS, {name: values[:ROWS] for name, values in columns.items()}
    rows = len(columns[names[0]])
    if rows < FEWEST_ROWS:
        raise DataError(f"{path}: expected at least {FEWEST_ROWS} rows to learn, choose and measure by, got {rows}.")
    guesses = _guess_all(columns, targets, kinds, tasks)
    marks = sorted({mark for guess in guesses for mark in guess.marks})
    if marks and told["kind"] != "csv":
        guesses = [_without_marks(guess) for guess in guesses]
    elif marks:
        told["missing"] = [*MISSING, *marks]
        notes.append(f"{', '.join(map(repr, marks))} among numbers stands for a missing value, in every column")
        columns = reopen_csv(path, told).read(names, 0, rows)
        guesses = _guess_all(columns, targets, kinds, tasks)
    if "forecasting" in tasks.values():
        guesses = in_time(path, guesses, targets[0], rows)
    wanted = [next(guess for guess in guesses if guess.column == name) for name in targets]
    used = [guess.column for guess in guesses if guess.kind is not None]
    for guess in wanted:
        _refuse_target(path, guess, len(used) - len(wanted))
    asked_for = {guess.column: task_of(guess, columns[guess.column], tasks.get(guess.column)) for guess in wanted}
    classes = {guess.column: classes_of(columns[guess.column]) for guess in wanted if guess.kind == "category"}
    return TableGuess(
        source=told,
        columns=tuple(guesses),
        targets=tuple(wanted),
        tasks=asked_for,
        rows=rows,
        more_rows=more,
        rarest={name: min(counts.items(), key=itemgetter(1)) for name, counts in classes.items()},
        equal_rows=_any_equal([columns[name] for name in used]),
        notes=tuple(notes),
        hints=tuple(hints(guesses, wanted, asked_for, [*classes.get(targets[0], ())])),
    )


def _guess_all(
    columns: Mapping[str, NDArray],
    targets: Sequence[str],
    kinds: Mapping[str, str],
    tasks: Mapping[str, str],
) -> list[ColumnGuess]:
    guesses = []
    for name, values in columns.items():
        task = tasks.get(name)
        if name in kinds:
            guess = told_kind(name, kinds[name], values)
        else:
            guess = guess_column(name, values, is_target=name in targets)
            asked = kind_asked_for(task, guess)
            guess = guess if asked is None else told_kind(name, asked, values)
        guesses.append(in_classes(guess, values) if task == "ordinal" and guess.kind == "category" else guess)
    return guesses


def _without_marks(guess: ColumnGuess) -> ColumnGuess:
    """A column of numbers and of texts that stand for none, in a file that cannot be told which those are."""
    if not guess.marks:
        return guess
    told = f"numbers, but also {', '.join(map(repr, guess.marks))}; write null in the file where a number is missing"
    return ColumnGuess(column=guess.column, kind=None, reason=told)


def _refuse_unknown(
    path: str, names: Sequence[str], targets: Sequence[str], kinds: Mapping[str, str], *, headed: bool
) -> None:
    for name, what in (*((name, "the target") for name in targets), *((name, "--kind") for name in kinds)):
        if name not in names:
            near = did_you_mean(name, names[:COLUMNS_SHOWN] if len(names) > COLUMNS_SHOWN else names)
            fix = "" if headed else " Its first line holds values; --header gives the columns names."
            raise DataError(f"{path}: {what}: there is no column {name!r}. {near}{fix}".rstrip())
    for name, kind in kinds.items():
        if kind not in {*KINDS, IGNORE}:
            problem = f"column {name!r} cannot be {kind!r}; expected one of {', '.join((*KINDS, IGNORE))}."
            raise DataError(f"--kind: {problem} {did_you_mean(kind, KINDS)}")


def _refuse_target(path: str, target: ColumnGuess, inputs: int) -> None:
    told = f"{path}: the target {target.column!r} cannot be predicted"
    if target.kind is None:
        fix = f" If it is something else, say so: --kind {target.column}=category, or number."
        raise DataError(f"{told}: {target.reason}.{'' if target.reason.startswith(('con', 'no ')) else fix}")
    if target.kind in {"text", "date"}:
        article = f"it is a {target.kind} ({target.reason})"
        raise DataError(f"{told}: {article}. If it is something else, say so: --kind {target.column}=category.")
    if not inputs:
        raise DataError(f"{told}: every other column is left out, so that there is nothing to predict from.")


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
