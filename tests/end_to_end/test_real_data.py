"""Real data, each set from the files in `examples/real` to a bundle that answers raw rows."""

from __future__ import annotations

import json
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import jumpml
from jumpml._check import check_parts
from jumpml.core import EvaluationRecord
from jumpml.deploy import Predictor
from jumpml.evaluate import predict
from jumpml.learn import build_learner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jumpml.data import DataLoaders
    from jumpml.evaluate import EvalResults
    from jumpml.graph import Model

REAL = Path(__file__).parents[2] / "examples" / "real"
FOLDERS = {
    "adult": "adult",
    "etth1": "ett_small",
    "fashion_mnist": "fashion_mnist",
    "goemotions": "goemotions",
    "penguins": "penguins",
    "sms_spam": "sms_spam",
    "spoken_digits": "fsdd_spoken_digits",
    "tiny_shakespeare": "tiny_shakespeare",
}

# Shorter and smaller than the files say, so that all of it takes about a minute and a half.
EPOCHS = "learner.phases.supervised.epochs"
SHORT: dict[str, dict[str, Any]] = {
    "adult": {
        EPOCHS: 1,
        "model.nodes.body.args": {"width": 8, "depth": 1, "heads": 2},
        "learner.optimizer.lr": 0.01,
        "learner.checkpoint": None,
    },
    "etth1": {EPOCHS: 2, "learner.checkpoint": None},
    "fashion_mnist": {EPOCHS: 1, "model.nodes.encoder.args.widths": [8, 16], "learner.checkpoint": None},
    "goemotions": {EPOCHS: 2},
    "penguins": {},
    "sms_spam": {EPOCHS: 3},
    "spoken_digits": {EPOCHS: 2},
    "tiny_shakespeare": {
        EPOCHS: 1,
        "data.datasets.plays.fields.text.length": 32,
        "data.batch_size": 128,
        "model.nodes.letters.args.width": 16,
        "model.nodes.reader.args": {"depth": 1, "heads": 2},
    },
}

# A node whose output is not a prediction, in the models that have one.
HIDDEN = {
    "adult": "body",
    "fashion_mnist": "encoder",
    "goemotions": "words",
    "penguins": "body",
    "spoken_digits": "encoder",
    "tiny_shakespeare": "reader",
}

ROWS = 20  # that the bundle is asked


@dataclass(frozen=True)
class Done:
    """A short run."""

    loaders: DataLoaders
    model: Model
    results: EvalResults
    bundle: Path
    told: str


def project(name: str, shared_data: Path, overrides: dict[str, Any]) -> jumpml.Project:
    folder = shared_data / FOLDERS[name]
    if not folder.is_dir():
        pytest.skip(f"no data at {folder}")
    return jumpml.Project.find(REAL / name, {"data.root": str(folder.resolve()), **overrides})


@pytest.fixture(scope="module")
def done(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Done]:
    """Checks, learns, measures and deploys, each data set once."""
    found: dict[str, Done] = {}

    def run(name: str) -> Done:
        if name not in found:
            quiet = {"learner.log": [], "learner.checkpoint": None, "learner.record_examples": False}
            files = project(name, shared_data, quiet | SHORT[name])
            loaders, model = files.build()
            specs = files.data, files.model, files.learner, files.deploy
            report = check_parts(loaders, model, files.learner, files.deploy, files=specs, trust=())
            folder = tmp_path_factory.mktemp(name)
            build_learner(files.learner, loaders, model, None, folder).fit()
            results = jumpml.eval_model(loaders, model)
            deployment = jumpml.deploy_model(results, model, files.deploy, folder=folder)
            found[name] = Done(loaders, model, results, deployment.bundle, str(report))
        return found[name]

    return run


def first_outputs(finished: Done, task: str) -> Tensor:
    """The model's own for the rows that the bundle is asked; nobody holds those at positions, so they are made anew."""
    if finished.model.tasks[task].brings.at == "row":
        return predict(finished.loaders, finished.model, "test")[task].output[:ROWS]
    with torch.no_grad():
        return finished.model.eval()(next(finished.loaders.test.plain()))[task][:ROWS]


