"""EXP3.S and its scale of rewards, beside the formulas of Graves et al. 2017."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from jumpml.core import LearnerError
from jumpml.curriculum import Arm, Exp3S, RewardScale


def scaled(history: list[float]) -> float:
    """The last of all rewards so far, by equation 8 of the paper; numpy's percentiles interpolate linearly."""
    low, high = np.percentile(history, 20), np.percentile(history, 80)
    reward = history[-1]
    if reward <= low:
        return 0.0 if low == high == reward else -1.0
    return 1.0 if reward >= high else 2 * (reward - low) / (high - low) - 1


def test_the_scale_is_the_papers_while_the_reservoir_holds_all() -> None:
    scale, history = RewardScale(), []
    for reward in np.random.default_rng(0).standard_cauchy(300):
        history.append(float(reward))
        assert scale(float(reward)) == pytest.approx(scaled(history))


def test_a_reservoir_holds_as_much_of_the_past_as_of_now() -> None:
    """Of rewards that rise by one each, the percentiles are those of all, not of the last thousand."""
    scale = RewardScale()
    for reward in range(8000):
        scale(float(reward))
    kept = scale.state_dict()["kept"]
    assert len(kept) == 1000
    assert np.percentile(kept, [20, 80]) == pytest.approx([1600, 6400], abs=450)  # 4 * 8000 * sqrt(.16 / 1000)
    again = RewardScale()
    again.load_state_dict(scale.state_dict())
    assert [again(reward) for reward in (0.0, 5000.0)] == [scale(reward) for reward in (0.0, 5000.0)]


@pytest.mark.parametrize("reward", [0.0, -7.5, 1e100])
def test_what_never_changes_is_in_the_middle(reward: float) -> None:
    scale = RewardScale()
    assert [scale(reward) for _ in range(20)] == [0.0] * 20
    assert scale(reward - 1 if reward < 1e99 else 0.0) == -1.0


def test_the_weights_are_the_papers() -> None:
    """Equations 4 to 6 with beta 0, in exact weights rather than their logarithms."""
    eta, epsilon, count = 0.3, 0.05, 4
    teacher = Exp3S(eta=eta)
    teacher.begin([Arm(name, 1) for name in "abcd"], floor=epsilon)
    generator = np.random.default_rng(0)
    weights, history = [1.0] * count, []
    for time in range(2, 120):
        total = sum(weights)
        policy = [(1 - epsilon) * weight / total + epsilon / count for weight in weights]
        np.testing.assert_allclose(teacher.probabilities(), policy, rtol=1e-9)
        arm = teacher.propose(generator)
        history.append(math.sin(time) * (arm + 1) + arm)
        teacher.observe(arm, history[-1])
        moved = [
            weight * math.exp(eta * scaled(history) / policy[place] if place == arm else 0.0)
            for place, weight in enumerate(weights)
        ]
        alpha = Fraction(1, time)
        weights = [
            float(1 - alpha) * moved[place] + float(alpha) / (count - 1) * (sum(moved) - moved[place])
            for place in range(count)
        ]


def test_a_rate_must_be_above_zero() -> None:
    with pytest.raises(LearnerError, match=r"^exp3s: expected eta above 0, got 0\.$"):
        Exp3S(eta=0)
    assert Exp3S(eta=0.25).identity() == "exp3s, eta 0.25"
