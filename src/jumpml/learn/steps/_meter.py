"""Losses of the steps since the log was last written, still on the device, and their running means over the epoch."""

from __future__ import annotations

import math
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import torch

from jumpml.learn.logs._logs import StepRecord
from jumpml.learn.processes._processes import ALONE
from jumpml.learn.steps._means import count_of, of_all
from jumpml.objectives import reduce_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from jumpml.core import Loss
    from jumpml.learn.processes._processes import Processes

    Part = tuple[Sequence[int], Mapping[str, Sequence[float]]]  # some steps' places, and their means by objective


NONE_MOVES: Mapping[str, float] = {}  # no MappingProxyType, which cannot be copied with the learner


class NonFinite(Exception):  # noqa: N818 (a signal within the package; the user sees NonFiniteLossError)
    """A loss is NaN or infinite; without an objective, the weights with which the step begins are."""

    def __init__(self, step: int, objective: str | None = None) -> None:
        super().__init__(step, objective)
        self.step = step
        self.objective = objective


class Meter:
    """Collects a step's losses without reading the device; reads them all at once when asked.

    Args:
        weights: By objective, what its mean is multiplied by in the total.
        processes: Those over whose rows the means are.

    Attributes:
        weights: The same, with those of objectives that have come since.
    """

    def __init__(self, weights: Mapping[str, float], processes: Processes = ALONE) -> None:
        self.weights, self._processes = dict(weights), processes
        self._window: list[tuple[int, Sequence[float], Mapping[str, Loss], int, Mapping[str, float]]] = []
        self._sums: dict[str, float] = {}
        self._rows: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._window)

    def take_in(self, weights: Mapping[str, float]) -> None:
        """Know of objectives that have come."""
        self.weights.update(weights)

    def add(
        self,
        step: int,
        rates: Sequence[float],
        losses: Mapping[str, Loss],
        size: int,
        weights: Mapping[str, float] = NONE_MOVES,
    ) -> None:
        """Note one step. Its means wait until they are read: many together cost less.

        Args:
            step: Its number.
            rates: The learning rates that it used, by the optimizer's groups.
            losses: By objective that ran, without a graph.
            size: Rows of the batch.
            weights: Those that move, as they were in this step.
        """
        self._window.append((step, rates, losses, size, weights))

    def read(self, phase: str, groups: Sequence[str] = ()) -> Iterator[StepRecord]:
        """Read the window and empty it.

        Args:
            phase: The phase's name.
            groups: What to call the optimizer's groups, where their rates are told.

        Returns:
            A record a step; made as they are asked for, since without a log nobody does.

        Raises:
            NonFinite: A loss is NaN or infinite; names the first step, and the first objective in it.
        """
        window, self._window = self._window, []
        if not window:
            return iter(())
        steps, rates, losses, sizes, weights = zip(*window, strict=True)
        parts, counted = [], []
        for places in _alike(losses):
            own, moved = [losses[place] for place in places], [weights[place] for place in places]
            means, counts = self._measured(own, [sizes[place] for place in places], moved)
            parts.append((places, means))
            counted.append(counts)
        _refuse_non_finite(steps, parts)
        for (_, means), counts in zip(parts, counted, strict=True):
            for name, values in means.items():
                self._add(name, values, counts[name])
        records = zip(steps, _by_step(parts), rates, weights, strict=True)
        return (
            StepRecord(phase, step, record, float(own[0]), moved, rates=_by_group(groups, own))
            for step, record, own, moved in records
        )

    def _measured(
        self, steps: Sequence[Mapping[str, Loss]], sizes: Sequence[int], weights: Sequence[Mapping[str, float]]
    ) -> tuple[dict[str, list[float]], dict[str, Sequence[float]]]:
        """By objective, the means of every step, and the rows that they are of; and of ``total``, the weighted sum."""
        means = {name: reduce_all([losses[name] for losses in steps]) for name in steps[0]}
        counts: dict[str, Sequence[float]] = {"total": sizes}
        if self._processes.alone:
            counts |= {name: _counts([losses[name] for losses in steps], sizes) for name in means}
        else:
            means, counts = self._of_all(means, steps, sizes)
        weighted = [
            mean * (mean.new_tensor([moved[name] for moved in weights]) if name in weights[0] else self.weights[name])
            for name, mean in means.items()
        ]
        means["total"] = sum(weighted[1:], start=weighted[0])
        return dict(zip(means, torch.stack([*means.values()]).tolist(), strict=True)), counts

    def _of_all(
        self, means: Mapping[str, Tensor], steps: Sequence[Mapping[str, Loss]], sizes: Sequence[int]
    ) -> tuple[dict[str, Tensor], dict[str, Sequence[float]]]:
        """The same of the rows of all processes."""
        own = torch.stack([*means.values()])
        rows = [[count_of(losses[name], size) for losses, size in zip(steps, sizes, strict=True)] for name in means]
        every = own.new_tensor(sizes)
        counts = torch.stack([every, *(torch.stack(of_one).to(own) for of_one in rows)])
        whole, counts = of_all(torch.cat([torch.zeros_like(every)[None], own]), counts, self._processes)
        told = counts.tolist()
        return dict(zip(means, whole[1:], strict=True)), dict(zip(("total", *means), told, strict=True))

    def _add(self, name: str, values: Sequence[float], counts: Sequence[float]) -> None:
        """Take some steps' means of an objective into the epoch's."""
        total = self._sums.get(name, 0.0)
        for value, count in zip(values, counts, strict=True):
            total += value * count
        self._sums[name] = total
        self._rows[name] = self._rows.get(name, 0.0) + sum(counts)

    def end_epoch(self) -> tuple[dict[str, float], dict[str, int]]:
        """Means over the epoch's rows, by objective, and how many these are; the next epoch starts at nothing."""
        means = {name: total / self._rows[name] if self._rows[name] else 0.0 for name, total in self._sums.items()}
        rows = {name: round(count) for name, count in self._rows.items() if name != "total"}
        self._sums, self._rows = {}, {}
        if "total" in means:  # behind all objectives, though some came late
            means["total"] = means.pop("total")
        return means, rows

    def state_dict(self) -> dict[str, Any]:
        """The running sums; the window must have been read."""
        return {"sums": dict(self._sums), "rows": dict(self._rows)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._window, self._sums, self._rows = [], dict(state["sums"]), dict(state["rows"])


def _counts(losses: Sequence[Loss], sizes: Sequence[int]) -> Sequence[float]:
    """The rows that each of an objective's means is of, read at once; `sizes` are those of the batches."""
    if all(loss.present is None for loss in losses):
        return sizes
    pairs = zip(losses, sizes, strict=True)
    device = losses[0].value.device
    return torch.stack(
        [torch.tensor(size, device=device) if present is None else present.sum() for (_, present), size in pairs]
    ).tolist()


def _by_group(groups: Sequence[str], rates: Sequence[float]) -> Mapping[str, float]:
    """By group, its learning rate; of groups with one name the first one's."""
    by_group: dict[str, float] = {}
    for name, rate in zip(groups, rates, strict=False):
        by_group.setdefault(name, float(rate))
    return by_group


def _alike(losses: Sequence[Mapping[str, Loss]]) -> list[Sequence[int]]:
    """Places of steps in which the same objectives ran: those of all, mostly."""
    if all(step.keys() == losses[0].keys() for step in losses):
        return [range(len(losses))]
    by_names: dict[frozenset[str], list[int]] = {}
    for place, step in enumerate(losses):
        by_names.setdefault(frozenset(step), []).append(place)
    return [*by_names.values()]


def _by_step(parts: Sequence[Part]) -> Iterator[dict[str, float]]:
    """By step in its order, the means of what ran."""
    made = [
        (place, dict(zip(means, values, strict=True)))
        for places, means in parts
        for place, values in zip(places, zip(*means.values(), strict=True), strict=True)
    ]
    return (means for _, means in sorted(made, key=itemgetter(0)))


def _refuse_non_finite(steps: Sequence[int], parts: Sequence[Part]) -> None:
    """Refuse a mean that is not finite.

    Raises:
        NonFinite: One is; names the first step, and the first objective in it: where one is not, no total is.
    """
    bad = [
        place
        for places, means in parts
        for place, total in zip(places, means["total"], strict=True)
        if not math.isfinite(total)
    ]
    if bad:
        first = min(bad)
        places, means = next(part for part in parts if first in part[0])
        own = [*places].index(first)
        raise NonFinite(steps[first], next(name for name, values in means.items() if not math.isfinite(values[own])))
