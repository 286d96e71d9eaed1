"""A data file's source, opened, with the columns that the fields need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml.core import did_you_mean
from jumpml.data.sources._csv import CsvSource, delimiter_problem
from jumpml.data.sources._source import NpzSource, SklearnSource, Source

if TYPE_CHECKING:
    from pathlib import Path

    from jumpml.core import DataSpec, Mistake


def open_source(spec: DataSpec) -> tuple[Source | None, list[Mistake]]:
    """Open the source and look for the columns.

    Returns:
        The source, None where its file is missing; and what is missing.

    Raises:
        DataError: The file is damaged.
    """
    name, dataset = next(iter(spec.datasets.items()))
    told: Any = dataset.source
    if told.kind == "sklearn":
        source: Source = SklearnSource(told.name)
    else:
        path = spec.folder / told.path
        if not path.is_file():
            problem = f"there is no file {told.path!r} in the folder {str(spec.folder)!r}."
            return None, [spec.mistake(("datasets", name, "source", "path"), problem, _near(path))]
        if told.kind == "csv":
            problem = delimiter_problem(told.delimiter)
            if problem:
                return None, [spec.mistake(("datasets", name, "source", "delimiter"), problem)]
            source = CsvSource(path, told.delimiter, told.missing)
        else:
            source = NpzSource(path)
    return source, _missing_columns(spec, source.columns())


def column_of(name: str, field: Any) -> str:
    """The source's column that a field reads."""
    return name if field.column is None else field.column


def _missing_columns(spec: DataSpec, known: tuple[str, ...]) -> list[Mistake]:
    name, dataset = next(iter(spec.datasets.items()))
    wanted: list[tuple[tuple[str, ...], str]] = [
        (("fields", field, "column"), column_of(field, told)) for field, told in dataset.fields.items()
    ]
    if dataset.split.column is not None:
        wanted.append((("split", "column"), dataset.split.column))
    return [
        spec.mistake(("datasets", name, *path), f"the source has no column {column!r}.", did_you_mean(column, known))
        for path, column in wanted
        if column not in known
    ]


def _near(path: Path) -> str:
    there = [other.name for other in path.parent.iterdir() if other.is_file()] if path.parent.is_dir() else []
    near = did_you_mean(path.name, there)
    return near if near.startswith("Did") else ""
