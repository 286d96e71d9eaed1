"""Each warning on a curve that deserves it, on its threshold, and on one that does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumpml.core import EpochRecord
from jumpml.diagnose import training_warnings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def _epochs(
    losses: Sequence[float],
    val: Sequence[float] | None = None,
    parts: Mapping[str, float] | None = None,
    phase: str = "supervised",
) -> list[EpochRecord]:
    return [
        EpochRecord(
            phase=phase,
            epoch=i + 1,
            step=i + 1,
            losses={**(parts or {"digit": loss}), "total": loss},
            val={} if val is None else {"loss": val[i]},
            lr=0.1,
            seconds=1.0,
        )
        for i, loss in enumerate(losses)
    ]


@pytest.mark.parametrize("losses", [(2.30, 2.29, 2.28), (2.3, 2.4, 2.5), (0.0, 0.0, 0.0), (-1.0, -1.0, -0.5)])
def test_a_loss_that_does_not_fall(losses: tuple[float, ...]) -> None:
    (text,) = training_warnings(_epochs(losses), {}, [])
    best = min(losses[1:])
    assert text == (
        f"supervised: the train loss did not fall: {losses[0]:.4g} in the first epoch, {best:.4g} in the best of the 2 "
        "after it. Check that the targets belong to the inputs, and try another learning rate."
    )


@given(st.floats(0.1, 100), st.floats(0.05, 0.45), st.integers(3, 20))
def test_a_loss_that_falls_steadily_is_fine(first: float, rate: float, n: int) -> None:
    losses = [first * (1 - rate) ** i for i in range(n)]
    assert training_warnings(_epochs(losses, val=losses), {}, []) == []


def test_two_epochs_are_not_judged() -> None:
    assert training_warnings(_epochs([1.0, 5.0], val=[1.0, 9.0]), {}, []) == []


def test_overfitting() -> None:
    (text,) = training_warnings(_epochs([1.0, 0.5, 0.3, 0.1], val=[0.9, 0.6, 0.8, 1.2]), {}, [])
    assert text == (
        "supervised: the validation loss rose from 0.6 in epoch 2 to 1.2 in epoch 4 while the train loss fell on: the "
        "model learns the train rows by heart. Keep the best checkpoint, train for fewer epochs, augment the data, "
        "or add weight decay."
    )


def test_a_validation_loss_within_the_threshold_is_no_overfitting() -> None:
    assert training_warnings(_epochs([1.0, 0.5, 0.3], val=[0.9, 0.6, 0.65]), {}, []) == []
    assert len(training_warnings(_epochs([1.0, 0.5, 0.3], val=[0.9, 0.6, 0.67]), {}, [])) == 1


def test_both_losses_rising_is_no_overfitting() -> None:
    assert training_warnings(_epochs([1.0, 0.3, 0.5], val=[0.9, 0.3, 0.6]), {}, []) == []


def test_spikes() -> None:
    (text,) = training_warnings(_epochs([1.0, 0.4, 0.9, 0.3, 0.7, 0.2]), {}, [])
    assert text == (
        "supervised: the train loss jumped from 0.4 to 0.9 in epoch 3, and 1 more times. Lower the learning rate, or "
        "clip gradients (clip_norm)."
    )
    (text,) = training_warnings(_epochs([1.0, 0.4, 0.9, 0.3]), {}, [])
    assert "in epoch 3. Lower" in text
    assert training_warnings(_epochs([1.0, 0.4, 0.8, 0.3]), {}, []) == []


def test_a_task_that_drowns() -> None:
    parts = {"digit": 0.1, "views_agree": 0.4}
    (text,) = training_warnings(_epochs([1.0], parts=parts), {"digit": 1.0, "views_agree": 25.0}, ["digit"])
    assert text == (
        "supervised: the task 'digit' made 0.99% of the loss in epoch 1 and hardly counts beside 'views_agree' "
        "(99.01%). Raise its weight or lower the other's."
    )
    assert training_warnings(_epochs([1.0], parts=parts), {"views_agree": 24.0}, ["digit"]) == []


def test_a_penalty_may_be_small() -> None:
    parts = {"digit": 1.0, "small": 1.0}
    assert training_warnings(_epochs([2.0], parts=parts), {"small": 0.0001}, ["digit"]) == []


def test_phases_are_judged_apart() -> None:
    records = [*_epochs([9.0, 8.0, 7.0], phase="self_supervised"), *_epochs([20.0, 20.0, 20.0])]
    (text,) = training_warnings(records, {}, [])
    assert text.startswith("supervised: the train loss did not fall")


def test_no_history_no_warnings() -> None:
    assert training_warnings([], {}, []) == []
