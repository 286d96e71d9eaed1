"""What is suspicious in a data set, without being an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.data.splits._duplicates import row_groups, rows_in_both

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from jumpml.core import FieldInfo
    from jumpml.data._loaders import DataLoaders

MANY_MISSING = 0.05  # of the rows
OWN_CLASS = 0.5  # classes per row: above it a category tells rows apart rather than grouping them


def find(loaders: DataLoaders) -> list[str]:
    """A sentence for each suspicious thing."""
    splits = {"train": loaders.train, "val": loaders.val, "test": loaders.test}
    found: list[str] = []
    for name, info in loaders.fields.items():
        values = {split: loader.decoded(name) for split, loader in splits.items()}
        found += [f"{name}: {problem}" for problem in _of_field(info, values)]
    columns = [torch.cat([loader.decoded(name) for loader in splits.values()]) for name in loaders.fields]
    rows = torch.cat([loader.rows for loader in splits.values()])
    groups = row_groups(columns)
    ends = torch.tensor([len(loader.rows) for loader in splits.values()]).cumsum(0)
    train, val, test = torch.arange(len(rows)).tensor_split(ends[:-1])
    for split, positions in (("val", val), ("test", test)):
        pairs = rows_in_both(groups, train, positions)
        if pairs:
            first, second = (int(rows[position]) for position in pairs[0])
            found.append(
                f"{split} rows that also stand in train: {len(pairs)}, such as row {second} (train row {first})."
            )
    return found


def _of_field(info: FieldInfo, values: dict[str, Tensor]) -> Iterator[str]:
    count = sum(len(part) for part in values.values())
    train = values["train"]
    if info.missing >= MANY_MISSING * count:
        yield f"{info.missing} of {count} values are missing ({info.missing / count:.0%})."
    for split in ("val", "test"):
        if bool(_missing(values[split]).all()):
            yield f"no {split} row has a value."
    known = train[~_missing(train)]
    if bool((known == known[:1]).all()):
        yield "all train rows have the same value."
    if info.kind == "category":
        yield from _of_classes(info, known, count)


def _of_classes(info: FieldInfo, codes: Tensor, count: int) -> Iterator[str]:
    counts = torch.bincount(codes, minlength=len(info.classes)).tolist()
    unseen = [name for name, rows in zip(info.classes, counts, strict=True) if not rows]
    if unseen:
        told = ", ".join(unseen[:5]) + (f" and {len(unseen) - 5} more" if len(unseen) > 5 else "")
        yield f"no train row has the class {told}."
    if len(info.classes) > OWN_CLASS * count:
        yield f"{len(info.classes)} classes in {count} rows; is it an identifier?"


def _missing(values: Tensor) -> Tensor:
    """Bool ``[rows]``; an image or a tensor is never missing."""
    if values.dtype == torch.int64:
        return values < 0
    return values.flatten(1).isnan().all(dim=1)
