"""A student, its own objectives, and a source that never learns."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from jumpml._verbs import train
from jumpml.core import DeploymentError, ObjectiveError, Task, Training
from jumpml.deploy._study import fixed_nodes, study
from jumpml.evaluate import predict
from jumpml.graph import Model, Node
from jumpml.objectives import L1, CrossEntropy, Distillation, VICReg

if TYPE_CHECKING:
    from conftest import Deployed

    from jumpml.core import Objective, Trainer
    from jumpml.data import DataLoaders


def student_of(loaders: DataLoaders, objectives: dict[str, Objective] | None = None, classes: int = 10) -> Model:
    torch.manual_seed(0)
    own: dict[str, Objective] = {"digit": CrossEntropy(("out", "label"), label_smoothing=0.1, weight=0.5)}
    return Model(
        inputs={"image": loaders.info("image")},
        nodes={"flat": Node(nn.Flatten(), "image"), "out": Node(nn.Linear(64, classes), "flat")},
        tasks={"digit": Task(kind="multiclass", output="out", target="label")},
        objectives=own if objectives is None else objectives,
    )


def test_the_losses_are_the_task_s_own_and_the_source_s(digits_deployed: Deployed) -> None:
    loaders, source, _, _ = digits_deployed
    student = student_of(loaders)
    pair = study(student, loaders.fields, source, temperature=3.0)
    batch = next(loaders.test.plain())
    losses = pair.losses(batch)
    own = student.losses(batch)["digit"]
    torch.testing.assert_close(losses["digit"], own)
    assert pair.objectives["digit"].weight == 0.5
    distillation = Distillation(("a", "b"), kind="multiclass", temperature=3.0)
    expected = distillation(student(batch)["digit"], source(batch)["digit"]).value
    torch.testing.assert_close(losses["digit as the source"], expected)
    assert student.objectives["digit"].inputs == ("out", "label"), "the student itself is as it was"


def test_training_the_pair_trains_the_student_and_leaves_the_source(
    digits_deployed: Deployed, trainer: Trainer
) -> None:
    loaders, source, _, _ = digits_deployed
    source = copy.deepcopy(source)
    weights = {name: value.clone() for name, value in source.state_dict().items()}
    student = student_of(loaders, objectives={})  # learns from the source alone
    accuracy = []
    for epochs in (0, 8):
        trainer(
            study(student, loaders.fields, source, 2.0),
            loaders,
            Training(epochs=epochs, lr=3e-3, seed=0, purpose="test"),
        )
        predictions = predict(loaders, student, "test")["digit"]
        accuracy.append(float((predictions.output.argmax(1) == predictions.target).double().mean()))
    assert accuracy[0] < 0.4
    assert accuracy[1] > 0.85, (
        "by chance 0.1; a linear model of the digits that is trained to the end reaches about 0.96"
    )
    # Batch normalization's running figures are among them: they move in training mode, gradient or not.
    assert all(torch.equal(value, weights[name]) for name, value in source.state_dict().items())


def test_all_that_is_trained_learns(digits_deployed: Deployed, caplog: pytest.LogCaptureFixture) -> None:
    """Neither what another phase's objectives learn nor the source is trained: a learner would name them as idle."""
    loaders, source, _, _ = digits_deployed
    agree = VICReg("out", views="strong", projector=(4,), when="self_supervised")
    student = student_of(loaders, {"digit": CrossEntropy(("out", "label")), "agree": agree})
    pair = study(student, loaders.fields, copy.deepcopy(source))
    assert fixed_nodes(pair) == ("source",)
    training = Training(epochs=1, lr=1e-3, seed=0, purpose="test", freeze=fixed_nodes(pair))
    with caplog.at_level("WARNING", "jumpml"):
        train(pair, loaders, training)
        assert "no gradient reaches" not in caplog.text
        train(pair, loaders, replace(training, freeze=()))
    assert "no gradient reaches source." in caplog.text
    assert "agree" not in caplog.text


def test_without_a_source_the_tasks_are_all(digits_deployed: Deployed) -> None:
    loaders = digits_deployed.loaders
    objectives: dict[str, Objective] = {"digit": CrossEntropy(("out", "label")), "small": L1(("out",))}
    pair = study(student_of(loaders, objectives), loaders.fields)
    assert list(pair.objectives) == ["digit"]


def test_the_phases_of_the_student_s_own_learning_are_forgotten(digits_deployed: Deployed) -> None:
    loaders = digits_deployed.loaders
    student = student_of(loaders, {"digit": CrossEntropy(("out", "label"), when=("supervised", "later"))})
    assert study(student, loaders.fields).objectives["digit"].when == ("supervised",)
    assert student.objectives["digit"].when == ("supervised", "later")


@pytest.mark.parametrize("objectives", [{}, {"digit": CrossEntropy(("out", "label"), when="later")}])
def test_nothing_to_learn_from(digits_deployed: Deployed, objectives: dict[str, Objective]) -> None:
    loaders = digits_deployed.loaders
    with pytest.raises(DeploymentError) as error:
        study(student_of(loaders, objectives), loaders.fields)
    assert str(error.value) == (
        "there is nothing to train on: no task has an objective of its own in the supervised phase."
    )


def test_a_student_of_another_width(digits_deployed: Deployed) -> None:
    loaders, source, _, _ = digits_deployed
    with pytest.raises(ObjectiveError, match=r"expected student as \[batch, 10\] float32 like"):
        study(student_of(loaders, objectives={}, classes=7), {}, source)


def test_a_field_may_bear_the_pair_s_names(digits_deployed: Deployed) -> None:
    info = digits_deployed.loaders.info("image")
    model = Model(
        inputs={"student": info, "source": info},
        nodes={
            "flat": Node(nn.Flatten(), "student"),
            "out": Node(nn.Linear(64, 2), "flat"),
            "aside": Node(nn.Flatten(), "source"),
        },
        tasks={"sort": Task(kind="multiclass", output="out", target="label")},
    )
    pair = study(model, {}, copy.deepcopy(model))
    assert pair.node_names == ("student_", "source_")
