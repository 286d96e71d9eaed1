"""Penalties that hold what was learned: SI, L2-SP, LwF."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch
from torch import nn

from jumpml.core import FieldInfo, GraphError, ObjectiveError, Task, ValueInfo
from jumpml.graph import Classes, Model, Node, Widen
from jumpml.objectives import L2SP, SI, CrossEntropy, Distillation, LwF

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def held(objective: SI | L2SP, *values: float) -> nn.Parameter:
    p = nn.Parameter(torch.tensor(values, dtype=torch.float64))
    objective.connect([], {"p": p})
    objective.double()
    return p


# --- SI ---------------------------------------------------------------------------------------------------------------


def learn(objective: SI, p: nn.Parameter, loss: Callable[[], Tensor], *, steps: int = 4, weight: float = 0.0) -> None:
    optimizer = torch.optim.SGD([p], lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        (loss() + weight * objective().value).backward()
        objective.before_step(weight)
        optimizer.step()
        objective.after_step()


def test_importance_is_what_the_way_did_for_the_loss() -> None:
    objective = SI("all", damping=0.1)
    p = held(objective, 1.0, -2.0)
    path, start = torch.zeros(2, dtype=torch.float64), p.detach().clone()
    optimizer = torch.optim.SGD([p], lr=0.05)
    for _ in range(4):  # the definition, written out
        gradient = 2 * p.detach() * torch.tensor([1.0, 3.0])
        before = p.detach().clone()
        optimizer.zero_grad()
        (p.square() * torch.tensor([1.0, 3.0])).sum().backward()
        objective.before_step(0.0)
        optimizer.step()
        objective.after_step()
        path -= gradient * (p.detach() - before)
    torch.testing.assert_close(objective.of_each("path")[0], path)
    objective.consolidate()
    importance = path / ((p.detach() - start).square() + 0.1)
    torch.testing.assert_close(objective.of_each("importance")[0], importance)
    assert objective.of_each("path")[0].tolist() == [0, 0]
    assert objective().value == 0
    p.data += 0.5
    torch.testing.assert_close(objective().value, (importance * 0.25).sum())


def test_many_small_steps_gather_the_drop_of_the_loss() -> None:
    objective = SI("all")
    p = held(objective, 1.5, -0.5)
    optimizer = torch.optim.SGD([p], lr=1e-4)
    first = float(p.detach().square().sum())
    for _ in range(4000):
        optimizer.zero_grad()
        p.square().sum().backward()
        objective.before_step(0.0)
        optimizer.step()
        objective.after_step()
    drop = first - float(p.detach().square().sum())
    assert objective.of_each("path")[0].sum().item() == pytest.approx(drop, rel=1e-3)  # the path integral


def test_its_own_gradient_is_not_part_of_the_path() -> None:
    penalty, task = SI("all"), SI("all")
    paths = []
    for objective, weight in ((penalty, 7.0), (task, 0.0)):
        p = held(objective, 1.0)
        learn(objective, p, lambda p=p: p.square().sum())
        objective.consolidate()
        p.data += 1.0
        before = p.detach().clone()
        optimizer = torch.optim.SGD([p], lr=0.01)
        optimizer.zero_grad()
        (3 * p.sum() + weight * objective().value).backward()
        objective.before_step(weight)
        p.data -= 0.125  # the same step in both
        objective.after_step()
        paths.append(objective.of_each("path")[0].item())
        assert p.item() == before.item() - 0.125
    assert paths == pytest.approx([3 * 0.125, 3 * 0.125], rel=1e-12)


def test_what_climbed_has_no_importance_and_what_had_no_gradient_none() -> None:
    objective = SI("all")
    p = held(objective, 1.0)
    p.grad = torch.ones_like(p)
    objective.before_step(0.0)
    p.data += 1.0  # up the slope
    objective.after_step()
    p.grad = None
    objective.before_step()
    p.data += 1.0
    objective.after_step()
    assert objective.of_each("path")[0].tolist() == [-1.0]
    objective.consolidate()
    assert objective.of_each("importance")[0].tolist() == [0.0]


def test_an_update_that_was_left_out_since_its_gradients_overflowed_has_done_nothing() -> None:
    p, moved = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    objective = SI("all")
    objective.connect([], {"p": p, "moved": moved})
    p.grad, moved.grad = torch.tensor([float("inf"), float("nan")]), torch.ones(2)
    objective.before_step(weight=0)
    with torch.no_grad():
        moved.sub_(0.5)
    objective.after_step()
    assert [path.tolist() for path in objective.of_each("path")] == [[0, 0], [0.5, 0.5]]


def test_importance_adds_up_over_tasks() -> None:
    objective = SI("all")
    p = held(objective, 1.0)
    learn(objective, p, lambda: p.square().sum())
    objective.consolidate()
    one = objective.of_each("importance")[0].item()
    learn(objective, p, lambda: (p - 5).square().sum(), weight=0.1)
    objective.consolidate()
    assert objective.of_each("importance")[0].item() > one > 0


def test_options_of_si_are_checked() -> None:
    with pytest.raises(ObjectiveError, match=r"^SI: expected a damping above 0, got 0\.$"):
        SI("all", damping=0)
    with pytest.raises(ObjectiveError, match=r"^SI: expected one pattern of nodes or more, such as 'all'; got none\.$"):
        SI(())


# --- L2-SP ------------------------------------------------------------------------------------------------------------


def test_the_start_is_where_learning_begins_and_stays_there() -> None:
    objective = L2SP("all")
    p = held(objective, 1.0, 2.0)
    p.data += 1  # weights from elsewhere, after the model was made
    objective.begin()
    assert objective().value == 0
    p.data += 2
    objective.begin()  # only the first counts
    objective.consolidate()  # which is for the other anchor
    assert objective().value.item() == pytest.approx(0.5 * (4 + 4))
    objective().value.backward()
    assert p.grad is not None
    assert p.grad.tolist() == [2.0, 2.0]


def test_an_anchor_at_the_consolidation_holds_nothing_before() -> None:
    objective = L2SP("all", anchor="consolidated")
    p = held(objective, 1.0, 2.0)
    p.data += 3
    assert objective().value == 0
    objective.consolidate()
    p.data += 1
    assert objective().value.item() == pytest.approx(1.0)
    objective.consolidate()
    assert objective().value == 0


def test_a_wrong_anchor_is_told_the_right_one() -> None:
    with pytest.raises(ObjectiveError, match=r"^L2SP: there is no anchor 'begin'\. There is: consolidated, start\.$"):
        L2SP("all", anchor="begin")  # type: ignore[arg-type]


# --- LwF --------------------------------------------------------------------------------------------------------------


def model_with(output: str = "out", **options: float) -> tuple[Model, LwF]:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5))
    nodes = {"body": Node(body, "x"), "out": Node(nn.Linear(7, 3), ["both"]), "both": Node(Both(), ["body", "z"])}
    model = Model(
        inputs={"z": ValueInfo(shape=(1,)), "unread": ValueInfo(shape=(2,)), "x": ValueInfo(shape=(4,))},
        nodes={**nodes, "aside": Node(nn.Linear(2, 2), "unread")},
        tasks={"kind": Task(kind="multiclass", output="out", target="y")},
        objectives={"before": LwF(output, when="all", **options)},
    )
    return model, cast("LwF", model.objectives["before"])


class Both(nn.Module):
    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return torch.cat([first, second], dim=1)


def batch() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(8, width, generator=generator) for name, width in (("z", 1), ("unread", 2), ("x", 4))}


def test_it_reads_the_fields_that_its_output_comes_from() -> None:
    model, objective = model_with()
    assert objective.inputs == ("out", "z", "x")
    assert model.losses(batch(), "supervised")["before"].tolist() == [0] * 8


def test_it_is_the_divergence_from_the_model_as_it_was_in_evaluation_mode() -> None:
    model, objective = model_with(temperature=3.0)
    model.train()
    objective.consolidate(model)
    before = copy.deepcopy(model).eval()(batch())["kind"].detach()
    assert not objective.before.training  # type: ignore[union-attr]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    model.eval()
    now = model(batch())["kind"]
    expected = Distillation(("a", "b"), kind="multiclass", temperature=3.0)(now, before).value
    got = model.losses(batch(), "supervised")["before"]
    torch.testing.assert_close(got, expected)
    assert got.min() > 0


def test_a_node_that_is_no_tasks_output_is_held_by_its_squared_difference() -> None:
    model, objective = model_with("body")
    model.eval()
    objective.consolidate(model)
    before = model(batch(), outputs=["body"])["body"].detach()
    with torch.no_grad():
        for parameter in model.node("body").parameters():
            parameter.mul_(1.5)
    now = model(batch(), outputs=["body"])["body"]
    torch.testing.assert_close(model.losses(batch(), "supervised")["before"], (now - before).square().mean(1))


def test_neither_training_nor_gradients_move_the_copy() -> None:
    model, objective = model_with()
    objective.consolidate(model)
    assert [name for name, _ in model.named_parameters() if "before" in name] == []
    kept = {name: value.clone() for name, value in objective.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.train()
    for _ in range(3):
        optimizer.zero_grad()
        (model.losses(batch(), "supervised")["before"].mean() + model(batch())["kind"].square().mean()).backward()
        optimizer.step()
    assert all(torch.equal(value, kept[name]) for name, value in objective.state_dict().items())


def test_a_fresh_model_that_loads_the_state_compares_with_the_same() -> None:
    model, objective = model_with()
    objective.consolidate(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2)
    other, _ = model_with()
    other.load_state_dict(model.state_dict())
    losses = [m.eval().losses(batch(), "supervised")["before"] for m in (model, other, copy.deepcopy(model))]
    assert losses[0].min() > 0
    assert torch.equal(losses[0], losses[1])
    assert torch.equal(losses[0], losses[2])


def test_classes_that_came_since_then_are_not_held() -> None:
    model, objective = model_with()
    objective.consolidate(model)
    given = [batch()[name] for name in ("z", "x")]
    with torch.no_grad():
        output = model.eval()(batch())["kind"]
        wider = torch.cat([output, torch.randn(8, 2)], dim=1)
    assert torch.equal(objective(wider, *given).value, objective(output, *given).value)


def animals(output: str = "out") -> tuple[Model, LwF]:
    value, classes = ValueInfo(shape=(), dtype="int64", classes=3), ("bee", "dog", "elk")
    model = Model(
        inputs={"x": ValueInfo(shape=(4,))},
        nodes={"body": Node(nn.Linear(4, 6), "x"), "out": Node(nn.Linear(6, 3), "body")},
        tasks={"animal": Task(kind="multiclass", output="out", target="y")},
        objectives={"animal": CrossEntropy(("out", "y")), "before": LwF(output, when="all")},
        fields={"y": FieldInfo(name="y", kind="category", value=value, classes=classes)},
        seed=0,
    )
    return model, cast("LwF", model.objectives["before"])


def test_classes_that_come_between_others_leave_these_what_they_were() -> None:
    """Known by their names: the logits of then are the same, and so nothing is away from them."""
    model, objective = animals()
    objective.consolidate(model)
    batch = {"x": torch.randn(5, 4), "y": torch.tensor([0, 1, 2, 3, 4])}
    for classes in (["ape", "bee", "cat", "dog", "elk"], ["ape", "bee", "boa", "cat", "dog", "elk"]):
        model.grow(Classes("y", classes))
        assert model.losses(batch)["before"].abs().max() < 1e-6
        fresh, _ = animals()
        fresh.regrow(json.loads(json.dumps(model.lineage)))
        fresh.load_state_dict(model.state_dict())
        with torch.no_grad():  # what is there of a class of then counts, and what is there of a new one does not
            bias = fresh.node("out").get_parameter("bias")
            bias[classes.index("cat")] += 5.0
            assert fresh.losses(batch)["before"].abs().max() < 1e-6
            bias[classes.index("dog")] += 5.0
            assert fresh.losses(batch)["before"].min() > 0
    model.grow(Widen("body", 2.0))
    assert model.losses(batch)["before"].abs().max() < 1e-6
    objective.consolidate(model)
    assert cast("Model", objective.before)({"x": batch["x"]})["out"].shape == (5, 6)


def test_of_a_node_that_is_no_tasks_output_nobody_knows_the_columns() -> None:
    model, _ = animals("body")
    with pytest.raises(GraphError, match="objective 'before' keeps a copy of what gives them"):
        model.grow(Widen("body", 2.0))


def test_what_lwf_cannot_hold_is_refused() -> None:
    with pytest.raises(ObjectiveError, match=r"^LwF: expected one input, the output that is not to be"):
        LwF(["a", "b"])
    with pytest.raises(ObjectiveError, match=r"^LwF: expected a temperature above 0, got 0\.$"):
        LwF("a", temperature=0)
    with pytest.raises(ObjectiveError, match=r"^LwF: there is nothing to compare with before it is an objective of a"):
        LwF("a")(torch.zeros(2, 3))
    with pytest.raises(ObjectiveError, match=r"expected a node's output, got the field 'x', which nothing forgets\."):
        Model(
            inputs={"x": ValueInfo(shape=(4,))},
            nodes={"out": Node(nn.Linear(4, 2), "x")},
            objectives={"before": LwF("x")},
        )
    with pytest.raises(ObjectiveError, match=r"LwF: expected an output of float32; 'codes' is"):
        Model(
            inputs={"x": ValueInfo(shape=(4,))},
            nodes={"out": Node(nn.Linear(4, 2), "x"), "codes": Node(Codes(), "out")},
            objectives={"before": LwF("codes")},
        )


@pytest.mark.parametrize(
    ("kind", "at", "shape"), [("segmentation", "pixels", (3, 4, 4)), ("token_labelling", "tokens", (6, 4))]
)
def test_lwf_refuses_the_output_of_a_task_that_decides_at_positions(kind: str, at: str, shape: tuple[int, ...]) -> None:
    made: dict[str, Any] = {
        "inputs": {"x": ValueInfo(shape=shape)},
        "nodes": {"body": Node(nn.Tanh(), "x"), "out": Node(nn.Identity(), "body")},
        "tasks": {"where": Task(kind=kind, output="out", target="y")},
    }
    with pytest.raises(ObjectiveError) as caught:
        Model(**made, objectives={"before": LwF("out")})
    expected = f"LwF: expected an output that decides once a row; 'out' is that of a {kind} task, which decides at {at}"
    fix = "Name a node before it, which is held by the squared difference."
    assert f"{expected}. {fix}" in str(caught.value)
    held = Model(**made, objectives={"before": LwF("body", when="all")})
    assert held.losses({"x": torch.randn(2, *shape)}, "supervised")["before"].shape == (2,)


class Codes(nn.Module):
    def forward(self, value: Tensor) -> Tensor:
        return value.argmax(1)
