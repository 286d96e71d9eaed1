"""Objectives between layers: closed forms, properties, gradients by inner values, and training with them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import jumpml
from jumpml.core import ObjectiveError, Task, ValueInfo
from jumpml.evaluate import score
from jumpml.graph import Model, Node
from jumpml.learn import Learner, Phase
from jumpml.objectives import CKA, Decorrelation, Jacobian, MeanSquaredError, reduce

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=15, deadline=None)


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@few
@given(seed=seeds)
def test_cka_does_not_see_turning_scale_and_shift(seed: int) -> None:
    """Kornblith et al.'s three invariances, and its range."""
    first, second = drawn(seed, 12, 4), drawn(seed + 1, 12, 7)
    turn, _ = torch.linalg.qr(drawn(seed + 2, 4, 4))
    objective = CKA(("a", "b"))
    whole = objective(first, second).value
    torch.testing.assert_close(objective(3 * first @ turn + 5, second).value, whole)
    torch.testing.assert_close(objective(first, first @ turn).value, torch.zeros((), dtype=torch.float64))
    assert 0 <= float(whole) <= 1


def test_cka_is_the_papers_ratio() -> None:
    first, second = drawn(0, 9, 3), drawn(1, 9, 5)
    x, y = first - first.mean(0), second - second.mean(0)
    expected = (y.T @ x).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm())
    torch.testing.assert_close(CKA(("a", "b"))(first, second).value, 1 - expected)


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e6])
def test_cka_stays_within_the_range_of_float32(size: float) -> None:
    first = (size * drawn(0, 32, 500).float()).requires_grad_()
    torch.testing.assert_close(CKA(("a", "b"))(first, 2 * first.detach()).value, torch.zeros(()), atol=1e-5, rtol=0)
    CKA(("a", "b"))(first, drawn(1, 32, 3).float()).value.backward()
    assert first.grad is not None and bool(first.grad.isfinite().all()) and bool(first.grad.any())


def test_decorrelation_is_the_mean_square_of_correlations() -> None:
    x, y = drawn(0, 20, 4), drawn(1, 20, 3)
    table = torch.corrcoef(x.T)
    off = table[~torch.eye(4, dtype=torch.bool)]
    torch.testing.assert_close(Decorrelation("a")(x).value, off.square().mean())
    across = torch.corrcoef(torch.cat([x, y], 1).T)[:4, 4:]
    torch.testing.assert_close(Decorrelation(("a", "b"))(x, y).value, across.square().mean())


def test_a_feature_that_does_not_vary_correlates_with_nothing() -> None:
    x = torch.tensor([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]], requires_grad=True)
    loss = Decorrelation("a")(x).value
    loss.backward()
    assert float(loss.detach()) == 0
    assert x.grad is not None
    assert x.grad.isfinite().all()


def deep(x: Tensor) -> Tensor:
    weight = drawn(7, 3, 2)
    return torch.tanh(x @ weight) * 2


def test_the_exact_jacobian_is_autograds() -> None:
    x = drawn(0, 5, 3).requires_grad_()
    value = Jacobian(("out", "x"), projections=0)(deep(x), x).value
    expected = [torch.autograd.functional.jacobian(lambda row: deep(row[None])[0], row).square().sum() for row in x]  # pyright: ignore[reportAttributeAccessIssue]
    torch.testing.assert_close(value, torch.stack(expected))


def test_projections_estimate_it_without_bias() -> None:
    x = drawn(0, 5, 3).requires_grad_()
    exact = Jacobian(("out", "x"), projections=0)(deep(x), x).value.detach()
    torch.manual_seed(0)
    objective = Jacobian(("out", "x"), projections=2)
    found = torch.stack([objective(deep(x), x).value.detach() for _ in range(1500)])
    error = found.std(0) / 1500**0.5
    assert ((found.mean(0) - exact).abs() < 4 * error + 1e-9).all()


def test_the_gradient_of_the_jacobian_is_that_of_finite_differences() -> None:
    x = drawn(0, 3, 3)

    def penalty(weight: Tensor) -> Tensor:
        source = x.clone().requires_grad_()
        return Jacobian(("out", "x"), projections=0)(torch.tanh(source @ weight), source).value

    assert torch.autograd.gradcheck(penalty, (drawn(1, 3, 2).requires_grad_(),))


def test_absent_rows_of_a_jacobian_do_not_count() -> None:
    x = drawn(0, 4, 3).requires_grad_()
    present = torch.tensor([True, False, True, True])
    output = torch.where(present[:, None], deep(x), float("nan"))
    loss = Jacobian(("out", "x"), projections=0)(output, x, present=present)
    rows = x[present].detach().requires_grad_()
    expected = Jacobian(("out", "x"), projections=0)(deep(rows), rows).value.mean()
    torch.testing.assert_close(reduce(loss), expected)


