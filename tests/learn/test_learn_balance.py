"""A learner that balances objectives: the same numbers as by hand, whatever else it does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor

import jumpml
from jumpml.balance import Balancer, GradientBalancer, LossBalancer, Uncertainty, UPGrad
from jumpml.core import JumpMLError, LearnerError
from jumpml.graph import Widen
from jumpml.learn import Balancing, Learner, Phase
from jumpml.learn.steps._meter import NonFinite
from jumpml.objectives import reduce

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KINDS: dict[str, dict[str, Any]] = {
    "uncertainty": {},
    "dwa": {},
    "famo": {},
    "gradnorm": {"at": "body"},
    "feature_norm": {"at": "body"},
    "upgrad": {},
    "pcgrad": {},
    "cagrad": {},
    "mgda": {},
    "nash_mtl": {},
    "imtl_g": {},
    "aligned_mtl": {},
}
AT_NODE = {"upgrad": {"at": "body"}, "imtl_g": {"at": "body"}}
EVERY = [pytest.param({"kind": k, **o}, id=k) for k, o in KINDS.items()]
EVERY += [pytest.param({"kind": k, **o}, id=f"{k} at a node") for k, o in AT_NODE.items()]
NET: dict[str, Any] = {
    "seed": 0,
    "nodes": {
        "join": {"module": "jumpml.blocks.Concat", "inputs": ["a", "b"]},
        "body": {"module": "jumpml.blocks.MLP", "inputs": "join", "args": {"widths": [8, 6]}},
        "amount": {"module": "jumpml.blocks.Head", "inputs": "body"},
        "kind": {"module": "jumpml.blocks.Head", "inputs": "body"},
        "flag": {"module": "jumpml.blocks.Head", "inputs": "body"},
    },
    "tasks": {
        "y": {"kind": "regression", "output": "amount", "target": "y"},
        "c": {"kind": "multiclass", "output": "kind", "target": "c", "objective": {"weight": 2.0}},
        "f": {"kind": "binary", "output": "flag", "target": "f"},
    },
    "objectives": {"small": {"kind": "l2", "parameters": "all", "weight": 0.01}},
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few rows; each target is missing in some, and `y` in the whole of the first batches of file order."""
    path = tmp_path_factory.mktemp("balance") / "table.csv"
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 96)).round(3)
    rows = [
        f"{a[i]},{b[i]},{'' if i % 4 == 1 else f'{2 * (a[i] + b[i]):.3f}'},"
        f"{'' if i % 5 == 2 else 'uvw'[int(abs(a[i]) * 2) % 3]},{'' if i % 7 == 3 else ('yes' if b[i] > 0 else 'no')}"
        for i in range(96)
    ]
    path.write_text("\n".join(["a,b,y,c,f", *rows]))
    return path


def loaders_of(table: Path, size: int = 12) -> Any:
    kinds = {"a": "number", "b": "number", "y": "number", "c": "category", "f": "category"}
    fields = {name: {"kind": kind} for name, kind in kinds.items()}
    source = {"kind": "csv", "path": str(table)}
    return jumpml.create_dataloader(
        {"datasets": {"d": {"source": source, "fields": fields, "split": {"train": 0.75, "val": 0.125, "test": 0.125}}}}
        | {"batch_size": size}
    )


def learner_of(table: Path, folder: Path, balance: Any, *, net: Any = None, size: int = 12, **options: Any) -> Learner:
    loaders = loaders_of(table, size)
    said = {"log": [], "checkpoint": None, "optimizer": {"kind": "sgd", "lr": 0.02, "momentum": 0.5}} | options
    said |= {"phases": {"supervised": {"epochs": 2}}} if "phases" not in options else {}
    said |= {"balance": balance} if balance else {}
    return jumpml.create_learner(loaders, jumpml.load_model(net or NET, loaders), None, said, run=folder)


def weights_of(learner: Learner) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in learner.model.state_dict().items()}


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """To the bit."""
    return bool(first) and first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def test_the_comparison_can_fail(table: Path, tmp_path: Path) -> None:
    first, second = learner_of(table, tmp_path, None), learner_of(table, tmp_path, None)
    assert same(weights_of(first), weights_of(second))
    second.train_epoch()
    assert not same(weights_of(first), weights_of(second))
    assert not same({}, {})


# --- beside the same by hand -----------------------------------------------------------------------------------------

SHARED = ("node_body", "node_join")


