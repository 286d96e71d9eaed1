"""What a model is: its nodes, and what they read."""

from __future__ import annotations

from abc import ABC
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from jumpml.core import (
    POSITION,
    PRESENT,
    FieldInfo,
    GraphError,
    GraphRecord,
    Objective,
    Problem,
    Remembering,
    Task,
    ValueInfo,
    did_you_mean,
    nexts_of,
    told_of,
)
from jumpml.drawing import draw_graph
from jumpml.graph._brought import BroughtLoss
from jumpml.graph._checks import check_data, check_outputs, check_structure
from jumpml.graph._flops import count_flops
from jumpml.graph._inference import infer
from jumpml.graph._inferred import MORE_ROWS, ROWS
from jumpml.graph._inner import find_inner
from jumpml.graph._objectives import connect
from jumpml.graph._optional import check_optional
from jumpml.graph._patterns import matching, own_nodes
from jumpml.graph._problem import refuse
from jumpml.graph._summary import record, table, text
from jumpml.graph._unnested import unnested
from jumpml.graph._wiring import Wiring
from jumpml.pretrained import has_onnx

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jumpml.graph._inferred import Inferred
    from jumpml.graph._node import Inputs, Node

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Structure(nn.Module, ABC):
    """Nodes, tasks and objectives, checked and connected: all of a `Model` but how it runs and trains.

    Args:
        inputs: As `Model` has them, like all others.
        nodes: Likewise.
        tasks: Likewise.
        objectives: Likewise.
        fields: Likewise.
        seed: Likewise.
        whole: A node whose inner modules are named without its name.
    """

    def __init__(
        self,
        *,
        inputs: Mapping[str, ValueInfo],
        nodes: Mapping[str, Node],
        tasks: Mapping[str, Task],
        objectives: Mapping[str, Objective],
        fields: Mapping[str, FieldInfo],
        seed: int | None,
        whole: str | None,
    ) -> None:
        super().__init__()
        nodes = unnested(nodes)
        names = check_structure(inputs, nodes, tasks, objectives, fields, whole=whole)
        self._inputs, self._tasks, self._fields = dict(inputs), dict(tasks), dict(fields)
        self._wiring = Wiring.of({name: node.inputs for name, node in nodes.items()}, names)
        self._flops: tuple[tuple[int, ...], dict[str, int | None]] | None = None
        self._given = tuple(nodes)
        owners = {id(node.module): name for name, node in reversed(nodes.items())}  # the first that has it
        self._attributes: dict[str, str] = {}
        for name in self._wiring.order:
            module = nodes[name].module
            self._attributes[name] = self._adopt(f"node_{owners[id(module)]}".replace(".", "__"), module)
        for objective in objectives.values():
            if isinstance(objective, Remembering) and (node := self.node_of(objective.inputs[0])):
                objective.reach([field for field in inputs if field in self.ancestors(node)])
        self._asked = [task.output for task in tasks.values()]
        self._asked += [reference for objective in objectives.values() for reference in objective.inputs]
        inferred = self._pass(seed=seed)
        check_optional(self._pass, self._wiring, inferred)
        self._values, self._parts = inferred.values, {**inferred.keys, **inferred.brought}
        self._need_two_rows = frozenset(inferred.need_two_rows)
        check_outputs(tasks, objectives, fields, inferred)
        self._refuse_changed(self._pass(rows=MORE_ROWS), "in a batch of 3")
        told = {reference for objective in objectives.values() for reference in objective.inputs}
        objectives = {**objectives, **{loss: BroughtLoss(loss) for loss in inferred.brought if loss not in told}}
        self._objectives = {
            name: self._adopt(f"objective_{name}".replace(".", "__"), cast("Any", objective))
            for name, objective in objectives.items()
        }
        known = self._known(inferred)
        for name, objective in objectives.items():
            held = {self._key(node): self.node(node) for node in self.select(objective.parameters_of)}
            told = told_of(self._fields, self._inputs, objective.views)
            connect(("tasks" if name in tasks else "objectives", name), objective, {**known, **told}, held, seed)

    def _pass(
        self,
        inputs: Mapping[str, ValueInfo] = NOTHING,
        *,
        seed: int | None = None,
        rows: int = ROWS,
        asked: Iterable[str] = (),
        optional: bool = True,
        dtype: torch.dtype = torch.float32,
    ) -> Inferred:
        """Pass some rows through all nodes, of these shapes where they differ from the inputs' own."""
        modules = {name: self.node(name) for name in self._wiring.order}
        return infer(
            modules,
            self._wiring,
            {**self._inputs, **inputs},
            seed,
            rows=rows,
            asked=[*self._asked, *asked],
            optional=optional,
            dtype=dtype,
        )

    def _known(self, inferred: Inferred) -> dict[str, ValueInfo]:
        """What objectives may read: fields, what follows in them, nodes' values and the losses that nodes bring.

        And of each field which rows have a value, and the place of each row in its split.
        """
        fields = {field: info.value for field, info in self._fields.items()}
        there = {field + PRESENT: ValueInfo(shape=(), dtype="bool") for field in self._fields}
        losses = {loss: ValueInfo(shape=()) for loss, found in inferred.brought.items() if found.per_example}
        place = {POSITION: ValueInfo(shape=(), dtype="int64")}
        return {**fields, **there, **nexts_of(self._fields), **place, **self._values, **losses}

    def _adopt(self, attribute: str, module: nn.Module) -> str:
        # A module that several nodes share stands once: its weights are saved once.
        known = next((key for key, other in self._modules.items() if other is module), None)
        if known is not None:
            return known
        # A node called `names` must not hide `node_names`.
        while hasattr(type(self), attribute) or attribute in self._modules:
            attribute += "_"
        self.add_module(attribute, module)
        return attribute

    @property
    def inputs(self) -> Mapping[str, ValueInfo]:
        """The fields that nodes read."""
        return MappingProxyType(self._inputs)

    @property
    def tasks(self) -> Mapping[str, Task]:
        """What is predicted."""
        return MappingProxyType(self._tasks)

    @property
    def fields(self) -> Mapping[str, FieldInfo]:
        """The data's fields, as far as they were known when the model was built."""
        return MappingProxyType(self._fields)

    @property
    def objectives(self) -> Mapping[str, Objective]:
        """What is minimised."""
        return MappingProxyType({name: cast("Any", self._modules[key]) for name, key in self._objectives.items()})

    @property
    def values(self) -> Mapping[str, ValueInfo]:
        """Shape and type of every input and node; of an element of a tuple or dict as ``node.part``."""
        return MappingProxyType(self._values)

    @property
    def node_names(self) -> tuple[str, ...]:
        """The nodes, each after all that it reads."""
        return self._wiring.order

    @property
    def given(self) -> tuple[str, ...]:
        """The nodes as they were given; of several with one module, the first names its weights."""
        return self._given

    @property
    def need_two_rows(self) -> frozenset[str]:
        """The nodes that cannot train on a batch of one row: batch normalization with one value a row."""
        return self._need_two_rows

    @property
    def without_gradient(self) -> frozenset[str]:
        """The nodes that never train, and through which no gradient flows: those that run an ONNX file."""
        return frozenset(name for name in self._attributes if has_onnx(self.node(name)))

    def node(self, name: str) -> nn.Module:
        """A node's module, or one of the modules inside it.

        Args:
            name: A node, or ``node.path`` such as ``encoder.layer3.1``; the path alone in a model that wraps one.

        Raises:
            GraphError: There is no such node.
        """
        node, path = self._wiring.names.split(name)
        module = self._modules.get(self._attributes.get(node, ""))
        if module is not None and path is not None:
            found = find_inner(module, path)
            module = module.get_submodule(path) if found and found.path == path else None
        if module is None:
            raise GraphError(f"there is no node {name!r}. {did_you_mean(name, self._attributes)}".rstrip())
        return module

    def _key(self, name: str) -> str:
        """A node's key in the table of modules, with the path to an inner module behind it."""
        node, path = self._wiring.names.split(name)
        return self._attributes[node] + (f".{path}" if path else "")

    @property
    def graphs(self) -> tuple[str, ...]:
        """The nested graphs, whose nodes are ``graph.node``."""
        return tuple(self._wiring.names.graphs)

    def needs(self, reference: str) -> frozenset[str]:
        """The fields without which a value is not computed, directly or through nodes; a field needs itself."""
        node = self.node_of(reference)
        return frozenset([reference]) if node is None else self._wiring.needs[node]

    @property
    def needed(self) -> frozenset[str]:
        """The inputs that some node cannot do without."""
        wiring = self._wiring
        return frozenset(read for name in wiring.order for read in {*wiring.reads[name]} - wiring.optional[name])

    @property
    def unmet(self) -> dict[str, tuple[str, ...]]:
        """By optional field that is no input of the model, the nodes that get None for it."""
        found: dict[str, tuple[str, ...]] = {}
        for node in self._wiring.order:
            for field in sorted(self._wiring.optional[node]):
                if field not in self._inputs and self.node_of(field) is None:
                    found[field] = (*found.get(field, ()), node)
        return found

    @property
    def units(self) -> tuple[str, ...]:
        """What can train or be frozen: the nodes; in place of a wrapped module the modules inside it."""
        return tuple(unit for name in self._wiring.order for unit in self._wiring.names.units(name))

    def written(self, node: str) -> Inputs:
        """What a node reads, as `Node` has it."""
        return self._wiring.written(node)

    def node_of(self, reference: str) -> str | None:
        """The node that a value comes from; None for a field.

        Args:
            reference: An input, a node, a nested graph, ``node.part`` or ``node.path``.
        """
        name, _ = self._wiring.names.split(reference)
        return name if name in self._attributes else None

    def select(self, patterns: Iterable[str]) -> tuple[str, ...]:
        """The nodes that any of the patterns names, in the graph's order.

        Args:
            patterns: ``all``, names, shell patterns (``enc*``), ``upto:name`` for a node and its ancestors, or
                ``only:task`` for the nodes that a task reads, directly or through others, and no other task does.

        Raises:
            GraphError: A pattern names no node.
        """
        return matching(patterns, self._wiring, self._task_outputs)

    def own_nodes(self, *tasks: str) -> tuple[str, ...]:
        """The nodes that some tasks read, directly or through others, and no other task does, in the graph's order.

        Args:
            tasks: The tasks' names.

        Raises:
            GraphError: There is no such task.
        """
        for task in tasks:
            if task not in self._tasks:
                raise GraphError(f"there is no task {task!r}. {did_you_mean(task, self._tasks)}".rstrip())
        own = own_nodes(tasks, self._wiring, self._task_outputs)
        return tuple(name for name in self._wiring.order if name in own)

    @property
    def _task_outputs(self) -> dict[str, str]:
        return {name: task.output for name, task in self._tasks.items()}

    def ancestors(self, name: str) -> frozenset[str]:
        """The nodes and inputs that a node reads, directly or through others.

        Args:
            name: A node, or ``node.part``.

        Raises:
            GraphError: There is no such node.
        """
        node, _ = self._wiring.names.split(name)
        self.node(node)
        return self._wiring.ancestors[node]

    def behind(self, references: Iterable[str]) -> frozenset[str]:
        """The nodes and inputs that values come from, directly or through others; a field comes from itself.

        Args:
            references: Inputs, nodes, nested graphs, ``node.part`` or ``node.path``.
        """
        found: set[str] = set()
        for reference in references:
            node = self.node_of(reference)
            found |= {reference} if node is None else {node, *self._wiring.ancestors[node]}
        return frozenset(found)

    @property
    def reads(self) -> Mapping[str, tuple[str, ...]]:
        """By node, the inputs, nodes and parts that it reads, in the order of its arguments."""
        return MappingProxyType(self._wiring.reads)

    def table(self) -> list[dict[str, Any]]:
        """A row a node, as ``print(model)`` shows it.

        ``node``, ``module``, ``inputs``, ``optional`` (those of them that it can do without), ``shape``,
        ``parameters``, ``objectives`` (those that read it: by name, the phases in which they are active), ``shares``
        (the node whose weights it has too) and ``flops``: what a forward pass computes a row, where a multiplication
        and an addition are two; None where it cannot be counted.
        """
        modules = {name: self.node(name) for name in self.node_names}
        known = tuple(map(id, modules.values()))
        if self._flops is None or self._flops[0] != known:  # counting imports the compiler's parts of torch: once
            self._flops = known, count_flops(modules, self._wiring, self._values, self._parts)
        return table(cast("Any", self), self._flops[1])

    def record(self) -> GraphRecord:
        """The graph as a record: the table, the tasks and the objectives."""
        return record(cast("Any", self))

    def draw(self) -> str:
        """Draw the graph with its tasks and objectives.

        Returns:
            An ``svg`` element: a file of its own, or a part of a page; it follows the reader's light or dark.
        """
        return draw_graph(self.record())

    def __repr__(self) -> str:
        return text(cast("Any", self))

    def check_fields(
        self,
        fields: Mapping[str, FieldInfo],
        values: Mapping[str, ValueInfo] = NOTHING,
        undoable: Mapping[str, bool] = NOTHING,
    ) -> None:
        """Check the model against data that was not known when it was built.

        Args:
            fields: The data's fields.
            values: What fields look like after features; shapes of inputs are compared with those that are given.
            undoable: By field with features, whether these can be undone, as a regression's target asks for.

        Raises:
            GraphError: The data lacks a field, a shape, a kind, a number of classes or their order differs, or a target
                has features that it cannot have.
        """
        check_data(cast("Any", self), fields, values, undoable)

    def check_shapes(self, inputs: Mapping[str, ValueInfo]) -> None:
        """Check that rows of other shapes pass too: texts that are cut to the longest of a batch.

        Args:
            inputs: Their shapes; the other inputs are as they were.

        Raises:
            GraphError: A node cannot take them, or a task's output would change its shape.
        """
        self._refuse_changed(self._pass(inputs), "then")

    def _refuse_changed(self, inferred: Inferred, when: str) -> None:
        """Refuse tasks whose output another pass has given another shape."""
        changed = {
            name: f"{task.output!r} is {self._values[task.output]}, and {inferred.values[task.output]} {when}."
            for name, task in self._tasks.items()
            if _row_shape(task, self._values[task.output]) != _row_shape(task, inferred.values[task.output])
        }
        refuse([Problem(("tasks", name, "output"), text) for name, text in changed.items()])


def _row_shape(task: Task, output: ValueInfo) -> tuple[int, ...]:
    """What of an output's shape may not depend on how long a text is."""
    return output.shape[1:] if task.brings.at == "tokens" else output.shape
