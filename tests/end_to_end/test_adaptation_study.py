"""Adapting to unlabelled rows on scikit-learn's digits: 1200 rows to learn from and to know, 597 to predict.

Figures and the command are in docs/results.md; the inequalities are the issue's.
"""

from __future__ import annotations

from functools import cache
from statistics import mean

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from jumpml.core import Task, ValueInfo
from jumpml.data import Column, DataLoaders, Noise, QuarterTurn, Shift
from jumpml.graph import Model, Node
from jumpml.learn import TTT, Adaptation, AdaptationMethod, BatchStatistics, Entropy, Learner, Phase, Probe
from jumpml.objectives import CrossEntropy, Pretext

pytestmark = pytest.mark.slow

SEEDS = tuple(range(10, 18))  # the guards were made on others
TRAIN, KNOWN = 1000, 200  # the 1200 rows with labels: of these the learner keeps 200, which its probe knows
BATCH = 64


@cache
def digits(seed: int) -> tuple[Tensor, Tensor]:
    """Pictures in [0, 1] and their digits, in an order of the seed's."""
    pixels, codes = load_digits(return_X_y=True)
    order = torch.randperm(len(codes), generator=torch.Generator().manual_seed(seed))
    return torch.tensor(pixels / 16, dtype=torch.float32).view(-1, 1, 8, 8)[order], torch.tensor(codes)[order]


def loaders_of(seed: int, test: Tensor | None = None, *, in_order: bool = False, turned: bool = False) -> DataLoaders:
    """The rows, those to predict changed, or sorted by their digit; with noise and shifts where turns are learned."""
    x, y = digits(seed)
    known = TRAIN + KNOWN
    x = x if test is None else torch.cat([x[:known], test])
    classes = tuple(map(str, range(10)))
    columns = {"image": Column(x, "image"), "digit": Column(y, "category", classes=classes)}
    rows = torch.arange(len(y))
    last = known + y[known:].argsort() if in_order else rows[known:]
    splits = {"train": rows[:TRAIN], "val": rows[TRAIN:known], "test": last}
    changes = {"image": [Noise(0.1), Shift(1)]} if turned else {}
    views = {"turned": {"image": [Noise(0.1), Shift(1), QuarterTurn()]}} if turned else {}
    how = {"features": {"image": []}, "augment": changes, "views": views}
    return DataLoaders(columns, splits, batch_size=BATCH, seed=seed, **how)