def quickly(names: Iterable[str]) -> list[Any]:
    """The names in their order; of 70,000 pictures a run takes as long as of all others together."""
    return [pytest.param(name, marks=pytest.mark.slow if name == "fashion_mnist" else ()) for name in sorted(names)]


@pytest.mark.parametrize("name", quickly(FOLDERS))
def test_the_bundle_answers_raw_rows_as_the_model_does(name: str, done: Callable[[str], Done]) -> None:
    finished = done(name)
    predictor = Predictor(finished.bundle)
    predictor.check_golden()
    rows = json.loads(json.dumps(finished.loaders.raw("test", range(ROWS))))
    answers, outputs = predictor.predict(rows), predictor.outputs(rows)
    for task in finished.model.tasks:
        expected = first_outputs(finished, task).numpy()
        # the bundle's own tolerance for float32: a share of the largest output
        assert np.abs(outputs[f"{task}.output"] - expected).max() <= 1e-4 * max(1.0, np.abs(expected).max())
        assert all("prediction" in answer[task] for answer in answers)


@pytest.mark.parametrize("name", quickly(FOLDERS))
def test_no_column_is_dropped_because_no_node_reads_it(name: str, done: Callable[[str], Done]) -> None:
    loaders = done(name).loaders
    batch = next(loaders.test.plain())
    assert {*loaders.fields} <= {*batch}
    assert {*loaders.fields} == {*loaders.raw("test", [0])[0]}


def test_a_field_that_nobody_reads_holds_what_the_file_says(done: Callable[[str], Done]) -> None:
    finished = done("adult")
    assert "fnlwgt" not in finished.model.inputs
    assert "fnlwgt" not in Predictor(finished.bundle).manifest["inputs"]
    assert next(finished.loaders.test.plain())["fnlwgt"][0].item() == 226802  # the first line of adult-test.csv


# --- better than knowing nothing --------------------------------------------------------------------------------------


def majority(loaders: DataLoaders, target: str) -> float:
    """The share of the test rows that have the train rows' most frequent class."""
    return (loaders.test.decoded(target) == loaders.train.decoded(target).bincount().argmax()).float().mean().item()


def rmse(predicted: Tensor, target: Tensor) -> float:
    """The root of the mean squared error of the rows that have a target."""
    return (predicted - target).square().nanmean().sqrt().item()


@pytest.mark.parametrize(
    ("name", "task", "target"),
    [
        ("adult", "income", "income"),
        pytest.param("fashion_mnist", "label", "label", marks=pytest.mark.slow),
        ("penguins", "species", "species"),
        ("sms_spam", "label", "label"),
        ("spoken_digits", "digit", "digit"),
        ("spoken_digits", "speaker", "speaker"),
    ],
)
def test_classes_are_found_more_often_than_by_the_majority(
    name: str, task: str, target: str, done: Callable[[str], Done]
) -> None:
    finished = done(name)
    assert finished.results[f"{task}/accuracy"].low > majority(finished.loaders, target)


def test_penguins_are_weighed_better_than_by_their_mean(done: Callable[[str], Done]) -> None:
    finished = done("penguins")
    weights = finished.loaders.train.decoded("mass"), finished.loaders.test.decoded("mass")
    assert (
        sum(int(part.isnan().sum()) for part in weights) + int(finished.loaders.val.decoded("mass").isnan().sum()) == 2
    )  # palmerpenguins: two birds were not measured
    assert finished.results["mass/rmse"].high < rmse(weights[0].nanmean(), weights[1])


def test_the_transformer_is_foretold_better_than_by_its_last_hour(done: Callable[[str], Done]) -> None:
    finished = done("etth1")
    future = finished.loaders.test.decoded("future")
    last_hour = finished.loaders.test.decoded("past")[:, -1:, -1:]
    assert finished.results["oil/rmse"].value < rmse(last_hour, future)
    assert finished.results["oil/rmse"].high < rmse(finished.loaders.train.decoded("future").mean(), future)
    # neighbouring windows share most of their hours: whether the lead is more than luck is for blocks of them to say
    assert finished.results["oil/skill"].low > 0
    assert finished.results["oil/seasonal_skill"].low > 0


