"""Decoded rows as the exported model reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from jumpml.core import derive_seed

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray
    from torch import Tensor

    from jumpml.data import DataLoaders


GOLDEN_ROWS = 8  # that a bundle holds with their outputs


def golden_rows(count: int) -> list[int]:
    """Which of so many test rows a bundle holds with their outputs: evenly spaced ones."""
    return np.unique(np.linspace(0, count - 1, GOLDEN_ROWS).astype(int)).tolist()


def decoded_rows(
    loaders: DataLoaders, split: str, fields: Collection[str], most: int | None = None
) -> dict[str, NDArray]:
    """Values before features, without augmentation, in the split's plain order.

    Args:
        loaders: The data.
        split: ``train``, ``val`` or ``test``.
        fields: Which.
        most: Where there are more rows, so many are drawn by the data's seed.

    Returns:
        By field, ``[rows, ...]``.
    """
    rows = row_positions(loaders, split, most)
    return {field: getattr(loaders, split).take(field, rows).cpu().numpy() for field in fields}


def row_positions(loaders: DataLoaders, split: str, most: int | None = None) -> Tensor:
    """Which rows `decoded_rows` takes: positions in the split's plain order."""
    rows = torch.arange(len(getattr(loaders, split).rows))
    if most is not None and most < len(rows):
        generator = torch.Generator().manual_seed(derive_seed(loaders.seed, "deploy", split))
        rows = torch.randperm(len(rows), generator=generator)[:most].sort().values
    return rows
