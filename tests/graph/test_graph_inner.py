"""Values inside nodes, models of any module, and models that are cut."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import jumpml
from jumpml.core import GraphError, Task, ValueInfo
from jumpml.graph import Model, Node
from jumpml.objectives import EWC, L1, CrossEntropy

if TYPE_CHECKING:
    from pathlib import Path

X = {"x": ValueInfo(shape=(4,))}


class Block(nn.Module):
    """Calls its one activation twice, as the blocks of many nets do."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.bn, self.fc2 = nn.LazyLinear(width), nn.BatchNorm1d(width), nn.LazyLinear(width)
        self.relu, self.drop = nn.ReLU(), nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.drop(self.fc2(self.relu(self.bn(self.fc1(x))))))


class Net(nn.Module):
    """A net with a parameter of its own, a recurrent layer, and one that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(4))
        self.layer1 = nn.Sequential(Block(8), Block(6))
        self.memory = nn.LSTM(6, 5, batch_first=True)
        self.spare = nn.Linear(2, 2)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        codes, _ = self.memory(self.layer1(x + self.offset).unsqueeze(1))
        return self.head(codes.squeeze(1))


def wrapped(**rest: Any) -> Model:
    torch.manual_seed(0)
    return Model.wrap(Net(), X, **rest)


@pytest.fixture
def batch() -> dict[str, Tensor]:
    return {"x": torch.randn(6, 4, generator=torch.Generator().manual_seed(1)), "y": torch.tensor([0, 1, 2, 0, 1, 2])}


def seen(net: nn.Module, path: str, x: Tensor) -> Tensor:
    """What an inner module gives in its last call, by an ordinary hook."""
    found: list[Tensor] = []

    def note(_: nn.Module, __: Any, output: Any) -> None:
        found.append(output)

    handle = net.get_submodule(path).register_forward_hook(note)
    net(x)
    handle.remove()
    return found[-1]


class Pair(nn.Module):
    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> Tensor:
        return self.first(x) + self.second(x)


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["layer1.0.bn", "layer1.1.relu", "layer1", "head"])
def test_an_inner_module_is_a_value(path: str, batch: dict[str, Tensor]) -> None:
    model = wrapped().eval()
    values = model(batch, outputs=["net", path])
    assert torch.equal(values[path], seen(model.node("net"), path, batch["x"]))
    assert torch.equal(values["net"], model(batch)["net"])
    assert model.values[path].shape == tuple(values[path].shape[1:])


def test_nothing_is_noted_that_nobody_asked_for(batch: dict[str, Tensor]) -> None:
    model = wrapped()
    model(batch)
    assert not any(module._forward_hooks for module in model.node("net").modules())
    model(batch, outputs=["layer1"])
    hooks = [hook for module in model.node("net").modules() for hook in module._forward_hooks.values()]
    assert len(hooks) == 1
    assert "tensor" not in str(vars(hooks[0])), "what was noted is kept by nobody"


def test_parts_of_what_an_inner_module_gives(batch: dict[str, Tensor]) -> None:
    model = wrapped().eval()
    assert model(batch, outputs=["memory.0"])["memory.0"].shape == (6, 1, 5)


def test_an_objective_on_an_inner_module_reaches_what_is_before_it(batch: dict[str, Tensor]) -> None:
    model = wrapped(objectives={"small": L1("layer1.1.relu")})
    losses = model.losses(batch)["small"]
    losses.sum().backward()
    moved = {name for name, p in model.node("net").named_parameters() if p.grad is not None}
    assert {"offset", "layer1.0.fc1.weight", "layer1.1.fc2.bias"} <= moved
    assert not any(name.startswith(("head", "memory")) for name in moved)
    values = model.eval()(batch, outputs=["layer1.1.relu"])["layer1.1.relu"]
    assert torch.equal(model.losses(batch)["small"], values.abs().mean(1))


def test_any_nodes_inner_modules_have_names(make: Any, batch: dict[str, Tensor]) -> None:
    """Not only those of a wrapped net: `node.path`, to read and for objectives and tasks."""
    body = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8))
    nodes = {"body": (body, "x"), "out": (nn.Linear(8, 3), "body.1")}
    tasks = {"t": Task(kind="multiclass", output="body.0", target="y")}
    model = make(nodes, tasks=tasks, objectives={"small": L1("body.0")})
    assert torch.equal(model(batch)["t"], body[0](batch["x"]))
    assert torch.equal(model(batch, outputs=["out"])["out"], model.node("out")(body[:2](batch["x"])))
    assert model.node("body.0") is body[0]
    assert torch.equal(model.losses(batch)["small"], body[0](batch["x"]).abs().mean(1))


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("layer9", "there is no input, node or part 'layer9'. Did you mean 'layer1'?"),
        (
            "spare",
            "'spare' is no value: of node 'net' (test_graph_inner.Net), its inner module 'spare' is not called in a "
            "pass.",
        ),
        (
            "memory",
            "'memory' is no value: of node 'net' (test_graph_inner.Net), its inner module 'memory' gives a tuple of 2, "
            "whose parts are 0, 1. A value is one tensor with the batch as its first axis.",
        ),
        (
            "layer1.7",
            "'layer1.7' is no value: of node 'net' (test_graph_inner.Net), its inner module 'layer1' gives [2, 6] "
            "float32. A value is one tensor with the batch as its first axis.",
        ),
    ],
)
def test_what_is_no_value(output: str, text: str, batch: dict[str, Tensor]) -> None:
    model = wrapped(objectives={"small": L1("layer1")})
    with pytest.raises(GraphError) as caught:
        model(batch, outputs=[output])
    assert str(caught.value).replace("tests.graph.", "") == text


def test_an_objective_on_what_is_never_called() -> None:
    with pytest.raises(
        GraphError, match=r"objective 'small': reads 'spare', but of node 'net' .* is not called in a pass"
    ):
        wrapped(objectives={"small": L1("spare")})


def test_a_field_with_the_name_of_an_inner_module() -> None:
    with pytest.raises(GraphError, match=r"^input 'head': an inner module of 'net' has this name too. Give the field"):
        Model.wrap(Net(), {"head": ValueInfo(shape=(4,))})


# --- a model of any module --------------------------------------------------------------------------------------------


def test_wrap_takes_an_example_and_keeps_the_very_module(batch: dict[str, Tensor]) -> None:
    net = Net()
    model = Model.wrap(net, {"x": batch["x"]}, tasks={"t": Task(kind="multiclass", output="net", target="y")})
    assert model.node("net") is net
    assert model.inputs == X
    saved = net.state_dict()
    assert {f"node_net.{key}" for key in saved} == set(model.state_dict())
    other = Net()
    other.load_state_dict(saved)
    assert torch.equal(other.eval()(batch["x"]), model.eval()(batch)["t"])


def test_wrap_reads_several_fields_in_the_order_of_the_arguments() -> None:
    model = Model.wrap(nn.Bilinear(2, 3, 4), {"left": ValueInfo(shape=(2,)), "right": ValueInfo(shape=(3,))})
    left, right = torch.randn(5, 2), torch.randn(5, 3)
    assert torch.equal(model({"right": right, "left": left})["net"], model.node("net")(left, right))


def test_inner_modules_can_be_frozen_by_pattern(batch: dict[str, Tensor]) -> None:
    model = wrapped(objectives={"small": L1("net")})
    net = model.node("net")
    frozen = {*model.select(["layer1"])}
    assert frozen == {*model.select(["layer1*"])}
    assert model.node("layer1.0.bn") is net.get_submodule("layer1.0.bn")
    model.train_only([unit for unit in model.select(["all"]) if unit not in frozen])
    trains = {name for name, p in net.named_parameters() if p.requires_grad}
    assert trains == {name for name, _ in net.named_parameters() if not name.startswith("layer1")}
    model.eval()
    model.train()
    modes = {path: module.training for path, module in net.named_modules()}
    assert all(mode is not path.startswith("layer1") for path, mode in modes.items())
    assert not modes["layer1.1.drop"], "what is frozen drops nothing"
    before = net.get_buffer("layer1.0.bn.running_mean").clone()
    model.losses(batch)["small"].sum().backward()
    assert torch.equal(net.get_buffer("layer1.0.bn.running_mean"), before)
    model.train_only(["net"])
    assert all(p.requires_grad for p in net.parameters())


def test_patterns_of_inner_modules(batch: dict[str, Tensor]) -> None:
    model = wrapped(objectives={"held": EWC("*.fc1")})
    assert model.select(["*.bn"]) == ("layer1.0.bn", "layer1.1.bn")
    assert model.select(["net"]) == model.select(["all"]) == model.select(["upto:net"]) == model.units
    with pytest.raises(GraphError, match=r"the pattern 'layr1' names no node. Did you mean 'layer1'"):
        model.select(["layr1"])
    held: Any = model.objectives["held"]
    held.consolidate({name: torch.ones_like(p) for name, p in model.named_parameters() if "fc1" in name})


def test_a_wrapped_net_trains_with_a_part_frozen() -> None:
    """Through the learner: what a phase freezes stays to the bit, and the rest moves."""
    data = jumpml.create_dataloader(
        {
            "datasets": {
                "iris": {
                    "source": {"kind": "sklearn", "name": "iris"},
                    "fields": {
                        "x": {"kind": "tensor", "column": "data", "shape": [4]},
                        "y": {"kind": "category", "column": "target"},
                    },
                    "split": {"stratify": "y", "duplicates": "together"},
                }
            },
            "features": {"x": [{"standardize": {}}]},
        }
    )
    tasks = {"t": Task(kind="multiclass", output="net", target="y")}
    objectives = {"t": CrossEntropy(("net", "y")), "small": L1("layer1.0", weight=0.01)}
    model = wrapped(tasks=tasks, objectives=objectives, fields=data.fields)
    before = {name: p.detach().clone() for name, p in model.node("net").named_parameters()}
    phase = {"epochs": 2, "freeze": ["layer1.0", "net@own"]}
    learner = jumpml.create_learner(data, model, None, {"phases": {"supervised": phase}, "log": [], "checkpoint": None})
    learner.fit()
    for name, p in model.node("net").named_parameters():
        # `spare` is never called, and a memory of one step has nothing to remember
        still = name.startswith(("layer1.0.", "spare.", "offset", "memory.weight_hh"))
        assert torch.equal(p, before[name]) is still, name


# --- copies, compilation, export --------------------------------------------------------------------------------------


def test_copies_note_for_themselves(batch: dict[str, Tensor]) -> None:
    model = wrapped().eval()
    value = model(batch, outputs=["layer1"])["layer1"]
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        with torch.no_grad():
            other.node("layer1.1.fc2").get_parameter("bias").add_(100)
        assert not torch.equal(other(batch, outputs=["layer1"])["layer1"], value)
        assert torch.equal(model(batch, outputs=["layer1"])["layer1"], value)


def test_inner_values_compile_without_a_break_and_export(batch: dict[str, Tensor]) -> None:
    net = nn.Sequential(Block(8), nn.Linear(8, 3))  # torch.compile takes no recurrent layers
    model = Model.wrap(net, X).eval().until("0.relu")
    expected = model(batch)["0.relu"]
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    assert torch.equal(compiled(batch)["0.relu"], expected)

    class Exported(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Tensor) -> Tensor:
            return self.model({"x": x})["0.relu"]

    sizes = ({0: torch.export.Dim("rows")},)
    program = torch.export.export(Exported(), (torch.randn(3, 4),), dynamic_shapes=sizes)
    torch.testing.assert_close(program.module()(batch["x"]), expected)


# --- until ------------------------------------------------------------------------------------------------------------


class Two(nn.Module):
    """Gives two values."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.fc(x), x


