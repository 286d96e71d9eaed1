"""A model file and the files that it nests as one flat graph, which remembers what each file said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from jumpml.core import (
    DATA_ENDINGS,
    JumpMLError,
    ModelSpec,
    Problem,
    SpecError,
    did_you_mean,
    field_of,
    join_errors,
    load_spec,
)
from jumpml.graph._names import Names
from jumpml.graph._node import Inputs, Key, references, renamed
from jumpml.graph._wiring import unknown_source

if TYPE_CHECKING:
    from jumpml.core import NodeSpec

Place = tuple[ModelSpec, tuple[str | int, ...]]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One node of the flat graph.

    Attributes:
        spec: The file that says it.
        key: Its name there.
        node: What the file says.
        inputs: What it reads, by the names of the flat graph.
        owner: The node whose module it shares; None where it has one of its own.
        places: By input that the file took from outside, where that was said.
    """

    spec: ModelSpec
    key: str
    node: NodeSpec
    inputs: Inputs
    owner: str | None = None
    places: Mapping[Key, Place] = field(default_factory=dict)


Parts = dict[str, Part]


def flatten(spec: ModelSpec) -> Parts:
    """All nodes of a file; those of a nested graph are ``graph.node``.

    Raises:
        SpecError: A nested file is missing or wrong, or nests itself; a node shares what there is not.
        JumpMLError: Several files are wrong.
    """
    own = (Path(spec.source).resolve(),) if spec.stem is not None else ()
    return _Level(spec, own).parts


def needed(parts: Parts, read: Iterable[str]) -> Parts:
    """The nodes that some references depend on, and whose modules those share.

    Args:
        parts: All nodes.
        read: The references.
    """
    names = Names({name: part.inputs for name, part in parts.items()})
    left, kept = [*names.sources(read)], set[str]()
    while left:
        name = left.pop()
        if name in parts and name not in kept:
            kept.add(name)
            part = parts[name]
            left += names.sources(reference for _, reference in references(part.inputs))
            left += [part.owner] if part.owner else []
    return {name: part for name, part in parts.items() if name in kept}


def place(spec: ModelSpec, parts: Mapping[str, Part], problem: Problem) -> SpecError:
    """A problem of the flat graph with the line of the file that says it.

    Args:
        spec: The outermost file.
        parts: Its nodes.
        problem: What is wrong.
    """
    path: tuple[str | int, ...] = problem.path
    if path[0] == "nodes" and path[1:] and (part := parts.get(str(path[1]))):
        bound = part.places.get(path[3:]) if path[2:3] == ("inputs",) else None
        spec, path = bound or (part.spec, ("nodes", part.key, *path[2:]))
    return SpecError(spec.source, [spec.mistake(path, problem.text, problem.fix)])


