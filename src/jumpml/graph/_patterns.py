"""Patterns of node names: ``all``, ``encoder``, ``enc*``, ``upto:encoder``."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from jumpml.core import GraphError, Problem, did_you_mean

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
    return tuple(name for name in wiring.order if name in chosen)


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
    nodes, graphs = set(wiring.order), wiring.names.graphs
    if pattern in nodes:
        return {pattern}
    if pattern in graphs:
        return {*wiring.names.members(pattern)}
    if pattern == "all":
        return nodes
    upto, colon, name = pattern.partition(":")
    if colon and upto == "upto" and (name in nodes or name in graphs):
        upto_these = _match(name, wiring)
        return upto_these.union(*(wiring.ancestors[node] & nodes for node in upto_these))
    found = {name for name in nodes if fnmatchcase(name, pattern)}
    if found:
        return found
    near = did_you_mean(name if colon and upto == "upto" else pattern, nodes)
    raise GraphError(f"the pattern {pattern!r} names no node. {near}".rstrip())
