"""Patterns of node names: ``all``, ``encoder``, ``enc*``, ``upto:encoder``, ``only:task``."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from jumpml.core import GraphError, Problem, did_you_mean
from jumpml.graph._names import Names, prefixes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from jumpml.graph._wiring import Wiring


def matching(patterns: Iterable[str], wiring: Wiring, outputs: Mapping[str, str]) -> tuple[str, ...]:
    """The nodes that any of the patterns names, in the graph's order.

    Args:
        patterns: The patterns.
        wiring: The graph's edges.
        outputs: By task, its output.

    Raises:
        GraphError: A pattern names no node.
    """
    if isinstance(patterns, str):
        raise GraphError(f"expected a list of node patterns, got the text {patterns!r}. Write [{patterns!r}].")
    chosen: set[str] = set()
    for pattern in patterns:
        chosen |= _match(pattern, wiring, outputs)
    return tuple(unit for name in wiring.order for unit in wiring.names.units(name) if unit in chosen)


def own_nodes(tasks: Collection[str], wiring: Wiring, outputs: Mapping[str, str]) -> set[str]:
    """The nodes that some tasks read, directly or through others, and no other task does.

    Args:
        tasks: The tasks.
        wiring: The graph's edges.
        outputs: By task, its output.
    """
    read = {name: _reached({wiring.names.split(output)[0]}, wiring) for name, output in outputs.items()}
    own = set[str]().union(*(read[name] for name in tasks))
    return own.difference(*(nodes for name, nodes in read.items() if name not in tasks))


def pattern_problems(
    patterns: Mapping[str, Iterable[str]], wiring: Wiring, outputs: Mapping[str, str]
) -> list[Problem]:
    """Objectives on the parameters of nodes that do not exist.

    Args:
        patterns: By objective, its patterns.
        wiring: The graph's edges.
        outputs: By task, its output.
    """
    problems = []
    for name, wanted in patterns.items():
        try:
            matching(wanted, wiring, outputs)
        except GraphError as error:
            problems.append(Problem(("objectives", name, "parameters"), str(error)))
    return problems


def _match(pattern: str, wiring: Wiring, outputs: Mapping[str, str]) -> set[str]:
    names, graphs = wiring.names, wiring.names.graphs
    units = {unit for node in wiring.order for unit in names.units(node)}
    if pattern in names:
        return {*names.units(pattern)}
    if pattern in graphs:
        return {*names.members(pattern)}
    if pattern == "all":
        return units
    upto, colon, name = pattern.partition(":")
    if colon and upto == "upto" and (name in names or name in graphs):
        return {unit for node in _reached(names.members(name) or (name,), wiring) for unit in names.units(node)}
    if colon and upto == "only":
        return _only(name, wiring, outputs)
    found = {unit for unit in units if _fits(unit, pattern, names)}
    if found:
        return found
    near = did_you_mean(name if colon and upto == "upto" else pattern, units)
    raise GraphError(f"the pattern {pattern!r} names no node. {near}".rstrip())


def _reached(ends: Iterable[str], wiring: Wiring) -> set[str]:
    """Some nodes, and all that they read."""
    ends = {*ends}
    return {node for node in ends.union(*(wiring.ancestors[node] for node in ends)) if node in wiring.names}


def _only(task: str, wiring: Wiring, outputs: Mapping[str, str]) -> set[str]:
    """A task's own nodes, which there must be."""
    if task not in outputs:
        near = did_you_mean(task, outputs) if outputs else "There is no task."
        raise GraphError(f"the pattern 'only:{task}' names no task. {near}")
    own = own_nodes([task], wiring, outputs)
    if not own:
        raise GraphError(f"the pattern 'only:{task}' names no node: other tasks read all that task {task!r} reads.")
    return {unit for node in own for unit in wiring.names.units(node)}


def _fits(unit: str, pattern: str, names: Names) -> bool:
    """Whether a pattern fits a node's name, or that of an inner module or of one that it is in."""
    return any(fnmatchcase(name, pattern) for name in (prefixes(unit) if unit in names.inner else [unit]))
