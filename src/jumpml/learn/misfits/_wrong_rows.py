"""Batches of fewer rows, or of more, than something can do with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import Problem
from jumpml.learn.misfits._wrong_objectives import place_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jumpml.data import DataLoaders
    from jumpml.graph import Model
    from jumpml.learn._phase import Phase


def long_batches(model: Model, loaders: DataLoaders, phases: Mapping[str, Phase]) -> Iterator[Problem]:
    """Objectives that keep earlier rows, and not enough for a batch."""
    active = {active for name, phase in phases.items() if phase.epochs for active in model.active(name)}
    for name in model.objectives:
        most = getattr(model.objectives[name], "most_rows", None)
        if name in active and most is not None and min(loaders.batch_size, len(loaders.train.rows)) > most:
            text = f"its queue has place for {most} rows of a batch, and batch_size is {loaders.batch_size}."
            yield Problem(place_of(model, name, "queue"), text, f"Give it {2 * loaders.batch_size} or more.")


def lone_rows(model: Model, loaders: DataLoaders, phases: Mapping[str, Phase]) -> list[Problem]:
    """A batch of one row where something needs two: of one row there is no variance."""
    size = loaders.batch_size
    by_rows: dict[int, dict[str, None]] = {}
    for name, phase in phases.items():
        if phase.epochs:
            rows = loaders.train.count(phase.data) if phase.data else len(loaders.train.rows)
            by_rows.setdefault(rows, {}).update(dict.fromkeys(needs_two(model, name, phase)))
    return [lone for rows, needing in by_rows.items() if needing for lone in _lone_row(rows, size, [*needing])]


def _lone_row(rows: int, size: int, needing: Sequence[str]) -> list[Problem]:
    if 1 not in {size, rows % size}:
        return []
    what = "every batch has" if 1 in {size, rows} else f"{rows:,} train rows in batches of {size} leave a last batch of"
    text = f"{what} one row, and {' and '.join(needing)} need{'s' if len(needing) == 1 else ''} two."
    other = _other_size(rows, size)
    fix = f"Take another batch_size, such as {other}." if other else "Give the train split more rows."
    return [Problem(("batch_size",), text, fix)]


def needs_two(model: Model, name: str, phase: Phase, only: Sequence[str] | None = None) -> Iterator[str]:
    """What needs two rows in a phase: losses of a whole batch, and batch normalization that trains.

    Args:
        model: The model.
        name: The phase's name.
        phase: The phase.
        only: The objectives that run; all that are active where None.
    """
    selected = {*model.select(phase.train)} - {*model.select(phase.freeze)}
    trained = {model.node_of(name) for name in selected}
    for active in model.active(name) if only is None else only:
        objective = model.objectives[active]
        if objective.inputs and not objective.per_example:
            yield f"objective {active!r} ({type(objective).__name__})"
        for node in sorted(model.behind(objective.inputs) & trained & model.need_two_rows):
            yield f"batch normalization in node {node!r}"


def _other_size(rows: int, size: int) -> int | None:
    """The nearest batch size that leaves no single row over; None where there is but one row."""
    near = (other for step in range(1, rows) for other in (size - step, size + step))
    return next((other for other in near if other > 1 and rows % other != 1), None)
