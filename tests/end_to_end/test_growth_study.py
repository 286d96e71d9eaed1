"""Growth from 6 to 48 units, twice, on scikit-learn's digits: how fast what is new learns, and whether it adds much.

Figures and the command are in docs/results.md. The first inequality is the issue's; the others were written down after
trials on seeds 0 to 2, and hold for seeds that were not looked at before.
"""

from __future__ import annotations

from functools import cache
from statistics import mean
from typing import Literal

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from jumpml.core import Task, ValueInfo
from jumpml.data import Column, DataLoaders
from jumpml.graph import Model, Node, Widen
from jumpml.learn import Learner, Phase
from jumpml.objectives import EWC, CrossEntropy

pytestmark = pytest.mark.slow

SEEDS = (10, 11, 12, 13, 14)
TRAIN, REACHED = 1200, 0.1
FIRST, SECOND = 800, 1000  # steps before the growth from 6 to 18 units, and before that from 18 to 48
LONG = 8000  # steps that the net without growth is given
Moments = Literal["taken along", "reset", "filled with the mean"]


@cache
def digits() -> tuple[Tensor, Tensor]:
    images, codes = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(codes))
    return torch.from_numpy((images[order] / 16).astype(np.float32)), torch.from_numpy(codes[order])


def make(seed: int) -> Learner:
    x, y = digits()
    torch.manual_seed(seed)
    model = Model(
        inputs={"x": ValueInfo(shape=(64,))},
        nodes={
            "encoder": Node(nn.Sequential(nn.Linear(64, 6), nn.ReLU()), "x"),
            "out": Node(nn.Linear(6, 10), "encoder"),
        },
        tasks={"digit": Task(kind="multiclass", output="out", target="y")},
        objectives={"digit": CrossEntropy(("out", "y")), "keep": EWC("all", when="later")},
    )
    classes = tuple(map(str, range(10)))
    columns = {"x": Column(x, "tensor"), "y": Column(y, "category", classes=classes)}
    rows = torch.arange(len(y))
    splits = {"train": rows[:TRAIN], "val": rows[TRAIN:1500], "test": rows[1500:]}
    loaders = DataLoaders(columns, splits, features={"x": []}, batch_size=64)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    phases = {"supervised": Phase(), "later": Phase(epochs=1, train=("all",))}
    return Learner(loaders, model, optimizer, phases=phases, ema=0.99, record_examples=False)


def learn(learner: Learner, steps: int, draws: torch.Generator) -> None:
    x, y = digits()
    for _ in range(steps):
        rows = torch.randint(0, TRAIN, (64,), generator=draws)
        learner.step({"x": x[rows], "y": y[rows]})


def loss(model: Model) -> float:
    x, y = digits()
    with torch.no_grad():
        return float(F.cross_entropy(model({"x": x[:TRAIN]})["digit"], y[:TRAIN]))


def told(learner: Learner) -> list[Tensor]:
    """Outputs, the average's, and the penalty."""
    x, _ = digits()
    assert learner.ema_model is not None
    with torch.no_grad():
        outputs = [model({"x": x})["digit"] for model in (learner.model, learner.ema_model)]
        return [*outputs, learner.model.objectives["keep"]().value]


def grow(learner: Learner, factor: float, moments: Moments) -> float:
    """Widen the encoder; the largest difference of what `told` says."""
    before = told(learner)
    nothing = {name: torch.zeros_like(own) for name, own in learner.model.named_parameters()}
    growth = learner.grow(Widen("encoder", factor))
    if moments == "reset":
        learner.optimizer.state.clear()
    if moments == "filled with the mean":
        for name in growth.index_map.axes:
            second = learner.optimizer.state[growth.after[name]]["exp_avg_sq"]
            old = nothing[growth.index_map.before[name]]
            fresh = growth.index_map.carry(name, old, torch.ones_like(second)) > 0
            second[fresh] = second[~fresh].mean()
    return max(float((now - then).abs().max()) for now, then in zip(told(learner), before, strict=True))


@cache
def grown(seed: int, moments: Moments) -> tuple[int, float, float]:
    """Steps after the second growth to the loss, the largest difference at growth, and the loss 2,000 steps later."""
    learner, draws = make(seed), torch.Generator().manual_seed(seed)
    learn(learner, FIRST, draws)
    learner.consolidate()
    differences = [grow(learner, 3.0, moments)]
    learn(learner, SECOND - FIRST, draws)
    differences.append(grow(learner, 8 / 3, moments))
    assert learner.model.values["encoder"].shape == (48,)
    steps = 0
    while loss(learner.model) > REACHED:
        learn(learner, 5, draws)
        steps += 5
    learn(learner, 2000 - steps, draws)
    return steps, max(differences), loss(learner.model)


def test_what_has_grown_learns_sooner_than_with_moments_that_begin_anew() -> None:
    kept, reset, filled = (
        [grown(s, way)[0] for s in SEEDS] for way in ("taken along", "reset", "filled with the mean")
    )
    print(f"steps to a loss of .1: taken along {kept}, reset {reset}, filled with the mean {filled}")
    assert mean(kept) <= 0.8 * mean(reset)
    assert mean(filled) >= 2 * mean(reset)  # the known trap: that is how one sees that this study can tell


def test_outputs_averages_and_penalties_stay() -> None:
    differences = [grown(seed, "taken along")[1] for seed in SEEDS]
    print(f"largest differences: {differences}")
    assert max(differences) <= 1e-4


def test_capacity_is_gained() -> None:
    alone, wide = [], [grown(seed, "taken along")[2] for seed in SEEDS]
    for seed in SEEDS:
        learner, draws = make(seed), torch.Generator().manual_seed(seed)
        learn(learner, LONG, draws)
        alone.append(loss(learner.model))
    print(f"loss of 48 units after 3,000 steps in all {wide}, of 6 after {LONG:,} {alone}")
    assert all(one < other for one, other in zip(wide, alone, strict=True))
