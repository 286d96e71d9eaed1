"""Thompson sampling and online data mixing, beside the formulas of their papers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from jumpml.core import LearnerError
from jumpml.curriculum import Arm, OnlineMixing, RewardScale, Thompson

ARMS = [Arm(name, 1) for name in "abcd"]


def chance_of_being_best(arm: int, means: Any, spreads: Any) -> float:
    others = [place for place in range(len(means)) if place != arm]

    def density(value: float) -> float:
        below = norm.cdf(value, means[others], spreads[others])
        return float(norm.pdf(value, means[arm], spreads[arm]) * below.prod())

    low, high = (means - 8 * spreads).min(), (means + 8 * spreads).max()
    return quad(density, low, high, limit=200, points=[means[arm]])[0]


def test_thompson_is_the_papers() -> None:
    """Discounted counts and sums as they are defined, over all of the past, and the chance by another integration."""
    discount, teacher, scale = 0.95, Thompson(discount=0.95), RewardScale()
    teacher.begin(ARMS, floor=0.1)
    generator = np.random.default_rng(0)
    past: list[tuple[int, float]] = []
    for time in range(60):
        arm = teacher.propose(generator)
        reward = 0.3 * arm + float(generator.normal())
        teacher.observe(arm, reward)
        past.append((arm, scale(reward)))
        if time % 10:
            continue
        ages = discount ** np.arange(len(past))[::-1]
        counts = np.array([sum(a for a, (one, _) in zip(ages, past, strict=True) if one == k) for k in range(4)])
        sums = np.array([sum(a * r for a, (one, r) in zip(ages, past, strict=True) if one == k) for k in range(4)])
        means, spreads = sums / (counts + 1), 1 / np.sqrt(counts + 1)
        expected = np.array([chance_of_being_best(k, means, spreads) for k in range(4)])
        np.testing.assert_allclose(teacher.probabilities(), 0.9 * expected + 0.025, atol=2e-3)  # of 100 nodes


def test_an_arm_that_was_not_tried_for_long_is_unsure_again() -> None:
    teacher = Thompson(discount=0.9)
    teacher.begin(ARMS)
    for step in range(40):
        teacher.observe(step % 4, 1.0 if step % 4 == 1 else 0.0)
    before = teacher.probabilities()[0]
    for _ in range(40):
        teacher.observe(1, 1.0)
    assert teacher.probabilities()[0] > 2 * before


def test_online_mixing_is_the_papers() -> None:
    alpha, count, teacher = 0.7, 4, OnlineMixing(alpha=0.7)
    teacher.begin(ARMS)
    generator = np.random.default_rng(0)
    means, policy, before = [0.0] * count, [1 / count] * count, 1 / count
    for time in range(1, 100):
        np.testing.assert_allclose(teacher.probabilities(), policy)
        arm = teacher.propose(generator)
        loss = (arm + 1) * math.exp(-0.02 * time)
        teacher.observe(arm, loss)
        means[arm] = alpha * means[arm] + (1 - alpha) * loss / policy[arm]
        now = min(1 / count, math.sqrt(math.log(count) / (count * time)))
        sizes = [math.exp(before * mean) for mean in means]
        policy = [(1 - count * now) * size / sum(sizes) + now for size in sizes]
        before = now


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Thompson(0.0), "thompson: expected a discount above 0 and at most 1, got 0.0."),
        (lambda: Thompson(1.1), "thompson: expected a discount above 0 and at most 1, got 1.1."),
        (lambda: OnlineMixing(1.0), "online_mixing: expected alpha from 0 to below 1, got 1.0."),
    ],
)
def test_options_out_of_their_bounds_are_refused(make: Any, told: str) -> None:
    with pytest.raises(LearnerError) as error:
        make()
    assert str(error.value) == told


def test_what_must_stay_the_same_is_told() -> None:
    assert Thompson(0.5).identity() == "thompson, discount 0.5"
    assert OnlineMixing(0.5).identity() == "online_mixing, alpha 0.5"
