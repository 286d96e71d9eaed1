"""What references stand for: a node, a node of a nested graph, or a part of what one gives."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import final

from jumpml.core import did_you_mean
from jumpml.graph._node import Inputs, references

OWN = "@own"  # behind a wrapped module's name: its own parameters, that are in no module inside it


@final
class Names(Collection[str]):
    """The nodes' names. ``outer.inner`` is the node `inner` of the graph `outer`.

    Args:
        nodes: By node, what it reads.
        whole: A node whose inner modules are named without its name, as `Model.wrap` has it.
        inner: Their paths.

    Attributes:
        whole: As given.
        inner: As given.
        graphs: By nested graph, those of its nodes whose output nothing else in it reads.

    Example:
        >>> names = Names({"lstm": "x", "outer.body": "lstm.0", "outer.head": "outer.body"})
        >>> names.split("lstm.0"), names.split("outer.body.logits"), names.split("outer"), names.split("y")
        (('lstm', '0'), ('outer.body', 'logits'), ('outer.head', None), ('y', None))
    """

    def __init__(self, nodes: Mapping[str, Inputs], whole: str | None = None, inner: Collection[str] = ()) -> None:
        self.whole, self.inner = whole, dict.fromkeys(inner)
        self._nodes = dict.fromkeys(nodes)
        graphs = dict.fromkeys(group for node in nodes for group in prefixes(node)[1:])
        self.graphs: dict[str, tuple[str, ...]] = {}
        for graph in sorted(graphs, key=len, reverse=True):  # inner ones first
            self.graphs[graph] = self._outputs(graph, nodes)

    def _outputs(self, graph: str, nodes: Mapping[str, Inputs]) -> tuple[str, ...]:
        def child(name: str) -> str:
            return ".".join(name.split(".")[: graph.count(".") + 2])

        members = self.members(graph)
        edges = {(child(member), child(read)) for member in members for _, read in references(nodes[member])}
        read = {source for reader, source in edges if reader != source}
        ends = dict.fromkeys(child(member) for member in members if child(member) not in read)
        return tuple(node for end in ends for node in self.graphs.get(end, (end,)))

    def __contains__(self, name: object) -> bool:
        return name in self._nodes

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    def split(self, reference: str) -> tuple[str, str | None]:
        """A reference as the node, and the part of its output or the inner module, if any.

        A graph with one output stands for that. What is no node's comes as the name before the first dot.
        """
        for name in prefixes(reference):
            if name in self._nodes:
                return name, reference[len(name) + 1 :] or None
        if len(outputs := self.graphs.get(reference, ())) == 1:
            return outputs[0], None
        if any(name in self.graphs for name in prefixes(reference)):
            return reference, None
        if self.whole is not None:
            if any(name in self.inner for name in prefixes(reference)):
                return self.whole, reference
            if reference == self.whole + OWN:
                return self.whole, None
        name, _, part = reference.partition(".")
        return name, part or None

    def sources(self, reads: Iterable[str]) -> frozenset[str]:
        """The inputs and nodes behind references."""
        return frozenset(self.split(reference)[0] for reference in reads)

    def units(self, node: str) -> tuple[str, ...]:
        """What can train or be frozen of a node: all of it; of a wrapped module each inner one without its own."""
        return (node + OWN, *self.inner) if node == self.whole else (node,)

    def members(self, graph: str) -> tuple[str, ...]:
        """A nested graph's nodes."""
        return tuple(name for name in self._nodes if name.startswith(f"{graph}."))

    def problem(self, reference: str) -> tuple[str, str]:
        """Why a reference into a nested graph is no node, and what would be; nothing where it is no such reference."""
        graph = next((name for name in prefixes(reference) if name in self.graphs), None)
        if graph is None or self.split(reference)[0] in self._nodes:
            return "", ""
        if graph == reference:
            outputs = ", ".join(self.graphs[graph])
            return f"is a graph with {len(self.graphs[graph])} outputs.", f"Read one of its nodes: {outputs}."
        return f"is no node of the graph {graph!r}.", did_you_mean(reference, self.members(graph))


def prefixes(name: str) -> list[str]:
    """A dotted name and all that it begins with, the longest first.

    Example:
        >>> prefixes("a.b.c")
        ['a.b.c', 'a.b', 'a']
    """
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
