"""One of a few names a row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

from jumpml.core import DataError, FieldInfo, ValueInfo, did_you_mean
from jumpml.data.kinds._kind import Decoded, Kind, is_missing, shape_problem
from jumpml.data.kinds._numbers import number_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from pydantic import JsonValue
    from torch import Tensor

    from jumpml.data.kinds._column import Column
    from jumpml.data.kinds._raw_column import RawColumn

OWN_CLASS = 0.5  # classes per row: above it a category tells rows apart rather than grouping them
NAMES_SHOWN = 5


@final
class CategoryKind(Kind):
    """One of a few names a row: int64 codes ``[rows]``, -1 where missing."""

    name = "category"
    gives = "codes"
    dtype = torch.int64
    form = "[rows]"
    absent = -1

    def decode(self, raws: Sequence[RawColumn], told: Any, train: NDArray[np.int64] | None = None) -> Decoded:
        """The codes."""
        return decode_category(raws[0], told.classes, told.rename)

    def expected(self, told: Any) -> ValueInfo:
        """One code."""
        return ValueInfo(shape=(), dtype="int64")

    def by_blocks(self, told: Any) -> bool:
        """Where the file names the classes."""
        return told.classes is not None

    def mistakes(self, told: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """Two classes of one name; a new name that is no class, or that is renamed itself."""
        yield from twice_named(told.classes or ())
        yield from misnamed(told.rename, told.classes)

    def problem(self, values: Tensor, column: Column) -> str:
        """A code a row, of a class or -1."""
        if values.ndim != 1:
            return shape_problem(self.form, column.values)
        return codes_problem(values, column.classes)

    def present(self, values: Tensor) -> Tensor:
        """Where the code is not -1."""
        return values >= 0

    def raw(self, info: FieldInfo, values: NDArray) -> list[JsonValue]:
        """The names; null where missing."""
        return [info.classes[code] if code >= 0 else None for code in values.tolist()]

    def num_codes(self, column: Column) -> int | None:
        """One a class."""
        return len(column.classes) or None

    def findings(self, info: FieldInfo, train: Iterable[Tensor], count: int) -> Iterator[str]:
        """Classes that no train row has; a category that tells rows apart."""
        yield from unseen(info.classes, rows_of_classes(train, len(info.classes)))
        if len(info.classes) > OWN_CLASS * count:
            yield f"{len(info.classes)} classes in {count} rows; is it an identifier?"


def decode_category(
    raw: RawColumn, classes: Sequence[str] | None = None, rename: Mapping[str, str] | None = None
) -> Decoded:
    """One name a row; None and NaN are missing.

    Args:
        raw: Texts, booleans or numbers; a whole number is written as one (``3``, not ``3.0``).
        classes: The names in the order of their codes; from the data where None, numbers in their order, else sorted.
        rename: Names by what the column holds, where it holds another; None where nobody can give any.

    Raises:
        DataError: A value is none of ``classes``, or a row holds several values.
    """
    if raw.values.ndim != 1:
        shape = list(raw.values.shape[1:])
        raise DataError(f"{raw.where}: expected one value a row for a category, got rows of shape {shape}.")
    held, codes, present = _names(raw)
    names = [(rename or {}).get(name, name) for name in held]
    known = tuple(classes) if classes is not None else in_order(names)
    index = {name: code for code, name in enumerate(known)}
    lookup = np.array([index.get(name, -1) for name in names], dtype=np.int64)
    decoded = np.full(len(raw.values), -1, dtype=np.int64)
    decoded[present] = lookup[codes]
    for row in np.flatnonzero(present & (decoded < 0)):
        name = held[codes[np.count_nonzero(present[:row])]]
        raw.reject(int(row), unknown_class(name, known, rename))
    return Decoded(
        values=torch.from_numpy(decoded),
        classes=known,
        options=renaming(rename or {}),
        alphabetical=classes is None and is_alphabetical(known),
    )


def is_alphabetical(classes: Iterable[str]) -> bool:
    """Whether `in_order` had letters to go by: some of the classes are no numbers."""
    return any(_class_order(name)[0] for name in classes)


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Class names in the order of their codes: numbers by their value before texts by their letters."""
    return tuple(sorted(set(names), key=_class_order))


