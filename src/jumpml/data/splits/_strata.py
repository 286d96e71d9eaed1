"""Decoded fields as what is to keep its share in every split."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch

from jumpml.data.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from jumpml.data.kinds import Column

STRATIFIES = ("category", "multilabel", "number")
"""The kinds of field whose values can keep their shares."""
MISSING = "(missing)"


def strata_of(columns: Sequence[Column], bins: int) -> tuple[NDArray, list[str] | None]:
    """Strata of one field, or of several.

    Args:
        columns: Categories, numbers and multilabels.
        bins: How many parts of equal size a number's values are put into.

    Returns:
        Codes ``[rows]`` and their names, where one category or number is given; else 0 and 1 as ``[rows, labels]``,
        the values of each field side by side, and None. Missing values are a stratum of their own.
    """
    if len(columns) == 1 and columns[0].kind != "multilabel":
        return _codes(columns[0], bins)
    return np.concatenate([_labels(column, bins) for column in columns], axis=1), None


def _labels(column: Column, bins: int) -> NDArray[np.bool_]:
    if column.kind == "multilabel":
        missing = ~KINDS[column.kind].present(column.values)
        return torch.cat([column.values > 0, missing[:, None]], dim=1).numpy()
    codes, names = _codes(column, bins)
    return codes[:, None] == np.arange(len(names))


def _codes(column: Column, bins: int) -> tuple[NDArray[np.int64], list[str]]:
    if column.kind == "number":
        return _quantiles(column.values[:, 0].double().numpy(), bins)
    names = sorted({*column.classes, MISSING})  # by name: another order of the classes draws no other split
    ranks = np.array([names.index(name) for name in (*column.classes, MISSING)])
    return ranks[column.values.numpy()], names  # code -1 is the last


def _quantiles(values: NDArray[np.float64], bins: int) -> tuple[NDArray[np.int64], list[str]]:
    present = ~np.isnan(values)
    known = values[present] if present.any() else np.zeros(1)
    inner = np.unique(np.quantile(known, np.arange(1, bins) / bins))
    codes = np.full(len(values), len(inner) + 1)
    codes[present] = np.searchsorted(inner, values[present], side="right")
    ends = [known.min(), *inner, known.max()]
    return codes, [*(f"{low:g} to {high:g}" for low, high in pairwise(ends)), MISSING]
