"""A policy over arms that is improved in clipped steps, by what it sees of their progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from jumpml.core import LearnerError, positive
from jumpml.curriculum._adam import VectorAdam
from jumpml.curriculum._arm_progress import ArmProgress
from jumpml.curriculum._policy import names_of, softmax
from jumpml.curriculum._reward_scale import RewardScale
from jumpml.curriculum._teacher import LEAST_SHARE, Arm, Array, Teacher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TRACE = 0.95  # lambda of the advantages


@dataclass
class _Rollout:
    """Choices since the last improvement, and what came of each."""

    features: list[Any]  # what was seen of arms when it was drawn, [arms, features]
    states: list[Any]  # [state] then, for the critic
    arms: list[int]
    drawn: list[float]  # how likely the arm was
    rewards: list[float]


@final
class PPO(Teacher):
    r"""Learns by which signs of progress arms are worth choosing, and changes its mind by a bounded ratio at a time.

    Proximal policy optimization (Schulman et al. 2017, https://arxiv.org/abs/1707.06347). Logits are linear in what is
    seen of an arm (its share lately, its mean reward, where that is heading, each also times how much of the phase is
    over) and in its name and places (as for `PolicyGradient`); a linear critic sees the same of all arms together.
    After each ``horizon`` rewards :math:`r`, in [-1, 1] by `RewardScale`, both take ``epochs`` steps of Adam on

    .. math:: -\operatorname{mean}_t \min(\rho_t A_t, \operatorname{clip}(\rho_t, 1 - c, 1 + c) A_t) - h H + (V_t -
              V_t^\text{target})^2

    with :math:`\rho` the ratio of an arm's share now to that when it was drawn, floor included, :math:`H` the entropy,
    and :math:`A` the generalized advantages (Schulman et al. 2016, https://arxiv.org/abs/1506.02438, with
    :math:`\lambda = .95`), normalized.

    Args:
        lr: Adam's learning rate.
        clip: How far a ratio is rewarded for leaving 1.
        horizon: Rewards between two improvements.
        epochs: Steps an improvement.
        discount: What a reward counts one update earlier.
        entropy: The weight :math:`h` of the policy's entropy.

    Raises:
        LearnerError: An option is out of its bounds.

    Example:
        >>> from jumpml.curriculum import Arm
        >>> teacher = PPO()
        >>> teacher.begin([Arm("digit", rows=900), Arm("ink", rows=100)])
        >>> for _ in range(100):
        ...     teacher.observe(0, 0.0)
        ...     teacher.observe(1, 1.0)
        >>> bool(teacher.probabilities()[1] > 0.9)
        True
    """

    kind = "ppo"

    def __init__(
        self,
        lr: float = 0.03,
        *,
        clip: float = 0.2,
        horizon: int = 16,
        epochs: int = 8,
        discount: float = 0.9,
        entropy: float = 0.01,
    ) -> None:
        self._lr, self._clip = positive(self.kind, "lr", lr), positive(self.kind, "clip", clip)
        self._horizon, self._epochs = horizon, epochs
        self._discount, self._entropy = discount, entropy
        if horizon < 2 or epochs < 1:
            raise LearnerError(f"ppo: expected a horizon of at least 2 and an epoch, got {horizon!r} and {epochs!r}.")
        if not 0 <= discount < 1:
            raise LearnerError(f"ppo: expected a discount from 0 to below 1, got {discount!r}.")
        if not 0 <= entropy < float("inf"):
            raise LearnerError(f"ppo: expected an entropy of at least 0, got {entropy!r}.")

    def begin(self, arms: Sequence[Arm], floor: float = 0.0) -> None:
        """The policy is even, the critic expects nothing."""
        super().begin(arms, floor)
        self._scale, self._seen = RewardScale(), ArmProgress(len(arms))
        self._names = names_of(arms)
        self._policy = VectorAdam(self._features().shape[1] + self._names.shape[1], self._lr)
        self._critic = VectorAdam(self._state().shape[0], self._lr)
        self._rollout = _Rollout([], [], [], [], [])
        self._then = self._features(), self._state()

    def _features(self) -> Array:
        """What is seen of arms, ``[arms, features]``."""
        seen = self._seen.features()
        return np.concatenate([seen, self.progress * seen], axis=1)

    def _named(self, features: Array) -> Array:
        """What the policy goes by: what is seen of arms ``[..., arms, features]``, and their names."""
        names = np.broadcast_to(self._names, (*features.shape[:-1], self._names.shape[1]))
        return np.concatenate([features, names], axis=-1)

    def _state(self) -> Array:
        """What the critic goes by: how rewards were lately, by arm and by how often each came."""
        shares, means, slopes = self._seen.features().T
        return np.array([1.0, self.progress, means.mean(), slopes.mean(), (shares * means).mean()])

    def shares(self) -> Array:
        """The softmax of the logits."""
        return softmax(self._named(self._features()) @ self._policy.value)

    def proposed(self) -> None:
        """Remember what it was chosen by."""
        self._then = self._features(), self._state()

    def learn(self, arm: int, reward: float, drawn: Array) -> None:
        """Take in a reward; improve where there are enough."""
        scaled, rollout = self._scale(reward), self._rollout
        if self._drawn is None:
            self.proposed()  # it was chosen by somebody else
        features, state = self._then
        rollout.features.append(features)
        rollout.states.append(state)
        rollout.arms.append(arm)
        rollout.drawn.append(max(float(drawn[arm]), LEAST_SHARE))
        rollout.rewards.append(scaled)
        self._seen.observe(arm, scaled)
        if len(rollout.rewards) >= self._horizon:
            self._improve(rollout)
            self._rollout = _Rollout([], [], [], [], [])

    def _improve(self, rollout: _Rollout) -> None:
        states = np.array([*rollout.states, self._state()])
        values = states @ self._critic.value
        advantages = _advantages(np.array(rollout.rewards), values, self._discount)
        targets = advantages + values[:-1]
        scaled = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        features = self._named(np.array(rollout.features))
        arms, drawn = np.array(rollout.arms), np.array(rollout.drawn)
        for _ in range(self._epochs):
            self._policy.step(self._policy_gradient(features, arms, drawn, scaled))
            errors = states[:-1] @ self._critic.value - targets
            self._critic.step(2 * errors @ states[:-1] / len(errors))

    def _policy_gradient(self, features: Array, arms: Any, drawn: Array, advantages: Array) -> Array:
        """Of the loss but for the critic's part, by the policy."""
        steps, (_, count, _) = np.arange(len(arms)), features.shape
        shares = softmax(features @ self._policy.value)  # [steps, arms]
        chosen = (1 - self.floor) * shares[steps, arms]
        ratios = (chosen + self.floor / count) / drawn
        counts = np.where(advantages > 0, ratios < 1 + self._clip, ratios > 1 - self._clip)  # the others are clipped
        weights = np.where(counts, -advantages * chosen / drawn, 0.0) / len(arms)
        by_logit = -weights[:, None] * shares
        by_logit[steps, arms] += weights
        logs = np.log(np.maximum(shares, LEAST_SHARE))
        entropies = -(shares * logs).sum(axis=1, keepdims=True)
        by_logit += self._entropy * shares * (logs + entropies) / len(arms)
        return np.einsum("ta,taf->f", by_logit, features)

    def state_dict(self) -> dict[str, Any]:
        """Policy, critic, what was seen of arms, the scale, and the choices since the last improvement."""
        rollout = {
            "features": [one.tolist() for one in self._rollout.features],
            "states": [one.tolist() for one in self._rollout.states],
            "arms": list(self._rollout.arms),
            "drawn": list(self._rollout.drawn),
            "rewards": list(self._rollout.rewards),
        }
        parts = {"policy": self._policy, "critic": self._critic, "seen": self._seen, "scale": self._scale}
        own = {name: part.state_dict() for name, part in parts.items()}
        then = [one.tolist() for one in self._then]
        return {**super().state_dict(), **own, "rollout": rollout, "then": then}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        super().load_state_dict(state)
        self._policy.load_state_dict(state["policy"])
        self._critic.load_state_dict(state["critic"])
        self._seen.load_state_dict(state["seen"])
        self._scale.load_state_dict(state["scale"])
        rollout = state["rollout"]
        self._rollout = _Rollout(
            [np.array(one) for one in rollout["features"]],
            [np.array(one) for one in rollout["states"]],
            *(list(rollout[name]) for name in ("arms", "drawn", "rewards")),
        )
        self._then = np.array(state["then"][0]), np.array(state["then"][1])

    def identity(self) -> str:
        """Its kind and options."""
        steps = f"horizon {self._horizon}, epochs {self._epochs}"
        rest = f"discount {self._discount:g}, entropy {self._entropy:g}"
        return f"{self.kind}, lr {self._lr:g}, clip {self._clip:g}, {steps}, {rest}"


def _advantages(rewards: Array, values: Array, discount: float) -> Array:
    """Generalized advantages of steps.

    Args:
        rewards: ``[steps]``.
        values: What the critic expected before each, and after the last: ``[steps + 1]``.
        discount: What a reward counts one step earlier.
    """
    found = np.zeros(len(rewards) + 1)
    for step in reversed(range(len(rewards))):
        error = rewards[step] + discount * values[step + 1] - values[step]
        found[step] = error + discount * _TRACE * found[step + 1]
    return found[:-1]