def gradients_by_hand(learner: Learner, batch: Any) -> tuple[dict[str, dict[str, Tensor]], dict[str, float]]:
    """By objective, the gradient of its weighted mean on every parameter; and the weighted means."""
    stage = learner.stage or learner._run.enter("supervised")
    losses, _ = stage.plan(batch)
    named = dict(learner.model.named_parameters())
    found, means = {}, {}
    for name, loss in losses.items():
        mean = learner.weights[name] * reduce(loss)
        gradients = torch.autograd.grad(mean, list(named.values()), retain_graph=True, allow_unused=True)
        found[name] = {n: g for n, g in zip(named, gradients, strict=True) if g is not None}
        means[name] = float(mean.detach())
    return found, means


def by_hand(learner: Learner, batch: Any, over: tuple[str, ...] = ("y", "c", "f")) -> dict[str, Tensor]:
    """What each parameter's gradient is to be with UPGrad on what is shared."""
    found, means = gradients_by_hand(learner, batch)
    shared = [name for name in found[over[0]] if name.startswith(SHARED)]
    rows = torch.stack([torch.cat([found[one][name].flatten() for name in shared]) for one in over]).double().numpy()
    weights = UPGrad().multipliers(rows @ rows.T, np.array([means[name] for name in over]))
    expected: dict[str, Tensor] = {}
    for name, own in found.items():
        for parameter, gradient in own.items():
            factor = float(weights[over.index(name)]) if parameter in shared and name in over else 1.0
            expected[parameter] = expected.get(parameter, torch.zeros_like(gradient)) + factor * gradient
    return expected


def first_batch(learner: Learner) -> dict[str, Tensor]:
    return next(iter(learner.remaining()))


def gradients_after(learner: Learner, *batches: Any) -> dict[str, Tensor]:
    learner.step(*batches)
    return {name: p.grad.clone() for name, p in learner.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("over", [None, ("y", "f")])
def test_gradients_are_combined_where_parameters_are_shared(
    table: Path, tmp_path: Path, over: tuple[str, ...] | None
) -> None:
    learner = learner_of(table, tmp_path, {"kind": "upgrad", "over": over})
    batch = first_batch(learner)
    expected = by_hand(learner, batch, over or ("y", "c", "f"))
    found = gradients_after(learner, batch)
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-5)


def test_parameters_of_one_objective_alone_have_its_plain_gradient_to_the_bit(table: Path, tmp_path: Path) -> None:
    net = {**NET, "objectives": {}}
    plain, balanced = (learner_of(table, tmp_path, b, net=net) for b in (None, {"kind": "upgrad"}))
    first, second = (gradients_after(one, first_batch(one)) for one in (plain, balanced))
    heads = [name for name in first if not name.startswith(SHARED)]
    assert len(heads) == 6
    assert all(torch.equal(first[name], second[name]) for name in heads)
    assert not any(torch.equal(first[name], second[name]) for name in first if name not in heads)


@pytest.mark.parametrize("kind", ["upgrad", "imtl_g", "aligned_mtl", "mgda"])
def test_at_the_node_before_a_shared_linear_layer(table: Path, tmp_path: Path, kind: str) -> None:
    """The trunk has one gradient, that of the combination at the node; what is behind the node has its plain one."""
    learner = learner_of(table, tmp_path, {"kind": kind, "at": "body"})
    batch = first_batch(learner)
    stage = learner.stage
    assert stage is not None
    losses, values = stage.plan(batch)
    node, names = values["body"], ("y", "c", "f")
    means = [learner.weights[name] * reduce(losses[name]) for name in names]
    rows = [torch.autograd.grad(mean, node, retain_graph=True)[0] for mean in means]
    matrix = torch.stack([row.flatten() for row in rows]).double().numpy()
    balancer = learner._loop._balancing
    assert balancer is not None
    weights = balancer.balancer.multipliers(matrix @ matrix.T, np.ones(3))  # pyright: ignore
    combined = sum(float(w) * row for w, row in zip(weights, rows, strict=True))
    trunk = dict(learner.model.node("body").named_parameters())
    alone = torch.autograd.grad(
        learner.weights["small"] * reduce(losses["small"]), [*trunk.values()], retain_graph=True
    )
    expected = torch.autograd.grad(node, [*trunk.values()], combined, retain_graph=True)  # pyright: ignore
    plain, _ = gradients_by_hand(learner, batch)
    found = gradients_after(learner, batch)
    for name, through, own in zip(trunk, expected, alone, strict=True):
        torch.testing.assert_close(found[f"node_body.{name}"], through + own, rtol=1e-4, atol=1e-5)
    for name in (n for n in found if not n.startswith(SHARED)):
        torch.testing.assert_close(found[name], sum(own.get(name, torch.zeros(())) for own in plain.values()))


