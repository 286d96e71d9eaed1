"""Rows that are surely foreign, made from test rows, and how well a score tells the two apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.core import Figure, field_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.diagnose._elements import Elements

Batch = dict[str, "Tensor"]
Z95 = 1.959964  # the normal distribution's 97.5% quantile


def make_strangers(
    batch: Mapping[str, Tensor],
    elements: Sequence[Elements],
    moments: Mapping[str, tuple[Tensor, Tensor]],
    generator: torch.Generator,
) -> dict[str, Batch]:
    """Make foreign rows of each kind that the inputs allow.

    ``shuffled`` permutes the pixels or elements within each row, so that every value is familiar and no neighbourhood
    is; ``noise`` draws each number from a Gaussian with its mean and deviation on the train rows; both touch whatever
    has several numbers a row. ``permuted columns`` deals all else, such as single numbers and categories, out to the
    rows anew, so that every value is familiar and no combination is; it needs two of them.

    Args:
        batch: Featurised test rows, on the CPU.
        elements: Of every input.
        moments: Mean and standard deviation ``[*shape]`` of every float input on the train rows.
        generator: On the CPU.

    Returns:
        By kind, a batch with as many rows.
    """
    dense = [part for part in elements if part.count > 1 and batch[part.field].is_floating_point()]
    columns = [part.field for part in elements if part not in dense]
    kinds: dict[str, Batch] = {}
    if dense:
        kinds["shuffled"] = {p.field: _shuffled(batch[p.field], p, generator) for p in dense}
        kinds["noise"] = {p.field: _noise(batch[p.field], *moments[p.field], generator) for p in dense}
    if len(columns) > 1:
        orders = {name: torch.randperm(len(batch[name]), generator=generator) for name in columns}
        dealt = {name: field_of(name) for name in batch if field_of(name) in orders}  # a text takes its mask along
        kinds["permuted columns"] = {name: batch[name][orders[column]] for name, column in dealt.items()}
    return {kind: {**batch, **changed} for kind, changed in kinds.items()}


def _shuffled(values: Tensor, part: Elements, generator: torch.Generator) -> Tensor:
    flat = values.reshape(len(values), -1, part.count)  # [rows, channels, elements]
    order = torch.rand(len(values), 1, part.count, generator=generator).argsort(dim=2)
    return flat.gather(2, order.expand_as(flat)).reshape(values.shape)


def _noise(values: Tensor, mean: Tensor, std: Tensor, generator: torch.Generator) -> Tensor:
    return mean + std * torch.randn(values.shape, generator=generator)


def auroc(familiar: Tensor, foreign: Tensor) -> Figure:
    """The chance that a foreign row scores higher than a familiar one; ties count half.

    The interval is Newcombe's score interval on Hanley and McNeil's variance (2006, https://doi.org/10.1002/sim.2324,
    method 5), which holds its level near 1 too, where a bootstrap's has no width. It takes the two for independent;
    strangers made of the same rows make it wide rather than narrow.

    Args:
        familiar: Scores ``[n]``.
        foreign: Scores ``[m]``.

    Example:
        >>> figure = auroc(torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.5, 3.0]))
        >>> round(figure.value, 3), figure.n
        (0.833, 5)
    """
    n, m = len(familiar), len(foreign)
    ordered = familiar.double().sort().values
    below = torch.searchsorted(ordered, foreign.double(), side="left") + torch.searchsorted(
        ordered, foreign.double(), side="right"
    )
    value = float(below.sum()) / (2 * n * m)
    low, high = (_score_limit(value, bound, n, m) for bound in (0.0, 1.0))
    return Figure(value=value, low=low, high=high, n=n + m)


def _score_limit(value: float, bound: float, n: int, m: int) -> float:
    """The value between the measured one and the bound at which the measured one is just not surprising."""
    inside, outside = value, bound
    for _ in range(60):
        middle = (inside + outside) / 2
        extra = (n + m) / 2 - 1
        spread = 1 + extra * ((1 - middle) / (2 - middle) + middle / (1 + middle))
        if abs(value - middle) <= Z95 * (middle * (1 - middle) * spread / (n * m)) ** 0.5:
            inside = middle
        else:
            outside = middle
    return inside
