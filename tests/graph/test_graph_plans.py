"""Plans: which nodes run, on which draws, with or without gradient; and what losses come of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from jumpml.core import GraphError, Loss, ValueInfo

if TYPE_CHECKING:
    from collections.abc import Collection

    from jumpml.graph import Model


class Counted(nn.Module):
    """Adds a number, and counts its calls and whether a gradient was recorded."""

    def __init__(self, add: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(add))
        self.calls: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append(torch.is_grad_enabled())
        return x + self.weight


def counted(make, nodes: dict[str, str], **rest) -> Model:
    model = make({name: (Counted(), read) for name, read in nodes.items()}, **rest)
    for name in model.node_names:
        counter(model, name).calls.clear()  # those of shape inference
    return model


def counter(model: Model, name: str) -> Counted:
    module = model.node(name)
    if not isinstance(module, Counted):
        pytest.fail(f"{name} does not count")
    return module


def calls(model: Model, names: Collection[str] | None = None) -> dict[str, int]:
    return {name: len(counter(model, name).calls) for name in names or model.node_names}


def test_only_what_is_needed_runs_and_once(make):
    model = counted(make, {"a": "x", "b": "a", "c": "a", "d": "b"})
    plan = model.plan(["b", "a"], ["x", "y"])
    assert (plan.names, plan.fields) == (("b", "a"), ("x",))
    assert list(plan({"x": torch.zeros(2, 4)})) == ["b", "a"]
    assert calls(model) == {"a": 1, "b": 1, "c": 0, "d": 0}


def test_objectives_of_the_phase_choose_the_nodes(make, sum_of):
    objectives = {
        "first": sum_of("b", when=("warm",)),
        "second": sum_of("c", "x", when=("supervised", "warm")),
        "third": sum_of("d", when=("all",)),
    }
    model = counted(make, {"a": "x", "b": "a", "c": "a", "d": "x"}, objectives=objectives)
    assert model.active("warm") == ("first", "second", "third")
    assert model.active("supervised") == ("second", "third")
    assert model.active("test_time") == ("third",)
    plan = model.plan_losses("supervised", ["x", "y"])
    assert plan.nodes == ("a", "c", "d")
    losses, values = plan({"x": torch.ones(2, 4), "y": torch.zeros(2)})
    assert list(losses) == ["second", "third"]
    assert losses["second"].value.tolist() == [8.0, 8.0]
    assert list(values) == ["a", "c", "d"]
    assert calls(model) == {"a": 1, "b": 0, "c": 1, "d": 1}


def test_a_phase_without_objectives(make, sum_of):
    model = counted(make, {"a": "x"}, objectives={"o": sum_of("a")})
    plan = model.plan_losses("self_supervised", ["x"])
    assert (plan.nodes, plan.fields, plan({})) == ((), (), ({}, {}))


def test_views(make, sum_of):
    inputs = {"image": ValueInfo(shape=(4,)), "age": ValueInfo(shape=(4,))}
    objective = sum_of("join", "code", views=("strong",), when=("self_supervised",))
    nodes = {"code": "image", "plain": "age", "both": "plain"}
    model = make(
        {**{name: (Counted(), read) for name, read in nodes.items()}, "join": (Add(), ["code", "both"])},
        inputs=inputs,
        objectives={"agree": objective, "also": sum_of("code", when=("self_supervised",))},
    )
    for name in nodes:
        counter(model, name).calls.clear()
    objective.calls.clear()
    assert model.draws("self_supervised") == ("strong.0", "strong.1")
    batch = {key: torch.randn(3, 4) for key in ("image", "age", "image@strong.0", "image@strong.1")}
    losses, values = model.plan_losses("self_supervised", batch)(batch)
    first, second = batch["image@strong.0"], batch["image@strong.1"]
    # first@view0, first@view1, second@view0, second@view1
    expected = (first + batch["age"], second + batch["age"], first, second)
    assert all(torch.equal(got, want) for got, want in zip(objective.calls[0], expected, strict=True))
    # what the views do not touch is computed once
    assert calls(model, nodes) == {"code": 3, "plain": 1, "both": 1}
    assert set(values) == {
        "code@strong.0", "code@strong.1", "code", "plain", "both", "join@strong.0", "join@strong.1"
    }  # fmt: skip
    assert torch.equal(values["code@strong.1"], second)
    assert set(losses) == {"agree", "also"}


class Add(nn.Module):
    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return left + right


def test_two_policies_and_fields_on_views(make, sum_of):
    objective = sum_of("x", "a", views=("weak", "strong"))
    model = make({"a": (nn.Identity(), "x")}, objectives={"o": objective})
    assert model.draws("supervised") == ("weak.0", "strong.0")
    batch = {"x@weak.0": torch.zeros(2, 4), "x@strong.0": torch.ones(2, 4)}
    plan = model.plan_losses("supervised", batch)
    assert set(plan.fields) == set(batch)
    plan(batch)
    weak, strong = batch.values()
    assert all(
        torch.equal(got, want) for got, want in zip(objective.calls[-1], (weak, strong, weak, strong), strict=True)
    )


def test_missing_views_and_fields_are_named(make, sum_of):
    model = make(
        {"a": (nn.Identity(), "x")},
        objectives={"agree": sum_of("a", views=("strong",), when=("warm",)), "fit": sum_of("a", "label")},
    )
    text = (
        "objective 'agree' needs the view 'strong.0' of a field that a depends on, which the batch lacks; it holds: x."
    )
    with pytest.raises(GraphError, match=f"^{re.escape(text)}$"):
        model.plan_losses("warm", ["x"])
    text = "objective 'fit' needs 'label', which the batch lacks; it holds: x, y."
    with pytest.raises(GraphError, match=f"^{re.escape(text)}$"):
        model.losses({"x": torch.zeros(2, 4), "y": torch.zeros(2)})
    plan = model.plan_losses("supervised", ["x", "label"])
    with pytest.raises(GraphError, match=r"^the batch lacks 'label'; it holds: x\.$"):
        plan({"x": torch.zeros(2, 4)})


def test_present_is_the_and_of_the_fields_that_can_be_missing(make, sum_of):
    model = make({"a": (nn.Identity(), "x")}, objectives={"o": sum_of("a", "y", "z"), "p": sum_of("a")})
    batch = {
        "x": torch.ones(3, 4),
        "y": torch.ones(3),
        "z": torch.ones(3),
        "x.present": torch.tensor([False, False, False]),  # a feature has filled it: the node's output is there
        "y.present": torch.tensor([True, True, False]),
    }
    losses, _ = model.plan_losses("supervised", batch)(batch)
    assert losses["o"].present is not None
    assert losses["o"].present.tolist() == [True, True, False]
    assert losses["p"].present is None
    batch["z.present"] = torch.tensor([False, True, True])
    losses, _ = model.plan_losses("supervised", batch)(batch)
    assert losses["o"].present is not None
    assert losses["o"].present.tolist() == [False, True, False]
    # unweighted, 0 at absent rows: 4 from `a`, 1 from each field
    assert model.losses(batch)["o"].tolist() == [0.0, 6.0, 0.0]
    assert model.losses(batch)["p"].tolist() == [4.0, 4.0, 4.0]


def test_absent_rows_give_no_gradient_and_no_nan(make, sum_of):
    model = make({"a": (nn.Linear(4, 1), "x")}, objectives={"o": sum_of("a", "y")})
    batch = {"x": torch.ones(2, 4), "y": torch.tensor([1.0, torch.nan]), "y.present": torch.tensor([True, False])}
    loss = model.losses(batch)["o"]
    loss.sum().backward()
    assert loss[1] == 0
    assert model.node("a").weight.grad.tolist() == [[1.0, 1.0, 1.0, 1.0]]


def test_an_error_in_an_objective_names_it(make):
    class Broken(nn.Module):
        inputs, views, parameters_of, weight, when, per_example = ("a",), (), (), 1.0, ("all",), True
        schedule, draws, differentiates = None, 2, ()

        def connect(self, values: object, parameters: object) -> None: ...

        def forward(self, a: Tensor) -> Loss:
            raise ValueError("no")

    model = make({"a": (nn.Identity(), "x")}, objectives={"broken": Broken()})
    with pytest.raises(ValueError, match="no") as caught:
        model.losses({"x": torch.zeros(1, 4)})
    assert caught.value.__notes__ == ["in objective 'broken'"]


# --- frozen -----------------------------------------------------------------------------------------------------------


def test_frozen_nodes_keep_their_statistics_and_get_no_gradient(make, sum_of):
    nodes = {"norm": (nn.BatchNorm1d(4), "x"), "drop": (nn.Dropout(0.5), "norm"), "out": (nn.Linear(4, 2), "drop")}
    model = make(nodes, objectives={"o": sum_of("out")})
    norm = model.node("norm")
    model.train_only(["out"])
    model.train()
    assert [model.node(name).training for name in nodes] == [False, False, True]
    batch = {"x": torch.randn(8, 4)}
    first, again = model.losses(batch)["o"], model.losses(batch)["o"]
    assert torch.equal(first, again)  # dropout is off
    first.sum().backward()
    assert norm.num_batches_tracked == 0
    assert norm.weight.grad is None
    assert model.node("out").weight.grad is not None
    model.train_only(model.node_names)
    model.losses(batch)["o"].sum().backward()
    assert norm.num_batches_tracked == 1
    assert norm.weight.grad is not None
    model.eval()
    assert not any(module.training for module in model.modules())


def test_a_frozen_node_after_a_training_one_lets_gradient_through(make, sum_of):
    model = counted(make, {"a": "x", "b": "a", "c": "x"}, objectives={"o": sum_of("b", "c")})
    model.train_only(["a"])
    model.losses({"x": torch.zeros(2, 4)})["o"].sum().backward()
    recorded = {name: counter(model, name).calls for name in model.node_names}
    assert recorded == {"a": [True], "b": [True], "c": [False]}
    assert model.node("a").weight.grad == 8.0
    assert model.node("b").weight.grad is None


def test_frozen_nodes_run_first_and_the_result_is_the_same(make, sum_of):
    torch.manual_seed(0)
    nodes = {"a": (nn.Linear(4, 4), "x"), "b": (nn.Linear(4, 4), "x"), "c": (nn.Linear(4, 4), "b")}
    model = make(nodes, objectives={"o": sum_of("a", "c")})
    batch = {"x": torch.randn(3, 4)}
    expected = model.losses(batch)["o"]
    model.train_only(["a"])
    plan = model.plan_losses("supervised", batch)
    assert plan.nodes == ("b", "c", "a")
    assert torch.equal(plan(batch)[0]["o"].value, expected)


def test_attribution_sees_through_frozen_nodes(make):
    model = make({"a": (nn.Linear(4, 1), "x")})
    model.train_only([])
    x = torch.ones(2, 4, requires_grad=True)
    model({"x": x}, ["a"])["a"].sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, model.node("a").weight.expand(2, 4))


def test_a_module_that_two_nodes_share_trains_if_one_of_them_does(make):
    shared = nn.Sequential(nn.Linear(4, 4), nn.Dropout())
    model = make({"a": (shared, "x"), "b": (shared, "x")})
    for trained in (["a"], ["b"]):
        model.train_only(trained)
        model.train()
        assert shared.training
        assert all(parameter.requires_grad for parameter in shared.parameters())


def test_an_objectives_own_parameters_are_left_as_they_are(make, sum_of):
    model = make({"a": (nn.Linear(4, 1), "x")}, objectives={"o": sum_of("a")})
    model.train_only([])
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["objective_o.scale"]


def test_whole_number_parameters_are_never_asked_for_a_gradient(make):
    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.codes = nn.Parameter(torch.arange(4), requires_grad=False)

        def forward(self, x: Tensor) -> Tensor:
            return x * self.codes

    model = make({"a": (Table(), "x")})
    model.train_only(["a"])
    assert not model.get_parameter("node_a.codes").requires_grad


def test_an_objective_on_parameters_gets_them_by_name(make, sum_of):
    objective = sum_of(parameters_of=("upto:b",))
    model = make({"a": (nn.Linear(4, 4), "x"), "b": (nn.Linear(4, 4), "a"), "c": (nn.Linear(4, 4), "b")},
                 objectives={"hold": objective})  # fmt: skip
    assert list(objective.held) == ["node_a.weight", "node_a.bias", "node_b.weight", "node_b.bias"]
    named = dict(model.named_parameters())
    assert all(held is named[name] for name, held in objective.held.items())
    assert list(model.losses({})) == ["hold"]
