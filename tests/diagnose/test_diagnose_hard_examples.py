"""Hard examples against labels that were made wrong on purpose."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from jumpml.core import ExampleHistory
from jumpml.diagnose._hard_examples import rank_hardness

FLIPPED = 0.05  # share of labels that the test makes wrong


def _history(margin: list[list[float]], predicted: list[list[int]] | None = None) -> ExampleHistory:
    margins = np.array(margin, dtype=np.float32)
    decisions = np.zeros(margins.shape, dtype=np.int64) if predicted is None else np.array(predicted)
    return ExampleHistory(rows=np.arange(margins.shape[1]), loss=-margins, margin=margins, predicted=decisions)


@pytest.fixture(scope="module")
def noisy() -> tuple[ExampleHistory, np.ndarray, np.ndarray]:
    """A bare training loop on digits with 5% of the labels flipped: its record, its labels, and which are wrong."""
    images, labels = load_digits(return_X_y=True)
    draw = np.random.default_rng(0)
    wrong = draw.random(len(labels)) < FLIPPED
    given = np.where(wrong, (labels + draw.integers(1, 10, len(labels))) % 10, labels)
    inputs, targets = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(given)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    kept: dict[str, list[np.ndarray]] = {"loss": [], "margin": [], "predicted": []}
    for epoch in range(12):
        logits = torch.empty(len(inputs), 10)
        for batch in torch.randperm(len(inputs), generator=torch.Generator().manual_seed(epoch)).split(64):
            output = model(inputs[batch])
            logits[batch] = output.detach()
            optimizer.zero_grad()
            F.cross_entropy(output, targets[batch]).backward()
            optimizer.step()
        own = logits.gather(1, targets[:, None])
        others = logits.scatter(1, targets[:, None], -torch.inf).amax(1)
        kept["loss"].append(F.cross_entropy(logits, targets, reduction="none").numpy())
        kept["margin"].append((own[:, 0] - others).numpy())
        kept["predicted"].append(logits.argmax(1).numpy())
    arrays = {key: np.stack(values) for key, values in kept.items()}
    return ExampleHistory(rows=np.arange(len(labels)), **arrays), given, wrong


def test_flipped_labels_come_first(noisy: tuple[ExampleHistory, np.ndarray, np.ndarray]) -> None:
    history, given, wrong = noisy
    found = rank_hardness(history, given)
    count = int(wrong.sum())
    assert wrong[found.position[:count]].mean() >= 3 * wrong.mean()  # as many rows as were flipped, hardest first


def test_suspicious_rows_are_mostly_flipped_ones(noisy: tuple[ExampleHistory, np.ndarray, np.ndarray]) -> None:
    history, given, wrong = noisy
    found = rank_hardness(history, given)
    suspects = found.position[found.suspicious]
    assert wrong[suspects].mean() >= 3 * wrong.mean()  # precision
    assert wrong[suspects].sum() >= 0.5 * wrong.sum()  # recall


def test_the_suggestion_is_mostly_the_true_label(noisy: tuple[ExampleHistory, np.ndarray, np.ndarray]) -> None:
    history, given, wrong = noisy
    found = rank_hardness(history, given)
    flipped = found.suspicious & wrong[found.position]
    true = load_digits(return_X_y=True)[1][found.position]
    assert (found.preferred == true)[flipped].mean() > 0.5  # chance is 1 in 9


def test_lowest_mean_margin_first() -> None:
    found = rank_hardness(_history([[3.0, -1.0, 0.0], [3.0, -2.0, 1.0]]), None)
    assert found.position.tolist() == [1, 2, 0]
    assert found.margin.tolist() == [-1.5, 0.5, 3.0]
    assert found.loss.tolist() == [1.5, -0.5, -3.0]


def test_a_row_is_suspicious_only_late_low_and_of_one_mind() -> None:
    # Late: row 0 is against and of one mind; row 1 has no majority; row 2 was learned; row 3 is mostly decided right;
    # row 4 is mostly decided otherwise, but by a hair, and once right by far.
    margin = [[-1.0] * 5] * 3 + [[-1.0, -1.0, 2.0, -1.0, -0.1]] * 2 + [[-1.0, -1.0, 2.0, 0.5, 5.0]]
    predicted = [[2] * 5] * 3 + [[2, 2, 0, 0, 2], [2, 3, 0, 0, 2], [2, 4, 0, 2, 0]]
    found = rank_hardness(_history(margin, predicted), np.zeros(5, dtype=np.int64))
    assert found.position[found.suspicious].tolist() == [0]


def test_rows_without_a_target_are_left_out() -> None:
    found = rank_hardness(_history([[np.nan, 1.0], [np.nan, 3.0]]), None)
    assert found.position.tolist() == [1]
    assert found.margin.tolist() == [2.0]


def test_regression_has_neither_suspects_nor_suggestions() -> None:
    found = rank_hardness(_history([[-9.0, -1.0], [-9.0, -1.0]]), None)
    assert not found.suspicious.any()
    assert found.preferred.tolist() == [-1, -1]
