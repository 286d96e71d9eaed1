"""Requests for named values to programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.graph._program import Program, Request, Step, key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from torch import nn

    from jumpml.graph._brought import Brought
    from jumpml.graph._wiring import Wiring


class Compiler:
    """Turns requests for values into a program.

    A *draw* is one of the views that a batch holds: ``strong.0``. A node on a draw is computed from its inputs on that
    draw; what does not depend on any field that the draw touches is computed once for all.

    Args:
        wiring: The graph's edges.
        parts: By ``node.part``, the index or key that picks it; by ``node.loss``, a loss that a module brings.
        modules: The model's own table of modules.
        attributes: By node, its key in that table.
        no_gradient: Nodes that may run without gradient, where all that they read may too.
        available: The batch's keys.
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
    ) -> None:
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

    def draws_of_node(self, name: str, requests: Iterable[Request]) -> list[str | None]:
        """The draws on which a node runs for the sake of requests."""
        return [draw for node, draw in self._calls(self._reached(requests)) if node == name]

    @property
    def holds(self) -> str:
        """The batch's keys, for an error."""
        return ", ".join(sorted(self._available)) or "nothing"

    def present(self, references: Iterable[str]) -> list[Request]:
        """The requests for the rows in which fields are there, for those fields that can be missing."""
        return [(f"{reference}.present", None) for reference in references if f"{reference}.present" in self._available]

    def missing(self, requests: Iterable[Request]) -> list[str]:
        """The batch's keys that the requests need and that are not available."""
        return [
            key(request) for request in self._fields(self._reached(requests)) if key(request) not in self._available
        ]

    def compile(self, requests: Iterable[Request]) -> Program:
        """A program that computes what is requested, each value once, and no more."""
        reached = self._reached(requests)
        fields = self._fields(reached)
        slots = {request: position for position, request in enumerate(fields)}
        steps: dict[bool, list[Step]] = {True: [], False: []}
        for name, draw in self._calls(reached):
            wanted = [reference for reference, at in reached if at == draw and self._split(reference)[0] == name]
            parts = [reference for reference in wanted if self._split(reference)[1] is not None]
            reads = tuple(slots[self.drawn(reference, draw)] for reference in self._wiring.reads[name])
            output = len(set(slots.values()))
            # a nested graph stands for its last node's output
            slots |= {(reference, draw): output for reference in {name, *wanted}.difference(parts)}
            slots |= {(reference, draw): position for position, reference in enumerate(parts, start=output + 1)}
            picked = tuple((slots[reference, draw], self._parts[reference]) for reference in parts)
            step = Step(name, self._attributes[name], reads, self._wiring.arguments[name], output, picked)
            steps[name in self._frozen].append(step)
        names = tuple(map(key, fields))
        return Program(
            modules=self._modules, fields=names, frozen=tuple(steps[True]), live=tuple(steps[False]), slots=slots
        )

    def _reached(self, requests: Iterable[Request]) -> dict[Request, None]:
        """The requests and all that they depend on; a dict, for its order."""
        reached: dict[Request, None] = {}
        left = list(requests)[::-1]
        while left:
            request = left.pop()
            if request not in reached:
                reached[request] = None
                reference, draw = request
                left += [
                    self.drawn(read, draw) for read in reversed(self._wiring.reads.get(self._split(reference)[0], ()))
                ]
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