def cut_me(make: Any) -> Model:
    nodes = {
        "low": (nn.Linear(4, 8), "x"),
        "two": (Two(), "low"),
        "other": (nn.Linear(2, 5), "z"),
        "out": (nn.Bilinear(5, 5, 3), ["two.0", "other"]),
    }
    inputs = {**X, "z": ValueInfo(shape=(2,))}
    tasks = {"t": Task(kind="multiclass", output="out", target="y")}
    return make(nodes, inputs=inputs, tasks=tasks, objectives={"t": CrossEntropy(("out", "y"))})


@pytest.mark.parametrize(
    ("output", "nodes", "inputs"),
    [
        ("low", ("low",), {"x"}),
        ("two.0", ("low", "two"), {"x"}),
        ("out", ("low", "two", "other", "out"), {"x", "z"}),
    ],
)
def test_a_model_is_cut_at_any_node(make: Any, output: str, nodes: tuple[str, ...], inputs: set[str]) -> None:
    model = cut_me(make).eval()
    cut = model.until(output)
    assert (cut.node_names, set(cut.inputs)) == (nodes, inputs)
    assert (dict(cut.tasks), dict(cut.objectives)) == ({}, {})
    assert all(cut.node(name) is model.node(name) for name in nodes)
    batch = {"x": torch.randn(3, 4), "z": torch.randn(3, 2)}
    only = {name: batch[name] for name in inputs}
    assert torch.equal(cut(only)[output], model(batch, outputs=[output])[output])
    assert not cut.training


