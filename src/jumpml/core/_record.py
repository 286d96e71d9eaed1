"""What all records share: their base, a figure, and a line to draw."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

Grid = tuple[tuple[float, ...], ...]


class Record(BaseModel):
    """The base of all records."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants", use_attribute_docstrings=True)


class Figure(Record):
    """A measured number with its 95% interval."""

    value: float
    """The measurement."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    n: int
    """Rows it was measured on."""

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"

    def __float__(self) -> float:
        return self.value


class Curve(Record):
    """A line to draw."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    x_label: str
    y_label: str
    label: str = ""
    """What the line is, where several share a picture."""
