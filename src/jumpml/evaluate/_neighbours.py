"""Retrieval: what each row finds among the others of its split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from jumpml.core import Curve
from jumpml.evaluate._metric import UndefinedError

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.evaluate._draws import Draws
    from jumpml.evaluate._sample import Sample

MOST = 20  # nearest rows that the picture goes to
BLOCK = 4_000_000  # similarities that are held, and ordered, at once


def find_neighbours(embeddings: Tensor, classes: Tensor) -> dict[str, Tensor]:
    """Rank all other rows by the cosine of the angle to each row's embedding, and see where those of its class stand.

    Every row is a query once, and the rows that are searched are all others of the split. Queries are taken in blocks,
    so that memory grows with the number of rows and not with its square. Equal similarities keep the rows' order.

    Args:
        embeddings: ``[rows, width]``.
        classes: int64 codes ``[rows]``.

    Returns:
        A value a row. ``nearest``: int64, the class of the nearest other row. ``first``: the place, from 1, of the
        first row of the query's class. ``average_precision``: the mean, over the rows of the query's class, of the
        share of them among the rows up to each. The last two are NaN where no other row is of the class.

    Example:
        >>> angles = torch.tensor([0.0, 0.1, 0.25, 1.5])
        >>> found = find_neighbours(torch.stack([angles.cos(), angles.sin()], 1), torch.tensor([0, 1, 0, 2]))
        >>> found["nearest"].tolist(), found["average_precision"].tolist()
        ([1, 0, 1, 0], [0.5, nan, 0.5, nan])
    """
    unit = F.normalize(embeddings.float(), dim=1)
    parts = [_rank(unit, classes, rows) for rows in torch.arange(len(unit)).split(max(1, BLOCK // len(unit)))]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def found_among(s: Sample, count: int) -> tuple[Tensor, Tensor]:
    """Which queries have a row of their class among the nearest so many, of those that any row could match."""
    first = s.aside["first"]
    return first <= count, ~first.isnan()


def mean_average_precision(s: Sample, draws: Draws) -> Tensor:
    """The mean over the queries that any row could match.

    Raises:
        UndefinedError: There are none.
    """
    precision = s.aside["average_precision"]
    if precision.isnan().all():
        raise UndefinedError("no two rows are of one class")
    return draws.means(precision)


def recall_curve(s: Sample) -> dict[str, tuple[Curve, ...]]:
    """The share of queries that find a row of their class among the nearest, by how many."""
    first = s.aside["first"][~s.aside["first"].isnan()]
    if not len(first):
        return {}
    places = range(1, min(MOST, len(s) - 1) + 1)
    shares = tuple(float((first <= place).double().mean()) for place in places)
    x_label, y_label = "nearest rows", "share of queries that find their class"
    return {"recall": (Curve(x=tuple(map(float, places)), y=shares, x_label=x_label, y_label=y_label),)}


def _rank(unit: Tensor, classes: Tensor, queries: Tensor) -> dict[str, Tensor]:
    similarity = unit[queries] @ unit.T
    similarity[torch.arange(len(queries)), queries] = -torch.inf  # itself, which comes last and is left out
    order = similarity.argsort(dim=1, descending=True, stable=True)[:, :-1]
    found = classes[order]
    relevant = (found == classes[queries].unsqueeze(1)).double()
    hits = relevant.cumsum(1)
    total = relevant.sum(1)
    precision = hits / torch.arange(1, order.shape[1] + 1)
    absent = torch.where(total > 0, 0.0, torch.nan).double()
    return {
        "nearest": found[:, 0],
        "first": relevant.argmax(1) + 1 + absent,
        "average_precision": (precision * relevant).sum(1) / total.clamp(min=1) + absent,
    }