# --- in a model -------------------------------------------------------------------------------------------------------

X = ValueInfo(shape=(4,))


def model(of: str, **objectives: Any) -> Model:
    return Model(
        inputs={"x": X},
        nodes={
            "flat": Node(nn.Flatten(), "x"),
            "code": Node(nn.Sequential(nn.Linear(4, 6), nn.Tanh()), "flat"),
            "out": Node(nn.Linear(6, 1), "code"),
        },
        tasks={"y": Task(kind="regression", output="out", target="y")},
        objectives={
            "y": MeanSquaredError(("out", "y")),
            "calm": Jacobian(("out", of), projections=0),
            **objectives,
        },
        seed=0,
    )


def batch() -> dict[str, Tensor]:
    return {"x": torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), "y": torch.ones(5, 1)}


def by_hand(made: Model, of: str) -> Tensor:
    def after(value: Tensor) -> Tensor:
        return made.node("out")(value if of == "code" else made.node("code")(value))

    value = made(batch(), outputs=["code"])["code"] if of == "code" else batch()["x"]
    rows = [torch.autograd.functional.jacobian(lambda r: after(r[None])[0], row) for row in value]  # pyright: ignore[reportAttributeAccessIssue]
    return torch.stack([row.square().sum() for row in rows])


@pytest.mark.parametrize("of", ["x", "flat", "code"])
@pytest.mark.parametrize("frozen", [(), ("flat", "code"), ("flat", "code", "out")])
def test_a_gradient_can_be_taken_by_any_value(of: str, frozen: tuple[str, ...]) -> None:
    """By a field, a node without parameters, an inner node; below and within what is frozen."""
    made = model(of)
    made.train_only([name for name in made.node_names if name not in frozen])
    expected = by_hand(made, of)
    torch.testing.assert_close(made.losses(batch())["calm"], expected)
    for without in (torch.no_grad(), torch.inference_mode()):
        with without:
            losses = made.losses(batch())
        torch.testing.assert_close(losses["calm"], expected)
        assert not any(loss.requires_grad for loss in losses.values())
    assert not batch()["x"].requires_grad


def test_a_jacobian_of_frozen_nodes_is_nothing_to_learn() -> None:
    """Its value has a gradient by what it is differentiated by, which hid that no weight is behind it."""
    made = model("x", still=Jacobian(("code", "x")))
    made.train_only(["out"])
    losses, _ = made.plan_losses("supervised", batch())(batch())
    assert {name: loss.value.requires_grad for name, loss in losses.items()} == {
        "y": True,
        "calm": True,
        "still": False,
    }


def test_frozen_weights_get_no_gradient_from_it() -> None:
    made = model("x")
    made.train_only(["out"])
    torch.stack([loss.mean() for loss in made.losses(batch()).values()]).sum().backward()
    assert all(parameter.grad is None for parameter in made.node("code").parameters())
    assert made.node("out").weight.grad is not None


def test_an_output_that_does_not_depend_on_the_source_is_told() -> None:
    made = Model(
        inputs={"x": X, "z": X},
        nodes={"a": Node(nn.Linear(4, 2), "x"), "b": Node(nn.Linear(4, 2), "z")},
        objectives={"calm": Jacobian(("a", "b"))},
    )
    text = "Jacobian: 'a' does not depend on 'b': there is no Jacobian. Name what it reads."
    with pytest.raises(ObjectiveError) as caught:
        made.losses({"x": torch.zeros(3, 4), "z": torch.zeros(3, 4)})
    assert str(caught.value) == text


DIGITS = {
    "datasets": {
        "digits": {
            "source": {"kind": "sklearn", "name": "digits"},
            "fields": {
                "image": {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]},
                "label": {"kind": "category", "column": "target"},
            },
            "split": {"train": 0.5, "val": 0.2, "test": 0.3, "stratify": "label"},
        }
    },
    "batch_size": 128,
}


def digits(**objectives: Any) -> Any:
    data = jumpml.create_dataloader(DIGITS)
    spec = {
        "seed": 0,
        "nodes": {
            "flat": {"module": "torch.nn.Flatten", "inputs": "image"},
            "early": {"module": "jumpml.blocks.MLP", "inputs": "flat", "args": {"widths": [24]}},
            "late": {"module": "jumpml.blocks.MLP", "inputs": "early", "args": {"widths": [16]}},
            "digit": {"module": "jumpml.blocks.Head", "inputs": "late"},
        },
        "tasks": {"digit": {"kind": "multiclass", "output": "digit", "target": "label"}},
        "objectives": objectives,
    }
    return data, jumpml.load_model(spec, data)


