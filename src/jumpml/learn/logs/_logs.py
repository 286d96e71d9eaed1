"""Where figures go while learning: JSON lines, TensorBoard."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from jumpml.core import EpochRecord, write_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class StepRecord(NamedTuple):
    """One optimizer step.

    Attributes:
        phase: The phase's name.
        step: Steps since the start of the run, this one included.
        losses: By objective, and ``total``.
        lr: The first group's learning rate.
        weights: By objective, the weights that move.
        figures: What hooks tell; only the last of the steps that are logged together has any.
        rates: By group of the optimizer, its learning rate, where groups have their own.
    """

    phase: str
    step: int
    losses: dict[str, float]
    lr: float
    weights: Mapping[str, float] = MappingProxyType({})
    figures: Mapping[str, float] = MappingProxyType({})
    rates: Mapping[str, float] = MappingProxyType({})

    def learning_rates(self) -> dict[str, float]:
        """The first group's under ``lr``, and every group's under ``lr/<group>`` where they have their own."""
        return {"lr": self.lr, **{f"lr/{name}": value for name, value in self.rates.items()}}

    def as_json(self) -> str:
        """The step as a line of JSON, with weights where some move and figures where there are any."""
        record = {"phase": self.phase, "step": self.step, "losses": self.losses, **self.learning_rates()}
        rare = {"weights": dict(self.weights), "figures": dict(self.figures)}
        return json.dumps(record | {key: value for key, value in rare.items() if value})


def step_figures(record: StepRecord) -> dict[str, float]:
    """A step's figures by the names that its curves have in TensorBoard and its like."""
    losses = {f"{record.phase}/{name}": value for name, value in record.losses.items()}
    weights = {f"{record.phase}/weight/{name}": value for name, value in record.weights.items()}
    figures = {f"{record.phase}/{name}": value for name, value in record.figures.items()}
    rates = {f"{record.phase}/{name}": value for name, value in record.learning_rates().items()}
    return {**losses, **rates, **weights, **figures}


def epoch_figures(record: EpochRecord) -> dict[str, float]:
    """An epoch's figures by such names."""
    losses = {f"{record.phase}/epoch/{name}": value for name, value in record.losses.items()}
    return {**losses, **{f"val/{name}": value for name, value in record.val.items()}}


class Log(ABC):
    """Something that is told of progress."""

    def begin(self, phase: str, epochs: int, done: int, steps: int) -> None:  # noqa: B027 (not every log cares)
        """A phase starts or goes on.

        Args:
            phase: Its name.
            epochs: How many it has.
            done: How many are done.
            steps: Batches an epoch.
        """

    @abstractmethod
    def steps(self, records: Sequence[StepRecord]) -> None:
        """Some steps were made."""

    @abstractmethod
    def epoch(self, record: EpochRecord) -> None:
        """An epoch ended."""

    def rewind(self, step: int, epochs: Sequence[EpochRecord]) -> None:  # noqa: B027 (not every log cares)
        """Training goes on from a checkpoint: forget what came after this step."""

    def pause(self) -> None:  # noqa: B027 (not every log cares)
        """The learner hands back to the program."""


class JsonlLog(Log):
    """``steps.jsonl`` and ``history.jsonl``: one JSON object a line.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self._steps = folder / "steps.jsonl"
        self._epochs = folder / "history.jsonl"

    def steps(self, records: Sequence[StepRecord]) -> None:
        """Append the steps."""
        self._append(self._steps, [record.as_json() for record in records])

    def epoch(self, record: EpochRecord) -> None:
        """Append the epoch."""
        self._append(self._epochs, [record.model_dump_json()])

    def rewind(self, step: int, epochs: Sequence[EpochRecord]) -> None:
        """Cut the lines that will be written again, and one that a crash has torn."""
        if self._steps.exists():
            kept = [line for line in self._steps.read_text(encoding="utf-8").splitlines() if _step_of(line) <= step]
            write_file(self._steps, "".join(f"{line}\n" for line in kept))
        if self._epochs.exists():
            write_file(self._epochs, "".join(f"{record.model_dump_json()}\n" for record in epochs))

    def _append(self, path: Path, lines: Sequence[str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = path.stat().st_size if path.exists() else 0
        try:
            with path.open("a", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in lines)
        except OSError:  # a full disk took some of it: all of it comes again
            if path.exists():
                os.truncate(path, whole)
            raise


def _step_of(line: str) -> float:
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):
        return float("inf")


class TensorBoardLog(Log):
    """Events for TensorBoard.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None
        self._purge: int | None = None

    def steps(self, records: Sequence[StepRecord]) -> None:
        """The last of the steps."""
        for name, value in step_figures(records[-1]).items():
            self._open().add_scalar(name, value, records[-1].step)

    def epoch(self, record: EpochRecord) -> None:
        """Means over the epoch, and validation figures."""
        for name, value in epoch_figures(record).items():
            self._open().add_scalar(name, value, record.step)

    def rewind(self, step: int, epochs: Sequence[EpochRecord]) -> None:
        """Hide the events after a step."""
        if self._writer is not None:
            self._writer.close()
        self._writer, self._purge = None, step + 1

    def pause(self) -> None:
        """Let readers see everything so far."""
        if self._writer is not None:
            self._writer.flush()

    def _open(self) -> Any:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self._folder), purge_step=self._purge)
            self._purge = None
        return self._writer
