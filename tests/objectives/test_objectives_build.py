from __future__ import annotations

from typing import Any

import pytest

from jumpml.core import ModelSpec, SpecError, load_spec
from jumpml.objectives import (
    EWC,
    L1,
    L2,
    BinaryCrossEntropy,
    CrossEntropy,
    MeanSquaredError,
    VICReg,
    build_objectives,
)

NODES = {"out": {"module": "torch.nn.Identity", "inputs": "x"}}


def built(tasks: dict[str, Any] | None = None, objectives: dict[str, Any] | None = None) -> Any:
    return build_objectives(
        load_spec(ModelSpec, {"nodes": NODES, "tasks": tasks or {}, "objectives": objectives or {}})
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("multiclass", CrossEntropy), ("binary", BinaryCrossEntropy), ("regression", MeanSquaredError)],
)
def test_a_task_makes_its_kinds_objective_under_its_own_name(kind: str, expected: type) -> None:
    objectives = built({"t": {"kind": kind, "output": "out", "target": "y"}})
    assert list(objectives) == ["t"]
    assert type(objectives["t"]) is expected
    assert objectives["t"].inputs == ("out", "y")
    assert (objectives["t"].weight, objectives["t"].when) == (1.0, ("supervised",))


def test_a_tasks_objective_can_be_changed_and_switched_off() -> None:
    task = {"output": "out", "target": "y"}
    objectives = built(
        {
            "a": {"kind": "multiclass", **task, "objective": {"label_smoothing": 0.1, "weight": 2, "when": "all"}},
            "b": {"kind": "binary", **task, "objective": {"positive_weight": 3.0}},
            "c": {"kind": "regression", **task, "objective": None},
        }
    )
    assert list(objectives) == ["a", "b"]
    assert (objectives["a"].label_smoothing, objectives["a"].weight, objectives["a"].when) == (0.1, 2.0, ("all",))
    assert float(objectives["b"].positive_weight) == 3.0


@pytest.mark.parametrize(
    ("spec", "kind", "expected"),
    [
        (
            {"kind": "cross_entropy", "inputs": ["out", "y"], "label_smoothing": 0.2},
            CrossEntropy,
            {"label_smoothing": 0.2},
        ),
        ({"kind": "binary_cross_entropy", "inputs": ["out", "y"], "positive_weight": 2}, BinaryCrossEntropy, {}),
        ({"kind": "mse", "inputs": ["out", "y"], "weight": 0.5}, MeanSquaredError, {"weight": 0.5}),
        (
            {
                "kind": "vicreg",
                "inputs": "out",
                "views": ["weak", "strong"],
                "projector": [8, 4],
                "invariance": 1,
                "variance": 2,
                "covariance": 3,
                "when": ["self_supervised"],
            },
            VICReg,
            {
                "views": ("weak", "strong"),
                "widths": (8, 4),
                "invariance": 1,
                "variance": 2,
                "covariance": 3,
                "when": ("self_supervised",),
            },
        ),
        ({"kind": "vicreg", "inputs": "out", "views": "strong"}, VICReg, {"views": ("strong",), "inputs": ("out",)}),
        ({"kind": "l1", "inputs": "out", "weight": 1e-4}, L1, {"inputs": ("out",), "weight": 1e-4}),
        ({"kind": "l2", "inputs": "out", "when": "all"}, L2, {"when": ("all",)}),
        ({"kind": "ewc", "weight": 100}, EWC, {"parameters_of": ("all",), "inputs": (), "weight": 100.0}),
        ({"kind": "ewc", "parameters": {"upto": "out"}}, EWC, {"parameters_of": ("upto:out",)}),
        ({"kind": "ewc", "parameters": ["a", "b*"]}, EWC, {"parameters_of": ("a", "b*")}),
    ],
)
def test_every_kind_and_option_reaches_its_class(spec: dict[str, Any], kind: type, expected: dict[str, Any]) -> None:
    objective = built(objectives={"o": spec})["o"]
    assert type(objective) is kind
    assert {name: getattr(objective, name) for name in expected} == expected


def test_a_task_and_an_objective_with_one_name_are_refused() -> None:
    with pytest.raises(SpecError) as caught:
        built(
            {"t": {"kind": "regression", "output": "out", "target": "y", "objective": None}},
            {"t": {"kind": "l1", "inputs": "out"}},
        )
    assert (
        "objectives.t: 't' is a task already, whose own objective has its name. Tasks and objectives have one set of "
        "names: rename it, or change the task's own under its key `objective`."
    ) in str(caught.value)
