"""Assignments to prototypes, and embeddings spread like a normal distribution: values by hand, and what is refused."""

from __future__ import annotations

from math import cos, exp, log, pi, sin, sqrt
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jumpml.core import ObjectiveError, ValueInfo
from jumpml.objectives import LeJEPA, SwAV
from jumpml.objectives.self_supervised._lejepa import epps_pulley
from jumpml.objectives.self_supervised._sinkhorn import sinkhorn

if TYPE_CHECKING:
    from torch import Tensor


def connected(method: type[Any], width: int = 4, **options: Any) -> Any:
    torch.manual_seed(0)
    objective = method("encoder", **{"views": "v", "projector": (), **options})
    objective.connect([ValueInfo(shape=(width,))], {})
    return objective.double()


def draws(count: int, rows: int = 6, width: int = 4) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(rows, width, dtype=torch.float64) for _ in range(count)]


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def unit(row: list[float]) -> list[float]:
    return [x / sqrt(dot(row, row)) for x in row]


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


# --- SwAV -------------------------------------------------------------------------------------------------------------


def assigned(scores: list[list[float]], epsilon: float, iterations: int) -> list[list[float]]:
    """Algorithm 1 of the paper, with the rows' totals brought back to 1 at the end."""
    q = [[exp(x / epsilon) for x in row] for row in scores]
    total, rows, prototypes = sum(map(sum, q)), len(q), len(q[0])
    q = [[x / total for x in row] for row in q]
    for _ in range(iterations):
        columns = [sum(row[k] for row in q) for k in range(prototypes)]
        q = [[row[k] / columns[k] / prototypes for k in range(prototypes)] for row in q]
        q = [[x / sum(row) / rows for x in row] for row in q]
    return [[x * rows for x in row] for row in q]


@pytest.mark.parametrize("crops", [None, (2, 1), (1, 2)])
def test_swav_is_the_papers_swapped_prediction(crops: tuple[int, int] | None) -> None:
    options: dict[str, Any] = {"temperature": 0.3, "epsilon": 0.2, "iterations": 2, "prototypes": 5}
    objective = connected(SwAV, **options, **({"views": ("g", "l"), "crops": crops} if crops else {}))
    prototypes = objective.prototypes.weight.tolist()
    views = draws(sum(crops or (2, 0)))
    scores = [[[dot(unit(row), p) for p in prototypes] for row in view.tolist()] for view in views]
    terms = []
    for target in range((crops or (2, 0))[0]):
        q = assigned(scores[target], 0.2, 2)
        for other in range(len(views)):
            if other != target:
                for wanted, score in zip(q, scores[other], strict=True):
                    total = sum(exp(x / 0.3) for x in score)
                    terms.append(-sum(w * log(exp(x / 0.3) / total) for w, x in zip(wanted, score, strict=True)))
    assert objective(*views).value.item() == pytest.approx(mean(terms), rel=1e-10)


def test_swav_of_equal_rows_is_the_logarithm_of_the_prototypes() -> None:
    objective, x = connected(SwAV, prototypes=7), torch.zeros(5, 4, dtype=torch.float64)
    assert objective(x, x).value.item() == pytest.approx(log(7), rel=1e-10)


def test_the_assignments_of_swav_have_no_gradient() -> None:
    objective = connected(SwAV, prototypes=5, temperature=0.1)
    first, second = (x.requires_grad_() for x in draws(2))
    objective(first, second).value.backward()
    q = [sinkhorn(objective.prototypes(torch.nn.functional.normalize(x.detach())), 0.05, 3) for x in (first, second)]
    told = [(objective.prototypes(torch.nn.functional.normalize(x)) / 0.1).log_softmax(1) for x in (first, second)]
    expected = -((q[0] * told[1]).sum(1).mean() + (q[1] * told[0]).sum(1).mean()) / 2
    gradients = torch.autograd.grad(expected, [first, second])
    assert first.grad is not None
    assert second.grad is not None
    torch.testing.assert_close([first.grad, second.grad], list(gradients))


def test_prototypes_are_brought_back_to_length_1_after_an_update() -> None:
    objective = connected(SwAV, prototypes=5)
    lengths = torch.ones(5, dtype=torch.float64)
    torch.testing.assert_close(objective.prototypes.weight.detach().norm(dim=1), lengths)
    optimizer = torch.optim.SGD(objective.parameters(), lr=1.0)
    objective(*draws(2)).value.backward()
    optimizer.step()
    moved = objective.prototypes.weight.detach().clone()
    assert not torch.allclose(moved.norm(dim=1), lengths)
    objective.after_update()
    torch.testing.assert_close(objective.prototypes.weight.detach(), moved / moved.norm(dim=1, keepdim=True))


