"""Rows of a split as a model reads them, some at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from torch import Tensor

    from jumpml.data import DataLoaders

CHUNK = 1024  # rows that are featurised at once, so that a large split is never held twice
MOMENT_ROWS = 8192  # train rows that moments are of; more would change them little


def featurised(loaders: DataLoaders, split: str, fields: Iterable[str], positions: Tensor) -> dict[str, Tensor]:
    """Some rows of a split, without augmentation, on the data's device.

    Args:
        loaders: The data.
        split: ``train``, ``val`` or ``test``.
        fields: Which fields.
        positions: int64 ``[n]``, in the split's plain order.
    """
    loader = getattr(loaders, split)
    return {name: loaders.features.apply_to(name, loader.take(name, positions)) for name in fields}


def sample_positions(
    loaders: DataLoaders, split: str, most: int, generator: torch.Generator, *, fields: Collection[str] = ()
) -> Tensor:
    """Positions of so many rows of a split, or of all where there are fewer, in random order.

    Args:
        loaders: The data.
        split: ``train``, ``val`` or ``test``.
        most: So many.
        generator: What is drawn from.
        fields: Only rows whose data set has all of these.
    """
    rows = _rows_with(loaders, split, fields)
    return rows[torch.randperm(len(rows), generator=generator)[:most]]


def _rows_with(loaders: DataLoaders, split: str, fields: Collection[str]) -> Tensor:
    covered = loaders.covered(fields, split)
    return torch.arange(len(getattr(loaders, split).rows)) if covered is None else covered.nonzero().squeeze(1)


def train_moments(loaders: DataLoaders, field: str) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each number of a field, as a model reads it, on the CPU.

    They are those of the train rows, or of so many of them, evenly apart, where there are more.
    """
    rows = _rows_with(loaders, "train", [field])
    apart = torch.linspace(0, len(rows) - 1, min(len(rows), MOMENT_ROWS), dtype=torch.float64).round().long()
    chosen = rows[apart]
    mean = sum(values.sum(0) for values in _train_chunks(loaders, field, chosen)) / len(chosen)
    variance = sum((values - mean).square().sum(0) for values in _train_chunks(loaders, field, chosen)) / len(chosen)
    return torch.as_tensor(mean).float(), torch.as_tensor(variance).sqrt().float()


def _train_chunks(loaders: DataLoaders, field: str, positions: Tensor) -> Iterator[Tensor]:
    for chunk in positions.split(CHUNK):
        yield featurised(loaders, "train", [field], chunk)[field].cpu().double()
