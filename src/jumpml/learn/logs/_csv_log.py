"""Figures as CSV, for a spreadsheet or a data frame."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, final

from jumpml.core import write_file
from jumpml.learn.logs._logs import Log

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jumpml.core import EpochRecord
    from jumpml.learn.logs._logs import StepRecord


@final
class CsvLog(Log):
    """``steps.csv`` and ``history.csv``: a line a step, a line an epoch, an empty cell where there is no such figure.

    Where a later phase has other objectives, the files get more columns.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self._steps = _CsvFile(folder / "steps.csv")
        self._epochs = _CsvFile(folder / "history.csv")

    def steps(self, records: Sequence[StepRecord]) -> None:
        """Append the steps."""
        self._steps.append([_step_row(record) for record in records])

    def epoch(self, record: EpochRecord) -> None:
        """Append the epoch."""
        self._epochs.append(_epoch_rows([record]))

    def rewind(self, step: int, epochs: Sequence[EpochRecord]) -> None:
        """Cut the lines that will be written again, and one that a crash has torn."""
        self._steps.write([row for row in self._steps.read() if int(row["step"]) <= step])
        self._epochs.write(_epoch_rows(epochs))


@final
class _CsvFile:
    """Rows by column name; a new name becomes a new column."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._columns: list[str] | None = None  # as the file has them

    def read(self) -> list[dict[str, str]]:
        """The rows that are whole."""
        if not self._path.exists():
            return []
        text = self._path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        return list(csv.DictReader(io.StringIO(whole, newline="")))

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows; where they bring new columns, or the file is a stranger's still, it is written anew."""
        names = dict.fromkeys(name for row in rows for name in row)
        if self._columns is None or not names.keys() <= {*self._columns}:
            self.write([*self.read(), *rows])
            return
        text = io.StringIO(newline="")
        csv.DictWriter(text, self._columns, lineterminator="\n").writerows(rows)
        with self._path.open("a", encoding="utf-8", newline="") as file:
            file.write(text.getvalue())

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replace the file, whole or not at all; without rows there is none."""
        self._columns = [*dict.fromkeys(name for row in rows for name in row)] or None
        if self._columns is None:
            self._path.unlink(missing_ok=True)
            return
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self._columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_file(self._path, text.getvalue())


def _step_row(record: StepRecord) -> dict[str, Any]:
    losses = {"loss" if name == "total" else f"loss/{name}": value for name, value in record.losses.items()}
    weights = {f"weight/{name}": value for name, value in record.weights.items()}
    rates = record.learning_rates()
    return {"phase": record.phase, "step": record.step, **rates, **losses, **weights, **record.figures}


def _epoch_rows(epochs: Sequence[EpochRecord]) -> list[dict[str, Any]]:
    return [{**record.place(), **record.figures()} for record in epochs]
