"""Mahalanobis and nearest-neighbour distances against their definitions, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors

from jumpml.core import DiagnosisError
from jumpml.diagnose import KNN, Mahalanobis


def _rows(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_mahalanobis_equals_scikit_learn() -> None:
    train, other = _rows(200, 6, 0) @ _rows(6, 6, 1), _rows(50, 6, 2)
    expected = np.sqrt(LedoitWolf().fit(train.double().numpy()).mahalanobis(other.double().numpy()))
    np.testing.assert_allclose(Mahalanobis.fit(train).score(other).numpy(), expected, rtol=1e-4)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.1, 10), turn=st.floats(0, 6.28))
def test_mahalanobis_is_blind_to_scale_and_turn(seed: int, scale: float, turn: float) -> None:
    train, other = _rows(100, 2, seed), _rows(10, 2, seed + 1)
    rotation = torch.tensor([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]], dtype=torch.float32)
    changed = Mahalanobis.fit(scale * train @ rotation).score(scale * other @ rotation)
    torch.testing.assert_close(changed, Mahalanobis.fit(train).score(other), rtol=1e-3, atol=1e-3)


def test_mahalanobis_bears_dead_units_and_few_rows() -> None:
    train = torch.cat([_rows(5, 3, 0), torch.zeros(5, 20)], dim=1)
    assert Mahalanobis.fit(train).score(train).isfinite().all()
    assert Mahalanobis.fit(torch.ones(4, 3)).score(torch.ones(2, 3)).tolist() == [0, 0]


def test_mahalanobis_can_be_rebuilt_from_its_tensors() -> None:
    train, other = _rows(60, 4, 0), _rows(7, 4, 1)
    fitted = Mahalanobis.fit(train)
    assert fitted.mean.shape == (4,)
    assert fitted.precision.shape == (4, 4)
    assert fitted.mean.dtype == fitted.precision.dtype == torch.float32
    assert torch.equal(Mahalanobis(fitted.mean, fitted.precision).score(other), fitted.score(other))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 40))
def test_knn_equals_scikit_learn(seed: int, k: int) -> None:
    train, other = _rows(40, 5, seed), _rows(9, 5, seed + 1)
    unit = [(x / x.norm(dim=1, keepdim=True)).numpy() for x in (train, other)]
    expected = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(unit[0]).kneighbors(unit[1])[0][:, -1]
    np.testing.assert_allclose(KNN.fit(train, k=k).score(other).numpy(), expected, atol=2e-3)


def test_knn_looks_at_direction_only() -> None:
    train, other = _rows(30, 4, 0), _rows(5, 4, 1)
    torch.testing.assert_close(KNN.fit(train).score(7 * other), KNN.fit(3 * train).score(other))


def test_knn_works_in_chunks() -> None:
    train, other = _rows(20, 3, 0), _rows(2050, 3, 1)
    knn = KNN.fit(train, k=2)
    torch.testing.assert_close(knn.score(other)[1020:1030], knn.score(other[1020:1030]))


def test_wrong_embeddings_are_refused() -> None:
    for method in (Mahalanobis, KNN):
        with pytest.raises(DiagnosisError, match=r"must be \[rows, width\] with at least one row; got \[3, 2, 2\]"):
            method.fit(torch.zeros(3, 2, 2))
        with pytest.raises(DiagnosisError, match="at least one row"):
            method.fit(torch.zeros(0, 2))
        with pytest.raises(DiagnosisError, match="not finite; look for the node that makes them"):
            method.fit(torch.tensor([[1.0], [torch.nan]]))


@pytest.mark.parametrize("k", [0, 4])
def test_an_impossible_k_is_refused(k: int) -> None:
    with pytest.raises(DiagnosisError, match=f"k must be from 1 to the number of train rows, 3; got {k}"):
        KNN.fit(torch.eye(3), k=k)