def test_several_outputs_and_a_name_that_there_is_not(make: Any) -> None:
    model = cut_me(make)
    assert list(model.until("low", "other")({"x": torch.randn(3, 4), "z": torch.randn(3, 2)})) == ["low", "other"]
    with pytest.raises(GraphError, match=r"there is no node 'loww'. Did you mean 'low'"):
        model.until("loww")


def test_what_is_frozen_stays_frozen_in_the_cut(make: Any) -> None:
    model = cut_me(make)
    model.train_only(["out"])
    cut = model.until("two.0")
    assert not any(module.training for module in cut.train().node("two").modules())


def test_a_cut_model_is_a_node_of_another(make: Any) -> None:
    """In Python a model as a node is a nested graph: its nodes are the other's, with the very weights."""
    encoder = cut_me(make).until("low")
    nodes = {"net": Node(encoder, {"x": "picture"}), "out": Node(nn.Linear(8, 3), "net")}
    model = Model(inputs={"picture": ValueInfo(shape=(4,))}, nodes=nodes)
    assert model.node_names == ("net.low", "out")
    assert model.node("net.low") is encoder.node("low")
    with pytest.raises(GraphError, match=r"node 'net': its model reads no 'image'. There is: x"):
        Model(inputs=X, nodes={"net": Node(encoder, {"image": "x"})})
    both = cut_me(make)
    with pytest.raises(GraphError, match=r"node 'net': its model reads x, z. Say which is which"):
        Model(inputs=X, nodes={"net": Node(both, "x")})


