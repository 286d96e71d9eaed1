"""Rows by how hard they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.core import LearnerError, derive_seed

if TYPE_CHECKING:
    from torch import Tensor

ORDERS = ("easy_first", "hard_first", "random")


def ranked(difficulty: Tensor, order: str = "easy_first", seed: int = 0) -> Tensor:
    """Rows in the order in which they may be learned from; chance decides between rows that are equally hard.

    Args:
        difficulty: float ``[rows]``, the higher the harder; of ``random`` only the number of rows is of interest.
        order: ``easy_first``, ``hard_first`` or ``random``.
        seed: Of the chance.

    Returns:
        int64 ``[rows]``, the rows from the first to the last.

    Raises:
        LearnerError: Some rows have no difficulty.

    Example:
        >>> ranked(torch.tensor([0.3, 0.1, 0.2])).tolist(), ranked(torch.tensor([0.3, 0.1, 0.2]), "hard_first").tolist()
        ([1, 2, 0], [0, 2, 1])
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "rank"))
    shuffled = torch.randperm(len(difficulty), generator=generator)
    if order == "random":
        return shuffled
    if problem := _missing(difficulty):
        raise LearnerError(f"difficulty: {problem}")
    return shuffled[difficulty.cpu()[shuffled].argsort(stable=True, descending=order == "hard_first")]


def difficulty_bins(difficulty: Tensor, bins: int, seed: int = 0) -> Tensor:
    """Rows in bins of equal size, from the easiest to the hardest; chance decides between rows that are equally hard.

    Args:
        difficulty: float ``[rows]``, the higher the harder.
        bins: How many.
        seed: Of the chance.

    Returns:
        int64 ``[rows]``, each row's bin from 0; no two bins differ by more than a row.

    Raises:
        LearnerError: Some rows have no difficulty, all have the same, or there are fewer rows than bins.

    Example:
        >>> difficulty_bins(torch.tensor([0.9, 0.1, 0.5, 0.2]), 2).tolist()
        [1, 0, 1, 0]
    """
    if len(difficulty) < bins or bins < 1:
        raise LearnerError(
            f"difficulty: expected from 1 to {len(difficulty)} bins of {len(difficulty)} rows, got {bins}."
        )
    order = ranked(difficulty, seed=seed)
    if bins > 1 and (problem := _constant(difficulty)):
        raise LearnerError(f"difficulty: {problem}")
    found = torch.empty_like(order)
    found[order] = torch.arange(len(order)) * bins // len(order)
    return found


def difficulty_problem(difficulty: Tensor, rows: int) -> str:
    """Why rows cannot be told apart by how hard they are; nothing where they can.

    Args:
        difficulty: float ``[rows]``, the higher the harder.
        rows: How many there should be.
    """
    if difficulty.shape != (rows,):
        return f"expected a number for each of {rows} train rows, got the shape {[*difficulty.shape]}."
    return _missing(difficulty) or _constant(difficulty)


def _missing(difficulty: Tensor) -> str:
    missing = int((~difficulty.isfinite()).sum())
    if missing:
        return f"{missing} of {len(difficulty)} train rows have none: it is missing there, NaN or infinite. Fill it in."
    return ""


def _constant(difficulty: Tensor) -> str:
    if len(difficulty) and bool((difficulty == difficulty[0]).all()):
        same = float(difficulty[0])
        return f"all {len(difficulty)} train rows are equally hard ({same:g}): there is nothing to rank by."
    return ""
