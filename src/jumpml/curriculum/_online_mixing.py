"""Online data mixing: more of what still has a high loss."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, final

import numpy as np

from jumpml.core import LearnerError
from jumpml.curriculum._teacher import LEAST_SHARE, Arm, Array, Teacher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@final
class OnlineMixing(Teacher):
    r"""Exponential weights of a moving mean, exploring less as time goes by: made for losses as rewards.

    Online data mixing (Albalak et al. 2023, https://arxiv.org/abs/2312.02406). The reward :math:`r` of an arm that was
    drawn with probability :math:`\pi` moves :math:`R \leftarrow \alpha R + (1 - \alpha) r / \pi`. With
    :math:`\epsilon_t = \min(1/K, \sqrt{\ln K / (K t)})` after t rewards of K arms, shares are

    .. math:: (1 - K \epsilon_t) \operatorname{softmax}(\epsilon_{t-1} R) + \epsilon_t

    The paper's reward is the step's loss, so that domains with a high perplexity come more often. The authors' own
    program (alon-albalak/online-data-mixing on GitHub, ``SmoothedMeanWeightUpdater``) differs from their paper: it
    takes :math:`e^r` for :math:`r / \pi`, and where an update has batches of several domains, :math:`R` itself for
    its softmax.

    Args:
        alpha: How much of the moving mean stays.

    Raises:
        LearnerError: It is not from 0 to below 1.

    Example:
        >>> from jumpml.curriculum import Arm
        >>> teacher = OnlineMixing()
        >>> teacher.begin([Arm("digit", rows=900), Arm("ink", rows=100)])
        >>> for _ in range(50):
        ...     teacher.observe(0, 0.3)
        ...     teacher.observe(1, 9.0)
        >>> teacher.probabilities().round(2)
        array([0.34, 0.66])
    """

    kind = "online_mixing"

    def __init__(self, alpha: float = 0.9) -> None:
        if not 0 <= alpha < 1:
            raise LearnerError(f"online_mixing: expected alpha from 0 to below 1, got {alpha!r}.")
        self._alpha = alpha

    def begin(self, arms: Sequence[Arm], floor: float = 0.0) -> None:
        """All means are 0."""
        super().begin(arms, floor)
        self._means, self._time = np.zeros(len(arms)), 0

    def shares(self) -> Array:
        """The softmax, mixed with even shares."""
        sizes = self._explore(self._time - 1) * self._means
        sizes = np.exp(sizes - sizes.max())
        now = self._explore(self._time)
        return (1 - len(sizes) * now) * sizes / sizes.sum() + now

    def _explore(self, time: int) -> float:
        count = len(self.arms)
        return min(1 / count, math.sqrt(math.log(count) / (count * max(time, 1))))

    def learn(self, arm: int, reward: float, drawn: Array) -> None:
        """Move the arm's mean."""
        self._time += 1
        self._means[arm] += (1 - self._alpha) * (reward / max(drawn[arm], LEAST_SHARE) - self._means[arm])

    def state_dict(self) -> dict[str, Any]:
        """The means, and how many rewards there were."""
        return {**super().state_dict(), "means": self._means.tolist(), "time": self._time}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        super().load_state_dict(state)
        self._means, self._time = np.array(state["means"]), state["time"]

    def identity(self) -> str:
        """Its kind and rate."""
        return f"{self.kind}, alpha {self._alpha:g}"
