"""The model: a graph of named modules as one ordinary ``nn.Module``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, cast, final

import torch

from jumpml.core import COVERED, FieldInfo, GraphError, Objective, Remembering, Task, ValueInfo
from jumpml.graph._brought import FOLLOWS, BroughtLoss
from jumpml.graph._compiler import Compiler
from jumpml.graph._growing import Growing
from jumpml.graph._inferred import info
from jumpml.graph._inner import find_inner
from jumpml.graph._node import Node
from jumpml.graph._objectives import draws_of, remember
from jumpml.graph._plan import LossPlan, Plan, compile_losses, compile_plan
from jumpml.graph._routine import run_while_tracing
from jumpml.graph._structure import NOTHING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from torch import Tensor, nn


Wanted = tuple[tuple[str, ...] | str | None, tuple[bool, ...]]  # outputs, and which switches a batch has


@final
class Model(Growing):
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
        outputs: What `forward` gives where nothing is asked for; the tasks' outputs where this is empty.
        whole: A node whose inner modules are named without its name; see `wrap`.

    Attributes:
        values: Shape and type of every input and node; of an element of a tuple or dict as ``node.part``.
        node_names: The nodes, each after all that it reads.

    Raises:
        GraphError: Names, wiring, shapes or tasks do not fit together.
        ObjectiveError: An objective does not fit what it reads.

    Example:
        >>> import torch
        >>> from torch import nn
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
        tasks: Mapping[str, Task] = NOTHING,
        objectives: Mapping[str, Objective] = NOTHING,
        fields: Mapping[str, FieldInfo] = NOTHING,
        seed: int | None = None,
        outputs: Sequence[str] = (),
        whole: str | None = None,
    ) -> None:
        super().__init__(
            inputs=inputs, nodes=nodes, tasks=tasks, objectives=objectives, fields=fields, seed=seed, whole=whole
        )
        self._outputs = tuple(outputs)
        self._switches = self._find_switches()
        self._plans: dict[Wanted, Plan] = {}
        self._loss_plans: dict[tuple[str, frozenset[str]], LossPlan] = {}
        self.plan(self._outputs, self._inputs)
        for name, objective in self.objectives.items():
            if isinstance(objective, Remembering):
                remember(("tasks" if name in tasks else "objectives", name), objective, self)

    @classmethod
    def wrap(
        cls,
        net: nn.Module,
        inputs: Mapping[str, ValueInfo] | Mapping[str, Tensor],
        *,
        tasks: Mapping[str, Task] = NOTHING,
        objectives: Mapping[str, Objective] = NOTHING,
        fields: Mapping[str, FieldInfo] = NOTHING,
        name: str = "net",
        seed: int | None = None,
    ) -> Self:
        """Make a model of any module, whose inner modules can be named as if they were nodes.

        ``layer3.1.relu`` is what that inner module gives: for an objective, as an output, as a task's. It is noted only
        where something asks for it, and gradients flow through it. Of a module that is called several times in a pass,
        the last call counts. Patterns of nodes (to train, to freeze, for parameters) name inner modules too, each with
        all that is in it: ``layer1``, ``layer[12]``, ``*.bn1``.

        Args:
            net: The very module that the model is made of: ``model.node("net")`` gives it back.
            inputs: The fields that it reads, in the order of its arguments: shape and type after features, or an
                example batch, of which these are taken.
            tasks: As for a model; an output is the net's, a part of it, or an inner module's.
            objectives: Likewise.
            fields: Likewise.
            name: The net's name as a node.
            seed: Likewise.

        Example:
            >>> import torch
            >>> from torch import nn
            >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
            >>> model = Model.wrap(net, {"x": torch.zeros(2, 4)})
            >>> batch = {"x": torch.zeros(5, 4)}
            >>> model(batch)["net"].shape, model(batch, outputs=["1"])["1"].shape, model.select(["2"])
            (torch.Size([5, 3]), torch.Size([5, 8]), ('2',))
        """
        known = {
            field: given if isinstance(given, ValueInfo) else info(cast("Tensor", given))
            for field, given in inputs.items()
        }
        return cls(
            inputs=known,
            nodes={name: Node(net, tuple(known))},
            tasks=tasks,
            objectives=objectives,
            fields=fields,
            seed=seed,
            outputs=() if tasks else (name,),
            whole=name,
        )

    def until(self, *outputs: str) -> Self:
        """The model up to some nodes: the same modules, and the inputs that these need.

        It has no tasks and no objectives; called, it gives the outputs. So it can be exported alone, or be a node of
        another model.

        Args:
            outputs: Nodes or ``node.part``.

        Raises:
            GraphError: There is no such node, or none is given.

        Example:
            >>> from torch import nn
            >>> from jumpml.core import ValueInfo
            >>> from jumpml.graph import Node
            >>> nodes = {"body": Node(nn.Linear(4, 8), "x"), "out": Node(nn.Linear(8, 3), ["body"])}
            >>> model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=nodes)
            >>> encoder = model.until("body")
            >>> encoder.node_names, encoder.node("body") is model.node("body")
            (('body',), True)
        """
        if not outputs:
            raise GraphError(
                f"until: expected the nodes to end with, got none. There is: {', '.join(self.node_names)}."
            )
        reached = frozenset[str]()
        for output in outputs:
            reached |= {self.node_of(output) or output} | self.ancestors(output)
        nodes = {name: Node(self.node(name), self._wiring.written(name)) for name in self.given if name in reached}
        cut = type(self)(
            inputs={name: value for name, value in self._inputs.items() if name in reached},
            nodes=nodes,
            fields=self._fields,
            outputs=outputs,
            whole=self._wiring.names.whole if self._wiring.names.whole in nodes else None,
        )
        cut._frozen, cut.training = self._frozen & {*cut.units}, self.training
        return cut

    # --- running it -------------------------------------------------------------------------------------------------

    def forward(self, batch: Mapping[str, Tensor], outputs: Iterable[str] | None = None) -> dict[str, Tensor]:
        """Compute outputs, running only the nodes that they depend on.

        Args:
            batch: At least the fields that those nodes read, ``[batch, ...]`` each.
            outputs: Nodes, ``node.part``, or ``node.path`` for an inner module; where nothing is said the tasks'
                outputs, or the model's own.

        Returns:
            Raw outputs by task, or by node where ``outputs`` is given.

        Raises:
            GraphError: An output does not exist, or the batch lacks a field.
        """
        asked = outputs if outputs is None or isinstance(outputs, str) else tuple(outputs)
        wanted = (asked, tuple(key in batch for key in self._switches))
        if torch.compiler.is_compiling() or wanted not in self._plans:
            self._prepare(wanted, tuple(batch))
        values = self._plans[wanted](batch)
        if asked is not None or self._outputs:
            return values
        return {name: values[task.output] for name, task in self._tasks.items()}

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
    def _prepare(self, wanted: Wanted, available: Collection[str]) -> None:
        if wanted not in self._plans:
            asked, _ = wanted
            usual = self._outputs or dict.fromkeys(task.output for task in self._tasks.values())
            self._plans[wanted] = self.plan(usual if asked is None else asked, available)

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
        names = names if isinstance(names, str) else tuple(names)
        for name in names:
            if name not in self._values and not isinstance(names, str):
                self._look_inside(name)
        return compile_plan(
            names, {*self._values, *self._parts, *self._attributes}, self._compiler(available, no_gradient=())
        )

    def _look_inside(self, reference: str) -> None:
        """Note what an inner module gives, if the reference is to one."""
        node, path = self._wiring.names.split(reference)
        if path is None or node not in self._attributes or not find_inner(self.node(node), path):
            return
        inferred = self._pass(asked=[reference])
        if reference not in inferred.values:
            raise GraphError(f"{reference!r} is no value: {inferred.why_not(reference)}")
        self._values[reference] = inferred.values[reference]

    def plan_losses(self, phase: str, available: Collection[str], only: Collection[str] | None = None) -> LossPlan:
        """Compile what is needed for the losses of a phase. Make it anew after `train_only`.

        Nodes that are frozen together with all that they read run without gradient.

        Args:
            phase: The phase.
            available: The keys that batches will have: fields, ``<field>.present``, ``<field>@<draw>``.
            only: Which of the phase's objectives; all where None.

        Raises:
            GraphError: An active objective needs what is not available.
        """
        names = [name for name in self.active(phase) if only is None or name in only]
        active = {name: (self.objectives[name], self._objectives[name]) for name in names}
        return compile_losses(active, self._compiler(available, no_gradient=self._frozen_nodes()), self._values)

    def rows(self, references: Iterable[str], batch: Mapping[str, Tensor]) -> Tensor | None:
        """The rows that count for an objective or a task on some values, bool ``[batch]``; None where all do.

        Fields among the values have to be there. A node needs only that the row's data set has what it reads, directly
        or through others: what is merely missing there, a feature has filled.

        Args:
            references: Fields, nodes or ``node.part``.
            batch: It says which rows these are, as ``<field>.present`` and ``<field>.covered``.
        """
        keys = self._compiler(batch, no_gradient=()).present(references)
        return torch.stack([batch[key] for key, _ in keys]).all(0) if keys else None

    def active(self, phase: str, only: Collection[str] | None = None) -> tuple[str, ...]:
        """The objectives that are active in a phase.

        A loss that a node brings, and of which nothing else is said, is so where another objective makes the node run.

        Args:
            phase: The phase.
            only: Which of them may run; all where None.
        """
        asked = [
            name
            for name, objective in self.objectives.items()
            if {phase, "all"} & set(objective.when) and (only is None or name in only)
        ]
        follow = {n for n in asked if isinstance(o := self.objectives[n], BroughtLoss) and o.when == FOLLOWS}
        run = self.behind(r for n in asked if n not in follow for r in self.objectives[n].inputs)
        return tuple(n for n in asked if n not in follow or self.node_of(self.objectives[n].inputs[0]) in run)

    def draws(self, phase: str, only: Collection[str] | None = None) -> tuple[str, ...]:
        """The draws of views that a phase's objectives ask for, such as ``("strong.0", "strong.1")``.

        Args:
            phase: The phase.
            only: Which of its objectives; all where None.
        """
        asked = (draws_of(self.objectives[name]) for name in self.active(phase, only))
        return tuple(dict.fromkeys(draw for draws in asked for draw in draws))

    def _changed(self) -> None:
        self._switches = self._find_switches()
        self._plans.clear()
        self._loss_plans.clear()

    def _find_switches(self) -> tuple[str, ...]:
        """What a plan depends on beside its outputs: optional inputs, and fields that some data sets lack."""
        lacking = (name + COVERED for name, info in self._fields.items() if info.lacking)
        return tuple(dict.fromkeys([*self._wiring.may_lack, *lacking]))

    def __getstate__(self) -> dict[str, Any]:
        # Plans hold this object's table of modules; a copy makes its own.
        return {**super().__getstate__(), "_plans": {}, "_loss_plans": {}}

    def _compiler(self, available: Collection[str], no_gradient: Collection[str]) -> Compiler:
        return Compiler(
            wiring=self._wiring,
            parts=self._parts,
            modules=self._modules,
            attributes=self._attributes,
            no_gradient=no_gradient,
            available=available,
            need_two_rows=self._need_two_rows,
        )
