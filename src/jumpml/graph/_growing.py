"""How a model grows: surgeries, and the lineage that they leave."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

import torch

from jumpml.core import GraphError, Growable, Remembering
from jumpml.graph._brought import BroughtLoss
from jumpml.graph._checks import check_outputs, check_structure
from jumpml.graph._names import Names
from jumpml.graph._node import Node
from jumpml.graph._objectives import connect, parameters_of
from jumpml.graph._structure import NOTHING
from jumpml.graph._trainable import Trainable
from jumpml.graph._wiring import Wiring
from jumpml.graph.growth._operations import operate
from jumpml.graph.growth._past import Past
from jumpml.graph.growth._snapshot import Snapshot
from jumpml.graph.growth._surgery import Growth, Surgery, index_map, inverse
from jumpml.graph.growth._survey import precision_of, rows_of
from jumpml.graph.growth._task import NewTask

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from torch import Tensor

    from jumpml.core import FieldInfo, Objective, Task, ValueInfo
    from jumpml.graph._model import Model
    from jumpml.graph._node import Inputs
    from jumpml.graph.growth._index_map import IndexMap
    from jumpml.graph.growth._surgery import Entry, Moved
    from jumpml.pretrained import Weights

_TOLERANCE = 1e-4  # of outputs, beside their largest number; in float64 a millionth of that


class Growing(Trainable):
    """A `Trainable` that surgeries can be done to.

    Args:
        parts: As `Structure` has them.
    """

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self._lineage: list[Entry] = []
        self._unconnected: tuple[str, ...] = ()  # objectives that a surgery is putting in
        self._past = Past()  # what takes the last surgeries back

    @property
    def lineage(self) -> tuple[dict[str, Any], ...]:
        """What surgeries have been done to it, in their order, as plain values; a checkpoint holds them.

        `regrow` does them again to a model that is built anew.
        """
        return tuple(copy.deepcopy(self._lineage))

    def grow(self, surgery: Surgery, *, seed: int = 0) -> Growth:
        """Do a surgery.

        Parameters that change their shape are new objects: an optimizer that holds the old ones must be told, as
        `jumpml.learn.Learner.grow` does.

        Args:
            surgery: `jumpml.graph.Widen` and the like.
            seed: Of what is drawn, together with the surgery's place in the lineage.

        Returns:
            What became of the parameters.

        Raises:
            GraphError: It cannot be done; the model is as it was.

        Example:
            >>> from torch import nn
            >>> from jumpml.core import ValueInfo
            >>> from jumpml.graph import Model, Node, Widen
            >>> nodes = {"body": Node(nn.Linear(4, 6), "x"), "out": Node(nn.Linear(6, 2), "body")}
            >>> model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=nodes, outputs=["out"])
            >>> print(model.grow(Widen("body", 8)).text)
            grew body 6 -> 48
        """
        if not isinstance(surgery, Surgery):
            raise GraphError(f"expected a surgery of jumpml.graph, such as Widen('encoder', 2.0), got {surgery!r}.")
        entry = surgery.resolve(cast("Model", self), seed + len(self._lineage))
        self.let_go()
        return self._operate(entry, exact=surgery.preserves, perform=surgery.perform)

    def regrow(self, lineage: Sequence[Mapping[str, Any]], *, like: Model | None = None) -> list[Growth]:
        """Bring the model into the shape of a lineage, from where it stands; weights are to be loaded after it.

        Args:
            lineage: That of another model, which began as this one did.
            like: That model, where it is at hand: of it tasks are copied that a program has added.

        Returns:
            What was done, in order; nothing where it has that lineage.

        Raises:
            GraphError: The model has had other surgeries, which cannot be taken back, or cannot have these.
        """
        wanted, shared = [dict(entry) for entry in lineage], 0
        while shared < min(len(wanted), len(self._lineage)) and wanted[shared] == self._lineage[shared]:
            shared += 1
        back = len(self._lineage) - shared
        if back > len(self._past):
            raise GraphError(
                f"the model has had {len(self._lineage)} surgeries, and the lineage shares the first {shared} with it; "
                f"only the last {len(self._past)} can be taken back. Build the model anew."
            )
        done = []
        for _ in range(back):
            growth = self._past.take_back()
            self._changed()
            done.append(inverse(growth))
        for entry in wanted[shared:]:
            task = NewTask.again(entry, like) if like is not None and entry["kind"] == NewTask.kind else None
            done.append(self._operate(entry, exact=False, perform=task.perform if task else None))
        return done

    def let_go(self) -> None:
        """Free the values of parameters that surgeries have put others in the place of.

        `Growth.before` has the very parameters still, which is all that an optimizer needs to know them by. A learner
        lets go by itself, and so does the next surgery.
        """
        self._past.let_go(self)

    def copied(self, output: str, *, surgeries_back: int = 0) -> Model:
        """A copy of the model up to a node, in a shape that it had; in a former one its weights are to be loaded.

        Args:
            output: The node.
            surgeries_back: How many of the last surgeries it is without.

        Raises:
            GraphError: There was no such node, or those surgeries cannot be taken back.
        """
        if surgeries_back > len(self._past):
            raise GraphError(f"only the last {len(self._past)} surgeries can be taken back, not {surgeries_back}.")
        now = Snapshot(self)
        try:
            if surgeries_back:
                self._past.restore(surgeries_back)
                self._changed()
            return copy.deepcopy(cast("Model", self).until(output))
        finally:
            now.restore()
            self._changed()
            if surgeries_back:
                self.let_go()

    def take_shape(self, name: str, weights: Weights) -> None:
        """Do to a node what was done to the one that weights are of, if that has grown.

        Args:
            name: The node.
            weights: Of one node.

        Raises:
            GraphError: It cannot be done.
        """
        for told in weights.lineage:
            at = {f"{name}.{path}" if path else name: what for path, what in told["at"].items()}
            entry = {**told, "at": at}
            if entry not in self._lineage:
                self._operate(entry, exact=False)

    def _operate(
        self, entry: Entry, *, exact: bool, perform: Callable[[Model], Mapping[Tensor, Moved] | None] | None = None
    ) -> Growth:
        """Do what an entry says; where that fails, or would change what is computed, nothing is done."""
        model, snapshot = cast("Model", self), Snapshot(self)
        before = _tensors(self)
        values = rows_of(model) if exact else {}
        try:
            moved = perform(model) if perform else None
            moved = operate(model, entry) if moved is None else moved
            self._lineage.append(entry)
            self._settle(entry["seed"])
            found = index_map(before, _tensors(self), moved)
            self._follow(found)
            _compare(values, rows_of(model) if exact else {}, entry["text"])
        except BaseException:
            snapshot.restore()
            self._changed()
            raise
        growth = Growth(
            text=entry["text"], index_map=found, before=_parameters(before), after=dict(self.named_parameters())
        )
        self._past.add(snapshot, growth)
        return growth

    def insert(
        self,
        nodes: Mapping[str, Node],
        *,
        inputs: Mapping[str, ValueInfo] = NOTHING,
        rewired: Mapping[str, Inputs] = NOTHING,
        tasks: Mapping[str, Task] = NOTHING,
        objectives: Mapping[str, Objective] = NOTHING,
    ) -> None:
        """Put nodes in, and what goes with them; a surgery does so, after which shapes are found anew.

        Args:
            nodes: By name.
            inputs: Fields that they read and that were no inputs before.
            rewired: What nodes that are there read from now on.
            tasks: By name.
            objectives: By name.

        Raises:
            GraphError: There is a node of such a name, or names or wiring do not fit.
        """
        twice = [name for name in nodes if name in self._attributes]
        if twice:
            raise GraphError(f"there is a node {twice[0]!r} already. Give the new one another name.")
        there = {name: Node(self.node(name), rewired.get(name, self.written(name))) for name in self._given}
        whole = {**there, **nodes}
        self._inputs, self._tasks = {**self._inputs, **inputs}, {**self._tasks, **tasks}
        known = {**self.objectives, **objectives}
        names = check_structure(self._inputs, whole, self._tasks, known, self._fields, whole=self._wiring.names.whole)
        self._wiring = Wiring.of({name: node.inputs for name, node in whole.items()}, names)
        self._given = tuple(whole)
        added = {name: self._adopt(f"node_{name}".replace(".", "__"), node.module) for name, node in nodes.items()}
        self._attributes = {**self._attributes, **added}
        for name, objective in objectives.items():
            self._objectives[name] = self._adopt(f"objective_{name}".replace(".", "__"), cast("Any", objective))
        self._asked = [*self._asked, *(task.output for task in tasks.values())]
        self._unconnected = tuple(objectives)

    def _settle(self, seed: int) -> None:
        """Find the shapes anew."""
        names, edges = self._wiring.names, {name: self._wiring.written(name) for name in self._wiring.order}
        inner = () if names.whole is None else [path for path, _ in self.node(names.whole).named_modules() if path]
        self._wiring = Wiring.of(edges, Names(edges, names.whole, inner))
        known = self._values
        asked = [name for name in known if self.node_of(name) is not None]
        inferred = self._pass(asked=asked, seed=seed, dtype=precision_of(self))
        self._values, self._parts = inferred.values, {**inferred.keys, **inferred.brought}
        self._need_two_rows = frozenset(inferred.need_two_rows)
        self._connect_anew(
            self._known(inferred), {name for name in known if known[name] != self._values.get(name)}, seed
        )
        check_outputs(self._tasks, self.objectives, self._fields, inferred)
        self._flops = None
        if self._frozen:
            trained = [unit for unit in self.units if unit not in self._frozen]
            self.train_only(trained, resting=self._resting & {*self.units})
        self._changed()

    def _connect_anew(self, known: Mapping[str, ValueInfo], changed: Collection[str], seed: int) -> None:
        """Let objectives check what has changed its shape; one with weights of its own has been followed into."""
        for name in self._unconnected:
            held = {self._key(node): self.node(node) for node in self.select(self.objectives[name].parameters_of)}
            connect(("tasks" if name in self._tasks else "objectives", name), self.objectives[name], known, held, seed)
        self._unconnected = ()
        for name, objective in self.objectives.items():
            own = any(True for _ in objective.parameters())  # type: ignore[attr-defined]
            if not own and not isinstance(objective, BroughtLoss) and {*changed} & {*objective.inputs}:
                connect(("tasks" if name in self._tasks else "objectives", name), objective, known, {}, None)

    def renew_field(self, field: FieldInfo) -> None:
        """Know another of the data's fields, in the place of the one of its name."""
        self._fields = {**self._fields, field.name: field}

    def _follow(self, found: IndexMap) -> None:
        """Let objectives take along what they keep beside parameters."""
        for objective in self.objectives.values():
            if isinstance(objective, Growable):
                held = {self._key(node): self.node(node) for node in self.select(objective.parameters_of)}
                objective.follow(parameters_of(held), found)
            if isinstance(objective, Remembering):
                objective.outgrow(cast("Model", self), found)

    def __getstate__(self) -> dict[str, Any]:
        # a copy has other modules than those that a surgery could be taken back on
        return {**self.__dict__, "_past": Past()}


def _tensors(model: torch.nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _parameters(tensors: Mapping[str, Tensor]) -> dict[str, torch.nn.Parameter]:
    return {name: tensor for name, tensor in tensors.items() if isinstance(tensor, torch.nn.Parameter)}


def _compare(before: Mapping[str, Tensor], after: Mapping[str, Tensor], text: str) -> None:
    """Refuse a surgery after which a value is another that should be the same."""
    for name, value in before.items():
        now = after.get(name)
        if now is None or now.shape != value.shape or not value.is_floating_point():
            continue
        allowed = _TOLERANCE if value.dtype != torch.float64 else _TOLERANCE * 1e-6
        difference = (now - value).abs().max()
        if not difference <= allowed * max(1.0, float(value.abs().max())):
            raise GraphError(
                f"{text}: {name!r} would not be what it was; its numbers would change by {float(difference):.3g}. A "
                "module in its way does more with its weights than can be followed."
            )
