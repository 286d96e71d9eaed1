from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpml.evaluate._calibration import calibration_of


def test_the_error_is_the_weighted_distance_over_bins() -> None:
    confidence = torch.tensor([0.91, 0.93, 0.91, 0.93, 0.62, 0.62])
    right = torch.tensor([1, 1, 1, 0, 0, 0])
    found = calibration_of(confidence, right)
    # two of fifteen bins have rows: |.75 - .92| with four of six rows, |0 - .62| with two
    assert found.error == pytest.approx(4 / 6 * 0.17 + 2 / 6 * 0.62, abs=1e-6)
    assert found.confidence == pytest.approx((0.62, 0.92), abs=1e-6)
    assert found.accuracy == (0.0, 0.75)
    assert found.count == (2, 4)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_bins_hold_every_row_once_and_the_error_is_a_share(rows: list[tuple[float, bool]]) -> None:
    confidence, right = (torch.tensor(column) for column in zip(*rows, strict=True))
    found = calibration_of(confidence, right)
    assert sum(found.count) == len(rows)
    assert 0 <= found.error <= 1
    assert 0 <= found.null_low <= found.null_high <= 1
    assert sum(a * n for a, n in zip(found.accuracy, found.count, strict=True)) == pytest.approx(sum(right.tolist()))


def test_certain_and_right_is_no_error_at_all() -> None:
    found = calibration_of(torch.ones(10), torch.ones(10))
    assert (found.error, found.null_low, found.null_high) == (0, 0, 0)


def simulated(rows: int, seed: int, overconfidence: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    confidence = 0.5 + 0.5 * torch.rand(rows, generator=generator)
    right = torch.rand(rows, generator=generator) < confidence - overconfidence
    return confidence, right


def test_a_calibrated_model_lies_in_the_null_band_as_often_as_it_says() -> None:
    """Of 300 simulated models 95% should; three standard deviations of that share, 1.3% each, are allowed."""
    inside = 0
    for seed in range(300):
        found = calibration_of(*simulated(150, seed))
        inside += found.null_low <= found.error <= found.null_high
    assert 0.95 - 0.04 <= inside / 300 <= 0.95 + 0.04


def test_an_overconfident_model_lies_above_the_null_band() -> None:
    found = calibration_of(*simulated(500, 0, overconfidence=0.2))
    assert found.error > found.null_high
    assert found.error == pytest.approx(0.2, abs=0.06)


def test_the_null_band_shrinks_with_more_rows_and_is_repeatable() -> None:
    small, large = calibration_of(*simulated(100, 0)), calibration_of(*simulated(6400, 0))
    # the scatter of shares falls with the root of the rows
    assert small.null_high / large.null_high == pytest.approx(8, rel=0.35)
    assert calibration_of(*simulated(100, 0)) == small
