"""A diagnosis as plain text."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jumpml.core import Attribution, DiagnosisRecord, EmbeddingMap, HardExample, OutOfDomain


def summary(record: DiagnosisRecord) -> str:
    """The main figures, a line each."""
    sections = {
        "Attribution": list(_attributions(record.attributions)),
        "Hard examples": list(_hard(record.hard_examples)),
        "Out of domain": [_foreign(score) for score in record.out_of_domain],
        "Maps": [_map(one) for one in record.maps],
        "Warnings": list(record.warnings),
        "Notes": list(record.notes),
    }
    return "\n".join(line for head, lines in sections.items() if lines for line in (head, *(f"  {x}" for x in lines)))


def _attributions(attributions: tuple[Attribution, ...]) -> Iterator[str]:
    for task, group in groupby(attributions, key=lambda attribution: attribution.task):
        parts = list(group)
        first = parts[0]  # the areas are of all inputs together
        yield (
            f"{task}, from {', '.join(part.field for part in parts)}: insertion {first.insertion}, at random "
            f"{first.random_insertion}; deletion {first.deletion}, at random {first.random_deletion}"
        )


def _hard(examples: tuple[HardExample, ...]) -> Iterator[str]:
    for example in examples:
        suggestion = f", the model prefers {example.suggestion}" if example.suggestion else ""
        doubt = ", suspicious" if example.suspicious else ""
        yield f"{example.task}, row {example.row}: {example.target}, margin {example.margin:.3g}{suggestion}{doubt}"


def _map(one: EmbeddingMap) -> str:
    share = f", {one.share:.0%} of the variance" if one.share is not None else ""
    alike = f"; the nearest other row is of the same {one.label} for {one.alike:.1%}" if one.alike is not None else ""
    return f"{one.node}, {len(one.x)} test rows by {one.layout}{share}{alike}"


def _foreign(score: OutOfDomain) -> str:
    parts = [f"{score.method} at {score.node}: {score.test_above} of the test rows above {score.threshold:.4g}"]
    return "; ".join([*parts, *(f"AUROC against {kind} {figure}" for kind, figure in score.auroc.items())])