def test_what_is_not_balanced_still_flows_through_the_node(table: Path, tmp_path: Path) -> None:
    some = learner_of(table, tmp_path, {"kind": "mgda", "at": "body", "over": ["y", "f"]})
    batch = first_batch(some)
    found, _ = gradients_by_hand(some, batch)
    before = gradients_after(some, batch)
    figures = some._loop._balancing.read()  # pyright: ignore
    expected = {
        name: sum(figures.get(f"balance/{one}", 1.0) * own[name] for one, own in found.items() if name in own)
        for name in before
        if name.startswith(SHARED)
    }
    for name, value in expected.items():
        torch.testing.assert_close(before[name], value, rtol=1e-4, atol=1e-4)


def test_at_a_node_of_which_a_part_is_read(table: Path, tmp_path: Path) -> None:
    """What a recurrent layer gives is no tensor, and the part of it that others read stands for it."""
    recurrent = {"input_size": 1, "hidden_size": 6, "batch_first": True}
    nodes = {
        "join": NET["nodes"]["join"],
        "steps": {"module": "torch.nn.Unflatten", "args": {"dim": 1, "unflattened_size": [2, 1]}, "inputs": "join"},
        "body": {"module": "torch.nn.GRU", "args": recurrent, "inputs": "steps"},
        "flat": {"module": "torch.nn.Flatten", "inputs": "body.0"},
        **{name: {**NET["nodes"][name], "inputs": "flat"} for name in ("amount", "kind", "flag")},
    }
    learner, plain = (
        learner_of(table, tmp_path, one, net={**NET, "nodes": nodes})
        for one in ({"kind": "upgrad", "at": "body"}, None)
    )
    batch = first_batch(learner)
    found, summed = gradients_after(learner, batch), gradients_after(plain, batch)
    assert learner._loop._balancing.read().keys() >= {"balance/y", "cosine/y/c"}  # pyright: ignore
    assert not torch.equal(found["node_body.weight_ih_l0"], summed["node_body.weight_ih_l0"])
    assert torch.equal(found["node_kind.weight"], summed["node_kind.weight"])


TWINS: dict[str, Any] = {
    **NET,
    "nodes": {
        **NET["nodes"],
        "turned": {"module": "jumpml.blocks.Concat", "inputs": ["b", "a"]},
        "body_again": {"shares": "body", "inputs": "turned"},
        "kind": {"module": "jumpml.blocks.Head", "inputs": "body_again"},
        "flag": {"module": "jumpml.blocks.Head", "inputs": "body_again"},
    },
    "objectives": {},
}


@pytest.mark.parametrize("at", ["body", "body_again"])
def test_at_a_node_that_stands_in_two_places(table: Path, tmp_path: Path, at: str) -> None:
    """A trunk of two data sets is two nodes that share a module: a gradient is by what it gives in all places."""
    learner = learner_of(table, tmp_path, {"kind": "upgrad", "at": at}, net=TWINS)
    batch = first_batch(learner)
    losses, values = (learner.stage or learner._run.enter("supervised")).plan(batch)
    places, names = [values["body"], values["body_again"]], ("y", "c", "f")
    means = [learner.weights[name] * reduce(losses[name]) for name in names]
    rows = [torch.autograd.grad(m, places, retain_graph=True, materialize_grads=True) for m in means]
    matrix = torch.stack([torch.cat([part.flatten() for part in row]) for row in rows]).double().numpy()
    weights = UPGrad().multipliers(matrix @ matrix.T, np.ones(3))
    combined = [sum(float(w) * row[place] for w, row in zip(weights, rows, strict=True)) for place in (0, 1)]
    trunk = dict(learner.model.node("body").named_parameters())
    expected = torch.autograd.grad(places, [*trunk.values()], combined, retain_graph=True)  # pyright: ignore
    plain, _ = gradients_by_hand(learner, batch)
    found = gradients_after(learner, batch)
    for name, gradient in zip(trunk, expected, strict=True):
        torch.testing.assert_close(found[f"node_body.{name}"], gradient, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["node_kind.weight"], plain["c"]["node_kind.weight"])


@pytest.mark.parametrize("balance", [one for one in EVERY if "at" in one.values[0]])  # pyright: ignore
def test_every_kind_that_has_a_node_learns_at_one_in_two_places(table: Path, tmp_path: Path, balance: Any) -> None:
    learner, plain = (learner_of(table, tmp_path, one, net=TWINS) for one in (balance, None))
    learner.fit()
    plain.fit()
    assert [*learner._loop._balancing.read()][:3] == ["balance/y", "balance/c", "balance/f"]  # pyright: ignore
    assert not same(weights_of(learner), weights_of(plain))