def test_windows_of_two_splits_share_no_hour(done: Callable[[str], Done]) -> None:
    loaders = done("etth1").loaders
    train, val, test = (loader.rows for loader in (loaders.train, loaders.val, loaders.test))
    assert int(train.max()) + 24 <= int(val.min()) - 96
    assert int(val.max()) + 24 <= int(test.min()) - 96


def test_emotions_are_found_better_than_by_the_same_answer_to_all(done: Callable[[str], Done]) -> None:
    finished = done("goemotions")
    labels = finished.loaders.test.decoded("emotions")
    classes = finished.loaders.fields["emotions"].classes
    best = max(
        2 * labels[:, given].sum().item() / (len(labels) * len(given) + labels.sum().item())
        for given in ([classes.index("neutral")], [*range(len(classes))])
    )
    assert finished.results["emotions/micro_f1"].low > best


# --- what evaluation holds --------------------------------------------------------------------------------------------


@dataclass
class Alive:
    """Counts a module's outputs, and how many of them are held at the same time."""

    module: nn.Module
    calls: int = 0
    most: int = 0
    _outputs: list[weakref.ref[Tensor]] = field(default_factory=list)

    def __enter__(self) -> Alive:
        self._hook = self.module.register_forward_hook(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()

    def _count(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self.calls += 1
        self._outputs = [one for one in self._outputs if one() is not None] + [weakref.ref(output)]
        self.most = max(self.most, len(self._outputs))


def test_outputs_that_are_held_are_noticed() -> None:
    with Alive(nn.Linear(2, 2)) as alive:
        held = [alive.module(torch.zeros(1, 2)) for _ in range(3)]
    assert (alive.calls, alive.most, len(held)) == (3, 3, 3)
    with Alive(nn.Linear(2, 2)) as alive:
        for _ in range(3):
            alive.module(torch.zeros(1, 2))
    assert (alive.calls, alive.most) == (3, 1)


@pytest.mark.parametrize("name", quickly(HIDDEN))
def test_evaluation_holds_the_activations_of_one_batch(name: str, done: Callable[[str], Done]) -> None:
    finished = done(name)
    with Alive(finished.model.node(HIDDEN[name])) as alive:
        predict(finished.loaders, finished.model, "test")
    assert alive.calls >= 2
    assert alive.most <= 2, "at most those of a batch and of the one before it"


# --- whole runs -------------------------------------------------------------------------------------------------------


def test_a_run_is_repeated_from_its_own_folder(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where train and test have a source each: both files are found from there."""
    run = project("adult", shared_data, SHORT["adult"] | {"learner.log": ["jsonl"]}).run(tmp_path / "runs")
    assert (run / "card.html").exists()
    monkeypatch.chdir(tmp_path)
    again = jumpml.Project.find(run / "specs")
    assert again.data.folder == (shared_data / "adult").resolve()
    loaders, _ = again.build()
    assert len(loaders.train.rows) == 29305  # nine tenths of 32,561
    assert len(loaders.test.rows) == 16281


# What the files' own runs reach, rounded in the test's favour; docs/real-data.md has the figures.
CLAIMS: dict[str, dict[str, tuple[float, float]]] = {
    "adult": {"income/accuracy": (0.85, 1), "income/auroc": (0.905, 1)},
    "etth1": {"oil/rmse": (0, 1.83)},
    "fashion_mnist": {"label/accuracy": (0.9, 1)},
    "goemotions": {"emotions/micro_f1": (0.46, 1)},
    "penguins": {"species/accuracy": (0.95, 1), "mass/rmse": (0, 420)},
    "sms_spam": {"label/accuracy": (0.97, 1)},
    "spoken_digits": {"digit/accuracy": (0.97, 1), "speaker/accuracy": (0.97, 1)},
    "tiny_shakespeare": {"next/log_loss": (0, 1.8)},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CLAIMS))
def test_the_files_as_they_are_reach_what_the_page_says(name: str, shared_data: Path, tmp_path: Path) -> None:
    run = project(name, shared_data, {"learner.log": []}).run(tmp_path)
    record = EvaluationRecord.model_validate_json((run / "evaluation.json").read_text(encoding="utf-8"))
    for figure, (least, most) in CLAIMS[name].items():
        task, _, metric = figure.partition("/")
        assert least <= record.tasks[task].figures[metric].value <= most
