"""The learner's stream of random numbers is its own."""

from __future__ import annotations

import random

import numpy as np
import torch

from jumpml.learn._random import RandomState


def draw() -> tuple[float, float, float]:
    return torch.rand(1).item(), random.random(), float(np.random.rand())


def test_what_the_user_draws_between_changes_nothing() -> None:
    first, second = RandomState(3), RandomState(3)
    with first:
        a = [draw(), draw()]
    with second:
        b = [draw()]
    draw()
    with second:
        b.append(draw())
    assert a == b


def test_the_users_generators_are_untouched() -> None:
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    expected = draw()
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    with RandomState(0):
        draw()
    assert draw() == expected


def test_a_state_restores_all_three_inside_and_outside() -> None:
    state = RandomState(0)
    with state:
        saved = state.state_dict()
        expected = draw()
        state.load_state_dict(saved)
        assert draw() == expected
    other = RandomState(5)
    other.load_state_dict(saved)
    with other:
        assert draw() == expected


def test_other_seeds_draw_otherwise() -> None:
    with RandomState(0):
        a = draw()
    with RandomState(1):
        b = draw()
    assert all(x != y for x, y in zip(a, b, strict=True))
