"""How hard each row is, as the data file says: from a field, from a column, or by a function of the user's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.core import DataError, UntrustedNameError, did_you_mean, resolve_function
from jumpml.data.kinds import Column

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from torch import Tensor

    from jumpml.core import Dataset, DataSpec, Mistake
    from jumpml.data._files import FileColumn
    from jumpml.data._part import Part


def difficulty_column(dataset: Dataset) -> str | None:
    """The source's column that says how hard rows are, where no field reads it."""
    name = dataset.difficulty.column if dataset.difficulty else None
    return None if name in dataset.fields else name


def difficulty_mistakes(
    spec: DataSpec, name: str, columns: Collection[str] | None, trust: Collection[str]
) -> Iterator[Mistake]:
    """What is wrong with how a data set says it.

    Args:
        spec: The file.
        name: The data set.
        columns: The source's; None where they are not known.
        trust: Packages that functions may come from.
    """
    dataset = spec.datasets[name]
    told, path = dataset.difficulty, ("datasets", name, "difficulty")
    if told is None:
        return
    if told.python is not None:
        try:
            resolve_function(told.python, trust)
        except UntrustedNameError as error:
            yield spec.mistake((*path, "python"), str(error))
    elif told.column in dataset.fields:
        kind = dataset.fields[str(told.column)].kind
        if kind != "number":
            problem = f"expected a number field or a column of the source, got {told.column!r}, a {kind}."
            yield spec.mistake((*path, "column"), problem)
    elif columns is not None and told.column not in columns:
        known = {*dataset.fields, *columns}
        problem = f"there is no field and no column {told.column!r}."
        yield spec.mistake((*path, "column"), problem, did_you_mean(str(told.column), known))


def read_difficulty(
    spec: DataSpec, parts: Mapping[str, Part], columns: Mapping[str, Column | FileColumn], trust: Collection[str]
) -> Tensor | None:
    """How hard each row of all data sets is, float64 ``[rows]``: NaN where one says nothing, None where all do.

    Args:
        spec: The file.
        parts: The data sets, read.
        columns: The decoded fields of all their rows, one after the other.
        trust: Packages that functions may come from.

    Raises:
        DataError: A function fails, or gives something else than a number for each row.
    """
    if all(dataset.difficulty is None for dataset in spec.datasets.values()):
        return None
    found, start = [], 0
    for name, part in parts.items():
        rows = slice(start, start + part.count)
        values = {field: c.values[rows] for field, c in columns.items() if isinstance(c, Column)}
        found.append(_of_part(spec.datasets[name], name, part, values, trust))
        start += part.count
    return torch.cat(found)


def _of_part(dataset: Dataset, name: str, part: Part, values: Mapping[str, Tensor], trust: Collection[str]) -> Tensor:
    told = dataset.difficulty
    if told is None:
        return torch.full((part.count,), torch.nan, dtype=torch.float64)
    if told.python is not None:
        own = {field: values[field] for field in dataset.fields if field in values}
        return _called(told.python, name, own, part.count, trust)
    if part.difficulty is not None:
        return part.difficulty.double()
    return values[str(told.column)][:, 0].double()


def _called(python: str, name: str, values: Mapping[str, Tensor], count: int, trust: Collection[str]) -> Tensor:
    where = f"data set {name!r}, difficulty: {python}"
    try:
        given = resolve_function(python, trust)(dict(values))
        found = torch.as_tensor(given, dtype=torch.float64)
    except Exception as error:  # a function of the user's may fail in any way
        raise DataError(f"{where} failed: {type(error).__name__}: {error}") from error
    if found.shape not in {(count,), (count, 1)}:
        raise DataError(f"{where}: expected a number for each of {count} rows, got the shape {[*found.shape]}.")
    return found.reshape(count)
