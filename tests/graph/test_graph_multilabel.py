"""Tasks of several labels, and regression on several steps: outputs, targets and heads."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from jumpml.core import FieldInfo, GraphError, ModelSpec, Task, ValueInfo, load_spec
from jumpml.graph import build_nodes, decide, probabilities, scores

NAMES = ("rock", "jazz", "folk")
TOPICS = FieldInfo(name="topics", kind="multilabel", value=ValueInfo(shape=(3,)), classes=NAMES)
NEXT = FieldInfo(name="next", kind="series", value=ValueInfo(shape=(4, 2)))
HEAD = " In a model file jumpml.blocks.Head is as wide as its task needs."


def refused(text: str):
    return pytest.raises(GraphError, match=f"^{re.escape(text)}$")


def task(target: str = "topics", kind: str = "multilabel") -> dict[str, Task]:
    return {"t": Task(kind=kind, output="out", target=target)}


def test_predictions():
    logits = torch.tensor([[0.0, 2.0, -1.0], [-3.0, -1.0, -2.0]])
    assert torch.equal(scores("multilabel", logits), logits)
    # 1 / (1 + e^-2), 1 / (1 + e)
    torch.testing.assert_close(probabilities("multilabel", logits)[0], torch.tensor([0.5, 0.88079708, 0.26894143]))
    assert decide("multilabel", logits).tolist() == [[0, 1, 0], [0, 0, 0]]
    assert decide("multilabel", logits).dtype == torch.int64
    assert scores("multilabel", logits[:, :1]).shape == (2, 1)


def test_there_is_one_logit_a_label(make):
    make({"out": (nn.Linear(4, 3), "x")}, tasks=task(), fields={"topics": TOPICS})
    text = "task 't': the output 'out' is [batch, 4] float32, 4 wide, and the target 'topics' has 3 classes."
    with refused(text + HEAD):
        make({"out": (nn.Linear(4, 4), "x")}, tasks=task(), fields={"topics": TOPICS})
    text = "task 't': a multilabel task needs an output [batch, classes], and 'out' is [batch, 2, 2] float32."
    with refused(f"{text} It has 2 axes a row: put torch.nn.Flatten or jumpml.blocks.Pool before its last layer."):
        make({"out": (nn.Unflatten(1, (2, 2)), "x")}, tasks=task())


def test_kind_and_target_belong_together(make, category):
    text = (
        "task 't': a multilabel task needs a target of kind multilabel, and 'y' is of kind category. A field of this "
        "kind goes with multiclass or binary or ordinal or retrieval."
    )
    with refused(text):
        make({"out": (nn.Linear(4, 3), "x")}, tasks=task("y"), fields={"y": category("y", 3)})
    text = (
        "task 't': a multiclass task needs a target of kind category, and 'topics' is of kind multilabel. A field of "
        "this kind goes with multilabel."
    )
    with refused(text):
        make({"out": (nn.Linear(4, 3), "x")}, tasks=task(kind="multiclass"), fields={"topics": TOPICS})


@pytest.mark.parametrize(("field", "kind", "width"), [(TOPICS, "multilabel", 3), (NEXT, "regression", 8)])
def test_a_head_is_as_wide_as_the_target(field: FieldInfo, kind: str, width: int):
    spec = load_spec(
        ModelSpec,
        {
            "nodes": {"out": {"module": "jumpml.blocks.Head", "inputs": "x"}},
            "tasks": {"t": {"kind": kind, "output": "out", "target": field.name}},
        },
    )
    head = build_nodes(spec, {"x": ValueInfo(shape=(5,))}, {field.name: field}, ())["out"].module
    assert isinstance(head, nn.Linear)
    assert head.out_features == width


def test_an_output_may_be_flat_where_the_target_has_steps(make):
    fields = {"next": NEXT}
    make({"out": (nn.Linear(4, 8), "x")}, tasks=task("next", "regression"), fields=fields)
    make(
        {"out": (nn.Sequential(nn.Linear(4, 8), nn.Unflatten(1, (4, 2))), "x")},
        tasks=task("next", "regression"),
        fields=fields,
    )
    text = (
        "task 't': the output 'out' is [batch, 4] float32, 4 numbers a row, and the target 'next' is [batch, 4, 2] "
        "float32, 8 a row."
    )
    with refused(text + HEAD):
        make({"out": (nn.Linear(4, 4), "x")}, tasks=task("next", "regression"), fields=fields)
