"""The Fisher information that EWC weighs parameters by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from jumpml.core import LearnerError, Task
from jumpml.data import Column, DataLoaders, Mixture, Shuffled
from jumpml.graph import Model, Node
from jumpml.learn import fisher_information
from jumpml.learn.continual import _fisher as module
from jumpml.objectives import EWC, CrossEntropy, Function, Huber, MeanSquaredError

if TYPE_CHECKING:
    from torch import Tensor

ROWS = 40


def loaders(batch_size: int = 16) -> DataLoaders:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS + 2, 3, generator=generator)
    y = (x[:, 0] + 0.5 * torch.randn(ROWS + 2, generator=generator) > 0).long()
    columns = {
        "x": Column(x, "tensor"),
        "y": Column(y, "category", classes=("no", "yes")),
        "n": Column(x @ torch.randn(3, 1, generator=generator), "number"),
    }
    splits = {"train": torch.arange(ROWS), "val": torch.tensor([ROWS]), "test": torch.tensor([ROWS + 1])}
    order = Mixture({"a": Shuffled(torch.arange(25)), "b": Shuffled(torch.arange(25, ROWS))})
    return DataLoaders(columns, splits, features={"x": []}, batch_size=batch_size, order=order)


def model(body: nn.Module | None = None, objective: Any = None, kind: str = "multiclass", width: int = 2) -> Model:
    torch.manual_seed(3)
    last = nn.Linear(3, width)
    target = "n" if kind == "regression" else "y"
    return Model(
        inputs={"x": loaders().info("x")},
        nodes={"out": Node(nn.Sequential(body, last) if body else last, "x")},
        tasks={"y": Task(kind=kind, output="out", target=target)},  # type: ignore[arg-type]
        objectives={"y": objective or CrossEntropy(("out", "y")), "keep": EWC("all")},
        fields=loaders().fields,
    )


def analytic(net: Model, rows: Tensor, codes: Tensor) -> Tensor:
    """Of a linear layer and cross entropy, the mean over rows of the outer square of (p - onehot) x."""
    p = net({"x": rows})["y"].softmax(1).detach()
    wrong = p - nn.functional.one_hot(codes, 2)
    return (wrong.square().unsqueeze(2) * rows.square().unsqueeze(1)).mean(0)


def test_observed_is_the_mean_of_the_rows_squared_gradients() -> None:
    data, net = loaders(), model()
    batch = {name: torch.cat([b[name] for b in data.train.plain()]) for name in ("x", "y")}
    fisher = fisher_information(net, data, rows=ROWS)
    torch.testing.assert_close(fisher["node_out.weight"], analytic(net, batch["x"], batch["y"]))


def test_rows_are_those_of_the_data_sets_that_are_served() -> None:
    data, net = loaders(), model()
    data.train.serve(None, (), ["b"])
    batch = {name: torch.cat([b[name] for b in data.train.plain()])[25:] for name in ("x", "y")}
    torch.testing.assert_close(
        fisher_information(net, data, rows=999)["node_out.weight"], analytic(net, batch["x"], batch["y"])
    )
    few = fisher_information(net, data, rows=2)["node_out.weight"]
    torch.testing.assert_close(few, analytic(net, batch["x"][[0, -1]], batch["y"][[0, -1]]))


def test_the_weight_of_the_task_is_in_the_loss() -> None:
    one = fisher_information(model(), loaders())["node_out.weight"]
    three = fisher_information(model(objective=CrossEntropy(("out", "y"), weight=3.0)), loaders())["node_out.weight"]
    torch.testing.assert_close(three, 9 * one)


class Asking(nn.Module):
    """A layer that asks for a value of a tensor, which no vmap can give."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.inner(x) * (2.0 if float(x.sum()) > 0 else 1.0)


class Plain(Asking):
    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.inner(x) * torch.where(x.sum() > 0, 2.0, 1.0)


def test_a_model_that_cannot_be_vectorized_goes_row_by_row_to_the_same() -> None:
    nets = model(Asking()), model(Plain())
    asking, plain = (fisher_information(net, loaders(), rows=ROWS) for net in nets)
    for name, value in asking.items():
        torch.testing.assert_close(value, plain[name])
    calls = [net.node("out")[0].calls for net in nets]  # type: ignore[index]
    assert calls[0] > ROWS  # once a row
    assert calls[1] < ROWS / 2  # some batches of them


