"""Where training stands, and when that is written down."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


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

    def __post_init__(self) -> None:
        """Take a folder that is said as text for a path."""
        object.__setattr__(self, "folder", Path(self.folder))

    def after_step(self, step: int) -> bool:
        """Whether one is due after this step."""
        return self.steps is not None and step % self.steps == 0

    def after_epoch(self, epoch: int) -> bool:
        """Whether one is due after this epoch of a phase."""
        return self.epochs is not None and epoch % self.epochs == 0


@dataclass(kw_only=True)
class Progress:
    """Where training stands; part of every checkpoint.

    Attributes:
        phase: The phase that is under way or was last.
        step: Optimizer steps since the start.
        batch: Batches of the open epoch that are done.
        epochs: Closed epochs by phase.
        best: The best validation figure and its step.
        ended: By phase that ended before its last epoch, why.
        stopped: By phase, the tasks that are left out of what remains of it.
    """

    phase: str | None = None
    step: int = 0
    batch: int = 0
    epochs: dict[str, int] = field(default_factory=dict)
    best: tuple[float, int] | None = None
    ended: dict[str, str] = field(default_factory=dict)
    stopped: dict[str, list[str]] = field(default_factory=dict)

    def closed(self, phase: str) -> int:
        """Closed epochs of a phase."""
        return self.epochs.get(phase, 0)

    @property
    def epoch(self) -> int:
        """Closed epochs of all phases: the loader's number of the open one."""
        return sum(self.epochs.values())

    def over(self, phase: str, epochs: int) -> bool:
        """Whether a phase of so many epochs has none left."""
        return phase in self.ended or self.closed(phase) >= epochs

    def load(self, state: Mapping[str, Any]) -> None:
        """Stand where a checkpoint's ``vars`` stood."""
        vars(self).update(state)
        self.best = (state["best"][0], state["best"][1]) if state["best"] else None
