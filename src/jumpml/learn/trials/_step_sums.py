"""What the profiler saw of some steps, added up by node and objective."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Part: TypeAlias = tuple[Literal["node", "objective"], str]
    What: TypeAlias = Literal["forward", "backward", "kept", "optimizer", "all"]

MARK = "jumpml:"  # before the names of our ranges
_BACKWARD = "autograd::engine::evaluate_function: "
_OPTIMIZER = "Optimizer.step#"
_NONE: Part = ("node", "")


class StepSums:
    """Sums over the events of each step; what is told is of one step, the middle one by its time.

    A backward event bears the number of the forward operation that it undoes; a range on the CPU holds the kernels that
    it started.

    Args:
        events: The profiler's, with a range a step (`MARK` and ``step``), and one a call of a node or an objective.
        on_gpu: Whether the kernels' time and memory count, or the CPU's.
    """

    def __init__(self, events: Iterable[Any], *, on_gpu: bool) -> None:
        on_cpu = [event for event in events if event.device_type == torch.autograd.DeviceType.CPU]
        on_cpu.sort(key=lambda event: event.time_range.start)
        self._on_gpu = on_gpu
        self._begun = [event.time_range.start for event in on_cpu if event.name == f"{MARK}step"]
        self._sums: dict[tuple[What, Part], list[float]] = defaultdict(lambda: [0.0] * len(self._begun))
        self._owner: dict[int, Part] = {}  # by an operation's number, whose it is
        for event in on_cpu:
            self._take_in(event)
        self._middle = middle(self._sums["all", _NONE])

    @property
    def parts(self) -> list[Part]:
        """Nodes and objectives that were called, in their order."""
        return [part for what, part in self._sums if what == "forward"]

    def of(self, what: What, part: Part = _NONE) -> float:
        """Seconds, or the bytes that are kept for the way back; 0 where there was none.

        Args:
            what: Of all, of the optimizer; or of a part's forward or backward pass.
            part: Which one.
        """
        return self._sums[what, part][self._middle] if (what, part) in self._sums else 0.0

    def _take_in(self, event: Any) -> None:
        seconds = (event.device_time_total if self._on_gpu else event.cpu_time_total) / 1e6
        if event.name == f"{MARK}step":
            self._add(event, "all", _NONE, seconds)
        elif (part := _part_of(event.name)) is not None:
            self._add(event, "forward", part, seconds)
            self._add(event, "kept", part, event.device_memory_usage if self._on_gpu else event.cpu_memory_usage)
        elif event.name.startswith(_OPTIMIZER):
            self._add(event, "optimizer", _NONE, seconds)
        elif event.name.startswith(_BACKWARD):
            if event.sequence_nr in self._owner:
                self._add(event, "backward", self._owner[event.sequence_nr], seconds)
        elif event.sequence_nr >= 0 and (part := _around(event)) is not None:
            self._owner[event.sequence_nr] = part  # the last one that bears a number is the one that a gradient takes

    def _add(self, event: Any, what: What, part: Part, amount: float) -> None:
        step = bisect_right(self._begun, event.time_range.start) - 1
        if step >= 0:
            self._sums[what, part][step] += amount


def middle(values: Sequence[float]) -> int:
    """The place of the median: other programs on the machine lengthen some steps by far."""
    return sorted(range(len(values)), key=values.__getitem__)[len(values) // 2]


def _part_of(name: str) -> Part | None:
    """The node or objective whose range an event is."""
    kind, colon, part = name.removeprefix(MARK).partition(":")
    if not (name.startswith(MARK) and colon):
        return None
    return ("node", part) if kind == "node" else ("objective", part)


def _around(event: Any) -> Part | None:
    """The node or objective in whose call an operation was made."""
    parent = event.cpu_parent
    while parent is not None:
        if part := _part_of(parent.name):
            return part
        parent = parent.cpu_parent
    return None
