"""What every teacher keeps: its arms, the floor, the draw, the refusal of bad rewards, and an exact state."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
from every_teacher import LEARNERS, TEACHERS, Make
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpml.core import LearnerError
from jumpml.curriculum import Arm, Array, Exp3S, Teacher, Uniform

ROWS = (100, 30, 5, 5)
ARMS = tuple(Arm(name, rows) for name, rows in zip("abcd", ROWS, strict=True))

every = pytest.mark.parametrize("kind", TEACHERS.values(), ids=TEACHERS)
learners = pytest.mark.parametrize("kind", LEARNERS.values(), ids=LEARNERS)

REWARDS = st.floats(-1e300, 1e300)
LIVES = st.lists(st.tuples(st.integers(0, 3), REWARDS), max_size=40)
FLOORS = st.floats(0.0, 1.0)


class Fixed(Teacher):
    """Says what it is given."""

    kind = "fixed"

    def __init__(self, *shares: float) -> None:
        self.given = shares

    def shares(self) -> Array:
        return np.array(self.given)

    def identity(self) -> str:
        return self.kind


def begun(teacher: Teacher, floor: float = 0.0, arms: tuple[Arm, ...] = ARMS) -> Teacher:
    teacher.begin(arms, floor)
    return teacher


def live(teacher: Teacher, steps: int, seed: int = 0, first: int = 0) -> list[int]:
    """Proposals of a made-up life, in which arm 1 is the best to learn from; the generator goes on from a place."""
    generator = np.random.default_rng(seed)
    generator.random(first)
    found = []
    for step in range(first, first + steps):
        teacher.advance(step / 200)
        found.append(teacher.propose(generator))
        teacher.observe(found[-1], (found[-1] == 1) + 0.1 * np.sin(step))
    return found


@every
@given(lived=LIVES, floor=FLOORS, progress=st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_probabilities_are_some_whatever_the_rewards(kind: Make, lived: Any, floor: float, progress: float) -> None:
    teacher = begun(kind(), floor)
    for arm, reward in lived:
        teacher.observe(arm, reward)
    teacher.advance(progress)
    found = teacher.probabilities()
    assert found.shape == (4,)
    assert found.dtype == np.float64
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert (found >= floor / 4 - 1e-12).all()


@every
@given(order=st.permutations(range(4)), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_arms_in_another_order_have_the_same_shares(kind: Make, order: list[int], seed: int) -> None:
    one, other = begun(kind(), 0.1), begun(kind(), 0.1, tuple(ARMS[place] for place in order))
    generator = np.random.default_rng(seed)
    for _ in range(30):
        arm, reward = int(generator.integers(4)), float(generator.normal())
        one.observe(arm, reward)
        other.observe(order.index(arm), reward)
    np.testing.assert_allclose(other.probabilities(), one.probabilities()[order], rtol=1e-7)


@every
@pytest.mark.parametrize("reward", [0.0, 5.0, -3.0])
def test_a_constant_reward_tells_arms_apart_by_nothing(kind: Make, reward: float) -> None:
    arms = tuple(Arm(name, 10) for name in "abcd")
    teacher = begun(kind(), 0.0, arms)
    for step in range(100):
        teacher.observe(step % 4, reward)
    assert teacher.probabilities() == pytest.approx([0.25] * 4, abs=0.1)


@every
def test_a_state_gives_the_same_future(kind: Make) -> None:
    whole = begun(kind(), 0.1)
    before, after = live(whole, 60), live(whole, 60, first=60)
    part = begun(kind(), 0.1)
    assert live(part, 60) == before
    state = json.loads(json.dumps(part.state_dict()))
    part.observe(0, 100.0)  # the state is of then
    resumed = begun(kind(), 0.1)
    resumed.load_state_dict(state)
    assert live(resumed, 60, first=60) == after
    assert resumed.state_dict() == whole.state_dict()


@learners
def test_without_its_state_the_future_is_another(kind: Make) -> None:
    whole, fresh = begun(kind(), 0.1), begun(kind(), 0.1)
    for step in range(60):
        whole.observe(step % 4, 50.0 * (step % 4 == 2))
    assert live(whole, 60) != live(fresh, 60)


@learners
def test_the_arm_that_brings_most_comes_most(kind: Make) -> None:
    teacher = begun(kind(), 0.1)
    live(teacher, 150)
    assert teacher.probabilities().argmax() == 1


@every
@pytest.mark.parametrize("learned", [True, False])
def test_what_was_learned_of_other_arms_is_forgotten(kind: Make, learned: bool) -> None:
    teacher = begun(kind(), 0.1)
    live(teacher, 50 * learned)
    begun(teacher, 0.2, ARMS[:2])
    fresh = begun(kind(), 0.2, ARMS[:2])
    assert teacher.state_dict() == fresh.state_dict()
    assert teacher.probabilities().tolist() == fresh.probabilities().tolist()


@every
def test_one_arm_is_always_chosen(kind: Make) -> None:
    teacher = begun(kind(), 0.1, ARMS[:1])
    for reward in (1.0, -1.0, 1.0):
        assert teacher.propose(np.random.default_rng(0)) == 0
        teacher.observe(0, reward)
    assert teacher.probabilities().tolist() == [1.0]


@every
@pytest.mark.parametrize("reward", [float("nan"), float("inf"), float("-inf")])
def test_a_reward_that_is_no_number_is_refused_by_name(kind: Make, reward: float) -> None:
    teacher = begun(kind())
    before = copy.deepcopy(teacher.state_dict())
    with pytest.raises(LearnerError) as error:
        teacher.observe(2, reward)
    assert str(error.value) == (
        f"{teacher.kind}: the reward of arm 'c' is {reward}; expected a finite number. Leave out a reward that could "
        "not be measured, and look for the cause in that arm's losses."
    )
    assert teacher.state_dict() == before


def test_the_floor_is_shared_evenly() -> None:
    assert begun(Fixed(1, 0, 0, 0), 0.2).probabilities().tolist() == pytest.approx([0.85, 0.05, 0.05, 0.05])
    assert begun(Fixed(3, 1, 0, 0), 0.0).probabilities().tolist() == [0.75, 0.25, 0, 0]
    assert begun(Fixed(3, 1, 0, 0), 1.0).probabilities().tolist() == [0.25] * 4


def test_proposals_come_as_often_as_the_probabilities_say() -> None:
    teacher, generator = begun(Fixed(0, 5, 0, 3), 0.0), np.random.default_rng(0)
    counts = np.bincount([teacher.propose(generator) for _ in range(8000)], minlength=4)
    assert counts[[0, 2]].tolist() == [0, 0]
    assert counts[1] == pytest.approx(5000, abs=4 * np.sqrt(8000 * 15 / 64))  # four standard deviations


class Edge:
    """A generator that draws one number."""

    def __init__(self, number: float) -> None:
        self.random = lambda: number


def test_a_draw_at_the_edge_is_of_an_arm_that_may_come() -> None:
    low: Any = Edge(0.0)
    high: Any = Edge(float(np.nextafter(1, 0)))
    assert begun(Fixed(0, 1, 2, 0)).propose(low) == 1
    assert begun(Fixed(0, 1, 2, 0)).propose(high) == 2
    assert begun(Fixed(0, 0.1, 0.2, 0)).propose(high) == 2


def test_a_proposal_draws_one_number() -> None:
    generator, other = np.random.default_rng(3), np.random.default_rng(3)
    begun(Uniform()).propose(generator)
    other.random()
    assert generator.bit_generator.state == other.bit_generator.state


def test_a_late_reward_is_weighed_by_the_probabilities_of_its_draw() -> None:
    late, own = begun(Exp3S(eta=1.0), 0.1), begun(Exp3S(eta=1.0), 0.1)
    for teacher in (late, own):
        live(teacher, 5)
    generator = np.random.default_rng(7)
    arms = [late.propose(generator) for _ in range(3)]
    drawn = late.probabilities()
    for arm in arms:
        late.observe(arm, float(arm))
        own.learn(arm, float(arm), drawn)
    assert late.state_dict()["weights"] == own.state_dict()["weights"]


@pytest.mark.parametrize(
    ("arms", "floor", "told"),
    [
        ([], 0.1, "uniform: expected arms to choose from, got none."),
        ([Arm("a", 1), Arm("a", 2)], 0.1, "uniform: expected arms of different names, got 'a' twice."),
        ([Arm("a", 1), Arm("b", 0)], 0.1, "uniform: arm 'b' has no rows to learn from. Leave it out."),
        (
            [Arm("a", 1, (0,)), Arm("b", 1, (0, 1))],
            0.1,
            "uniform: expected as many coordinates of each arm, got several lengths.",
        ),
        (ARMS, 1.5, "uniform: expected a floor from 0 to 1, got 1.5."),
        (ARMS, float("nan"), "uniform: expected a floor from 0 to 1, got nan."),
    ],
)
def test_arms_that_cannot_be_taught_are_refused(arms: Any, floor: float, told: str) -> None:
    teacher = begun(Uniform())
    with pytest.raises(LearnerError) as error:
        teacher.begin(arms, floor)
    assert str(error.value) == told
    assert teacher.arms == ARMS


@pytest.mark.parametrize(
    ("shares", "got"),
    [
        ((0, 0, 0, 0), "[0. 0. 0. 0.]"),
        ((1, -1, 1, 1), "[ 1. -1.  1.  1.]"),
        ((1, float("nan"), 1, 1), "[ 1. nan  1.  1.]"),
        ((1, 1), "[1. 1.]"),
    ],
)
def test_what_are_no_shares_is_refused(shares: Any, got: str) -> None:
    with pytest.raises(LearnerError) as error:
        begun(Fixed(*shares)).probabilities()
    assert str(error.value) == f"fixed: expected 4 shares that are not negative and sum to something, got {got}."


def test_other_mistakes_are_told() -> None:
    teacher = begun(Uniform())
    with pytest.raises(LearnerError, match=r"^uniform: expected the place of one of 4 arms, got 4\.$"):
        teacher.observe(4, 1.0)
    with pytest.raises(LearnerError, match=r"^uniform: expected a progress from 0 to 1, got 1\.1\.$"):
        teacher.advance(1.1)
    with pytest.raises(LearnerError, match=r"^uniform: expected a state of the arms a, b; got one of a, b, c, d\.$"):
        begun(Uniform(), 0.0, ARMS[:2]).load_state_dict(teacher.state_dict())
