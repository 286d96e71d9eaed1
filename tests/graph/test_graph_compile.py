"""``torch.compile`` and ``torch.export``: one graph without breaks, which follows what changes in the model."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo import config
from torch.export import Dim, export

from jumpml.blocks import ConvEncoder, Head
from jumpml.core import GraphError, Task, ValueInfo
from jumpml.graph import Model, Node
from jumpml.objectives import L1, CrossEntropy, VICReg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROWS = 6
TASKS = {"kind": Task(kind="multiclass", output="out", target="y")}


class Parts(nn.Module):
    """Reads by name, gives a dict with a tuple's element beside a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, left: Tensor, right: Tensor) -> dict[str, Tensor]:
        code = self.layer(right)
        return {"sum": left + code, "code": code}


class Halves(nn.Module):
    """Gives a tuple."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = x.chunk(2, dim=1)
        return first, second


def build() -> Model:
    """Two inputs, a diamond, parts of a tuple and of a dict, a normalization, views, a penalty, absent rows."""
    torch.manual_seed(0)
    return Model(
        inputs={"x": ValueInfo(shape=(8,)), "z": ValueInfo(shape=(4,))},
        nodes={
            "halves": Node(Halves(), "x"),
            "wide": Node(nn.Sequential(nn.LazyLinear(8), nn.BatchNorm1d(8)), "halves.0"),
            "other": Node(nn.Bilinear(4, 4, 8), ["z", "halves.1"]),
            "parts": Node(Parts(), {"right": "other", "left": "wide"}),
            "out": Node(Head(5), "parts.sum"),
        },
        tasks=TASKS,
        objectives={
            "kind": CrossEntropy(("out", "y")),
            "agree": VICReg(("parts.sum",), views=("strong",), when=("supervised",)),
            "small": L1(("parts.code",), weight=0.1),
        },
        seed=0,
    )


def batch_of(rows: int = ROWS) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(rows)
    fields = {name: torch.randn(rows, 8, generator=generator) for name in ("x", "x@strong.0", "x@strong.1")}
    present = torch.arange(rows) % 3 != 0
    return {**fields, "z": torch.randn(rows, 4, generator=generator), "y": torch.arange(rows) % 5, "y.present": present}


def assert_equal(got: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert list(got) == list(wanted)
    assert got
    for name, value in wanted.items():
        torch.testing.assert_close(got[name], value, msg=name)


def test_assert_equal_can_fail():
    one = {"a": torch.ones(2)}
    for other in ({}, {"b": torch.ones(2)}, {"a": torch.zeros(2)}):
        with pytest.raises(AssertionError):
            assert_equal(one, other)
    with pytest.raises(AssertionError):
        assert_equal({}, {})


def gradients(model: Model) -> dict[str, Tensor]:
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.fixture(autouse=True)
def _from_nothing() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def compiled(function: Any, backend: str = "eager") -> Callable[..., dict[str, Tensor]]:
    return torch.compile(function, fullgraph=True, backend=backend)


# The real compiler takes its time, and imports what torch itself has deprecated.
INDUCTOR = pytest.param("inductor", marks=[pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")])


@pytest.mark.parametrize("backend", ["eager", "aot_eager", INDUCTOR])
@pytest.mark.parametrize("training", [True, False])
def test_forward_and_losses_are_one_graph(backend, training):
    model, batch = build().train(training), batch_of()
    plain = copy.deepcopy(model)
    forward, losses = compiled(model, backend), compiled(model.losses, backend)
    assert_equal(forward(batch), plain(batch))
    got, wanted = losses(batch), plain.losses(batch)
    assert_equal(got, wanted)
    for values in (got, wanted):
        torch.stack([value.sum() for value in values.values()]).sum().backward()
    assert_equal(gradients(model), gradients(plain))
    assert_equal(forward(batch, ["parts.code", "x"]), plain(batch, ["parts.code", "x"]))


def test_it_is_traced_once_for_batches_of_one_size():
    model = build().eval()
    forward, losses = compiled(model), compiled(model.losses)
    forward(batch_of())
    losses(batch_of())
    with config.patch(error_on_recompile=True):
        for seed in range(3):
            batch = {name: value.roll(seed, 0) for name, value in batch_of().items()}
            assert_equal(forward(batch), model(batch))
            assert_equal(losses(batch), model.losses(batch))


def test_what_is_frozen_afterwards_is_frozen():
    model, batch = build(), batch_of()
    losses = compiled(model.losses)
    losses(batch)
    model.train_only(["out"])
    plain = copy.deepcopy(model)
    for function in (losses, plain.losses):
        function(batch)["kind"].sum().backward()
    assert model.get_parameter("node_parts.layer.weight").grad is None
    assert_equal(gradients(model), gradients(plain))


def test_a_module_that_is_replaced_afterwards_is_used():
    model, batch = build().eval(), batch_of()
    forward = compiled(model)
    forward(batch)
    model.node_out = nn.Linear(8, 5)
    assert_equal(forward(batch), {"kind": model.node_out(model(batch, ["parts.sum"])["parts.sum"])})


def test_models_with_other_weights_or_other_edges_are_told_apart():
    """The traced code belongs to the class; what tells two models apart must be guarded."""

    def chain(second: str) -> Model:
        nodes = {"a": Node(nn.Linear(4, 4), "x"), "b": Node(nn.Linear(4, 4), second), "out": Node(nn.Linear(4, 5), "b")}
        return Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=nodes, tasks=TASKS)

    first, batch = chain("a"), {"x": torch.randn(3, 4)}
    copied = copy.deepcopy(first)
    with torch.no_grad():
        copied.get_parameter("node_out.bias").add_(1)
    others = [first, copied, chain("x"), chain("a")]
    functions = [compiled(model) for model in others]
    for _ in range(2):
        for model, function in zip(others, functions, strict=True):
            assert_equal(function(batch), model(batch))


def test_a_batch_that_lacks_a_field_is_told_without_compiling_too():
    model = build().eval()
    with pytest.raises(GraphError, match=r"^out needs 'z', which the batch lacks; it holds: x\.$"):
        model({"x": torch.zeros(2, 8)})


# --- export ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strict", [True, False])
def test_it_exports_with_several_inputs_and_parts(strict):
    model = build().eval()
    inputs = {name: batch_of()[name] for name in ("x", "z")}
    dims = ({name: {0: Dim("batch")} for name in inputs},)
    program = export(model, (inputs,), dynamic_shapes=dims, strict=strict)
    for rows in (2, 7, 64):
        batch = {name: batch_of(rows)[name] for name in inputs}
        assert_equal(program.module()(batch), model(batch))


@pytest.mark.filterwarnings("ignore:The tensor attributes self.node_lstm._flat_weights")  # torch says so of any LSTM
def test_it_exports_with_an_lstm():
    model = Model(
        inputs={"series": ValueInfo(shape=(5, 3))},
        nodes={
            "lstm": Node(nn.LSTM(3, 8, batch_first=True), "series"),
            "flat": Node(nn.Flatten(), "lstm.0"),
            "out": Node(Head(5), "flat"),
        },
        tasks=TASKS,
    ).eval()
    dims = ({"series": {0: Dim("batch")}},)
    program = export(model, ({"series": torch.randn(4, 5, 3)},), dynamic_shapes=dims)
    for rows in (2, 9):
        batch = {"series": torch.randn(rows, 5, 3)}
        assert_equal(program.module()(batch), model(batch))


def test_it_exports_with_pictures():
    model = Model(
        inputs={"image": ValueInfo(shape=(1, 8, 8))},
        nodes={"encoder": Node(ConvEncoder([4, 8]), "image"), "out": Node(Head(5), "encoder")},
        tasks=TASKS,
    ).eval()
    dims = ({"image": {0: Dim("batch")}},)
    program = export(model, ({"image": torch.randn(4, 1, 8, 8)},), dynamic_shapes=dims)
    batch = {"image": torch.randn(7, 1, 8, 8)}
    assert_equal(program.module()(batch), model(batch))
