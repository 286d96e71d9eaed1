"""A model is an ordinary module that runs what is asked of it."""

from __future__ import annotations

import copy
import pickle
import re

import pytest
import torch
from torch import Tensor, nn

from jumpml.blocks import ConvEncoder, Head
from jumpml.core import GraphError, Task, ValueInfo
from jumpml.graph import Model, Node

TASKS = {"kind": Task(kind="multiclass", output="out", target="y")}


def perceptron(make, **rest) -> Model:
    return make({"body": (nn.Linear(4, 8), "x"), "act": (nn.ReLU(), "body"), "out": (nn.Linear(8, 3), "act")}, **rest)


def test_forward_gives_outputs_by_task_or_by_node(make):
    model, x = perceptron(make, tasks=TASKS), torch.randn(5, 4)
    plain = nn.Sequential(*(model.node(name) for name in model.node_names))
    assert torch.equal(model({"x": x})["kind"], plain(x))
    outputs = model({"x": x}, outputs=["act", "x"])
    assert list(outputs) == ["act", "x"]
    assert torch.equal(outputs["act"], plain[:2](x))
    assert model({"x": x}, outputs=[]) == {}


def test_arguments_by_name(make):
    class Minus(nn.Module):
        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            return left - right

    model = make({"double": (Twice(), "x"), "minus": (Minus(), {"right": "x", "left": "double"})})
    x = torch.randn(3, 4)
    assert torch.allclose(model({"x": x}, ["minus"])["minus"], x)


class Twice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


AWKWARD = ["type", "keys", "forward", "names", "names_", "training", "parameters", "a b", "0", "_modules", "é"]


def test_any_name_is_a_good_name(make):
    x = torch.randn(2, 4)
    nodes = {name: (nn.Linear(4, 4), "x") for name in AWKWARD}
    model = make(nodes, tasks={name: Task(kind="regression", output=name, target="y") for name in AWKWARD})
    assert model.node_names == tuple(AWKWARD)
    for name, output in model({"x": x}).items():
        assert torch.equal(output, nodes[name][0](x)), name
    other = make({name: (nn.Linear(4, 4), "x") for name in AWKWARD})
    other.load_state_dict(model.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    names = set(model.state_dict())
    assert {"node_type.weight", "node_keys.weight", "node_a b.bias", "node_names_.weight"} <= names
    assert len(names) == 2 * len(AWKWARD)


def test_what_rests_trains_while_it_is_awake_and_no_longer(make):
    model = perceptron(make, tasks=TASKS)

    def trains() -> dict[str, bool]:
        return {
            name: p.requires_grad and model.node(name).training
            for name in ("body", "out")
            for p in model.node(name).parameters()
        }

    model.train_only(["out"], resting=["body"])
    assert trains() == {"body": False, "out": True}
    with pytest.raises(RuntimeError, match="meanwhile"), model.awake():
        assert trains() == {"body": True, "out": True}
        raise RuntimeError("what happened meanwhile")
    assert trains() == {"body": False, "out": True}
    model.train_only(["out"])  # nothing rests that is not said to
    with model.awake():
        assert trains() == {"body": False, "out": True}
    with pytest.raises(GraphError, match=r"^there is no node 'bdy'\. Did you mean 'body'\?$"):
        model.train_only(["out"], resting=["bdy"])


def test_copies_and_pickles_are_whole_and_apart(make, sum_of):
    model = perceptron(make, tasks=TASKS, objectives={"small": sum_of("act"), "kind": sum_of("out", "y")})
    batch = {"x": torch.randn(5, 4), "y": torch.zeros(5)}
    model.train_only(["out"])
    model.losses(batch)  # plans are made, and must not travel
    expected = model(batch)["kind"]
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(batch)["kind"], expected)
        with torch.no_grad():
            other.get_parameter("node_out.bias").add_(1)
        torch.testing.assert_close(other(batch)["kind"], expected + 1)
        assert torch.equal(model(batch)["kind"], expected)
        assert other.train().node("body").training is False
        assert list(other.losses(batch)) == ["small", "kind"]
        assert other.values == model.values


def test_a_replaced_module_is_used_at_once(make):
    model, x = perceptron(make, tasks=TASKS), torch.randn(5, 4)
    plan = model.plan(["out"], ["x"])
    model({"x": x})
    model.node_out = nn.Linear(8, 3)
    expected = model.node_out(model({"x": x}, ["act"])["act"])
    assert torch.equal(model({"x": x})["kind"], expected)
    assert torch.equal(plan({"x": x})["out"], expected)


def test_it_moves_and_changes_type(make):
    model = perceptron(make, tasks=TASKS).to(torch.float64)
    assert model({"x": torch.randn(2, 4, dtype=torch.float64)})["kind"].dtype == torch.float64


def test_what_it_was_given_is_read_only(make):
    model = perceptron(make, tasks=TASKS)
    for mapping in (model.inputs, model.tasks, model.fields, model.values, model.objectives):
        with pytest.raises(TypeError):
            mapping["new"] = None  # type: ignore[index]


