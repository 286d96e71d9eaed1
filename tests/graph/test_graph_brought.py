"""Losses that nodes' modules bring: found, named, weighed, on every draw, compiled, copied and exported."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import jumpml
from jumpml.blocks import MixtureOfExperts, VariationalBottleneck
from jumpml.core import COVERED, FieldInfo, GraphError, ObjectiveError, SpecError, Task, ValueInfo
from jumpml.graph import Model, Node
from jumpml.learn.steps._descent import Descent
from jumpml.objectives import BroughtLoss, MeanSquaredError

X = ValueInfo(shape=(5,))


def batch(rows: int = 6) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(0)
    names = ("x", "x@one.0", "x@one.1")
    return {**{name: torch.randn(rows, 5, generator=g) for name in names}, "y": torch.randn(rows, 1, generator=g)}


def model(module: nn.Module, **objectives: Any) -> Model:
    return Model(
        inputs={"x": X},
        nodes={"code": Node(module, "x"), "out": Node(nn.LazyLinear(1), "code")},
        tasks={"y": Task(kind="regression", output="out", target="y")},
        objectives={"y": MeanSquaredError(("out", "y")), **objectives},
        seed=0,
    )


# --- the blocks -------------------------------------------------------------------------------------------------------


def test_the_bottlenecks_divergence_is_torchs() -> None:
    module = VariationalBottleneck(3).eval()
    x = torch.randn(4, 5)
    mean = module(x)
    scale = (module.told(x)[:, 3:] / 2).exp()
    normal, standard = torch.distributions.Normal(mean, scale), torch.distributions.Normal(0.0, 1.0)
    expected = torch.distributions.kl_divergence(normal, standard).sum(1)
    torch.testing.assert_close(module.losses()["kl"], expected)
    assert module.losses() == {}


def test_a_bottleneck_draws_in_training_and_tells_the_mean_else() -> None:
    module, x = VariationalBottleneck(2), torch.randn(20000, 1)
    module(x)
    with torch.no_grad():
        module.told.weight.zero_()
        module.told.bias.copy_(torch.tensor([1.0, -2.0, 0.0, 2.0]))
        drawn = module(x)
        assert torch.equal(module.eval()(x), torch.tensor([1.0, -2.0]).expand(20000, 2))
    torch.testing.assert_close(drawn.mean(0), torch.tensor([1.0, -2.0]), atol=0.08, rtol=0)  # 4 standard errors
    torch.testing.assert_close(drawn.std(0), torch.tensor([1.0, torch.e]), atol=0.08, rtol=0)


def test_a_mixture_is_the_weighed_sum_of_its_chosen_experts() -> None:
    module = MixtureOfExperts(3, experts=4, chosen=2, hidden=6)
    x = torch.randn(5, 2)
    got = module(x)
    probabilities = module.router(x).softmax(1)
    value, place = probabilities.topk(2)
    inner = module.inward(x).relu().view(5, 4, 6)
    for row in range(5):
        parts = [value[row, k] * module.outward[int(place[row, k])](inner[row, place[row, k]]) for k in range(2)]
        torch.testing.assert_close(got[row], (parts[0] + parts[1]) / value[row].sum())
    used = torch.zeros(5, 4).scatter(1, place, 0.5).mean(0)
    torch.testing.assert_close(module.losses()["balance"], 4 * (used * probabilities.mean(0)).sum())


def test_the_balance_is_one_where_all_experts_are_used_alike_and_more_where_not() -> None:
    module = MixtureOfExperts(2, experts=3)
    x = torch.eye(3) * 50
    module(x)
    with torch.no_grad():
        module.router.bias.zero_()
        module.router.weight.copy_(torch.eye(3))
        module(x)
        assert float(module.losses()["balance"]) == pytest.approx(1.0)
        module(x[:1].expand(3, 3))
        assert float(module.losses()["balance"]) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: VariationalBottleneck(0), "width must be a whole number of 1 or more; got 0."),
        (
            lambda: MixtureOfExperts(4, experts=0),
            "width, experts, chosen and hidden must be whole numbers of 1 or more; got 4, 0, 1, 4.",
        ),
        (lambda: MixtureOfExperts(4, experts=2, chosen=3), "chosen must be at most experts, 2; got 3."),
    ],
)
def test_wrong_arguments_are_refused(make: Any, text: str) -> None:
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value) == text


# --- in a model -------------------------------------------------------------------------------------------------------


def test_losses_are_found_named_and_active_where_the_node_runs() -> None:
    made = model(VariationalBottleneck(3))
    assert list(made.objectives) == ["y", "code.kl"]
    assert (made.objectives["code.kl"].weight, made.active("supervised")) == (1.0, ("y", "code.kl"))
    assert made.active("other") == ()
    losses = made.losses(batch())
    assert losses["code.kl"].shape == (6,)
    torch.testing.assert_close(made.eval()(batch(), outputs=["code.kl"])["code.kl"], losses["code.kl"])


def test_a_loss_of_the_whole_batch_is_a_scalar() -> None:
    made = model(MixtureOfExperts(3))
    assert not made.objectives["code.balance"].per_example
    assert made.losses(batch())["code.balance"].shape == ()


def test_a_loss_can_be_weighed_renamed_and_switched_off() -> None:
    weighed = model(VariationalBottleneck(3), kl=BroughtLoss("code.kl", weight=0.1, when=["other"]))
    assert list(weighed.objectives) == ["y", "kl"]
    assert (weighed.active("supervised"), weighed.active("other")) == (("y",), ("kl",))
    assert weighed.losses(batch(), "other")["kl"].shape == (6,)
    own_name = {"code.kl": BroughtLoss("code.kl", weight=0.5)}
    assert model(VariationalBottleneck(3), **own_name).objectives["code.kl"].weight == 0.5
    off = model(VariationalBottleneck(3), kl=BroughtLoss("code.kl", when=()))
    assert off.active("supervised") == ("y",)


class Agree(nn.Module):
    """An objective on two draws."""

    inputs, views, parameters_of, weight, when, per_example = ("out",), ("one",), (), 1.0, ("draws",), True
    schedule, draws, differentiates = None, 2, ()

    def connect(self, values: Any, parameters: Any) -> None: ...

    def forward(self, first: Tensor, second: Tensor, present: Any = None) -> Any:
        from jumpml.core import Loss

        return Loss((first - second).square()[:, 0], present)


def test_on_several_draws_it_is_the_mean_of_the_calls() -> None:
    made = model(VariationalBottleneck(3), agree=Agree()).eval()
    given = batch()
    losses = made.losses(given, "draws")
    plain = {draw: made({"x": given[f"x@one.{draw}"]}, outputs=["code.kl"])["code.kl"] for draw in (0, 1)}
    torch.testing.assert_close(losses["code.kl"], (plain[0] + plain[1]) / 2)


def test_losses_of_inner_modules_with_one_name_are_added_up() -> None:
    first, second = VariationalBottleneck(3), VariationalBottleneck(2)
    made = model(nn.Sequential(first, nn.ReLU(), second)).eval()
    got = made.losses(batch())["code.kl"]
    first(batch()["x"])
    inner = first.losses()["kl"]
    second(torch.relu(first(batch()["x"])))
    torch.testing.assert_close(got, inner + second.losses()["kl"])


def test_a_model_with_losses_can_be_copied_and_pickled_after_a_step() -> None:
    made = model(VariationalBottleneck(3))
    torch.stack([loss.mean() for loss in made.losses(batch()).values()]).sum().backward()
    made.node("code")(batch()["x"])  # what is kept has a graph
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert other.node("code").losses() == {}  # pyright: ignore[reportCallIssue]
        torch.testing.assert_close(other.eval().losses(batch()), made.eval().losses(batch()))
    buffer = io.BytesIO()
    torch.save(made.state_dict(), buffer)


@pytest.mark.parametrize("make", [lambda: VariationalBottleneck(3), lambda: MixtureOfExperts(3, experts=2)])
def test_a_compiled_plan_is_one_graph(make: Any) -> None:
    made, given = model(make()).eval(), batch()
    plan = made.plan_losses("supervised", given)
    compiled = torch.compile(lambda values: plan(values)[0], fullgraph=True, backend="eager")
    expected = plan(given)[0]
    for name, loss in compiled(given).items():
        torch.testing.assert_close(loss.value, expected[name].value)


def test_the_exported_model_has_no_part_in_it() -> None:
    made = model(VariationalBottleneck(3)).eval()
    program = torch.export.export(made.node("code"), (torch.zeros(4, 5),))
    torch.testing.assert_close(program.module()(batch()["x"][:4]), made.node("code")(batch()["x"][:4]))


class Odd(nn.Module):
    def __init__(self, given: Any) -> None:
        super().__init__()
        self.given = given

    def forward(self, x: Tensor) -> Tensor:
        return x

    def losses(self) -> Any:
        return self.given


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([1], "returns a list of 1"),
        ({"a.b": torch.zeros(())}, "has the name 'a.b'"),
        ({"kl": torch.zeros(7)}, "returns [7] float32 as 'kl'"),
        ({"kl": 0.0}, "returns a float as 'kl'"),
    ],
)
def test_other_things_than_losses_are_refused(given: Any, text: str) -> None:
    with pytest.raises(GraphError) as caught:
        model(Odd(given))
    wanted = "expected a dict of tensors, each a scalar or [2], one a row, under names without '.' and '@'."
    assert f"test_graph_brought.Odd {text}; {wanted}" in str(caught.value)
    assert str(caught.value).startswith("node 'code': the method losses of ")


def test_a_module_whose_losses_need_something_brings_none() -> None:
    inner = Model(inputs={"x": X}, nodes={"a": Node(VariationalBottleneck(5), "x")})

    class Wraps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Tensor:
            return self.inner({"x": x}, outputs=["a"])["a"]

    assert list(model(Wraps()).objectives) == ["y"]


def test_a_loss_that_nobody_brings_is_refused_with_its_like() -> None:
    with pytest.raises(
        GraphError, match=r"objective 'kl': no node brings the loss 'code\.k'\. Did you mean 'code\.kl'\?"
    ):
        model(VariationalBottleneck(3), kl=BroughtLoss("code.k"))
    with pytest.raises(GraphError, match=r"no node brings the loss 'code\.kl'\. No node of this model brings any\."):
        model(nn.Linear(5, 3), kl=BroughtLoss("code.kl"))
    with pytest.raises(ObjectiveError, match="BroughtLoss: expected a weight of 0 or more, got -1"):
        BroughtLoss("code.kl", weight=-1)
    with pytest.raises(ObjectiveError, match=r"BroughtLoss: expected one input, node\.loss; got 2\."):
        BroughtLoss(("a", "b"))


# --- through files, and in training -----------------------------------------------------------------------------------

DATA = {
    "datasets": {
        "d": {
            "source": {"kind": "sklearn", "name": "diabetes"},
            "fields": {
                "x": {"kind": "tensor", "column": "data", "shape": [10]},
                "y": {"kind": "number", "column": "target"},
            },
        }
    }
}


def from_file(**objectives: Any) -> Any:
    data = jumpml.create_dataloader(DATA)
    spec = {
        "seed": 0,
        "nodes": {
            "code": {"module": "jumpml.blocks.VariationalBottleneck", "inputs": "x", "args": {"width": 4}},
            "out": {"module": "jumpml.blocks.Head", "inputs": "code"},
        },
        "tasks": {"y": {"kind": "regression", "output": "out", "target": "y"}},
        "objectives": objectives,
    }
    return data, jumpml.load_model(spec, data)


def test_a_file_weighs_a_loss_and_switches_it_off() -> None:
    _, plain = from_file()
    assert plain.active("supervised") == ("y", "code.kl")
    _, weighed = from_file(kl={"kind": "brought", "inputs": "code.kl", "weight": 0.1})
    assert (weighed.active("supervised"), weighed.objectives["kl"].weight) == (("y", "kl"), 0.1)
    _, off = from_file(kl={"kind": "brought", "inputs": "code.kl", "when": []})
    assert off.active("supervised") == ("y",)
    with pytest.raises(SpecError, match=r"objectives\.kl: no node brings the loss 'code\.lk'"):
        from_file(kl={"kind": "brought", "inputs": "code.lk"})


def test_a_killed_run_with_a_bottleneck_ends_with_the_same_bits(tmp_path: Any) -> None:
    options = {
        "optimizer": {"kind": "adam", "lr": 0.01},
        "phases": {"supervised": {"epochs": 2}},
        "log": ["jsonl"],
        "checkpoint": {"every": {"steps": 2}, "best": {"metric": "val/loss"}},
    }

    def learner(folder: str) -> Any:
        data, made = from_file()
        return jumpml.create_learner(data, made, None, options, run=tmp_path / folder), made

    whole, straight = learner("whole")
    whole.fit()
    first, _ = learner("killed")
    first._run.enter("supervised")
    for step, given in enumerate(first.remaining()):
        with first._loop.random:
            first.step(given)
        if step == 2:
            first.save()
            break
    second, resumed = learner("killed")
    second.fit()
    for name, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    record = whole.history.epochs[-1]
    assert set(record.losses) == {"y", "code.kl", "total"}


def test_a_loss_of_the_batch_trains_where_some_rows_lack_what_its_node_reads() -> None:
    x = FieldInfo(name="x", kind="vector", value=X, missing=2, lacking=2)
    y = FieldInfo(name="y", kind="number", value=ValueInfo(shape=(1,)))
    made = Model(
        inputs={"x": X},
        nodes={"code": Node(MixtureOfExperts(3), "x"), "out": Node(nn.LazyLinear(1), "code")},
        objectives={"y": MeanSquaredError(("out", "y"))},
        fields={"x": x, "y": y},
        seed=0,
    )
    rows = {"x": torch.randn(6, 5), "y": torch.randn(6, 1), "x" + COVERED: torch.arange(6) < 4}
    losses, _ = made.plan_losses("supervised", rows)(rows)
    assert (losses["code.balance"].value.shape, losses["code.balance"].present) == (torch.Size([]), None)
    descent = Descent({"y": 1.0, "code.balance": 1.0})
    descent.back(descent.starts(losses).values())
    assert all(parameter.grad is not None for parameter in made.parameters())


def test_a_loss_of_the_whole_is_of_the_rows_that_have_the_field_in_evaluation_too() -> None:
    x = FieldInfo(name="x", kind="tensor", value=X, missing=2, lacking=2)
    made = Model(
        inputs={"x": X},
        nodes={"code": Node(MixtureOfExperts(3), "x"), "out": Node(nn.LazyLinear(1), "code")},
        objectives={"y": MeanSquaredError(("out", "y"))},
        fields={"x": x, "y": FieldInfo(name="y", kind="tensor", value=ValueInfo(shape=(1,)))},
        seed=0,
    ).eval()
    rows = {"x": torch.randn(6, 5), "y": torch.randn(6, 1), "x" + COVERED: torch.arange(6) < 4}
    there = {"x": rows["x"][:4], "y": rows["y"][:4], "x" + COVERED: torch.ones(4, dtype=torch.bool)}
    values = made(rows, outputs=["code", "code.balance"])
    torch.testing.assert_close(values["code.balance"], made(there, outputs=["code.balance"])["code.balance"])
    assert values["code"].shape == (6, 3)
    assert not bool(values["code"][4:].any())
    nothing = made({**rows, "x" + COVERED: torch.zeros(6, dtype=torch.bool)}, outputs=["code.balance"])
    assert float(nothing["code.balance"].detach()) == 0
