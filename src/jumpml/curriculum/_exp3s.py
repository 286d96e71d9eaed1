"""EXP3.S, the bandit of automated curriculum learning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np

from jumpml.core import positive
from jumpml.curriculum._reward_scale import RewardScale
from jumpml.curriculum._teacher import LEAST_SHARE, Arm, Array, Teacher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@final
class Exp3S(Teacher):
    r"""Exponential weights for rewards that move: the best arm of now, and no arm forgotten.

    EXP3.S (Auer et al. 2002) as Graves et al. 2017 (https://arxiv.org/abs/1704.03003) teach with it. With the reward
    :math:`r` in [-1, 1] by `RewardScale`, and :math:`\tilde r_i = r / \pi_i` for the arm that was drawn by
    :math:`\pi`, else 0, the log-weights become

    .. math:: w_i \leftarrow \log\Big[(1 - \tfrac1t) e^{w_i + \eta \tilde r_i}
              + \frac{1}{t (N - 1)} \sum_{j \ne i} e^{w_j + \eta \tilde r_j}\Big]

    from 0 at t = 1. The floor is the paper's :math:`\epsilon`.

    Args:
        eta: How far one reward moves a weight. The paper's .001 is for runs of 100 000 updates.

    Raises:
        LearnerError: It is not above 0.

    Example:
        >>> from jumpml.curriculum import Arm
        >>> teacher = Exp3S(eta=0.1)
        >>> teacher.begin([Arm("digit", rows=900), Arm("ink", rows=100)], floor=0.05)
        >>> for _ in range(20):
        ...     teacher.observe(0, 0.0)
        ...     teacher.observe(1, 1.0)
        >>> teacher.probabilities().round(2)
        array([0.09, 0.91])
    """

    kind = "exp3s"

    def __init__(self, eta: float = 0.1) -> None:
        self._eta = positive(self.kind, "eta", eta)

    def begin(self, arms: Sequence[Arm], floor: float = 0.0) -> None:
        """All weights are alike."""
        super().begin(arms, floor)
        self._scale = RewardScale()
        self._weights, self._time = np.zeros(len(arms)), 1

    def shares(self) -> Array:
        """The softmax of the weights."""
        return np.exp(self._weights - self._weights.max())

    def learn(self, arm: int, reward: float, drawn: Array) -> None:
        """Move the weights."""
        self._time += 1
        moved = self._weights.copy()
        moved[arm] += self._eta * self._scale(reward) / max(drawn[arm], LEAST_SHARE)
        sizes = np.exp(moved - moved.max())
        shared = (sizes.sum() - sizes) / max(len(sizes) - 1, 1)
        self._weights = np.log((1 - 1 / self._time) * sizes + shared / self._time)

    def state_dict(self) -> dict[str, Any]:
        """The weights, how many rewards there were, and the scale."""
        own = {"weights": self._weights.tolist(), "time": self._time, "scale": self._scale.state_dict()}
        return {**super().state_dict(), **own}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        super().load_state_dict(state)
        self._weights, self._time = np.array(state["weights"]), state["time"]
        self._scale.load_state_dict(state["scale"])

    def identity(self) -> str:
        """Its kind and rate."""
        return f"{self.kind}, eta {self._eta:g}"
