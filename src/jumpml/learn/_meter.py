"""Losses of the steps since the log was last written, still on the device, and their running means over the epoch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from jumpml.learn._logs import StepRecord

if TYPE_CHECKING:
    from torch import Tensor


class NonFinite(Exception):  # noqa: N818 (a signal within the package; the user sees NonFiniteLossError)
    """A loss is NaN or infinite; without an objective, the weights with which the step begins are."""

    def __init__(self, step: int, objective: str | None = None) -> None:
        super().__init__(step, objective)
        self.step = step
        self.objective = objective


class Meter:
    """Collects a step's losses without reading the device; reads them all at once when asked."""

    def __init__(self) -> None:
        self._window: list[tuple[int, float, dict[str, Tensor], dict[str, Tensor | int]]] = []
        self._sums: dict[str, float] = {}
        self._rows: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._window)

    def add(self, step: int, lr: float, losses: dict[str, Tensor], rows: dict[str, Tensor | int]) -> None:
        """Note one step.

        Args:
            step: Its number.
            lr: The learning rate that it used.
            losses: Scalars by objective, with ``total`` last.
            rows: By objective, how many rows its mean is over.
        """
        self._window.append((step, lr, losses, rows))

    def read(self, phase: str) -> list[StepRecord]:
        """Read the window and empty it.

        Raises:
            NonFinite: A loss is NaN or infinite; names the first step, and the first objective in it.
        """
        window, self._window = self._window, []
        if not window:
            return []
        flat = torch.stack([loss for _, _, losses, _ in window for loss in losses.values()]).detach()
        values = iter(flat.double().tolist())
        records = []
        for step, lr, losses, rows in window:
            record = {name: next(values) for name in losses}
            for name, value in record.items():
                if not math.isfinite(value):
                    raise NonFinite(step, name)
                count = float(rows[name])
                self._sums[name] = self._sums.get(name, 0.0) + value * count
                self._rows[name] = self._rows.get(name, 0.0) + count
            records.append(StepRecord(phase=phase, step=step, losses=record, lr=lr))
        return records

    def end_epoch(self) -> dict[str, float]:
        """Means over the epoch's rows, by objective; the next epoch starts at nothing."""
        means = {name: total / self._rows[name] if self._rows[name] else 0.0 for name, total in self._sums.items()}
        self._sums, self._rows = {}, {}
        return means

    def state_dict(self) -> dict[str, Any]:
        """The running sums; the window must have been read."""
        return {"sums": dict(self._sums), "rows": dict(self._rows)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._window, self._sums, self._rows = [], dict(state["sums"]), dict(state["rows"])
