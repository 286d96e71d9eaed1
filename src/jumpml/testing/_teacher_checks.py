"""What a teacher must hold to, check by check; each says what was expected and what came, or nothing."""

from __future__ import annotations

import copy
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from jumpml.core import LearnerError
from jumpml.curriculum import Arm, Array, Teacher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FLOOR = 0.1
ROWS = (100, 30, 30, 5, 1)
STEPS = 40  # more than any teacher waits before it learns


@dataclass(frozen=True)
class TeacherCase:
    """What is checked.

    Attributes:
        make: Gives one that has not begun.
    """

    make: Callable[[], Teacher]

    def begun(self, arms: list[Arm] | None = None, floor: float = FLOOR) -> Teacher:
        """One that has."""
        teacher = self.make()
        teacher.begin(_arms() if arms is None else arms, floor)
        return teacher

    def taught(self) -> Teacher:
        """One that has lived."""
        teacher = self.begun()
        for _ in _live(teacher, 0, STEPS):
            pass
        return teacher


def _arms(count: int = len(ROWS)) -> list[Arm]:
    return [Arm(f"arm {place}", rows) for place, rows in enumerate(ROWS[:count])]


def _live(teacher: Teacher, first: int, last: int) -> Iterator[tuple[int, Array]]:
    """Some steps of a life in which the second arm is the best to learn from: what is chosen, by which shares.

    At each step there is a reward of another arm, too, so that nothing depends on a teacher's own choices alone.
    """
    for step in range(first, last):
        teacher.advance(step / (2 * STEPS))
        shares = teacher.probabilities()
        arm = teacher.propose(np.random.default_rng(step))
        yield arm, shares
        for known in (arm, step % len(teacher.arms)):
            teacher.observe(known, (known == 1) + 0.2 * np.sin(step))


def check_shares(case: TeacherCase) -> str:
    """Probabilities are some, of few arms and many, before and after rewards, and asking for them changes nothing."""
    for count in (1, 2, len(ROWS)):
        teacher = case.begun(_arms(count))
        for step, (_, found) in enumerate(_live(teacher, 0, STEPS)):
            if problem := _shares_problem(found, count, teacher.floor):
                return f"of {count} arms after {step} rewards, {problem}"
            if not np.array_equal(teacher.probabilities(), found):
                return "expected the same probabilities where they are asked for twice, got others."
    return ""


def _shares_problem(found: Any, count: int, floor: float) -> str:
    if not isinstance(found, np.ndarray) or found.dtype != np.float64 or found.shape != (count,):
        return f"expected probabilities as float64 [{count}], got {found!r}."
    if not abs(found.sum() - 1) < 1e-9:
        return f"expected probabilities that sum to 1, got {_list(found)}."
    if (found < floor / count - 1e-9).any():
        return f"expected at least {floor / count:.4g} of each arm, its part of the floor, got {_list(found)}."
    return ""


def check_draws(case: TeacherCase) -> str:
    """A proposal draws one number of its generator, none of a global one, and no arm that has no share."""
    teacher = case.begun(floor=0.0)
    numbers, own = np.random.default_rng(0), np.random.default_rng(0)
    for step in range(STEPS):
        before = torch.random.get_rng_state(), np.random.get_state()
        shares = teacher.probabilities()
        arm = teacher.propose(own)
        numbers.random()
        if not shares[arm] > 0:
            return f"expected no proposal of an arm whose share is 0, got arm {arm} by {_list(shares)}."
        teacher.observe(arm, float(step % 3))
        if own.bit_generator.state != numbers.bit_generator.state:
            return "expected a proposal to draw one number of its generator, got another count."
        after = torch.random.get_rng_state(), np.random.get_state()
        if not torch.equal(before[0], after[0]) or repr(before[1]) != repr(after[1]):
            return "expected it to draw from the generator that it is given, got a draw from a global one."
    return ""


def check_rewards(case: TeacherCase) -> str:
    """Rewards change shares where it learns, and nothing where it does not."""
    one, other = case.begun(), case.begun()
    for step in range(STEPS):
        one.observe(step % len(ROWS), float(step % len(ROWS) == 1))
        other.observe(step % len(ROWS), float(step % len(ROWS) == 3))
    changed = not np.array_equal(one.probabilities(), other.probabilities())
    if one.learns and not changed:
        return "it says that it learns; expected rewards to change its shares, got the same for other rewards."
    if not one.learns and changed:
        return "it says that it does not learn; expected the same shares whatever the rewards, got others."
    return ""


