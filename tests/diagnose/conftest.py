"""Small trained models on real data, each with the history of a bare training loop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_digits
from torch import Tensor, nn

from jumpml.core import EpochRecord, ExampleHistory, History, Task
from jumpml.data import Column, DataLoaders, Index, Standardize, random_split
from jumpml.graph import Model, Node


@dataclass
class Trained:
    loaders: DataLoaders
    model: Model
    history: History


@pytest.fixture(scope="session")
def digits() -> Trained:
    """Pictures to digits, two epochs: about 0.95 of the test rows are right."""
    pixels, labels = load_digits(return_X_y=True)
    image = torch.tensor(pixels / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    columns = {
        "image": Column(image, "image", range=(0.0, 16.0)),
        "label": Column(torch.tensor(labels), "category", classes=tuple(map(str, range(10)))),
    }
    loaders = DataLoaders(columns, random_split(len(image)), features={"image": [Standardize()]}, batch_size=64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3), nn.ReLU()
        )
        model = Model(
            inputs={"image": loaders.info("image")},
            nodes={
                "encoder": Node(nn.Sequential(encoder, nn.Flatten(), nn.BatchNorm1d(128)), "image"),
                "digit": Node(nn.Linear(128, 10), "encoder"),
            },
            tasks={"digit": Task(kind="multiclass", output="digit", target="label")},
        )
    return Trained(loaders, model, _train(loaders, model, epochs=2))


@pytest.fixture(scope="session")
def table() -> Trained:
    """A table of numbers, a category as an index and one as a one-hot; a regression and a binary task. Untrained."""
    data, target = load_diabetes(return_X_y=True, scaled=False)
    values = torch.tensor(data, dtype=torch.float32)
    progression = torch.tensor(target, dtype=torch.float32).unsqueeze(1)
    bmi = values[:, 2:3].clone()
    bmi[::7] = torch.nan
    columns = {
        "age": Column(values[:, :1], "number"),
        "bmi": Column(bmi, "number"),
        "sex": Column(values[:, 1].long() - 1, "category", classes=("one", "two")),
        "decade": Column((values[:, 0] // 10).long(), "category", classes=tuple(f"{ten}0s" for ten in range(10))),
        "serum": Column(values[:, 4:], "tensor"),
        "progression": Column(progression, "number"),
        "severe": Column((progression[:, 0] > 150).long(), "category", classes=("no", "yes")),
    }
    loaders = DataLoaders(columns, random_split(len(values)), features={"decade": [Index()], "serum": [Standardize()]})
    inputs = ("age", "bmi", "sex", "decade", "serum")
    loaders.bind(inputs)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Model(
            inputs={name: loaders.info(name) for name in inputs},
            nodes={
                "decades": Node(nn.Embedding(11, 3), "decade"),
                "body": Node(_Join(2 + 2 + 3 + 6, 8), ["age", "bmi", "sex", "decades", "serum"]),
                "progress": Node(nn.Linear(8, 1), "body"),
                "risk": Node(nn.Linear(8, 1), "body"),
            },
            tasks={
                "progress": Task(kind="regression", output="progress", target="progression"),
                "risk": Task(kind="binary", output="risk", target="severe"),
            },
        )
    return Trained(loaders, model, History())


class _Join(nn.Module):
    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(width, out), nn.Tanh())

    def forward(self, *parts: Tensor) -> Tensor:
        return self.layer(torch.cat(parts, dim=1))


def _train(loaders: DataLoaders, model: Model, *, epochs: int) -> History:
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    records, kept = [], {"loss": [], "margin": [], "predicted": []}
    for epoch in range(1, epochs + 1):
        order, logits = loaders.train.order(epoch - 1), []
        for batch in loaders.train:
            output = model(batch)["digit"]
            logits.append(output.detach())
            optimizer.zero_grad()
            nn.functional.cross_entropy(output, batch["label"]).backward()
            optimizer.step()
        output = torch.empty(len(order), 10).index_copy_(0, order, torch.cat(logits))
        label = loaders.train.decoded("label")
        losses = nn.functional.cross_entropy(output, label, reduction="none")
        own = output.gather(1, label[:, None])
        kept["loss"].append(losses.numpy())
        kept["margin"].append((own[:, 0] - output.scatter(1, label[:, None], -torch.inf).amax(1)).numpy())
        kept["predicted"].append(output.argmax(1).numpy())
        total = {"digit": float(losses.mean()), "total": float(losses.mean())}
        records.append(EpochRecord(phase="supervised", epoch=epoch, step=epoch, losses=total, lr=3e-3, seconds=0.0))
    arrays = {name: np.stack(values) for name, values in kept.items()}
    examples = ExampleHistory(rows=loaders.train.rows.numpy(), **arrays)
    return History(epochs=records, examples={"digit": examples})
