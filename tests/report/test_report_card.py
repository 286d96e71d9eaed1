"""The card of a run on the digits: every section, in HTML, Markdown and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jumpml.core import DiagnosisRecord, EvaluationRecord, RunError
from jumpml.report import Card, CardRecord, report_card

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def card(records: dict[str, Any]) -> Card:
    return report_card(**records)


@pytest.fixture(scope="module")
def page_text(card: Card, parse: Any) -> str:
    return parse(card.html).text()


@pytest.fixture(scope="module")
def markdown_text(card: Card) -> str:
    return " ".join(card.markdown.replace("|", " ").split())


SECTIONS = (
    "The data",
    "How it learned",
    "How good it is",
    "Why it answers as it does",
    "Which rows are alike to it",
    "Where it struggles",
    "What is foreign to it",
    "Deployment",
    "Training health",
    "How to repeat it",
    "The graph",
)


def test_the_page_asks_for_nothing_and_is_sound(card: Card, faults: Callable[[str], list[str]]) -> None:
    assert faults(card.html) == []


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ("<p>", "p is not closed"),
        ("<p></b></p>", "b is closed out of turn"),
        ("<script></script>", "<script> is not for a card"),
        ("<a onclick='x'></a>", "a handles onclick"),
        ("<img src='http://example.invalid/x.png' alt='x'>", "img asks for http://example.invalid/x.png"),
        ("<link href='/style.css'>", "link asks for /style.css"),
        ("<p style='background: url(x)'></p>", "p asks for background: url(x)"),
        ("<style>@import 'x';</style>", "the style holds @import"),
        ("<p id='a'></p><p id='a'></p>", "#a stands 2 times"),
        ("<a href='#b'></a>", "#b leads nowhere"),
        ("<img src='data:image/png;base64,x'>", "an image has no text"),
        ("<svg role='img'></svg>", "a drawing has no label"),
        ("<table></table>", "a table has no caption"),
        ("<h1></h1><h3></h3>", "h3 follows h1"),
    ],
)
def test_the_page_check_can_fail(html: str, fault: str, faults: Callable[[str], list[str]]) -> None:
    assert fault in faults(html)


def test_two_builds_are_equal_byte_for_byte(card: Card, records: dict[str, Any]) -> None:
    again = report_card(**records)
    assert (again.html, again.markdown, again.json) == (card.html, card.markdown, card.json)


def test_settings_of_matplotlib_do_not_matter(card: Card, records: dict[str, Any]) -> None:
    import matplotlib as mpl

    with mpl.rc_context({"lines.linewidth": 9, "font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert report_card(**records).html == card.html  # a user's own settings of matplotlib say nothing here
        assert mpl.rcParams["font.size"] == 30


def test_every_section_stands_in_its_order(card: Card, parse: Any) -> None:
    assert tuple(text for tag, text in parse(card.html).texts if tag == "h2") == SECTIONS
    assert tuple(line[3:] for line in card.markdown.splitlines() if line.startswith("## ")) == SECTIONS


def test_the_head_says_what_the_model_is(card: Card, parse: Any) -> None:
    page = parse(card.html)
    assert page.text("h1") == "digits"
    told = page.text()
    assert "A small convolutional encoder, warmed up by VICReg" in told
    assert "reads single centred digits" in told
    assert "Not for cheques" in told
    assert "The JumpML developers" in told
    assert "Run on 2026-01-31 12:00 UTC" in told
    assert "Measured on the test rows, which took no part in training, with weights averaged" in told
    # Gaussian naive Bayes with these settings is right on 228 of the last 270 digits; the interval is the fixture's.
    assert "0.844 Right on 228 of 270 rows; 95% interval 0.804 to 0.879." in told


@pytest.mark.parametrize(
    "told",
    [
        "1,797 handwritten digits",
        "Preprinted forms filled in by 43 people",
        "train 1,257 70%",
        "label category \u2013 0 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 \u2013",
        "2 val rows also stand in train, such as row 812 (train row 44).",
        "25 epochs and 500 steps of the optimizer, in 11 s.",
        "supervised 20 1.415 0.06151 8.4 s",
        "macro F1 0.882 0.842 to 0.915 270 higher",
        "mean distance 0.41 0.28 to 0.55 270 \u2013",
        "3 8 8 30.8%",
        "The ranking of image beats a random one.",
        "0.812 (0.795 to 0.829) with the most important elements put in first, against 0.561 (0.541 to 0.581)",
        "20 hard rows, 3 with a doubtful label",
        "Mahalanobis encoder 12.41 0.056 (0.034 to 0.089)",
        "shuffled pixels 0.942 (0.921 to 0.961) 0.942 (0.921 to 0.961)",
        "static int8, calibrated on 512 train rows 27.3 kB 19,466 0.064 ms 0.31",
        "slim: 270 rows cannot tell whether the drop is within 0.025. Only 1 of 3 layers got smaller.",
        "student: the drop is at least 0.041, more than 0.025.",
        "wild failed: fine-tuning wild: the weights became non-finite by the update of step 20.",
        "digit: the training loss still fell by 8% over the last 3 epochs. Train for longer.",
        "Attributions were computed on 256 test rows, drawn with seed 0.",
        "jumpml run examples/digits --set learner.seed=0",
        "kind: vicreg",
        "2 nodes, 19,466 parameters.",
        "jumpml.blocks.ConvEncoder",
    ],
)
def test_it_tells(told: str, page_text: str, markdown_text: str) -> None:
    assert told in page_text
    assert told in markdown_text


def test_absent_records_say_what_brings_them(evaluation: EvaluationRecord, parse: Any) -> None:
    told = parse(report_card(evaluation).html).text()
    for line in (
        "Name, purpose and limits come from the run's record: report_card(..., run=record).",
        "What the data is comes from the run's record: report_card(..., run=record).",
        "The epochs come from the learner's history: report_card(..., epochs=learner.history.epochs).",
        "Not diagnosed: jumpml.diagnose(dataloader, model) says on what the answers rest.",
        "Not diagnosed: jumpml.diagnose(dataloader, model, learner.history) finds the rows that stayed hard.",
        "Not diagnosed: jumpml.diagnose(dataloader, model) measures how well strangers are told.",
        "Not deployed: jumpml.deploy_model(results, model, config) exports, verifies and bundles it.",
        "Not diagnosed: jumpml.diagnose(dataloader, model, learner.history) looks for signs of trouble.",
        "Command, seeds and versions come from the run's record: report_card(..., run=record).",
        "The graph comes from the run's record: report_card(..., run=record).",
    ):
        assert line in told


def test_an_empty_diagnosis_says_what_is_missing(evaluation: EvaluationRecord, parse: Any) -> None:
    told = parse(report_card(evaluation, DiagnosisRecord()).html).text()
    assert "No attribution was computed." in told
    assert "No hard examples: they come from what the learner remembers of each row (record_examples" in told
    assert "No out-of-domain score was computed." in told
    assert "Nothing stood out." in told


def test_an_evaluation_without_tasks_has_a_card(faults: Callable[[str], list[str]]) -> None:
    card = report_card(EvaluationRecord(split="val", tasks={}))
    assert faults(card.html) == []
    assert "No task was evaluated." in card.html
    assert "which took no part" not in card.html  # validation rows chose the checkpoint


def test_pictures_are_in_the_page(card: Card, parse: Any) -> None:
    page = parse(card.html)
    drawings = [svg["aria-label"] for svg in page.of("svg") if "aria-label" in svg]
    # total, 3 objectives, 2 validation figures, the rate; confusion, reliability, ROC; the drops; the graph
    assert len(drawings) == 7 + 3 + 1 + 1
    assert "The graph of a model: encoder, digit" in drawings
    assert "Confusion matrix of the task digit: 228 of 270 rows on the diagonal." in drawings
    assert len(page.of("img")) == 1 + 2 * 11 + 20  # the average, 11 rows with their heat, 20 hard rows
    assert "prefers-color-scheme: dark" in page.text("style")


def test_json_holds_every_record(card: Card, records: dict[str, Any]) -> None:
    assert CardRecord.model_validate_json(card.json) == CardRecord(**records)


def test_save_writes_three_files(card: Card, tmp_path: Path) -> None:
    page = card.save(tmp_path / "new" / "folder")
    assert page == tmp_path / "new" / "folder" / "card.html"
    assert {path.name: path.read_text(encoding="utf-8") for path in page.parent.iterdir()} == {
        "card.html": card.html,
        "README.md": card.markdown,
        "card.json": card.json,
    }


def test_objects_with_a_record_are_taken(card: Card, records: dict[str, Any]) -> None:
    class Holder:
        def __init__(self, record: Any) -> None:
            self.record = record

    held = {key: Holder(records[key]) for key in ("evaluation", "diagnosis", "deployment")}
    assert report_card(**{**records, **held}).json == card.json


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"evaluation": {}}, "evaluation must be what eval_model returns, or its EvaluationRecord; got dict."),
        ({"diagnosis": 3}, "diagnosis must be what diagnose returns, or its DiagnosisRecord; got int."),
        (
            {"deployment": DiagnosisRecord()},
            "deployment must be what deploy_model returns, or its DeploymentRecord; got DiagnosisRecord.",
        ),
    ],
)
def test_another_thing_is_refused(arguments: dict[str, Any], told: str, records: dict[str, Any]) -> None:
    with pytest.raises(RunError) as caught:
        report_card(**{**records, **arguments})
    assert str(caught.value) == f"report_card: {told}"