def unknown_class(name: str, known: Sequence[str], rename: Mapping[str, str] | None) -> str:
    """The complaint about what is neither the name of a class nor renamed to one."""
    near = did_you_mean(name, [*known, *(rename or {})])
    fix = None if rename is None else "If it is another way of writing one, the field's `rename` can say so."
    return " ".join(filter(None, [f"expected one of the {len(known)} classes, got {name!r}.", near, fix]))


def renaming(rename: Mapping[str, str]) -> dict[str, JsonValue]:
    """What a bundle needs to know of other names; nothing where there are none."""
    return {"rename": dict(rename)} if rename else {}


def misnamed(
    rename: Mapping[str, str], classes: Sequence[str] | None
) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Mistakes in what a file renames: what comes out must be a class, and stay what it is when it is read again."""
    for held, name in rename.items():
        if rename.get(name, name) != name:
            yield ("rename", held), f"{name!r} is renamed too, to {rename[name]!r}; which of the two is meant?", ""
        elif classes is not None and name not in classes:
            yield ("rename", held), f"{name!r} is none of the classes.", did_you_mean(name, classes)


def name_of(value: object) -> str:
    """A value as a class's name: a whole number as one."""
    return str(int(value)) if isinstance(value, (float, np.floating)) and value.is_integer() else str(value)


def twice_named(classes: Sequence[str]) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """A mistake where the file names a class twice."""
    twice = next((name for name in classes if classes.count(name) > 1), None)
    if twice is not None:
        yield ("classes",), f"the class {twice!r} stands twice.", ""


def codes_problem(values: Tensor, classes: Sequence[str]) -> str:
    """Why codes cannot be those of some classes, or -1; empty where they can."""
    if len(set(classes)) != len(classes):
        return f"expected different names of classes, got {', '.join(classes)}."
    low, high = (int(values.amin()), int(values.amax())) if values.numel() else (-1, -1)
    if low < -1 or high >= len(classes):
        return f"expected codes from -1 (missing) to {len(classes) - 1} (the last class), got {low} to {high}."
    return ""


def rows_of_classes(blocks: Iterable[Tensor], classes: int) -> list[int]:
    """How often each code stands in blocks of codes."""
    return sum((torch.bincount(codes, minlength=classes) for codes in blocks), torch.zeros(classes)).tolist()


def unseen(classes: Sequence[str], counts: Sequence[int]) -> Iterator[str]:
    """A sentence about classes that no train row has."""
    names = [name for name, rows in zip(classes, counts, strict=True) if not rows]
    if names:
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        yield f"no train row has the class {', '.join(names[:NAMES_SHOWN])}{more}."


def _names(raw: RawColumn) -> tuple[list[str], NDArray, NDArray]:
    """The different values as text, each present row's index into them, and which rows are present."""
    values = raw.values
    if values.dtype.kind == "O":
        present = np.array([_is_name(raw, row, value) for row, value in enumerate(values)], dtype=bool)
        # As texts, since values of several types have no order.
        values = np.array(
            [name_of(value) if known else "" for value, known in zip(values, present, strict=True)], object
        )
    elif values.dtype.kind == "f":
        present = ~np.isnan(values)
    elif values.dtype.kind in "biuU":
        present = np.ones(len(values), dtype=bool)
    else:
        raise DataError(f"{raw.where}: expected texts or numbers for a category, got {values.dtype}.")
    distinct, codes = np.unique(values[present], return_inverse=True)
    return [name_of(value) for value in distinct], codes, present


def _is_name(raw: RawColumn, row: int, value: object) -> bool:
    if isinstance(value, (list, tuple, dict, np.ndarray)):
        raw.reject(row, f"expected one value for a category, got {str(value)[:60]}.")
        return False
    return not is_missing(value)


def _class_order(name: str) -> tuple[int, float, str]:
    """``9`` stands before ``10``."""
    number = number_in(name)
    return (1, 0.0, name) if number is None or not math.isfinite(number) else (0, number, name)