def test_gradnorm_compares_gradients_on_the_nodes_parameters(table: Path, tmp_path: Path) -> None:
    learner = learner_of(table, tmp_path, {"kind": "gradnorm", "at": "body", "lr": 0.1})
    batch = first_batch(learner)
    found, _ = gradients_by_hand(learner, batch)
    gradients_after(learner, batch)
    norms = [
        float(torch.cat([g.flatten() for n, g in found[name].items() if n.startswith("node_body")]).norm())
        for name in ("y", "c", "f")
    ]
    balancer = learner._loop._balancing
    assert balancer is not None
    assert balancer.balancer._norms.tolist() == pytest.approx(norms, rel=1e-4)  # pyright: ignore
    assert [*balancer.read()] == ["balance/y", "balance/c", "balance/f"]


DEEPER: dict[str, Any] = {
    **NET,
    "nodes": {
        "join": NET["nodes"]["join"],
        "early": {"module": "jumpml.blocks.MLP", "inputs": "join", "args": {"widths": [8, 6]}},
        **{name: node for name, node in NET["nodes"].items() if name != "join"},
        "body": {**NET["nodes"]["body"], "inputs": "early"},
    },
}


@pytest.mark.parametrize("balance", [None, *EVERY])
def test_how_often_gradients_go_back_through_the_trunk(table: Path, tmp_path: Path, balance: Any) -> None:
    """Once for all, or once for each objective where gradients on parameters are combined: never more."""
    learner = learner_of(table, tmp_path, balance, net=DEEPER)
    batch, passes = first_batch(learner), []
    linear = [module for module in learner.model.node("early").modules() if isinstance(module, torch.nn.Linear)][-1]
    linear.register_full_backward_hook(lambda *_: passes.append(1))
    learner.step(batch)
    combines = balance and isinstance(balancer_of(learner), GradientBalancer) and "at" not in balance
    assert len(passes) == (3 if combines else 1)


@pytest.mark.parametrize(("kind", "expected"), [("uncertainty", 2), ("dwa", 2), ("famo", 6), ("upgrad", 6)])
def test_how_often_they_do_in_an_update_of_two_batches(table: Path, tmp_path: Path, kind: str, expected: int) -> None:
    """What depends on losses that are known only at the end waits for it objective by objective."""
    learner = learner_of(table, tmp_path, {"kind": kind}, net=DEEPER)
    batch, passes = first_batch(learner), []
    linear = [module for module in learner.model.node("early").modules() if isinstance(module, torch.nn.Linear)][-1]
    linear.register_full_backward_hook(lambda *_: passes.append(1))
    learner.step(batch, batch)
    assert len(passes) == expected


def balancer_of(learner: Learner) -> Balancer:
    balancing = learner._loop._balancing
    assert isinstance(balancing, Balancing)
    return balancing.balancer


# --- whatever else the learner does ----------------------------------------------------------------------------------


@pytest.mark.parametrize("balance", EVERY)
def test_absent_targets_are_left_out(table: Path, tmp_path: Path, balance: Any) -> None:
    learner = learner_of(table, tmp_path, balance)
    first = first_batch(learner)
    learner.step(first)
    some = {**first, "y.present": torch.zeros_like(first["y.present"])}
    other = {**some, "y": torch.full_like(first["y"], float("nan"))}
    before = weights_of(learner)
    learner.step(some)
    assert all(value.isfinite().all() for value in weights_of(learner).values())
    assert not same(before, weights_of(learner))
    learner.step(other)
    assert all(value.isfinite().all() for value in weights_of(learner).values())
    figures = learner._loop._balancing.read()  # pyright: ignore
    assert {"balance/c", "balance/f"} <= figures.keys()
    assert all(np.isfinite(value) for value in figures.values())


