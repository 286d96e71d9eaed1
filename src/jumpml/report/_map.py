"""The section on which rows the model holds to be alike."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from jumpml.drawing import draw_points
from jumpml.report import _words as words
from jumpml.report._blocks import Chart, Charts, Section, Text

if TYPE_CHECKING:
    from jumpml.core import DiagnosisRecord, EmbeddingMap

_TEXT = (
    "Each point is a test row, where a node inside the model puts it. Rows that stand together look alike to the "
    "model: classes that overlap here are those that it can hardly tell apart, and a class in two heaps is two things "
    "to it."
)
_READING = {
    "pca": "The axes are the two directions in which the node's values vary most.",
    "umap": "UMAP keeps neighbours together; how far apart heaps are, and how large, means nothing.",
}


def map_section(diagnosis: DiagnosisRecord | None) -> Section:
    """Maps of nodes' values, coloured by class."""
    key, title = "map", "Which rows are alike to it"
    if diagnosis is None:
        text = "Not diagnosed: jumpml.diagnose(dataloader, model) draws a map of the test rows."
        return Section(key, title, (Text(text, "note"),))
    if not diagnosis.maps:
        text = "No map was drawn: each task of classes has one, and each node under `embeddings` in the learner file."
        return Section(key, title, (Text(text, "note"),))
    return Section(key, title, (Text(_TEXT), Charts(tuple(map(_chart, diagnosis.maps)))))


def _chart(drawn: EmbeddingMap) -> Chart:
    title = f"Node {words.name(drawn.node)}" + (f", by {words.name(drawn.label)}" if drawn.label else "")
    classes = [words.name(name) for name in drawn.classes]
    counts = Counter(code for code in drawn.codes if 0 <= code < len(classes))
    what = f"{words.plural(len(drawn.x), 'test row')} of {words.plural(len(counts), 'class', 'classes')}"
    alt = f"Map of {what if counts else words.plural(len(drawn.x), 'test row')} at the node {words.name(drawn.node)}."
    svg, width = draw_points(drawn.x, drawn.y, drawn.codes, classes, alt=alt)
    return Chart(title=title, svg=svg, alt=alt, width=width, reading=_READING.get(drawn.layout, ""), note=_note(drawn))


def _note(drawn: EmbeddingMap) -> str:
    """What the picture cannot hold: how much of the values it shows, and how alike rows are in all of them."""
    parts = []
    if drawn.share is not None:
        parts.append(f"The two directions hold {drawn.share:.0%} of the variance.")
    if drawn.alike is not None:
        text = f"In all dimensions the nearest other row is of the same class for {drawn.alike:.0%} of the rows"
        counts = Counter(code for code in drawn.codes if code >= 0)
        total = sum(counts.values())
        chance = sum(count * (count - 1) for count in counts.values()) / max(total * (total - 1), 1)
        parts.append(f"{text}, where chance would give {chance:.0%}.")
    return " ".join(parts)
