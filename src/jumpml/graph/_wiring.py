"""Who reads whom: names, order, ancestors. Knows nothing of modules or shapes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jumpml.core import MASK, PRESENT, Problem, did_you_mean, field_of
from jumpml.graph._names import Names
from jumpml.graph._node import OPTIONAL, Inputs, optional, references

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True)
class Wiring:
    """The graph's edges, checked and sorted.

    Attributes:
        reads: By node, the references that it reads, in the order of its arguments.
        arguments: By node, the names of those arguments, or None where they are positional.
        order: The nodes, each after all that it reads, otherwise as they were given.
        ancestors: By node, every input and node that it reads, transitively.
        optional: By node, those of its references that it reads as None where the batch does not have them.
        needs: By node, the fields without which it computes nothing, directly or through others.
        names: What references stand for.
    """

    reads: Mapping[str, tuple[str, ...]]
    arguments: Mapping[str, tuple[str, ...] | None]
    order: tuple[str, ...]
    ancestors: Mapping[str, frozenset[str]]
    optional: Mapping[str, frozenset[str]]
    needs: Mapping[str, frozenset[str]]
    names: Names

    @classmethod
    def of(cls, nodes: Mapping[str, Inputs], names: Names | None = None) -> Self:
        """Sort a graph that has no problems."""
        reads = {name: tuple(reference for _, reference in references(inputs)) for name, inputs in nodes.items()}
        arguments = {name: tuple(inputs) if isinstance(inputs, Mapping) else None for name, inputs in nodes.items()}
        names = names or Names(nodes)
        order, _ = _sort({name: names.sources(read) for name, read in reads.items()})
        may_lack = {name: optional(inputs) for name, inputs in nodes.items()}
        ancestors: dict[str, frozenset[str]] = {}
        needs: dict[str, frozenset[str]] = {}
        for name in order:
            direct = names.sources(reads[name]) | {read for read in reads[name] if names.split(read)[0] not in names}
            ancestors[name] = direct.union(*(ancestors.get(source, frozenset()) for source in direct))
            needed = [(read, names.split(read)[0]) for read in reads[name] if read not in may_lack[name]]
            needs[name] = frozenset[str]().union(*(needs.get(source, _fields(read)) for read, source in needed))
        return cls(reads, arguments, order, ancestors, may_lack, needs, names)

    @property
    def may_lack(self) -> tuple[str, ...]:
        """The fields that a batch may do without: some node reads them, or what is computed of them, as optional."""
        found: list[str] = []
        for reference in dict.fromkeys(name for names in self.optional.values() for name in sorted(names)):
            node, _ = self.names.split(reference)
            found += [reference] if node not in self.names else self.ancestors[node] - self.reads.keys()
        return tuple(dict.fromkeys(found))

    def written(self, node: str) -> Inputs:
        """What a node reads, as it was given."""
        optional = self.optional[node]
        reads = tuple(name + OPTIONAL if name in optional else name for name in self.reads[node])
        arguments = self.arguments[node]
        return reads if arguments is None else dict(zip(arguments, reads, strict=True))


def _fields(reference: str) -> frozenset[str]:
    # every row tells whether it has a value
    return frozenset() if reference.endswith(PRESENT) else frozenset([field_of(reference)])


def wiring_problems(
    inputs: Collection[str], nodes: Mapping[str, Inputs], fields: Collection[str], names: Names
) -> list[Problem]:
    """Names that stand twice, names that nothing bears, and circles.

    Args:
        inputs: The fields that a node may read.
        nodes: By node, what it reads.
        fields: The fields of the data, where it is known: they explain an unknown name.
        names: What references stand for.
    """
    problems = namesakes(nodes, inputs, "an input") + namesakes(nodes, {*fields} - {*inputs}, "a field of the data")
    for name, node_inputs in nodes.items():
        if not references(node_inputs):
            problems.append(Problem(("nodes", name, "inputs"), "reads nothing; a node must read a field or a node."))
        for key, reference in references(node_inputs):
            if reference in optional(node_inputs) and names.split(reference)[0] not in names:
                continue  # a field, which may be nowhere
            problems += unknown_source(("nodes", name, "inputs", *key), reference, names, inputs, fields)
    return problems or _circles(nodes, names)


def namesakes(nodes: Collection[str], others: Collection[str], what: str) -> list[Problem]:
    """Nodes that have a field's name, so that an objective could not tell its target from what was predicted."""
    return [
        Problem(("nodes", name), f"{what} has this name too.", "Fields and nodes share one set of names: rename one.")
        for name in nodes
        if name in others
    ]


def unknown_source(
    path: tuple[str | int, ...],
    reference: str,
    names: Names,
    inputs: Collection[str],
    fields: Collection[str],
) -> list[Problem]:
    """Say that a reference leads nowhere, if it does."""
    name, part = names.split(reference)
    if reference in inputs or name in names or (name in inputs and part is None):
        return []
    text, fix = names.problem(reference)
    if text:
        return [Problem(path, f"reads {reference!r}, which {text}", fix)]
    if part is not None and (name in inputs or name in fields):
        if part == MASK[1:]:
            fix = "Only a text has a mask; where no data is given, say its shape under inputs."
            return [Problem(path, f"reads {reference!r}, which is no input of the model.", fix)]
        if part == PRESENT[1:]:
            fix = "Where no data is given, say under inputs that it is bool: {shape: [], dtype: bool}."
            return [Problem(path, f"reads {reference!r}, which is no input of the model.", fix)]
        fix = f"Only a node's output has parts; read {name!r} or, of a text, '{name}{MASK}'."
        return [Problem(path, f"reads {reference!r}, but {name!r} is a field.", fix)]
    if name in fields:
        fix = "The data has this field: add its shape under inputs, or leave inputs out."
        return [Problem(path, f"reads {name!r}, which is no input of the model.", fix)]
    text = f"reads {name!r}, which is neither a field nor a node."
    near = did_you_mean(name, [*inputs, *names, *fields])
    if not inputs and not fields and not near.startswith("Did"):
        near = "No fields are known: give their shapes under inputs, or give the data."
    return [Problem(path, text, near)]


def _circles(nodes: Mapping[str, Inputs], names: Names) -> list[Problem]:
    reads = {node: names.sources(reference for _, reference in references(inputs)) for node, inputs in nodes.items()}
    _, left = _sort(reads)
    if not left:
        return []
    # Every node that is left reads another that is left, so walking back must come round.
    path = [next(iter(left))]
    while path[-1] not in path[:-1]:
        path.append(next(source for source in sorted(left[path[-1]]) if source in left))
    circle = path[path.index(path[-1]) :]
    text = f"its output depends on itself: {' reads '.join(circle)}."
    return [Problem(("nodes", circle[0], "inputs"), text, "Nodes must form a graph without circles.")]


def _sort(reads: Mapping[str, frozenset[str]]) -> tuple[tuple[str, ...], dict[str, frozenset[str]]]:
    """The nodes in order, and those that no order exists for."""
    left, order = dict(reads), []
    while (ready := next((name for name, read in left.items() if not read & left.keys()), None)) is not None:
        del left[ready]
        order.append(ready)
    return tuple(order), left
