"""One decoded field: its tensor for every row, and what it is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast, final

import torch

from jumpml.core import DataError, FieldInfo, ValueInfo, did_you_mean
from jumpml.data._disk import in_blocks
from jumpml.data.kinds._kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import JsonValue
    from torch import Tensor


@final
@dataclass(frozen=True)
class Column:
    """A field's decoded values, one row each, with missing values in band.

    Attributes:
        values: number: float32 ``[rows, 1]``, NaN where missing; category: int64 ``[rows]``, codes into ``classes``,
            -1 where missing; multilabel: float32 ``[rows, classes]`` of 0 and 1; date: int64 ``[rows]``, seconds since
            1970 in UTC, the smallest int64 where missing; image: float32 ``[rows, channels, height, width]`` in [0, 1];
            mask: int64 codes ``[rows, height, width]``, -1 where the class is not known; audio: float32
            ``[rows, channels, samples]`` in [-1, 1]; series: float32 ``[rows, steps, channels]``; text: int64 ids
            ``[rows, length]``; tensor: float32 ``[rows, *shape]``; table: float32 ``[rows, columns]``, a category as
            its code. A row of floats is NaN where it is missing.
        kind: One of those.
        classes: The names behind codes or places, else empty.
        range: The raw values that an image's 0 and 1 stand for, else None.
        columns: What each column of a table is, else empty.
        options: What else decoding raw values needs.
        notes: What people should know of how it was decoded.
        usable: bool ``[rows]``: which rows can be in a split; None where all can. The window of a series leaves the
            table in the first or the last rows.
        originals: What a user would send for each row, where the values do not tell it, such as texts.
        alphabetical: Whether the classes' order is that of their letters only; see `FieldInfo`.

    Raises:
        DataError: The values are not what the kind asks for.

    Example:
        >>> import torch
        >>> Column(torch.tensor([0, 1, -1]), "category", classes=("no", "yes")).info("sick").missing
        1
    """

    values: Tensor
    kind: str
    classes: tuple[str, ...] = ()
    range: tuple[float, float] | None = None
    columns: tuple[FieldInfo, ...] = ()
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    usable: Tensor | None = None
    originals: Sequence[JsonValue] | None = None
    alphabetical: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"a column's kind: got {self.kind!r}. {did_you_mean(self.kind, KINDS)}")
        kind = KINDS[self.kind]
        if self.values.dtype != kind.dtype:
            raise DataError(f"a column of kind {self.kind}: expected values of {kind.dtype}, got {self.values.dtype}.")
        blocks = in_blocks(self.values) if self.values.ndim else (self.values,)
        problem = next(filter(None, (kind.problem(block, self) for block in blocks)), "")
        if problem:
            raise DataError(f"a column of kind {self.kind}: {problem}")

    def __len__(self) -> int:
        return len(self.values)

    def present(self) -> Tensor | None:
        """Which rows have a value, bool ``[rows]``; None where all have."""
        kind = KINDS[self.kind]
        present = torch.cat([kind.present(block) for block in in_blocks(self.values)])
        return None if bool(present.all()) else present

    @property
    def reach(self) -> tuple[int, int]:
        """How many rows before and after its own a row's value is made of; more than (0, 0) for windows only."""
        window = self.options.get("window")
        if not isinstance(window, list):
            return 0, 0
        first, end = (cast("int", step) for step in window)
        return max(0, -first), max(0, end - 1)

    def info(self, name: str, rows: Tensor | None = None, train: Tensor | None = None) -> FieldInfo:
        """What the field is, for those who do not need its values.

        Args:
            name: The field's.
            rows: int64, the rows whose missing values count; all where None.
            train: int64, the rows whose classes are counted; none where None.
        """
        present = self.present()
        present = present if present is None or rows is None else present[rows]
        missing = 0 if present is None else int((~present).sum())
        columns = self._columns_of(rows)
        return FieldInfo(
            name=name,
            kind=self.kind,
            value=ValueInfo(
                shape=tuple(self.values.shape[1:]),
                dtype=str(self.values.dtype).removeprefix("torch."),
                classes=KINDS[self.kind].num_codes(self),
                **({} if train is None else self._class_counts(train)),
                gaps=any(column.missing > missing for column in columns),
            ),
            classes=self.classes,
            range=self.range,
            missing=missing,
            columns=columns,
            options=self.options,
            notes=self.notes,
            alphabetical=self.alphabetical,
        )

    def _class_counts(self, rows: Tensor) -> dict[str, Any]:
        """How many of the rows, or of their positions, each class has, and how many were counted."""
        if self.kind not in {"category", "mask", "token_labels", "multilabel"} or not self.classes:
            return {}
        counts, counted = torch.zeros(len(self.classes), dtype=torch.int64), 0
        for values in in_blocks(self.values, rows):
            if self.kind == "multilabel":
                known = values[~values.isnan().any(1)]
                counts += known.long().sum(0)
            else:
                known = values[values >= 0]
                counts += torch.bincount(known, minlength=len(self.classes))
            counted += len(known)
        return {"class_counts": dict(zip(self.classes, counts.tolist(), strict=True)), "counted": counted}

    def _columns_of(self, rows: Tensor | None) -> tuple[FieldInfo, ...]:
        """What a table's columns are, each with its missing values."""
        if not self.columns:
            return ()
        missing = sum(block.isnan().sum(0) for block in in_blocks(self.values, rows))
        counts = torch.as_tensor(missing).tolist()
        return tuple(replace(column, missing=count) for column, count in zip(self.columns, counts, strict=True))
