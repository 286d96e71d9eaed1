"""What rows count by their losses: each equals its paper."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import lambertw

from jumpml.core import LearnerError
from jumpml.curriculum import SelfPaced, SuperLoss
from jumpml.curriculum._row_weights import lambert_w

if TYPE_CHECKING:
    from collections.abc import Callable

    from jumpml.curriculum import RowWeights

LOSSES = st.floats(0, 20)


def test_lambert_w_is_scipys() -> None:
    branch = -1 / math.e
    x = np.concatenate(
        [np.linspace(branch, branch + 1e-3, 99), np.linspace(branch, 1, 499), np.geomspace(1e-8, 1e6, 499)]
    )
    expected = np.nan_to_num(lambertw(x).real, nan=-1)
    assert np.allclose(lambert_w(torch.tensor(x)).double().numpy(), expected, rtol=3e-7, atol=3e-7)


@given(loss=LOSSES, threshold=st.floats(0, 5), regularization=st.floats(0.1, 5))
def test_the_confidence_is_where_the_super_loss_is_least(loss: float, threshold: float, regularization: float) -> None:
    """Castells et al. 2020, equation 1: the least over sigma, found without their closed form; it is bounded by e."""
    weight = float(SuperLoss(threshold, regularization=regularization).weigh(torch.tensor([loss])))

    def whole(log_sigma: float) -> float:
        return (loss - threshold) * math.exp(log_sigma) + regularization * log_sigma**2

    least: Any = minimize_scalar(whole, bounds=(-12, 1), method="bounded", options={"xatol": 1e-10})
    found = float(least.x)
    if (loss - threshold) / regularization > -2 / math.e + 1e-3:
        assert whole(math.log(weight)) <= whole(found) + 1e-6
        assert math.log(weight) == pytest.approx(found, abs=1e-3)
    assert 0 < weight <= math.e + 1e-5


@given(losses=st.lists(LOSSES, min_size=2, max_size=8))
def test_the_higher_the_loss_the_less_it_counts(losses: list[float]) -> None:
    rising = torch.tensor(sorted(losses))
    assert (SuperLoss(1.0).weigh(rising).diff() <= 1e-6).all()
    rule = SelfPaced("linear", start=0.6)
    rule.closed(rising, 0.0)
    assert (rule.weigh(rising).diff() <= 0).all()


def test_the_threshold_is_a_running_average_of_rows_that_count() -> None:
    rule = SuperLoss(decay=0.75)
    rule.begin(0)
    there = torch.tensor([True, True, False])
    assert float(rule.weigh(torch.tensor([1.0, 3.0, torch.nan]), there)[0]) > 1
    assert float(rule.state_dict()["usual"]) == 2.0
    rule.weigh(torch.tensor([6.0]))
    assert float(rule.state_dict()["usual"]) == 0.75 * 2 + 0.25 * 6
    rule.weigh(torch.tensor([torch.nan]), torch.tensor([False]))
    assert float(rule.state_dict()["usual"]) == 3.0
    again = SuperLoss(decay=0.75)
    again.load_state_dict(rule.state_dict())
    losses = torch.rand(5)
    assert torch.equal(again.weigh(losses), rule.weigh(losses))
    rule.begin(0)
    assert math.isnan(float(rule.state_dict()["usual"]))


def test_the_threshold_of_classes_is_the_loss_of_a_guess() -> None:
    rule = SuperLoss("classes")
    rule.begin(10)
    assert float(rule.weigh(torch.tensor([math.log(10)]))) == pytest.approx(1.0)
    for classes in (0, 1):
        with pytest.raises(LearnerError, match=f"without `focal`, and there are {classes}. Take `average`"):
            rule.begin(classes)


def test_where_nothing_is_said_the_threshold_is_that_of_classes_or_the_average() -> None:
    rule, same = SuperLoss(), SuperLoss("classes")
    rule.begin(10)
    same.begin(10)
    losses = torch.tensor([0.1, 2.0, 5.0])
    assert torch.equal(rule.weigh(losses), same.weigh(losses))
    rule.begin(0)
    same = SuperLoss("average")
    same.begin(0)
    for _ in range(2):
        assert torch.equal(rule.weigh(losses), same.weigh(losses))
        losses = losses / 2


@given(losses=st.lists(LOSSES, min_size=1, max_size=30), share=st.floats(0.05, 0.99), over=st.floats(0, 1))
def test_as_many_rows_as_the_share_says_lie_below_the_limit(losses: list[float], share: float, over: float) -> None:
    rule = SelfPaced(start=share, end=share, over=0.5)
    last = torch.tensor([*losses, torch.nan], dtype=torch.float64)
    rule.closed(last, over)
    counted = int(rule.weigh(last[:-1]).sum())
    limit = sorted(losses)[math.ceil(share * len(losses) - 1e-9) - 1]
    assert counted == sum(loss <= limit for loss in losses)
    assert counted >= share * len(losses) - 1e-6


def test_the_share_grows_and_in_the_end_there_is_no_limit() -> None:
    losses = torch.arange(1.0, 11.0)

    def counted(over: float, end: float = 1.0) -> float:
        rule = SelfPaced(start=0.2, end=end, over=0.5)
        rule.closed(losses, over)
        return float(rule.weigh(losses).sum())

    assert [counted(over) for over in (0.0, 0.25, 0.5, 1.0)] == [2, 6, 10, 10]
    assert [counted(over, 0.6) for over in (0.0, 0.25, 0.5, 1.0)] == [2, 4, 6, 6]


def test_linear_rows_count_one_minus_their_loss_over_the_limit() -> None:
    rule = SelfPaced("linear", start=0.5)
    losses = torch.tensor([0.0, 1.0, 2.0, 4.0, 9.0, 9.0])
    assert rule.weigh(losses).tolist() == [1.0] * 6
    rule.closed(losses, 0.0)
    assert rule.weigh(losses).tolist() == [1.0, 0.5, 0.0, 0.0, 0.0, 0.0]
    again = SelfPaced("linear", start=0.5)
    again.load_state_dict(rule.state_dict())
    assert torch.equal(again.weigh(losses), rule.weigh(losses))
    rule.begin(3)
    assert rule.weigh(losses).tolist() == [1.0] * 6


def test_where_no_loss_is_known_all_rows_count() -> None:
    rule = SelfPaced()
    rule.closed(torch.full((3,), torch.nan), 0.0)
    assert rule.weigh(torch.rand(3)).tolist() == [1.0] * 3


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: SelfPaced("soft"), "self_paced: expected a form that is hard or linear, got 'soft'."),  # type: ignore[arg-type]
        (lambda: SelfPaced(start=0), "self_paced: expected start above 0 and at most 1, got 0."),
        (lambda: SelfPaced(end=1.5), "self_paced: expected end above 0 and at most 1, got 1.5."),
        (lambda: SelfPaced(over=0), "self_paced: expected over above 0 and at most 1, got 0."),
        (
            lambda: SuperLoss("median"),  # type: ignore[arg-type]
            "super_loss: expected a threshold that is average, classes or a number, got 'median'.",
        ),
        (lambda: SuperLoss(decay=1), "super_loss: expected decay between 0 and 1, got 1."),
        (lambda: SuperLoss(regularization=0), "super_loss: expected regularization above 0, got 0."),
    ],
)
def test_what_makes_no_sense_is_refused(make: Callable[[], RowWeights], text: str) -> None:
    with pytest.raises(LearnerError) as caught:
        make()
    assert str(caught.value) == text


@pytest.mark.parametrize("kind", [SelfPaced, SuperLoss])
def test_identities_tell_options(kind: type[RowWeights]) -> None:
    assert kind().identity().startswith(kind.kind)
