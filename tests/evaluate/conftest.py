"""Small models on small data of every kind of task."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from jumpml.core import Task, ValueInfo
from jumpml.data import Column, DataLoaders, Standardize
from jumpml.graph import Model, Node
from jumpml.objectives import EWC, BinaryCrossEntropy, CrossEntropy, MeanSquaredError, VICReg

ROWS = 120
TASKS = {
    "kind": Task(kind="multiclass", output="kind", target="species"),
    "sick": Task(kind="binary", output="sick", target="diagnosis"),
    "age": Task(kind="regression", output="age", target="years"),
}


@pytest.fixture
def loaders() -> DataLoaders:
    """Three targets that the four numbers tell something of; some `years` are missing, which are standardized."""
    return _loaders(species=3)


@pytest.fixture
def ants() -> DataLoaders:
    """The same, but every row is of one class."""
    return _loaders(species=1)


def _loaders(species: int) -> DataLoaders:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS, 4, generator=g)
    years = 50 + 10 * x[:, :1] + torch.randn(ROWS, 1, generator=g)
    years[::10] = float("nan")
    columns = {
        "x": Column(x, "tensor"),
        "species": Column(((x[:, 1] > 0).long() + (x[:, 1] > 1).long()) % species, "category", ("ant", "bee", "cow")),
        "diagnosis": Column((x[:, 2:3] > 0).float(), "number"),
        "years": Column(years, "number"),
    }
    rows = torch.arange(ROWS)
    splits = {"train": rows[:60], "val": rows[60:80], "test": rows[80:]}
    return DataLoaders(columns, splits, features={"years": [Standardize()]}, batch_size=16)


@pytest.fixture
def model(loaders: DataLoaders) -> Model:
    """With dropout and batch normalization, which tell whether it is in evaluation mode."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5))
    nodes = {"body": Node(body, "x")}
    nodes |= {name: Node(nn.Linear(16, width), "body") for name, width in (("kind", 3), ("sick", 1), ("age", 1))}
    return Model(
        inputs={"x": ValueInfo(shape=(4,))},
        nodes=nodes,
        tasks=TASKS,
        objectives={
            "kind": CrossEntropy(("kind", "species"), weight=0.5),
            "sick": BinaryCrossEntropy(("sick", "diagnosis")),
            "age": MeanSquaredError(("age", "years"), weight=2.0),
            "hold": EWC("all", weight=3.0, when="all"),
            "agree": VICReg("body", views="strong", projector=(8,), when="all"),
        },
        fields=loaders.fields,
    )
