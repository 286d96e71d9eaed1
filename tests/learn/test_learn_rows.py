"""What a learner remembers of classes in an order and of numbers, and tables of which single numbers are missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from jumpml.core import FieldInfo, LearnerError, Loss, Task, ValueInfo
from jumpml.data import Column, DataLoaders, Standardize, random_split
from jumpml.evaluate import evaluate
from jumpml.graph import Model, Node
from jumpml.learn import Learner, Phase
from jumpml.learn.hooks._examples import ExampleRecorder
from jumpml.objectives import MeanSquaredError

ROWS = 300
HEIGHT, MASS = (FieldInfo(name=name, kind="number", value=ValueInfo(shape=(1,))) for name in ("height", "mass"))


def remembered(task: Task, output: torch.Tensor, target: torch.Tensor) -> tuple[list[float], list[int]]:
    recorder = ExampleRecorder({"t": task})
    recorder.step({"t": Loss(torch.zeros(len(output)))}, {"out": output}, {"y": target})
    recorder.end_epoch(torch.arange(len(output)), len(output))
    history = recorder.history(torch.arange(len(output)))["t"]
    return history.margin[0].tolist(), history.predicted[0].tolist()


def test_the_margin_of_classes_in_an_order_is_that_of_their_chances() -> None:
    margin, predicted = remembered(
        Task(kind="ordinal", output="out", target="y"), torch.zeros(2, 2), torch.tensor([0, 2])
    )
    # chances of 1/2, 1/4 and 1/4: the first row's class leads by ln 2, the second's trails by as much
    assert margin == pytest.approx([np.log(2), -np.log(2)])
    assert predicted == [0, 0]


def test_the_margin_of_quantiles_is_the_medians() -> None:
    task = Task(kind="regression", output="out", target="y", quantiles=(0.1, 0.5, 0.9))
    margin, predicted = remembered(task, torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([[5.0]]))
    assert (margin, predicted) == ([-3.0], [-1])


def test_the_margin_passes_over_what_is_missing() -> None:
    task = Task(kind="regression", output="out", target="y")
    margin, _ = remembered(task, torch.tensor([[1.0, 7.0]]), torch.tensor([[3.0, torch.nan]]))
    assert margin == [-2.0]


def holey() -> dict[str, Column]:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS, 3, generator=g)
    body = x @ torch.randn(3, 2, generator=g) * torch.tensor([10.0, 500.0]) + torch.tensor([170.0, 4000.0])
    body[::3, 1] = torch.nan  # of these rows the height is known
    body[::30] = torch.nan
    return {"x": Column(x, "tensor"), "body": Column(body, "table", columns=(HEIGHT, MASS))}


def learner_of(loaders: DataLoaders) -> Learner:
    torch.manual_seed(0)
    model = Model(
        inputs={"x": loaders.info("x")},
        nodes={"out": Node(nn.Linear(3, 2), "x")},
        tasks={"t": Task(kind="regression", output="out", target="body")},
        objectives={"t": MeanSquaredError(("out", "body"))},
        fields=loaders.fields,
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    return Learner(loaders, model, optimizer, phases={"supervised": Phase(epochs=12)}, log=())


def test_each_output_is_learned_from_the_rows_that_have_it() -> None:
    loaders = DataLoaders(holey(), random_split(ROWS), features={"body": [Standardize(fill=False)]}, batch_size=32)
    learner = learner_of(loaders)
    learner.fit()
    results = evaluate(loaders, learner.model)
    for name in ("height", "mass"):
        assert results[f"t/r2.{name}"].value > 0.99  # the data is linear and without noise


def test_features_that_would_fill_a_tables_targets_are_refused() -> None:
    loaders = DataLoaders(holey(), random_split(ROWS), features={"body": [Standardize()]}, batch_size=32)
    with pytest.raises(LearnerError) as error:
        learner_of(loaders)
    assert str(error.value) == (
        "task 't': mass of 'body' is missing in some rows, and standardize would fill it in. "
        "With `standardize: {fill: false}` it stays missing."
    )
