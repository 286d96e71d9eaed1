"""Runs side by side."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from jumpml.cli import app
from jumpml.core import AdaptedEvaluation, AdaptedTask, EvaluationRecord, Figure, RunError
from jumpml.report import compare_runs
from jumpml.report._verdicts import Measured, verdict

if TYPE_CHECKING:
    from pathlib import Path


def figure(low: float, high: float, n: int = 100) -> Figure:
    return Figure(value=(low + high) / 2, low=low, high=high, n=n)


def write(folder: Path, records: dict[str, Any], *, specs: dict[str, Any] | None = None, up: float = 0.0) -> Path:
    """A run's folder; its specs changed by dotted key, its figures moved upwards."""
    folder.mkdir(parents=True)
    run = records["run"].model_dump(mode="json")
    for key, value in (specs or {}).items():
        *way, last = key.split(".")
        place = run["specs"]
        for part in way:
            place = place.setdefault(part, {})
        place[last] = value
    evaluation = records["evaluation"].model_dump(mode="json")
    for task in evaluation["tasks"].values():
        for each in task["figures"].values():
            each.update({key: each[key] + up for key in ("value", "low", "high")})
    (folder / "run.json").write_text(records["run"].model_validate(run).model_dump_json())
    (folder / "evaluation.json").write_text(EvaluationRecord.model_validate(evaluation).model_dump_json())
    (folder / "deployment.json").write_text(records["deployment"].model_dump_json())
    (folder / "history.jsonl").write_text("".join(f"{each.model_dump_json()}\n" for each in records["epochs"]))
    return folder


@pytest.fixture
def two(records: dict[str, Any], tmp_path: Path) -> list[Path]:
    first = write(tmp_path / "runs" / "digits" / "a", records)
    return [first, write(tmp_path / "runs" / "digits" / "b", records, specs={"learner.optimizer.lr": 0.5}, up=1.0)]


def test_what_differs_is_told_and_nothing_else(two: list[Path]) -> None:
    found = compare_runs(two)
    assert list(found.differences) == ["learner.optimizer.lr"]
    assert re.search(r"learner\.optimizer\.lr +\S+ +0\.5\n", str(found))


def test_a_key_that_says_nothing_in_either_is_no_difference(records: dict[str, Any], tmp_path: Path) -> None:
    first = write(tmp_path / "runs" / "digits" / "a", records)
    second = write(tmp_path / "runs" / "digits" / "b", records, specs={"data.mixed": {}, "data.sorted": []})
    assert compare_runs([first, second]).differences == {}


def test_a_run_is_better_only_where_its_interval_lies_apart(two: list[Path], records: dict[str, Any]) -> None:
    text = str(compare_runs(two))
    metric = next(iter(records["evaluation"].tasks["digit"].figures))
    assert re.search(rf"digit/{metric} .* b is better", text)
    shutil.copy(two[0] / "evaluation.json", two[1] / "evaluation.json")
    again = str(compare_runs(two))
    assert "is better" not in again.replace("more is better", "")
    assert "not told apart" in again


def test_what_a_copy_that_adapts_reached_stands_on_lines_of_its_own(two: list[Path]) -> None:
    assert "adapted" not in str(compare_runs(two))
    path = two[1] / "evaluation.json"
    record = EvaluationRecord.model_validate_json(path.read_text())
    copied = AdaptedTask(figures={"accuracy": figure(2, 3)}, headline="accuracy", change=figure(0.1, 0.2))
    adapted = AdaptedEvaluation(
        method="statistics", episodic=False, moved=1, batches=1, checked=True, tasks={"digit": copied}
    )
    path.write_text(record.model_copy(update={"adapted": adapted}).model_dump_json())
    found = compare_runs(two)
    assert [(each.run, each.figure, each.better) for each in found.figures["digit/accuracy, adapted"]] == [
        ("b", figure(2, 3), True)
    ]
    assert re.search(r"digit/accuracy, adapted +\N{EN DASH} +2\.5 \(2\.0 to 3\.0\)", str(found))
    assert "digit/accuracy, adapted" in found.html


spans = st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e6)).map(lambda pair: figure(pair[0], pair[0] + pair[1]))


@given(st.lists(spans, min_size=2, max_size=6), st.booleans())
def test_never_better_where_intervals_overlap(figures: list[Figure], higher: bool) -> None:
    measured = [Measured(f"r{place}", each, higher) for place, each in enumerate(figures)]
    told = verdict(measured)
    for one in measured:
        apart = all(
            (one.figure.low > other.figure.high if higher else one.figure.high < other.figure.low)
            for other in measured
            if other is not one
        )
        assert (told == f"{one.run} is better") == apart


