"""How strongly an output stands for a decision, by kind of task."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from jumpml.core import ValueInfo
from jumpml.diagnose._decision import Decision
from jumpml.graph import Model, Node


def _decision(kind: str, width: int) -> Decision:
    model = Model(inputs={"x": ValueInfo(shape=(width,))}, nodes={"out": Node(nn.Identity(), "x")})
    return Decision(kind=kind, output="out", plan=model.plan(["out"], ["x"]), inputs=("x",))


@pytest.mark.parametrize(
    ("kind", "output", "codes", "scores"),
    [
        ("multiclass", [[1.0, 3.0], [2.0, 0.0]], [1, 0], [3.0, 2.0]),
        ("binary", [[3.0], [-2.0]], [1, 0], [3.0, 2.0]),
        ("regression", [[3.0, 5.0], [-2.0, 0.0]], None, [4.0, -1.0]),
    ],
)
def test_the_score_is_that_of_what_was_decided(
    kind: str, output: list[list[float]], codes: list[int] | None, scores: list[float]
) -> None:
    x = torch.tensor(output)
    decision = _decision(kind, x.shape[1])
    decided = decision.decide(x)
    assert codes is None or decided.tolist() == codes
    assert decision.score(decided, x).tolist() == scores


@pytest.mark.parametrize(("kind", "width"), [("multiclass", 4), ("binary", 1)])
def test_the_decided_class_is_at_least_as_likely_as_any(kind: str, width: int) -> None:
    x: Tensor = torch.randn(50, width, generator=torch.Generator().manual_seed(0))
    decision = _decision(kind, width)
    chance = decision.probability(decision.decide(x), x)
    least = 1 / max(width, 2)
    assert bool((chance >= least).all())
    other = decision.probability((decision.decide(x) + 1) % max(width, 2), x)
    assert bool((other <= chance).all())
