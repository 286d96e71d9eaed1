"""What a table's columns were taken for, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@final
@dataclass(frozen=True, kw_only=True)
class ColumnGuess:
    """What a column was taken for.

    Attributes:
        column: The source's name for it.
        kind: The field's kind; None where the column is left out.
        reason: Why.
        options: What else a data file says of such a field, such as a date's format.
        marks: Texts among its numbers that stand for a missing value, beside those that are always taken so.
        in_order: Whether its dates rise from each row to the next.
        step: Seconds from one of its dates to the next, where those are as good as always as many; else None.
    """

    column: str
    kind: str | None
    reason: str
    options: Mapping[str, Any] = field(default_factory=dict)
    marks: tuple[str, ...] = ()
    in_order: bool = False
    step: float | None = None


def time_in(columns: Sequence[ColumnGuess]) -> ColumnGuess | None:
    """The first column of dates that rise from row to row."""
    return next((column for column in columns if column.kind == "date" and column.in_order), None)


@final
@dataclass(frozen=True, kw_only=True)
class TableGuess:
    """What a table was taken for.

    Attributes:
        source: What a data file says of the source, but for its path.
        columns: All columns, in their order.
        targets: The columns that are to be predicted.
        tasks: The kind of each one's task.
        rows: How many rows were looked at.
        more_rows: Whether there are others.
        rarest: By target that is a category, the class with the fewest rows and how many those are.
        equal_rows: Whether some rows are equal, in all that is not left out.
        notes: What was guessed of the file as a whole.
        hints: What else the targets might be asked for.
    """

    source: Mapping[str, Any]
    columns: tuple[ColumnGuess, ...]
    targets: tuple[ColumnGuess, ...]
    tasks: Mapping[str, str]
    rows: int
    more_rows: bool
    rarest: Mapping[str, tuple[str, int]]
    equal_rows: bool
    notes: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def target(self) -> ColumnGuess:
        """The first target."""
        return self.targets[0]

    @property
    def task(self) -> str:
        """The first target's task."""
        return self.tasks[self.target.column]

    @property
    def time(self) -> ColumnGuess | None:
        """The column that says when each row was, where the rows stand in the order of one."""
        return time_in(self.columns)

    @property
    def inputs(self) -> tuple[ColumnGuess, ...]:
        """The columns to predict from."""
        return tuple(guess for guess in self.columns if guess.kind is not None and guess not in self.targets)
