"""Whatever a small net is made of, a surgery leaves what it computes alone, its average's, and its penalties."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from jumpml import blocks
from jumpml.core import GraphError, ValueInfo
from jumpml.graph import Branch, Deepen, LowRank, Model, Node, Surgery, Widen
from jumpml.objectives import EWC

ALLOWED = {torch.float32: 1e-4, torch.float64: 1e-10}  # what the issue allows
NORMS: dict[str, Any] = {
    "batch": lambda width, space: (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d)[space](width),
    "layer": lambda width, space: nn.LayerNorm(width) if space == 0 else nn.GroupNorm(1, width),
    "none": lambda width, space: nn.Identity(),
}
ACTIVATIONS = (nn.ReLU, nn.GELU, nn.Tanh, nn.PReLU)


def perceptron(widths: list[int], norm: str, activation: type[nn.Module]) -> tuple[nn.Module, tuple[int, ...]]:
    layers: list[nn.Module] = []
    for before, after in zip([4, *widths], widths, strict=False):
        layers += [nn.Linear(before, after), NORMS[norm](after, 0), activation(), nn.Dropout(0.1)]
    return nn.Sequential(*layers), (4,)


def convolutions(widths: list[int], norm: str, activation: type[nn.Module]) -> tuple[nn.Module, tuple[int, ...]]:
    layers: list[nn.Module] = []
    for before, after in zip([2, *widths], widths, strict=False):
        layers += [nn.Conv2d(before, after, 3, padding=1), NORMS[norm](after, 2), activation(), nn.AvgPool2d(2, 1)]
    return nn.Sequential(*layers, nn.Flatten()), (2, 5, 5)


def recurrent(widths: list[int], norm: str, activation: type[nn.Module]) -> tuple[nn.Module, tuple[int, ...]]:
    return blocks.Recurrent(widths[0], depth=len(widths), cell="lstm" if norm == "batch" else "gru"), (3, 2)


def attention(widths: list[int], norm: str, activation: type[nn.Module]) -> tuple[nn.Module, tuple[int, ...]]:
    heads = 1 if widths[0] == 1 else 2
    return blocks.TransformerEncoder(len(widths), heads, expand=widths[0] / 2, rotary=norm == "batch"), (3, 8)


def residual(widths: list[int], norm: str, activation: type[nn.Module]) -> tuple[nn.Module, tuple[int, ...]]:
    return blocks.ResidualMLP(widths[0], len(widths)), (4,)


MADE = {
    "perceptron": perceptron,
    "convolutions": convolutions,
    "recurrent": recurrent,
    "attention": attention,
    "residual": residual,
}


def build(kind: str, widths: list[int], norm: str, activation: type[nn.Module], dtype: torch.dtype) -> Model:
    torch.manual_seed(0)
    module, shape = MADE[kind](widths, norm, activation)
    reads = "body.last" if kind == "recurrent" else "body"
    nodes = {"body": Node(module, "x"), "out": Node(nn.LazyLinear(3), reads)}
    inputs = {"x": ValueInfo(shape=shape)}
    made = Model(inputs=inputs, nodes=nodes, outputs=["out"], objectives={"keep": EWC("all")}, seed=0).to(dtype)
    ewc = made.objectives["keep"]
    with torch.no_grad():
        ewc.consolidate({name: torch.rand_like(p) for name, p in made.named_parameters()})  # type: ignore[attr-defined]
        for tensor in (*made.parameters(), *made.buffers()):
            if tensor.is_floating_point():
                tensor.add_(0.1 * torch.rand_like(tensor))
    return made.eval()


def told(model: Model, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """The outputs, and the penalty."""
    batch = {
        name: torch.rand(4, *value.shape, dtype=dtype, generator=torch.Generator().manual_seed(2))
        for name, value in model.inputs.items()
    }
    with torch.no_grad():
        return model(batch)["out"], model.objectives["keep"]().value


REFUSED = (
    "its statistics would change",
    "gives no single tensor",
    "they must be alike",
    "has no linear or convolutional layer",
)
SURGERIES = st.one_of(
    st.builds(Widen, st.just("body"), st.floats(1.1, 4.0)),
    st.builds(Deepen, st.just("body"), st.integers(1, 2)),
    st.builds(LowRank, st.just("body"), st.integers(1, 3)),
    st.just(Branch("out", "beside", "jumpml.blocks.MLP", "x", {"widths": [3]})),
)


@given(
    kind=st.sampled_from(sorted(MADE)),
    widths=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    norm=st.sampled_from(sorted(NORMS)),
    activation=st.sampled_from(ACTIVATIONS),
    dtype=st.sampled_from(sorted(ALLOWED, key=str)),
    surgeries=st.lists(SURGERIES, min_size=1, max_size=3, unique_by=lambda surgery: surgery.kind),
)
@example(
    kind="convolutions",
    widths=[1],
    norm="layer",
    activation=nn.ReLU,
    dtype=torch.float32,
    surgeries=[LowRank("body", 1), Widen("body", 2.0)],
)
@settings(max_examples=40, deadline=None)
def test_outputs_averages_and_penalties_stay(
    *,
    kind: str,
    widths: list[int],
    norm: str,
    activation: type[nn.Module],
    dtype: torch.dtype,
    surgeries: list[Surgery],
) -> None:
    made = build(kind, widths, norm, activation, dtype)
    average = copy.deepcopy(made)
    with torch.no_grad():
        for parameter in average.parameters():
            parameter.add_(0.05 * torch.rand_like(parameter))
    before, averaged = told(made, dtype), told(average, dtype)
    for surgery in surgeries:
        names = [name for name, _ in made.named_parameters()]
        try:
            made.grow(surgery)
        except GraphError as error:  # what a norm mixes, and what does not fit, is refused
            assert any(why in str(error) for why in REFUSED)
            assert names == [name for name, _ in made.named_parameters()]
    average.regrow(made.lineage)
    for model, was in ((made, before), (average, averaged), (pickle.loads(pickle.dumps(made)), before)):
        for now, then in zip(told(model, dtype), was, strict=True):
            assert (now - then).abs().max() <= ALLOWED[dtype] * max(1.0, float(then.abs().max()))
    assert {n: p.shape for n, p in made.named_parameters()} == {n: p.shape for n, p in average.named_parameters()}


def test_a_net_that_computes_something_else_would_be_seen() -> None:
    made = build("perceptron", [3], "none", nn.ReLU, torch.float64)
    before = told(made, torch.float64)
    made.grow(Widen("body", 2.0))
    with torch.no_grad():
        made.node("out").weight[:, 3:].add_(1e-3)  # type: ignore[operator, index]
    assert (told(made, torch.float64)[0] - before[0]).abs().max() > ALLOWED[torch.float64]


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_every_kind_of_net_is_widened_and_not_merely_refused(norm: str) -> None:
    for kind in MADE:
        made = build(kind, [3, 4], norm, nn.ReLU, torch.float32)
        assert made.grow(Widen("body", 2.0)).index_map.axes
