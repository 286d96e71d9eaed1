"""A run beside twins without one part of the learner file: equal in all else, resumed exactly, compared on the card."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from sklearn.datasets import load_digits
from typer.testing import CliRunner

from jumpml import Project, ablate, resume
from jumpml._removable import removals, removed
from jumpml._stages import Stages
from jumpml.cli import app
from jumpml.core import AblationsRecord, LearnerSpec, RunError, SpecError, load_spec
from jumpml.learn import Learner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DATA = """
datasets:
  strokes:
    source: {kind: csv, path: strokes.csv}
    fields:
      a: {kind: number}
      b: {kind: number}
      c: {kind: number}
      d: {kind: number}
      label: {kind: category}
      ink: {kind: number}
    split: {train: 0.6, val: 0.2, test: 0.2, stratify: label, duplicates: together}
batch_size: 32
"""
MODEL = """
seed: 0
nodes:
  join: {module: jumpml.blocks.Concat, inputs: [a, b, c, d]}
  body: {module: jumpml.blocks.MLP, inputs: join, args: {widths: [16]}}
  digit: {module: jumpml.blocks.Head, inputs: body}
  size: {module: jumpml.blocks.Head, inputs: body}
tasks:
  digit: {kind: multiclass, output: digit, target: label, metrics: [accuracy]}
  size: {kind: regression, output: size, target: ink, metrics: [rmse]}
"""
LEARNER = """
optimizer: {kind: adam, lr: 0.01}
phases: {supervised: {epochs: 4}}
balance: {kind: upgrad}
clip_norm: 1.0
checkpoint: {every: {steps: 4}, best: {metric: val/digit/accuracy}}
log: [progress, jsonl]
"""
KEYS = ["balance", "clip_norm"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four strips of 400 handwritten digits: how much ink is in each, which digit it is, and all of the ink."""
    path = tmp_path_factory.mktemp("work") / "strokes"
    path.mkdir()
    digits: Any = load_digits()
    strips = digits.images[:400].reshape(400, 4, 16).sum(2)
    names = [f"digit {target}" for target in digits.target[:400]]
    rows = [f"{','.join(map(str, strip))},{name},{strip.sum()}" for strip, name in zip(strips, names, strict=True)]
    (path / "strokes.csv").write_text("a,b,c,d,label,ink\n" + "\n".join(rows))
    for kind, text in {"data": DATA, "model": MODEL, "learner": LEARNER}.items():
        (path / f"strokes.{kind}.yaml").write_text(text)
    return path


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    return ablate(Project.find(folder), KEYS, out=folder.parent / "runs")


def weights(run: Path) -> dict[str, bytes]:
    """Every checkpoint's weights."""
    found = {path.parent.name: path.read_bytes() for path in sorted(run.glob("checkpoints/step-*/model.safetensors"))}
    assert found
    return found


def curves(run: Path) -> list[dict[str, Any]]:
    """The epochs, but for how long they took."""
    lines = map(json.loads, (run / "history.jsonl").read_text().splitlines())
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def without_times(record: AblationsRecord) -> dict[str, Any]:
    told = record.model_dump()
    for twin in told["twins"]:
        for epoch in twin["epochs"]:
            del epoch["seconds"]
    return told


def found(run: Path) -> AblationsRecord:
    return AblationsRecord.model_validate_json((run / "ablations.json").read_text())


def jumpml_(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments), prog_name="jumpml")


# --- what can be taken out ------------------------------------------------------------------------------------------


PACING = {"kind": "linear", "start": 0.2, "over": 0.5}
EXAMPLES = {"kind": "super_loss"}
TAUGHT: dict[str, Any] = {"teacher": {"kind": "exp3s", "eta": 0.02}, "arms": "tasks", "reward": "loss", "floor": 0.1}
UNIFORM = {**TAUGHT, "teacher": "uniform"}
FULL: dict[str, Any] = {
    "clip_norm": 1.0,
    "ema": {},
    "replay": {"kind": "reservoir"},
    "balance": {"kind": "dwa"},
    "phases": {"warm_up": {"epochs": 2}, "none": {"epochs": 0}, "supervised": {"epochs": 2}},
    "initialize": {"scheme": "orthogonal"},
    "schedule": {"kind": "cosine"},
    "statistics": True,
    "seed": 3,
}


