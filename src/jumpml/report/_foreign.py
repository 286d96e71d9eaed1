"""The section on what is foreign to the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.report import _words as words
from jumpml.report._blocks import Block, Mark, Section, Table, Text

if TYPE_CHECKING:
    from jumpml.core import DiagnosisRecord, OutOfDomain

_EXPECTED = 0.05  # the share of validation rows above the threshold, by its definition
_METHODS = {"mahalanobis": "Mahalanobis", "knn": "nearest neighbours"}


def foreign_section(diagnosis: DiagnosisRecord | None) -> Section:
    """Scores of how unlike the train rows an input is, and how well they tell strangers."""
    key, title = "foreign", "What is foreign to it"
    if diagnosis is None:
        return Section(
            key,
            title,
            (Text("Not diagnosed: jumpml.diagnose(dataloader, model) measures how well strangers are told.", "note"),),
        )
    if not diagnosis.out_of_domain:
        return Section(key, title, (Text("No out-of-domain score was computed.", "note"),))
    text = (
        "A score above the threshold says that an input is unlike the train rows, and that its answer should not be "
        "trusted. Of rows like the train rows about 5% are above it, by its making."
    )
    blocks: list[Block] = [Text(text), _thresholds(diagnosis.out_of_domain)]
    strangers = list(dict.fromkeys(kind for score in diagnosis.out_of_domain for kind in score.auroc))
    if strangers:
        blocks.append(_strangers(diagnosis.out_of_domain, strangers))
    return Section(key, title, tuple(blocks))


def _thresholds(scores: tuple[OutOfDomain, ...]) -> Table:
    rows = tuple(
        (
            _method(score),
            words.name(score.node),
            words.number(score.threshold),
            words.with_interval(score.test_above),
            _verdict(score),
        )
        for score in scores
    )
    head = ("score", "of the node", "threshold", "test rows above it", "so the test rows are")
    return Table("Thresholds, and the share of test rows above them", head, rows, "llrrl")


def _verdict(score: OutOfDomain) -> Mark:
    if score.test_above.low > _EXPECTED:
        return Mark("less familiar than the validation rows", "bad")
    return Mark("as familiar as the validation rows", "good")


def _strangers(scores: tuple[OutOfDomain, ...], kinds: list[str]) -> Table:
    rows = tuple((words.metric(kind), *(_auroc(score, kind) for score in scores)) for kind in kinds)
    head = ("strangers", *(f"{_method(score)}, {words.name(score.node)}" for score in scores))
    caption = "AUROC of test rows against strangers, by their kind: 1 tells all of them, 0.5 none"
    return Table(caption, head, rows, "l" + "r" * len(scores))


def _auroc(score: OutOfDomain, kind: str) -> str:
    figure = score.auroc.get(kind)
    return words.with_interval(figure) if figure else "\N{EN DASH}"


def _method(score: OutOfDomain) -> str:
    return _METHODS.get(score.method, words.name(score.method))
