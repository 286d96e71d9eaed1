"""Several labels a row, and forecasts of several steps: decisions, examples, attribution, doubtful labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from jumpml.core import EpochRecord, ExampleHistory, FieldInfo, History, Task, ValueInfo
from jumpml.data import Column, DataLoaders, random_split
from jumpml.diagnose import diagnose
from jumpml.diagnose._decision import Decision
from jumpml.diagnose._examples import choose_examples, in_words
from jumpml.diagnose._hard_examples import rank_hardness
from jumpml.evaluate import Predictions
from jumpml.graph import Model, Node

NAMES = ("red", "round", "sweet")
FIELD = FieldInfo(name="y", kind="multilabel", value=ValueInfo(shape=(3,)), classes=NAMES)


@pytest.fixture
def decision() -> Decision:
    model = Model(inputs={"x": ValueInfo(shape=(3,))}, nodes={"out": Node(nn.Identity(), "x")})
    return Decision(kind="multilabel", output="out", plan=model.plan(["out"], ["x"]), inputs=("x",))


def test_the_score_is_the_mean_of_the_decided_labels_or_that_none_is_there(decision: Decision) -> None:
    x = torch.tensor([[3.0, 1.0, -9.0], [-2.0, -0.5, -4.0]])
    codes = decision.decide(x)
    assert codes.tolist() == [[1, 1, 0], [0, 0, 0]]
    assert decision.score(codes, x).tolist() == [2.0, 0.5]
    chances = x.sigmoid()
    expected = [chances[0, :2].mean(), 1 - chances[1, 1]]
    torch.testing.assert_close(decision.probability(codes, x), torch.stack(expected))


def test_a_decision_is_likelier_than_not(decision: Decision) -> None:
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    assert bool((decision.probability(decision.decide(x), x) >= 0.5).all())


def test_labels_in_words() -> None:
    assert in_words("multilabel", FIELD, torch.tensor([1.0, 0.0, 1.0])) == "red, sweet"
    assert in_words("multilabel", FIELD, torch.tensor([0, 0, 0])) == "no label"


def test_the_worst_rows_have_most_labels_wrong() -> None:
    output = torch.tensor([[1.0, 1.0, 1.0]] * 12)
    target = torch.ones(12, 3)
    target[3], target[7] = 0, torch.tensor([0.0, 0.0, 1.0])
    predictions = Predictions(output=output, target=target, present=torch.arange(12) > 0)
    chosen = choose_examples("multilabel", predictions, torch.Generator().manual_seed(0)).tolist()
    assert chosen[:2] == [3, 7]
    assert 0 not in chosen


# --- hard examples ----------------------------------------------------------------------------------------------------


def history(margin: np.ndarray, predicted: np.ndarray) -> ExampleHistory:
    margins = margin.astype(np.float32)
    return ExampleHistory(rows=np.arange(margins.shape[1]), loss=-margins, margin=margins, predicted=predicted)


def test_a_label_that_is_doubted_for_one_row_of_many_is_suspicious() -> None:
    targets = np.tile([1, 0, 0], (10, 1))
    margin, predicted = np.full((4, 10), 2.0), np.full((4, 10), -1)
    margin[:, 6], predicted[:, 6] = -3.0, 0  # the others are given the first label, this one is not
    margin[2:, 8], predicted[2:, 8] = -1.0, [1, 2]  # wrong, but now with one label and then with another
    found = rank_hardness(history(margin, predicted), targets)
    assert found.position[0] == 6
    assert found.preferred[0] == 0
    assert found.position[found.suspicious].tolist() == [6]
    assert found.preferred[-1] == -1


def test_a_label_that_was_never_learned_makes_no_row_suspicious() -> None:
    targets = np.tile([1, 0, 0], (10, 1))
    targets[:3, 2] = 1
    margin, predicted = np.full((4, 10), 2.0), np.full((4, 10), -1)
    margin[:, :3], predicted[:, :3] = -3.0, 2  # all three rows that have it
    assert not rank_hardness(history(margin, predicted), targets).suspicious.any()


# --- the whole --------------------------------------------------------------------------------------------------------


@pytest.fixture
def loaders() -> DataLoaders:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(120, 6, generator=g)
    labels = (x[:, :3] > 0).float()
    labels[::15] = torch.nan
    steps = torch.stack([x[:, :2] * step for step in (1, 2, 3, 4)], dim=1)
    columns = {
        "x": Column(x, "tensor"),
        "y": Column(labels, "multilabel", classes=NAMES),
        "next": Column(steps, "series"),
    }
    return DataLoaders(columns, random_split(120), batch_size=32)


@pytest.fixture
def model(loaders: DataLoaders) -> Model:
    """What the labels are made of, exactly: the first three numbers; and the forecast's steps likewise."""
    labels, steps = nn.Linear(6, 3), nn.Linear(6, 8)
    with torch.no_grad():
        labels.weight.copy_(4 * torch.eye(3, 6))
        labels.bias.zero_()
        steps.weight.copy_(torch.stack([torch.eye(6)[i % 2] * (i // 2 + 1) for i in range(8)]))
        steps.bias.zero_()
    return Model(
        inputs={"x": loaders.info("x")},
        nodes={"labels": Node(labels, "x"), "steps": Node(steps, "x")},
        tasks={
            "y": Task(kind="multilabel", output="labels", target="y"),
            "next": Task(kind="regression", output="steps", target="next"),
        },
        fields=loaders.fields,
    )


def record_of(loaders: DataLoaders) -> History:
    rows = loaders.train.rows.numpy()
    margin, predicted = np.full((2, len(rows)), 1.0, dtype=np.float32), np.full((2, len(rows)), -1)
    margin[:, 5], predicted[:, 5] = -2.0, 1
    epochs = [EpochRecord(phase="supervised", epoch=1, step=1, losses={"total": 1.0}, lr=0.1, seconds=0.0)]
    return History(
        epochs=epochs,
        examples={"y": ExampleHistory(rows=rows, loss=-margin, margin=margin, predicted=predicted)},
    )


def test_a_diagnosis_explains_labels_and_forecasts(loaders: DataLoaders, model: Model) -> None:
    record = diagnose(loaders, model, record_of(loaders)).record
    by_task = {part.task: part for part in record.attributions}
    assert set(by_task) == {"y", "next"}
    for task, elements in (("y", 3), ("next", 2)):
        (shares,) = by_task[task].mean_absolute
        assert min(shares[:elements]) > 0
        assert max(shares[elements:]) < 1e-6  # what the task does not read
        assert by_task[task].convergence < 0.05
    assert by_task["y"].insertion.value > by_task["y"].random_insertion.value
    assert by_task["y"].deletion.value < by_task["y"].random_deletion.value
    answers = {(example.target, example.predicted) for example in by_task["y"].examples}
    assert all(target == predicted for target, predicted in answers)  # the model is exact
    assert {example.target for example in by_task["next"].examples} < {
        in_words("regression", loaders.fields["next"], value) for value in loaders.test.decoded("next")
    }


def test_a_doubtful_label_is_told_with_what_the_model_prefers(loaders: DataLoaders, model: Model) -> None:
    record = diagnose(loaders, model, record_of(loaders)).record
    first = record.hard_examples[0]
    own = loaders.train.decoded("y")[5]
    other = own.clone()
    other[1] = 1 - other[1]
    assert (first.row, first.margin, first.suspicious) == (int(loaders.train.rows[5]), -2.0, True)
    assert first.target == in_words("multilabel", FIELD, own)
    assert first.suggestion == in_words("multilabel", FIELD, other)
    assert record.hard_examples[1].suggestion == ""
    assert record.warnings[0].startswith("y: 1 of ")
