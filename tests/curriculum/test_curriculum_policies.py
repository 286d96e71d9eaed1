"""REINFORCE and PPO, beside torch's own gradients and Adam on the losses of their papers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from jumpml.core import LearnerError
from jumpml.curriculum import PPO, Arm, PolicyGradient, RewardScale, Teacher
from jumpml.curriculum._adam import VectorAdam
from jumpml.curriculum._policy import names_of

FLOOR = 0.1
PRODUCT = tuple(Arm(f"{task}/{level}", 10, (i, level)) for i, task in enumerate(("digit", "ink")) for level in range(3))


def features_of(arms: Any) -> Tensor:
    """The columns that name an arm: itself, and its place on each axis."""
    axes = len(arms[0].coordinates)
    columns = [torch.eye(len(arms), dtype=torch.float64)]
    for axis in range(axes):
        places = torch.tensor([arm.coordinates[axis] for arm in arms])
        columns.append(torch.nn.functional.one_hot(places).double())
    return torch.cat(columns, dim=1) / (axes + 1) ** 0.5


def policy(logits: Tensor) -> Tensor:
    return (1 - FLOOR) * torch.softmax(logits, -1) + FLOOR / logits.shape[-1]


@pytest.mark.parametrize("arms", [PRODUCT, tuple(Arm(name, 1) for name in "abc")])
def test_reinforce_is_the_gradient_of_the_log_policy(arms: Any) -> None:
    teacher, scale, baseline = PolicyGradient(lr=0.4, decay=0.8), RewardScale(), 0.0
    teacher.begin(arms, FLOOR)
    names, generator = features_of(arms), np.random.default_rng(0)
    theta = torch.zeros(names.shape[1], dtype=torch.float64, requires_grad=True)
    for _ in range(80):
        np.testing.assert_allclose(teacher.probabilities(), policy(names @ theta).detach(), rtol=1e-9)
        arm = teacher.propose(generator)
        reward = 0.2 * arm + float(generator.normal())
        teacher.observe(arm, reward)
        scaled = scale(reward)
        (gradient,) = torch.autograd.grad(policy(names @ theta)[arm].log(), theta)
        theta.data += 0.4 * (scaled - baseline) * gradient
        baseline = 0.8 * baseline + 0.2 * scaled


class Reference:
    """PPO by autograd, for a trajectory at a time; what is seen of arms is written out from its definition."""

    def __init__(self, arms: Any, horizon: int, epochs: int) -> None:
        self.names, self.count = features_of(arms), len(arms)
        self.theta = torch.zeros(6 + self.names.shape[1], dtype=torch.float64, requires_grad=True)
        self.critic = torch.zeros(5, dtype=torch.float64, requires_grad=True)
        self.adam = torch.optim.Adam([self.theta, self.critic], lr=0.05)
        self.horizon, self.epochs, self.scale = horizon, epochs, RewardScale()
        self.past: list[tuple[int, float]] = []
        self.taken: list[Any] = []

    def seen(self) -> tuple[Tensor, Tensor, Tensor]:
        shares, fast, slow = np.full(self.count, 1 / self.count), np.zeros(self.count), np.zeros(self.count)
        for arm, reward in self.past:
            shares = 0.9 * shares + 0.1 * (np.arange(self.count) == arm)
            fast[arm], slow[arm] = 0.7 * fast[arm] + 0.3 * reward, 0.9 * slow[arm] + 0.1 * reward
        share = (self.count * shares - 1) / (self.count * shares + 1)
        return torch.tensor(share), torch.tensor(fast), torch.tensor(fast - slow)

    def look(self, progress: float) -> tuple[Tensor, Tensor]:
        share, mean, slope = self.seen()
        seen = torch.stack([share, mean, slope], 1)
        state = torch.tensor([1.0, progress, mean.mean(), slope.mean(), (share * mean).mean()], dtype=torch.float64)
        return torch.cat([seen, progress * seen, self.names], 1), state

    def learn(self, arm: int, reward: float, progress: float) -> None:
        features, state = self.look(progress)
        share = policy(features @ self.theta)[arm].detach()
        scaled = self.scale(reward)
        self.taken.append((features, state, arm, share, scaled))
        self.past.append((arm, scaled))
        if len(self.taken) == self.horizon:
            self.improve(self.look(progress)[1])
            self.taken = []

    def improve(self, last: Tensor) -> None:
        features, states, arms, drawn, rewards = zip(*self.taken, strict=True)
        steps, whole = torch.arange(self.horizon), torch.stack(features)
        values = (torch.stack([*states, last]) @ self.critic).detach()
        errors = torch.tensor(rewards) + 0.9 * values[1:] - values[:-1]
        found = [sum((0.9 * 0.95) ** (k - t) * errors[k] for k in range(t, self.horizon)) for t in range(self.horizon)]
        advantages = torch.stack([torch.as_tensor(one) for one in found])
        targets = advantages + values[:-1]
        advantages = (advantages - advantages.mean()) / (advantages.std(correction=0) + 1e-8)
        for _ in range(self.epochs):
            logits = whole @ self.theta
            ratios = policy(logits)[steps, torch.tensor(arms)] / torch.stack(drawn)
            gains = torch.minimum(ratios * advantages, ratios.clamp(0.8, 1.2) * advantages).mean()
            entropy = torch.distributions.Categorical(logits=logits).entropy().mean()
            errors = torch.stack(states) @ self.critic - targets
            self.adam.zero_grad()
            (-gains - 0.02 * entropy + errors.square().mean()).backward()
            self.adam.step()


def test_ppo_is_the_papers() -> None:
    teacher, reference = PPO(0.05, horizon=12, epochs=6, entropy=0.02), Reference(PRODUCT, 12, 6)
    teacher.begin(PRODUCT, FLOOR)
    generator = np.random.default_rng(0)
    for step in range(70):
        progress = step / 70
        teacher.advance(progress)
        expected = policy(reference.look(progress)[0] @ reference.theta).detach()
        np.testing.assert_allclose(teacher.probabilities(), expected, rtol=1e-6)
        arm = teacher.propose(generator)
        reward = 0.5 * arm * (1 - progress) + 0.3 * float(generator.normal())
        teacher.observe(arm, reward)
        reference.learn(arm, reward, progress)
    assert teacher.probabilities().max() > 1.5 / 6  # the comparison was of something


def test_the_small_adam_is_adam() -> None:
    value = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    own, other = VectorAdam(4, 0.1), torch.optim.Adam([value], lr=0.1)
    for gradient in np.random.default_rng(0).normal(size=(20, 4)):
        own.step(gradient)
        value.grad = torch.tensor(gradient)
        other.step()
    np.testing.assert_allclose(own.value, value.detach(), rtol=1e-9)


def test_a_late_reward_is_taken_for_what_was_seen_when_its_arm_was_drawn() -> None:
    teacher = PPO(horizon=20)
    teacher.begin(PRODUCT, FLOOR)
    generator = np.random.default_rng(0)
    arms = [teacher.propose(generator) for _ in range(3)]
    for arm in arms:
        teacher.observe(arm, float(arm))
    seen = teacher.state_dict()["rollout"]["features"]
    assert seen[0] == seen[1] == seen[2]
    teacher.propose(generator)
    teacher.observe(0, 1.0)
    assert teacher.state_dict()["rollout"]["features"][3] != seen[0]


@pytest.mark.parametrize("kind", [PolicyGradient, PPO])
def test_what_is_learned_of_one_difficulty_tells_of_it_in_other_tasks(kind: Any) -> None:
    """The hard rows of one task teach; those of the other, which were never tried, are likelier than its easy ones."""
    teacher: Teacher = kind()
    teacher.begin(PRODUCT, FLOOR)
    for step in range(96):
        teacher.observe(step % 3, float(step % 3 == 2))
    shares = teacher.probabilities()[3:]
    assert shares[2] > 1.05 * shares[:2].max()
    apart: Teacher = kind()
    apart.begin([Arm(arm.name, 10) for arm in PRODUCT], FLOOR)
    for step in range(96):
        apart.observe(step % 3, float(step % 3 == 2))
    assert apart.probabilities()[3:] == pytest.approx([apart.probabilities()[3]] * 3)


def test_names_of_arms() -> None:
    np.testing.assert_allclose(names_of(PRODUCT), features_of(PRODUCT))
    np.testing.assert_allclose((names_of(PRODUCT) ** 2).sum(axis=1), 1.0)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: PolicyGradient(0.0), "policy_gradient: expected lr above 0, got 0.0."),
        (lambda: PolicyGradient(decay=1.0), "policy_gradient: expected a decay from 0 to below 1, got 1.0."),
        (lambda: PPO(0.0), "ppo: expected lr above 0, got 0.0."),
        (lambda: PPO(clip=0.0), "ppo: expected clip above 0, got 0.0."),
        (lambda: PPO(horizon=1), "ppo: expected a horizon of at least 2 and an epoch, got 1 and 8."),
        (lambda: PPO(epochs=0), "ppo: expected a horizon of at least 2 and an epoch, got 16 and 0."),
        (lambda: PPO(discount=1.0), "ppo: expected a discount from 0 to below 1, got 1.0."),
        (lambda: PPO(entropy=-1.0), "ppo: expected an entropy of at least 0, got -1.0."),
    ],
)
def test_options_out_of_their_bounds_are_refused(make: Any, told: str) -> None:
    with pytest.raises(LearnerError) as error:
        make()
    assert str(error.value) == told


def test_what_must_stay_the_same_is_told() -> None:
    assert PolicyGradient(0.5, 0.25).identity() == "policy_gradient, lr 0.5, decay 0.25"
    assert PPO().identity() == "ppo, lr 0.03, clip 0.2, horizon 16, epochs 8, discount 0.9, entropy 0.01"
