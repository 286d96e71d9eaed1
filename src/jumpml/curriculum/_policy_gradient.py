"""A policy over arms that is moved by the gradient of its rewards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np

from jumpml.core import LearnerError, positive
from jumpml.curriculum._policy import names_of, softmax
from jumpml.curriculum._reward_scale import RewardScale
from jumpml.curriculum._teacher import Arm, Array, Teacher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@final
class PolicyGradient(Teacher):
    r"""Makes an arm likelier whose reward is above the others', rarer where it is below.

    REINFORCE with a baseline (Williams 1992, https://doi.org/10.1007/BF00992696): logits :math:`\theta^\top x_i`, where
    :math:`x_i` names the arm and, of a product such as (task, difficulty), its place on each axis. The reward :math:`r`
    of arm a, in [-1, 1] by `RewardScale`, moves

    .. math:: \theta \leftarrow \theta + \eta (r - b) \nabla_\theta \log \pi_a

    with the floor within :math:`\pi`, and the baseline :math:`b` a moving mean of rewards.

    Args:
        lr: The rate :math:`\eta`.
        decay: How much of the baseline stays with each reward.

    Raises:
        LearnerError: The rate is not above 0, or the decay not from 0 to below 1.

    Example:
        >>> from jumpml.curriculum import Arm
        >>> teacher = PolicyGradient(lr=0.1)
        >>> teacher.begin([Arm("digit", rows=900), Arm("ink", rows=100)])
        >>> for _ in range(10):
        ...     teacher.observe(0, 0.0)
        ...     teacher.observe(1, 1.0)
        >>> teacher.probabilities().round(2)
        array([0.12, 0.88])
    """

    kind = "policy_gradient"

    def __init__(self, lr: float = 0.1, decay: float = 0.9) -> None:
        self._lr, self._decay = positive(self.kind, "lr", lr), decay
        if not 0 <= decay < 1:
            raise LearnerError(f"policy_gradient: expected a decay from 0 to below 1, got {decay!r}.")

    def begin(self, arms: Sequence[Arm], floor: float = 0.0) -> None:
        """All logits are 0."""
        super().begin(arms, floor)
        self._scale, self._baseline = RewardScale(), 0.0
        self._names = names_of(arms)
        self._theta = np.zeros(self._names.shape[1])

    def shares(self) -> Array:
        """The softmax of the logits."""
        return softmax(self._names @ self._theta)

    def learn(self, arm: int, reward: float, drawn: Array) -> None:
        """One step of the policy, then of the baseline."""
        scaled, shares = self._scale(reward), self.shares()
        chosen = (1 - self.floor) * shares[arm]  # of the draw, what was not the floor's
        share = chosen / (chosen + self.floor / len(shares)) if chosen else 0.0
        direction = self._names[arm] - shares @ self._names
        self._theta = self._theta + self._lr * (scaled - self._baseline) * share * direction
        self._baseline += (1 - self._decay) * (scaled - self._baseline)

    def state_dict(self) -> dict[str, Any]:
        """The policy, the baseline and the scale."""
        own = {"theta": self._theta.tolist(), "baseline": self._baseline, "scale": self._scale.state_dict()}
        return {**super().state_dict(), **own}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        super().load_state_dict(state)
        self._theta, self._baseline = np.array(state["theta"]), state["baseline"]
        self._scale.load_state_dict(state["scale"])

    def identity(self) -> str:
        """Its kind and options."""
        return f"{self.kind}, lr {self._lr:g}, decay {self._decay:g}"
