"""The data file's sources: where rows come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from jumpml.core._spec import Spec


class SklearnSource(Spec):
    """A data set that scikit-learn ships; nothing is downloaded."""

    kind: Literal["sklearn"]
    """The source\'s kind."""
    name: Literal["breast_cancer", "diabetes", "digits", "iris", "wine"]
    """Which one. Columns: each feature by its name, `data` (all features), `target`, and `images` for the digits."""


class CsvSource(Spec):
    """A table in a text file with a header line."""

    kind: Literal["csv"]
    """The source\'s kind."""
    path: str
    """The file, from the data file's folder."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """What separates two values."""
    missing: tuple[str, ...] = ("", "NA", "NaN", "nan", "null", "?")
    """The texts that stand for a missing value."""


class NpzSource(Spec):
    """Arrays in a NumPy file; every array is a column, its first axis the rows."""

    kind: Literal["npz"]
    """The source\'s kind."""
    path: str
    """The file, from the data file's folder. Pickled objects in it are refused."""


SourceSpec = Annotated[SklearnSource | CsvSource | NpzSource, Field(discriminator="kind")]
