"""A teacher through files on digits: what `check` finds wrong of it, and a run beside one that is taught uniformly."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from digits_files import shell, written

import jumpml
from jumpml.core import AblationsRecord
from jumpml.evaluate import score

if TYPE_CHECKING:
    from pathlib import Path

LEARNER = """\
optimizer: {kind: adam, lr: 0.01}
phases: {supervised: {epochs: 2}}
log: [jsonl]
curriculum:
  teacher: {kind: exp3s, eta: 0.3}
  arms: {classes: label}
  reward: loss
"""
ARMS = [f"share/{digit}" for digit in range(10)]


@pytest.mark.parametrize(("share", "least", "most"), [("", 0.6, 1.0), (", share: 1", 0.0, 0.3)])
def test_classes_are_learned_in_company_and_not_alone(share: str, least: float, most: float, tmp_path: Path) -> None:
    files = written(
        tmp_path, LEARNER.replace("classes: label", f"classes: label{share}").replace("epochs: 2", "epochs: 8")
    )
    loaders = jumpml.create_dataloader(files / "digits.data.yaml")
    model = jumpml.load_model(files / "digits.model.yaml", loaders)
    learner = jumpml.create_learner(loaders, model, None, files / "digits.learner.yaml", run=tmp_path / "run")
    learner.fit()
    assert least < score(loaders, model, ["label/accuracy"], split="test")["label/accuracy"] < most


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        (
            "eta: 0.3",
            "etta: 0.3",
            "line 5, column 26: curriculum.teacher.etta: this key is unknown. Did you mean 'eta'?",
        ),
        (
            "classes: label",
            "classes: labl",
            "line 6, column 10: curriculum.arms.classes: the data has no field 'labl'. Did you mean 'label'?",
        ),
        (
            "{classes: label}",
            "{views: [plain, augment], share: 0.5}",
            "line 6, column 3: curriculum.arms: `share` does nothing without `classes`.",
        ),
        (
            "{classes: label}",
            "tasks",
            "line 6, column 3: curriculum.arms: a teacher needs two arms or more to choose from: in 'supervised' there "
            "is 'label'. Choose from other arms, or leave the curriculum out.",
        ),
        (
            "reward: loss",
            "reward: {kind: spg, of: [labl]}",
            "line 7, column 23: curriculum.reward.of: there is no objective 'labl'. Did you mean 'label'?",
        ),
    ],
)
def test_check_names_file_line_and_key(tmp_path: Path, was: str, now: str, told: str) -> None:
    result = shell("check", str(written(tmp_path, LEARNER.replace(was, now))))
    assert result.exit_code == 2
    assert f"digits.learner.yaml: 1 mistake\n  {told}\n" in result.stderr


@pytest.mark.parametrize("key", ["reward: loss", "every: 2", "floor: 0.1"])
def test_check_tells_what_changes_nothing_beside_an_even_choice(tmp_path: Path, key: str) -> None:
    even = LEARNER.replace("{kind: exp3s, eta: 0.3}", "uniform")
    told = f"`{key.partition(':')[0]}` changes nothing beside the teacher 'uniform'. Leave it out, or take a teacher"
    assert told in shell("check", str(written(tmp_path, even.replace("reward: loss", key)))).stdout
    plain = shell("check", str(written(tmp_path / "plain", even.replace("reward: loss", "reward: spg"))))
    assert plain.exit_code == 0 and "changes nothing" not in plain.stdout


@pytest.mark.parametrize(
    ("teacher", "reward", "told"),
    [
        (
            "tscl",
            "loss",
            "tscl goes by how far an arm came on, and 'loss' is where it stands. Take loss_drop, or a gain",
        ),
        (
            "online_mixing",
            "spg",
            "online_mixing goes by losses, and may choose nearly evenly by 'spg'. Say `reward: loss`, or",
        ),
        ("tscl", "spg", ""),
        ("online_mixing", "loss", ""),
    ],
)
def test_check_tells_of_rewards_that_a_teacher_was_not_made_for(
    teacher: str, reward: str, told: str, tmp_path: Path
) -> None:
    said = LEARNER.replace("{kind: exp3s, eta: 0.3}", teacher).replace("reward: loss", f"reward: {reward}")
    found = " ".join(shell("check", str(written(tmp_path, said))).stdout.split())
    assert told in found if told else "worth knowing: nothing" in found


def test_check_tells_of_rows_that_may_never_come(tmp_path: Path) -> None:
    paced = LEARNER[: LEARNER.index("curriculum")] + "curriculum: {pacing: baby_step, difficulty: own}\n"
    told = "phase 'supervised': pacing baby_step still keeps to 0.2 of the rows in the last batch unless the loss stops"
    assert told in " ".join(shell("check", str(written(tmp_path, paced))).stdout.split())
    later = shell("check", str(written(tmp_path / "later", paced.replace("epochs: 2", "epochs: 13"))))
    assert later.exit_code == 0 and "still keeps" not in later.stdout


def shares(run: Path) -> list[list[float]]:
    lines = map(json.loads, (run / "steps.jsonl").read_text(encoding="utf-8").splitlines())
    return [[line["figures"][arm] for arm in ARMS] for line in lines if "figures" in line]


def test_a_taught_run_stands_beside_one_that_is_taught_uniformly(tmp_path: Path) -> None:
    result = shell("run", str(written(tmp_path, LEARNER)), "--ablate", "curriculum", "--out", str(tmp_path / "runs"))
    assert result.exit_code == 0, result.output
    (run,) = (tmp_path / "runs" / "digits").iterdir()
    twin = run / "ablations" / "curriculum"
    assert "kind: uniform" in (twin / "specs" / "digits.learner.yaml").read_text(encoding="utf-8")
    assert shares(run) and shares(twin) and shares(run) != shares(twin)
    record = AblationsRecord.model_validate_json((run / "ablations.json").read_text(encoding="utf-8"))
    (compared,) = record.twins
    assert compared.key == "curriculum" and {*compared.changes} == {"label"}
    card = (run / "card.html").read_text(encoding="utf-8")
    for told in ("What parts of it are worth", f"without curriculum, {compared.instead}", "What was learned when"):
        assert told in card
