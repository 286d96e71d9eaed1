"""`check_teacher`: a good teacher passes, and each check is failed by one that breaks exactly it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from every_teacher import TEACHERS

from jumpml.curriculum import PPO, TSCL, Array, Exp3S, OnlineMixing, PolicyGradient, Teacher
from jumpml.testing import ConformanceError, check_teacher


class Base(Teacher):
    """Shares by a moving mean of rewards that are cut off at 1."""

    kind = "base"

    def begin(self, arms: Any, floor: float = 0.0) -> None:
        super().begin(arms, floor)
        self.means = [0.0] * len(arms)

    def shares(self) -> Array:
        return np.exp(np.array(self.means))

    def learn(self, arm: int, reward: float, drawn: Array) -> None:
        self.means[arm] += 0.1 * (min(max(reward, -1.0), 1.0) - self.means[arm])

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "means": [*self.means]}

    def load_state_dict(self, state: Any) -> None:
        super().load_state_dict(state)
        self.means = [*state["means"]]

    def identity(self) -> str:
        return self.kind


class NoShares(Base):
    def shares(self) -> Array:
        return np.zeros(len(self.arms)) if max(self.means) > 0.5 else super().shares()


class NoFloor(Base):
    def probabilities(self) -> Array:  # pyright: ignore  # what the base class forbids
        shares = np.array([0.5, *[0.0] * (len(self.arms) - 1)]) + 0.5 * super().shares() / super().shares().sum()
        shares[-1] = 0 if len(self.arms) > 1 else 1
        return shares / shares.sum()

    def propose(self, generator: Any) -> int:  # pyright: ignore
        self._drawn = self.probabilities()
        return int(np.searchsorted(self._drawn.cumsum(), generator.random()))


class Asked(Base):
    """Each question changes the answer."""

    def shares(self) -> Array:
        self.means[0] += 1e-3
        return super().shares()


class Global(Base):
    """Draws on the way, from torch's own generator."""

    def proposed(self) -> None:
        torch.rand(1)


class Twice(Base):
    """Draws a number more."""

    def propose(self, generator: Any) -> int:  # pyright: ignore
        generator.random()
        return super().propose(generator)


class NeverMind(Base):
    def learn(self, arm: int, reward: float, drawn: Array) -> None: ...


class Secret(Base):
    learns = False


class First(Base):
    """Looks at the first arm's place in the list."""

    def shares(self) -> Array:
        return super().shares() * np.where(np.arange(len(self.arms)) == 0, 1.5, 1.0)


class Greedy(Base):
    """The first of those that are best, which is one of all."""

    def shares(self) -> Array:
        by_name = sorted(range(len(self.arms)), key=lambda place: (self.means[place], self.arms[place].name))
        return np.eye(len(self.arms))[by_name[-1]]


class Overflows(Base):
    def learn(self, arm: int, reward: float, drawn: Array) -> None:
        super().learn(arm, float(np.float64(reward) ** 5), drawn)


class Nameless(Base):
    """Refuses too late, and does not say what."""

    def observe(self, arm: int, reward: float) -> None:  # pyright: ignore
        if not np.isfinite(reward):
            self.means[arm] = 0.0
        super().observe(arm, reward)


class Forgetful(Base):
    def load_state_dict(self, state: Any) -> None: ...


class Shared(Base):
    """Its state is its own list."""

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "means": self.means}


class Arrays(Base):
    """A checkpoint does not load NumPy's arrays: they could run something."""

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "means": np.array(self.means)}


class Loyal(Base):
    """Remembers the last phase."""

    last = 0.0

    def begin(self, arms: Any, floor: float = 0.0) -> None:
        super().begin(arms, floor)
        self.means[0] = self.last

    def learn(self, arm: int, reward: float, drawn: Array) -> None:
        super().learn(arm, reward, drawn)
        self.last = 1.0


class Moody(Base):
    def identity(self) -> str:
        return f"base {max(getattr(self, 'means', [0]))}"


BY_DEFAULT = (Base, Exp3S, TSCL, PolicyGradient, PPO, OnlineMixing)  # there they are made with other numbers
GOOD = {**TEACHERS, **{kind.__name__: kind for kind in BY_DEFAULT}}


@pytest.mark.parametrize("teacher", GOOD.values(), ids=GOOD)
def test_good_teachers_pass(teacher: Any) -> None:
    check_teacher(teacher)


@pytest.mark.parametrize(
    ("kind", "check", "told"),
    [
        (NoShares, "shares", "expected it to run; LearnerError: base: expected 2 shares that are not negative"),
        (NoFloor, "shares", "of 2 arms after 0 rewards, expected at least 0.05 of each arm, its part of the floor"),
        (Asked, "shares", "expected the same probabilities where they are asked for twice, got others."),
        (Global, "draws", "expected it to draw from the generator that it is given, got a draw from a global one."),
        (Twice, "draws", "expected a proposal to draw one number of its generator, got another count."),
        (NeverMind, "rewards", "it says that it learns; expected rewards to change its shares, got the same"),
        (Secret, "rewards", "it says that it does not learn; expected the same shares whatever the rewards"),
        (First, "order", "expected shares in the arms' order, [0.1"),
        (Greedy, "constant", "expected shares near 0.2 where every reward is 0, got [0, 0, 0, 0, 1]."),
        (Overflows, "extremes", "expected it to run; FloatingPointError: overflow encountered"),
        (Nameless, "refusal", "expected a reward of nan to change nothing, got another state."),
        (Forgetful, "saving", "expected the same shares with its state, [0.1"),
        (Shared, "saving", "expected a state that stays what it was while its teacher goes on"),
        (Arrays, "saving", "expected it to run; UnpicklingError: Weights only load failed"),
        (Loyal, "afresh", "expected begin() to forget all, with shares [0.2"),
        (Moody, "identity", "expected one identity whatever it learns, got 'base 0' and 'base 0."),
    ],
)
def test_each_check_can_fail(kind: Any, check: str, told: str) -> None:
    before = torch.random.get_rng_state()
    with pytest.raises(ConformanceError) as error:
        check_teacher(kind)
    assert error.value.findings[check].startswith(told), error.value.findings
    assert str(error.value).startswith(f"check_teacher: {kind.__name__} fails ")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_check_can_be_left_out() -> None:
    check_teacher(First(), without=["order"])
    with pytest.raises(ValueError, match=r"there is no check 'oder'\. Did you mean 'order'\?"):
        check_teacher(First(), without=["oder"])