@pytest.mark.parametrize("balance", EVERY)
def test_several_batches_are_as_one(table: Path, tmp_path: Path, balance: Any) -> None:
    """Of all their rows; at a node each batch is combined for itself, so there it is only another run."""
    whole, parts = (learner_of(table, tmp_path, balance, size=size) for size in (12, 4))
    batch = first_batch(whole)
    small = [{name: value[start : start + 4] for name, value in batch.items()} for start in (0, 4, 8)]
    parts._run.enter("supervised")
    for _ in range(3):
        one, many = gradients_after(whole, batch), gradients_after(parts, *small)
        assert one.keys() == many.keys()
        for name in one if "at" not in balance or balance["kind"] == "gradnorm" else ():
            torch.testing.assert_close(one[name], many[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("balance", EVERY)
def test_a_run_that_is_stopped_ends_with_the_same_bits(table: Path, tmp_path: Path, balance: Any) -> None:
    options: dict[str, Any] = {
        "checkpoint": {"every": {"steps": 2}},
        "phases": {"supervised": {"epochs": 4}},
        "accumulate": 2,
        "clip_norm": 5.0,
    }
    whole = learner_of(table, tmp_path / "whole", balance, **options)
    whole.fit()

    def stopped(folder: Path) -> None:
        learner = learner_of(table, folder, balance, **options)
        for _ in range(3):
            learner.train_epoch()
        for count, window in enumerate(learner.windows()):
            if count == 1:
                break
            learner.step(*window)
        learner.save()

    stopped(tmp_path / "stopped")
    resumed = learner_of(table, tmp_path / "stopped", balance, **options)
    assert resumed.progress.batch == 2
    resumed.fit()
    assert same(weights_of(whole), weights_of(resumed))


@pytest.mark.parametrize("kind", ["uncertainty", "dwa", "famo", "gradnorm", "pcgrad"])
def test_without_its_state_the_bits_differ(
    table: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    balance = {"kind": kind, **KINDS[kind]}
    options: dict[str, Any] = {"checkpoint": {"every": {"epochs": 1}}, "phases": {"supervised": {"epochs": 4}}}
    whole = learner_of(table, tmp_path / "whole", balance, **options)
    whole.fit()
    for withheld, expected in ((False, True), (True, False)):
        folder = tmp_path / str(withheld)
        learner = learner_of(table, folder, balance, **options)
        for _ in range(3):
            learner.train_epoch()
        learner.save()
        if withheld:
            monkeypatch.setattr(Balancing, "load_state_dict", lambda self, state: None)
        resumed = learner_of(table, folder, balance, **options)
        assert resumed.progress.step == 18
        resumed.fit()
        assert same(weights_of(whole), weights_of(resumed)) is expected


def test_a_run_that_is_stopped_where_nothing_is_balanced_ends_with_the_same_bits(table: Path, tmp_path: Path) -> None:
    """Orders of PCGrad that an earlier phase drew are not drawn on: of them the checkpoint knows nothing."""
    tasks = {
        name: {**task, "objective": {**task.get("objective", {}), "when": ["first", "supervised"]}}
        for name, task in NET["tasks"].items()
    }
    net = {**NET, "tasks": tasks, "objectives": {"one": {"kind": "l1", "inputs": "body", "when": ["alone"]}}}
    phases = {name: {"epochs": 1} for name in ("first", "alone", "supervised")}
    options: dict[str, Any] = {"net": net, "checkpoint": {"every": {"epochs": 1}}, "phases": phases}
    whole, stopped = (learner_of(table, tmp_path / name, {"kind": "pcgrad"}, **options) for name in ("whole", "part"))
    whole.fit()
    for phase in ("first", "alone"):
        stopped._run.phase(phase)
    resumed = learner_of(table, tmp_path / "part", {"kind": "pcgrad"}, **options)
    assert resumed.progress.step == 12
    resumed.fit()
    assert same(weights_of(whole), weights_of(resumed))


def test_orders_are_drawn_by_the_learners_seed(table: Path, tmp_path: Path) -> None:
    def states(seed: int) -> str:
        balancer = balancer_of(learner_of(table, tmp_path, {"kind": "pcgrad"}, seed=seed))
        balancer.begin(("y", "c", "f"), torch.device("cpu"))
        return str(balancer.state_dict()["generator"].tolist())

    assert states(0) == states(0) != states(1)


def test_with_another_learner_it_begins_afresh(table: Path) -> None:
    balancing, found = Balancing(Uncertainty(lr=0.1)), []
    for _ in range(2):
        loaders = loaders_of(table)
        model = jumpml.load_model(NET, loaders)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
        learner = Learner(loaders, model, optimizer, phases={"supervised": Phase(epochs=1)}, hooks=[balancing])
        learner.fit()
        found.append(weights_of(learner))
    assert same(*found)


@pytest.mark.parametrize("balance", EVERY)
def test_it_goes_on_with_a_model_that_grew(table: Path, tmp_path: Path, balance: Any) -> None:
    learner = learner_of(table, tmp_path, balance)
    learner.train_epoch()
    state = learner._loop._balancing.state_dict()  # pyright: ignore
    learner.grow(Widen("body", 1.5))
    after = learner._loop._balancing.state_dict()  # pyright: ignore
    assert str(state) == str(after)
    before = weights_of(learner)
    learner.train_epoch()
    assert not same(before, weights_of(learner))
    assert all(value.isfinite().all() for value in weights_of(learner).values())


@pytest.mark.parametrize("balance", EVERY)
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_under_autocast_with_batch_normalization(table: Path, tmp_path: Path, balance: Any, precision: str) -> None:
    nodes = {**NET["nodes"]}
    nodes["body"] = {
        "layers": [
            {"module": "torch.nn.LazyLinear", "args": {"out_features": 8}},
            {"module": "torch.nn.BatchNorm1d", "args": {"num_features": 8}},
            {"module": "torch.nn.ReLU"},
            {"module": "torch.nn.Linear", "args": {"in_features": 8, "out_features": 6}},
        ],
        "inputs": "join",
    }
    learner = learner_of(table, tmp_path, balance, net={**NET, "nodes": nodes}, precision=precision)
    learner.train_epoch()
    assert all(value.isfinite().all() for value in weights_of(learner).values())
    assert learner.model.node("body").get_buffer("1.num_batches_tracked") == 6  # one forward pass a step


def scaled(gradients: list[Tensor]) -> list[Tensor]:
    """As a GradScaler has it."""
    return [gradient * 1024.0 for gradient in gradients]


@pytest.mark.parametrize("balance", EVERY)
def test_scaled_losses_have_scaled_gradients(table: Path, tmp_path: Path, balance: Any) -> None:
    """What float16 does to losses changes no multiplier."""
    plain, other = (learner_of(table, tmp_path, balance) for _ in range(2))
    batch = first_batch(plain)
    other._run.enter("supervised")
    other._loop._plain.scale = scaled
    for _ in range(2):  # the second with what the first has taught the balancer
        first, second = gradients_after(plain, batch), gradients_after(other, batch)
        for name, gradient in first.items():
            torch.testing.assert_close(second[name] / 1024, gradient, rtol=1e-4, atol=1e-5)
        other.model.load_state_dict(plain.model.state_dict())
    told, again = (one._loop._balancing.read() for one in (plain, other))  # pyright: ignore
    assert again == pytest.approx(told, rel=1e-4)


@pytest.mark.parametrize("balance", EVERY)
def test_a_gradient_that_ran_over_is_noticed_and_breaks_nothing(table: Path, tmp_path: Path, balance: Any) -> None:
    learner = learner_of(table, tmp_path, balance)
    first = first_batch(learner)
    with pytest.raises(NonFinite):
        learner.step({**first, "a": torch.full_like(first["a"], float("inf"))})
        learner._run.states.read()


def test_phases_balance_what_is_active_in_them(table: Path, tmp_path: Path) -> None:
    net = {**NET, "objectives": {"code": {"kind": "l2", "inputs": "body", "when": ["first"]}}}
    net["tasks"] = {**NET["tasks"], "f": {**NET["tasks"]["f"], "objective": {"when": ["first", "supervised"]}}}
    phases = {"first": {"epochs": 1}, "alone": {"epochs": 1}, "supervised": {"epochs": 1}}
    net["objectives"]["one"] = {"kind": "l1", "inputs": "body", "when": ["alone"]}
    learner = learner_of(table, tmp_path, {"kind": "uncertainty"}, net=net, phases=phases)
    seen = []
    for phase in phases:
        learner._run.phase(phase)
        seen.append([*learner._loop._balancing.read()])  # pyright: ignore
    assert seen == [["balance/f", "balance/code"], [], ["balance/y", "balance/c", "balance/f"]]


@pytest.mark.parametrize(
    "balance", [{"kind": "gradnorm", "at": "body"}, {"kind": "mgda", "at": "body"}, {"kind": "mgda"}]
)
def test_where_what_is_shared_is_frozen_each_has_its_plain_gradient(table: Path, tmp_path: Path, balance: Any) -> None:
    phases = {"supervised": {"epochs": 1, "freeze": ["body"]}}
    frozen, plain = (learner_of(table, tmp_path, one, phases=phases) for one in (balance, None))
    frozen.fit()
    plain.fit()
    assert same(weights_of(frozen), weights_of(plain))


@pytest.mark.parametrize("balance", [{"kind": "gradnorm", "at": "body"}, {"kind": "upgrad"}, {"kind": "famo"}])
def test_what_a_copy_finds_out_moves_nothing(table: Path, tmp_path: Path, balance: Any) -> None:
    learner = learner_of(table, tmp_path, balance)
    learner.train_epoch()
    before = str(learner._loop._balancing.state_dict()), weights_of(learner)  # pyright: ignore
    learner.overfit_batch(20)
    assert str(learner._loop._balancing.state_dict()) == before[0]  # pyright: ignore
    assert same(weights_of(learner), before[1])


@pytest.mark.parametrize("balance", EVERY)
def test_a_weight_that_moves_is_what_is_multiplied(table: Path, tmp_path: Path, balance: Any) -> None:
    """An objective whose weight is 0 as yet is left out, and comes in when it is not."""
    tasks = {**NET["tasks"], "y": {**NET["tasks"]["y"], "objective": {"weight": MOVING}}}
    learner = learner_of(table, tmp_path, balance, net={**NET, "tasks": tasks, "objectives": {}})
    head, trunk = "node_amount.weight", "node_kind.weight"
    before = weights_of(learner)
    learner.train_epoch()
    between = weights_of(learner)
    assert torch.equal(before[head], between[head])
    assert not torch.equal(before[trunk], between[trunk])
    learner.train_epoch()
    after = weights_of(learner)
    assert not torch.equal(between[head], after[head])
    assert all(value.isfinite().all() for value in after.values())


MOVING = {"start": 0.0, "end": 1.0, "after": 1, "over": 0}  # nothing in the first epoch


def test_the_log_tells_multipliers_and_cosines(table: Path, tmp_path: Path) -> None:
    learner_of(table, tmp_path, {"kind": "upgrad"}, log=["jsonl"]).fit()
    lines = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    told = {
        key: value
        for line in lines
        for key, value in line.get("figures", {}).items()
        if key.startswith(("balance/", "cosine/"))
    }
    assert told.keys() == {"balance/y", "balance/c", "balance/f", "cosine/y/c", "cosine/y/f", "cosine/c/f"}
    assert all(-1 <= value <= 1 for key, value in told.items() if key.startswith("cosine/"))


def test_the_sum_is_the_plain_descent(table: Path, tmp_path: Path) -> None:
    said, silent = (learner_of(table, tmp_path, balance) for balance in ({"kind": "sum"}, None))
    for learner in (said, silent):
        learner.fit()
        assert learner._loop._descend is learner._loop._plain
    assert same(weights_of(said), weights_of(silent))


@pytest.mark.parametrize("balance", EVERY)
def test_every_kind_learns_otherwise_than_the_sum(table: Path, tmp_path: Path, balance: Any) -> None:
    learner, plain = (learner_of(table, tmp_path, b, phases={"supervised": {"epochs": 3}}) for b in (balance, None))
    learner.fit()
    plain.fit()
    assert not same(weights_of(learner), weights_of(plain))
    assert all(value.isfinite().all() for value in weights_of(learner).values())


def test_from_python_without_files(table: Path) -> None:
    loaders = loaders_of(table)
    model = jumpml.load_model(NET, loaders)
    optimizer = torch.optim.Adam(model.parameters())
    learner = Learner(
        loaders, model, optimizer, phases={"supervised": Phase(epochs=1)}, hooks=[Balancing(UPGrad(), over=["y", "c"])]
    )
    learner.train_epoch()
    assert [*learner._loop._balancing.read()] == ["balance/y", "balance/c", "cosine/y/c"]  # pyright: ignore


# --- what is wrong ---------------------------------------------------------------------------------------------------

ONE_TASK = {
    **NET,
    "tasks": {"y": NET["tasks"]["y"]},
    "nodes": {name: NET["nodes"][name] for name in ("join", "body", "amount")},
}
WEIGHTLESS = {
    **NET,
    "tasks": {name: {**task, "objective": {"weight": 0}} for name, task in NET["tasks"].items()},
}
ONE_WEIGHT = {**WEIGHTLESS, "tasks": {**WEIGHTLESS["tasks"], "c": NET["tasks"]["c"]}}


@pytest.mark.parametrize(
    ("net", "said", "told"),
    [
        (
            ONE_TASK,
            {"balance": {"kind": "upgrad"}},
            "balance: upgrad needs two objectives or more that are active at once: in 'supervised' there is 'y'. Leave "
            "it out, or name the objectives with `over`.",
        ),
        (
            NET,
            {"balance": {"kind": "dwa", "over": ["y", "q"]}},
            "balance.over: there is no objective 'q'. There is: c, f, small, y.",
        ),
        (
            NET,
            {"balance": {"kind": "upgrad", "at": "bodi"}},
            "balance.at: there is no node 'bodi'. Did you mean 'body'?",
        ),
        (
            NET,
            {"balance": {"kind": "gradnorm", "at": "join"}},
            "balance.at: node 'join' has no parameters on which gradients could be compared. Name the last node with "
            "parameters that all objectives share.",
        ),
        (
            NET,
            {"balance": {"kind": "mgda", "at": "join"}},
            "balance.at: neither node 'join' nor one before it has parameters, so no gradient goes there. Name a node "
            "behind what the objectives share.",
        ),
        (
            NET,
            {"balance": {"kind": "mgda", "at": "flag"}},
            "balance.at: of the objectives that are compared 'f' depends on node 'flag'. Name a node that two of them "
            "or more depend on.",
        ),
        (
            WEIGHTLESS,
            {"balance": {"kind": "uncertainty"}},
            "balance: the weights of y, c, f sum to zero: there is nothing to balance.",
        ),
        (
            ONE_WEIGHT,
            {"balance": {"kind": "uncertainty"}},
            "balance: uncertainty needs two objectives or more with a weight above 0; that of f, y is 0. Give them "
            "weights.",
        ),
        (NET, {"balance": {"kind": "feature_norm"}}, "balance.at: this key is missing."),
        (NET, {"balance": {"kind": "gradnorm"}}, "balance.at: this key is missing."),
        (
            NET,
            {"balance": {"kind": "upgrad"}, "compile": {"backend": "eager"}},
            "compile: upgrad takes gradients objective by objective, which code that torch.compile makes does not "
            "allow. Leave it out, or balance by losses: uncertainty, dwa or famo.",
        ),
    ],
)
def test_what_cannot_be_balanced_is_told(table: Path, tmp_path: Path, net: Any, said: Any, told: str) -> None:
    options = {key: value for key, value in said.items() if key != "balance"}
    with pytest.raises(JumpMLError) as error:
        learner_of(table, tmp_path, said["balance"], net=net, **options)
    assert told in str(error.value)


def test_one_name_is_no_set(table: Path) -> None:
    with pytest.raises(LearnerError) as error:
        Balancing(UPGrad(), over=["y"])
    assert str(error.value) == "balance: expected `over` as two objectives' names or more, got ['y']."


def test_a_balancer_says_whether_it_looks_at_losses_or_gradients() -> None:
    class Neither(Balancer):
        kind = "neither"

        def identity(self) -> str:
            return self.kind

    with pytest.raises(LearnerError) as error:
        Balancing(Neither())  # type: ignore[arg-type]
    told = "balance: expected a LossBalancer or a GradientBalancer, got Neither. Derive it from one of the two."
    assert str(error.value) == told


def test_a_balancer_of_ones_own_may_be_told_how_long_gradients_are(table: Path) -> None:
    class Told(LossBalancer):
        kind = "told"
        at = "body"

        def multipliers(self, means: Tensor | None, there: Tensor | None) -> Tensor:
            return torch.ones(len(self.names))

        def look(self, norms: Tensor) -> None:
            seen.append(norms)

        def observe(self, means: Tensor, there: Tensor | None) -> None:
            seen.append(means)

        def identity(self) -> str:
            return self.kind

    seen: list[Tensor] = []
    loaders = loaders_of(table)
    model = jumpml.load_model(NET, loaders)
    learner = Learner(loaders, model, torch.optim.SGD(model.parameters(), lr=0.1), hooks=[Balancing(Told())])
    learner.train_epoch()
    assert len(seen) == 2 * len(loaders.train)
    assert all(norms.shape == (3,) and norms.isfinite().all() and norms.any() for norms in seen[::2])


def test_a_balancer_in_python_is_looked_at_too(table: Path) -> None:
    loaders = loaders_of(table)
    model = jumpml.load_model(NET, loaders)
    with pytest.raises(LearnerError, match=r"balance\.at: there is no node 'bodi'\. Did you mean 'body'\?"):
        Learner(loaders, model, torch.optim.Adam(model.parameters()), hooks=[Balancing(UPGrad(at="bodi"))])


def test_losses_are_balanced_in_compiled_code_too(table: Path, tmp_path: Path) -> None:
    learner = learner_of(table, tmp_path, {"kind": "uncertainty"}, compile={"backend": "eager"})
    plain = learner_of(table, tmp_path, {"kind": "uncertainty"})
    learner.train_epoch()
    plain.train_epoch()
    for name, value in weights_of(plain).items():
        torch.testing.assert_close(weights_of(learner)[name], value)


def test_another_balancer_is_another_run(table: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"checkpoint": {}, "phases": {"supervised": {"epochs": 2}}}
    learner_of(table, tmp_path, {"kind": "famo"}, **options).train_epoch()
    with pytest.raises(JumpMLError, match=r'learner\.balance\.kind: "famo" then, "dwa" now'):
        learner_of(table, tmp_path, {"kind": "dwa"}, **options).resume()
    loaders = loaders_of(table)
    said = {"log": [], "optimizer": {"kind": "sgd", "lr": 0.02, "momentum": 0.5}, "balance": {"kind": "dwa"}, **options}
    model = jumpml.load_model(NET, loaders)
    other = jumpml.create_learner(loaders, model, None, said, run=tmp_path, allow_changes=True)
    assert other.progress.step == 6
    other.fit()
