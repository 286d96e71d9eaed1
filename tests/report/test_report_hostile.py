"""Texts from data that mean to break the card: markup, mathematics, Markdown, templates, controls, every direction."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from jumpml.core import (
    AttributedExample,
    Attribution,
    Continuation,
    CoursePoint,
    Curve,
    DeploymentRecord,
    DiagnosisRecord,
    EpochRecord,
    EvaluationRecord,
    Figure,
    GateAnswer,
    GraphRecord,
    HardExample,
    LabelledText,
    ObjectiveNote,
    OutOfDomain,
    RunRecord,
    TaskEvaluation,
    TaskNote,
    VariantRecord,
    WeightsRecord,
)
from jumpml.report import Card, CardRecord, report_card

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTILE: tuple[str, ...] = (
    "<script>alert(1)</script>",
    "$\\frac{$",
    '"><img src=x onerror=alert(1)>',
    "a|b `c` *d* _e_ [f](http://example.invalid)",
    "\u0634\u062c\u0631\u0629 \u0643\u0628\u064a\u0631\u0629",
    "\u6f22\u5b57\u306e\u540d\u524d",
    "\U0001f984 unicorn",
    "_underscore first",
    "a name that goes on " + "and on " * 40,
    "\u202eevil\u202c\x00\x1b[31m",
    "line\nbreak\ttab",
    "{{ 7 * 7 }}{% raw %}",
    "</style><style>*{display:none}",
    "#00fe01",
    "---\nlicense: mit",
    "",
)


@pytest.fixture(scope="module")
def hostile() -> dict[str, Any]:
    """Arguments of `report_card` in which every text from data is meant to break the card."""
    names = tuple(f"{HOSTILE[i % len(HOSTILE)]}{i}" if i >= len(HOSTILE) else HOSTILE[i] for i in range(100))
    rng = np.random.default_rng(1)
    confusion = np.diag(rng.integers(5, 20, 100)) + (rng.random((100, 100)) < 0.02)
    number = Figure(value=0.5, low=0.4, high=0.6, n=100)
    evil = HOSTILE[0]
    curves = tuple(
        Curve(x=(0, 0.5, 1), y=(0, i / 100, 1), x_label=evil, y_label=HOSTILE[1], label=names[i]) for i in range(100)
    )
    task = TaskEvaluation(
        kind="multiclass",
        target=evil,
        rows=1000,
        missing=3,
        classes=names,
        figures={"accuracy": number, HOSTILE[1]: number, HOSTILE[3]: number},
        higher_is_better={},
        confusion=tuple(tuple(map(int, row)) for row in confusion),
        curves={HOSTILE[0]: curves, HOSTILE[1]: curves[:12]},
        texts=(
            LabelledText(row=1, tokens=HOSTILE, true=(0, 1, 200, -1, 3), decided=(0, 2, 3, 4, -7), right=0.5),
            LabelledText(row=2, tokens=(), true=(), decided=(), right=0.5),
        ),
        continuations=(Continuation(row=1, start=HOSTILE[0], true=HOSTILE[1], drawn=HOSTILE[2]),),
    )
    plain = {"target": names[0], "predicted": names[4]}
    picture = tuple(tuple(map(float, row)) for row in rng.random((4, 6)))
    attributions = tuple(
        Attribution(
            task=HOSTILE[i],
            field=names[i],
            kind=kind,
            mean_absolute=shape,
            examples=(AttributedExample(row=3, value=shape, attribution=shape, **plain),),
            insertion=number,
            random_insertion=number,
            deletion=number,
            random_deletion=number,
            convergence=0.1,
        )
        for i, kind, shape in ((0, "image", picture), (1, "tensor", picture[:1]), (1, "number", ((0.3,),)))
    )
    hard = [
        HardExample(task=HOSTILE[0], row=i, target=names[i], suggestion=names[i + 1], margin=-1.0, loss=1.0)
        for i in range(30)
    ]
    stranger = dict.fromkeys(HOSTILE, number)
    foreign = OutOfDomain(method=HOSTILE[2], node=HOSTILE[1], threshold=1.0, test_above=number, auroc=stranger)
    gate = GateAnswer(answer=HOSTILE[2], metric=HOSTILE[1], max_drop=0.1, drop=number, reason=HOSTILE[0])
    variant = VariantRecord(
        change=HOSTILE[2],
        bytes=10,
        parameters=1,
        milliseconds=1.0,
        max_difference=0.0,
        figures=dict.fromkeys(HOSTILE, number),
        gate=gate,
        bundled=False,
        notes=HOSTILE,
    )
    nothing = float("nan")
    epochs = tuple(
        EpochRecord(
            phase=phase,
            epoch=e,
            step=e,
            losses={**dict.fromkeys(HOSTILE, 0.5 / e), "total": loss},
            val={HOSTILE[1]: 1.0},
            lr=0.1,
            rates=dict.fromkeys(HOSTILE, 0.1),
            seconds=1.0,
        )
        for phase in (HOSTILE[0], HOSTILE[1])
        for e, loss in ((1, 2.0), (2, nothing), (3, float("inf")))
    )
    kinds = ("share", "reward", "balance", "cosine")
    course = tuple(
        CoursePoint(
            phase=HOSTILE[step % 2],
            step=step,
            updates=step % 3,
            figures={f"{kind}/{name}": value for kind in kinds for name in (*HOSTILE, f"{evil}/{names[1]}")},
        )
        for step, value in ((5, 0.5), (4, nothing), (9, 1e300), (2, float("-inf")), (3, -2.0))
    )
    about: Any = {
        "description": evil,
        "license": HOSTILE[14],
        "owner": HOSTILE[3],
        "limits": HOSTILE[9],
        "intended_use": HOSTILE[4],
    }
    run = RunRecord(
        name=HOSTILE[2],
        created=evil,
        specs={
            "model": {"about": about, "seed": 1, "evil": list(HOSTILE[:9])},
            "data": {
                "datasets": {HOSTILE[2]: {"fields": {evil: {"kind": "image"}}, "split": {"seed": 1}}},
                "about": about,
            },
            "learner": {"seed": 2},
        },
        environment={name: name for name in HOSTILE},
        data={
            "name": evil,
            "rows": {HOSTILE[1]: 3, evil: 4},
            "fields": {name: {"kind": evil, "shape": [], "missing": 0, "classes": list(names)} for name in HOSTILE},
            "features": {evil: [HOSTILE[1]]},
            "findings": list(HOSTILE),
        },
        graph=GraphRecord(
            inputs=dict.fromkeys(HOSTILE, evil),
            nodes=({"node": evil, "module": HOSTILE[1], "inputs": list(HOSTILE), "shape": "[1]", "parameters": 3},),
            tasks={name: TaskNote(kind=name, output=evil, target=name) for name in HOSTILE},
            objectives={
                name: ObjectiveNote(kind=name, inputs=(evil,), views=(name,), when=(name,)) for name in HOSTILE
            },
        ),
        weights={evil: WeightsRecord(source=HOSTILE[1], sha256=evil, matched=(), missing=HOSTILE, unlike={evil: evil})},
        command=HOSTILE[2],
    )
    return {
        "evaluation": EvaluationRecord(split=evil, tasks={HOSTILE[0]: task}, notes=HOSTILE),
        "diagnosis": DiagnosisRecord(
            attributions=attributions,
            hard_examples=tuple(hard),
            out_of_domain=(foreign,),
            warnings=HOSTILE,
            notes=HOSTILE,
        ),
        "deployment": DeploymentRecord(bundle=evil, rows=3, variants=dict.fromkeys(HOSTILE, variant)),
        "epochs": epochs,
        "course": course,
        "run": run,
    }


@pytest.fixture(scope="module")
def card(hostile: dict[str, Any]) -> Card:
    return report_card(**hostile)


@pytest.fixture(scope="module")
def page(card: Card, parse: Any) -> Any:
    return parse(card.html)


def test_the_page_is_as_sound_as_any(card: Card, faults: Callable[[str], list[str]]) -> None:
    assert faults(card.html) == []


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "$\\frac{$", "</style><style>*{display:none}", "{{ 7 * 7 }}"]
)
def test_texts_stand_as_they_are(text: str, page: Any) -> None:
    assert text in page.text("h1", "h3", "td", "th", "li", "p")


def test_a_dollar_in_a_drawing_is_no_mathematics(page: Any) -> None:
    drawn = [text.strip() for tag, text in page.texts if tag == "text"]
    assert "$\\frac{$" in drawn
    assert "#00fe01" in drawn  # a class named like a colour of ours is not recoloured
    assert "_underscore first" in drawn  # matplotlib hides labels that begin so
    assert "(empty)" in drawn


def test_long_names_are_cut_in_drawings(page: Any) -> None:
    assert max(len(text.strip()) for tag, text in page.texts if tag == "text") <= 48


def test_names_from_right_to_left_are_isolated(page: Any) -> None:
    assert "\u2068\u0634\u062c\u0631\u0629 \u0643\u0628\u064a\u0631\u0629\u2069" in page.text("th")


def test_characters_that_hide_or_reorder_are_replaced(card: Card) -> None:
    forbidden = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066\u2067]")
    assert forbidden.findall(card.html) == []
    assert forbidden.findall(card.markdown) == []
    assert "\N{REPLACEMENT CHARACTER}evil" in card.html


def test_a_hundred_classes_are_cut_with_a_sentence(page: Any) -> None:
    told = page.text("p")
    assert "Of 100 classes these are the 24 with most mistakes; card.json holds all counts." in told
    assert "<script>alert(1)</script>, 100 lines" in page.text("figcaption")


def test_losses_that_are_no_numbers_are_told(page: Any) -> None:
    assert "Not a finite number in 4 epochs." in page.text("p")


def test_markdown_has_no_markup_of_theirs(card: Card) -> None:
    _, front, body = card.markdown.split("---\n", 2)
    assert yaml.safe_load(front)["license_name"] == "license-mit"
    prose = re.sub(r"^(`{3,})\n.*?^\1$", "", body, flags=re.DOTALL | re.MULTILINE)  # fences hold text as it is
    assert re.findall(r"<(?!/?(?:details|summary)>)", prose) == []
    assert re.findall(r"(?<!\\)[$`]", prose) == []
    assert not any(line.startswith("# ") for line in prose.splitlines()[2:])
    assert "a\\|b \\`c\\` \\*d\\* \\_e\\_ \\[f\\]" in prose


def test_markdown_tables_keep_their_columns(card: Card) -> None:
    bars = [len(re.findall(r"(?<!\\)\|", line)) for line in card.markdown.splitlines()]
    tables = [set(lines) for in_table, lines in groupby(bars, key=bool) if in_table]
    assert len(tables) > 10
    assert all(len(widths) == 1 for widths in tables)


def test_json_reads_back(card: Card, hostile: dict[str, Any]) -> None:
    again = CardRecord.model_validate_json(card.json)
    assert again.evaluation == hostile["evaluation"]
    assert repr(again.course) == repr(hostile["course"])
    assert repr(again.epochs) == repr(hostile["epochs"])  # NaN is not equal to itself
