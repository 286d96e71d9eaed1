"""How many rows a batch may have, and how many make a step worth its while."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from jumpml.core import LearnerError, Record, text_table
from jumpml.drawing import Line, draw_panels, line_panel
from jumpml.learn.trials._memory import bytes_of, held_by, peak_of, profiled, told_bytes
from jumpml.learn.trials._trial import batches_of, phase_of, read, trial_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from jumpml.learn._learner import Learner

_TIMED = 3  # steps
_NEAR = 0.9  # of the best rate: larger batches hardly pay


class BatchSize(Record):
    """A step with batches of one size."""

    rows: int
    """Rows of a batch."""
    seconds: float
    """A step's, with its batch: the middle one of a few."""
    peak: int
    """The most bytes held: weights, gradients, moments, and what a step makes."""


class BatchSizes(Record):
    """Time and memory by batch size; ``print`` shows a table, a notebook a picture."""

    phase: str
    """The phase whose objectives were learned."""
    device: str
    sizes: tuple[BatchSize, ...]
    """What was measured, the smallest first."""
    fixed: float
    """Bytes that any batch takes, of a straight line through the peaks."""
    each: float
    """Bytes that each row adds to them."""
    limit: int | None
    """The bytes that training may hold, where that is known."""
    fits: int | None
    """The largest size, doubled from the first, that stays within the limit; None where no limit is known."""
    full: int | None = None
    """The size at which the device's memory ran out, where it did."""

    @property
    def enough(self) -> int:
        """The smallest size with at least nine tenths of the best rows a second."""
        best = max(each.rows / each.seconds for each in self.sizes)
        return next(each.rows for each in self.sizes if each.rows / each.seconds >= _NEAR * best)

    def __str__(self) -> str:
        """The table, and what to make of it."""
        rows = [
            [f"{s.rows}", f"{s.seconds * 1e3:.3g} ms", f"{s.rows / s.seconds:,.0f}", told_bytes(s.peak)]
            for s in self.sizes
        ]
        table = text_table(["rows", "a step", "rows/s", "memory"], rows, "rrrr")
        line = f"memory is about {told_bytes(self.fixed)} and {told_bytes(self.each)} a row, without the data itself"
        speed = f"from {self.enough} rows on, larger batches bring less than a tenth more rows a second"
        if self.enough == self.sizes[-1].rows:
            speed = f"the largest batch that was tried, of {self.enough} rows, has the most rows a second"
        return "\n".join([f"phase {self.phase!r} on {self.device}", table, line, speed, self._told_fit()])

    def _told_fit(self) -> str:
        if self.full is not None:
            return f"{self.fits} rows fit; at {self.full} the device's memory ran out"
        if self.fits is None or self.limit is None:
            return "how many fit is not told: a CPU has no limit of its own, so say what training may hold (memory)"
        if not self.fits:
            return f"nothing fits into {told_bytes(self.limit)}"
        most = self.sizes[-1].rows
        how = "measured" if self.fits <= most else f"extrapolated beyond {most}"
        room = self.fits >= most and self.fixed + self.each * 2 * self.fits <= self.limit
        more = ", with room for more than there are train rows" if room else ""
        return f"{self.fits} rows fit into {told_bytes(self.limit)} ({how}){more}"

    def draw(self) -> str:
        """Rows a second and memory by batch size.

        Returns:
            An ``svg`` element that refers to nothing outside itself.
        """
        x = [each.rows for each in self.sizes]
        fit = [(self.fixed + self.each * rows) / 1e6 for rows in x]
        rate = [Line(x, [each.rows / each.seconds for each in self.sizes])]
        memory = [
            Line(x, [s.peak / 1e6 for s in self.sizes], 0, "measured", dots=True),
            Line(x, fit, 1, "straight line"),
        ]
        panels = [
            line_panel("Rows a second", rate, alt="Rows a second.", x_label="rows of a batch"),
            line_panel("Memory", memory, alt="Memory by size.", x_label="rows of a batch", y_label="megabytes"),
        ]
        return draw_panels("Batch sizes", panels, note=self._told_fit())

    def _repr_svg_(self) -> str:
        return self.draw()


