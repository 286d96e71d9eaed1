from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from jumpml.core import ObjectiveError, ValueInfo
from jumpml.objectives import VICReg


def vicreg(width: int, *, projector: tuple[int, ...] | None = None, **weights: Any) -> VICReg:
    """With the identity as projector where none is asked for, so that values have a closed form."""
    objective = VICReg("encoder", views="strong", projector=projector or (width,), **weights)
    objective.connect([ValueInfo(shape=(width,))], {})
    if projector is None:
        nn.init.eye_(objective.projector[0].weight)  # pyright: ignore[reportArgumentType]
    return objective


def test_a_dead_dimension_costs_its_hinge() -> None:
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    # variances 2 and 0: the second's hinge is 1 - sqrt(1e-4) = .99, its mean over dimensions .495, times 25
    assert vicreg(2)(x, x).value.item() == pytest.approx(25 * 0.495, rel=1e-6)


def test_two_equal_dimensions_cost_their_covariance() -> None:
    x = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    # both covariances off the diagonal are 2: (4 + 4) / 2 dimensions, in each of two views
    assert vicreg(2, covariance=3.0)(x, x).value.item() == pytest.approx(3 * 8, rel=1e-6)


def test_views_that_differ_cost_their_distance() -> None:
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    value = vicreg(2, variance=0.0, covariance=0.0)(x, -x).value.item()
    assert value == pytest.approx(25 * (4 + 0) / 2, rel=1e-6)


def test_the_value_is_that_of_the_formula_in_the_paper() -> None:
    """Against a plain transcription: Bardes et al. 2022, equations 1 to 5, normalised as in the authors' code."""
    torch.manual_seed(0)
    x, y = torch.randn(16, 5, dtype=torch.float64), torch.randn(16, 5, dtype=torch.float64)
    objective = vicreg(5, invariance=2.0, variance=3.0, covariance=4.0).double()
    invariance = sum(float((x[i] - y[i]) @ (x[i] - y[i])) for i in range(16)) / (16 * 5)
    variance = covariance = 0.0
    for z in (x, y):
        deviation = [float(((z[:, d] - z[:, d].mean()) ** 2).sum() / 15 + 1e-4) ** 0.5 for d in range(5)]
        variance += sum(max(0.0, 1 - s) for s in deviation) / 5
        matrix = torch.cov(z.T)
        covariance += sum(float(matrix[i, j]) ** 2 for i in range(5) for j in range(5) if i != j) / 5
    expected = 2 * invariance + 3 * variance / 2 + 4 * covariance
    assert objective(x, y).value.item() == pytest.approx(expected, rel=1e-9)


def test_the_order_of_rows_and_of_views_does_not_matter() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(8, 6), torch.randn(8, 6)
    objective = vicreg(6, projector=(12, 4))
    value, order = objective(x, y).value, torch.randperm(8)
    torch.testing.assert_close(objective(x[order], y[order]).value, value)
    torch.testing.assert_close(objective(y, x).value, value)


def test_absent_rows_do_not_count() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(5, 3), torch.randn(5, 3)
    present = torch.tensor([True, False, True, True, False])
    objective = vicreg(3)
    loss = objective(x, y, present=present)
    torch.testing.assert_close(loss.value, objective(x[present], y[present]).value)
    assert loss.present is None


def test_the_gradient_is_that_of_the_value() -> None:
    torch.manual_seed(0)
    x, y = (torch.randn(4, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    objective = vicreg(3, projector=(5, 2)).double()
    assert torch.autograd.gradcheck(lambda *views: objective(*views).value, (x, y))


def test_the_projector_is_that_of_the_paper() -> None:
    layers = list(vicreg(3, projector=(7, 6, 5)).projector)
    assert [type(layer) for layer in layers] == [*[nn.Linear, nn.BatchNorm1d, nn.ReLU] * 2, nn.Linear]
    assert [tuple(x.weight.shape) for x in layers if isinstance(x, nn.Linear)] == [(7, 3), (6, 7), (5, 6)]
    assert isinstance(layers[-1], nn.Linear)
    assert layers[-1].bias is None


def test_a_batch_of_one_row_is_refused() -> None:
    with pytest.raises(ObjectiveError) as caught:
        vicreg(3)(torch.zeros(1, 3), torch.zeros(1, 3))
    assert str(caught.value) == (
        "VICReg: expected two rows or more in a batch, since variance needs two; got 1. Choose a batch_size that "
        "leaves no single row over at the end of an epoch."
    )
