"""A stretch of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.graph import Model
    from jumpml.learn.schedules._schedules import Schedule


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Which nodes train, for how long, and how fast.

    Attributes:
        epochs: Passes over the train rows.
        train: Patterns of the nodes that train; every other node is frozen: no gradient, evaluation mode.
        freeze: Patterns of nodes that stay frozen though ``train`` names them.
        lr: A learning rate for this phase, to which the optimizer's groups keep their ratio; the optimizer's own where
            None.
        schedule: How the learning rate moves over the phase's updates, or several schedules that follow each other;
            past them it holds its last value.
        data: The data sets whose rows it learns from; all where empty.
        consolidate: Whether EWC objectives take the weights as their anchor at the end.
    """

    epochs: int = 10
    train: tuple[str, ...] = ("all",)
    freeze: tuple[str, ...] = ()
    lr: float | None = None
    schedule: Schedule | tuple[Schedule, ...] | None = None
    data: tuple[str, ...] = ()
    consolidate: bool = False

    def __post_init__(self) -> None:
        """Take a single name or pattern for a tuple of one, as the learner file does, not for its letters."""
        for name in ("train", "freeze", "data"):
            if isinstance(value := getattr(self, name), str):
                object.__setattr__(self, name, (value,))


def self_supervised(phases: Mapping[str, Phase], model: Model) -> list[str]:
    """The phases before ``supervised`` in which something is learned and no task is, in their order.

    Args:
        phases: By name.
        model: Whose objectives say in which of them they are active.
    """
    before: list[str] = []
    for name, phase in phases.items():
        if name == "supervised":
            break
        active = {*model.active(name)} if phase.epochs else set()
        before += [name] if active and not active & {*model.tasks} else []
    return before
