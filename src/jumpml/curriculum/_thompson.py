"""Thompson sampling of rewards that move."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np

from jumpml.core import LearnerError
from jumpml.curriculum._reward_scale import RewardScale
from jumpml.curriculum._teacher import Arm, Array, Teacher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SHARES = (np.arange(100) + 0.5) / 100  # the quantiles of these are equally likely values


@final
class Thompson(Teacher):
    r"""Chooses each arm as often as it is likely to be the best, of which it is less sure the longer ago it was tried.

    Discounted Thompson sampling with Gaussian priors (Qi et al. 2023, https://arxiv.org/abs/2305.10718, after Agrawal &
    Goyal 2013): with each arm's count :math:`N` and sum :math:`S` of rewards, in [-1, 1] by `RewardScale`, both
    multiplied by the discount with each reward of any arm, its mean is believed to be
    :math:`\mathcal N(S / (N + 1),\ 1 / (N + 1))`. The chance that an arm's is the highest is integrated, rather than
    drawn, so that it is also what is logged and what the floor is mixed with.

    Args:
        discount: What is left of a reward after another; 1 forgets nothing.

    Raises:
        LearnerError: It is not above 0 and at most 1.

    Example:
        >>> from jumpml.curriculum import Arm
        >>> teacher = Thompson(discount=1.0)
        >>> teacher.begin([Arm("digit", rows=900), Arm("ink", rows=100)])
        >>> for _ in range(10):
        ...     teacher.observe(0, 0.0)
        ...     teacher.observe(1, 1.0)
        >>> teacher.probabilities().round(2)
        array([0., 1.])
    """

    kind = "thompson"

    def __init__(self, discount: float = 0.99) -> None:
        if not 0 < discount <= 1:
            raise LearnerError(f"thompson: expected a discount above 0 and at most 1, got {discount!r}.")
        self._discount = discount

    def begin(self, arms: Sequence[Arm], floor: float = 0.0) -> None:
        """Nothing is known of any arm."""
        super().begin(arms, floor)
        self._scale = RewardScale()
        self._counts, self._sums = np.zeros(len(arms)), np.zeros(len(arms))

    def shares(self) -> Array:
        """How likely each arm's mean is the highest."""
        from scipy.special import ndtr, ndtri

        means, spreads = self._sums / (self._counts + 1), 1 / np.sqrt(self._counts + 1)
        values = means[:, None] + spreads[:, None] * ndtri(_SHARES)  # [arms, nodes], what an arm's mean may be
        below = ndtr((values[:, None] - means[:, None]) / spreads[:, None])  # [arms, others, nodes]
        below[np.arange(len(means)), np.arange(len(means))] = 1.0
        return below.prod(axis=1).mean(axis=1)

    def learn(self, arm: int, reward: float, drawn: Array) -> None:
        """Count it, and forget a little of all."""
        self._counts *= self._discount
        self._sums *= self._discount
        self._counts[arm] += 1
        self._sums[arm] += self._scale(reward)

    def state_dict(self) -> dict[str, Any]:
        """Counts, sums and the scale."""
        own = {"counts": self._counts.tolist(), "sums": self._sums.tolist(), "scale": self._scale.state_dict()}
        return {**super().state_dict(), **own}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        super().load_state_dict(state)
        self._counts, self._sums = np.array(state["counts"]), np.array(state["sums"])
        self._scale.load_state_dict(state["scale"])

    def identity(self) -> str:
        """Its kind and discount."""
        return f"{self.kind}, discount {self._discount:g}"
