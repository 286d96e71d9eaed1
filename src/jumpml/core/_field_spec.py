"""The data file's fields: what a column is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveInt

from jumpml.core._spec import Spec


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] >= ends[1]:
        raise ValueError(f"expected the lower end first, such as [0, 255], got [{ends[0]:g}, {ends[1]:g}]")
    return ends


class NumberField(Spec):
    """A number a row; decoded to float32 `[batch, 1]`, missing values as NaN."""

    kind: Literal["number"]
    """The field\'s kind."""
    column: str | None = None
    """The source's column; the field's own name where it is left out."""


class CategoryField(Spec):
    """One of a few names a row; decoded to int64 codes `[batch]`, missing values as -1."""

    kind: Literal["category"]
    """The field\'s kind."""
    column: str | None = None
    """The source's column; the field's own name where it is left out."""
    classes: tuple[str, ...] | None = None
    """The names in the order of their codes; sorted from the data where it is left out."""


class ImageField(Spec):
    """A picture a row; decoded to float32 `[batch, channels, height, width]` in [0, 1]."""

    kind: Literal["image"]
    """The field\'s kind."""
    column: str | None = None
    """The source's column; the field's own name where it is left out."""
    shape: tuple[PositiveInt, PositiveInt, PositiveInt]
    """Channels, height and width of one picture."""
    range: Annotated[tuple[float, float], AfterValidator(_ascending)] = (0.0, 255.0)
    """The raw values that become 0 and 1."""


class TensorField(Spec):
    """An array of numbers a row; decoded to float32 `[batch, *shape]`."""

    kind: Literal["tensor"]
    """The field\'s kind."""
    column: str | None = None
    """The source's column; the field's own name where it is left out."""
    shape: tuple[PositiveInt, ...]
    """The shape of one row's array."""


FieldSpec = Annotated[NumberField | CategoryField | ImageField | TensorField, Field(discriminator="kind")]
