"""A card from a run's folder alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from jumpml.core import (
    AblationsRecord,
    Course,
    CoursePoint,
    DeploymentRecord,
    DiagnosisRecord,
    EpochRecord,
    EvaluationRecord,
    Record,
    RunError,
    RunRecord,
    did_you_mean,
)
from jumpml.report._card import Card, report_card

R = TypeVar("R", bound=Record)


class _Step(BaseModel):
    """What is read of a line of ``steps.jsonl``."""

    phase: str
    step: int
    figures: dict[str, float] = {}


_STEP = TypeAdapter(_Step)


def card_from_run(folder: str | Path) -> Card:
    """Build a run's card anew from the records in its folder; neither data nor model is read.

    Args:
        folder: A run's folder, such as ``runs/digits/2026-01-31T12-00-00``.

    Raises:
        RunError: The folder is no run, the run was not evaluated yet, or a record in it is damaged.
    """
    folder = Path(folder)
    _validate_folder(folder)
    run = read(folder / "run.json", RunRecord)
    evaluation = _required(folder, "evaluation.json", f"The run did not come so far: jumpml resume {folder}")
    twins = read_if_there(folder / "ablations.json", AblationsRecord)
    course, torn = course_of(folder / "steps.jsonl")
    card = report_card(
        read(evaluation, EvaluationRecord),
        read_if_there(folder / "diagnosis.json", DiagnosisRecord),
        read_if_there(folder / "deployment.json", DeploymentRecord),
        epochs=_epochs(folder, run),
        course=course,
        ablations=twins.twins if twins else (),
        run=run,
    )
    told = f"{torn} lines of steps.jsonl are damaged and left out: what is told of updates may lack some"
    return Card(card.record.model_copy(update={"notes": (told,)})) if torn else card


def _validate_folder(folder: Path) -> None:
    if not folder.is_dir():
        beside = [path.name for path in folder.parent.glob("*/") if path.is_dir()]
        raise RunError(f"{folder}: there is no such folder. {did_you_mean(folder.name, beside)}".strip())
    if not (folder / "run.json").is_file():
        runs = sorted([*folder.glob("*/run.json"), *folder.glob("*/*/run.json")])
        inside = f"There is one in {runs[-1].parent}." if runs else "Expected a folder such as runs/<name>/<time>."
        raise RunError(f"{folder}: this is no run's folder: there is no run.json. {inside}")


def _required(folder: Path, name: str, fix: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise RunError(f"{folder}: there is no {name}. {fix}")
    return path


def _epochs(folder: Path, run: RunRecord) -> list[EpochRecord]:
    path = folder / "history.jsonl"
    asked_for: Any = run.specs.get("learner", {}).get("log", ())
    if "jsonl" not in asked_for and not path.is_file():
        return []
    _required(folder, path.name, "The run's log wrote one; it was moved or deleted.")
    return epochs_of(path)


def epochs_of(path: Path) -> list[EpochRecord]:
    """The epochs of a ``history.jsonl``.

    Raises:
        RunError: It cannot be read, or a line is damaged.
    """
    lines = _text(path).split("\n")
    return [_parse(line, EpochRecord, f"{path}, line {number}") for number, line in enumerate(lines, start=1) if line]


def course_of(path: Path) -> tuple[tuple[CoursePoint, ...], int]:
    """The course of a ``steps.jsonl``, which may be long, and how many of its lines are damaged.

    A run goes without the file where it was not asked for, or somebody made room: there is nothing then.

    Raises:
        RunError: It cannot be read.
    """
    course, damaged, last = Course(), 0, 0
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for text in file:
                try:
                    line = _STEP.validate_json(text)
                except ValidationError:
                    damaged += 1
                    continue
                if line.step <= last:
                    damaged += 1
                    continue
                course.add(line.phase, line.step, 1, line.figures)
                last = line.step
    except FileNotFoundError:
        return (), 0
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error}.") from error
    return course.points, damaged


def read_if_there(path: Path, kind: type[R]) -> R | None:
    """A record that a run may not have come to; None where it has not.

    Raises:
        RunError: It cannot be read, or is damaged.
    """
    return read(path, kind) if path.is_file() else None


def read(path: Path, kind: type[R]) -> R:
    """A record of a run.

    Raises:
        RunError: It cannot be read, or is damaged.
    """
    return _parse(_text(path), kind, str(path))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: cannot be read: {error}.") from error


def _parse(text: str, kind: type[R], where: str) -> R:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        others = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise RunError(
            f"{where}: damaged, or written by another version: expected a {kind.__name__}, but "
            f"{f'at {key}: ' if key else ''}{first['msg']}{others}."
        ) from error