class _Level:
    """One file's nodes with those of the graphs that it nests, by this file's names."""

    def __init__(self, spec: ModelSpec, files: tuple[Path, ...]) -> None:
        self._spec, self._files = spec, files
        self._nested: dict[str, Parts] = {}
        self._errors: list[JumpMLError] = []
        self.parts: Parts = {}
        for name, node in spec.nodes.items():
            if node.graph is not None:
                self._nest(name, node)
            elif node.shares is None:
                self.parts[name] = Part(spec=spec, key=name, node=node, inputs=node.inputs)
        for name, node in spec.nodes.items():
            if node.shares is not None:
                self._share(name, node)
        if self._errors:
            raise join_errors(self._errors)
        order = {name: place for place, name in enumerate(spec.nodes)}
        self.parts = dict(sorted(self.parts.items(), key=lambda item: order[item[0].partition(".")[0]]))

    def _refuse(self, path: tuple[str | int, ...], text: str, fix: str = "") -> None:
        self._errors.append(SpecError(self._spec.source, [self._spec.mistake(path, text, fix)]))

    def _nest(self, name: str, node: NodeSpec) -> None:
        place, told = ("nodes", name, "graph"), str(node.graph)
        path = self._spec.folder / told
        if path.suffix not in DATA_ENDINGS:
            return self._refuse(place, f"expected a file that ends in {', '.join(DATA_ENDINGS)}; got {told!r}.")
        if not path.is_file():
            beside = [other.name for other in path.parent.glob("*.model.*")]
            return self._refuse(place, f"there is no file {told!r} in this file's folder.", did_you_mean(told, beside))
        if path.resolve() in self._files:
            circle = self._files[self._files.index(path.resolve()) :]
            chain = " nests ".join(file.name for file in (*circle, path))
            return self._refuse(place, f"this graph holds itself: {chain}.", "A graph cannot be a node of itself.")
        try:
            spec = load_spec(ModelSpec, path)
            inner = _Level(spec, (*self._files, path.resolve())).parts
        except JumpMLError as error:
            self._errors.append(error)
            return None
        self._errors += _unlisted(spec, inner)
        self._nested[name] = inner
        return self._bind(name, node, inner, share=None)

    def _share(self, name: str, node: NodeSpec) -> None:
        chain = [name]
        target = str(node.shares)
        while target in self._spec.nodes and (further := self._spec.nodes[target].shares) is not None:
            chain.append(target)
            if further in chain:
                text = f"it has no module of its own to share: {' shares '.join([*chain, further])}."
                return self._refuse(("nodes", name, "shares"), text)
            target = further
        if target in self._nested:
            return self._bind(name, node, self._nested[target], share=target)
        if target not in self.parts:
            if target not in self._spec.nodes:  # else it has been refused itself
                near = did_you_mean(target, {*self.parts, *self._nested} - {name})
                self._refuse(("nodes", name, "shares"), f"there is no node {target!r}.", near)
            return None
        owner = self.parts[target].owner or target
        self.parts[name] = Part(spec=self._spec, key=name, node=node, inputs=node.inputs, owner=owner)
        return None

    def _bind(self, name: str, node: NodeSpec, inner: Parts, share: str | None) -> None:
        """Take a graph's nodes over, with what its inputs are bound to; with `share` on the modules of another."""
        names = Names({key: part.inputs for key, part in inner.items()})
        read = [reference for part in inner.values() for _, reference in references(part.inputs)]
        free = sorted({field_of(reference) for reference in read if not _inside(reference, names)})
        bound = self._bindings(name, node, free)

        def rename(reference: str) -> str:
            if _inside(reference, names):
                return f"{name}.{reference}"
            field = field_of(reference)
            return bound.get(field, field) + reference.removeprefix(field)

        for key, part in inner.items():
            owner = f"{share}.{part.owner or key}" if share else part.owner and f"{name}.{part.owner}"
            outside = [(spot, field_of(read)) for spot, read in references(part.inputs) if not _inside(read, names)]
            places = {spot: (self._spec, _said(name, node, field)) for spot, field in outside if field in bound}
            self.parts[f"{name}.{key}"] = replace(
                part, inputs=renamed(part.inputs, rename), owner=owner, places={**part.places, **places}
            )

    def _bindings(self, name: str, node: NodeSpec, free: list[str]) -> dict[str, str]:
        path, what = ("nodes", name, "inputs"), f"the graph {(node.graph or node.shares)!r}"
        if isinstance(node.inputs, Mapping):
            for key in node.inputs:
                if key not in free:
                    self._refuse((*path, key), f"{what} reads no {key!r} from outside.", did_you_mean(key, free))
            return dict(node.inputs)
        if not isinstance(node.inputs, str):
            if node.inputs:
                self._refuse(path, "a graph's inputs have names.", "Write inputs: {its name: the name here}.")
            return {}
        if len(free) != 1:
            fix = "Say which is which, as in inputs: {its name: the name here}."
            self._refuse(path, f"{what} reads {', '.join(free) or 'nothing'} from outside.", fix)
        return dict.fromkeys(free, node.inputs)


def _unlisted(spec: ModelSpec, parts: Parts) -> list[JumpMLError]:
    """What a file reads that is neither a node nor among its inputs, where it lists these."""
    names = Names({key: part.inputs for key, part in parts.items()})
    return [
        place(spec, parts, problem)
        for key, part in parts.items()
        for spot, reference in references(part.inputs)
        if spec.inputs and part.spec is spec
        for problem in unknown_source(("nodes", key, "inputs", *spot), reference, names, spec.inputs, ())
    ]


def _inside(reference: str, names: Names) -> bool:
    name, _ = names.split(reference)
    return name in names or name in names.graphs or bool(names.problem(reference)[0])


def _said(name: str, node: NodeSpec, field: str) -> tuple[str | int, ...]:
    """Where a file says what a graph's input is bound to."""
    if isinstance(node.inputs, Mapping) and field in node.inputs:
        return ("nodes", name, "inputs", field)
    return ("nodes", name, "inputs")
