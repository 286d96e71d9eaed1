"""Tasks against outputs and targets; outputs to predictions."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from jumpml.core import FieldInfo, GraphError, Task, ValueInfo
from jumpml.graph import decide, probabilities, scores

HEAD = " In a model file jumpml.blocks.Head is as wide as its task needs."


def task(kind: str) -> dict[str, Task]:
    return {"t": Task(kind=kind, output="out", target="y")}


def refused(text: str):
    return pytest.raises(GraphError, match=f"^{re.escape(text)}$")


def field(kind: str, shape: tuple[int, ...]) -> dict[str, FieldInfo]:
    return {"y": FieldInfo(name="y", kind=kind, value=ValueInfo(shape=shape))}


def test_class_count_against_the_heads_width(make, category):
    text = "task 't': the output 'out' is [batch, 10] float32, 10 wide, and the target 'y' has 9 classes."
    with refused(text + HEAD):
        make({"out": (nn.Linear(4, 10), "x")}, tasks=task("multiclass"), fields={"y": category("y", 9)})
    make({"out": (nn.Linear(4, 9), "x")}, tasks=task("multiclass"), fields={"y": category("y", 9)})


def test_multiclass_outputs_are_vectors(make):
    text = "task 't': a multiclass task needs an output [batch, classes], and 'out' is [batch, 2, 2] float32."
    with refused(f"{text} It has 2 axes a row: put torch.nn.Flatten or jumpml.blocks.Pool before its last layer."):
        make({"out": (nn.Unflatten(1, (2, 2)), "x")}, tasks=task("multiclass"))


def test_outputs_are_numbers(make):
    text = "task 't': its output must be a floating point number, and 'out' is [batch, 4] int64."
    with refused(text + HEAD):
        make(
            {"out": (nn.Identity(), "x")}, tasks=task("multiclass"), inputs={"x": ValueInfo(shape=(4,), dtype="int64")}
        )


def test_binary_outputs_are_one_wide(make, category):
    text = "task 't': a binary task needs an output [batch] or [batch, 1], and 'out' is [batch, 2] float32."
    with refused(text + HEAD):
        make({"out": (nn.Linear(4, 2), "x")}, tasks=task("binary"), fields={"y": category("y", 2)})
    make({"out": (nn.Sequential(nn.Linear(4, 1), nn.Flatten(0)), "x")}, tasks=task("binary"))


def test_binary_targets_have_two_classes(make, category):
    text = "task 't': a binary task needs a target with 2 classes, and 'y' has 3."
    with refused(f"{text} With more classes its kind is multiclass."):
        make({"out": (nn.Linear(4, 1), "x")}, tasks=task("binary"), fields={"y": category("y", 3)})


def test_regression_outputs_have_the_targets_size(make):
    text = (
        "task 't': the output 'out' is [batch, 2] float32, 2 numbers a row, and the target 'y' is [batch, 1] float32, "
        "1 a row."
    )
    with refused(text + HEAD):
        make({"out": (nn.Linear(4, 2), "x")}, tasks=task("regression"), fields=field("number", (1,)))
    make({"out": (nn.Linear(4, 6), "x")}, tasks=task("regression"), fields=field("tensor", (2, 3)))


def test_kinds_and_targets(make, category):
    text = (
        "task 't': a regression task needs a target of kind number or tensor or image or series or table, and 'y' "
        "is of kind category. A field of this kind goes with multiclass or binary or ordinal or retrieval."
    )
    with refused(text):
        make({"out": (nn.Linear(4, 1), "x")}, tasks=task("regression"), fields={"y": category("y", 2)})
    with pytest.raises(GraphError, match="an ordinal task needs a target of kind category, and 'y' is of kind number"):
        make({"out": (nn.Linear(4, 2), "x")}, tasks=task("ordinal"), fields=field("number", (1,)))
    with refused("task 't': the data has no field 'y'. There is: label."):
        make({"out": (nn.Linear(4, 1), "x")}, tasks=task("binary"), fields={"label": category("label", 2)})


def test_predictions():
    logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    assert torch.equal(scores("multiclass", logits), logits)
    torch.testing.assert_close(probabilities("multiclass", logits).sum(1), torch.ones(2))
    assert decide("multiclass", logits).tolist() == [1, 0]
    for shape in ((3,), (3, 1)):
        logit = torch.tensor([0.0, -1.0, 4.0]).reshape(shape)
        assert scores("binary", logit).tolist() == [0.0, -1.0, 4.0]
        # 1 / (1 + e) and 1 / (1 + e^-4)
        torch.testing.assert_close(probabilities("binary", logit), torch.tensor([0.5, 0.26894143, 0.98201376]))
        assert decide("binary", logit).tolist() == [0, 0, 1]
        assert decide("binary", logit).dtype == torch.int64
    number = torch.randn(3, 1)
    assert all(torch.equal(f("regression", number), number) for f in (scores, probabilities, decide))