def test_unknown_and_missing_names(make):
    model = perceptron(make, tasks=TASKS)
    with pytest.raises(GraphError, match=r"^there is no input, node or part 'bod'\. Did you mean 'body'\?$"):
        model({"x": torch.zeros(1, 4)}, outputs=["bod"])
    with pytest.raises(GraphError, match=r"^expected a list of outputs, got the text 'out'\. Write \['out'\]\.$"):
        model({"x": torch.zeros(1, 4)}, outputs="out")
    with pytest.raises(GraphError, match=r"^out needs 'x', which the batch lacks; it holds: y\.$"):
        model({"y": torch.zeros(1)})
    model({"x": torch.zeros(1, 4)})
    with pytest.raises(GraphError, match=r"^the batch lacks 'x'; it holds: nothing\.$"):
        model({})
    with pytest.raises(GraphError, match=r"^there is no node 'uot'\. Did you mean 'out'\?$"):
        model.node("uot")
    with pytest.raises(GraphError, match=r"^there is no node 'ou'\. Did you mean 'out'\?$"):
        model.train_only(["ou"])


def test_an_error_at_run_time_names_the_node(make):
    model = perceptron(make, tasks=TASKS)
    with pytest.raises(RuntimeError) as caught:
        model({"x": torch.zeros(2, 5)})
    assert caught.value.__notes__ == ["in node 'body' (torch.nn.Linear), which was given x [2, 5] float32"]


def test_the_table_and_the_print(make, sum_of):
    objectives = {
        "agree": sum_of("body", views=("strong",), when=("warm", "up")),
        "hold": sum_of(parameters_of=("all",)),
    }
    model = perceptron(make, tasks=TASKS, objectives=objectives)
    assert model.table()[0] == {
        "node": "body",
        "module": "torch.nn.Linear",
        "inputs": ["x"],
        "optional": [],
        "shape": "[batch, 8] float32",
        "parameters": 40,
        "flops": 64,  # 4 times 8 products, each with a sum
        "objectives": {"agree": ["warm", "up"], "hold": ["supervised"]},
        "shares": None,
    }
    assert str(model).splitlines() == [
        "Model with 69 parameters, 112 FLOPs a row",
        "  x  [batch, 4] float32",
        "  node  module           inputs  output              parameters  FLOPs  objectives",
        "  body  torch.nn.Linear  x       [batch, 8] float32  40          64     agree: warm, up; hold: supervised",
        "  act   torch.nn.ReLU    body    [batch, 8] float32  0           0      hold: supervised",
        "  out   torch.nn.Linear  act     [batch, 3] float32  27          48     hold: supervised",
        "  task kind: multiclass, out -> y",
        "  objective agree: Sum of body on strong, weight 1, when warm, up",
        "  objective hold: Sum of the parameters of all, weight 1, when supervised",
    ]


def test_the_table_shows_parts(make):
    model = make({"lstm": (nn.LSTM(4, 3, batch_first=True), "x")}, inputs={"x": ValueInfo(shape=(5, 4))})
    assert model.table()[0]["shape"] == "0: [batch, 5, 3] float32"


def test_it_exports_with_a_dynamic_batch():
    class Digit(nn.Module):
        def __init__(self, model: Model) -> None:
            super().__init__()
            self.model = model

        def forward(self, image: Tensor) -> Tensor:
            return self.model({"image": image})["digit"]

    model = Model(
        inputs={"image": ValueInfo(shape=(1, 8, 8))},
        nodes={"encoder": Node(ConvEncoder([4, 8]), "image"), "digit": Node(Head(10), "encoder")},
        tasks={"digit": Task(kind="multiclass", output="digit", target="label")},
    ).eval()
    image, batch = torch.randn(4, 1, 8, 8), torch.export.Dim("batch")
    program = torch.export.export(Digit(model), (image,), dynamic_shapes={"image": {0: batch}}, strict=False)
    seven = torch.randn(7, 1, 8, 8)
    torch.testing.assert_close(program.module()(seven), model({"image": seven})["digit"])


def test_check_fields_says_how_the_data_differs(make, sum_of, category, number):
    tasks = {**TASKS, "when": Task(kind="regression", output="act", target="yaers")}
    model = perceptron(make, tasks=tasks, objectives={"o": sum_of("act", "z"), "kind": sum_of("out", "y")})
    model.check_fields(
        {"x": number, "y": category("y", 3), "yaers": eight(), "z": number}, {"x": ValueInfo(shape=(4,))}
    )
    with pytest.raises(GraphError) as caught:
        model.check_fields({"years": number, "y": category("y", 4)})
    assert str(caught.value).splitlines() == [
        "4 problems:",
        "  input 'x': the data has no field of this name. There is: y, years.",
        "  task 'when': the data has no field 'yaers'. Did you mean 'years'?",
        "  task 'kind': the output 'out' is [batch, 3] float32, 3 wide, and the target 'y' has 4 classes. In a model "
        "file jumpml.blocks.Head is as wide as its task needs.",
        "  objective 'o': the data has no field 'z'. There is: y, years.",
    ]
    text = "input 'x': the model reads [batch, 4] float32, and the data gives [batch, 5] float32 after features."
    fields = {"x": number, "y": category("y", 3), "yaers": eight(), "z": number}
    with pytest.raises(GraphError, match=f"^{re.escape(text)}$"):
        model.check_fields(fields, {"x": ValueInfo(shape=(5,))})


def eight():
    from jumpml.core import FieldInfo

    return FieldInfo(name="yaers", kind="tensor", value=ValueInfo(shape=(8,)))
