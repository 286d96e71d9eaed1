"""Where training stands, and when that is written down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Saving:
    """When checkpoints are written, and which stay.

    Attributes:
        folder: Where they go.
        epochs: After so many epochs, or
        steps: after so many steps.
        keep: How many of the newest stay.
        best: `val/<task>/<metric>` or `val/loss`: the best one stays too.
        mode: `max`, `min`, or `auto`, which asks the metric.
    """

    folder: Path
    epochs: int | None = 1
    steps: int | None = None
    keep: int = 3
    best: str | None = None
    mode: str = "auto"


@dataclass(kw_only=True)
class Progress:
    """Where training stands; part of every checkpoint.

    Attributes:
        phase: The phase that is under way or was last.
        step: Optimizer steps since the start.
        batch: Batches of the open epoch that are done.
        epochs: Closed epochs by phase.
        best: The best validation figure and its step.
    """

    phase: str | None = None
    step: int = 0
    batch: int = 0
    epochs: dict[str, int] = field(default_factory=dict)
    best: tuple[float, int] | None = None

    def closed(self, phase: str) -> int:
        """Closed epochs of a phase."""
        return self.epochs.get(phase, 0)

    @property
    def epoch(self) -> int:
        """Closed epochs of all phases: the loader's number of the open one."""
        return sum(self.epochs.values())
