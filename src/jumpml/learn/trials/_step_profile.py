"""What a profile found."""

from __future__ import annotations

from typing import Literal

from jumpml.core import Record, text_table
from jumpml.drawing import bar_panel, count, draw_panels
from jumpml.learn.trials._memory import told_bytes

_MOST = 14  # bars
_WAITS = 0.4  # of the time


class PartProfile(Record):
    """What one node or objective takes in a step."""

    name: str
    kind: Literal["node", "objective"]
    forward: float
    """Seconds a step."""
    backward: float
    """Seconds a step."""
    parameters: int
    weights: int
    """Bytes of parameters and buffers."""
    kept: int
    """Bytes that its forward pass leaves behind for the backward pass, its output among them."""

    @property
    def title(self) -> str:
        """Its name, apart from a node's where it is an objective's."""
        return self.name if self.kind == "node" else f"{self.name} (objective)"


class StepProfile(Record):
    """Where a step's time and memory go; ``print`` shows a table, a notebook a picture.

    The step is timed without the profiler. The profiler then says how that time is shared among nodes; it slows small
    operations down more than large ones, so that shares of a few percent are rough.
    """

    phase: str
    """The phase whose objectives were learned."""
    device: str
    rows: int
    """Rows of a step."""
    steps: int
    """Steps that were timed."""
    compiles: bool = False
    """Whether the learner compiles, which a profile by node cannot: it is of the same steps without."""
    data: float
    """Seconds a step until its batch is there."""
    parts: tuple[PartProfile, ...]
    """By node and objective, in their order."""
    optimizer: float
    """Seconds a step of the optimizer's update."""
    rest: float
    """Seconds a step of all else: the loop, hooks, averages, clipping."""
    peak: int
    """The most bytes held: weights, gradients, moments and what a step makes; without the data, and without what
    libraries hold for themselves."""

    @property
    def seconds(self) -> float:
        """Seconds a step, with its data."""
        return self.data + sum(part.forward + part.backward for part in self.parts) + self.optimizer + self.rest

    @property
    def bottleneck(self) -> str:
        """What to look at first, in a sentence."""
        total = self.seconds or 1.0
        if self.data > _WAITS * total:
            fix = "Let more workers decode (`workers`), keep what is decoded in memory, or make features cheaper."
            return f"data: {self.data / total:.0%} of the time is waiting for batches. {fix}"
        times = {part: part.forward + part.backward for part in self.parts}
        part = max(times, key=times.__getitem__, default=None)
        others = {"optimizer": self.optimizer, "rest": self.rest}
        first = max(others, key=others.__getitem__)
        if part is not None and times[part] >= others[first]:
            way = f"{part.forward / total:.0%} forward, {part.backward / total:.0%} backward"
            return f"{part.kind} {part.name!r}: {times[part] / total:.0%} of the time ({way})."
        fix = "Larger batches have fewer steps (batch_sizes)."
        if first == "optimizer":
            return f"optimizer: {self.optimizer / total:.0%} of the time is its update. {fix}"
        return f"the loop around the model: {self.rest / total:.0%} of the time; the model is quick for its rows. {fix}"

    def __str__(self) -> str:
        """The table, and the bottleneck."""
        total = self.seconds or 1.0
        rows = [self._row("waiting for data", self.data, None)]
        for part in self.parts:
            own = [count(part.parameters) if part.parameters else "", told_bytes(part.kept)]
            rows.append([*self._row(part.title, part.forward, part.backward)[:5], *own])
        rows += [self._row("optimizer", self.optimizer, None), self._row("all else", self.rest, None)]
        head = ["", "forward", "backward", "together", "share", "parameters", "kept"]
        rate = f"{self.rows / total:,.0f} rows/s"
        top = f"{self.rows} rows a step on {self.device}, phase {self.phase!r}: {_ms(total)} a step, {rate}"
        if self.compiles:
            top += "\nwithout torch.compile, which melts nodes into each other"
        foot = f"at most {told_bytes(self.peak)} held\n{self.bottleneck}"
        return f"{top}\n{text_table(head, rows, 'lrrrrrr')}\n{foot}"

    def draw(self) -> str:
        """Bars of time and of memory by node.

        Returns:
            An ``svg`` element that refers to nothing outside itself.
        """
        by_time = sorted(self.parts, key=lambda part: -(part.forward + part.backward))[:_MOST]
        shown = [part for part in self.parts if part in by_time]
        names = ["waiting for data", *(part.title for part in shown), "optimizer", "all else"]
        alone = [self.data, *(0.0 for _ in shown), self.optimizer, self.rest]
        parts = {
            "forward": [0.0, *(part.forward for part in shown), 0.0, 0.0],
            "backward": [0.0, *(part.backward for part in shown), 0.0, 0.0],
            "other": alone,
        }
        ms = {name: [value * 1e3 for value in values] for name, values in parts.items()}
        time = bar_panel("Time", names, ms, alt=f"Time: {self.bottleneck}", x_label="milliseconds a step")
        held = {"kept for backward": [part.kept / 1e6 for part in shown], "weights": [p.weights / 1e6 for p in shown]}
        labels = [part.title for part in shown]
        memory = bar_panel("Memory", labels, held, alt=f"At most {told_bytes(self.peak)}.", x_label="megabytes")
        return draw_panels("Where a step goes", [time, memory], columns=1, note=self.bottleneck)

    def _repr_svg_(self) -> str:
        return self.draw()

    def _row(self, name: str, forward: float, backward: float | None) -> list[str]:
        both = forward + (backward or 0.0)
        first = "" if backward is None else _ms(forward)
        return [name, first, "" if backward is None else _ms(backward), _ms(both), f"{both / self.seconds:.0%}", "", ""]


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"