@given(st.integers(0, 2**31), st.integers(2, 20), st.integers(2, 8), st.sampled_from([0.02, 0.05, 1.0]))
def test_assignments_are_shares_that_give_each_prototype_as_much(
    seed: int, rows: int, prototypes: int, epsilon: float
) -> None:
    scores = torch.rand(rows, prototypes, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    shares = sinkhorn(scores, epsilon, 2000)
    torch.testing.assert_close(shares.sum(1), torch.ones(rows, dtype=torch.float64))
    if epsilon == 1.0:  # the harder they are, the longer it takes
        torch.testing.assert_close(shares.sum(0), torch.full((prototypes,), rows / prototypes, dtype=torch.float64))
    torch.testing.assert_close(sinkhorn(scores + 300, epsilon, 3), sinkhorn(scores, epsilon, 3))
    for hard in (0.001, 1e-6):  # exp(-1 / .001) is 0 in float32: a row far from all others' best would have no share
        torch.testing.assert_close(sinkhorn(scores.float(), hard, 3).sum(1), torch.ones(rows))


# --- LeJEPA -----------------------------------------------------------------------------------------------------------


def statistic(samples: list[float]) -> float:
    """Epps and Pulley's, by the trapezoidal rule at 17 points from 0 to 3, counted twice."""
    total = 0.0
    for k in range(17):
        t = 3 * k / 16
        normal = exp(-(t**2) / 2)
        real, imaginary = mean([cos(t * x) for x in samples]), mean([sin(t * x) for x in samples])
        step = 3 / 16 * (0.5 if k in {0, 16} else 1)
        total += 2 * step * ((real - normal) ** 2 + imaginary**2) * normal
    return len(samples) * total


def test_the_statistic_is_epps_and_pulleys() -> None:
    (samples,) = draws(1, rows=9, width=3)
    expected = [statistic(samples[:, k].tolist()) for k in range(3)]
    assert epps_pulley(samples).tolist() == pytest.approx(expected, rel=1e-12)


def test_the_statistic_of_one_value_for_all_rows_has_a_closed_form() -> None:
    # n times the integral of (1 - exp(-t^2 / 2))^2 exp(-t^2 / 2), of which a fiftieth lies beyond 3
    expected = 4 * sqrt(2 * pi) * (1 - 2 / sqrt(2) + 1 / sqrt(3))
    assert epps_pulley(torch.zeros(4, 1)).item() == pytest.approx(expected, rel=0.02)


def test_the_statistic_is_least_for_a_standard_normal_distribution() -> None:
    quantiles = torch.distributions.Normal(0.0, 1.0).icdf((torch.arange(400) + 0.5) / 400)[:, None]
    at = epps_pulley(quantiles).item()
    assert at < 0.01
    for other in (2 * quantiles, 0.5 * quantiles, quantiles + 0.5, quantiles.sign(), quantiles * 0):
        assert epps_pulley(other).item() > 5


@pytest.mark.parametrize("crops", [None, (2, 1), (1, 3)])
def test_lejepa_is_the_papers_sum(crops: tuple[int, int] | None) -> None:
    options: dict[str, Any] = {"views": ("g", "l"), "crops": crops} if crops else {}
    objective = connected(LeJEPA, slices=6, regularization=0.3, **options)
    views = draws(sum(crops or (2, 0)))
    torch.manual_seed(5)
    value = objective(*views).value.item()
    torch.manual_seed(5)  # the directions that it has drawn
    directions = [unit(row) for row in torch.randn(4, 6, dtype=torch.float64).T.tolist()]
    rows = [view.tolist() for view in views]
    targets, count = (crops or (2, 0))[0], len(rows[0])
    distances = []
    for row in range(count):
        centre = [mean([rows[view][row][k] for view in range(targets)]) for k in range(4)]
        distances += [(rows[view][row][k] - centre[k]) ** 2 for view in range(len(rows)) for k in range(4)]
    spread = [statistic([dot(row, a) for row in view]) for view in rows for a in directions]
    assert value == pytest.approx(0.7 * mean(distances) + 0.3 * mean(spread), rel=1e-10)


def test_the_directions_are_drawn_anew_in_training_and_are_always_the_same_in_evaluation() -> None:
    objective, views = connected(LeJEPA, slices=4), draws(2)
    first, second = objective(*views).value, objective(*views).value
    assert not torch.equal(first, second)
    objective.eval()
    state = torch.get_rng_state()
    assert torch.equal(objective(*views).value, objective(*views).value)
    assert torch.equal(torch.get_rng_state(), state)


# --- what is refused --------------------------------------------------------------------------------------------------

NO_VIEW = "expected one view, which is drawn twice, or two; got none."
LONE = "Choose a batch_size that leaves no single row over at the end of an epoch."


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: SwAV("e", views=()), f"SwAV: {NO_VIEW}"),
        (lambda: LeJEPA("e", views=()), f"LeJEPA: {NO_VIEW}"),
        (lambda: SwAV("e", views="v", temperature=0), "SwAV: expected a temperature above 0, got 0."),
        (lambda: SwAV("e", views="v", epsilon=0), "SwAV: expected an epsilon above 0, got 0."),
        (lambda: SwAV("e", views="v", iterations=0), "SwAV: expected 1 iterations or more, got 0."),
        (lambda: SwAV("e", views="v", prototypes=1), "SwAV: expected 2 prototypes or more, got 1."),
        (lambda: LeJEPA("e", views="v", slices=0), "LeJEPA: expected 1 slices or more, got 0."),
        (
            lambda: LeJEPA("e", views="v", regularization=1.5),
            "LeJEPA: expected a regularization from 0 to 1, got 1.5.",
        ),
        (
            lambda: LeJEPA("e", views="v", crops=(1, 1)),
            "LeJEPA: crops say how often each of two views is drawn; there is one, 'v', which is drawn twice.",
        ),
        (
            lambda: SwAV("e", views=("g", "l"), crops=(2,)),
            "SwAV: expected two crops above 0, one for each view; got [2].",
        ),
        (
            lambda: connected(SwAV)(torch.zeros(1, 4), torch.zeros(1, 4)),
            f"SwAV: expected two rows or more in a batch, since assignments are balanced over rows; got 1. {LONE}",
        ),
        (
            lambda: connected(LeJEPA)(torch.zeros(1, 4), torch.zeros(1, 4)),
            f"LeJEPA: expected two rows or more in a batch, since a distribution needs two; got 1. {LONE}",
        ),
    ],
)
def test_what_is_refused(make: Any, text: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        make()
    assert str(caught.value) == text
