"""The card's map of rows: what it shows, what it says, and that no name is more than a name."""

from __future__ import annotations

from typing import Any

import pytest

from jumpml.core import DiagnosisRecord, EmbeddingMap, EvaluationRecord
from jumpml.report import Card, report_card


def card_of(*maps: EmbeddingMap) -> Card:
    return report_card(EvaluationRecord(split="test", tasks={}), DiagnosisRecord(maps=maps))


def drawn(**changes: Any) -> EmbeddingMap:
    told = {"node": "encoder", "label": "digit", "layout": "pca", "x": (0.0, 1.0, 2.0, 3.0), "y": (1.0, 0.0, 1.0, 2.0)}
    return EmbeddingMap(
        **{**told, "codes": (0, 0, 1, 1), "classes": ("one", "two"), "share": 0.61, "alike": 0.75, **changes}
    )


def test_it_shows_the_rows_and_says_what_the_picture_cannot() -> None:
    card = card_of(drawn())
    for text in (card.html, card.markdown):
        assert "Which rows are alike to it" in text
        assert "Map of 4 test rows of 2 classes at the node encoder." in text
        assert "The two directions hold 61% of the variance." in text
        assert "the nearest other row is of the same class for 75% of the rows, where chance would give 33%." in text
    assert "Node encoder, by digit" in card.html
    assert card.html.count(">one</text>") == 2  # beside the frame, and at the middle of its rows


def test_umap_is_told_for_what_it_is() -> None:
    html = card_of(drawn(layout="umap", share=None)).html
    assert "UMAP keeps neighbours together; how far apart heaps are, and how large, means nothing." in html
    assert "of the variance" not in html


def test_without_classes_it_says_nothing_of_them() -> None:
    card = card_of(drawn(label="", classes=(), codes=(-1,) * 4, alike=None))
    assert "Map of 4 test rows at the node encoder." in card.html
    assert "the nearest other row" not in card.html


def test_a_card_without_a_map_says_how_to_get_one() -> None:
    text = "No map was drawn: each task of classes has one, and each node under `embeddings` in the learner file."
    assert text in card_of().html
    undiagnosed = report_card(EvaluationRecord(split="test", tasks={})).html
    assert "jumpml.diagnose(dataloader, model) draws a map of the test rows." in undiagnosed


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '"><img src=x>', "$\\frac{$", "{{ 7 * 7 }}", "\u202eabc"]
)
def test_names_are_texts(name: str) -> None:
    html = card_of(drawn(node=name, label=name, classes=(name, "_b"))).html
    assert "<script" not in html
    assert "<img src=x" not in html
    assert "\u202e" not in html
    assert ">_b</text>" in html