def test_what_can_be_taken_out_is_what_a_file_has_and_its_default_has_not() -> None:
    spec = load_spec(LearnerSpec, FULL)
    keys = ["clip_norm", "schedule", "initialize", "phases.warm_up", "balance", "replay", "ema"]
    assert [*removals(spec)] == keys
    assert removals(LearnerSpec()) == {}
    for key, removal in removed(spec, keys).items():
        twin = load_spec(LearnerSpec, spec, removal.values)
        differing = [name for name in LearnerSpec.model_fields if getattr(twin, name) != getattr(spec, name)]
        assert differing == [key.partition(".")[0]]
        assert key not in removals(twin)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (["balanse"], "  balanse: the learner file knows no such key. Did you mean 'balance'?"),
        (["learner.ema"], "  learner.ema: the keys are those of the learner file. Write ema."),
        (["swa"], "  swa: the LearnerSpec does not have it. What can be taken out: clip_norm, ema."),
        (["ema.start"], "  ema.start: the LearnerSpec does not have it. What can be taken out: clip_norm, ema."),
        (["balance"], "  balance: the LearnerSpec does not have it. What can be taken out: clip_norm, ema."),
        (["optimizer"], "  optimizer: it cannot be taken out, only changed. What can be taken out: clip_norm, ema."),
        (["ema.decay"], "  ema.decay: it cannot be taken out, only changed. What can be taken out: clip_norm, ema."),
        (["statistics"], "  statistics: nothing that is learned depends on it. What can be taken out: clip_norm, ema."),
        (["ema", "clip_norm", "ema"], "  ema: named twice; its twin learns once."),
        ([], "  expected a key of the learner file, such as balance; got none."),
    ],
)
def test_a_key_that_cannot_be_taken_out_is_told(keys: list[str], told: str) -> None:
    spec = LearnerSpec.model_validate({"ema": {}, "clip_norm": 1.0, "statistics": True})
    with pytest.raises(SpecError) as caught:
        removed(spec, keys)
    assert str(caught.value) == f"--ablate: 1 mistake\n{told}"


@pytest.mark.parametrize(
    ("curriculum", "key", "left"),
    [
        ({"pacing": PACING}, "curriculum", None),
        ({"pacing": PACING, "difficulty": "own"}, "curriculum.pacing", None),
        ({"pacing": PACING, "difficulty": "own", "examples": EXAMPLES}, "curriculum", None),
        ({"pacing": PACING, "difficulty": "own", "examples": EXAMPLES}, "curriculum.pacing", {"examples": EXAMPLES}),
        (
            {"pacing": PACING, "difficulty": "own", "examples": EXAMPLES},
            "curriculum.examples",
            {"pacing": PACING, "difficulty": "own"},
        ),
        (TAUGHT, "curriculum", UNIFORM),
        ({**TAUGHT, "pacing": PACING, "examples": EXAMPLES}, "curriculum", UNIFORM),
        ({**TAUGHT, "pacing": PACING}, "curriculum.teacher", {**UNIFORM, "pacing": PACING}),
        ({**TAUGHT, "pacing": PACING, "difficulty": "own"}, "curriculum.pacing", TAUGHT),
        ({**UNIFORM, "examples": EXAMPLES}, "curriculum", UNIFORM),
    ],
)
def test_a_curriculum_is_taken_out_as_a_whole_and_in_parts(
    curriculum: dict[str, Any], key: str, left: dict[str, Any] | None
) -> None:
    spec = LearnerSpec.model_validate({"curriculum": curriculum})
    (removal,) = removed(spec, [key]).values()
    twin = load_spec(LearnerSpec, spec, removal.values)
    assert twin == LearnerSpec.model_validate({"curriculum": left})
    resolved = load_spec(LearnerSpec, spec.model_dump(mode="json"), removal.values)  # as a run's folder has it
    assert resolved == twin


def test_what_is_uniform_already_has_no_twin() -> None:
    spec = LearnerSpec.model_validate({"curriculum": UNIFORM})
    with pytest.raises(SpecError) as caught:
        removed(spec, ["curriculum"])
    told = "curriculum: its twin would be the run itself. Nothing in it can be taken out."
    assert str(caught.value) == f"--ablate: 1 mistake\n  {told}"


