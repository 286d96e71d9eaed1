"""Linear layers as two thin ones: exact at full rank, optimal below, and never larger."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from jumpml.core import DeploymentError
from jumpml.deploy import ThinLinear, factorize

SIZES = st.integers(1, 12)


def layer_of(inputs: int, outputs: int, seed: int, bias: bool = True) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, bias=bias)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return layer


@given(inputs=SIZES, outputs=SIZES, seed=st.integers(0, 1000), bias=st.booleans())
def test_full_rank_is_exact(inputs: int, outputs: int, seed: int, bias: bool) -> None:
    layer = layer_of(inputs, outputs, seed, bias)
    x = torch.randn(5, inputs, generator=torch.Generator().manual_seed(seed))
    thin = ThinLinear.of(layer, rank=min(inputs, outputs))
    torch.testing.assert_close(thin(x), layer(x), atol=1e-4, rtol=1e-4)
    assert (thin.bias is None) == (not bias)


@given(inputs=SIZES, outputs=SIZES, seed=st.integers(0, 1000), data=st.data())
def test_error_is_that_of_the_best_layer_of_its_rank(inputs: int, outputs: int, seed: int, data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, min(inputs, outputs)))
    layer = layer_of(inputs, outputs, seed)
    values = torch.linalg.svdvals(layer.weight.detach().double())
    error = torch.linalg.matrix_norm((ThinLinear.of(layer, rank).weight - layer.weight).detach().double())
    # Eckart and Young 1936: no matrix of that rank is nearer than the root of the sum of the squares left out.
    torch.testing.assert_close(error, values[rank:].square().sum().sqrt(), atol=1e-5, rtol=1e-4)


@settings(max_examples=30)
@given(sizes=st.lists(st.tuples(SIZES, SIZES), min_size=1, max_size=4), share=st.floats(0.01, 1.0))
def test_there_are_never_more_weights(sizes: list[tuple[int, int]], share: float) -> None:
    model = nn.ModuleList([nn.Linear(*size) for size in sizes])
    before = sum(p.numel() for p in model.parameters())
    try:
        done = factorize(model, model, share)
    except DeploymentError:
        done = None
    after = sum(p.numel() for p in model.parameters())
    assert after < before if done else after == before
    assert sum(isinstance(m, ThinLinear) for m in model.modules()) == (done.thinned if done else 0)


def test_a_layer_in_two_places_stays_one() -> None:
    shared = nn.Linear(16, 16)
    model = nn.ModuleDict({"first": nn.Sequential(shared), "second": nn.Sequential(shared)})
    done = factorize(model, model.values(), 0.25)
    assert (done.thinned, done.layers) == (1, 1)
    assert model["first"].get_submodule("0") is model["second"].get_submodule("0")


def test_only_the_parts_that_are_named_change() -> None:
    model = nn.ModuleDict({"node": nn.Linear(16, 16), "projector": nn.Linear(16, 16)})
    factorize(model, [model["node"]], 0.25)
    assert isinstance(model["node"], ThinLinear)
    assert type(model["projector"]) is nn.Linear


def test_a_transformer_still_runs_in_both_modes() -> None:
    # nn.TransformerEncoderLayer reads linear1.weight in evaluation mode; its attention holds a subclass of nn.Linear.
    model = nn.TransformerEncoderLayer(16, 2, 64, dropout=0.0, batch_first=True)
    x = torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(0))
    before = model.eval()(x)
    done = factorize(model, [model], 0.75)  # 12 of 16 singular values: 12 * 80 < 16 * 64
    assert done.thinned == 2
    with torch.no_grad():
        evaluated = model.eval()(x)
    torch.testing.assert_close(model.train()(x), evaluated, atol=1e-5, rtol=1e-4)
    assert (evaluated - before).norm() < before.norm()


def test_nothing_to_save_is_an_error() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    with pytest.raises(DeploymentError) as error:
        factorize(model, model, 0.9)
    assert str(error.value) == (
        "factorize: of 2 linear layers none has fewer weights with 0.9 of its singular values. "
        "Take a smaller rank, or another change."
    )
