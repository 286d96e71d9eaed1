"""A phase that learns from no field: penalties on parameters alone."""

from __future__ import annotations

import pytest
from taught import make_learner

from jumpml.learn import Phase
from jumpml.objectives import L2


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("record_examples", [True, False])
def test_a_phase_of_penalties_counts_its_rows(accumulate: int, record_examples: bool) -> None:
    learner = make_learner(
        objectives={"small": L2(parameters_of=["trunk"], when=["shrink"])},
        phases={"shrink": Phase(epochs=2), "supervised": Phase(epochs=1)},
        accumulate=accumulate,
        record_examples=record_examples,
    )
    learner.fit()
    first, second, supervised = learner.history.epochs
    assert first.losses["small"] > second.losses["small"] > 0
    assert first.rows == second.rows == {"small": 58}
    assert set(supervised.losses) == {"kind", "size", "total"}
