"""Few labels after rows without one, on real data of every kind but pictures: what self-supervision before them gives.

Both arms are one net with the same first weights, the same few rows with a label, and the same updates on these; one of
them has first learned from all train rows, without their labels. The gain is the mean over seeds of the difference on
the test rows, and each seed has its own few rows. What is asked stands in `LEAST`, and was written before the runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

import jumpml
from jumpml.core import Task
from jumpml.data import Column, DataLoaders, Hide, LogMel, Mixture, Shuffled, Standardize, TrainRows
from jumpml.graph import Model, Node
from jumpml.graph.blocks import Embedding, Pool, TransformerEncoder
from jumpml.learn import Learner, Phase
from jumpml.objectives import CrossEntropy, Masked, MeanSquaredError, NTXent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

LEAST = 0.0  # the mean gain is above it
pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Study:
    """What is learned from.

    Attributes:
        columns: All rows.
        train, test: Their numbers.
        field, target: What nodes read, and what is learned.
        nodes: Makes the nodes up to `encoder` (what self-supervision reads) and `out`.
        objectives: Makes what is learned first.
        views: Of that.
        features: Of the fields.
        few: Rows with a label; of a category, a class.
        epochs: Before the labels, and on them.
        lr: Adam's.
        reads: What nodes read beside the field.
        balanced: Whether the accuracy is the mean of the classes' own.
    """

    columns: Mapping[str, Column]
    train: Tensor
    test: Tensor
    field: str
    target: str
    nodes: Any
    objectives: Any
    views: Mapping[str, Any]
    features: Mapping[str, Sequence[nn.Module]]
    few: int = 2
    epochs: tuple[int, int] = (30, 60)
    lr: tuple[float, float] = (1e-3, 1e-3)
    reads: tuple[str, ...] = ()
    balanced: bool = False

    def loaders(self, seed: int) -> DataLoaders:
        """All train rows as one data set, and the few with a label as another."""
        generator = torch.Generator().manual_seed(seed)
        mixed = torch.randperm(len(self.train), generator=generator)
        column = self.columns[self.target]
        if column.classes:
            codes = column.values[self.train][mixed]
            few = torch.cat([mixed[codes == code][: self.few] for code in range(len(column.classes))])
        else:
            few = mixed[: self.few]
        val = torch.tensor([int(self.train[mixed[-1]])])
        kept = torch.arange(len(self.train)) != mixed[-1]
        place = kept.cumsum(0) - 1
        data = DataLoaders(
            self.columns,
            {"train": self.train[kept], "val": val, "test": self.test},
            features=self.features,
            views=self.views,
            order=Mixture({"all": Shuffled(place[kept]), "few": Shuffled(place[few])}),
            batch_size=128,
        )
        data.bind([self.field, *self.reads])
        return data

    def model(self, data: DataLoaders, seed: int) -> Model:
        """A net, with what is learned first and what is learned from labels."""
        category = bool(self.columns[self.target].classes)
        torch.manual_seed(seed)
        return Model(
            inputs={name: data.info(name) for name in (self.field, *self.reads)},
            nodes=self.nodes(),
            tasks={"y": Task(kind="multiclass" if category else "regression", output="out", target=self.target)},
            objectives={
                "y": (CrossEntropy if category else MeanSquaredError)(("out", self.target)),
                **self.objectives(),
            },
            fields=data.fields,
            seed=seed,
        )

    def figure(self, seed: int, *, first: bool) -> float:
        """What the test rows say: accuracy, or the squared error with a minus."""
        data = self.loaders(seed)
        model = self.model(data, seed)
        phases = {
            "first": Phase(epochs=self.epochs[0] if first else 0, data=("all",), lr=self.lr[0]),
            "supervised": Phase(epochs=self.epochs[1], data=("few",), lr=self.lr[1]),
        }
        adam = torch.optim.Adam(model.parameters(), lr=self.lr[1])
        Learner(data, model, adam, phases=phases, seed=seed, log=()).fit()
        return self.measured(data, model)

    def measured(self, data: DataLoaders, model: Model) -> float:
        """On the test rows."""
        model.eval()
        with torch.no_grad():
            found = [(model(batch)["y"], batch[self.target]) for batch in data.test.plain()]
        output, wanted = (torch.cat(parts) for parts in zip(*found, strict=True))
        if wanted.is_floating_point():
            return -float((output - wanted).square().mean())
        right = (output.argmax(1) == wanted).float()
        own = [right[wanted == code].mean() for code in wanted.unique()]
        return float(torch.stack(own).mean() if self.balanced else right.mean())

    def gains(self, seeds: int) -> Tensor:
        """By seed, what learning first has added."""
        found = [(self.figure(seed, first=False), self.figure(seed, first=True)) for seed in range(seeds)]
        for without, after in found:
            print(f"without {without:.4f}, with {after:.4f}")
        return torch.tensor([after - without for without, after in found])


def digits() -> Study:
    digits: Any = load_digits()
    columns = {
        "x": Column(torch.tensor(digits.data).float() / 16, "tensor"),
        "digit": Column(torch.tensor(digits.target), "category", classes=tuple("0123456789")),
    }

    def nodes() -> dict[str, Node]:
        net = nn.Sequential(
            *(nn.Linear(64, 256), nn.BatchNorm1d(256), nn.ReLU()),
            *(nn.Linear(256, 128), nn.BatchNorm1d(128), nn.ReLU()),
        )
        return {"encoder": Node(net, "x"), "out": Node(nn.Linear(128, 10), "encoder")}

    def objectives() -> dict[str, Any]:
        views = ("plain", "corrupted")
        return {"scarf": NTXent("encoder", views=views, projector=(128, 64), temperature=1.0, when="first")}

    return Study(
        columns,
        torch.arange(1200),
        torch.arange(1200, 1797),
        "x",
        "digit",
        nodes,
        objectives,
        {"plain": {"x": []}, "corrupted": {"x": [Hide(0.6, fill="others")]}},
        {},
        epochs=(100, 60),
    )


def test_scarf_on_digits_as_a_table() -> None:
    gains = digits().gains(8)
    assert float(gains.mean()) > LEAST


# --- what is read from the shared folder ------------------------------------------------------------------------------


def read(folder: Path, dataset: dict[str, Any], features: Mapping[str, Any] = MappingProxyType({})) -> DataLoaders:
    """A data set of the shared folder."""
    if not folder.is_dir():
        pytest.skip(f"no data at {folder}")
    return jumpml.create_dataloader({"root": str(folder), "datasets": {"d": dataset}, "features": dict(features)})


def column(data: DataLoaders, name: str, train: int, test: int) -> Column:
    """Some train and test rows of a field as it is decoded, evenly apart."""
    info, found = data.fields[name], []
    for loader, rows in ((data.train, train), (data.test, test)):
        chosen = torch.linspace(0, len(loader.rows) - 1, min(rows, len(loader.rows))).round().long()
        found.append(loader.take(name, chosen))
    options = dict(info.options)
    return Column(torch.cat(found), info.kind, classes=info.classes, columns=info.columns, options=options)


# --- spoken digits: masked frames of a spectrogram --------------------------------------------------------------------


def spoken_digits(folder: Path) -> Study:
    source = {"kind": "audio", "path": "fsdd_recordings.zip", "pattern": "{digit}_{speaker}_{take}.wav"}
    fields = {"audio": {"kind": "audio", "rate": 8000, "samples": 6144}, "digit": {"kind": "category"}}
    split = {"column": "take", "values": {"test": ["0", "1", "2", "3", "4"], "val": ["5"]}}
    data = read(folder / "fsdd_spoken_digits", {"source": source, "fields": fields, "split": split})
    sounds, said = column(data, "audio", 1500, 300), column(data, "digit", 1500, 300)
    step = LogMel(mels=24, window=512, hop=256, rate=8000)
    step.fit(TrainRows(sounds.values), sounds.info("audio"))
    columns = {"sound": Column(step(sounds.values)[..., :24], "tensor"), "digit": said}

    def nodes() -> dict[str, Node]:
        net = nn.Sequential(
            *(nn.Flatten(), nn.Linear(576, 256), nn.BatchNorm1d(256), nn.ReLU()),
            *(nn.Linear(256, 128), nn.BatchNorm1d(128), nn.ReLU()),
        )
        return {"encoder": Node(net, "sound"), "out": Node(nn.Linear(128, 10), "encoder")}

    def objectives() -> dict[str, Any]:
        return {"frames": Masked(("encoder", "sound"), views="masked", when="first")}

    rows = torch.arange(len(said.values))
    views = {"masked": {"sound": [Hide(0.4, ("all", 3))]}}
    features = {"sound": [Standardize()]}
    return Study(
        columns, rows[:1500], rows[1500:], "sound", "digit", nodes, objectives, views, features, few=5, epochs=(40, 60)
    )


def test_masked_frames_on_spoken_digits(shared_data: Path) -> None:
    gains = spoken_digits(shared_data).gains(5)
    assert float(gains.mean()) > LEAST


# --- ETTh1: masked stretches of a series ------------------------------------------------------------------------------


def etth1(folder: Path) -> Study:
    loads = ["OT", "HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL"]
    fields = {
        "past": {"kind": "series", "columns": loads, "window": [-96, 0]},
        "future": {"kind": "series", "columns": ["OT"], "window": [0, 24]},
    }
    split = {"train": 0.6, "val": 0.2, "test": 0.2, "time": "date"}
    data = read(
        folder / "ett_small", {"source": {"kind": "csv", "path": "ETTh1.csv"}, "fields": fields, "split": split}
    )
    columns = {name: column(data, name, 2000, 1000) for name in fields}

    def nodes() -> dict[str, Node]:
        return {
            "encoder": Node(nn.Sequential(nn.Flatten(), nn.Linear(672, 256), nn.ReLU(), nn.Linear(256, 64)), "past"),
            "out": Node(nn.Sequential(nn.ReLU(), nn.Linear(64, 24), nn.Unflatten(1, (24, 1))), "encoder"),
        }

    def objectives() -> dict[str, Any]:
        return {"steps": Masked(("encoder", "past"), views="masked", when="first")}

    rows = torch.arange(3000)
    features = {"past": [Standardize()], "future": [Standardize()]}
    views = {"masked": {"past": [Hide(0.5, 12)]}}
    return Study(
        columns, rows[:2000], rows[2000:], "past", "future", nodes, objectives, views, features, few=50, epochs=(40, 60)
    )


def test_masked_stretches_on_etth1(shared_data: Path) -> None:
    gains = etth1(shared_data).gains(5)
    assert float(gains.mean()) > LEAST


# --- SMS spam: masked tokens ------------------------------------------------------------------------------------------


def sms_spam(folder: Path) -> Study:
    source = {"kind": "csv", "path": "SMSSpamCollection", "delimiter": "\t", "header": ["label", "text"]}
    words = {"kind": "text", "tokenizer": {"kind": "words", "lowercase": True, "size": 1000}, "length": 24}
    fields = {"text": words, "label": {"kind": "category"}}
    source |= {"quote": None, "missing": []}
    split = {"stratify": "label", "duplicates": "together"}
    data = read(folder / "sms_spam", {"source": source, "fields": fields, "split": split})
    columns = {name: column(data, name, 2000, 800) for name in fields}

    def nodes() -> dict[str, Node]:
        return {
            "vectors": Node(Embedding(32), "text"),
            "encoder": Node(TransformerEncoder(1, 4, 2.0), ["vectors", "text.mask"]),
            "mean": Node(Pool(), ["encoder", "text.mask"]),
            "out": Node(nn.Linear(32, 2), "mean"),
        }

    def objectives() -> dict[str, Any]:
        return {"words": Masked(("encoder", "text"), views="masked", decoder=(), when="first")}

    rows = torch.arange(len(columns["label"].values))
    views = {"masked": {"text": [Hide(0.15)]}}
    return Study(
        columns,
        rows[:2000],
        rows[2000:],
        "text",
        "label",
        nodes,
        objectives,
        views,
        {},
        few=10,
        epochs=(15, 60),
        reads=("text.mask",),
        balanced=True,
    )


def test_masked_tokens_on_sms_spam(shared_data: Path) -> None:
    gains = sms_spam(shared_data).gains(5)
    assert float(gains.mean()) > LEAST


# --- adult: masked cells ----------------------------------------------------------------------------------------------

PEOPLE = "age workclass fnlwgt education education_num marital_status occupation relationship race sex capital_gain"
PEOPLE += " capital_loss hours_per_week native_country income"
NUMBERS = {"age", "education_num", "capital_gain", "capital_loss", "hours_per_week"}


def adult(folder: Path) -> Study:
    kinds = {name: "number" if name in NUMBERS else "category" for name in PEOPLE.split()}
    person = {name: kind for name, kind in kinds.items() if name not in {"fnlwgt", "income"}}
    source = {"kind": "csv", "path": "adult-train.csv", "header": PEOPLE.split()}
    fields = {"person": {"kind": "table", "columns": person}, "income": {"kind": "category"}}
    split = {"stratify": "income", "duplicates": "allow"}
    data = read(folder / "adult", {"source": source, "fields": fields, "split": split})
    columns = {name: column(data, name, 4000, 2000) for name in fields}

    def nodes() -> dict[str, Node]:
        net = nn.Sequential(
            *(nn.LazyLinear(128), nn.BatchNorm1d(128), nn.ReLU()),
            *(nn.Linear(128, 64), nn.BatchNorm1d(64), nn.ReLU()),
        )
        return {"encoder": Node(net, "person"), "out": Node(nn.Linear(64, 2), "encoder")}

    def objectives() -> dict[str, Any]:
        return {"cells": Masked(("encoder", "person"), views="masked", when="first")}

    rows = torch.arange(6000)
    views = {"masked": {"person": [Hide(0.5)]}}
    return Study(
        columns,
        rows[:4000],
        rows[4000:],
        "person",
        "income",
        nodes,
        objectives,
        views,
        {},
        few=10,
        epochs=(40, 60),
        balanced=True,
    )


def test_masked_cells_on_adult(shared_data: Path) -> None:
    gains = adult(shared_data).gains(5)
    assert float(gains.mean()) > LEAST
