"""A card from a run's folder alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jumpml.core import (
    JumpMLError,
    RunError,
    RunRecord,
)
from jumpml.report import card_from_run, report_card

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(records: dict[str, Any], tmp_path: Path) -> Path:
    """A run's folder, as docs/architecture.md has it."""
    path = tmp_path / "runs" / "digits" / "20260131-120000"
    path.mkdir(parents=True)
    for name in ("run", "evaluation", "diagnosis", "deployment"):
        (path / f"{name}.json").write_text(records[name].model_dump_json(), encoding="utf-8")
    lines = "".join(f"{epoch.model_dump_json()}\n" for epoch in records["epochs"])
    (path / "history.jsonl").write_text(lines, encoding="utf-8")
    return path


def refused(folder: Path) -> str:
    with pytest.raises(RunError) as caught:
        card_from_run(folder)
    assert isinstance(caught.value, JumpMLError)
    return str(caught.value)


def test_refused_can_fail(folder: Path) -> None:
    with pytest.raises(pytest.fail.Exception):
        refused(folder)


def test_the_folder_is_enough(folder: Path, records: dict[str, Any]) -> None:
    card, expected = card_from_run(str(folder)), report_card(**records)
    assert (card.html, card.markdown, card.json) == (expected.html, expected.markdown, expected.json)


def test_diagnosis_and_deployment_may_be_missing(folder: Path) -> None:
    (folder / "diagnosis.json").unlink()
    (folder / "deployment.json").unlink()
    record = card_from_run(folder).record
    assert (record.diagnosis, record.deployment) == (None, None)


def test_a_run_that_wrote_no_lines_has_no_epochs(folder: Path, run: RunRecord) -> None:
    silent = run.model_copy(update={"specs": {**run.specs, "learner": {"log": ["progress"]}}})
    (folder / "run.json").write_text(silent.model_dump_json(), encoding="utf-8")
    assert len(card_from_run(folder).record.epochs) == 25  # lines that are there are read
    (folder / "history.jsonl").unlink()
    assert card_from_run(folder).record.epochs == ()


def test_no_folder(folder: Path) -> None:
    wrong = folder.with_name("20260131-120001")
    assert refused(wrong) == f"{wrong}: there is no such folder. Did you mean '20260131-120000'?"


def test_no_folder_and_nothing_above_it(tmp_path: Path) -> None:
    wrong = tmp_path / "nowhere" / "run"
    assert refused(wrong) == f"{wrong}: there is no such folder. There are none."


@pytest.mark.parametrize("up", [0, 1])
def test_a_folder_of_runs(up: int, folder: Path) -> None:
    above = folder.parents[up]
    assert refused(above) == f"{above}: this is no run's folder: there is no run.json. There is one in {folder}."


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    told = "this is no run's folder: there is no run.json. Expected a folder such as runs/<name>/<time>."
    assert refused(tmp_path) == f"{tmp_path}: {told}"


def test_not_evaluated_yet(folder: Path) -> None:
    (folder / "evaluation.json").unlink()
    told = f"there is no evaluation.json. The run did not come so far: jumpml resume {folder}"
    assert refused(folder) == f"{folder}: {told}"


def test_the_history_is_gone(folder: Path) -> None:
    (folder / "history.jsonl").unlink()
    told = "there is no history.jsonl. The run's log wrote one; it was moved or deleted."
    assert refused(folder) == f"{folder}: {told}"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("run", "RunRecord"),
        ("evaluation", "EvaluationRecord"),
        ("diagnosis", "DiagnosisRecord"),
        ("deployment", "DeploymentRecord"),
    ],
)
def test_a_torn_record(name: str, kind: str, folder: Path) -> None:
    path = folder / f"{name}.json"
    path.write_bytes(path.read_bytes()[:100])
    told = refused(folder)
    assert told.startswith(
        f"{path}: damaged, or written by another version: expected a {kind}, but Invalid JSON: EOF while parsing"
    )


def test_a_record_of_another_version(folder: Path) -> None:
    path = folder / "evaluation.json"
    path.write_text('{"split": "test", "tasks": {}, "colour": 1, "taste": 2}', encoding="utf-8")
    told = "expected a EvaluationRecord, but at colour: Extra inputs are not permitted (and 1 more)."
    assert refused(folder) == f"{path}: damaged, or written by another version: {told}"


def test_a_torn_line_of_the_history(folder: Path) -> None:
    path = folder / "history.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    told = refused(folder)
    assert told.startswith(
        f"{path}, line 25: damaged, or written by another version: expected a EpochRecord, but Invalid JSON"
    )


def test_a_record_that_is_no_text(folder: Path) -> None:
    path = folder / "evaluation.json"
    path.write_bytes(b"\xff\xfe")
    assert refused(folder).startswith(f"{path}: cannot be read: 'utf-8' codec can't decode byte 0xff")
