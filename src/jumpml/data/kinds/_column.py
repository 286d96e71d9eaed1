"""One decoded field: its tensor for every row, and what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from jumpml.core import DataError, FieldInfo, ValueInfo, did_you_mean

KINDS = ("number", "category", "image", "tensor")


@final
@dataclass(frozen=True)
class Column:
    """A field's decoded values, one row each, with missing values in band.

    Attributes:
        values: number: float32 ``[rows, 1]``, NaN where missing; category: int64 ``[rows]``, codes into ``classes``,
            -1 where missing; image: float32 ``[rows, channels, height, width]`` in [0, 1]; tensor: float32
            ``[rows, *shape]``.
        kind: ``number``, ``category``, ``image`` or ``tensor``.
        classes: The names behind a category's codes, else empty.
        range: The raw values that an image's 0 and 1 stand for, else None.

    Raises:
        DataError: The values are not what the kind asks for.

    Example:
        >>> Column(torch.tensor([0, 1, -1]), "category", classes=("no", "yes")).info("sick").missing
        1
    """

    values: Tensor
    kind: str
    classes: tuple[str, ...] = ()
    range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"a column's kind: got {self.kind!r}. {did_you_mean(self.kind, KINDS)}")
        problem = self._problem()
        if problem:
            raise DataError(f"a column of kind {self.kind}: {problem}")

    def __len__(self) -> int:
        return len(self.values)

    def present(self) -> Tensor | None:
        """Which rows have a value, bool ``[rows]``; None where all have."""
        if self.kind == "category":
            present = self.values >= 0
        elif self.kind == "number":
            present = ~torch.isnan(self.values[:, 0])
        else:
            return None
        return None if bool(present.all()) else present

    def info(self, name: str) -> FieldInfo:
        """What the field is, for those who do not need its values."""
        present = self.present()
        return FieldInfo(
            name=name,
            kind=self.kind,
            value=ValueInfo(
                shape=tuple(self.values.shape[1:]),
                dtype=str(self.values.dtype).removeprefix("torch."),
                classes=len(self.classes) or None,
            ),
            classes=self.classes,
            range=self.range,
            missing=0 if present is None else int((~present).sum()),
        )

    def _problem(self) -> str:
        values, shape = self.values, tuple(self.values.shape)
        dtype = torch.int64 if self.kind == "category" else torch.float32
        if values.dtype != dtype:
            return f"expected values of {dtype}, got {values.dtype}."
        dims = {"number": (2,), "category": (1,), "image": (4,), "tensor": range(2, 9)}[self.kind]
        if values.ndim not in dims or (self.kind == "number" and shape[1] != 1):
            form = {
                "number": "[rows, 1]",
                "category": "[rows]",
                "image": "[rows, channels, height, width]",
                "tensor": "[rows, *shape]",
            }[self.kind]
            return f"expected values of shape {form}, got {list(shape)}."
        if self.kind == "category":
            return self._code_problem()
        if self.kind != "number" and not bool(torch.isfinite(values).all()):
            return "expected finite values, got NaN or infinity; only a number or a category may be missing."
        if bool(torch.isinf(values).any()):
            return "expected finite values (NaN where missing), got infinity."
        if self.kind == "image" and len(values) and not (float(values.amin()) >= 0 and float(values.amax()) <= 1):
            return f"expected values in [0, 1], got {float(values.amin()):g} to {float(values.amax()):g}."
        return ""

    def _code_problem(self) -> str:
        if len(set(self.classes)) != len(self.classes):
            return f"expected different names of classes, got {', '.join(self.classes)}."
        low, high = (int(self.values.amin()), int(self.values.amax())) if len(self) else (-1, -1)
        if low < -1 or high >= len(self.classes):
            return f"expected codes from -1 (missing) to {len(self.classes) - 1} (the last class), got {low} to {high}."
        return ""
