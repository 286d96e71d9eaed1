"""A text's mask as an input of nodes: names, shapes, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import jumpml
from jumpml.blocks import Pool
from jumpml.core import FieldInfo, GraphError, ModelSpec, SpecError, Task, ValueInfo, load_spec
from jumpml.graph import Model, Node, fields_read

TOKENS, MASK = ValueInfo(shape=(6,), dtype="int64"), ValueInfo(shape=(6,), dtype="bool")
NODES: dict[str, Any] = {
    "vectors": {"module": "torch.nn.Embedding", "inputs": "message", "args": {"num_embeddings": 9, "embedding_dim": 4}},
    "mean": {"module": "jumpml.blocks.Pool", "inputs": ["vectors", "message.mask"]},
    "out": {"module": "jumpml.blocks.Head", "inputs": "mean", "args": {"out_features": 2}},
}
TASKS = {"y": {"kind": "multiclass", "output": "out", "target": "y"}}
INPUTS = {"message": {"shape": [6], "dtype": "int64"}, "message.mask": {"shape": [6], "dtype": "bool"}}


def file_of(mask: str = "message.mask", inputs: dict[str, Any] | None = None) -> dict[str, Any]:
    nodes = {**NODES, "mean": {**NODES["mean"], "inputs": {"values": "vectors", "mask": mask}}}
    return {"inputs": INPUTS if inputs is None else inputs, "nodes": nodes, "tasks": TASKS}


def model_of(pool: nn.Module | None = None, reads: Any = ("vectors", "message.mask")) -> Model:
    nodes = {
        "vectors": Node(nn.Embedding(9, 4), "message"),
        "mean": Node(pool or Pool(), reads),
        "out": Node(nn.LazyLinear(2), "mean"),
    }
    inputs = {"message": TOKENS, "message.mask": MASK} if "message.mask" in reads else {"message": TOKENS}
    tasks = {"y": Task(kind="multiclass", output="out", target="y")}
    return Model(inputs=inputs, nodes=nodes, tasks=tasks, seed=0)


def test_a_file_s_nodes_read_a_mask_by_position_or_by_name() -> None:
    by_name = jumpml.load_model(file_of(), seed=0)
    by_place = jumpml.load_model({"inputs": INPUTS, "nodes": NODES, "tasks": TASKS}, seed=0)
    batch = {"message": torch.tensor([[1, 2, 0, 0, 0, 0]])}
    batch["message.mask"] = batch["message"] != 0
    assert by_name(batch)["y"].equal(by_place(batch)["y"])
    assert by_name.values["message.mask"] == MASK
    assert by_name.ancestors("out") == {"vectors", "mean", "message", "message.mask"}
    assert by_name.plan(["out"], by_name.inputs).fields == ("message", "message.mask")
    assert fields_read(load_spec(ModelSpec, file_of())) == ("message", "message.mask")


def test_on_a_view_a_node_reads_the_mask_of_that_view() -> None:
    model = model_of()
    keys = ["message@strong.0", "message.mask@strong.0", "message", "message.mask"]
    compiler = model._compiler(keys, no_gradient=())
    assert compiler.missing([("out", "strong.0")]) == []
    assert compiler.compile([("out", "strong.0")]).fields == ("message@strong.0", "message.mask@strong.0")


@pytest.mark.parametrize(
    ("mask", "inputs", "told"),
    [
        (
            "message.maks",
            None,
            "nodes.mean.inputs.mask: reads 'message.maks', but 'message' is a field. Only a node's output has parts; "
            "read 'message' or, of a text, 'message.mask'.",
        ),
        (
            "message.mask",
            {"message": INPUTS["message"]},
            "nodes.mean.inputs.mask: reads 'message.mask', which is no input of the model. Only a text has a mask; "
            "where no data is given, say its shape under inputs.",
        ),
        (
            "massage.mask",
            None,
            "reads 'massage', which is neither a field nor a node. Did you mean 'message' or 'message.mask'?",
        ),
        ("vectors", None, "inputs.message.mask: no node and no objective reads it. Take it out."),
        ("message.mask", {**INPUTS, "a.mask.mask": INPUTS["message"]}, "a name must not be empty"),
    ],
)
def test_what_is_no_mask(mask: str, inputs: dict[str, Any] | None, told: str) -> None:
    with pytest.raises(SpecError) as caught:
        jumpml.load_model(file_of(mask, inputs))
    assert told in str(caught.value)


def test_a_model_that_reads_a_mask_needs_a_text_in_the_data() -> None:
    fields = {
        "y": FieldInfo(name="y", kind="category", value=ValueInfo(shape=(), dtype="int64"), classes=("a", "b")),
        "message": FieldInfo(name="message", kind="text", value=TOKENS),
    }
    model = model_of()
    model.check_fields(fields, {"message": TOKENS, "message.mask": MASK})
    wrong = {**fields, "message": FieldInfo(name="message", kind="tensor", value=TOKENS)}
    with pytest.raises(GraphError, match=r"input 'message\.mask': the data has no field of this name"):
        model.check_fields(wrong)
    short = ValueInfo(shape=(5,), dtype="bool")
    with pytest.raises(GraphError, match=r"message.mask': the model reads \[batch, 6\] bool, and the data gives"):
        model.check_fields(fields, {"message": TOKENS, "message.mask": short})


class PerToken(nn.Module):
    """As many numbers as there are tokens."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values.mean(2)


def test_check_shapes_names_the_node_that_needs_the_whole_length_and_leaves_no_trace() -> None:
    short = {"message": ValueInfo(shape=(4,), dtype="int64")}
    model = model_of()
    before, state = model.values, torch.get_rng_state()
    model.check_shapes({**short, "message.mask": ValueInfo(shape=(4,), dtype="bool")})
    assert model.values == before and torch.get_rng_state().equal(state)
    with pytest.raises(GraphError, match=r"node 'out': torch.nn.Linear fails on mean \[batch, 16\] float32"):
        model_of(nn.Flatten(), "vectors").check_shapes(short)


def test_check_shapes_names_the_task_whose_output_would_change() -> None:
    nodes = {"vectors": Node(nn.Embedding(9, 4), "message"), "out": Node(PerToken(), "vectors")}
    tasks = {"y": Task(kind="multiclass", output="out", target="y")}
    model = Model(inputs={"message": TOKENS}, nodes=nodes, tasks=tasks)
    with pytest.raises(GraphError) as caught:
        model.check_shapes({"message": ValueInfo(shape=(4,), dtype="int64")})
    assert str(caught.value) == "task 'y': 'out' is [batch, 6] float32, and [batch, 4] float32 then."
