"""Figures of embeddings against what they are by hand, by definition or by another's code."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from jumpml.core import EvaluationError
from jumpml.evaluate import (
    EMBEDDING_FIGURES,
    _embeddings,
    alignment,
    higher_is_better,
    knn,
    linear_probe,
    rank_me,
    spread,
    uniformity,
)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def classes(count: int, of: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.randint(of, (count,), generator=torch.Generator().manual_seed(seed))


def test_rank_me_of_singular_values_that_are_known() -> None:
    left, right = torch.linalg.qr(normal(30, 5)).Q, torch.linalg.qr(normal(5, 5)).Q
    values = torch.tensor([4.0, 3.0, 2.0, 1.0, 0.0])
    # shares .4, .3, .2, .1: exp(-sum p ln p) = 3.5955, by hand
    assert rank_me(left @ values.diag() @ right) == pytest.approx(3.5955, abs=1e-3)


@given(rows=st.integers(2, 20), width=st.integers(2, 12), seed=st.integers(0, 99))
def test_rank_me_is_between_one_and_the_smaller_side_and_knows_no_rotation(rows: int, width: int, seed: int) -> None:
    embeddings = normal(rows, width, seed=seed)
    found = rank_me(embeddings)
    assert 1 <= found <= min(rows, width) + 1e-3
    rotated = embeddings @ torch.linalg.qr(normal(width, width, seed=seed + 1)).Q
    assert rank_me(3 * rotated) == pytest.approx(found, rel=1e-4)
    assert rank_me(embeddings[:, :1].expand(-1, width)) == pytest.approx(1, abs=1e-3)


def test_alignment_and_uniformity_by_the_authors_own_code() -> None:
    """https://github.com/SsnL/align_uniform, lalign with alpha 2 and lunif with t 2, on unit embeddings."""
    first, second = normal(50, 6), normal(50, 6, seed=1)
    x, y = (torch.nn.functional.normalize(value.double(), dim=1) for value in (first, second))
    assert alignment(first, second) == pytest.approx(float((x - y).norm(dim=1).pow(2).mean()), rel=1e-9)
    by_pairs = float(torch.pdist(x).pow(2).mul(-2).exp().mean().log())
    assert uniformity(first) == pytest.approx(by_pairs, rel=1e-9)
    assert uniformity(torch.eye(3)) == pytest.approx(-4)
    assert alignment(first, 5 * first) == pytest.approx(0, abs=1e-12)


def test_spread_is_one_on_the_sphere_and_nothing_where_all_are_one() -> None:
    assert spread(normal(20_000, 16)) == pytest.approx(1, abs=0.01)
    assert spread(torch.ones(5, 4) + 1e-4 * normal(5, 4)) < 1e-3
    # unit vectors (1, 0) and (0, 1) as often: each dimension has deviation .5, times the root of 2
    assert spread(torch.tensor([[2.0, 0.0], [0.0, 3.0]])) == pytest.approx(0.5 * math.sqrt(2))


def test_a_linear_probe_is_logistic_regression_on_standardised_embeddings() -> None:
    train, labels, rows, truths = normal(90, 5), classes(90), normal(400, 5, seed=1), classes(400, seed=1)
    train[:, 0] += labels
    rows[:, 0] += truths
    scaler = StandardScaler().fit(train.double().numpy())
    fitted = LogisticRegression(C=0.5, max_iter=1000).fit(scaler.transform(train.double().numpy()), labels.numpy())
    expected = fitted.score(scaler.transform(rows.double().numpy()), truths.numpy())
    assert linear_probe(train, labels, rows, truths, penalty=2.0) == expected
    assert linear_probe(7 * train + 3, labels, 7 * rows + 3, truths, penalty=2.0) == pytest.approx(expected, abs=0.01)


def test_a_dimension_that_never_changes_says_nothing() -> None:
    train, labels = normal(30, 2), classes(30)
    with_constant = torch.cat([train, torch.full((30, 1), 7.0)], 1)
    assert linear_probe(with_constant, labels, with_constant, labels) == linear_probe(train, labels, train, labels)


def test_nearest_neighbours_vote_by_their_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    train, labels, rows, truths = normal(60, 4), classes(60), normal(50, 4, seed=1), classes(50, seed=1)

    def weights(distance: np.ndarray) -> np.ndarray:
        return np.exp((1 - distance) / 0.1)

    by_nearness: Any = weights  # scikit-learn says that it is a text
    voters = KNeighborsClassifier(7, metric="cosine", weights=by_nearness).fit(train.numpy(), labels.numpy())
    expected = voters.score(rows.numpy(), truths.numpy())
    assert knn(train, labels, rows, truths, neighbours=7, temperature=0.1) == pytest.approx(expected)
    monkeypatch.setattr(_embeddings, "BLOCK", 130)  # two rows at a time
    assert knn(train, labels, rows, truths, neighbours=7, temperature=0.1) == pytest.approx(expected)
    before = uniformity(train)
    monkeypatch.setattr(_embeddings, "BLOCK", 10**6)
    assert uniformity(train) == pytest.approx(before, rel=1e-12)


def test_more_neighbours_than_rows_are_all_rows_and_a_cold_vote_does_not_overflow() -> None:
    train, labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1])
    assert knn(train, labels, train, labels, neighbours=99, temperature=1e-4) == 1.0


def test_which_way_is_better_is_known_of_each() -> None:
    assert {name: higher_is_better(name) for name in EMBEDDING_FIGURES} == dict(EMBEDDING_FIGURES)
    assert higher_is_better("alignment") is False
    assert higher_is_better("rank_me") is True


NAN = torch.full((2, 2), math.nan)
CODES = torch.tensor([0, 1])
PLANE = torch.eye(2)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: rank_me(torch.ones(3)), r"expected embeddings \[rows, width\] of one row or more, got \[3\]"),
        (lambda: spread(torch.ones(1, 3)), r"of two rows or more, got \[1, 3\]"),
        (lambda: uniformity(NAN), "numbers that are not finite; look for the node that makes them"),
        (lambda: alignment(PLANE, torch.ones(2, 3)), r"two views of the same rows, got \[2, 2\] and \[2, 3\]"),
        (lambda: knn(PLANE, CODES.float(), PLANE, CODES), r"a class a row, int64 from 0 on; got torch.float32 \[2\]"),
        (lambda: knn(PLANE, CODES - 1, PLANE, CODES), "Leave rows without a label out"),
        (
            lambda: knn(PLANE, CODES, PLANE, CODES, neighbours=0),
            "one neighbour or more and a temperature above 0",
        ),
        (lambda: knn(PLANE, CODES, torch.ones(2, 3), CODES), "embeddings of one width, got 2 and 3"),
        (lambda: linear_probe(PLANE, CODES * 0, PLANE, CODES), "train rows of two classes or more; they are of one"),
    ],
)
def test_what_cannot_be_measured_is_said(call, text: str) -> None:
    with pytest.raises(EvaluationError, match=text):
        call()