def test_a_sum_that_logs_cosines_is_a_sum() -> None:
    assert removals(LearnerSpec.model_validate({"balance": {"kind": "sum", "cosines": 50}})) == {}


def test_all_mistakes_come_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        removed(LearnerSpec(), ["ema", "optimizer", "optimizer"])
    assert str(caught.value) == (
        "--ablate: 3 mistakes\n  ema: the LearnerSpec does not have it. Nothing in it can be taken out.\n"
        "  optimizer: it cannot be taken out, only changed. Nothing in it can be taken out.\n"
        "  optimizer: named twice; its twin learns once."
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("none", "the project has no learner file, or one that says nothing: there is nothing to take out."),
        ("checkpoint: null", "checkpoint: null keeps nothing that twins could be compared with. Leave it out."),
    ],
)
def test_a_project_that_cannot_have_twins_is_told_before_anything_is_made(
    folder: Path, tmp_path: Path, change: str, told: str
) -> None:
    shutil.copytree(folder, tmp_path / "strokes")
    learner = tmp_path / "strokes" / "strokes.learner.yaml"
    learner.unlink() if change == "none" else learner.write_text(f"ema: {{}}\n{change}\n")
    result = jumpml_("run", str(tmp_path / "strokes"), "--ablate", "ema", "--out", str(tmp_path / "runs"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: --ablate: 1 mistake\n  {told}\n"
    assert not (tmp_path / "runs").exists()


def test_a_twin_that_cannot_run_is_told_before_anything_is_made(folder: Path, tmp_path: Path) -> None:
    phases = {"only": {"epochs": 1}, "supervised": {"epochs": 0}}
    when = {f"model.tasks.{task}.objective.when": ["only"] for task in ("digit", "size")}
    with pytest.raises(RunError) as caught:
        ablate(Project.find(folder, {"learner.phases": phases, **when}), ["phases.only"], out=tmp_path)
    assert str(caught.value).startswith("--ablate phases.only: without it the project cannot run: ")
    assert "balance: upgrad needs two objectives or more that are active at once" in str(caught.value)
    assert [*tmp_path.iterdir()] == []


# --- what a run with twins leaves -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("twin", "change"),
    [
        (".", {}),
        ("ablations/balance", {"learner.balance": {"kind": "sum"}}),
        ("ablations/clip_norm", {"learner.clip_norm": None}),
    ],
)
def test_run_and_twins_learn_as_they_would_alone(
    whole: Path, folder: Path, tmp_path: Path, twin: str, change: dict[str, Any]
) -> None:
    project = Project.find(folder, change)
    _, learner = project.learn(tmp_path, project.begin(tmp_path), Stages())
    assert learner.progress.step == 32
    assert weights(whole / twin) == weights(tmp_path)
    assert curves(whole / twin) == curves(tmp_path)


def test_a_part_makes_a_difference(whole: Path) -> None:
    alone = [weights(whole / twin) for twin in (".", "ablations/balance", "ablations/clip_norm")]
    assert all(one != other for place, one in enumerate(alone) for other in alone[place + 1 :])


def test_the_differences_are_of_paired_rows(whole: Path) -> None:
    run = json.loads((whole / "evaluation.json").read_text())["tasks"]
    for twin in found(whole).twins:
        assert {*twin.changes} == {"digit", "size"}
        for task, changes in twin.changes.items():
            for metric, change in changes.items():
                told = run[task]["figures"][metric]["value"] - twin.figures[task][metric].value
                assert change.value == pytest.approx(told, abs=1e-6)
                assert change.low <= change.value <= change.high


def test_the_card_sets_them_side_by_side_and_is_made_again_from_records_alone(whole: Path) -> None:
    card = (whole / "card.html").read_text()
    readme = (whole / "README.md").read_text()
    for told in ("What parts of it are worth", "without balance, objectives are added up", "without clip_norm"):
        assert told in card
        assert told in readme
    assert "What was learned when" in card  # two tasks, and a balancer that tells multipliers and cosines
    assert "Who pulled against whom" in card
    assert [path.read_text() == card for path in whole.glob("bundles/*/card.html")] == [True]
    result = jumpml_("report", str(whole))
    assert result.exit_code == 0, result.output
    assert (whole / "card.html").read_text() == card


def test_a_twin_is_an_ordinary_run(whole: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    shutil.copytree(whole / "ablations" / "balance", twin)
    before = weights(twin)
    assert "Not deployed" in (twin / "card.html").read_text()
    assert resume(twin) == twin
    assert weights(twin) == before
    assert (twin / "bundles").is_dir()
    compared = jumpml_("compare", str(whole), str(whole / "ablations" / "balance")).stdout
    assert "learner.balance.kind  upgrad" in compared
    assert "data.root" not in compared
    assert f"{whole.name}  without balance" in compared


class Killed(BaseException):
    """What stands in for a killed process."""


def killed_at(patch: pytest.MonkeyPatch, run: int, step: int, go: Callable[[], object]) -> None:
    """Kill what runs at a step of the first, second or third run that it learns."""
    original, learners = Learner.step, []

    def step_or_die(self: Learner, *batches: Any) -> None:
        if self not in learners:
            learners.append(self)
        if (len(learners), self.progress.step) == (run, step):
            raise Killed
        original(self, *batches)

    with patch.context() as inner:
        inner.setattr(Learner, "step", step_or_die)
        with pytest.raises(Killed):
            go()


def test_a_run_that_is_killed_anywhere_goes_on_exactly(
    whole: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_at(monkeypatch, 1, 5, lambda: ablate(Project.find(folder), KEYS, out=tmp_path))
    (stopped,) = (tmp_path / "strokes").iterdir()
    assert [*stopped.glob("ablations/*/specs")] == []
    with monkeypatch.context() as unreported:
        unreported.setattr(Project, "_report", lambda *_: None)
        killed_at(monkeypatch, 3, 3, lambda: resume(stopped))
    assert len([*stopped.glob("ablations/*/specs")]) == 2
    result = jumpml_("resume", str(stopped))
    assert (result.exit_code, result.stdout) == (0, f"{stopped}\n"), result.output
    assert [line for line in result.stderr.splitlines() if line.startswith("run ")] == [
        "run  1 of 3: as the files say",
        "run  2 of 3: without balance, objectives are added up",
        "run  3 of 3: without clip_norm",
    ]
    assert result.stderr.count("supervised 4/4") == 1, "what has learned does not learn again"
    for one in (stopped, *(stopped / "ablations" / key for key in KEYS)):
        twin = whole / one.relative_to(stopped)
        assert weights(one) == weights(twin)
        assert curves(one) == curves(twin)
    assert without_times(found(stopped)) == without_times(found(whole))
    assert "without clip_norm" in (stopped / "card.html").read_text()


def test_a_run_that_goes_on_with_changes_takes_its_twins_along(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    monkeypatch.setattr(Project, "_report", lambda *_: None)  # it stands there, of the run without the changes
    resume(run, overrides={"learner.phases.supervised.epochs": 5}, allow_changes=True)
    assert [len(curves(run / "ablations" / key)) for key in KEYS] == [5, 5]
    with pytest.raises(SpecError) as caught:
        resume(run, overrides={"learner.clip_norm": None}, allow_changes=True)
    assert "clip_norm: " in str(caught.value)
    assert "does not have it. What can be taken out: balance." in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", '{"keys"'])
def test_a_damaged_plan_is_told(whole: Path, tmp_path: Path, text: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    (run / "ablations" / "plan.json").write_text(text)
    with pytest.raises(RunError) as caught:
        resume(run)
    told = f"{run / 'ablations' / 'plan.json'}: damaged: expected the keys that are taken out, got "
    assert str(caught.value).startswith(told)


def test_damaged_twins_are_told_by_the_report(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "run")
    (tmp_path / "run" / "ablations.json").write_text("{")
    result = jumpml_("report", str(tmp_path / "run"))
    assert result.exit_code == 2
    assert "ablations.json: damaged, or written by another version: expected a AblationsRecord" in result.stderr


def test_a_dry_run_tries_the_twins_too(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Project, "_report", lambda *_: None)  # whether a dry run reports is not asked here
    result = jumpml_("run", str(folder), "--ablate", "balance", "--dry-run")
    assert result.exit_code == 0, result.output
    assert result.stderr.count("learn  on cpu") == 2
    assert [*tmp_path.iterdir()] == []
