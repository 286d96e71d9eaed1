"""A column as its source gave it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, final

from jumpml.core import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from jumpml.data._texts import StoredTexts


@final
@dataclass(frozen=True, kw_only=True)
class RawColumn:
    """A column as its source gave it.

    Attributes:
        values: ``[rows, ...]``; a missing text is None in an array of objects.
        column: Its name in the source.
        where: What to call it in errors, such as ``data set 'digits', field 'image'``.
        place: Names a row for people.
        folder: The data file's; the current one where None.
        skip: Whether a row that cannot be decoded is noted in ``rejected`` instead of being an error.
        rejected: What is wrong, by row.
        stored: Where the values are texts that lie on disk, those; ``values`` is empty then.
    """

    values: NDArray
    column: str = ""
    where: str
    place: Callable[[int], str]
    folder: Path | None = None
    skip: bool = False
    rejected: dict[int, str] = field(default_factory=dict)
    stored: StoredTexts | None = None

    def __len__(self) -> int:
        return len(self.values if self.stored is None else self.stored)

    def root(self, folder: str = "") -> Path:
        """Where texts that are paths start."""
        return (self.folder or Path()) / folder

    def error(self, row: int, problem: str) -> DataError:
        """A complaint about one row."""
        return DataError(f"{self.where}, {self.place(row)}: {problem}")

    def reject(self, row: int, problem: str) -> None:
        """Say that a row cannot be decoded; where such rows are skipped, whatever stands in for it is never served.

        Raises:
            DataError: Such rows are not skipped.
        """
        if not self.skip:
            raise self.error(row, problem)
        self.rejected.setdefault(row, problem)
