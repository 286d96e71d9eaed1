"""Whether splits can be trained and measured on, and what people should know of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np
import torch

from jumpml.core import did_you_mean
from jumpml.data.kinds import Column
from jumpml.data.splits._duplicates import row_keys, shared_rows
from jumpml.data.splits._rules import keeps_together, way_of
from jumpml.data.splits._splits import SPLITS, Splits
from jumpml.data.splits._timed import border_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor

    from jumpml.core import DataSpec, Mistake
    from jumpml.data._files import FileColumn

OFF = 0.02  # of all rows: a split that misses its share by more is told of


@final
class Review:
    """Looks at the splits of a data set.

    Args:
        spec: The file.
        name: The data set.
        rows: The splits.
        place: Names a row for people.
    """

    def __init__(self, spec: DataSpec, name: str, rows: Splits, place: Callable[[int], str]) -> None:
        self._spec, self._name, self._rows, self._place = spec, name, rows, place
        self._dataset = spec.datasets[name]
        self._split, self._way = self._dataset.split, way_of(self._dataset)

    def empty(self) -> Iterator[Mistake]:
        """Splits without rows, which only a column or sources can ask for."""
        for split in SPLITS:
            if not len(self._rows[split]):
                path = ("split", "column") if self._way == "column" else ("source", split)
                yield self._mistake(path, f"the {split} split is empty.")

    def missing(self, columns: Mapping[str, Column | FileColumn]) -> Iterator[Mistake]:
        """Fields that no train row has."""
        train = self._rows["train"]
        for field, column in columns.items():
            present = column.present() if isinstance(column, Column) else None
            if present is not None and not bool(present[train].any()):
                problem = f"the field is missing in all {len(train)} train rows."
                yield self._mistake(("fields", field), problem, "Leave it out, or mend its column.")

    def unseen(self, columns: Mapping[str, Column | FileColumn]) -> Iterator[Mistake]:
        """Classes that the source of one split has and that of train has not, where the file names no classes."""
        if self._way not in {"sources", "train sources"}:
            return
        with_train = ["train"] if self._way == "sources" else ["train", "val"]
        train = torch.cat([self._rows[split] for split in with_train])
        for field, column in columns.items():
            if not isinstance(column, Column) or column.kind != "category" or self._classes_told(field):
                continue
            known = torch.zeros(len(column.classes) + 1, dtype=torch.bool)
            known[column.values[train]] = True
            known[-1] = True  # code -1: missing
            for split in (split for split in SPLITS if split not in with_train):
                rows = self._rows[split]
                new = rows[~known[column.values[rows]]]
                if len(new):
                    name, seen = column.classes[int(column.values[new[0]])], known[:-1].nonzero()[:, 0].tolist()
                    near = did_you_mean(name, (column.classes[code] for code in seen))
                    problem = (
                        f"{len(new)} rows of the {split} source have a class that no row of the train source has; the "
                        f"first is {self._place(int(new[0]))} with {name!r}."
                    )
                    fix = f"{near} Mend the source, or name all `classes`.".lstrip()
                    yield self._mistake(("fields", field), problem, fix)

    def _classes_told(self, field: str) -> bool:
        return getattr(self._dataset.fields[field], "classes", None) is not None

    def shared(self, values: Sequence[Tensor]) -> Iterator[Mistake]:
        """Rows that stand in two splits, where that is refused."""
        if self._split.duplicates != "refuse":
            return
        fix = "Write `duplicates: allow` to let them be."
        if keeps_together(self._dataset):
            fix = "Write `duplicates: together` to keep equal rows in one split, or `allow` to let them be."
        for later, earlier, pairs in shared_rows({name: row_keys(values, self._rows[name]) for name in SPLITS}):
            rows = [int(self._rows[split][at]) for split, at in zip((later, earlier), pairs[0].tolist(), strict=True)]
            first, second = (self._place(row) for row in rows)
            problem = (
                f"{later} rows that also stand in {earlier}: {len(pairs)}; the first is {first}, equal to {second}"
            )
            yield self._mistake(("split", "duplicates"), f"{problem} of {earlier}.", fix)

    def with_findings(self, reach: tuple[int, int]) -> Splits:
        """The splits, with what people should know of them.

        Args:
            reach: How many rows before and after its own a row's windows hold.
        """
        findings = [*self._shares(), *self._windows(reach)]
        return Splits(dict(self._rows), self._rows.left_out, [*self._rows.findings, *findings])

    def _shares(self) -> Iterator[str]:
        split, total = self._split, sum(map(len, self._rows.values()))
        asked = {"train": split.train, "val": split.val, "test": split.test}
        if self._way in {"column", "sources", "train sources"}:
            return
        if split.fold is not None:
            rest = 1 - 1 / split.fold.of
            asked = {"train": rest * (1 - split.val), "val": rest * split.val, "test": 1 / split.fold.of}
        for name, share in asked.items():
            reached = len(self._rows[name]) / total
            if abs(reached - share) > OFF:
                yield f"{name} has {reached:.1%} of the rows that are in a split; {share:.1%} were asked for."

    def _windows(self, reach: tuple[int, int]) -> Iterator[str]:
        """Windows that look into another split, where the rows are left in."""
        if self._way in {"time", "column", "sources"} or not any(reach):
            return
        parts = np.full(1 + max(int(rows.max()) for rows in self._rows.values()), -1)
        for code, name in enumerate(SPLITS):
            parts[self._rows[name].numpy()] = code
        looking = len(border_rows(parts, reach))
        if looking:
            yield f"the windows of {looking} rows hold rows of another split; a split by `time` leaves such rows out."

    def _mistake(self, path: tuple[str, ...], problem: str, fix: str = "") -> Mistake:
        return self._spec.mistake(("datasets", self._name, *path), problem, fix)
