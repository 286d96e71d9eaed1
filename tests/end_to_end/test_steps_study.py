"""Sounds and series whose steps were learned from first, then few labels: against the same net with its first weights.

Figures and the command are in docs/results.md. The inequalities were written down before the runs.
"""

from __future__ import annotations

from functools import cache
from statistics import mean
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import jumpml
from jumpml.blocks import TCN, Pool
from jumpml.core import Task
from jumpml.data import Column, DataLoaders, LogMel, MaskSteps, Mixture, Scale, Shuffled, Standardize
from jumpml.evaluate import score
from jumpml.graph import Model, Node
from jumpml.learn import Learner, Phase
from jumpml.objectives import CPC, CrossEntropy, MeanSquaredError, NextValue, TS2Vec

pytestmark = pytest.mark.slow
if TYPE_CHECKING:
    from pathlib import Path

SEEDS = range(5)


class Frames(nn.Module):
    """A spectrogram ``[batch, 1, bands, frames]`` as a vector a frame, each for itself."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(32, 64)

    def forward(self, spectrogram: Tensor) -> Tensor:
        return torch.relu(self.layer(spectrogram.squeeze(1).transpose(1, 2)))


@cache
def recordings(data: Path) -> dict[str, Any]:
    """1,000 recordings to train on, and the set's own test: takes 0 to 4 of everybody."""
    fields = {"audio": {"kind": "audio", "rate": 8000, "samples": 6000}, "digit": {"kind": "category"}}
    source = {"kind": "audio", "path": "fsdd_recordings.zip", "pattern": "{digit}_{speaker}_{take}.wav"}
    split = {"column": "take", "values": {"test": [*"01234"], "val": [*"56789"]}}
    spec = {
        "root": str(data / "fsdd_spoken_digits"),
        "datasets": {"d": {"source": source, "fields": fields, "split": split}},
    }
    loaders = jumpml.create_dataloader(spec)
    chosen = torch.randperm(len(loaders.train.rows), generator=torch.Generator().manual_seed(0))[:1000]
    parts = {"train": (loaders.train, chosen), "test": (loaders.test, torch.arange(len(loaders.test.rows)))}
    return {name: [loader.take(field, rows) for field in fields] for name, (loader, rows) in parts.items()}


def sounds(data: Path, seed: int) -> DataLoaders:
    """Two labels a digit."""
    (train, truth), (test, told) = recordings(data).values()
    order = torch.randperm(len(truth), generator=torch.Generator().manual_seed(seed))
    known = torch.cat([order[truth[order] == digit][:2] for digit in range(10)])
    codes = torch.full_like(truth, -1)
    codes[known] = truth[known]
    columns = {
        "audio": Column(torch.cat([train, test]), "audio"),
        "digit": Column(torch.cat([codes, told]), "category", classes=tuple("0123456789")),
    }
    features = {"audio": [LogMel(mels=32, window=256, hop=128, rate=8000), Standardize()]}
    return split(columns, len(truth), known, features, batch_size=50)


@cache
def windows(data: Path) -> tuple[Tensor, Tensor]:
    """ETTh1 in windows of 96 hours and the oil temperature of the 24 after, every 12 hours, by deviation."""
    table = np.loadtxt(data / "ett_small" / "ETTh1.csv", delimiter=",", skiprows=1, usecols=range(1, 8))
    values = torch.from_numpy(table).float()
    first = values[: int(0.6 * len(values))]
    values = (values - first.mean(0)) / first.std(0)
    both = values.unfold(0, 120, 12).transpose(1, 2)
    return both[:, :96].contiguous(), both[:, 96:, 6:].contiguous()


def series(data: Path, seed: int) -> DataLoaders:
    """The first three fifths to learn from, 30 of them with what comes after; the last fifth for the test."""
    history, coming = windows(data)
    count = int(0.6 * len(history))
    known = torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:30]
    target = torch.full_like(coming, float("nan"))
    target[known] = coming[known]
    target[int(0.8 * len(history)) :] = coming[int(0.8 * len(history)) :]
    columns = {"history": Column(history, "series"), "coming": Column(target, "series")}
    return split(columns, count, known, {"history": []}, batch_size=30, test=int(0.8 * len(history)))


def split(
    columns: dict[str, Column], count: int, known: Tensor, features: Any, *, batch_size: int, test: int | None = None
) -> DataLoaders:
    rows = len(next(iter(columns.values())).values)
    last = torch.arange(count if test is None else test, rows)
    views = {"hidden": {"history": [MaskSteps(0.3, 2), Scale(0.1)]}} if "history" in columns else {}
    pools = {"labelled": Shuffled(known), "all": Shuffled(torch.arange(count))}
    parts = {"train": torch.arange(count), "val": last[:1], "test": last[1:]}
    return DataLoaders(columns, parts, features=features, views=views, batch_size=batch_size, order=Mixture(pools))


def figure(data: Path, kind: str, method: str, seed: int) -> float:
    """The test figure after few labels: accuracy of sounds, mean absolute error of series."""
    loaders = sounds(data, seed) if kind == "sounds" else series(data, seed)
    torch.manual_seed(seed)
    if kind == "sounds":
        nodes = {
            "frames": Node(Frames(), "audio"),
            "steps": Node(TCN([64, 64, 64]), "frames"),
            "pooled": Node(Pool(), "steps"),
            "out": Node(nn.Linear(64, 10), "pooled"),
        }
        task, own = Task(kind="multiclass", output="out", target="digit"), CrossEntropy(("out", "digit"))
    else:
        nodes = {
            "steps": Node(TCN([32, 32, 32, 32]), "history"),
            "pooled": Node(Pool("last"), "steps"),
            "out": Node(nn.Linear(32, 24), "pooled"),
        }
        task = Task(kind="regression", output="out", target="coming")
        own = MeanSquaredError(("out", "coming"))
    methods: dict[str, Any] = {
        "cpc": lambda: CPC(("frames", "steps"), ahead=8, when="read"),
        "next_value": lambda: NextValue(("steps", "history"), horizon=4, when="read"),
        "ts2vec": lambda: TS2Vec("steps", views="hidden", when="read"),
    }
    read = {"read": methods[method]()} if method in methods else {}
    loaders.bind([name for name in loaders.fields if name not in {"digit", "coming"}])
    field = "audio" if kind == "sounds" else "history"
    model = Model(
        inputs={field: loaders.info(field)},
        nodes=nodes,
        tasks={"task": task},
        objectives={"task": own, **read},
        fields=loaders.fields,
        seed=seed,
    )
    phases = {"read": Phase(epochs=20, data=("all",))} if read else {}
    phases["supervised"] = Phase(epochs=100, data=("labelled",))
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    Learner(loaders, model, adam, phases=phases, seed=seed, record_examples=False).fit()
    name = "task/accuracy" if kind == "sounds" else "task/mae"
    return score(loaders, model, [name], split="test")[name]


@cache
def figures(data: Path, kind: str, method: str) -> list[float]:
    found = [figure(data, kind, method, seed) for seed in SEEDS]
    print(f"{kind}, {method}: mean {mean(found):.3f}; {' '.join(f'{value:.3f}' for value in found)}")
    return found


def test_sounds_whose_frames_were_foretold_need_fewer_labels(shared_data: Path) -> None:
    found, base = (figures(shared_data, "sounds", method) for method in ("cpc", "none"))
    assert mean(found) > mean(base)


def test_series_whose_next_values_were_foretold_need_fewer_labels(shared_data: Path) -> None:
    found, base, _ = (figures(shared_data, "series", method) for method in ("next_value", "none", "ts2vec"))
    assert mean(found) < mean(base)