def test_an_objective_on_an_inner_module_from_a_file(tmp_path: Path) -> None:
    spec = {
        "inputs": {"x": {"shape": [4]}},
        "nodes": {
            "body": {
                "layers": [{"module": "torch.nn.LazyLinear", "args": {"out_features": 8}}, "torch.nn.ReLU"],
                "inputs": "x",
            }
        },
        "objectives": {"small": {"kind": "l1", "inputs": "body.0"}},
    }
    model = jumpml.load_model(spec, seed=0)
    x = torch.randn(3, 4)
    assert torch.equal(model.losses({"x": x})["small"], model.node("body.0")(x).abs().mean(1))


def test_modules_that_were_wrapped_alone_keep_their_values_apart_in_a_model_of_both(batch: dict[str, Tensor]) -> None:
    first, second = (nn.Sequential(nn.Linear(4, 3), nn.ReLU()) for _ in range(2))
    for module in (first, second):
        Model.wrap(module, X)(batch, outputs=["0"])
    values = Model.wrap(Pair(first, second), X)(batch, outputs=["first.0", "second.0"])
    assert torch.equal(values["first.0"], first[0](batch["x"]))
    assert torch.equal(values["second.0"], second[0](batch["x"]))


def test_a_model_until_nothing_is_refused() -> None:
    with pytest.raises(GraphError) as caught:
        wrapped().until()
    assert str(caught.value) == "until: expected the nodes to end with, got none. There is: net."
