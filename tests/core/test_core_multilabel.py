"""What a model file may say of a task of several labels."""

from __future__ import annotations

import pytest

from jumpml.core import TASK_KINDS, ModelSpec, SpecError, load_spec


def load(task: dict[str, object]) -> ModelSpec:
    nodes = {"out": {"module": "torch.nn.LazyLinear", "inputs": "x", "args": {"out_features": 3}}}
    return load_spec(ModelSpec, {"nodes": nodes, "tasks": {"t": {"output": "out", "target": "y", **task}}})


def test_labels_may_weigh_more_where_they_are_there() -> None:
    objective = load({"kind": "multilabel", "objective": {"positive_weight": 3}}).tasks["t"].objective
    assert objective is not None
    assert objective.positive_weight == 3
    assert TASK_KINDS["multilabel"].objective == TASK_KINDS["binary"].objective


@pytest.mark.parametrize(
    ("kind", "option", "owner"),
    [
        ("regression", "positive_weight", "binary_cross_entropy"),
        ("multiclass", "positive_weight", "binary_cross_entropy"),
        ("multilabel", "label_smoothing", "cross_entropy"),
    ],
)
def test_options_of_other_objectives_are_refused(kind: str, option: str, owner: str) -> None:
    text = f"objective.{option} is an option of {owner}; the objective of this {kind} task is "
    with pytest.raises(SpecError, match=text):
        load({"kind": kind, "objective": {option: 0.5}})
