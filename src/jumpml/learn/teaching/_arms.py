"""The arms of a phase: each with the rows that it serves and the objectives that run on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import product
from typing import TYPE_CHECKING, final

import torch

from jumpml.core import LearnerError, Problem, refusal
from jumpml.curriculum import Arm
from jumpml.learn.teaching._axes import ARMS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from jumpml.data import DataLoaders, Order
    from jumpml.graph import Model
    from jumpml.learn.teaching._axes import Axis, Part


@final
@dataclass(frozen=True, kw_only=True)
class TaughtArm:
    """What can be learned from next.

    Attributes:
        facts: What the teacher knows of it.
        order: Its rows, drawn as the data file says.
        share: The share of a batch that is of them.
        company: What the other rows are drawn from; None where there are none.
        runs: The objectives that run; all that are active where None.
        own: Those whose losses its reward is made of.
        draws: The draws of views that they ask for; all that the phase asks for where None.
        view: What augments the plain fields; see `jumpml.data.Round`.
    """

    facts: Arm
    order: Order
    share: float
    company: Order | None
    runs: tuple[str, ...] | None
    own: tuple[str, ...]
    draws: tuple[str, ...] | None
    view: str | None


def find_arms(
    axes: Sequence[Axis],
    model: Model,
    loaders: DataLoaders,
    phase: str,
    data: Sequence[str],
    *,
    active: Collection[str] | None = None,
) -> list[TaughtArm]:
    """All arms of a phase: of several axes each combination that has rows.

    Args:
        axes: What they differ in.
        model: The model.
        loaders: The data.
        phase: The phase.
        data: The data sets that it is told to draw from; all where empty.
        active: The objectives that are learned; those of the phase where None.

    Raises:
        LearnerError: An arm of an axis has no rows.
        DataError: The data's order cannot draw from some rows alone.
    """
    whole = loaders.train.drawing(data)
    learned = frozenset(model.active(phase) if active is None else active)
    by_axis = [axis.parts(model, loaders, phase, whole.datasets) for axis in axes]
    told = frozenset[str]().union(*(axis.of(model, phase) for axis in axes))
    arms, seen = [], [set[str]() for _ in axes]
    for names in product(*by_axis):
        parts = [own[name] for own, name in zip(by_axis, names, strict=True)]
        mine = _mine(parts)
        if mine and not mine & learned:  # a task that is over
            for place, name in enumerate(names):
                seen[place].add(name)
            continue
        order = None if mine is not None and not mine else _order(whole, parts)
        if order is None:
            continue
        for place, name in enumerate(names):
            seen[place].add(name)
        coordinates = tuple([*own].index(name) for own, name in zip(by_axis, names, strict=True))
        rows = sum(order.epoch(0, 0, loaders.batch_size).sizes)
        facts = Arm("/".join(names), rows, coordinates if len(axes) > 1 else ())
        view = next((part.view for part in parts if part.view is not None), None)
        runs, own, draws = _objectives(mine, told, model, phase, learned)
        share = min(part.share for part in parts)
        company = _order(whole, [part for part in parts if part.share == 1]) if share < 1 else None
        arms.append(
            TaughtArm(
                facts=facts, order=order, share=share, company=company, runs=runs, own=own, draws=draws, view=view
            )
        )
    empty = [name for own, found in zip(by_axis, seen, strict=True) for name in own if name not in found]
    if empty:
        text = f"arm {empty[0]!r} has no train rows in phase {phase!r}."
        raise refusal(LearnerError, [Problem(ARMS, text, "Give it rows, or choose from other arms.")])
    return arms


def _order(whole: Order, parts: Sequence[Part]) -> Order | None:
    """The data file's order, of rows alone that are of all parts."""
    datasets = [part.dataset for part in parts if part.dataset is not None]
    masks = [part.mask for part in parts if part.mask is not None]
    order: Order | None = whole.only(datasets) if datasets else whole
    return order.within(reduce(torch.logical_and, masks)) if masks else order


def _mine(parts: Sequence[Part]) -> frozenset[str] | None:
    """The objectives of the axes that an arm has; None where no axis is of objectives."""
    chosen = [part.objectives for part in parts if part.objectives is not None]
    return frozenset.intersection(*chosen) if chosen else None


def _objectives(
    mine: frozenset[str] | None, told: frozenset[str], model: Model, phase: str, learned: frozenset[str]
) -> tuple[tuple[str, ...] | None, tuple[str, ...], tuple[str, ...] | None]:
    """Those that run on an arm, those that are its own, and the draws of views that they ask for."""
    active = [name for name in model.active(phase) if name in learned]
    if mine is None:
        return None, tuple(name for name in active if model.objectives[name].inputs), None
    runs = model.active(phase, [name for name in active if name in mine or name not in told])
    return runs, tuple(name for name in runs if name in mine), model.draws(phase, runs)