def batch_sizes(
    learner: Learner, *, sizes: Sequence[int] | None, memory: str | int | None, phase: str | None
) -> BatchSizes:
    """See `Learner.batch_sizes`."""
    if not learner.processes.alone:
        count = learner.processes.count
        raise LearnerError(
            f"batch_sizes() measures what one process holds, and {count} learn here. Ask it where one does "
            "(distribute: none): what fits there is each one's share of a batch."
        )
    limit = None if memory is None else bytes_of(memory)
    most = len(learner.loaders.train.rows)
    asked = [*_doubled(learner, most)] if sizes is None else sorted({*sizes})
    _validate(asked, most)
    name = phase_of(learner, phase)
    device = next(learner.model.parameters()).device
    measured: list[BatchSize] = []
    full = None
    for size in asked:
        try:
            measured.append(_measure(learner, name, size, device))
        except torch.OutOfMemoryError:
            full = size
            break
        finally:
            if device.type == "cuda":
                torch.cuda.empty_cache()
        if limit is not None and device.type == "cuda" and measured[-1].peak > limit:
            break
    if not measured:
        raise LearnerError(f"a batch of {asked[0]} rows does not fit into the memory of {device}: try fewer (sizes).")
    fixed, each = _line(measured)
    if limit is None and device.type == "cuda":
        limit = torch.cuda.get_device_properties(device).total_memory
    fits = (
        measured[-1].rows if full is not None else None if limit is None else _fits(measured, fixed, each, limit, most)
    )
    return BatchSizes(
        phase=name,
        device=str(device),
        sizes=tuple(measured),
        fixed=fixed,
        each=each,
        limit=limit,
        fits=fits,
        full=full,
    )


def _doubled(learner: Learner, most: int) -> Iterator[int]:
    """From a quarter of the present size: four times it on a CPU, and until nothing more fits on another device."""
    present, cpu = learner.loaders.batch_size, next(learner.model.parameters()).device.type == "cpu"
    size = min(max(2, present // 4), most)
    while size <= min(most, 4 * present if cpu else most):
        yield size
        size *= 2


def _validate(sizes: Sequence[int], most: int) -> None:
    wrong = [size for size in sizes if not 1 <= size <= most]
    if wrong or not sizes:
        raise LearnerError(f"expected batch sizes from 1 to the {most} train rows, got {[*sizes]}.")


def _measure(learner: Learner, phase: str, size: int, device: torch.device) -> BatchSize:
    with trial_of(learner, loaders=learner.loaders.resized(size)) as trial, trial._loop.random:
        trial._run.enter(phase)
        batches, seconds = _full(batches_of(trial, phase), size), []
        trial.step(next(batches))  # what stays is allocated
        held, batch = held_by(trial), next(batches)
        with profiled(device) as seen:
            trial.step(batch)
        peak = held + peak_of(seen, device)
        for _ in range(_TIMED):
            start = time.perf_counter()
            trial.step(next(batches))
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - start)
        read(trial)
    return BatchSize(rows=size, seconds=sorted(seconds)[len(seconds) // 2], peak=peak)


def _full(batches: Iterator[dict[str, Tensor]], size: int) -> Iterator[dict[str, Tensor]]:
    """Those that have all their rows; where two in a row have not, the order makes no others."""
    short = 0
    for batch in batches:
        short = 0 if next(iter(batch.values())).shape[0] >= size else short + 1
        if short in {0, 2}:
            yield batch
            short = 0


def _line(measured: Sequence[BatchSize]) -> tuple[float, float]:
    """The straight line through the peaks, by least squares."""
    if len(measured) == 1:
        return 0.0, measured[0].peak / measured[0].rows
    each, fixed = np.polyfit([size.rows for size in measured], [size.peak for size in measured], 1)
    return float(fixed), float(each)


def _fits(measured: Sequence[BatchSize], fixed: float, each: float, limit: int, most: int) -> int:
    """The largest size, doubled from the first, that the limit has room for: measured, beyond that by the line."""
    within = [size.rows for size in measured if size.peak <= limit]
    best = within[-1] if within else 0
    if best == measured[-1].rows:
        while 2 * best <= most and fixed + each * 2 * best <= limit:
            best *= 2
    return best
