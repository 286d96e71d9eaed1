"""What the deployment tests share: two small data sets, quickly trained models, and one bundle of each."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn

from jumpml.core import DataSpec, Task, Trainer, Training, load_spec
from jumpml.data import Column, DataLoaders, Standardize, build_dataloader
from jumpml.deploy import Deployment, Distill, Factorize, Gate, Lessons, Quantize, deploy
from jumpml.evaluate import EvalResults, evaluate
from jumpml.graph import Model, Node
from jumpml.objectives import BinaryCrossEntropy, CrossEntropy, MeanSquaredError

DIGITS = {
    "datasets": {
        "digits": {
            "source": {"kind": "sklearn", "name": "digits"},
            "fields": {
                "image": {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]},
                "label": {"kind": "category", "column": "target"},
            },
            "split": {"stratify": "label"},
        }
    },
    "features": {"image": [{"standardize": {}}]},
}


def fit(model: Model, loaders: DataLoaders, training: Training) -> None:
    """A plain loop that a `core.Trainer` can be: Adam on the sum of the supervised phase's losses."""
    torch.manual_seed(training.seed % 2**31)
    loaders.seed = training.seed
    model.train_only(model.node_names)
    optimizer = torch.optim.Adam(model.parameters(), training.lr)
    model.train()
    for _ in range(training.epochs):
        for batch in loaders.train:
            losses = model.losses(batch)
            total = sum(
                (model.objectives[name].weight * value.mean() for name, value in losses.items()), torch.zeros(())
            )
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
    model.eval()


def digits_model(loaders: DataLoaders, channels: int, width: int) -> Model:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        nodes = {
            "encoder": Node(
                nn.Sequential(
                    nn.Conv2d(1, channels, 3), nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
                ),
                "image",
            ),
            "body": Node(nn.Sequential(nn.Linear(channels * 9, width), nn.ReLU()), "encoder"),
            "digit": Node(nn.Linear(width, 10), "body"),
        }
    return Model(
        inputs={"image": loaders.info("image")},
        nodes=nodes,
        tasks={"digit": Task(kind="multiclass", output="digit", target="label", metrics=("accuracy",))},
        objectives={"digit": CrossEntropy(("digit", "label"))},
        fields=loaders.fields,
    )


class Deployed(NamedTuple):
    loaders: DataLoaders
    model: Model
    results: EvalResults
    deployment: Deployment


@pytest.fixture
def trainer() -> Trainer:
    return fit


@pytest.fixture(scope="session")
def digits() -> DataLoaders:
    return build_dataloader(load_spec(DataSpec, DIGITS))


@pytest.fixture(scope="session")
def digits_deployed(digits: DataLoaders, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """A net of the digits with an int8 form, a thinner one, and a student that is far too small for the gate."""
    model = digits_model(digits, channels=16, width=64)
    fit(model, digits, Training(epochs=6, lr=5e-3, seed=0, purpose="the tests"))
    results = evaluate(digits, model)
    deployment = deploy(
        results,
        model,
        changes={
            "int8": Quantize(calibration_rows=256),
            "slim": Factorize(rank=0.6, fine_tune=Lessons(epochs=2, lr=2e-3)),
            "student": Distill(
                student=digits_model(digits, channels=1, width=2),
                source="tiny.model.yaml",
                temperature=4.0,
                lessons=Lessons(epochs=1, lr=1e-3),
            ),
        },
        gate=Gate(metric="digit/accuracy", max_drop=0.05),
        folder=tmp_path_factory.mktemp("run"),
        bundle="bundles/digits",
        trainer=fit,
    )
    return Deployed(digits, model, results, deployment)


def table() -> DataLoaders:
    """120 rows of numbers and categories, some missing, and a target of each kind; one target is standardized."""
    generator = torch.Generator().manual_seed(3)
    age = torch.randn(120, 1, generator=generator) * 10 + 40
    sex = torch.randint(-1, 2, (120,), generator=generator)
    signal = torch.randn(120, 3, generator=generator)
    price = 1000 + 100 * signal[:, :1] + 5 * age
    columns = {
        "age": Column(age.where(torch.rand(120, 1, generator=generator) > 0.2, torch.nan), "number"),
        "sex": Column(sex, "category", classes=("female", "male")),
        "signal": Column(signal, "tensor"),
        "price": Column(price, "number"),
        "sick": Column((age[:, 0] > 40).long(), "category", classes=("no", "yes")),
        "group": Column(signal.argmax(1), "category", classes=("a", "b", "c")),
    }
    rows = torch.arange(120)
    splits = {"train": rows[:80], "val": rows[80:100], "test": rows[100:]}
    loaders = DataLoaders(columns, splits, features={"price": [Standardize()]}, name="people", batch_size=16)
    loaders.bind(["age", "sex", "signal"])
    return loaders


def table_model(loaders: DataLoaders) -> Model:
    class Join(nn.Module):
        def forward(self, *values: torch.Tensor) -> torch.Tensor:
            return torch.cat(values, 1)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        nodes = {
            "joined": Node(Join(), ["age", "sex", "signal"]),
            "body": Node(nn.Sequential(nn.Linear(6, 16), nn.ReLU()), "joined"),
            "cost_of": Node(nn.Linear(16, 1), "body"),
            "ill_of": Node(nn.Linear(16, 1), "body"),
            "class_of": Node(nn.Linear(3, 3), "signal"),
        }
    return Model(
        inputs={name: loaders.info(name) for name in ("age", "sex", "signal")},
        nodes=nodes,
        tasks={
            "cost": Task(kind="regression", output="cost_of", target="price", metrics=("rmse",)),
            "ill": Task(kind="binary", output="ill_of", target="sick", metrics=("accuracy",)),
            "class": Task(kind="multiclass", output="class_of", target="group", metrics=("accuracy",)),
        },
        objectives={
            "cost": MeanSquaredError(("cost_of", "price")),
            "ill": BinaryCrossEntropy(("ill_of", "sick")),
            "class": CrossEntropy(("class_of", "group")),
        },
        fields=loaders.fields,
    )


@pytest.fixture(scope="session")
def table_deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """Three tasks of three kinds on a table with missing values, with an int8 form."""
    loaders = table()
    model = table_model(loaders)
    fit(model, loaders, Training(epochs=10, lr=1e-2, seed=0, purpose="the tests"))
    results = evaluate(loaders, model)
    deployment = deploy(
        results,
        model,
        changes={"int8": Quantize(calibration_rows=40)},
        gate=Gate(metric="cost/rmse", max_drop=1000.0, higher_is_better=False),
        folder=tmp_path_factory.mktemp("run"),
        bundle="people",
        trainer=fit,
    )
    return Deployed(loaders, model, results, deployment)


@pytest.fixture
def bundle(digits_deployed: Deployed, tmp_path: Path) -> Path:
    """A copy of the digits' bundle, to be spoilt."""
    return Path(shutil.copytree(digits_deployed.deployment.bundle, tmp_path / "bundle"))
