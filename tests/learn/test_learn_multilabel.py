"""What a learner remembers of rows with several labels, and that it learns them."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from jumpml.core import Loss, Task
from jumpml.data import Column, DataLoaders, random_split
from jumpml.evaluate import evaluate
from jumpml.graph import Model, Node
from jumpml.learn import Learner, Phase
from jumpml.learn.hooks._examples import ExampleRecorder
from jumpml.objectives import BinaryCrossEntropy

TASK = Task(kind="multilabel", output="out", target="labels")


def test_the_margin_is_the_worst_labels_and_the_decision_is_that_label() -> None:
    output = torch.tensor([[3.0, -1.0, -2.0], [0.5, 2.0, -4.0], [3.0, 3.0, 3.0]])
    target = torch.tensor([[1.0, 0, 0], [0, 1, 1], [torch.nan] * 3])
    recorder = ExampleRecorder({"t": TASK})
    loss = Loss(torch.tensor([0.1, 2.0, 0.0]), torch.tensor([True, True, False]))
    recorder.step({"t": loss}, {"out": output}, {"labels": target})
    recorder.end_epoch(torch.tensor([2, 0, 1]), 3)
    history = recorder.history(torch.tensor([7, 8, 9]))["t"]
    # rows in plain order: the second, the third (nobody labelled it), the first
    np.testing.assert_array_equal(history.margin, [[-4.0, np.nan, 1.0]])
    assert history.predicted[0, [0, 2]].tolist() == [2, -1]
    assert history.predicted.shape == (1, 3)


def test_labels_that_a_linear_node_can_tell_are_learned() -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(300, 4, generator=g)
    labels = (x @ torch.randn(4, 3, generator=g) > 0.5).float()
    labels[::20] = torch.nan
    columns = {"x": Column(x, "tensor"), "labels": Column(labels, "multilabel", classes=("a", "b", "c"))}
    loaders = DataLoaders(columns, random_split(300), batch_size=32)
    torch.manual_seed(0)
    model = Model(
        inputs={"x": loaders.info("x")},
        nodes={"out": Node(nn.Linear(4, 3), "x")},
        tasks={"t": TASK},
        objectives={"t": BinaryCrossEntropy(("out", "labels"))},
        fields=loaders.fields,
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    learner = Learner(loaders, model, optimizer, phases={"supervised": Phase(epochs=8)}, log=())
    learner.fit()
    results = evaluate(loaders, model)
    # the labels are half-spaces, which a linear node separates; before training it is about half
    assert results["t/micro_f1"].value > 0.85
    examples = learner.history.examples["t"]
    assert examples.predicted.shape == examples.margin.shape == (8, len(loaders.train.rows))
    unlabelled = loaders.train.decoded("labels").isnan().any(1).numpy()
    assert unlabelled.any()
    np.testing.assert_array_equal(np.isnan(examples.margin), np.tile(unlabelled, (8, 1)))
