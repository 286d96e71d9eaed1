"""Balancing beside a teacher of tasks: what changes nothing is told, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from taught import make_learner, weights_of

from jumpml.balance import (
    DWA,
    FAMO,
    IMTLG,
    MGDA,
    AlignedMTL,
    CAGrad,
    FeatureNorm,
    GradNorm,
    NashMTL,
    PCGrad,
    Uncertainty,
    UPGrad,
)
from jumpml.curriculum import Uniform
from jumpml.learn import Balancing, Cosines, Learner, Phase, Teaching, idle_balance
from jumpml.objectives import L1

BALANCERS = [
    *(kind() for kind in (Uncertainty, DWA, FAMO, UPGrad, PCGrad, CAGrad, MGDA, NashMTL, IMTLG, AlignedMTL)),
    *(kind(at="trunk") for kind in (GradNorm, FeatureNorm, UPGrad, PCGrad, CAGrad, MGDA, IMTLG, AlignedMTL)),
    NashMTL(0.01, at="trunk"),
    FeatureNorm(at="trunk", log=False),
]
TASKS = "phase 'supervised': each arm of the teacher has one of the objectives kind, size, so "


def learner(*hooks: Any, arms: Any = "tasks", **options: Any) -> Learner:
    return make_learner([*hooks, Teaching(Uniform(), arms)], **options)


@pytest.mark.parametrize("balancer", BALANCERS, ids=lambda one: one.identity())
def test_what_is_told_to_be_idle_changes_nothing_and_nothing_else_is_told(balancer: Any) -> None:
    plain, balanced = learner(epochs=3), learner(Balancing(balancer), epochs=3)
    plain.fit()
    balanced.fit()
    own, other = weights_of(plain), weights_of(balanced)
    alike = all(torch.allclose(own[name], other[name], atol=1e-5, equal_nan=True) for name in own)
    told = [f"{TASKS}{balancer.kind} changes nothing. Leave it out, or choose from other arms."]
    assert [*idle_balance(balanced)] == (told if alike else [])


def test_cosines_without_pairs_are_told() -> None:
    made = learner(Cosines(every=2))
    made.fit()
    assert not any(name.startswith("cosine/") for point in made.history.course for name in point.figures)
    assert [*idle_balance(made)] == [f"{TASKS}cosines tell nothing. Leave it out, or choose from other arms."]


@pytest.mark.parametrize(
    "options",
    [
        {"arms": "datasets"},
        {"objectives": {"small": L1(("trunk",), weight=0.1)}},  # beside each task
    ],
)
def test_where_two_come_together_nothing_is_told(options: dict[str, Any]) -> None:
    assert [*idle_balance(learner(Balancing(UPGrad()), **options))] == []


def test_phases_are_told_in_which_the_teacher_chooses() -> None:
    phases = {"supervised": Phase(epochs=2), "later": Phase(epochs=2)}
    later = {name: L1((name,), when=("later",)) for name in ("trunk", "to_kind")}
    hooks = [Balancing(UPGrad()), Teaching(Uniform(), "objectives", when="later")]
    told = "phase 'later': each arm of the teacher has one of the objectives trunk, to_kind, so upgrad changes nothing."
    (found,) = idle_balance(make_learner(hooks, phases=phases, objectives=later))
    assert found == f"{told} Leave it out, or choose from other arms."


def test_one_without_the_other_is_not_told() -> None:
    assert [*idle_balance(make_learner([Balancing(UPGrad())]))] == []
    assert [*idle_balance(make_learner([Teaching(Uniform(), "tasks")]))] == []
