"""Optimizers: groups of nodes, decay by layer, what weight decay spares, several as one."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from iris_files import batch_norm, iris_data, iris_model, mlp
from torch import nn
from torch.optim import SGD, Adam, AdamW

import jumpml
from jumpml.blocks import ConvEncoder
from jumpml.core import LearnerError, SpecError, ValueInfo
from jumpml.graph import Model, Node
from jumpml.learn import Group, JointOptimizer, Learner, Phase, make_optimizer
from jumpml.learn.optimizers._depth import layers_of
from jumpml.objectives import CrossEntropy

if TYPE_CHECKING:
    from pathlib import Path

DATA = iris_data(batch_size=64, features={"x": [{"standardize": {}}]})
NET = iris_model({"encoder": mlp(8, 6), "norm": batch_norm("encoder", 6)})


def learner_of(options: dict[str, Any], folder: Path, optimizer: Any = None) -> Learner:
    loaders = jumpml.create_dataloader(DATA)
    model = jumpml.load_model(NET, loaders)
    return jumpml.create_learner(loaders, model, optimizer, {"log": [], "checkpoint": None, **options}, run=folder)


def names_by_group(learner: Learner) -> list[set[str]]:
    """The parameters of each group, by name."""
    names = {id(p): name for name, p in learner.model.named_parameters()}
    return [{names[id(p)] for p in group["params"]} for group in learner.optimizer.param_groups]


def test_groups_by_node_have_their_own_rates_and_arguments(tmp_path: Path) -> None:
    groups = [{"nodes": "enc*", "lr": 0.001, "weight_decay": 0.5}, {"nodes": ["out"], "lr": 0.1}]
    learner = learner_of({"optimizer": {"kind": "adamw", "lr": 0.01, "weight_decay": 0.1, "groups": groups}}, tmp_path)
    told = [(group["lr"], group["weight_decay"], group["fused"]) for group in learner.optimizer.param_groups]
    assert told == [(0.01, 0.1, True), (0.001, 0.5, True), (0.1, 0.1, True)]
    assert [{name.split(".")[0] for name in names} for names in names_by_group(learner)] == [
        {"node_norm"},
        {"node_encoder"},
        {"node_out"},
    ]


def test_layer_decay_goes_by_depth_in_the_graph_and_inside_nodes(tmp_path: Path) -> None:
    learner = learner_of({"optimizer": {"kind": "sgd", "lr": 0.8, "layer_decay": 0.5}}, tmp_path)
    rates = {
        name: group["lr"]
        for group, names in zip(learner.optimizer.param_groups, names_by_group(learner), strict=True)
        for name in names
        if name.endswith("weight")
    }
    assert rates == {
        "node_out.weight": 0.8,
        "node_norm.weight": 0.4,
        "node_encoder.layers.3.weight": 0.2,
        "node_encoder.layers.1.weight": 0.1,
    }
    assert learner.optimizer.param_groups[0]["lr"] == 0.8  # the log shows the first group's


def test_of_several_ways_the_longest_counts_and_the_least_depth_of_shared_weights() -> None:
    shared = nn.Linear(4, 4)
    nodes = {
        "a": Node(shared, "x"),
        "b": Node(nn.Linear(4, 4), "a"),
        "c": Node(shared, "b"),
        "sum": Node(nn.Bilinear(4, 4, 2), ["a", "c"]),
    }
    model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=nodes)
    optimizer = make_optimizer(model, "sgd", 1.0, layer_decay=0.5)
    names = {id(p): name for name, p in model.named_parameters()}
    rates = {names[id(p)]: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert {name: rate for name, rate in rates.items() if name.endswith("weight")} == {
        "node_a.weight": 0.5,
        "node_b.weight": 0.25,
        "node_sum.weight": 1.0,
    }


def test_layers_of_a_transformer_like_module() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.zeros(1, 1, 4))
            self.embed = nn.Linear(4, 4)
            self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(4, 1, 4) for _ in range(3))
            self.last = nn.LayerNorm(4)

    net = Net()
    layers = [*layers_of(net)]
    assert [len(layer) for layer in layers] == [3, 12, 12, 12, 2]
    assert layers[0][0] is net.token
    assert sorted(id(p) for layer in layers for p in layer) == sorted(map(id, net.parameters()))


def test_a_normalization_in_a_row_is_of_the_layer_before_it() -> None:
    convolutions = ConvEncoder(widths=[4, 8])
    convolutions(torch.zeros(2, 1, 8, 8))
    assert [len(layer) for layer in layers_of(convolutions)] == [3, 3, 3, 3]  # a convolution and its normalization each
    before = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4, bias=False), nn.ReLU(), nn.LayerNorm(4))
    assert [len(layer) for layer in layers_of(before)] == [2, 3]


def test_norms_and_biases_are_spared(tmp_path: Path) -> None:
    said = {"kind": "adamw", "lr": 0.01, "no_decay": ["norms", "biases"]}
    learner = learner_of({"optimizer": said}, tmp_path)
    decayed, spared = names_by_group(learner)
    assert {name.split(".")[0] for name in decayed} == {"node_encoder", "node_out"}
    assert all(name.endswith("weight") for name in decayed)
    assert spared >= {"node_norm.weight", "node_norm.bias", "node_out.bias"}
    assert [group["weight_decay"] for group in learner.optimizer.param_groups] == [0.01, 0]


def test_what_counts_as_a_bias_and_a_norm() -> None:
    class MyRMSNorm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.ones(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.gain

    nodes = {
        "lstm": Node(nn.LSTM(4, 4, batch_first=True), "x"),
        "norm": Node(MyRMSNorm(), "lstm.0"),
        "out": Node(nn.MultiheadAttention(4, 1, batch_first=True), ["norm", "norm", "norm"]),
    }
    model = Model(inputs={"x": ValueInfo(shape=(3, 4))}, nodes=nodes)
    names = {id(p): name for name, p in model.named_parameters()}
    for what, spared in (
        (["biases"], {"bias_ih_l0", "bias_hh_l0", "in_proj_bias", "bias"}),
        (["norms"], {"gain"}),
    ):
        groups = make_optimizer(model, "adamw", no_decay=what).param_groups  # type: ignore[arg-type]
        found = {names[id(p)].rsplit(".", 1)[1] for g in groups if g["weight_decay"] == 0 for p in g["params"]}
        assert found == spared


def test_a_group_of_another_kind_is_another_optimizer(tmp_path: Path) -> None:
    groups = [{"nodes": "out", "kind": "sgd", "lr": 0.1, "momentum": 0.9}]
    learner = learner_of({"optimizer": {"kind": "adam", "lr": 0.01, "groups": groups}}, tmp_path)
    assert isinstance(learner.optimizer, JointOptimizer)
    kinds = {name: type(member) for name, member in learner.optimizer.members.items()}
    assert kinds == {"first": Adam, "group 0": SGD}
    before = copy.deepcopy(learner.model.state_dict())
    learner.train_epoch()
    assert learner.progress.step == 2  # of 96 rows in batches of 64: counted once, however many optimizers there are
    moved = {name for name, value in learner.model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved >= {name for name, _ in learner.model.named_parameters()}


def test_a_joint_optimizer_moves_weights_as_its_members_do() -> None:
    torch.manual_seed(0)
    first, second = nn.Linear(3, 3), nn.Linear(3, 1)
    copies = copy.deepcopy((first, second))
    rows = torch.randn(8, 3)

    def optimizers(a: nn.Module, b: nn.Module) -> list[torch.optim.Optimizer]:
        return [AdamW(a.parameters(), lr=0.01), SGD(b.parameters(), lr=0.1, momentum=0.9)]

    joint, apart = JointOptimizer(optimizers(first, second)), optimizers(*copies)
    for step in range(4):
        if step == 2:  # a state that is taken and loaded changes nothing
            joint.load_state_dict(copy.deepcopy(joint.state_dict()))
        for group in joint.param_groups:
            group["lr"] *= 0.5
        for member in apart:
            member.param_groups[0]["lr"] *= 0.5
        for a, b in ((first, second), copies):
            a.zero_grad()
            b.zero_grad()
            b(a(rows).relu()).square().mean().backward()
        joint.step()
        for member in apart:
            member.step()
    assert all(
        map(torch.equal, [*first.parameters(), *second.parameters()], [p for m in copies for p in m.parameters()])
    )
    assert len(joint.state) == 4
    assert joint.state[second.weight].keys() == {"momentum_buffer"}
    assert first.weight in joint.state
    joint.state.pop(second.weight)
    assert second.weight not in joint.state
    with pytest.raises(KeyError):
        joint.state[nn.Parameter(torch.zeros(1))]


def test_new_parameters_join_the_first_member_and_a_copy_is_its_own() -> None:
    first, second, late = nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1)
    joint = JointOptimizer({"a": Adam(first.parameters()), "b": SGD(second.parameters(), lr=1.0)})
    joint.add_param_group({"params": list(late.parameters()), "lr": 0.5})
    assert [group["lr"] for group in joint.param_groups] == [0.001, 0.5, 1.0]
    other = copy.deepcopy(joint)
    other.param_groups[0]["lr"] = 7.0
    assert joint.members["a"].param_groups[0]["lr"] == 0.001
    assert other.members["a"].param_groups[0]["lr"] == 7.0


@pytest.mark.parametrize("several", [list, dict])
def test_several_optimizers_in_code(several: type, tmp_path: Path) -> None:
    loaders = jumpml.create_dataloader(DATA)
    model = jumpml.load_model(NET, loaders)
    parts = [AdamW(model.node("encoder").parameters(), lr=0.01), SGD(model.node("out").parameters(), lr=0.1)]
    given = parts if several is list else dict(zip("ab", parts, strict=True))
    learner = Learner(loaders, model, given, phases={"supervised": Phase(epochs=1)})
    before = copy.deepcopy(model.state_dict())
    learner.train_epoch()
    assert not torch.equal(model.node("out").weight, before["node_out.weight"])  # type: ignore[union-attr]
    assert torch.equal(model.node("norm").weight, before["node_norm.weight"])  # type: ignore[arg-type]
    assert learner.progress.step == 2


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch has it from 2.9 on")
def test_muon_takes_the_matrices_alone(tmp_path: Path) -> None:
    groups = [{"nodes": "encoder", "kind": "muon", "lr": 0.02}]
    learner = learner_of({"optimizer": {"kind": "adamw", "groups": groups}}, tmp_path)
    assert isinstance(learner.optimizer, JointOptimizer)
    (muon,) = learner.optimizer.members["group 0"].param_groups
    assert [p.ndim for p in muon["params"]] == [2, 2]
    learner.train_epoch()


def test_a_phases_rate_keeps_the_groups_ratio(tmp_path: Path) -> None:
    groups = [{"nodes": "encoder", "lr": 0.001}]
    options = {
        "optimizer": {"kind": "sgd", "lr": 0.01, "groups": groups},
        "phases": {"supervised": {"epochs": 1, "lr": 0.1, "schedule": {"kind": "constant"}}},
    }
    learner = learner_of(options, tmp_path)
    learner._run.enter("supervised")
    assert [group["lr"] for group in learner.optimizer.param_groups] == pytest.approx([0.1, 0.01])


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (
            {"groups": [{"nodes": "encodr"}]},
            r"optimizer\.groups\[0\]\.nodes: the pattern 'encodr' names no node\. Did you mean 'encoder'",
        ),
        (
            {"groups": [{"nodes": "encoder"}, {"nodes": "enc*", "lr": 0.1}]},
            r"groups\[1\]\.nodes: node 'encoder' is in group 0 too: a parameter has one group\. Take patterns that",
        ),
        (
            {"groups": [{"nodes": "out", "kind": "adm"}]},
            r"groups\[0\]\.kind: torch\.optim has no optimizer 'adm'\. Did",
        ),
        ({"groups": [{"nodes": "out", "momentm": 1}]}, r"groups\[0\]\.momentm: Adam takes no such argument\."),
        ({"groups": [{"nodes": "out", "kind": "sgd", "momentum": -1.0}]}, r"SGD refuses its arguments: Invalid mom"),
        ({"groups": [{"lr": 0.1}]}, r"groups\[0\]\.nodes: this key is missing"),
        ({"no_decay": ["biases"]}, r"no_decay: there is no weight decay to leave anything out of\. Set weight_decay"),
        ({"layer_decay": 1.5}, r"layer_decay: expected a number of at most 1, got 1\.5"),
    ],
)
def test_what_a_file_says_wrongly(said: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=text):
        learner_of({"optimizer": said}, tmp_path)


def test_a_group_without_parameters_is_refused() -> None:
    nodes = {"act": Node(nn.ReLU(), "x"), "out": Node(nn.Linear(4, 2), "act")}
    model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=nodes)
    with pytest.raises(LearnerError, match=r"optimizer\.groups\.0\.nodes: act has no parameters\. Leave the group out"):
        make_optimizer(model, groups=[Group(nodes=("act",))])
    with pytest.raises(LearnerError, match=r"optimizer\.layer_decay: expected a number above 0 and at most 1, got 0"):
        make_optimizer(model, layer_decay=0.0)
    with pytest.raises(LearnerError, match=r"optimizer\.lr: expected a number above 0, got -1"):
        make_optimizer(model, lr=-1.0)


def test_nodes_that_share_weights_in_two_groups_are_refused() -> None:
    shared = nn.Linear(4, 4)
    nodes = {"a": Node(shared, "x"), "b": Node(shared, "a")}
    model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=nodes)
    with pytest.raises(LearnerError, match=r"nodes 'b' and 'a' share weights that are in group 0 too"):
        make_optimizer(model, groups=[Group(nodes=("a",)), Group(nodes=("b",))])


def test_optimizers_that_hold_the_same_parameters_are_refused() -> None:
    net = nn.Linear(2, 2)
    with pytest.raises(LearnerError, match=r"'0' \(Adam\) and '1' \(SGD\) hold the same parameters, 1 of them: each"):
        JointOptimizer([Adam(net.parameters()), SGD([net.weight], lr=0.1)])
    with pytest.raises(LearnerError, match="expected one or more optimizers, got none"):
        JointOptimizer([])


def test_resuming_with_other_optimizers_is_refused(tmp_path: Path) -> None:
    options = {"checkpoint": {"every": {"epochs": 1}}}
    learner_of(options, tmp_path).train_epoch()
    groups = [{"nodes": "out", "kind": "sgd"}]
    with pytest.raises(jumpml.core.CheckpointError, match="optimizer: Adam then, Adam, SGD now"):
        learner_of({**options, "optimizer": {"groups": groups}}, tmp_path)


class Half(nn.Module):
    """Has a layer that it does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.idle = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.used(x)


def test_parameters_that_get_no_gradient_are_named_once_a_phase(caplog: pytest.LogCaptureFixture) -> None:
    loaders = jumpml.create_dataloader(DATA)
    nodes = {"out": Node(Half(), "x")}
    objectives = {"species": CrossEntropy(("out", "species"))}
    model = Model(inputs={"x": loaders.info("x")}, nodes=nodes, objectives=objectives, fields=loaders.fields)
    learner = Learner(loaders, model, SGD(model.parameters(), lr=0.1), phases={"supervised": Phase(epochs=2)})
    learner.fit()
    told = [record.getMessage() for record in caplog.records if "no gradient" in record.getMessage()]
    assert told == [
        "Phase 'supervised': no gradient reaches out.idle.weight, out.idle.bias. No active objective depends on them: "
        "they stay as they are. Freeze the node, or see whether its module uses them."
    ]


def test_where_all_get_one_nothing_is_told(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    learner_of({}, tmp_path).train_epoch()
    assert not [record for record in caplog.records if "no gradient" in record.getMessage()]
