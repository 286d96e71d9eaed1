"""What a data file may say of a split: which keys act together, and what they may name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml.core import SplitSources, did_you_mean
from jumpml.data.sources import SPLIT_COLUMN
from jumpml.data.splits._keys import DECIDES
from jumpml.data.splits._splits import shares_problem
from jumpml.data.splits._strata import STRATIFIES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from jumpml.core import Dataset, DataSpec, FieldInfo, Mistake

Found = tuple[tuple[str | int, ...], str, str]  # key below `split`, problem, fix

CHANCE = {"stratify", "bins", "group", "seed"}
TAKES = {
    "sources": set[str](),
    "train sources": {"val"} | CHANCE,
    "column": {"values"},
    "time": {"train", "val", "test", "gap"},
    "stable": {"train", "val", "test", "seed"},
    "fold": {"val"} | CHANCE,
    "chance": {"train", "val", "test"} | CHANCE,
}
"""The keys that act, by what says which rows are for what: sources of their own, without one for val, a key, chance."""
NAMES = ("group", "time", "stable")
"""The keys that name a field or a column of the source."""


def way_of(dataset: Dataset) -> str:
    """What says which rows are for what: a key of `TAKES`."""
    if isinstance(dataset.source, SplitSources):
        return "train sources" if dataset.source.val is None else "sources"
    return next((way for way in TAKES if getattr(dataset.split, way, None) is not None), "chance")


def keeps_together(dataset: Dataset) -> bool:
    """Whether equal rows can be kept in one split, as only chance can."""
    return way_of(dataset) in {"fold", "chance"}


def deciding_column(dataset: Dataset) -> str | None:
    """The source's column that says which split a row is for."""
    return SPLIT_COLUMN if isinstance(dataset.source, SplitSources) else dataset.split.column


def split_columns(dataset: Dataset) -> list[str]:
    """The source's columns that a split needs beside those of the fields."""
    named = [getattr(dataset.split, key) for key in NAMES]
    column = deciding_column(dataset)
    return [*([] if column is None else [column]), *(name for name in named if name not in {None, *dataset.fields})]


def split_mistakes(dataset: Dataset, fields: Mapping[str, FieldInfo]) -> Iterator[Found]:
    """What is wrong in a split, as far as the file alone tells.

    Args:
        dataset: The data set.
        fields: What is known of its fields.
    """
    split, way = dataset.split, way_of(dataset)
    yield from _clashes(split, way)
    yield from _strata_mistakes(split, fields)
    for key in NAMES:
        name = getattr(split, key)
        if name in fields and fields[name].kind not in DECIDES:
            expected = f"expected a field of kind {_either(DECIDES)}, or a column of the source"
            yield (key,), f"{expected}; got {name!r} of kind {fields[name].kind}.", ""
    if split.fold is not None and split.fold.use >= split.fold.of:
        yield ("fold", "use"), f"expected a fold from 0 to {split.fold.of - 1}, got {split.fold.use}.", ""
    if {"train", "val", "test"} <= TAKES[way]:
        problem = shares_problem(split.train, split.val, split.test)
        if problem:
            yield (), problem, ""


def unknown_names(spec: DataSpec, name: str, columns: Collection[str]) -> list[Mistake]:
    """Keys of a split that name neither a field nor a column of the source.

    Args:
        spec: The file.
        name: The data set.
        columns: The source's.
    """
    split, known = spec.datasets[name].split, {*spec.datasets[name].fields, *columns}
    named = {key: getattr(split, key) for key in NAMES}
    return [
        spec.mistake(
            ("datasets", name, "split", key), f"there is no field and no column {told!r}.", did_you_mean(told, known)
        )
        for key, told in named.items()
        if told is not None and told not in known
    ]


def _clashes(split: Any, way: str) -> Iterator[Found]:
    if way == "chance":
        told = ""
    elif way in {"sources", "train sources"}:
        told = "each split has a source of its own"
    elif way == "fold":
        told = "`fold` says which rows the test has"
    else:
        told = f"`{way}: {getattr(split, way)}` says which rows are for what"
    defaults = type(split)()
    acting = TAKES[way] | {way, "duplicates"}
    for key in type(split).model_fields:
        if key in acting or getattr(split, key) == getattr(defaults, key):
            continue
        if key == "values":
            yield (key,), "they are the values of a column, and none is named.", "Name the `column`."
        elif way == "chance":  # only `gap` acts nowhere but in one way
            yield (key,), "the gap lies between splits by time, and this one is by chance.", "Name the `time`."
        else:
            yield (key,), f"{told}, so that this key would change nothing.", "Leave one of the two out."
    if split.duplicates == "together" and way not in {"fold", "chance"}:
        fix = f"{'Mend the column' if way == 'column' else 'Mend the source'}, or write `allow`."
        yield ("duplicates",), f"{told}, so that equal rows cannot be put together.", fix


def _strata_mistakes(split: Any, fields: Mapping[str, FieldInfo]) -> Iterator[Found]:
    for place, name in enumerate(stratified(split)):
        path = ("stratify",) if isinstance(split.stratify, str) else ("stratify", place)
        if name not in fields:
            yield path, f"there is no field {name!r}.", did_you_mean(name, fields)
        elif fields[name].kind not in STRATIFIES:
            expected = f"expected a field of kind {_either(STRATIFIES)}"
            yield path, f"{expected}; got {name!r} of kind {fields[name].kind}.", ""
    numbers = any(name in fields and fields[name].kind == "number" for name in stratified(split))
    if split.bins != type(split)().bins and not numbers:
        yield ("bins",), "only a number is put into bins, and no number stands in `stratify`.", "Leave `bins` out."


def stratified(split: Any) -> tuple[str, ...]:
    """The fields that keep their shares."""
    if split.stratify is None:
        return ()
    return (split.stratify,) if isinstance(split.stratify, str) else split.stratify


def _either(kinds: tuple[str, ...]) -> str:
    return f"{', '.join(kinds[:-1])} or {kinds[-1]}"
