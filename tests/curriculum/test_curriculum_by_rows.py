"""Teachers that go by rows alone, beside the formulas of their papers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jumpml.core import LearnerError
from jumpml.curriculum import Annealed, Arm, Proportional, Teacher, Temperature, Uniform

ROWS = np.array([100_000.0, 900.0, 1.0])


def begun(teacher: Teacher) -> Teacher:
    teacher.begin([Arm(name, int(rows)) for name, rows in zip("abc", ROWS, strict=True)])
    return teacher


def test_uniform_and_proportional() -> None:
    assert begun(Uniform()).probabilities().tolist() == pytest.approx([1 / 3] * 3)
    assert begun(Proportional()).probabilities() == pytest.approx(ROWS / ROWS.sum())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 5.0, 100.0])
def test_temperature_is_the_papers(temperature: float) -> None:
    """Arivazhagan et al. 2019, section 4.2: p_l to the power of 1 / T, with p_l by rows, normalised."""
    sizes = (ROWS / ROWS.sum()) ** (1 / temperature)
    assert begun(Temperature(temperature)).probabilities() == pytest.approx(sizes / sizes.sum())


def test_a_temperature_near_zero_is_the_largest_arm_alone() -> None:
    assert begun(Temperature(1e-3)).probabilities().tolist() == [1, 0, 0]


@pytest.mark.parametrize("epoch", range(1, 11))
def test_annealed_is_the_papers(epoch: int) -> None:
    """Stickland & Murray 2019, equation 13: N_i to the power of 1 - .8 (e - 1) / (E - 1), in epoch e of E."""
    sizes = ROWS ** (1 - 0.8 * (epoch - 1) / 9)
    teacher = begun(Annealed())
    teacher.advance((epoch - 1) / 9)
    assert teacher.probabilities() == pytest.approx(sizes / sizes.sum())


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Temperature(0.0), "temperature: expected a temperature above 0, got 0.0."),
        (lambda: Annealed(start=-1.0), "annealed: expected start above 0, got -1.0."),
        (lambda: Annealed(end=float("inf")), "annealed: expected end above 0, got inf."),
    ],
)
def test_a_temperature_that_is_none_is_refused(make: Any, told: str) -> None:
    with pytest.raises(LearnerError) as error:
        make()
    assert str(error.value) == told


def test_what_must_stay_the_same_is_told() -> None:
    kinds = (Uniform(), Proportional(), Temperature(2.0), Annealed(1.0, 2.5))
    assert [kind.identity() for kind in kinds] == [
        *("uniform", "proportional", "temperature 2", "annealed from 1 to 2.5"),
    ]
    assert not any(kind.learns for kind in kinds)