@pytest.mark.parametrize("at_once", [1, 20, 10**9])
def test_how_many_are_held_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    expected = fisher_information(model(), loaders())
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    for name, value in fisher_information(model(), loaders()).items():
        torch.testing.assert_close(value, expected[name])


def test_normalization_and_dropout_neither_move_nor_mix_rows() -> None:
    net = model(nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5)))
    net.train()
    net.node("out")[0][0].eval()  # type: ignore[index]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modes = [part.training for part in net.modules()]
    first, second = (fisher_information(net, loaders(size)) for size in (16, 5))
    for name, value in first.items():
        torch.testing.assert_close(value, second[name])  # how rows come in batches is no matter
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert [part.training for part in net.modules()] == modes
    assert all(parameter.grad is None for parameter in net.parameters())


def test_sampled_targets_give_the_fisher_information_of_the_definition() -> None:
    data, net = loaders(), model()
    rows = torch.cat([b["x"] for b in data.train.plain()])
    p = net({"x": rows})["y"].softmax(1).detach()
    # the expectation over y: p_k (1 - p_k) x^2
    expected = ((p * (1 - p)).unsqueeze(2) * rows.square().unsqueeze(1)).mean(0)
    draws = [
        fisher_information(net, data, fisher="sampled", rows=ROWS, seed=seed)["node_out.weight"] for seed in range(60)
    ]
    error = torch.stack(draws).std(0) / len(draws) ** 0.5
    assert ((torch.stack(draws).mean(0) - expected).abs() < 4 * error).all()
    assert not torch.equal(draws[0], draws[1])
    again = fisher_information(net, data, fisher="sampled", rows=ROWS, seed=1)["node_out.weight"]
    assert torch.equal(draws[1], again)


def test_sampled_numbers_have_the_variance_under_which_the_loss_is_their_likelihood() -> None:
    net = model(objective=MeanSquaredError(("out", "n")), kind="regression", width=1)
    data = loaders()
    rows = torch.cat([b["x"] for b in data.train.plain()])
    draws = [
        fisher_information(net, data, fisher="sampled", rows=ROWS, seed=seed)["node_out.weight"] for seed in range(60)
    ]
    # d/dw (f - y)^2 = 2 (f - y) x, and E (f - y)^2 = 1/2
    expected = 2 * rows.square().mean(0, keepdim=True)
    error = torch.stack(draws).std(0) / len(draws) ** 0.5
    assert ((torch.stack(draws).mean(0) - expected).abs() < 4 * error).all()


def test_batched_is_the_squared_gradient_of_each_batchs_mean_and_far_smaller() -> None:
    data, net = loaders(), model()
    batches = [*data.train.plain()]
    squares = []
    for batch in batches:
        loss = nn.functional.cross_entropy(net(batch)["y"], batch["y"])
        squares.append(torch.autograd.grad(loss, net.node("out").weight)[0].square())  # type: ignore[arg-type]
    batched = fisher_information(net, data, fisher="batched", rows=ROWS)["node_out.weight"]
    torch.testing.assert_close(batched, torch.stack(squares).mean(0))
    one = fisher_information(net, data, fisher="batched", rows=5)["node_out.weight"]  # one batch holds so many
    torch.testing.assert_close(one, squares[0])


def test_what_trains_not_has_none() -> None:
    net = model(nn.Linear(3, 3))
    net.node("out")[0].requires_grad_(False)  # type: ignore[index]
    assert [*fisher_information(net, loaders())] == ["node_out.1.weight", "node_out.1.bias"]


def test_what_has_no_loss_a_row_is_refused() -> None:
    whole = Function(nn.functional.cross_entropy, ("out", "y"), per_example=False)
    with pytest.raises(LearnerError, match=r"row by row; no task of this model has an objective with one loss a row"):
        fisher_information(model(objective=whole), loaders())
    with pytest.raises(LearnerError) as caught:
        fisher_information(
            model(objective=Huber(("out", "n")), kind="regression", width=1), loaders(), fisher="sampled"
        )
    assert str(caught.value) == (
        "fisher: sampled draws targets of classes and labels a row, and of numbers where the loss is the mean squared "
        "error; task 'y' is regression, with Huber. Take fisher: observed."
    )
