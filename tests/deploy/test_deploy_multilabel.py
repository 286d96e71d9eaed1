"""Several labels a row, and forecasts of several steps, from the exported file to the bundle's answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from jumpml.core import Task, Trainer, Training
from jumpml.data import Column, DataLoaders
from jumpml.deploy import Deployment, Distill, Gate, Lessons, Predictor, Quantize, deploy
from jumpml.deploy._runtime import decide
from jumpml.evaluate import EvalResults, evaluate, predict
from jumpml.graph import Model, Node, probabilities
from jumpml.graph import decide as decide_in_torch
from jumpml.objectives import BinaryCrossEntropy, MeanSquaredError

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("red", "round", "sweet")


@given(seed=st.integers(0, 1000), scale=st.sampled_from([1.0, 1000.0]), labels=st.integers(1, 4))
def test_answers_are_torch_s(seed: int, scale: float, labels: int) -> None:
    output = torch.randn(5, labels, generator=torch.Generator().manual_seed(seed)) * scale
    names = ["a", "b", "c", "d"][:labels]
    answers = decide({"kind": "multilabel", "classes": names}, output.numpy())
    decided = decide_in_torch("multilabel", output).tolist()
    assert [a["prediction"] for a in answers] == [
        [n for n, has in zip(names, row, strict=True) if has] for row in decided
    ]
    chances = [list(answer["probability"].values()) for answer in answers]
    np.testing.assert_allclose(chances, probabilities("multilabel", output), rtol=1e-5, atol=1e-7)
    assert [list(answer["probability"]) for answer in answers] == [names] * 5


@pytest.fixture
def loaders() -> DataLoaders:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(160, 6, generator=g)
    labels = (x[:, :3] + 0.5 * torch.randn(160, 3, generator=g) > 0).float()
    labels[::20] = torch.nan
    steps = 100 + 10 * torch.stack([x[:, :2] * step for step in (1, 2, 3, 4)], dim=1)
    columns = {
        "x": Column(x, "tensor"),
        "y": Column(labels, "multilabel", classes=NAMES),
        "next": Column(steps, "series"),
    }
    rows = torch.arange(160)
    splits = {"train": rows[:80], "val": rows[80:100], "test": rows[100:]}
    return DataLoaders(columns, splits, name="fruit", batch_size=16)


def model_of(loaders: DataLoaders, width: int) -> Model:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        nodes = {
            "body": Node(nn.Sequential(nn.Linear(6, width), nn.ReLU()), "x"),
            "labels": Node(nn.Linear(width, 3), "body"),
            "steps": Node(nn.Linear(width, 8), "body"),
        }
    return Model(
        inputs={"x": loaders.info("x")},
        nodes=nodes,
        tasks={
            "y": Task(kind="multilabel", output="labels", target="y", metrics=("micro_f1", "subset_accuracy")),
            "next": Task(kind="regression", output="steps", target="next", metrics=("rmse",)),
        },
        objectives={
            "y": BinaryCrossEntropy(("labels", "y")),
            "next": MeanSquaredError(("steps", "next"), weight=1e-4),
        },
        fields=loaders.fields,
    )


@pytest.fixture
def deployed(loaders: DataLoaders, trainer: Trainer, tmp_path: Path) -> tuple[Model, EvalResults, Deployment]:
    model = model_of(loaders, 32)
    trainer(model, loaders, Training(epochs=20, lr=1e-2, seed=0, purpose="the tests"))
    results = evaluate(loaders, model)
    lessons = Lessons(epochs=1, lr=1e-3)
    deployment = deploy(
        results,
        model,
        changes={
            "int8": Quantize(calibration_rows=40),
            "student": Distill(
                student=model_of(loaders, 1), source="tiny.model.yaml", temperature=2.0, lessons=lessons
            ),
        },
        gate=Gate(metric="y/micro_f1", max_drop=0.1),
        folder=tmp_path,
        bundle="fruit",
        trainer=trainer,
    )
    return model, results, deployment


def test_a_bundle_answers_with_the_labels_and_their_chances(
    loaders: DataLoaders, deployed: tuple[Model, EvalResults, Deployment]
) -> None:
    model, _, deployment = deployed
    runtime = Predictor(deployment.bundle)
    assert runtime.check_golden() == 0
    sent = json.loads(json.dumps([{"x": row} for row in loaders.test.decoded("x").tolist()]))
    answers = runtime.predict(sent)
    expected = predict(loaders, model, "test")
    for answer, output in zip(answers, decide_in_torch("multilabel", expected["y"].output).tolist(), strict=True):
        assert answer["y"]["prediction"] == [name for name, has in zip(NAMES, output, strict=True) if has]
    steps = np.array([answer["next"]["prediction"] for answer in answers])
    assert steps.shape == (60, 4, 2)
    np.testing.assert_allclose(steps, expected["next"].output.numpy(), rtol=1e-3)
    readme = (deployment.bundle / "README.md").read_text(encoding="utf-8")
    assert "- `y`: any of `red`, `round`, `sweet`, for the field `y`" in readme
    assert "- `next`: numbers, [4, 2], for the field `next`" in readme
    manifest = json.loads((deployment.bundle / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["tasks"]["y"] == {"kind": "multilabel", "target": "y", "classes": list(NAMES)}


def test_the_gate_compares_labels_on_the_same_rows(deployed: tuple[Model, EvalResults, Deployment]) -> None:
    _, results, deployment = deployed
    variants = deployment.record.variants
    original = variants["float32"]
    assert original.figures["y/micro_f1"].value == pytest.approx(results["y/micro_f1"].value)
    assert original.figures["next/rmse"].value == pytest.approx(results["next/rmse"].value, rel=1e-4)
    gates = {name: variant.gate.answer for name, variant in variants.items() if variant.gate}
    # rounding moves few labels; one hidden number and one epoch of lessons are far too little
    assert gates["int8"] in {"pass", "undecided"}
    assert gates["student"] == "refuse"
