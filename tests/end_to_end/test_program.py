"""The program of the examples, run as a user runs it, and its bundle asked about the test rows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.torch import load_file

import jumpml
from jumpml.deploy import Predictor
from jumpml.evaluate import predict

if TYPE_CHECKING:
    from jumpml.data import DataLoaders

DIGITS = Path(__file__).parents[2] / "examples" / "digits"

# The bounds that the project has promised for its example; the digits' rows, splits and seeds are fixed.
ACCURACY, INT8_DROP, ONNX_DIFFERENCE = 0.97, 0.025, 1e-4

ARTICLE = """\
import jumpml
import torch.optim as optim

dataloader = jumpml.createDataloader("digits.data.yaml")
model = jumpml.loadModel("digits.model.yaml")
optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
learner = jumpml.createLearner(dataloader, model, optimizer, "digits.learner.yaml")
learner.ssLearn()
for epoch in range(20):
    learner.trainEpoch()
evalResults = jumpml.evalModel(dataloader, model, ["accuracy", my_metric])
jumpml.deployModel(evalResults, model, "digits.deploy.yaml")
"""


@dataclass(frozen=True)
class Finished:
    """What the program left behind."""

    folder: Path
    said: str
    told: str

    @property
    def bundle(self) -> Path:
        return self.folder / "bundles" / "digits"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("program") / "digits"
    shutil.copytree(DIGITS, folder, ignore=shutil.ignore_patterns("runs", "bundles", "__pycache__"))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error::UserWarning"}
    # From another folder: the program finds its files by itself.
    run = subprocess.run(
        [sys.executable, str(folder / "main.py")],
        cwd=folder.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return Finished(folder, run.stdout, run.stderr)


@pytest.fixture(scope="module")
def loaders(finished: Finished) -> DataLoaders:
    return jumpml.create_dataloader(finished.folder / "digits.data.yaml")


def figure(said: str, name: str) -> float:
    """A figure of the printed evaluation."""
    found = re.search(rf"^  {re.escape(name)} +([\d.]+)  \[", said, re.MULTILINE)
    if found is None:
        raise AssertionError(f"no figure {name!r} is printed in:\n{said}")
    return float(found.group(1))


def variants(said: str) -> dict[str, dict[str, str]]:
    """The printed table of variants, by name and column."""
    lines = said[said.index("\n  variant  ") :].splitlines()[1:]
    head, *rows = (re.split(r" {2,}", line.strip()) for line in lines)
    table = {row[0]: dict(zip(head, row, strict=True)) for row in rows if len(row) == len(head)}
    if not table:
        raise AssertionError(f"no variant is printed in:\n{said}")
    return table


def test_the_readers_of_what_is_printed_can_fail() -> None:
    with pytest.raises(AssertionError, match="no figure 'digit/acc' is printed"):
        figure("  digit/accuracy  0.99  [0.98, 1]  n=3\n", "digit/acc")
    with pytest.raises(AssertionError, match="no variant is printed"):
        variants("\n  variant  bundled\n  float32: unchanged")


def test_the_article_s_program_stands_in_it_line_by_line() -> None:
    program = [line.strip() for line in (DIGITS / "main.py").read_text().splitlines()]
    program = [line.replace("even_or_odd", "my_metric").replace("deployment = ", "") for line in program]
    left = [line.strip() for line in ARTICLE.splitlines() if line and not line.startswith("import")]
    assert {line for line in ARTICLE.splitlines() if line.startswith("import")} <= {*program}
    assert [line for line in program if line in left] == left


def test_the_article_s_names_are_the_same_objects() -> None:
    assert jumpml.createDataloader is jumpml.create_dataloader
    assert jumpml.loadModel is jumpml.load_model
    assert jumpml.createLearner is jumpml.create_learner
    assert jumpml.evalModel is jumpml.eval_model
    assert jumpml.deployModel is jumpml.deploy_model
    assert jumpml.Learner.ssLearn is jumpml.Learner.ss_learn
    assert jumpml.Learner.trainEpoch is jumpml.Learner.train_epoch


def test_it_learns_the_digits_and_measures_with_its_own_metric_too(finished: Finished) -> None:
    assert figure(finished.said, "digit/accuracy") >= ACCURACY
    assert figure(finished.said, "digit/even_or_odd") >= figure(finished.said, "digit/accuracy")


def test_it_says_what_a_user_should_know_and_nothing_alarming(finished: Finished) -> None:
    assert "The optimizer given in code (SGD, lr 0.1) is used, not the one of digits.learner.yaml." in finished.told
    assert "the learner keeps an average of them too: learner.ema_model." in finished.said
    assert "Warning" not in finished.told


def test_the_variants_that_hold_are_bundled_and_no_others(finished: Finished) -> None:
    table = variants(finished.said)
    assert list(table) == ["float32", "int8", "slim", "student"]
    assert table["float32"]["bundled"] == table["int8"]["bundled"] == "yes"
    assert float(table["float32"]["difference"]) <= ONNX_DIFFERENCE
    assert float(table["int8"]["digit/accuracy"]) >= float(table["float32"]["digit/accuracy"]) - INT8_DROP
    there = {path.stem for path in finished.bundle.glob("*.onnx")}
    assert there == {name for name, row in table.items() if row["bundled"] == "yes"}


def test_the_bundle_answers_raw_test_rows_as_the_model_does(finished: Finished, loaders: DataLoaders) -> None:
    """What is printed is not believed: the trained weights and the bundle are both asked again."""
    model = jumpml.load_model(finished.folder / "digits.model.yaml")
    last = max(finished.folder.glob("runs/digits/*/checkpoints/step-*"))
    model.load_state_dict(load_file(last / "model.safetensors"))
    expected = predict(loaders, model, "test")["digit"]
    labels = expected.target.numpy()
    rows = loaders.raw("test", range(len(labels)))
    outputs = {name: Predictor(finished.bundle, name).outputs(rows)["digit.output"] for name in ("float32", "int8")}
    accuracy = {name: float((output.argmax(1) == labels).mean()) for name, output in outputs.items()}
    assert np.abs(outputs["float32"] - expected.output.numpy()).max() <= ONNX_DIFFERENCE
    assert accuracy["float32"] >= ACCURACY
    assert accuracy["float32"] == pytest.approx(
        figure(finished.said, "digit/accuracy"), abs=1e-4
    )  # four digits printed
    assert accuracy["int8"] >= accuracy["float32"] - INT8_DROP
    assert accuracy["int8"] == pytest.approx(float(variants(finished.said)["int8"]["digit/accuracy"]), abs=1e-4)


def test_diagnose_stays_a_verb_after_its_room_was_imported() -> None:
    """Importing a package below another one sets an attribute of its name there."""
    code = "import jumpml, jumpml.diagnose as room; print(callable(jumpml.diagnose), room.KNN.__name__)"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said == "True KNN\n"