@pytest.mark.parametrize(
    ("name", "objective"),
    [
        ("like", {"kind": "cka", "inputs": ["early", "late"], "weight": 3}),
        ("apart", {"kind": "decorrelation", "inputs": "late", "weight": 3}),
        ("across", {"kind": "decorrelation", "inputs": ["early", "late"], "weight": 3}),
        ("calm", {"kind": "jacobian", "inputs": ["late", "image"], "weight": 3}),
        ("inner", {"kind": "jacobian", "inputs": ["digit", "early"], "weight": 3}),
    ],
)
def test_training_through_files_makes_it_smaller(name: str, objective: dict[str, Any]) -> None:
    """Against the same run with the objective weighed by nothing, on the digits."""

    def trained(weight: float) -> float:
        data, made = digits(**{name: {**objective, "weight": weight}})
        optimizer = torch.optim.Adam(made.parameters(), lr=0.005)
        learner = Learner(data, made, optimizer, phases={"supervised": Phase(epochs=3)})
        learner.fit()
        return learner.history.epochs[-1].losses[name]

    assert trained(objective["weight"]) < 0.9 * trained(0.0)


def test_validation_has_what_is_made_of_gradients_with_the_same_draws_each_time(tmp_path: Any) -> None:
    data, made = digits(calm={"kind": "jacobian", "inputs": ["late", "image"], "weight": 2})
    options = {
        "phases": {"supervised": {"epochs": 1}},
        "log": [],
        "checkpoint": {"every": {"epochs": 1}, "best": {"metric": "val/loss"}},
    }
    learner = jumpml.create_learner(data, made, None, options, run=tmp_path)
    assert set(learner.try_batch("supervised")) == {"digit", "calm"}
    learner.fit()
    state = torch.get_rng_state()
    got = score(data, made, ["loss", "digit/log_loss"])
    assert got["loss"] == score(data, made, ["loss"])["loss"] == learner.history.epochs[0].val["loss"]
    assert torch.equal(torch.get_rng_state(), state)
    # by hand, in every direction; one projection a row, averaged over the rows, is off by some per cent
    made.eval()
    total = 0.0
    for batch in data.val.plain():
        image = batch["image"].requires_grad_()
        late = made({"image": image}, outputs=["late"])["late"]
        total += float(Jacobian(("late", "image"), projections=0)(late, image).value.detach().sum())
    calm = 2 * total / len(data.val.rows)
    assert got["loss"] - got["digit/log_loss"] == pytest.approx(calm, rel=0.2)


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # of torch's compiler, where a graph breaks
@pytest.mark.parametrize("of", ["x", "code"])
def test_compiled_what_is_made_of_gradients_stays_outside(of: str) -> None:
    made, given = model(of), batch()
    plan = made.plan_losses("supervised", given)

    def total(rows: dict[str, Tensor]) -> Tensor:
        losses, _ = plan(rows)
        return torch.stack([loss.value.mean() for loss in losses.values()]).sum()

    def gradients(value: Tensor) -> list[Tensor]:
        return [*torch.autograd.grad(value, list(made.parameters()))]

    torch.compiler.reset()
    compiled = torch.compile(total, backend="aot_eager")
    torch.testing.assert_close(gradients(compiled(given)), gradients(total(given)))
    torch.compiler.reset()
    with pytest.raises(Exception, match="an objective takes gradients of gradients"):
        torch.compile(total, backend="eager", fullgraph=True)(given)


@pytest.mark.parametrize(
    ("objective", "values", "text"),
    [
        (
            CKA(("a", "b")),
            [X, ValueInfo(shape=(), dtype="int64")],
            "CKA: expected second as float32; 'b' is [batch] int64. Take the node that embeds it.",
        ),
        (
            Decorrelation("a"),
            [ValueInfo(shape=(1,))],
            "Decorrelation: expected first as [batch, width] float32, 2 wide or more; 'a' is [batch, 1] float32. "
            "Flatten or pool it in a node first, such as torch.nn.Flatten.",
        ),
        (
            Jacobian(("a", "b")),
            [X, ValueInfo(shape=(3,), dtype="int64")],
            "Jacobian: expected source as float32; 'b' is [batch, 3] int64. Codes have no gradient: take what embeds "
            "them.",
        ),
    ],
)
def test_what_does_not_fit_is_refused(objective: Any, values: list[ValueInfo], text: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        objective.connect(values, {})
    assert str(caught.value) == text


def test_wrong_numbers_are_refused() -> None:
    with pytest.raises(ObjectiveError, match="Jacobian: expected 0 projections or more, got -1"):
        Jacobian(("a", "b"), projections=-1)
    with pytest.raises(ObjectiveError, match=r"Decorrelation: expected 1 to 2 inputs \(first, second\), got 3"):
        Decorrelation(("a", "b", "c"))
