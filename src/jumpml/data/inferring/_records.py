"""What a table's columns were taken for, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    """

    column: str
    kind: str | None
    reason: str
    options: Mapping[str, Any] = field(default_factory=dict)
    marks: tuple[str, ...] = ()
    in_order: bool = False


@final
@dataclass(frozen=True, kw_only=True)
class TableGuess:
    """What a table was taken for.

    Attributes:
        source: What a data file says of the source, but for its path.
        columns: All columns, in their order.
        target: The target's column.
        task: The task's kind.
        rows: How many rows were looked at.
        more_rows: Whether there are others.
        rarest: Of a category to be predicted, the class with the fewest rows and how many those are; else None.
        equal_rows: Whether some rows are equal, in all that is not left out.
        notes: What was guessed of the file as a whole.
    """

    source: Mapping[str, Any]
    columns: tuple[ColumnGuess, ...]
    target: ColumnGuess
    task: str
    rows: int
    more_rows: bool
    rarest: tuple[str, int] | None
    equal_rows: bool
    notes: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[ColumnGuess, ...]:
        """The columns to predict from."""
        return tuple(guess for guess in self.columns if guess.kind is not None and guess is not self.target)
