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
    ("kind", "option", "kinds"),
    [
        ("regression", "positive_weight", "binary and multilabel"),
        ("multiclass", "positive_weight", "binary and multilabel"),
        ("multilabel", "label_smoothing", "multiclass"),
    ],
)
def test_options_of_other_kinds_are_refused(kind: str, option: str, kinds: str) -> None:
    with pytest.raises(SpecError, match=rf"objective\.{option} is for {kinds} tasks; this task is {kind}\."):
        load({"kind": kind, "objective": {option: 0.5}})
