"""TSCL's algorithms, beside those of Matiisen et al. 2017 on scores."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from jumpml.core import LearnerError
from jumpml.curriculum import TSCL, Arm

ARMS = [Arm(name, 1) for name in "abc"]
EPSILON = 0.1


def scores(steps: int) -> list[tuple[int, float]]:
    """Which task was trained on and its score then: one is learned, one stays, one is forgotten."""
    generator = np.random.default_rng(0)
    slopes, level = (0.02, 0.0, -0.05), [0.2, 0.5, 0.9]
    found = []
    for _ in range(steps):
        task = int(generator.integers(3))
        level[task] += slopes[task] + 0.01 * float(generator.normal())
        found.append((task, level[task]))
    return found


def begun(*args: Any, **options: Any) -> TSCL:
    teacher = TSCL(*args, **options)
    teacher.begin(ARMS, EPSILON)
    return teacher


def greedy(sizes: np.ndarray) -> np.ndarray:
    best = sizes == sizes.max()
    return (1 - EPSILON) * best / best.sum() + EPSILON / 3


def test_online_is_algorithm_2() -> None:
    teacher, q, before = begun("online", alpha=0.2), np.zeros(3), np.zeros(3)
    for task, score in scores(100):
        reward = score - before[task]
        teacher.observe(task, reward)
        before[task] = score
        q[task] = 0.2 * reward + 0.8 * q[task]
        np.testing.assert_allclose(teacher.probabilities(), greedy(np.abs(q)))


def test_a_temperature_is_boltzmanns() -> None:
    teacher, q, before = begun("online", temperature=0.01), np.zeros(3), np.zeros(3)
    for task, score in scores(60):
        teacher.observe(task, score - before[task])
        q[task] = 0.1 * (score - before[task]) + 0.9 * q[task]
        before[task] = score
        shares = np.exp(np.abs(q) / 0.01) / np.exp(np.abs(q) / 0.01).sum()
        np.testing.assert_allclose(teacher.probabilities(), (1 - EPSILON) * shares + EPSILON / 3)


def test_window_is_algorithm_3() -> None:
    """The line by numpy's polyfit, through scores themselves; of a single point there is no slope."""
    teacher, q, before = begun("window", window=4, alpha=0.3), np.zeros(3), np.zeros(3)
    points: list[list[tuple[int, float]]] = [[], [], []]
    for time, (task, score) in enumerate(scores(100), start=1):
        teacher.observe(task, score - before[task])
        before[task] = score
        points[task] = [*points[task], (time, score)][-4:]
        times, heights = zip(*points[task], strict=True)
        slope = np.polyfit(times, heights, 1)[0] if len(times) > 1 else 0.0
        q[task] = 0.3 * slope + 0.7 * q[task]
        np.testing.assert_allclose(teacher.probabilities(), greedy(np.abs(q)), atol=1e-9)


def test_sampling_is_algorithm_4() -> None:
    """Every way in which one change of each task's last ones can be drawn, one by one; of one that was not seen, 1."""
    teacher, before = begun("sampling", window=3), np.zeros(3)
    changes: list[list[float]] = [[], [], []]
    for task, score in scores(40):
        change = score - before[task]
        teacher.observe(task, change)
        before[task] = score
        changes[task] = [*changes[task], change][-3:]
        wins = np.zeros(3)
        drawn = [*itertools.product(*(each or [1.0] for each in changes))]
        for one in drawn:
            best = np.abs(one) == np.abs(one).max()
            wins += best / best.sum() / len(drawn)
        np.testing.assert_allclose(teacher.probabilities(), (1 - EPSILON) * wins + EPSILON / 3, atol=1e-12)


def test_draws_that_are_alike_share() -> None:
    teacher = begun("sampling")
    for arm, reward in [(0, 1.0), (0, 2.0), (1, 2.0), (1, -2.0), (2, 1.0), (2, 2.0)]:
        teacher.observe(arm, reward)
    # arm 1 always draws 2: alone with 1/4, beside one other with 1/4 twice, beside both with 1/4
    wins = np.array([1 / 8 + 1 / 12, 1 / 4 + 1 / 4 + 1 / 12, 1 / 8 + 1 / 12])
    np.testing.assert_allclose(teacher.probabilities(), 0.9 * wins + EPSILON / 3)


@pytest.mark.parametrize(
    ("args", "options", "told"),
    [
        (("naive",), {}, "tscl: expected one of online, window, sampling, got 'naive'."),
        (("online",), {"window": 5}, "tscl: its algorithm 'online' has no window. Leave it out."),
        (("sampling",), {"alpha": 0.1}, "tscl: its algorithm 'sampling' has no alpha. Leave it out."),
        (("sampling",), {"temperature": 1.0}, "tscl: its algorithm 'sampling' has no temperature. Leave it out."),
        (("online",), {"alpha": 1.5}, "tscl: expected alpha of at most 1, got 1.5."),
        (("online",), {"alpha": 0.0}, "tscl: expected alpha above 0, got 0.0."),
        (("online",), {"temperature": -1.0}, "tscl: expected a temperature above 0, got -1.0."),
        (("window",), {"window": 1}, "tscl: expected a window of at least 2, got 1."),
        (("sampling",), {"window": 0}, "tscl: expected a window of at least 1, got 0."),
    ],
)
def test_options_that_do_not_go_together_are_refused(args: Any, options: Any, told: str) -> None:
    with pytest.raises(LearnerError) as error:
        TSCL(*args, **options)
    assert str(error.value) == told


def test_what_must_stay_the_same_is_told() -> None:
    assert TSCL("online").identity() == "tscl online, alpha 0.1"
    assert TSCL("window", temperature=2.0).identity() == "tscl window, alpha 0.1, window 10, temperature 2"
    assert TSCL(window=3).identity() == "tscl sampling, window 3"
