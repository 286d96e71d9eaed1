"""What parts of a run are worth: the run beside its twins, from records alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jumpml.core import AblationRecord, EpochRecord, EvaluationRecord, Figure, TaskEvaluation
from jumpml.report import Card, CardRecord, report_card

if TYPE_CHECKING:
    from collections.abc import Callable


def figure(value: float, low: float, high: float) -> Figure:
    return Figure(value=value, low=low, high=high, n=100)


def evaluation(**better: bool | None) -> EvaluationRecord:
    """One task with a figure for each metric, .9 of each."""
    task = TaskEvaluation(
        kind="multiclass",
        target="label",
        rows=100,
        missing=0,
        figures=dict.fromkeys(better, figure(0.9, 0.82, 0.95)),
        higher_is_better=better,
    )
    return EvaluationRecord(split="test", tasks={"digit": task})


def epochs(*accuracies: float) -> tuple[EpochRecord, ...]:
    return tuple(
        EpochRecord(
            phase="supervised",
            epoch=number,
            step=10 * number,
            losses={"total": 1 / number, "digit": 1 / number},
            val={"digit/accuracy": value},
            lr=0.1,
            seconds=1.0,
        )
        for number, value in enumerate(accuracies, start=1)
    )


def twin(key: str = "balance", instead: str = "objectives are added up", **changes: Figure) -> AblationRecord:
    return AblationRecord(
        key=key,
        instead=instead,
        folder=f"ablations/{key}",
        figures={"digit": dict.fromkeys(changes, figure(0.8, 0.7, 0.87))},
        changes={"digit": changes},
        epochs=epochs(0.3, 0.5, 0.6, 0.7),
    )


@pytest.fixture(scope="module")
def card() -> Card:
    twins = [
        twin(accuracy=figure(0.1, 0.02, 0.18), log_loss=figure(0.1, 0.02, 0.18)),
        twin("ema", "", accuracy=figure(0.1, -0.01, 0.2), log_loss=figure(-0.1, -0.2, -0.05)),
    ]
    known = evaluation(accuracy=True, log_loss=False)
    return report_card(known, epochs=epochs(0.5, 0.8, 0.9, 0.9), ablations=twins)


@pytest.mark.parametrize(
    "told",
    [
        "This run beside its 2 twins, which learned from the same seed and files but for one part: "
        "without balance, objectives are added up; without ema.",
        "another seed moves both, so that a small difference is shown by several seeds only.",
        "0.90 (0.82 to 0.95) without ema 0.80 (0.70 to 0.87) 0.10 (\N{MINUS SIGN}0.01 to 0.20) not told apart",
        # the run's second epoch is above .7, where the twin ended after four
        "digit: accuracy without balance 0.7 40 20 50%",
        "digit: accuracy without ema 0.7 40 20 50%",
    ],
)
def test_it_tells(told: str, card: Card, parse: Any) -> None:
    assert told in parse(card.html).text()
    assert told in " ".join(card.markdown.replace("|", " ").split())


def test_a_difference_is_judged_by_its_interval_and_by_what_is_better(card: Card) -> None:
    rows = [line for line in card.markdown.splitlines() if line.startswith("| digit: ")]
    judged = [(row.split("|")[1].strip(), row.split("|")[3].strip(), row.split("|")[6].strip()) for row in rows[:4]]
    assert judged == [
        ("digit: accuracy", "without balance", "\N{CHECK MARK} better with it"),
        ("digit: accuracy", "without ema", "not told apart"),
        ("digit: log loss", "without balance", "\N{MULTIPLICATION X} worse with it"),
        ("digit: log loss", "without ema", "\N{CHECK MARK} better with it"),
    ]


def test_the_page_is_sound_and_draws_the_curves(card: Card, parse: Any, faults: Callable[[str], list[str]]) -> None:
    assert faults(card.html) == []
    drawn = [svg["aria-label"] for svg in parse(card.html).of("svg") if "aria-label" in svg]
    ends = "this run ends at 0.9; without balance ends at 0.7; without ema ends at 0.7."
    assert f"digit: accuracy over the updates: {ends}" in drawn
    assert CardRecord.model_validate_json(card.json) == card.record


def test_a_run_without_twins_has_no_such_section() -> None:
    assert "What parts of it are worth" not in report_card(evaluation(accuracy=True)).html


@pytest.mark.parametrize(
    ("own", "told"),
    [((0.1, 0.2), "0.7 40 not reached \N{EN DASH}"), ((0.7,), "0.7 40 10 25%")],
)
def test_where_the_twin_ended_may_come_at_once_or_never(own: tuple[float, ...], told: str, parse: Any) -> None:
    card = report_card(evaluation(accuracy=True), epochs=epochs(*own), ablations=[twin(accuracy=figure(0, -1, 1))])
    assert told in parse(card.html).text()


def test_what_is_not_known_is_left_open(parse: Any, faults: Callable[[str], list[str]]) -> None:
    bare = AblationRecord(key="<b>", instead="<i>", folder="", figures={"other": {}})
    nobody_said = twin(accuracy=figure(0.1, 0.05, 0.2))
    card = report_card(evaluation(accuracy=None), ablations=[bare, nobody_said])
    assert faults(card.html) == []
    told = parse(card.html).text()
    assert "without <b> \N{EN DASH} \N{EN DASH} \N{EN DASH}" in told
    assert "0.10 (0.05 to 0.20) \N{EN DASH}" in told
