"""Progress for who watches: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, final

from jumpml.learn.logs._logs import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from jumpml.core import EpochRecord
    from jumpml.learn.logs._logs import StepRecord

EMBEDDING = "val/embedding/"
QUIET = 60.0  # seconds after which an epoch under way gets a line, where there is no bar


@final
class ProgressLog(Log):
    """A line an epoch; in a terminal a bar too, with rate, remaining time and figures, elsewhere a line a minute.

    Of a node's embeddings it shows the first figure, such as the linear probe; the others stand in the history.

    Args:
        label: What to call the training instead of its phase's name.
        clock: Seconds since some moment.
        watched: Figures that are shown in any case, as something goes by them.
    """

    def __init__(
        self,
        label: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        watched: Collection[str] = (),
    ) -> None:
        from rich.console import Console

        self._label, self._clock, self._watched = label, clock, {*watched}
        self._console = Console(stderr=True, highlight=False)
        self._bar: Any = None
        self._task: Any = None
        self._epochs = self._length = self._done = 0
        self._steps = 0  # of the open epoch, made here
        self._started = self._last = self._spoken = 0.0
        self._figures: Mapping[str, float] = {}

    def begin(self, phase: str, epochs: int, done: int, steps: int) -> None:
        """Start the phase's bar."""
        self._epochs, self._done, self._length, self._steps = epochs, done, steps, 0
        self._started = self._last = self._spoken = self._clock()
        if self._console.is_terminal and self._bar is None:
            self._start_bar(phase)

    def steps(self, records: Sequence[StepRecord]) -> None:
        """Move the bar, or say where the epoch stands."""
        now, last = self._clock(), records[-1]
        self._steps += len(records)
        if self._bar is not None:
            rate = _rate(len(records), now - self._last)
            figures = _told({"loss": last.losses["total"], **self._figures})
            self._bar.update(self._task, advance=len(records), rate=rate, figures=figures)
        elif now - self._spoken >= QUIET:
            share = f"{self._steps}/{self._length} steps"
            rate = _rate(self._steps, now - self._started)
            self._say(last.phase, self._done + 1, share, _told({"loss": last.losses["total"]}), rate)
        self._last = now

    def epoch(self, record: EpochRecord) -> None:
        """Print the epoch's line."""
        self._figures = _short({f"val/{name}": value for name, value in record.val.items()}, self._watched)
        losses = {"loss": record.losses["total"], **self._figures}
        parts = [_told(losses), f"lr {record.lr:.3g}", f"{record.seconds:.2f} s", _rate(self._steps, record.seconds)]
        ahead = (self._epochs - record.epoch) * record.seconds
        if ahead >= 1 and self._steps == self._length:  # of a part of an epoch the rest cannot be told
            parts.append(f"{_duration(ahead)} left")
        self._say(record.phase, record.epoch, *parts, *record.notes)
        self._done, self._steps = record.epoch, 0
        self._started = self._last = self._spoken = self._clock()

    def pause(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _start_bar(self, phase: str) -> None:
        from rich import progress

        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeRemainingColumn(compact=True),
            progress.TextColumn("{task.fields[rate]}"),
            progress.TextColumn("{task.fields[figures]}", markup=False),
            console=self._console,
            transient=True,
        )
        total, done = max(self._epochs, self._done + 1) * self._length, self._done * self._length
        self._task = self._bar.add_task(self._label or phase, total=total, completed=done, rate="", figures="")
        self._bar.start()

    def _say(self, phase: str, epoch: int, *parts: str) -> None:
        head = f"{self._label or phase} {epoch}/{max(self._epochs, epoch)}"
        self._console.print("  ".join([head, *filter(None, parts)]), markup=False, soft_wrap=True)
        self._spoken = self._clock()


def _short(figures: Mapping[str, float], watched: Collection[str]) -> dict[str, float]:
    """Figures as a line has room for them: of embeddings one a node and those that are watched, by node and figure."""
    short, nodes = {}, set[str]()
    for name, value in figures.items():
        if not name.startswith(EMBEDDING):
            short[name] = value
        elif (node := name.rpartition("/")[0]) not in nodes or name in watched:
            nodes.add(node)
            short[name.removeprefix(EMBEDDING)] = value
    return short


def _told(figures: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in figures.items())


def _rate(steps: int, seconds: float) -> str:
    """Steps a second, or seconds a step where they are slow; nothing where no time has passed."""
    if not steps or seconds <= 0:
        return ""
    rate = steps / seconds
    return f"{rate:.3g} steps/s" if rate >= 1 else f"{1 / rate:.3g} s/step"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
