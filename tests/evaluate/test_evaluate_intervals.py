from __future__ import annotations

from math import comb, sqrt

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jumpml.evaluate import Predictions, measure, num_resamples, percentiles, resamples, wilson
from jumpml.evaluate._draws import Draws
from jumpml.evaluate._intervals import reflected
from jumpml.evaluate._ranking import average_precision


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    # Newcombe 1998, Two-sided confidence intervals for the single proportion, table I, the score method
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(hits: int, trials: int, low: float, high: float) -> None:
    assert wilson(hits, trials) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10_000).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_wilson_holds_the_share_stays_in_range_and_mirrors(case: tuple[int, int]) -> None:
    hits, trials = case
    low, high = wilson(hits, trials)
    assert 0 <= low <= hits / trials <= high <= 1
    assert low < high
    assert wilson(trials - hits, trials) == pytest.approx((1 - high, 1 - low), abs=1e-12)


@given(st.integers(1, 50), st.integers(1, 50), st.integers(2, 20))
def test_wilson_narrows_with_more_trials_of_the_same_share(hits: int, misses: int, times: int) -> None:
    low, high = wilson(hits, hits + misses)
    closer = wilson(hits * times, (hits + misses) * times)
    assert low < closer[0] < closer[1] < high


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_wilson_covers_the_truth_about_as_often_as_it_says(share: float) -> None:
    """Exactly, over the binomial distribution of 100 trials: between 93% and 97%."""
    covered = sum(
        comb(100, hits) * share**hits * (1 - share) ** (100 - hits)
        for hits in range(101)
        if wilson(hits, 100)[0] <= share <= wilson(hits, 100)[1]
    )
    assert 0.93 <= covered <= 0.97


def test_resamples_are_repeatable_and_draw_every_row_equally_often() -> None:
    drawn = resamples(50, 400)
    assert drawn.shape == (400, 50)
    assert torch.equal(drawn, resamples(50, 400))
    counts = drawn.flatten().bincount(minlength=50)
    # 400 expected of each, standard deviation 20: five of them
    assert (counts - 400).abs().max() < 100


def test_large_samples_are_drawn_less_often_but_never_too_rarely() -> None:
    assert [num_resamples(n) for n in (0, 1, 20_000, 40_000, 10**9)] == [1000, 1000, 1000, 500, 100]


def test_percentiles_are_the_middle_95_of_100() -> None:
    assert percentiles([float(x) for x in range(201)]) == (5.0, 195.0)


def regression(rows: int) -> Predictions:
    generator = torch.Generator().manual_seed(rows)
    target = torch.randn(rows, 1, generator=generator)
    output = target + torch.randn(rows, 1, generator=generator)
    return Predictions(output=output, target=target, present=torch.ones(rows, dtype=torch.bool))


def test_the_bootstraps_interval_of_a_mean_is_the_normal_one() -> None:
    predictions = regression(1000)
    errors = (predictions.output - predictions.target).abs().double()
    expected = 1.96 * float(errors.std()) / sqrt(1000)
    figure = measure("regression", ["mae"], predictions)["mae"]
    assert figure.value == pytest.approx(float(errors.mean()), rel=1e-6)
    # 1000 resamples know an end to about 5% of the half width
    assert figure.high - figure.value == pytest.approx(expected, rel=0.2)
    assert figure.value - figure.low == pytest.approx(expected, rel=0.2)


def test_the_bootstraps_interval_narrows_with_the_root_of_the_rows() -> None:
    small, large = (measure("regression", ["rmse"], regression(rows))["rmse"] for rows in (100, 1600))
    assert (small.high - small.low) / (large.high - large.low) == pytest.approx(4, rel=0.35)


@given(st.floats(0, 1), st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_a_reflected_interval_holds_the_value_and_stays_in_range(value: float, draws: list[float]) -> None:
    low, high = reflected(value, draws)
    assert 0 <= low <= value <= high <= 1
    below, above = percentiles(draws)
    if below <= value <= above and value + (value - above) >= 0 and value + (value - below) <= 1:
        assert (low, high) == pytest.approx((2 * value - above, 2 * value - below), abs=1e-12)


def test_average_precision_of_rare_labels_is_not_overstated() -> None:
    """Scores that know nothing have the label's share, 0.1, as their average precision in the long run."""
    generator = torch.Generator().manual_seed(0)
    held = {"percentiles": 0, "reflected": 0}
    for _ in range(40):
        scores, truths = torch.randn(300, 10, generator=generator), torch.rand(300, 10, generator=generator) < 0.1
        value = float(average_precision(scores, truths.long(), Draws.once(300)).mean())
        drawn = torch.randint(300, (60, 300), generator=generator)
        draws = average_precision(scores, truths.long(), Draws.of(drawn)).mean(1).tolist()
        for name, (low, high) in (("percentiles", percentiles(draws)), ("reflected", reflected(value, draws))):
            held[name] += low <= 0.1 <= high
    assert held["reflected"] >= 36  # 95% of 40 are 38
    assert held["percentiles"] < 20  # and so the test can fail


def test_average_precision_is_measured_so() -> None:
    generator = torch.Generator().manual_seed(0)
    target = (torch.rand(200, 4, generator=generator) < 0.05).float()
    output, present = torch.randn(200, 4, generator=generator), torch.ones(200, dtype=torch.bool)
    predictions = Predictions(output=output, target=target, present=present)
    figure = measure("multilabel", ["average_precision"], predictions)["average_precision"]
    assert figure.low <= figure.value <= figure.high
    assert figure.value - figure.low > figure.high - figure.value  # the draws lie above
