"""Learners for several processes, and runs of them with teachers, paced rows and weighed rows."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from several import weights_of
from taught import two_tasks
from torch import nn

from jumpml.curriculum import TSCL, Exp3S, RootPacing, SelfPaced, SuperLoss
from jumpml.data import Column, DataLoaders, Mixture, Noise, Shuffled, Weighted
from jumpml.learn import (
    SPG,
    Classes,
    Difficulty,
    GradientNorm,
    Hook,
    Learner,
    LossDrop,
    LossReward,
    MetricGain,
    Pace,
    Phase,
    PredictionGain,
    Prioritizing,
    TargetGain,
    Teaching,
    Tempering,
    Views,
    Weighing,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from jumpml.core import Objective

SIZES = {"a": 26, "b": 14, "c": 9}  # train rows of each data set: no batch has a last one of fewer than four


def make_loaders(*, noise: float = 0.0, drawn: float = 0.0, again: bool = False) -> DataLoaders:
    """Three data sets: four numbers, a class of three, and a number that every third row lacks.

    Args:
        noise: How much of it is added; each process draws its own.
        drawn: How much of it makes the views; likewise.
        again: Whether rows may come several times an epoch.
    """
    train, generator = sum(SIZES.values()), torch.Generator().manual_seed(3)
    rows, x = torch.arange(train + 20), torch.randn(train + 20, 4, generator=generator)
    size, kind = x.sum(1, keepdim=True), x[:, :3].argmax(1)
    size[::3] = torch.nan
    ends = torch.tensor([0, *SIZES.values()]).cumsum(0).tolist()
    pools = {name: Shuffled(torch.arange(*ends)) for name, ends in zip(SIZES, pairwise(ends), strict=True)}
    some = {"all": Weighted(torch.arange(train), x[:train, 0].abs())} if again else pools
    return DataLoaders(
        {
            "x": Column(x, "tensor"),
            "kind": Column(kind, "category", classes=("red", "green", "blue")),
            "size": Column(size, "number"),
        },
        {"train": rows[:train], "val": rows[train:-4], "test": rows[-4:]},
        augment={"x": [Noise(noise)]} if noise else {},
        views={"weak": {"x": [Noise(drawn)]}, "strong": {"x": [Noise(2 * drawn)]}},
        batch_size=9,
        order=Mixture(some),
        difficulty=x[:, 3].abs(),
    )


def make_learner(
    *hooks: Hook,
    loaders: DataLoaders | None = None,
    norm: bool = False,
    objectives: Mapping[str, Objective] | None = None,
    phases: Mapping[str, Phase] | None = None,
    **options: Any,
) -> Learner:
    """A learner of two tasks, with batch normalization where it is asked for."""
    loaders = loaders or make_loaders()
    layers = [nn.BatchNorm1d(8)] if norm else []
    model = two_tasks(loaders, lambda: nn.Sequential(nn.Linear(4, 8), *layers, nn.Tanh()), objectives or {}, when="all")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    phases = phases or {"supervised": Phase(epochs=3)}
    return Learner(loaders, model, optimizer, phases=phases, hooks=hooks, distribute="ddp", **options)


def ended(learner: Learner, *told: Hook) -> dict[str, Any]:
    """What a run ends with: weights, figures, what hooks remember of rows and arms."""
    learner.fit()
    history = learner.history
    return {
        "weights": weights_of(learner),
        "losses": [epoch.losses for epoch in history.epochs],
        "course": [point.figures for point in history.course],
        "hooks": [hook.state_dict() for hook in told],
    }


def taught(
    arms: Any, reward: Any, teacher: Any = Exp3S, *, every: int = 1, noise: float = 0.0, **options: Any
) -> Callable[[Path], Any]:
    def run(folder: Path) -> dict[str, Any]:
        hook = Teaching(teacher(), arms, reward(), floor=0.2, every=every)
        found = ended(make_learner(hook, loaders=make_loaders(noise=noise, drawn=noise), **options), hook)
        (state,) = found["hooks"]
        return {**found, "hooks": [{key: state["choices"][key] for key in ("places", "fresh")}, state["teacher"]]}

    return run


def with_rows(hook: Callable[[], Hook], *, again: bool = False, **options: Any) -> Callable[[Path], Any]:
    def run(folder: Path) -> dict[str, Any]:
        made = hook()
        return ended(make_learner(made, loaders=make_loaders(again=again), **options), made)

    return run


PACED = RootPacing(start=0.3, over=0.8)

CASES: dict[str, Callable[[Path], Any]] = {
    "spg of data sets": taught("datasets", SPG),
    "target_gain of tasks": taught("tasks", TargetGain),
    "prediction_gain of classes": taught(Classes("kind", share=0.6), PredictionGain),
    "loss of difficulties": taught(Difficulty(3), LossReward, accumulate=2),
    "loss_drop of data sets and tasks": taught(["datasets", "tasks"], LossDrop, TSCL, every=3),
    "loss of classes": taught(Classes("kind", share=1), lambda: LossReward(["kind"]), accumulate=2),
    "gradient_norm of objectives": taught("objectives", GradientNorm),
    "metric_gain of tasks": taught("tasks", MetricGain),
    "views and noise": taught(Views(["plain", "weak", "strong"]), SPG, noise=0.1, norm=True),
    "pacing by data": with_rows(lambda: Pace(PACED)),
    "pacing by own": with_rows(lambda: Pace(PACED, "own"), accumulate=2),
    "self_paced": with_rows(lambda: Weighing(SelfPaced("linear")), again=True),
    "super_loss of classes": with_rows(lambda: Weighing(SuperLoss("classes"), ["kind"])),
    "super_loss of averages": with_rows(lambda: Weighing(SuperLoss("average")), accumulate=2),
    "prioritized": with_rows(Prioritizing),
    "data_parameters": with_rows(Tempering),
}
