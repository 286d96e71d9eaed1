"""What the losses by epoch say of the training itself, with what to do about it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from jumpml.core import EpochRecord

FEWEST = 3  # epochs below which a curve says nothing
FALL = 0.01  # a loss that falls by less than this share of where it began has not learned
OVERFIT = 0.10  # validation loss above its lowest by this share; less is the noise of a small validation split
SPIKE = 2.0  # times the epoch before
LEAST = 0.01  # share of a task in the sum, at the phase's start: later a task may be small because it is learned


def training_warnings(epochs: Sequence[EpochRecord], weights: Mapping[str, float], tasks: Collection[str]) -> list[str]:
    """Look at each phase's losses for what usually means trouble.

    Each of these gives one warning a phase: the train loss falls by less than 1% of its first value; the validation
    loss ends more than 10% above its lowest while the train loss goes on falling; an epoch's train loss is more than
    twice that of the epoch before; a task makes less than 1% of the first epoch's sum. Of fewer than three epochs only
    the shares are judged.

    Args:
        epochs: The history.
        weights: By objective, what its loss is multiplied by in the sum.
        tasks: The objectives that are tasks' own; a penalty may be small by intent.

    Example:
        >>> from jumpml.core import EpochRecord
        >>> flat = [
        ...     EpochRecord(phase="supervised", epoch=e, step=e, losses={"y": 2.3, "total": 2.3}, lr=0.1, seconds=1.0)
        ...     for e in (1, 2, 3)
        ... ]
        >>> training_warnings(flat, {"y": 1.0}, ["y"])[0].partition(":")[0]
        'supervised'
    """
    phases: dict[str, list[EpochRecord]] = {}
    for epoch in epochs:
        phases.setdefault(epoch.phase, []).append(epoch)
    found = []
    for phase, records in phases.items():
        curves = [] if len(records) < FEWEST else [*_not_falling(records), *_overfitting(records), *_spiking(records)]
        found += [f"{phase}: {text}" for text in (*curves, *_shares(records[0], weights, tasks))]
    return found


def _not_falling(epochs: list[EpochRecord]) -> list[str]:
    first, *later = (epoch.losses["total"] for epoch in epochs)
    if min(later) < first - FALL * abs(first):
        return []
    return [
        f"the train loss did not fall: {first:.4g} in the first epoch, {min(later):.4g} in the best of the "
        f"{len(later)} after it. Check that the targets belong to the inputs, and try another learning rate."
    ]


def _overfitting(epochs: list[EpochRecord]) -> list[str]:
    measured = [epoch for epoch in epochs if "loss" in epoch.val]
    if len(measured) < FEWEST:
        return []
    best, last = min(measured, key=lambda epoch: epoch.val["loss"]), measured[-1]
    rise = last.val["loss"] - best.val["loss"]
    if rise <= OVERFIT * abs(best.val["loss"]) or last.losses["total"] >= best.losses["total"]:
        return []
    return [
        f"the validation loss rose from {best.val['loss']:.4g} in epoch {best.epoch} to {last.val['loss']:.4g} in "
        f"epoch {last.epoch} while the train loss fell on: the model learns the train rows by heart. Keep the best "
        "checkpoint, train for fewer epochs, augment the data, or add weight decay."
    ]


def _spiking(epochs: list[EpochRecord]) -> list[str]:
    spikes = [
        (before, after)
        for before, after in pairwise(epochs)
        if after.losses["total"] > SPIKE * before.losses["total"] > 0
    ]
    if not spikes:
        return []
    before, after = spikes[0]
    return [
        f"the train loss jumped from {before.losses['total']:.4g} to {after.losses['total']:.4g} in epoch {after.epoch}"
        + (f", and {len(spikes) - 1} more times" if len(spikes) > 1 else "")
        + ". Lower the learning rate, or clip gradients (clip_norm)."
    ]


def _shares(epoch: EpochRecord, weights: Mapping[str, float], tasks: Collection[str]) -> list[str]:
    parts = {name: abs(weights.get(name, 1.0) * loss) for name, loss in epoch.losses.items() if name != "total"}
    total = sum(parts.values())
    largest = max(parts, key=lambda name: parts[name], default="")
    return [
        f"the task {name!r} made {part / total:.2%} of the loss in epoch {epoch.epoch} and hardly counts beside "
        f"{largest!r} ({parts[largest] / total:.2%}). Raise its weight or lower the other's."
        for name, part in parts.items()
        if name in tasks and part < LEAST * total
    ]
