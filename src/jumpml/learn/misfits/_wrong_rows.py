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


def lone_rows(model: Model, loaders: DataLoaders, phases: Mapping[str, Phase], count: int = 1) -> list[Problem]:
    """A batch of one row where something needs two: of one row there is no variance; or one that cannot be shared out.

    Args:
        model: The model.
        loaders: The data.
        phases: By name; their patterns name nodes that there are.
        count: How many processes share each batch.
    """
    size = loaders.batch_size
    by_rows: dict[int, dict[str, None]] = {}
    for name, phase in phases.items():
        if phase.epochs and model.active(name):
            rows = loaders.train.count(phase.data) if phase.data else len(loaders.train.rows)
            by_rows.setdefault(rows, {}).update(dict.fromkeys(needs_two(model, name, phase)))
    return [lone for rows, needing in by_rows.items() for lone in _lone_row(rows, size, [*needing], count)]


def _lone_row(rows: int, size: int, needing: Sequence[str], count: int) -> list[Problem]:
    least = least_rows(needing, count)
    every, last = min(size, rows), rows % size
    if min(every, last or every) >= least:
        return []
    what, fewest = "every batch has", every
    if every >= least:
        what, fewest = f"{rows:,} train rows in batches of {size} leave a last batch of", last
    other = _other_size(rows, size, least)
    fix = f"Take another batch_size, such as {other}" if other else "Give the train split more rows"
    fewer = ", or start fewer processes" if count > 1 else ""
    return [Problem(("batch_size",), f"{what} {told_rows(fewest, needing, count)}", f"{fix}{fewer}.")]


def least_rows(needing: Sequence[str], count: int) -> int:
    """How many rows a batch must have.

    Args:
        needing: What needs two rows in each process, in words; see `needs_two`.
        count: How many processes share it.
    """
    return count * (2 if needing else 1)


def told_rows(rows: int, needing: Sequence[str], count: int) -> str:
    """In words that follow "a batch of": so many rows, and why they are too few."""
    told = "one row" if rows == 1 else f"{rows} rows"
    if rows < count:
        return f"{told}, too few for {count} processes."
    share = f"{told}, so that a process has one" if count > 1 else told
    return f"{share}, and {' and '.join(needing)} need{'s' if len(needing) == 1 else ''} two."


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


def _other_size(rows: int, size: int, least: int) -> int | None:
    """The nearest batch size of which no batch is too short; None where there are too few rows."""
    near = (other for step in range(1, rows) for other in (size - step, size + step))
    return next((other for other in near if other >= least and not 0 < rows % other < least), None)
