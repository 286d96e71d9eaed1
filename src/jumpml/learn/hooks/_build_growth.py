"""From what a file says of growth to rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.graph import Branch, Deepen, LowRank, Merge, Shrink, Widen
from jumpml.learn.hooks._grow import AtEpoch, GrowthRule, OnPlateau

if TYPE_CHECKING:
    from jumpml.core import GrowSpec, LearnerSpec
    from jumpml.graph import Surgery


def build_rules(spec: LearnerSpec) -> list[GrowthRule]:
    """What the file says of growth, as rules."""
    rules = []
    for told in spec.grow:
        when, plateau = told.trigger, told.trigger.plateau
        trigger = (
            AtEpoch(epoch=when.epoch or 1, phase=when.phase)
            if plateau is None
            else OnPlateau(**plateau.model_dump(), phase=when.phase)
        )
        rules.append(GrowthRule(trigger=trigger, surgery=_surgery(told)))
    return rules


def _surgery(told: GrowSpec) -> Surgery:
    if told.merge:
        return Merge(told.node)
    if told.branch is not None:
        return Branch(told.node, **told.branch.model_dump())
    kinds = (Widen, Shrink, Deepen, LowRank)
    (made,) = (kind(told.node, value) for kind in kinds if (value := getattr(told, kind.kind)) is not None)
    return made
