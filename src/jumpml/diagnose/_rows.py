"""Moments of the train rows as a model reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.evaluate import featurised, rows_with

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from jumpml.data import DataLoaders

CHUNK = 1024  # rows that are featurised at once, so that a large split is never held twice
MOMENT_ROWS = 8192  # train rows that moments are of; more would change them little


def train_moments(loaders: DataLoaders, field: str) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each number of a field, as a model reads it, on the CPU.

    They are those of the train rows, or of so many of them, evenly apart, where there are more.
    """
    rows = rows_with(loaders, "train", [field])
    apart = torch.linspace(0, len(rows) - 1, min(len(rows), MOMENT_ROWS), dtype=torch.float64).round().long()
    chosen = rows[apart]
    mean = sum(values.sum(0) for values in _train_chunks(loaders, field, chosen)) / len(chosen)
    variance = sum((values - mean).square().sum(0) for values in _train_chunks(loaders, field, chosen)) / len(chosen)
    return torch.as_tensor(mean).float(), torch.as_tensor(variance).sqrt().float()


def _train_chunks(loaders: DataLoaders, field: str, positions: Tensor) -> Iterator[Tensor]:
    for chunk in positions.split(CHUNK):
        yield featurised(loaders, "train", [field], chunk)[field].cpu().double()
