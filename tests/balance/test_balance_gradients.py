"""Balancers that look at gradients: what they are beside a reference, and what they promise."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torchjd import aggregation as torchjd

from jumpml.balance import IMTLG, MGDA, AlignedMTL, CAGrad, FeatureNorm, GradientBalancer, NashMTL, PCGrad, UPGrad
from jumpml.core import LearnerError

if TYPE_CHECKING:
    from jumpml.balance import Array

CONFLICT = np.array([[1.0, 0.0], [-1.0, 0.5]])  # of the issue: the mean, (0, .25), does nothing for the first objective
COMBINING = [UPGrad, PCGrad, CAGrad, MGDA, NashMTL, IMTLG, AlignedMTL]


def gradients(objectives: int, seed: int) -> Array:
    """Some of other sizes than others: each of them about ten times as long as the one before."""
    return np.random.default_rng(seed).normal(size=(objectives, 6)) * [[10.0**k] for k in range(objectives)]


def of(balancer: GradientBalancer, rows: Array) -> Array:
    return balancer.multipliers(rows @ rows.T, np.ones(len(rows)))


def by_torchjd(weighting: Any, rows: Array) -> Array:
    return weighting(torch.from_numpy(rows @ rows.T)).numpy()


@pytest.mark.parametrize("objectives", [2, 3, 5])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("own", "other"),
    [(IMTLG(), torchjd.IMTLGWeighting()), (AlignedMTL(), torchjd.AlignedMTLWeighting())],
    ids=["imtl_g", "aligned_mtl"],
)
def test_what_torchjd_has_is_the_same(own: GradientBalancer, other: Any, objectives: int, seed: int) -> None:
    rows = gradients(objectives, seed) / 10.0 ** np.arange(objectives)[:, None]
    np.testing.assert_allclose(of(own, rows), by_torchjd(other, rows), rtol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_mgda_is_what_torchjd_steps_towards(seed: int) -> None:
    rows = gradients(3, seed) / [[1.0], [10.0], [100.0]]
    near = by_torchjd(torchjd.MGDAWeighting(epsilon=1e-7, max_iters=20_000), rows)
    np.testing.assert_allclose(of(MGDA(), rows), near, atol=2e-3)
    assert np.linalg.norm(of(MGDA(), rows) @ rows) <= np.linalg.norm(near @ rows) + 1e-9


@pytest.mark.parametrize("seed", range(4))
def test_gradient_surgery_is_torchjds_in_the_same_order(seed: int) -> None:
    rows = gradients(4, seed)
    torch.manual_seed(seed)
    expected = by_torchjd(torchjd.PCGradWeighting(), rows)
    np.testing.assert_allclose(of(PCGrad(seed=seed), rows), expected, rtol=1e-9)


def projected(rows: Array, start: Array) -> Array:
    """The projection onto the dual cone by its definition: of all choices of what is added to, the one that holds."""
    gramian, count = rows @ rows.T, len(rows)
    for size in range(count + 1):
        for chosen in map(list, itertools.combinations(range(count), size)):
            weights = start.copy()
            if chosen:
                weights[chosen] += np.linalg.solve(gramian[np.ix_(chosen, chosen)], -(gramian @ start)[chosen])
            if (weights >= start - 1e-9).all() and (gramian @ weights >= -1e-9 * abs(gramian).max()).all():
                return weights
    raise AssertionError("no projection")


@pytest.mark.parametrize("objectives", [2, 3, 4])
@pytest.mark.parametrize("seed", range(4))
def test_upgrad_is_the_mean_of_the_projections(objectives: int, seed: int) -> None:
    rows = gradients(objectives, seed) / 10.0 ** np.arange(objectives)[:, None]
    expected = sum(projected(rows, start) for start in np.eye(objectives) / objectives)
    np.testing.assert_allclose(of(UPGrad(), rows), expected, rtol=1e-6)


def test_upgrad_improves_both_where_the_mean_does_not() -> None:
    combined = of(UPGrad(), CONFLICT) @ CONFLICT
    assert (CONFLICT @ combined > 0.01).all()
    assert (CONFLICT @ CONFLICT.mean(0) > 0.01).tolist() == [False, True]
    # by hand: the first turned becomes (.2, .4), the second (0, .5); the mean of these
    np.testing.assert_allclose(combined, [0.1, 0.45])


finite = st.floats(-3, 3, width=32)


@given(hnp.arrays(np.float64, (3, 4), elements=finite))
def test_upgrad_and_mgda_never_hurt(rows: Array) -> None:
    if (np.linalg.norm(rows, axis=1) < 1e-2).any():
        return
    for balancer in (UPGrad(), MGDA()):
        combined = of(balancer, rows) @ rows
        assert (rows @ combined >= -1e-5 * np.linalg.norm(rows, axis=1)).all()


@pytest.mark.parametrize("balancer", [UPGrad(), CAGrad(), MGDA(), IMTLG(), AlignedMTL()], ids=lambda b: b.kind)
def test_multipliers_do_not_depend_on_the_unit_that_all_share(balancer: GradientBalancer) -> None:
    @given(hnp.arrays(np.float64, (3, 4), elements=finite), st.floats(0.01, 100))
    def holds(rows: Array, unit: float) -> None:
        if np.linalg.svd(rows)[1].min() > 0.3:
            np.testing.assert_allclose(of(balancer, unit * rows), of(balancer, rows), rtol=1e-3, atol=1e-4)

    holds()


@pytest.mark.parametrize("seed", range(5))
def test_mgda_is_the_shortest(seed: int) -> None:
    rows = gradients(3, seed)
    weights = of(MGDA(), rows)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    shortest = np.linalg.norm(weights @ rows)
    others = np.random.default_rng(seed).dirichlet(np.ones(3) / 3, size=2000)
    assert np.linalg.norm(others @ rows, axis=1).min() >= shortest * (1 - 1e-9)


@pytest.mark.parametrize("c", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(4))
def test_cagrad_is_where_the_papers_dual_is_least(c: float, seed: int) -> None:
    """The dual of its equation 3 on a grid of all convex weights, and the direction of its algorithm 1."""
    rows = gradients(2, seed) / [[1.0], [10.0]]
    mean = rows.mean(0)
    shares = np.linspace(0, 1, 20_001)[:, None]
    combined = shares * rows[0] + (1 - shares) * rows[1]
    dual = combined @ mean + c * np.linalg.norm(mean) * np.linalg.norm(combined, axis=1)
    least = combined[dual.argmin()]
    expected = mean + c * np.linalg.norm(mean) / np.linalg.norm(least) * least
    np.testing.assert_allclose(of(CAGrad(c), rows) @ rows, expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("seed", range(4))
def test_cagrad_gains_as_much_for_the_worst_off_as_its_ball_allows(seed: int) -> None:
    rows = gradients(3, seed) / [[1.0], [10.0], [100.0]]
    mean, found = rows.mean(0), of(CAGrad(0.5), rows) @ rows
    around = np.random.default_rng(seed).normal(size=(4000, 6))
    around *= 0.5 * np.linalg.norm(mean) / np.linalg.norm(around, axis=1, keepdims=True)
    assert np.linalg.norm(found - mean) == pytest.approx(0.5 * np.linalg.norm(mean), rel=1e-3)
    assert (rows @ found).min() >= ((mean + around) @ rows.T).min(1).max() - 1e-6


@pytest.mark.parametrize("objectives", [2, 3, 6])
@pytest.mark.parametrize("seed", range(4))
def test_nash_mtl_is_where_the_bargain_ends(objectives: int, seed: int) -> None:
    """The paper's condition, G a = 1 / a, of the Gramian over its norm as the authors' program has it."""
    rows = gradients(objectives, seed) / 10.0 ** np.arange(objectives)[:, None]
    gramian = rows @ rows.T
    weights = of(NashMTL(max_norm=None), rows)
    assert weights.min() > 0
    np.testing.assert_allclose(gramian / np.linalg.norm(gramian) @ weights, 1 / weights, rtol=1e-4)
    capped = of(NashMTL(max_norm=0.5), rows)
    assert np.linalg.norm(capped @ rows) == pytest.approx(0.5)
    np.testing.assert_allclose(capped / capped.sum(), weights / weights.sum())


@pytest.mark.parametrize("seed", range(3))
def test_imtl_g_goes_equally_far_along_each(seed: int) -> None:
    rows = gradients(3, seed)
    along = rows @ (of(IMTLG(), rows) @ rows) / np.linalg.norm(rows, axis=1)
    np.testing.assert_allclose(along, along[0], rtol=1e-6)


@pytest.mark.parametrize("balancer", [kind() for kind in COMBINING], ids=lambda b: b.kind)
@pytest.mark.parametrize(
    "rows", [[[1.0, 0.0], [-1.0, 0.0]], [[1.0, 2.0], [1.0, 2.0]], [[1.0, 0.0], [0.0, 1e-9]], [[3.0, 4.0]]], ids=str
)
def test_gradients_that_cancel_each_other_or_are_alike_break_nothing(
    balancer: GradientBalancer, rows: list[list[float]]
) -> None:
    combined = of(balancer, np.array(rows)) @ np.array(rows)
    assert np.isfinite(combined).all()
    assert np.linalg.norm(combined) < 20


def db_mtl(losses: Array, rows: Array) -> Array:
    """The combination as the authors' LibMTL has it, without its running mean."""
    logs = rows / (losses + 1e-8)[:, None]
    norms = np.linalg.norm(logs, axis=1)
    return (norms.max() / (norms + 1e-8)) @ logs