@pytest.mark.parametrize(
    ("measured", "told"),
    [
        ([("a", figure(0.1, 0.2), True)], ""),
        ([("a", figure(0.1, 0.2), True), ("b", figure(0.3, 0.4, n=50), True)], "on other rows: not compared"),
        ([("a", figure(0.1, 0.2), None), ("b", figure(0.3, 0.4), None)], "nobody said whether more is better"),
        ([("a", figure(0.1, 0.2), False), ("b", figure(0.3, 0.4), False)], "a is better"),
        ([("a", figure(0.1, 0.2), True), ("b", figure(0.2, 0.4), True)], "not told apart"),
        (
            [("a", figure(0.5, 0.7), True), ("b", figure(0.6, 0.8), True), ("c", figure(0.1, 0.2), True)],
            "not told apart: a, b; the others are worse",
        ),
        ([("a", figure(0.1, 0.2), True), ("b", figure(float("nan"), float("nan")), True)], ""),
    ],
)
def test_verdicts(measured: list[tuple[str, Figure, bool | None]], told: str) -> None:
    assert verdict([Measured(*each) for each in measured]) == told


def test_the_page_lays_the_curves_over_each_other(two: list[Path], records: dict[str, Any]) -> None:
    page = compare_runs(two).html
    assert page.startswith("<!DOCTYPE html>")
    assert "Comparison of runs" in page
    assert "Model card" not in page
    last = records["epochs"][-1].losses["total"]
    assert page.count("ends at") >= 2
    assert f"a ends at {last:.4g}" in page
    assert not re.search(r"(src|href)=", page.replace('href="#', ""))  # asks for nothing else


def test_one_run_is_shown_with_its_epochs(two: list[Path], records: dict[str, Any]) -> None:
    text = str(compare_runs(two[:1]))
    assert "By epoch\nphase" in text
    assert len(text.partition("By epoch\n")[2].splitlines()) >= len(records["epochs"]) + 1
    assert "what it tells" not in text
    assert "What their files say differently" not in text


def test_a_folder_of_runs_stands_for_its_runs(two: list[Path], tmp_path: Path) -> None:
    (tmp_path / "runs" / "digits" / "tune").mkdir()  # of another kind
    for folder in (tmp_path / "runs", tmp_path / "runs" / "digits"):
        assert [each.name for each in compare_runs([folder, two[0]]).runs] == ["a", "b"]
    write_twice = shutil.copytree(two[0], tmp_path / "runs" / "other" / "a")
    assert [each.name for each in compare_runs([two[0], write_twice]).runs] == ["digits/a", "other/a"]


def test_an_unfinished_run_and_other_rows_are_noted(two: list[Path], records: dict[str, Any], tmp_path: Path) -> None:
    (two[1] / "evaluation.json").unlink()
    (two[1] / "deployment.json").unlink()
    (two[1] / "history.jsonl").unlink()
    text = str(compare_runs(two))
    assert "Not evaluated: b. Go on with: jumpml resume." in text
    other = write(tmp_path / "c", records, specs={"data.datasets.digits.split.test": 0.5})
    assert "The data files say other rows or splits" in str(compare_runs([two[0], other]))
    assert "other rows or splits" not in str(compare_runs([two[0], two[0]]))


def test_what_is_no_run_is_told(tmp_path: Path, two: list[Path]) -> None:
    with pytest.raises(RunError, match=r"there is no run to compare: expected folders such as runs/<name>/<time>"):
        compare_runs([_empty(tmp_path)])
    with pytest.raises(RunError, match="nowhere: there is no such folder"):
        compare_runs([tmp_path / "nowhere"])
    (two[0] / "run.json").write_text("{}")
    with pytest.raises(RunError, match=r"run\.json: damaged, or written by another version"):
        compare_runs(two)


def _empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def test_the_command_prints_and_writes(two: list[Path], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["compare", *map(str, two), "--out", str(tmp_path / "looks")], prog_name="jumpml")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Runs\nrun ")
    assert result.stdout.endswith(f"wrote {tmp_path / 'looks' / 'compare.html'}\n")
    assert (tmp_path / "looks" / "compare.html").read_text() == compare_runs(two).html
