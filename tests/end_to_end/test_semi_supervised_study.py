"""Digits with two labels a class: what the rows without a label add to supervision with the same augmentation.

Figures and the command are in docs/results.md. The inequalities were written down before the runs; strengths and
thresholds are the papers' or round numbers, and nothing was chosen by test rows.
"""

from __future__ import annotations

from functools import cache
from statistics import mean
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from jumpml.core import Task, WeightSchedule
from jumpml.data import Affine, Column, DataLoaders, Erase, Mixture, Noise, Shift, Shuffled
from jumpml.evaluate import score
from jumpml.graph import Model, Node
from jumpml.learn import Learner, Phase
from jumpml.objectives import CrossEntropy, FixMatch, MeanTeacher, PseudoLabel

pytestmark = pytest.mark.slow
CONFIRMED = "a model that decides on the very rows that it learns from confirms what it thinks already"

TRAIN, LABELS, EPOCHS = 1200, 2, 60
SEEDS = range(8)
STRONG = [Affine(17, 0.25, (0.8, 1.2)), Noise(0.1), Erase(0.15, 1.0)]
METHODS: dict[str, Any] = {
    "supervised": lambda: None,
    "pseudo_label": lambda: decided(0.95),
    "pseudo_label at .7": lambda: decided(0.7),
    "pseudo_label of every row": lambda: decided(0.05),  # below one over the number of classes
    "fixmatch": lambda: FixMatch("out", views=("weak", "strong")),
    "mean_teacher": lambda: MeanTeacher(
        "out", views="strong", momentum=0.99, weight=WeightSchedule(start=0, end=50, over=15)
    ),
}


def decided(threshold: float) -> PseudoLabel:
    return PseudoLabel(("out", "digit"), threshold=threshold, weight=WeightSchedule(start=0, end=1, over=30))


def rows(seed: int) -> DataLoaders:
    """All train rows, two a class with their label; a batch has 16 of those and 112 of any."""
    digits: Any = load_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(seed))
    train, test = order[:TRAIN], order[TRAIN:]
    truth = torch.from_numpy(digits.target)
    known = torch.cat([train[truth[train] == digit][:LABELS] for digit in range(10)])
    codes = torch.full_like(truth, -1)
    codes[known], codes[test] = truth[known], truth[test]
    columns = {
        "image": Column(torch.from_numpy(digits.images).float().unsqueeze(1) / 16, "image", range=(0, 16)),
        "digit": Column(codes, "category", classes=tuple("0123456789")),
    }
    labelled = (codes[train] >= 0).nonzero().flatten()
    pools = {"labelled": Shuffled(labelled), "all": Shuffled(torch.arange(TRAIN))}
    return DataLoaders(
        columns,
        {"train": train, "val": test[:1], "test": test[1:]},
        features={"image": []},
        augment={"image": STRONG},
        views={"weak": {"image": [Shift(1)]}, "strong": {"image": STRONG}},
        batch_size=128,
        order=Mixture(pools, {"labelled": 1, "all": 7}),
    )


def accuracy(method: str, seed: int) -> float:
    loaders = rows(seed)
    torch.manual_seed(seed)
    layers = [nn.Flatten(), nn.Linear(64, 256), nn.BatchNorm1d(256), nn.ReLU()]
    layers += [nn.Linear(256, 128), nn.BatchNorm1d(128), nn.ReLU()]
    nodes = {"encoder": Node(nn.Sequential(*layers), "image"), "out": Node(nn.Linear(128, 10), "encoder")}
    added = METHODS[method]()
    model = Model(
        inputs={"image": loaders.info("image")},
        nodes=nodes,
        tasks={"digit": Task(kind="multiclass", output="out", target="digit")},
        objectives={"digit": CrossEntropy(("out", "digit"))} | ({"added": added} if added else {}),
        fields=loaders.fields,
        seed=seed,
    )
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    learner = Learner(loaders, model, adam, phases={"supervised": Phase(epochs=EPOCHS)}, seed=seed)
    learner.fit()
    return score(loaders, model, ["digit/accuracy"], split="test")["digit/accuracy"]


@cache
def figures(method: str) -> list[float]:
    found = [accuracy(method, seed) for seed in SEEDS]
    print(f"{method}: mean {mean(found):.3f}; {' '.join(f'{value:.3f}' for value in found)}")
    return found


def gains(method: str) -> list[float]:
    return [value - base for value, base in zip(figures(method), figures("supervised"), strict=True)]


def test_fixmatch_adds_a_twentieth() -> None:
    assert mean(gains("fixmatch")) >= 0.05
    assert sum(gain > 0 for gain in gains("fixmatch")) >= 7


def test_a_mean_teacher_adds() -> None:
    assert mean(gains("mean_teacher")) > 0


@pytest.mark.xfail(reason=CONFIRMED, strict=True, raises=AssertionError)
@pytest.mark.parametrize("method", ["pseudo_label", "pseudo_label at .7", "pseudo_label of every row"])
def test_pseudo_labels_add(method: str) -> None:
    assert mean(gains(method)) > 0
