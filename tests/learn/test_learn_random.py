"""The learner's stream of random numbers is its own."""

from __future__ import annotations

import random
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from iris_files import iris_data, iris_model, mlp

import jumpml
from jumpml.learn import Learner, Saving
from jumpml.learn._random import RandomState

if TYPE_CHECKING:
    from pathlib import Path


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


def test_one_inside_itself_is_one() -> None:
    torch.manual_seed(1)
    expected = torch.rand(2).tolist()
    torch.manual_seed(1)
    state, plain = RandomState(3), RandomState(3)
    with plain:
        wanted = [draw(), draw()]
    with state:
        found = []
        with state:
            found.append(draw())
        found.append(draw())
    assert found == wanted
    assert torch.rand(2).tolist() == expected


def test_half_a_pair_of_normal_numbers_stays_its_owners() -> None:
    with RandomState(3):
        whole = np.random.randn(4).tolist()  # drawn two at a time: NumPy keeps the second one for the next call
    np.random.seed(1)
    expected = np.random.randn(4).tolist()
    np.random.seed(1)
    mine, state = [np.random.randn()], RandomState(3)
    with state:
        found = [np.random.randn()]
    mine.append(np.random.randn())
    saved, other = state.state_dict(), RandomState(5)
    with state:
        found += np.random.randn(3).tolist()
    mine += np.random.randn(2).tolist()
    other.load_state_dict(saved)
    with other:
        again = np.random.randn(3).tolist()
    assert (mine, found, again) == (expected, whole, whole[1:])


DATA = iris_data()
NET = iris_model({"body": mlp(8, 6, dropout=0.5)})


@pytest.mark.parametrize("own", [True, False], ids=["the learner's generators", "the program's"])
def test_a_loop_by_hand_is_resumed_to_the_bit_with_the_learners_generators(tmp_path: Path, own: bool) -> None:
    def made(name: str) -> Learner:
        loaders = jumpml.create_dataloader(DATA)
        model = jumpml.load_model(NET, loaders)
        saving = Saving(folder=tmp_path / name, epochs=None)
        return Learner(loaders, model, torch.optim.SGD(model.parameters(), lr=0.1), saving=saving)

    def step_until(learner: Learner, step: int) -> None:
        with learner.random if own else nullcontext():
            for batch in learner.remaining():
                learner.step(batch)
                if learner.progress.step == step:
                    return

    torch.manual_seed(0)
    whole, stopped = made("whole"), made("stopped")
    step_until(whole, 6)
    step_until(stopped, 3)
    stopped.save()
    torch.rand(5)  # another program's generators stand elsewhere
    again = made("stopped")
    assert again.resume()
    step_until(again, 6)
    same = [torch.equal(one, two) for one, two in zip(whole.model.parameters(), again.model.parameters(), strict=True)]
    assert all(same) is own
