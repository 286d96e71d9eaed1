"""The section on the health of the training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.report import _words as words
from jumpml.report._blocks import Block, Items, Mark, Section, Text

if TYPE_CHECKING:
    from jumpml.core import DiagnosisRecord


def health_section(diagnosis: DiagnosisRecord | None) -> Section:
    """What a reader should look into, and what the diagnosis left out."""
    key, title = "health", "Training health"
    if diagnosis is None:
        text = "Not diagnosed: jumpml.diagnose(dataloader, model, learner.history) looks for signs of trouble."
        return Section(key, title, (Text(text, "note"),))
    if diagnosis.warnings:
        blocks: list[Block] = [Items(tuple(Mark(text, "unsure") for text in words.sentences(diagnosis.warnings)))]
    else:
        blocks = [Text("Nothing stood out.")]
    if diagnosis.notes:
        blocks += [Text("The diagnosis notes:", "note"), Items(words.sentences(diagnosis.notes))]
    return Section(key, title, tuple(blocks))
