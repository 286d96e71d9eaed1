"""The gate's rule, and the interval that it rules on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jumpml.core import Figure
from jumpml.deploy import Gate

DROPS = st.floats(-1, 1)


@given(ends=st.lists(DROPS, min_size=3, max_size=3).map(sorted), max_drop=st.floats(0, 0.5), accept=st.booleans())
def test_the_rule(ends: list[float], max_drop: float, accept: bool) -> None:
    low, value, high = ends
    gate = Gate(metric="t/accuracy", max_drop=max_drop, accept_undecided=accept)
    answer = gate.judge(Figure(value=value, low=low, high=high, n=100))
    assert (answer.answer == "pass") == (high <= max_drop)
    assert (answer.answer == "refuse") == (low > max_drop)
    assert gate.admits(answer) == (answer.answer == "pass" or (accept and answer.answer == "undecided"))


@given(drop=DROPS, wider=st.floats(0, 1), max_drop=st.floats(0, 0.5))
def test_fewer_rows_never_turn_a_refusal_into_a_pass(drop: float, wider: float, max_drop: float) -> None:
    gate = Gate(metric="t/accuracy", max_drop=max_drop)
    sure = gate.judge(Figure(value=drop, low=drop, high=drop, n=100)).answer
    unsure = gate.judge(Figure(value=drop, low=drop - wider, high=drop + wider, n=10)).answer
    assert unsure in {sure, "undecided"}


@pytest.mark.parametrize(
    ("figure", "reason"),
    [
        (
            Figure(value=0.0037, low=0.0, high=0.0111, n=270),
            "digit/accuracy is worse by 0.0037 (95% interval of the drop: 0 to 0.0111): a drop of 0.025 is allowed.",
        ),
        (
            Figure(value=0.08, low=0.05, high=0.11, n=270),
            "digit/accuracy is worse by 0.08 (95% interval of the drop: 0.05 to 0.11): "
            "only a drop of 0.025 is allowed.",
        ),
        (
            Figure(value=-0.01, low=-0.05, high=0.03, n=40),
            "digit/accuracy is better by 0.01 (95% interval of the drop: -0.05 to 0.03): 40 rows are too few to tell "
            "whether it is more than the allowed 0.025.",
        ),
        (
            Figure(value=0, low=0, high=0, n=270),
            "digit/accuracy is the same (95% interval of the drop: 0 to 0): a drop of 0.025 is allowed.",
        ),
    ],
)
def test_the_reason(figure: Figure, reason: str) -> None:
    assert Gate(metric="digit/accuracy", max_drop=0.025).judge(figure).reason == reason
