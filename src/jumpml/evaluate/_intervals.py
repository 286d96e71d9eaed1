"""95% intervals: Wilson's for proportions, the percentile bootstrap for everything else."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from jumpml.core import derive_seed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

Z = 1.959963984540054  # the standard normal distribution's 97.5% quantile
MOST, LEAST = 1000, 100  # resamples
BLOCKS = 5  # of neighbours that a sample has at least: of one block all resamples would be the sample itself
WORK = 20_000_000  # elements that all resamples of a sample may hold together, so that large splits stay affordable


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """The score interval of a proportion (Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953).

    Args:
        hits: Successes.
        trials: Tries, at least one.

    Example:
        >>> low, high = wilson(95, 100)
        >>> round(low, 4), round(high, 4)
        (0.8882, 0.9785)
    """
    share, z2 = hits / trials, Z**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    # rounding may put an end past the share itself where it is 0 or 1
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


def paired(lost: int, won: int, rows: int) -> tuple[float, float]:
    """The interval of a change of a proportion on the same rows (Agresti & Min 2005, https://doi.org/10.1002/sim.1781).

    Wald's interval after half a row is added to each of the four outcomes, so that it has a width also where no row
    changed: some of the rows that were not drawn would.

    Args:
        lost: Rows that were right before and are wrong after.
        won: Rows that were wrong before and are right after.
        rows: All rows.

    Example:
        >>> low, high = paired(0, 0, 270)
        >>> round(low, 4), round(high, 4)
        (-0.0072, 0.0072)
    """
    lost_, won_, n = lost + 0.5, won + 0.5, rows + 2
    centre = (won_ - lost_) / n
    half = Z * math.sqrt(lost_ + won_ - (won_ - lost_) ** 2 / n) / n
    return max(-1.0, centre - half), min(1.0, centre + half)


def num_resamples(elements: int) -> int:
    """How many resamples of so many elements to draw: a function of the size alone, so that a figure is repeatable."""
    return max(LEAST, min(MOST, WORK // max(elements, 1)))


def resamples(rows: int, count: int, block: int = 1) -> Tensor:
    """Row numbers drawn with replacement (Efron 1979, https://doi.org/10.1214/aos/1176344552).

    The draws depend on the numbers alone, so that two models on one split are measured on the same resamples. Rows that
    depend on their neighbours are drawn in blocks (Künsch 1989, https://doi.org/10.1214/aos/1176347265): drawn one by
    one they would seem to tell more than they do.

    Args:
        rows: Of the sample.
        count: Resamples.
        block: How many neighbouring rows are drawn at a time; a fifth of the rows at most.

    Returns:
        int64 ``[count, rows]``.
    """
    generator = torch.Generator().manual_seed(derive_seed("bootstrap", rows))
    block = min(block, -(-rows // BLOCKS))
    if block == 1:
        return torch.randint(rows, (count, rows), generator=generator)
    starts = torch.randint(rows - block + 1, (count, -(-rows // block), 1), generator=generator)
    return (starts + torch.arange(block)).flatten(1)[:, :rows]


def percentiles(values: Sequence[float]) -> tuple[float, float]:
    """The middle 95%."""
    ends = torch.tensor([0.025, 0.975], dtype=torch.float64)
    low, high = torch.tensor(values, dtype=torch.float64).quantile(ends).tolist()
    return low, high


def reflected(value: float, draws: Sequence[float]) -> tuple[float, float]:
    """The basic bootstrap's middle 95% of a share, which mirrors the draws at the value.

    (Davison and Hinkley 1997, Bootstrap Methods and their Application, section 5.2.) Where repeated rows alone raise a
    statistic, as they do average precision, the draws lie above the value, as the value itself does above the truth;
    mirrored they lie on the truth's side. On 10 labels of 300 rows that 2, 5 or 10% are of, the percentiles' interval
    held the truth in .39, .63 and .24 of 150 simulated samples, and this one in .82, .85 and .99.

    Args:
        value: On the sample itself, between 0 and 1.
        draws: On its resamples.

    Example:
        >>> low, high = reflected(0.5, [0.5, 0.6, 0.7])
        >>> round(low, 3), high
        (0.305, 0.5)
    """
    low, high = percentiles(draws)
    return max(0.0, min(2 * value - high, value)), min(1.0, max(2 * value - low, value))
