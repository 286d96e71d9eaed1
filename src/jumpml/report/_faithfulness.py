"""Whether an attribution's ranking means something: told in a sentence, with a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.report import _words as words
from jumpml.report._blocks import Mark, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jumpml.core import Attribution, Figure


def faithfulness(attributions: Sequence[Attribution]) -> list[Text]:
    """A paragraph for all fields that were ranked together, which have the same areas."""
    together: dict[tuple[Figure, ...], list[Attribution]] = {}
    for a in attributions:
        together.setdefault((a.insertion, a.random_insertion, a.deletion, a.random_deletion), []).append(a)
    return [_paragraph(group) for group in together.values()]


def _paragraph(group: Sequence[Attribution]) -> Text:
    first, mark = group[0], verdict(group[0])
    fields = words.listing([words.name(attribution.field) for attribution in group], 6)
    error = words.number(max(attribution.convergence for attribution in group), 2)
    areas = (first.insertion, first.random_insertion, first.deletion, first.random_deletion)
    inserted, inserted_at_random, deleted, deleted_at_random = map(words.with_interval, areas)
    text = (
        f"The ranking of {fields} {mark.text}. The area under the curve is {inserted} with the most important elements "
        f"put in first, against {inserted_at_random} in random order; {deleted} with them taken away first, against "
        f"{deleted_at_random}. The shares add up to the change of the output with an error of at most {error}."
    )
    return Text(text, mark.tone)


def verdict(attribution: Attribution) -> Mark:
    """Whether the ranking beats a random one beyond both intervals."""
    inserts = attribution.insertion.low > attribution.random_insertion.high
    deletes = attribution.deletion.high < attribution.random_deletion.low
    if inserts and deletes:
        return Mark("beats a random one", "good")
    if inserts or deletes:
        return Mark(f"beats a random one on {'insertion' if inserts else 'deletion'} only", "unsure")
    return Mark("is no better than a random one: do not trust these pictures", "bad")