def check_order(case: TeacherCase) -> str:
    """Arms in another order have the same shares."""
    order = np.roll(np.arange(len(ROWS)), 1)
    one, other = case.begun(), case.begun([_arms()[place] for place in order])
    generator = np.random.default_rng(0)
    for step in range(STEPS):
        arm, reward = int(generator.integers(len(ROWS))), float(generator.normal())
        for teacher, place in ((one, arm), (other, int(np.flatnonzero(order == arm)[0]))):
            teacher.advance(step / STEPS)
            teacher.observe(place, reward)
    expected, found = one.probabilities()[order], other.probabilities()
    if not np.allclose(found, expected, rtol=1e-6, atol=1e-9):
        return f"expected shares in the arms' order, {_list(expected)}; got {_list(found)}."
    return ""


def check_constant(case: TeacherCase) -> str:
    """Arms that are alike stay so where no reward tells them apart."""
    for reward in (0.0, 3.0, -0.5):
        teacher = case.begun([Arm(f"arm {place}", 10) for place in range(len(ROWS))], 0.0)
        for step in range(STEPS):
            teacher.observe(step % len(ROWS), reward)
        found, even = teacher.probabilities(), 1 / len(ROWS)
        if (found < even / 2).any() or (found > 2 * even).any():
            return f"expected shares near {even:.4g} where every reward is {reward:g}, got {_list(found)}."
    return ""


def check_extremes(case: TeacherCase) -> str:
    """Rewards of any size leave probabilities."""
    teacher, generator = case.begun(), np.random.default_rng(0)
    sizes = (1e300, -1e300, 1e-300, 0.0, 1.0)
    for step in range(STEPS):
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            arm = teacher.propose(generator)
            teacher.observe(arm, sizes[step % len(sizes)])
            found = teacher.probabilities()
        if problem := _shares_problem(found, len(ROWS), FLOOR):
            return f"after a reward of {sizes[step % len(sizes)]:g}, {problem}"
    return ""


def check_refusal(case: TeacherCase) -> str:
    """A reward that is no number is refused by name, and changes nothing."""
    for reward in (float("nan"), float("inf"), float("-inf")):
        teacher = case.taught()
        before = copy.deepcopy(teacher.state_dict())
        try:
            teacher.observe(2, reward)
        except LearnerError as error:
            if "'arm 2'" not in str(error):
                return f"expected an error that names 'arm 2', whose reward is {reward}; got: {error}"
        else:
            return f"expected a LearnerError where a reward is {reward}, got none."
        if repr(teacher.state_dict()) != repr(before):
            return f"expected a reward of {reward} to change nothing, got another state."
    return ""


def check_saving(case: TeacherCase) -> str:
    """Another that loads the state goes on with the same choices and shares."""
    whole = case.taught()
    state, file = whole.state_dict(), io.BytesIO()
    torch.save(state, file)
    expected = [*_live(whole, STEPS, 2 * STEPS)]
    later = io.BytesIO()
    torch.save(state, later)
    if later.getvalue() != file.getvalue():
        return "expected a state that stays what it was while its teacher goes on, got one that moved with it."
    file.seek(0)
    resumed = case.begun()
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for step, ((arm, shares), (other, found)) in enumerate(
        zip(expected, _live(resumed, STEPS, 2 * STEPS), strict=True)
    ):
        if arm != other or not np.array_equal(shares, found):
            return f"expected the same shares with its state, {_list(shares)}; got {_list(found)} after {step} steps."
    return ""


def check_afresh(case: TeacherCase) -> str:
    """With `begin` it forgets all."""
    teacher, fresh = case.taught(), case.begun()
    teacher.begin(_arms(), FLOOR)
    for (arm, shares), (other, found) in zip(_live(fresh, 0, STEPS), _live(teacher, 0, STEPS), strict=True):
        if arm != other or not np.array_equal(shares, found):
            return f"expected begin() to forget all, with shares {_list(shares)}; got {_list(found)}."
    return ""


def check_identity(case: TeacherCase) -> str:
    """Kind and identity say something, and stay the same."""
    new, taught = case.make(), case.taught()
    if not isinstance(getattr(new, "kind", None), str) or not new.kind:
        return "expected a kind, its name."
    if not isinstance(new.identity(), str) or not new.identity():
        return f"expected an identity in words, got {new.identity()!r}."
    if new.identity() != taught.identity():
        return f"expected one identity whatever it learns, got {new.identity()!r} and {taught.identity()!r}."
    return ""


def _list(found: Array) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in found) + "]"