@cache
def learned(seed: int) -> Model:
    """The calibration's encoder, 64-256-128 with batch normalization, and a head."""
    torch.manual_seed(seed)
    layers = [
        *(nn.Flatten(), nn.Linear(64, 256), nn.BatchNorm1d(256), nn.ReLU()),
        *(nn.Linear(256, 128), nn.BatchNorm1d(128), nn.ReLU()),
    ]
    model = Model(
        inputs={"image": ValueInfo(shape=(1, 8, 8))},
        nodes={"encoder": Node(nn.Sequential(*layers), "image"), "out": Node(nn.Linear(128, 10), "encoder")},
        tasks={"digit": Task(kind="multiclass", output="out", target="digit")},
        objectives={"digit": CrossEntropy(("out", "digit"))},
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    phases = {"supervised": Phase(epochs=30)}
    Learner(loaders_of(seed), model, optimizer, phases=phases, seed=seed, record_examples=False).fit()
    return model


@cache
def learned_with_turns(seed: int) -> Model:
    """Two convolutions with group normalization, on which digits and quarter turns are told by a layer each."""
    torch.manual_seed(seed)
    layers = [
        *(nn.Conv2d(1, 32, 3, 1, 1), nn.GroupNorm(4, 32), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, 2, 1), nn.GroupNorm(4, 64), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()),
    ]
    loaders = loaders_of(seed, turned=True)
    turns = Pretext(("encoder", "image"), views="turned", when=("supervised", "test_time"))
    model = Model(
        inputs={"image": ValueInfo(shape=(1, 8, 8))},
        nodes={"encoder": Node(nn.Sequential(*layers), "image"), "out": Node(nn.Linear(256, 10), "encoder")},
        tasks={"digit": Task(kind="multiclass", output="out", target="digit")},
        objectives={"digit": CrossEntropy(("out", "digit")), "turns": turns},
        fields=loaders.fields,
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    phases = {"supervised": Phase(epochs=60)}
    Learner(loaders, model, optimizer, phases=phases, seed=seed, record_examples=False).fit()
    return model


def accuracies(model: Model, seed: int, loaders: DataLoaders, *ways: Adaptation) -> list[float]:
    """Of the model as it is, and adapted in each way."""
    learner = Learner(loaders, model, torch.optim.SGD(model.parameters(), lr=1.0), seed=seed)
    found = [learner.evaluate(["accuracy"])]
    found += [learner.evaluate(["accuracy"], adapt=learner.adapt(method=way)) for way in ways]
    return [results["digit/accuracy"].value for results in found]


def of_contrast(x: Tensor, factor: float) -> Tensor:
    """ImageNet-C's contrast: nearer to each picture's mean."""
    centre = x.mean((1, 2, 3), keepdim=True)
    return (x - centre) * factor + centre


def plasma(count: int, generator: torch.Generator) -> Tensor:
    """ImageNet-C's fog on 8 x 8 pixels: midpoints of squares and of diamonds, shaken half as much at each size.

    Returns:
        ``[count, 1, 8, 8]``, each picture from 0 to 1.
    """
    fog, wide, shaken = torch.zeros(count, 8, 8), 8, 1.0

    def shake() -> Tensor:
        return shaken * (2 * torch.rand(count, 8 // wide, 8 // wide, generator=generator) - 1)

    while wide > 1:
        half = wide // 2
        corners = fog[:, ::wide, ::wide]
        along, down = corners + corners.roll(-1, 2), corners + corners.roll(-1, 1)
        middles = (along + along.roll(-1, 1)) / 4 + shake()
        fog[:, half::wide, half::wide] = middles
        fog[:, ::wide, half::wide] = (along + middles + middles.roll(1, 1)) / 4 + shake()
        fog[:, half::wide, ::wide] = (down + middles + middles.roll(1, 2)) / 4 + shake()
        wide, shaken = half, shaken / 2
    fog -= fog.amin((1, 2), keepdim=True)
    return (fog / fog.amax((1, 2), keepdim=True)).unsqueeze(1)


def in_fog(x: Tensor, thickness: float, seed: int) -> Tensor:
    """ImageNet-C's, where 1.5 is the thinnest fog; on 8 x 8 pixels that hides more than on 224 x 224."""
    fog = plasma(len(x), torch.Generator().manual_seed(seed))
    top = x.amax((1, 2, 3), keepdim=True)
    return ((x + thickness * fog) * top / (top + thickness)).clamp(0, 1)


def shown(title: str, heads: tuple[str, ...], rows: list[list[float]]) -> list[float]:
    """Print each seed's figures with their means, and give the means."""
    print(f"\n{title}: {', '.join(heads)}")
    for seed, row in zip(SEEDS, rows, strict=True):
        print(seed, *(f"{value:.4f}" for value in row))
    means = [mean(column) for column in zip(*rows, strict=True)]
    print("mean", *(f"{value:.4f}" for value in means))
    return means


GUARDED: dict[str, AdaptationMethod] = {"statistics": BatchStatistics(), "entropy": Entropy()}


def test_statistics_give_back_what_a_change_of_contrast_took() -> None:
    """The issue's: at least .30."""
    ways = [Adaptation(method=method) for method in GUARDED.values()]
    rows = []
    for seed in SEEDS:
        x, _ = digits(seed)
        rows.append(accuracies(learned(seed), seed, loaders_of(seed, of_contrast(x[TRAIN + KNOWN :], 0.3)), *ways))
    plain, statistics, _ = shown("contrast .3", ("as it is", *GUARDED), rows)
    assert statistics - plain >= 0.30


def test_rows_sorted_by_class_do_no_damage_to_what_is_guarded() -> None:
    """The issue's: within .005 as a mean, where without guards it is .012 below, or more."""
    bare = {"statistics": BatchStatistics(), "TENT": Entropy(guarded=False)}
    ways = [Adaptation(method=method) for method in GUARDED.values()]
    ways += [Adaptation(method=method, probe=None) for method in bare.values()]
    rows = [accuracies(learned(seed), seed, loaders_of(seed, in_order=True), *ways) for seed in SEEDS]
    heads = ("as it is", *GUARDED, *(f"{name} without a probe" for name in bare))
    plain, statistics, entropy, bare_statistics, tent = shown("clean, sorted by class", heads, rows)
    assert abs(statistics - plain) <= 0.005
    assert abs(entropy - plain) <= 0.005
    assert bare_statistics <= plain - 0.012
    assert tent <= plain - 0.012
    assert Probe().tolerance == 0.05  # what was guarded had the default


def test_rows_of_training_in_any_order_lose_nothing() -> None:
    """Written down before: within .005 as a mean."""
    ways = [Adaptation(method=method) for method in GUARDED.values()]
    plain, *adapted = shown(
        "clean", ("as it is", *GUARDED), [accuracies(learned(seed), seed, loaders_of(seed), *ways) for seed in SEEDS]
    )
    assert all(abs(value - plain) <= 0.005 for value in adapted)


def test_fog_lifts_where_turns_are_learned_from_the_rows_to_predict() -> None:
    """The issue's: under fog at least .02 better, clean at most .01 worse. In thicker fog figures are given alone."""
    way = Adaptation(method=TTT(lr=2e-3))
    rows = []
    for seed in SEEDS:
        model, (x, _) = learned_with_turns(seed), digits(seed)
        test = x[TRAIN + KNOWN :]
        tests = [test, *(in_fog(test, thickness, seed) for thickness in (0.5, 0.8, 1.5))]
        rows.append([v for rows in tests for v in accuracies(model, seed, loaders_of(seed, rows, turned=True), way)])
    heads = [f"{name}{after}" for name in ("clean", "fog .5", "fog .8", "fog 1.5") for after in ("", " adapted")]
    clean, clean_adapted, fog, fog_adapted, *_ = shown("test-time training by quarter turns", tuple(heads), rows)
    assert fog_adapted - fog >= 0.02
    assert clean_adapted - clean >= -0.01
