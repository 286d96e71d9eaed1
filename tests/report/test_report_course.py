"""What was learned when: the section, and the reading of a steps.jsonl however long or damaged it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from jumpml.core import Course, CoursePoint, EpochRecord, EvaluationRecord, Figure, RunError, TaskEvaluation
from jumpml.learn import JsonlLog, StepRecord
from jumpml.report import Card, CardRecord, card_from_run, report_card

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


def evaluation(*tasks: str) -> EvaluationRecord:
    figures = {"accuracy": Figure(value=0.9, low=0.8, high=0.95, n=100)}
    known: dict[str, bool | None] = {"accuracy": True}
    made = {
        task: TaskEvaluation(
            kind="multiclass", target=task, rows=100, missing=0, figures=figures, higher_is_better=known
        )
        for task in tasks
    }
    return EvaluationRecord(split="test", tasks=made)


def epoch(number: int, val: Mapping[str, float], losses: Mapping[str, float], phase: str = "supervised") -> EpochRecord:
    told = {"total": sum(losses.values()), **losses}
    return EpochRecord(phase=phase, epoch=number, step=100 * number, losses=told, val=dict(val), lr=0.1, seconds=1.0)


EPOCHS = tuple(
    epoch(number, {"digit/accuracy": digit, "size/accuracy": size}, {"digit": 2 / number, "size": 1.0})
    for number, digit, size in ((1, 0.5, 0.2), (2, 0.96, 0.25), (3, 1.0, 0.5), (4, 0.9, 1.0))
)
SHARES = ((0.9, 0.1), (0.6, 0.4), (0.4, 0.6), (0.1, 0.9))
COURSE = tuple(
    CoursePoint(
        phase="supervised",
        step=100 * number,
        updates=100,
        figures={
            **{"share/digit": digit, "share/size": size, "reward/digit": 0.5, "reward/size": -0.25},
            **{"balance/digit": 1.0 * number, "balance/size": 1.0, "cosine/digit/size": 0.3 - 0.2 * number},
        },
    )
    for number, (digit, size) in enumerate(SHARES, start=1)
)


@pytest.fixture(scope="module")
def card() -> Card:
    return report_card(evaluation("digit", "size"), epochs=EPOCHS, course=COURSE)


@pytest.mark.parametrize(
    "told",
    [
        "In the order in which they were learned for the most part: digit (by update 200), size (by update 400).",
        "digit accuracy 0.5 1 0.9 200 (supervised 2) 2 to 0.5",
        "size accuracy 0.2 1 1 400 (supervised 4) 1 to 1",
        "Uniform teaching would give each of 2 arms 50%.",
        "digit 50% 90% 10% update 100 0.5",  # of all updates, of the first and the last quarter
        "size 50% 10% 90% update 400 \N{MINUS SIGN}0.25",
        "digit 1 2.5 4",
        "digit and size: mean cosine \N{MINUS SIGN}0.2, below 0 over 75% of the updates.",
    ],
)
def test_it_tells(told: str, card: Card, parse: Any) -> None:
    assert told in parse(card.html).text()
    assert told in " ".join(card.markdown.replace("|", " ").split())


def test_the_section_is_sound_and_comes_after_how_it_learned(
    card: Card, parse: Any, faults: Callable[[str], list[str]]
) -> None:
    assert faults(card.html) == []
    titles = [text for tag, text in parse(card.html).texts if tag == "h2"]
    assert titles[titles.index("How it learned") + 1] == "What was learned when"
    drawn = {svg["aria-label"].partition(":")[0] for svg in parse(card.html).of("svg") if "aria-label" in svg}
    assert drawn >= {
        "Share of each task's way over the updates",
        "Train loss, over the first epoch's, over the updates",
        "Share of the updates by arm",
        "Mean reward over the updates",
        "What objectives count over the updates",
        "Cosine of gradients over the updates",
        "Mean cosine of gradients",
    }
    assert CardRecord.model_validate_json(card.json).course == COURSE


def test_an_arm_that_was_never_chosen_was_so_at_no_update(parse: Any) -> None:
    course = [CoursePoint(phase="supervised", step=9, updates=9, figures={"share/digit": 1.0, "share/size": 0.0})]
    text = parse(report_card(evaluation("digit"), epochs=EPOCHS, course=course).html).text()
    assert "digit 100% 100% 100% update 9 \N{EN DASH}" in text
    assert "size 0% 0% 0% \N{EN DASH} \N{EN DASH}" in text


def test_one_task_without_a_teacher_has_no_such_section() -> None:
    card = report_card(evaluation("digit"), epochs=EPOCHS)
    assert "What was learned when" not in card.html


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ((0.3, 0.8, 1.0), "Of the rows 30% at update 20 might come, and all of them by update 60."),
        ((0.2, 0.4, 0.4), "Of the rows 20% at update 20 might come, and at most 40% at update 40."),
    ],
)
def test_which_rows_might_come(shares: tuple[float, ...], told: str, parse: Any, faults: Any) -> None:
    steps = enumerate(shares, start=1)
    course = [CoursePoint(phase="p", step=20 * n, updates=20, figures={"pacing": share}) for n, share in steps]
    page = report_card(evaluation("digit"), epochs=EPOCHS, course=course).html
    text = parse(page).text()
    assert "Which rows might come" in text and told in text and "What the teacher chose" not in text
    assert f"Share of the rows that might come over the updates: from {shares[0]:g} to {shares[-1]:g}." in page
    assert faults(page) == []


def test_one_task_with_a_teacher_has(faults: Callable[[str], list[str]]) -> None:
    card = report_card(evaluation("digit"), epochs=EPOCHS, course=COURSE)
    assert "What was learned when" in card.html
    assert "In the order" not in card.html
    assert faults(card.html) == []


def test_a_task_without_a_figure_goes_by_its_train_loss(parse: Any) -> None:
    epochs = tuple(epoch(n, {}, {"digit": 1 / n, "size": 2.0}) for n in (1, 2, 3))
    told = parse(report_card(evaluation("digit", "size"), epochs=epochs).html).text()
    assert "digit train loss 1 0.3333 0.3333 300 (supervised 3) 1 to 0.3333" in told
    assert "size train loss 2 2 2 \N{EN DASH} 2 to 2" in told


def test_no_pair_that_pulls_is_told_too(parse: Any) -> None:
    course = (CoursePoint(phase="p", step=1, updates=1, figures={"cosine/a/b": 0.5}),)
    told = parse(report_card(evaluation("digit"), course=course).html).text()
    assert "On average the gradients of no two objectives pulled against each other." in told


@pytest.mark.parametrize(
    ("learner", "asked"),
    [
        ({"balance": {"kind": "upgrad"}}, True),
        ({"curriculum": {"teacher": "exp3s"}}, True),
        ({"curriculum": {"teacher": None, "pacing": {"kind": "root"}}}, False),
        ({"curriculum": "hostile"}, False),
        ({"balance": {"kind": "sum"}, "curriculum": None}, False),
        ({"balance": "hostile"}, False),
    ],
)
def test_a_course_that_is_missing_is_asked_for(learner: dict[str, Any], asked: bool, records: dict[str, Any]) -> None:
    run = records["run"].model_copy(update={"specs": {**records["run"].specs, "learner": learner}})
    page = report_card(evaluation("digit"), epochs=EPOCHS, run=run).html
    assert ("report_card(..., course=learner.history.course)" in page) is asked
    assert ("from steps.jsonl, which log: [jsonl] writes." in page) is asked


@pytest.fixture
def folder(records: dict[str, Any], tmp_path: Path) -> Path:
    for name in ("run", "evaluation"):
        (tmp_path / f"{name}.json").write_text(records[name].model_dump_json(), encoding="utf-8")
    (tmp_path / "history.jsonl").write_text("", encoding="utf-8")
    return tmp_path


def write_steps(folder: Path, count: int, every: int = 50) -> Course:
    """What a log writes of so many updates, and the course that a learner has of them."""
    log, course = JsonlLog(folder), Course()
    for end in range(every, count + 1, every):
        steps = [StepRecord("supervised", step, {"total": 1.0}, 0.1) for step in range(end - every + 1, end + 1)]
        figures = {"share/a": (end % 700) / 700, "share/b": 1 - (end % 700) / 700, "gradient/out": 1.0}
        log.steps([*steps[:-1], steps[-1]._replace(figures=figures)])
        course.add("supervised", end, every, figures)
    return course


def test_a_long_log_is_the_course_that_the_learner_has(folder: Path) -> None:
    course = write_steps(folder, 30_000)
    card = card_from_run(folder)
    assert card.record.course == course.points
    assert 100 < len(card.record.course) <= 200
    assert card.record.notes == ()


def test_a_run_goes_without_the_log(folder: Path) -> None:
    assert card_from_run(folder).record.course == ()


def test_damaged_lines_are_left_out_and_told(folder: Path, faults: Callable[[str], list[str]]) -> None:
    write_steps(folder, 200)
    path = folder / "steps.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    damaged = [
        '{"phase": "supervised", "st',
        "\x00\x00\x00",
        "[]",
        json.dumps({"phase": "supervised", "step": 201, "figures": {"share/a": "<script>"}}),
        json.dumps({"phase": "supervised", "step": 7, "figures": {"share/a": 0.5}}),  # steps never go back
    ]
    path.write_bytes("\n".join([*lines, *damaged, "\udc80"]).encode("utf-8", "surrogateescape"))
    card = card_from_run(folder)
    assert len(card.record.course) == 4
    told = "6 lines of steps.jsonl are damaged and left out: what is told of updates may lack some"
    assert card.record.notes == (told,)
    assert f"{told}." in card.html
    assert faults(card.html) == []


def test_a_log_that_cannot_be_read_is_refused(folder: Path) -> None:
    (folder / "steps.jsonl").mkdir()
    with pytest.raises(RunError) as caught:
        card_from_run(folder)
    assert str(caught.value).startswith(f"{folder / 'steps.jsonl'}: cannot be read: [Errno 21] Is a directory")