@pytest.mark.parametrize("seed", range(3))
def test_feature_normalisation_is_db_mtls(seed: int) -> None:
    rows, losses = gradients(3, seed), np.array([0.3, 4.0, 500.0])
    found = FeatureNorm("encoder").multipliers(rows @ rows.T, losses)
    np.testing.assert_allclose(found @ rows, db_mtl(losses, rows), rtol=1e-4)
    np.testing.assert_allclose(FeatureNorm("encoder").own(losses), 1 / losses, rtol=1e-6)
    plain = FeatureNorm("encoder", log=False)
    assert plain.own(losses).tolist() == [1.0, 1.0, 1.0]
    lengths = plain.multipliers(rows @ rows.T, losses) * np.linalg.norm(rows, axis=1)
    np.testing.assert_allclose(lengths, np.linalg.norm(rows, axis=1).max())


def test_a_loss_that_is_not_above_zero_keeps_its_direction() -> None:
    balancer = FeatureNorm("encoder")
    assert balancer.own(np.array([-3.0, 0.5])).round(6).tolist() == [1.0, 2.0]
    assert (balancer.multipliers(np.diag([4.0, 1.0]), np.array([-3.0, 0.5])) > 0).all()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: CAGrad(0.0), "cagrad: expected c above 0, got 0.0."),
        (lambda: NashMTL(-1.0), "nash_mtl: expected max_norm above 0, got -1.0."),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, told: str) -> None:
    with pytest.raises(LearnerError) as error:
        make()
    assert str(error.value) == told
