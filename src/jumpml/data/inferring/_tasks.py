"""How targets are to be predicted: as told, or as their columns suggest."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from jumpml.core import DataError, did_you_mean
from jumpml.data.inferring._open_table import is_number
from jumpml.data.inferring._records import time_in
from jumpml.data.kinds._category import in_order, name_of
from jumpml.data.kinds._kind import is_missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from jumpml.data.inferring._records import ColumnGuess

TASKS = {  # that a target of some kind can have, the first where nothing is said
    "number": ("regression", "forecasting"),
    "category": ("multiclass", "binary", "ordinal"),
    "multilabel": ("multilabel",),
    "tensor": ("regression",),
}
KIND_OF = {"forecasting": "number", "regression": "number", "multilabel": "multilabel"}  # of the others: category
FEWEST_STEPS = 3  # of a scale
FEWEST_ROWS = 100  # that a forecast learns from


def refuse_tasks(tasks: Mapping[str, str], targets: Sequence[str]) -> None:
    """Refuse tasks of what is no target, and kinds of task that there are not.

    Raises:
        DataError: One of those, or a forecast beside other targets.
    """
    known = tuple(dict.fromkeys(task for several in TASKS.values() for task in several))
    for name, task in tasks.items():
        if name not in targets:
            raise DataError(f"--task: {name!r} is no target. {did_you_mean(name, targets)}")
        if task not in known:
            told = f"expected one of {', '.join(known)}, got {task!r}"
            raise DataError(f"--task: {name!r}: {told}. {did_you_mean(task, known)}")
    if "forecasting" in tasks.values() and len(targets) > 1:
        raise DataError(
            "--task: a forecast is of one target; make a project for each, or name the others in the files."
        )


def kind_asked_for(task: str | None, guess: ColumnGuess) -> str | None:
    """The kind that a target must be for its task, where it was taken for another."""
    return None if task is None or task in TASKS.get(str(guess.kind), ()) else KIND_OF.get(task, "category")


def classes_of(values: NDArray) -> Counter[str]:
    """How many rows each class has."""
    return Counter(name_of(value) for value in values.tolist() if not is_missing(value))


def task_of(target: ColumnGuess, values: NDArray, told: str | None) -> str:
    """A target's task: as told, else the first that its kind can have.

    Raises:
        DataError: It cannot be as told.
    """
    possible = TASKS[str(target.kind)]
    classes = len(classes_of(values)) if target.kind == "category" else 0
    task = told or ("binary" if classes == 2 else possible[0])
    if task not in possible:
        expected = f"expected {' or '.join(possible)}"
        raise DataError(f"--task: {target.column!r} is a {target.kind}, which cannot be {task}; {expected}.")
    fewest = FEWEST_STEPS if task == "ordinal" else 2
    if (task == "binary" and classes != 2) or (target.kind == "category" and classes < fewest):
        needs = "2" if task == "binary" else f"{fewest} or more"
        raise DataError(f"--task: {target.column!r} has {classes} classes, and {task} needs {needs}.")
    return task


def in_classes(guess: ColumnGuess, values: NDArray) -> ColumnGuess:
    """A target whose classes have an order, which the data file then says."""
    return replace(guess, options={**guess.options, "classes": [*in_order(classes_of(values))]})


def in_time(path: str, guesses: Sequence[ColumnGuess], target: str, rows: int) -> list[ColumnGuess]:
    """The columns of a forecast: the target, and the times; what else its rows hold is not known beforehand.

    Raises:
        DataError: No column tells the time, or there are too few rows.
    """
    time = time_in(guesses)
    if time is None:
        raise DataError(f"{path}: a forecast needs a column of dates that rise from each row to the next; none does.")
    if rows < FEWEST_ROWS:
        raise DataError(f"{path}: expected at least {FEWEST_ROWS} rows to learn a forecast from, got {rows}.")
    reason = "what a row holds is not known when it is forecast; write a series of it for what came before"
    return [
        guess
        if guess.kind is None or guess.column in {target, time.column}
        else replace(guess, kind=None, reason=reason)
        for guess in guesses
    ]


def hints(
    guesses: Sequence[ColumnGuess], targets: Sequence[ColumnGuess], tasks: Mapping[str, str], classes: Sequence[str]
) -> Iterator[str]:
    """What else the first target might be asked for."""
    name, time = targets[0].column, time_in(guesses)
    if (
        tasks[name] == "regression"
        and targets[0].kind == "number"
        and time is not None
        and time.step
        and len(targets) == 1
    ):
        yield f"{time.column} rises evenly: --task {name}=forecasting predicts {name} from its own past"
    if tasks[name] == "multiclass" and all(map(is_number, classes)):
        yield f"the classes of {name} are numbers: if they are steps of a scale, --task {name}=ordinal uses their order"
