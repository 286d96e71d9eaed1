"""Rows that a pacing may keep back until a phase is over."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from jumpml.learn.examples._pace import Pace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jumpml.curriculum import Pacing
    from jumpml.learn._learner import Learner

MOST = 0.9  # of the rows; where more come in the end, it is a way that rises up to there


def late_rows(learner: Learner) -> Iterator[str]:
    """What is never learned from where losses fall evenly, a sentence a phase: it may be meant, so it is not wrong.

    Args:
        learner: Its hooks say how rows are paced.
    """
    pace = next((hook for hook in learner.hooks if isinstance(hook, Pace)), None)
    if pace is None:
        return
    for name, phase in learner.phases.items():
        if not (phase.epochs and learner.model.active(name) and pace.paces(name)):
            continue
        share = _last_share(pace.pacing, phase.epochs, len(learner.loaders.train))
        if share < MOST:
            told = f"pacing {pace.pacing.kind} still keeps to {share:.2g} of the rows in the last batch"
            when = " unless the loss stops falling before" if pace.pacing.state_dict() else ""
            fix = "Let all rows come sooner, or give the phase more epochs."
            yield f"phase {name!r}: {told}{when}, and the others may never come. {fix}"


def _last_share(pacing: Pacing, epochs: int, batches: int) -> float:
    """Of the rows in a phase's last batch, where each epoch has a lower loss than the one before."""
    pacing = copy.deepcopy(pacing)
    pacing.begin()
    for epoch in range(epochs - 1):
        pacing.closed(float(-epoch))
    return float(pacing.shares(torch.tensor(1 - 1 / (epochs * batches), dtype=torch.float64)))
