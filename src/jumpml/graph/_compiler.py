"""Requests for named values to programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from jumpml.core import COVERED, PRESENT, TOLD, GraphError
from jumpml.graph._inner import Tap, find_inner
from jumpml.graph._program import NOTHING, Program, Request, Step, key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from torch import nn

    from jumpml.graph._brought import Brought
    from jumpml.graph._wiring import Wiring


class Compiler:
    """Turns requests for values into a program.

    A *draw* is one of the views that a batch holds: ``strong.0``. A node on a draw is computed from its inputs on that
    draw; what does not depend on any field that the draw touches is computed once for all.

    Where a batch says which rows' data set has a field (``<field>.covered``), a node that needs the field runs for
    those rows alone. What a node reads as optional is None where the batch's keys do not suffice for it.

    Args:
        wiring: The graph's edges.
        parts: By ``node.part``, the index or key that picks it; by ``node.loss``, a loss that a module brings.
        modules: The model's own table of modules.
        attributes: By node, its key in that table.
        no_gradient: Nodes that may run without gradient, where all that they read may too.
        available: The batch's keys.
        need_two_rows: Nodes that cannot train on a single row.
    """

    def __init__(
        self,
        *,
        wiring: Wiring,
        parts: Mapping[str, int | str | Brought],
        modules: Mapping[str, nn.Module | None],
        attributes: Mapping[str, str],
        no_gradient: Collection[str],
        available: Collection[str],
        need_two_rows: Collection[str] = (),
    ) -> None:
        self._two = frozenset(need_two_rows)
        self._split = wiring.names.split
        self._wiring, self._parts, self._modules, self._attributes = wiring, parts, modules, attributes
        nodes = wiring.reads.keys()
        self._frozen = {name for name in no_gradient if wiring.ancestors[name] & nodes <= set(no_gradient)}
        self._available = frozenset(available)

    def drawn(self, reference: str, draw: str | None) -> Request:
        """The request for a value on a draw: the plain value where the draw touches nothing that it depends on."""
        name, _ = self._split(reference)
        origins = self._wiring.ancestors.get(name, (name,))
        touched = draw is not None and any(f"{origin}@{draw}" in self._available for origin in origins)
        return reference, draw if touched else None

    def is_field(self, reference: str) -> bool:
        """Whether a value comes from no node."""
        return self._split(reference)[0] not in self._wiring.reads

    def draws_of_node(self, name: str, requests: Iterable[Request]) -> list[str | None]:
        """The draws on which a node runs for the sake of requests."""
        return [draw for node, draw in self._calls(self._reached(requests)) if node == name]

    def learns(self, requests: Iterable[Request]) -> bool:
        """Whether a node behind the requests may learn."""
        return any(node not in self._frozen for node, _ in self._calls(self._reached(requests)))

    @property
    def holds(self) -> str:
        """The batch's keys, for an error."""
        return ", ".join(sorted(self._available)) or "nothing"

    def present(self, references: Iterable[str]) -> list[Request]:
        """The requests for the rows that count.

        Fields that can be missing are there in them, and so is what nodes need of the row's data set; what a node reads
        may be missing otherwise.
        """
        keys: list[str] = []
        for reference in references:
            name, _ = self._split(reference)
            field = name if reference.endswith(TOLD) else reference
            keys += [field + PRESENT] if name not in self._wiring.reads else self._covers(name)
        return [(key, None) for key in dict.fromkeys(keys) if key in self._available]

    def _covers(self, node: str) -> list[str]:
        """The batch's keys that say in which rows a node has what it needs."""
        return [key for field in sorted(self._wiring.needs[node]) if (key := field + COVERED) in self._available]

    def _read(self, node: str, draw: str | None) -> list[Request | None]:
        """What a node reads, in order; None where it is optional and cannot be had."""
        requests = [self.drawn(reference, draw) for reference in self._wiring.reads[node]]
        optional = self._wiring.optional[node]
        return [None if request[0] in optional and self.missing([request]) else request for request in requests]

    def missing(self, requests: Iterable[Request]) -> list[str]:
        """The batch's keys that the requests need and that are not available."""
        return [
            key(request) for request in self._fields(self._reached(requests)) if key(request) not in self._available
        ]

    def compile(self, requests: Iterable[Request], traced: Collection[Request] = ()) -> Program:
        """A program that computes what is requested, each value once, and no more.

        Args:
            requests: The values.
            traced: Those among them that gradients are taken by: what depends on them runs with gradient.
        """
        origins = {self._split(reference)[0] for reference, _ in traced}
        frozen = {name for name in self._frozen if not origins & self._wiring.ancestors[name]}
        reached = self._reached(requests)
        fields = self._fields(reached)
        slots = {request: position for position, request in enumerate(fields)}
        steps: dict[bool, list[Step]] = {True: [], False: []}
        for name, draw in self._calls(reached):
            wanted = [reference for reference, at in reached if at == draw and self._split(reference)[0] == name]
            parts = [reference for reference in wanted if self._split(reference)[1] is not None]
            reads = tuple(NOTHING if read is None else slots[read] for read in self._read(name, draw))
            output = len(set(slots.values()))
            # a nested graph stands for its last node's output
            slots |= {(reference, draw): output for reference in {name, *wanted}.difference(parts)}
            slots |= {(reference, draw): position for position, reference in enumerate(parts, start=output + 1)}
            picked = tuple((slots[part, draw], self._parts[part]) for part in parts if part in self._parts)
            step = Step(
                name,
                self._attributes[name],
                reads,
                self._wiring.arguments[name],
                output,
                picked,
                inner=tuple((slots[part, draw], *self._tap(part)) for part in parts if part not in self._parts),
                covers=tuple(slots[key, None] for key in self._covers(name)),
                two=name in self._two,
            )
            steps[name in frozen].append(step)
        names = tuple(map(key, fields))
        return Program(
            modules=self._modules,
            fields=names,
            frozen=tuple(steps[True]),
            live=tuple(steps[False]),
            slots=slots,
            traced=frozenset(slots[request] for request in traced),
        )

    def _tap(self, reference: str) -> tuple[Tap, int | str | None]:
        """What notes the value of an inner module, and the part of it."""
        node, path = self._split(reference)
        module = cast("nn.Module", self._modules[self._attributes[node]])
        found = find_inner(module, str(path))
        if found is None:
            raise GraphError(f"node {node!r} has neither a part nor an inner module {path!r}.")
        return Tap.on(module, found.path), found.part

    def _reached(self, requests: Iterable[Request]) -> dict[Request, None]:
        """The requests and all that they depend on; a dict, for its order."""
        reached: dict[Request, None] = {}
        left = list(requests)[::-1]
        while left:
            request = left.pop()
            if request not in reached:
                reached[request] = None
                reference, draw = request
                node, _ = self._split(reference)
                if node in self._wiring.reads:
                    left += [(key, None) for key in self._covers(node)]
                    left += [read for read in reversed(self._read(node, draw)) if read is not None]
        return reached

    def _fields(self, reached: Iterable[Request]) -> list[Request]:
        return [request for request in reached if self._split(request[0])[0] not in self._wiring.reads]

    def _calls(self, reached: Iterable[Request]) -> list[Request]:
        """The nodes to call, on their draws: first those without gradient, then by the graph's order."""
        place = {name: position for position, name in enumerate(self._wiring.order)}
        calls = dict.fromkeys((self._split(reference)[0], draw) for reference, draw in reached)
        return sorted(
            (call for call in calls if call[0] in place), key=lambda call: (call[0] not in self._frozen, place[call[0]])
        )
