"""Which rows come first, and how many of them: each way equals its formula."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jumpml.core import LearnerError
from jumpml.curriculum import (
    BabyStep,
    ExponentialPacing,
    LinearPacing,
    Pacing,
    RootPacing,
    StepPacing,
    difficulty_bins,
    ranked,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SHARES = st.floats(0.01, 1.0)
FUNCTIONS = [LinearPacing, RootPacing, ExponentialPacing, StepPacing]

# Wu et al. 2021, Table 1, by b the start, a the share of the run that it takes and t the place, over N rows; of the
# root Platanios et al. 2019, equation 8
FORMULAS: dict[type[Pacing], Callable[[float, float, float], float]] = {
    LinearPacing: lambda b, a, t: min(1, b + (1 - b) * t / a),
    ExponentialPacing: lambda b, a, t: min(1, b + (1 - b) / (math.exp(10) - 1) * (math.exp(min(10 * t / a, 700)) - 1)),
    StepPacing: lambda b, a, t: min(1, b + (1 - b) * math.floor(t / a)),
    RootPacing: lambda b, a, t: min(1, math.sqrt(t * (1 - b**2) / a + b**2)),
}


@pytest.mark.parametrize("kind", FUNCTIONS)
@given(start=SHARES, over=SHARES, place=st.floats(0, 1))
def test_each_way_is_the_papers(kind: Any, start: float, over: float, place: float) -> None:
    (share,) = kind(start, over).shares(torch.tensor([place], dtype=torch.float64)).tolist()
    assert share == pytest.approx(FORMULAS[kind](start, over, place), abs=1e-9)


@pytest.mark.parametrize("kind", FUNCTIONS)
@given(start=SHARES, over=SHARES)
def test_shares_rise_from_the_start_and_end_at_exactly_one(kind: Any, start: float, over: float) -> None:
    places = torch.linspace(0, 1, 57, dtype=torch.float64)
    shares = kind(start, over).shares(places)
    assert shares[0] == pytest.approx(1 if start == 1 else start)
    assert (shares.diff() >= 0).all()
    assert (shares[places >= over] == 1).all()
    assert (shares >= start).all()


def test_a_root_of_another_degree_and_several_steps() -> None:
    places = torch.tensor([0.0, 0.25, 0.5], dtype=torch.float64)
    expected = [0.5, (0.125 + 0.875 / 2) ** (1 / 3), 1.0]
    assert RootPacing(0.5, 0.5, degree=3).shares(places).tolist() == pytest.approx(expected)
    assert StepPacing(0.1, 1.0, steps=3).shares(places).tolist() == pytest.approx([0.1, 0.1, 0.4])


def test_a_bucket_joins_when_the_loss_no_longer_falls_or_after_so_many_epochs() -> None:
    def opened(losses: list[float], patience: int, epochs: int) -> list[float]:
        pacing, found = BabyStep(buckets=4, patience=patience, epochs=epochs), []
        for loss in losses:
            pacing.closed(loss)
            found.append(pacing.shares(torch.tensor(0.0)).item())
        return found

    falling = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5]
    assert opened(falling, patience=1, epochs=9) == [0.25] * 6
    assert opened(falling, patience=1, epochs=2) == [0.25, 0.5, 0.5, 0.75, 0.75, 1.0]
    assert opened([1.0, 1.0, 0.9, 0.9], patience=1, epochs=9) == [0.25, 0.5, 0.5, 0.75]
    assert opened([1.0, 1.0, 0.9, 0.9, 0.9], patience=2, epochs=9) == [0.25, 0.25, 0.25, 0.25, 0.5]
    assert opened([1.0] * 9, patience=1, epochs=1)[-1] == 1.0  # and no bucket more


def test_a_bucket_is_remembered_and_each_phase_begins_with_one() -> None:
    pacing, again = BabyStep(buckets=3, patience=1, epochs=3), BabyStep(buckets=3, patience=1, epochs=3)
    for loss in (1.0, 1.0, 0.5):
        pacing.closed(loss)
    again.load_state_dict(pacing.state_dict())
    assert again.state_dict() == pacing.state_dict()
    for one in (pacing, again):
        one.closed(0.6)
    assert again.shares(torch.tensor(0.0)).item() == 1.0
    assert pacing.state_dict() == again.state_dict()
    pacing.begin()
    assert pacing.shares(torch.tensor(0.0)).item() == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: LinearPacing(0, 0.5), "pacing linear: expected start above 0 and at most 1, got 0."),
        (lambda: RootPacing(1.5, 0.5), "pacing root: expected start above 0 and at most 1, got 1.5."),
        (lambda: StepPacing(0.2, 0), "pacing step: expected over above 0 and at most 1, got 0."),
        (lambda: ExponentialPacing(0.2, 2), "pacing exponential: expected over above 0 and at most 1, got 2."),
        (lambda: RootPacing(degree=0.5), "pacing root: expected a degree of 1 or more, got 0.5."),
        (lambda: StepPacing(steps=0), "pacing step: expected a step or more, got 0."),
        (lambda: BabyStep(buckets=0), "pacing baby_step: expected buckets of 1 or more, got 0."),
        (lambda: BabyStep(epochs=0), "pacing baby_step: expected epochs of 1 or more, got 0."),
        (
            lambda: LinearPacing(order="randon"),
            "pacing: expected an order that is easy_first, hard_first, random; got 'randon'. Did you mean 'random'?",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make: Callable[[], Pacing], text: str) -> None:
    with pytest.raises(LearnerError) as caught:
        make()
    assert str(caught.value) == text


@pytest.mark.parametrize("kind", [*FUNCTIONS, BabyStep], ids=lambda kind: kind.kind)
def test_identities_tell_options_apart(kind: Any) -> None:
    assert kind().identity() == kind().identity() != kind(order="random").identity()


# --- ranks and bins --------------------------------------------------------------------------------------------------

VALUES = st.lists(st.integers(0, 5), min_size=2, max_size=40)


@given(values=VALUES, seed=st.integers(0, 9))
def test_rows_come_by_difficulty_and_equal_ones_by_chance(values: list[int], seed: int) -> None:
    difficulty = torch.tensor(values, dtype=torch.float64)
    easy, hard = ranked(difficulty, seed=seed), ranked(difficulty, "hard_first", seed)
    assert difficulty[easy].tolist() == sorted(values)
    assert difficulty[hard].tolist() == sorted(values, reverse=True)
    assert easy.sort().values.tolist() == [*range(len(values))]
    assert torch.equal(easy, ranked(difficulty, seed=seed))


def test_rows_that_are_equally_hard_are_not_taken_as_they_lie() -> None:
    same = torch.zeros(100, dtype=torch.float64)
    assert ranked(same).tolist() != [*range(100)]
    assert not torch.equal(ranked(same), ranked(same, seed=1))


def test_random_asks_for_no_difficulty() -> None:
    unknown = torch.full((20,), torch.nan)
    assert ranked(unknown, "random").sort().values.tolist() == [*range(20)]


@given(values=VALUES, bins=st.integers(1, 6))
def test_bins_are_of_equal_size_and_in_order(values: list[int], bins: int) -> None:
    difficulty = torch.tensor(values, dtype=torch.float64)
    if bins > len(values) or (bins > 1 and len({*values}) == 1):
        with pytest.raises(LearnerError):
            difficulty_bins(difficulty, bins)
        return
    found = difficulty_bins(difficulty, bins)
    counts = torch.bincount(found, minlength=bins)
    assert counts.max() - counts.min() <= 1
    for low in range(bins - 1):
        assert difficulty[found == low].max() <= difficulty[found == low + 1].min()


def test_rows_that_cannot_be_ranked_are_told_of() -> None:
    def error(values: list[float], bins: int = 2) -> str:
        with pytest.raises(LearnerError) as caught:
            difficulty_bins(torch.tensor(values), bins)
        return str(caught.value)

    missing = "difficulty: 2 of 3 train rows have none: it is missing there, NaN or infinite. Fill it in."
    assert error([1.0, math.nan, math.inf]) == missing
    constant = "difficulty: all 3 train rows are equally hard (2): there is nothing to rank by."
    assert error([2.0, 2.0, 2.0]) == constant
    assert error([2.0, 1.0], 3) == "difficulty: expected from 1 to 2 bins of 2 rows, got 3."
