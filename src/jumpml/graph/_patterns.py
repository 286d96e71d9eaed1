"""Patterns of node names: ``all``, ``encoder``, ``enc*``, ``upto:encoder``."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from jumpml.core import GraphError, Problem, did_you_mean
from jumpml.graph._names import Names, prefixes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jumpml.graph._wiring import Wiring


def matching(patterns: Iterable[str], wiring: Wiring) -> tuple[str, ...]:
    """The nodes that any of the patterns names, in the graph's order.

    Raises:
        GraphError: A pattern names no node.
    """
    if isinstance(patterns, str):
        raise GraphError(f"expected a list of node patterns, got the text {patterns!r}. Write [{patterns!r}].")
    chosen: set[str] = set()
    for pattern in patterns:
        chosen |= _match(pattern, wiring)
    return tuple(unit for name in wiring.order for unit in wiring.names.units(name) if unit in chosen)


def pattern_problems(patterns: Mapping[str, Iterable[str]], wiring: Wiring) -> list[Problem]:
    """Objectives on the parameters of nodes that do not exist.

    Args:
        patterns: By objective, its patterns.
        wiring: The graph's edges.
    """
    problems = []
    for name, wanted in patterns.items():
        try:
            matching(wanted, wiring)
        except GraphError as error:
            problems.append(Problem(("objectives", name, "parameters"), str(error)))
    return problems


def _match(pattern: str, wiring: Wiring) -> set[str]:
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
        ends = names.members(name) or (name,)
        reached = {*ends}.union(*(wiring.ancestors[node] for node in ends))
        return {unit for node in reached if node in names for unit in names.units(node)}
    found = {unit for unit in units if _fits(unit, pattern, names)}
    if found:
        return found
    near = did_you_mean(name if colon and upto == "upto" else pattern, units)
    raise GraphError(f"the pattern {pattern!r} names no node. {near}".rstrip())


def _fits(unit: str, pattern: str, names: Names) -> bool:
    """Whether a pattern fits a node's name, or that of an inner module or of one that it is in."""
    return any(fnmatchcase(name, pattern) for name in (prefixes(unit) if unit in names.inner else [unit]))
