"""Fields as numbers and names, one a row: what statistics can be asked of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

from jumpml.data.splits._splits import SPLITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from jumpml.core import FieldInfo
    from jumpml.data._loaders import DataLoaders

ROWS = 100_000  # that are looked at, at most
LARGE = 64  # numbers a row: of a field with more, some measures are taken instead of each number
LARGE_ROWS = 500  # and of fewer rows, for each may be a file that is read and decoded
CELLS = 20_000_000  # rows times columns of a table: 160 MB of numbers
BLOCK_ROWS = 4096
PLAIN = ("number", "category", "date", "table", "multilabel")  # whose values are variables as they are
NEVER = torch.iinfo(torch.int64).min  # a missing date


@final
@dataclass(frozen=True, kw_only=True)
class Variable:
    """One number or one name a row.

    Attributes:
        name, field, kind: As in `VariableProfile`.
        values: float64 ``[rows]``: numbers, codes or seconds; NaN where missing.
        splits: int8 ``[rows]``, the position of each row's split in `SPLITS`.
        order: int64 ``[rows]``, row numbers in the data set.
        missing: The share of all rows without a value.
        classes: The names behind codes.
        is_measure: Whether the numbers are no values of the data, but taken of larger ones.
    """

    name: str
    field: str
    kind: str
    values: NDArray[np.float64]
    splits: NDArray[np.int8]
    order: NDArray[np.int64]
    missing: float
    classes: tuple[str, ...] = ()
    is_measure: bool = False

    def of(self, split: str) -> NDArray[np.float64]:
        """The values of a split's rows."""
        return self.values[self.splits == SPLITS.index(split)]

    @property
    def known(self) -> NDArray[np.float64]:
        """The values that are there."""
        return self.values[~np.isnan(self.values)]


@final
class Sampler:
    """Draws rows of all splits, in proportion, the same for all fields of one size.

    Args:
        loaders: The data.
        rows: How many, at most.
    """

    def __init__(self, loaders: DataLoaders, rows: int) -> None:
        self._loaders = loaders
        self._rows = rows
        self._chosen: dict[int, dict[str, Tensor]] = {}

    def count(self, info: FieldInfo) -> int:
        """How many rows of a field are looked at."""
        return sum(len(positions) for positions in self._positions(info).values())

    def variables(self, info: FieldInfo) -> Iterator[Variable]:
        """What a field is measured by."""
        positions = self._positions(info)
        measure = _measure(info)
        blocks = {split: self._blocks(info, split, chosen) for split, chosen in positions.items()}
        columns = np.concatenate(
            [measure(block.cpu()).double().numpy() for split in SPLITS for block in blocks[split]], axis=0
        )
        splits = np.repeat(np.arange(3, dtype=np.int8), [len(positions[split]) for split in SPLITS])
        order = torch.cat([self._loader(split).rows[positions[split]] for split in SPLITS]).numpy()
        total = sum(len(self._loader(split).rows) for split in SPLITS)
        for index, (name, kind, classes, missing) in enumerate(_told(info, columns.shape[1])):
            yield Variable(
                name=name,
                field=info.name,
                kind=kind,
                values=np.ascontiguousarray(columns[:, index]),
                splits=splits,
                order=order,
                missing=min(1.0, missing / total),
                classes=classes,
                is_measure=not (_each(info) or info.kind in PLAIN),
            )

    def _loader(self, split: str) -> Any:
        return getattr(self._loaders, split)

    def _positions(self, info: FieldInfo) -> Mapping[str, Tensor]:
        size = math.prod(info.value.shape)
        small = size <= LARGE or info.kind in {"table", "multilabel", "text"}
        most = min(self._rows, CELLS // max(1, size)) if small else min(self._rows, LARGE_ROWS)
        if most not in self._chosen:
            counts = {split: len(self._loader(split).rows) for split in SPLITS}
            share = min(1.0, most / sum(counts.values()))
            self._chosen[most] = {s: _some(count, max(1, int(count * share))) for s, count in counts.items()}
        return self._chosen[most]

    def _blocks(self, info: FieldInfo, split: str, positions: Tensor) -> Iterator[Tensor]:
        loader, some = self._loader(split), max(1, BLOCK_ROWS * LARGE // max(LARGE, math.prod(info.value.shape)))
        return (loader.take(info.name, part) for part in positions.split(some))


def _some(count: int, wanted: int) -> Tensor:
    """Positions of some rows, in order; the same each time."""
    if wanted >= count:
        return torch.arange(count)
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:wanted].sort().values


def _measure(info: FieldInfo) -> Callable[[Tensor], Tensor]:
    """What turns decoded values into a column a variable, NaN where missing."""
    if info.kind == "category":
        return lambda codes: codes.double().masked_fill(codes < 0, math.nan).unsqueeze(1)
    if info.kind == "date":
        return lambda seconds: seconds.double().masked_fill(seconds == NEVER, math.nan).unsqueeze(1)
    if info.kind == "text":
        how: Any = info.options.get("tokenizer", {})
        return lambda tokens: (tokens != how.get("padding", 0)).sum(1, keepdim=True)
    if info.kind in {"mask", "token_labels"}:
        return lambda codes: _shares(codes.flatten(1), len(_codes(info)))
    if info.kind in PLAIN or _each(info):
        return lambda values: values.flatten(1)
    return lambda values: _mean_and_spread(values.flatten(1).double())


def _shares(codes: Tensor, classes: int) -> Tensor:
    """Each class's share of a row's places whose class is known."""
    counts = torch.stack([(codes == code).sum(1) for code in range(classes)], dim=1)
    return counts.double() / (codes >= 0).sum(1, keepdim=True)


def _mean_and_spread(values: Tensor) -> Tensor:
    """Of a row's known values."""
    mean = values.nanmean(1, keepdim=True)
    return torch.cat([mean, (values - mean).square().nanmean(1, keepdim=True).sqrt()], dim=1)


def _told(info: FieldInfo, width: int) -> list[tuple[str, str, tuple[str, ...], int]]:
    """Of each variable: name, kind, classes, and how many rows lack it."""
    name, missing = info.name, info.missing
    if info.kind == "table":
        return [(f"{name}.{each.name}", each.kind, each.classes, each.missing) for each in info.columns]
    if info.kind == "multilabel":
        return [(f"{name}.{label}", "category", ("no", "yes"), missing) for label in info.classes]
    if info.kind in {"mask", "token_labels"}:
        return [(f"{name} (share of {info.classes[code]})", "number", (), missing) for code in _codes(info)]
    if info.kind == "text":
        return [(f"{name} (tokens)", "number", (), missing)]
    if width == 1:
        return [(name, info.kind if info.kind in {"category", "date"} else "number", info.classes, missing)]
    if _each(info):
        return [(f"{name}[{place}]", "number", (), missing) for place in range(width)]
    return [(f"{name} ({what})", "number", (), missing) for what in ("mean", "spread")]


def _each(info: FieldInfo) -> bool:
    """Whether each number of a row is a variable of its own."""
    return info.kind == "tensor" and math.prod(info.value.shape) <= LARGE


def _codes(info: FieldInfo) -> range:
    return range(min(len(info.classes), LARGE))
