"""The model: a graph of named modules as one ordinary ``nn.Module``."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, cast, final

import torch
from torch import Tensor, nn

from jumpml.core import (
    FieldInfo,
    GraphError,
    Objective,
    Problem,
    Task,
    ValueInfo,
    WeightsRecord,
    did_you_mean,
    nexts_of,
)
from jumpml.graph._brought import FOLLOWS, BroughtLoss
from jumpml.graph._checks import check_data, check_outputs, check_structure
from jumpml.graph._compiler import Compiler
from jumpml.graph._inference import infer
from jumpml.graph._inferred import MORE_ROWS
from jumpml.graph._objectives import connect, draws_of
from jumpml.graph._patterns import matching
from jumpml.graph._plan import LossPlan, Plan, compile_losses, compile_plan
from jumpml.graph._problem import refuse
from jumpml.graph._routine import run_while_tracing
from jumpml.graph._summary import table, text
from jumpml.graph._wiring import Wiring
from jumpml.pretrained import Weights, fill, has_onnx, read_weights

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from jumpml.graph._inferred import Inferred
    from jumpml.graph._node import Node

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@final
class Model(nn.Module):
    """Named modules that read fields and each other, the tasks that they serve, and what is minimised.

    Sizes are inferred: when the constructor returns, lazy modules are real and every shape is checked. It remains an
    ordinary module: ``parameters()``, ``state_dict()``, ``to()``, ``copy.deepcopy`` and pickling work as always.
    Parameters are named ``node_<name>.<...>`` and ``objective_<name>.<...>``.

    Args:
        inputs: The fields that nodes read: shape and type after features.
        nodes: The modules, and what each reads.
        tasks: What is predicted.
        objectives: What is minimised; one that bears a task's name is that task's own.
        fields: The data's fields, where the data is known: targets are checked against them. See `check_fields`.
        seed: Makes the initial weights of lazy modules and of objectives repeatable, and leaves torch's global
            generator alone. Modules that are already real keep their weights.

    Attributes:
        values: Shape and type of every input and node; of an element of a tuple or dict as ``node.part``.
        node_names: The nodes, each after all that it reads.

    Raises:
        GraphError: Names, wiring, shapes or tasks do not fit together.
        ObjectiveError: An objective does not fit what it reads.

    Example:
        >>> import torch
        >>> from jumpml.core import Task, ValueInfo
        >>> from jumpml.graph import Node
        >>> model = Model(
        ...     inputs={"x": ValueInfo(shape=(4,))},
        ...     nodes={"body": Node(nn.Linear(4, 8), "x"), "out": Node(nn.LazyLinear(3), "body")},
        ...     tasks={"kind": Task(kind="multiclass", output="out", target="y")},
        ...     seed=0,
        ... )
        >>> model({"x": torch.zeros(2, 4)})["kind"].shape
        torch.Size([2, 3])
    """

    def __init__(
        self,
        *,
        inputs: Mapping[str, ValueInfo],
        nodes: Mapping[str, Node],
        tasks: Mapping[str, Task] = _NOTHING,
        objectives: Mapping[str, Objective] = _NOTHING,
        fields: Mapping[str, FieldInfo] = _NOTHING,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        check_structure(inputs, nodes, tasks, objectives, fields)
        self._inputs, self._tasks, self._fields = dict(inputs), dict(tasks), dict(fields)
        self._wiring = Wiring.of({name: node.inputs for name, node in nodes.items()})
        self._frozen: frozenset[str] = frozenset()
        self._plans: dict[tuple[str, ...] | str | None, Plan] = {}
        self._loss_plans: dict[tuple[str, frozenset[str]], LossPlan] = {}
        self._attributes: dict[str, str] = {}
        self._loaded: dict[str, WeightsRecord] = {}
        for name in self._wiring.order:
            self._attributes[name] = self._adopt(f"node_{name}".replace(".", "__"), nodes[name].module)
        modules = {name: nodes[name].module for name in self._wiring.order}
        inferred = infer(modules, self._wiring, self._inputs, seed)
        self._values, self._parts = inferred.values, {**inferred.keys, **inferred.brought}
        self._need_two_rows = frozenset(inferred.need_two_rows)
        check_outputs(tasks, objectives, fields, inferred)
        self._refuse_changed(infer(modules, self._wiring, self._inputs, seed=None, rows=MORE_ROWS), "in a batch of 3")
        told = {reference for objective in objectives.values() for reference in objective.inputs}
        objectives = {**objectives, **{loss: BroughtLoss(loss) for loss in inferred.brought if loss not in told}}
        self._objectives = {
            name: self._adopt(f"objective_{name}".replace(".", "__"), cast("Any", objective))
            for name, objective in objectives.items()
        }
        known = {**{field: info.value for field, info in fields.items()}, **nexts_of(fields), **self._values}
        known |= {loss: ValueInfo(shape=()) for loss, found in inferred.brought.items() if found.per_example}
        for name, objective in objectives.items():
            held = {self._attributes[node]: self.node(node) for node in self.select(objective.parameters_of)}
            connect(("tasks" if name in tasks else "objectives", name), objective, known, held, seed)

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

    # --- what it is -------------------------------------------------------------------------------------------------

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
    def need_two_rows(self) -> frozenset[str]:
        """The nodes that cannot train on a batch of one row: batch normalization with one value a row."""
        return self._need_two_rows

    @property
    def without_gradient(self) -> frozenset[str]:
        """The nodes that never train, and through which no gradient flows: those that run an ONNX file."""
        return frozenset(name for name in self._attributes if has_onnx(self.node(name)))

    @property
    def loaded(self) -> Mapping[str, WeightsRecord]:
        """By node, what it began with, where that was made elsewhere."""
        return MappingProxyType(self._loaded)

    def node(self, name: str) -> nn.Module:
        """A node's module.

        Raises:
            GraphError: There is no such node.
        """
        if name not in self._attributes:
            raise GraphError(f"there is no node {name!r}. {did_you_mean(name, self._attributes)}".rstrip())
        return cast("nn.Module", self._modules[self._attributes[name]])

    @property
    def graphs(self) -> tuple[str, ...]:
        """The nested graphs, whose nodes are ``graph.node``."""
        return tuple(self._wiring.names.graphs)

    def node_of(self, reference: str) -> str | None:
        """The node that a value comes from; None for a field.

        Args:
            reference: An input, a node, a nested graph or ``node.part``.
        """
        name, _ = self._wiring.names.split(reference)
        return name if name in self._attributes else None

    def select(self, patterns: Iterable[str]) -> tuple[str, ...]:
        """The nodes that any of the patterns names, in the graph's order.

        Args:
            patterns: ``all``, names, shell patterns (``enc*``), or ``upto:name`` for a node and its ancestors.

        Raises:
            GraphError: A pattern names no node.
        """
        return matching(patterns, self._wiring)

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

    def table(self) -> list[dict[str, Any]]:
        """A row a node: ``node``, ``module``, ``inputs``, ``shape`` and ``parameters``; ``print(model)`` shows it."""
        return table(self, self._wiring.reads)

    def __repr__(self) -> str:
        return text(self, self._wiring.reads)

    # --- running it -------------------------------------------------------------------------------------------------

    def forward(self, batch: Mapping[str, Tensor], outputs: Iterable[str] | None = None) -> dict[str, Tensor]:
        """Compute outputs, running only the nodes that they depend on.

        Args:
            batch: At least the fields that those nodes read, ``[batch, ...]`` each.
            outputs: Nodes or ``node.part``; the tasks' outputs where nothing is said.

        Returns:
            Raw outputs by task, or by node where ``outputs`` is given.

        Raises:
            GraphError: An output does not exist, or the batch lacks a field.
        """
        wanted = outputs if outputs is None or isinstance(outputs, str) else tuple(outputs)
        if torch.compiler.is_compiling() or wanted not in self._plans:
            self._prepare(wanted, tuple(batch))
        values = self._plans[wanted](batch)
        return values if wanted is not None else {name: values[task.output] for name, task in self._tasks.items()}

    def losses(self, batch: Mapping[str, Tensor], phase: str = "supervised") -> dict[str, Tensor]:
        """The losses of a phase's objectives, without their weights.

        Args:
            batch: The fields, and the views if an objective asks for some.
            phase: The phase.

        Returns:
            By objective, ``[batch]`` with 0 at absent rows where the loss is per example, else a scalar.

        Raises:
            GraphError: The batch lacks what an active objective needs.
        """
        wanted = (phase, frozenset(batch))
        if torch.compiler.is_compiling() or wanted not in self._loss_plans:
            self._prepare_losses(phase, tuple(batch))
        losses, _ = self._loss_plans[wanted](batch)
        return {
            name: value if present is None else value.where(present, value.new_zeros(()))
            for name, (value, present) in losses.items()
        }

    # torch.compile runs these two as they are, while it traces; what is then read from the tables, it guards. So a plan
    # that is gone makes it trace anew, as another model's does.

    @run_while_tracing
    def _prepare(self, wanted: tuple[str, ...] | str | None, available: Collection[str]) -> None:
        if wanted not in self._plans:
            names = dict.fromkeys(task.output for task in self._tasks.values()) if wanted is None else wanted
            self._plans[wanted] = self.plan(names, available)

    @run_while_tracing
    def _prepare_losses(self, phase: str, available: Collection[str]) -> None:
        wanted = (phase, frozenset(available))
        if wanted not in self._loss_plans:
            self._loss_plans[wanted] = self.plan_losses(phase, available)

    def plan(self, names: Iterable[str], available: Collection[str]) -> Plan:
        """Compile what is needed for some values.

        Args:
            names: Inputs, nodes or ``node.part``.
            available: The keys that batches will have.

        Raises:
            GraphError: A name is unknown, or a field that it needs is not available.
        """
        return compile_plan(
            names, {*self._values, *self._parts, *self._attributes}, self._compiler(available, no_gradient=())
        )

    def plan_losses(self, phase: str, available: Collection[str]) -> LossPlan:
        """Compile what is needed for the losses of a phase. Make it anew after `train_only`.

        Nodes that are frozen together with all that they read run without gradient.

        Args:
            phase: The phase.
            available: The keys that batches will have: fields, ``<field>.present``, ``<field>@<draw>``.

        Raises:
            GraphError: An active objective needs what is not available.
        """
        active = {name: (self.objectives[name], self._objectives[name]) for name in self.active(phase)}
        return compile_losses(active, self._compiler(available, no_gradient=self._frozen), self._values)

    def active(self, phase: str) -> tuple[str, ...]:
        """The objectives that are active in a phase.

        A loss that a node brings, and of which nothing else is said, is so where another objective makes the node run.
        """
        asked = [name for name, objective in self.objectives.items() if {phase, "all"} & set(objective.when)]
        follow = {n for n in asked if isinstance(o := self.objectives[n], BroughtLoss) and o.when == FOLLOWS}
        read = {self.node_of(r) for n in asked if n not in follow for r in self.objectives[n].inputs} - {None}
        run = read.union(*(self._wiring.ancestors[node] for node in read if node is not None))
        return tuple(n for n in asked if n not in follow or self.node_of(self.objectives[n].inputs[0]) in run)

    def draws(self, phase: str) -> tuple[str, ...]:
        """The draws of views that a phase's objectives ask for, such as ``("strong.0", "strong.1")``."""
        asked = (draws_of(self.objectives[name].views) for name in self.active(phase))
        return tuple(dict.fromkeys(draw for draws in asked for draw in draws))

    # --- training it ------------------------------------------------------------------------------------------------

    def load_weights(
        self,
        name: str,
        weights: str | Path | Weights,
        *,
        node: str | None = None,
        part: str | None = None,
        strip: str = "",
        prefix: str = "",
        strict: bool = True,
    ) -> WeightsRecord:
        """Give a node weights that were made elsewhere; nothing in the file is run.

        Args:
            name: The node.
            weights: A file, a checkpoint's or a run's folder (see `jumpml.pretrained.read_weights`), or what was read.
            node: In a JumpML model's weights, the node whose they are; the one of the same name where nothing is said.
            part: Of several state_dicts in a file, which; of a checkpoint ``average``.
            strip: What the file's names begin with and the module's do not; other names are passed over.
            prefix: What the module's names begin with and the file's do not.
            strict: Whether file and module must have the same weights; otherwise what fits is taken.

        Returns:
            What went in, what is missing, and what is unlike; `loaded` keeps it.

        Raises:
            GraphError: There is no such node.
            PretrainedError: The file cannot be read, or does not fit.
        """
        module = self.node(name)
        found = weights if isinstance(weights, Weights) else read_weights(Path(weights), part=part)
        if found.nodes or node is not None:
            found = found.of_node(node or name)
        self._loaded[name] = fill(module, found, strip=strip, prefix=prefix, strict=strict)
        return self._loaded[name]

    def train_only(self, nodes: Collection[str]) -> None:
        """Freeze every other node: no gradient, and evaluation mode even in training.

        Objectives keep their own parameters as they are. Plans for losses must be made anew.

        Args:
            nodes: The nodes that train; see `select` for patterns.

        Raises:
            GraphError: There is no such node.
        """
        trained = [self.node(name) for name in nodes]
        self._frozen = frozenset(self.node_names) - frozenset(nodes)
        self._plans.clear()
        self._loss_plans.clear()
        for name in self._frozen:
            self.node(name).requires_grad_(False)
        for module in trained:  # last, so that a module that several nodes share trains if one of them does
            for parameter in module.parameters():
                parameter.requires_grad_(parameter.is_floating_point() or parameter.is_complex())
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode; frozen nodes stay in evaluation mode."""
        super().train(mode)
        for name in self._frozen:
            self.node(name).eval()
        for name in self._attributes.keys() - self._frozen:
            self.node(name).train(mode)
        return self

    def check_fields(
        self,
        fields: Mapping[str, FieldInfo],
        values: Mapping[str, ValueInfo] = _NOTHING,
        undoable: Mapping[str, bool] = _NOTHING,
    ) -> None:
        """Check the model against data that was not known when it was built.

        Args:
            fields: The data's fields.
            values: What fields look like after features; shapes of inputs are compared with those that are given.
            undoable: By field with features, whether these can be undone, as a regression's target asks for.

        Raises:
            GraphError: The data lacks a field, a shape, a kind or a number of classes differs, or a target has
                features that it cannot have.
        """
        check_data(self, fields, values, undoable)

    def check_shapes(self, inputs: Mapping[str, ValueInfo]) -> None:
        """Check that rows of other shapes pass too: texts that are cut to the longest of a batch.

        Args:
            inputs: Their shapes; the other inputs are as they were.

        Raises:
            GraphError: A node cannot take them, or a task's output would change its shape.
        """
        modules = {name: self.node(name) for name in self.node_names}
        self._refuse_changed(infer(modules, self._wiring, {**self._inputs, **inputs}, seed=None), "then")

    def _refuse_changed(self, inferred: Inferred, when: str) -> None:
        """Refuse tasks whose output another pass has given another shape."""
        changed = {
            name: f"{task.output!r} is {self._values[task.output]}, and {inferred.values[task.output]} {when}."
            for name, task in self._tasks.items()
            if _row_shape(task, self._values[task.output]) != _row_shape(task, inferred.values[task.output])
        }
        refuse([Problem(("tasks", name, "output"), text) for name, text in changed.items()])

    def __getstate__(self) -> dict[str, Any]:
        # Plans hold this object's table of modules; a copy makes its own.
        return {**self.__dict__, "_plans": {}, "_loss_plans": {}}

    def _compiler(self, available: Collection[str], no_gradient: Collection[str]) -> Compiler:
        return Compiler(
            wiring=self._wiring,
            parts=self._parts,
            modules=self._modules,
            attributes=self._attributes,
            no_gradient=no_gradient,
            available=available,
        )


def _row_shape(task: Task, output: ValueInfo) -> tuple[int, ...]:
    """What of an output's shape may not depend on how long a text is."""
    return output.shape[1:] if task.brings.at == "tokens" else output.shape
