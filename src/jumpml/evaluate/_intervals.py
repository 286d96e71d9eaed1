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


def num_resamples(elements: int) -> int:
    """How many resamples of so many elements to draw: a function of the size alone, so that a figure is repeatable."""
    return max(LEAST, min(MOST, WORK // max(elements, 1)))


def resamples(rows: int, count: int) -> Tensor:
    """Row numbers drawn with replacement (Efron 1979, https://doi.org/10.1214/aos/1176344552).

    The draws depend on the number of rows alone, so that two models on one split are measured on the same resamples.

    Args:
        rows: Of the sample.
        count: Resamples.

    Returns:
        int64 ``[count, rows]``.
    """
    generator = torch.Generator().manual_seed(derive_seed("bootstrap", rows))
    return torch.randint(rows, (count, rows), generator=generator)


def percentiles(values: Sequence[float]) -> tuple[float, float]:
    """The middle 95%."""
    ends = torch.tensor([0.025, 0.975], dtype=torch.float64)
    low, high = torch.tensor(values, dtype=torch.float64).quantile(ends).tolist()
    return low, high
