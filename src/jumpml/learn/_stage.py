"""A phase under way: what trains, what runs at each step, and how the learning rate moves."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import torch
from torch.optim import SGD

from jumpml.core import COVERED, NEXT, POSITION, PRESENT, TOLD, LearnerError, Problem, field_of, refusal
from jumpml.learn.misfits._wrong_phases import refuse_idle
from jumpml.learn.optimizers._joint import members_of
from jumpml.learn.schedules._rates import Rates

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from torch import nn
    from torch.optim import Optimizer

    from jumpml.core import Objective
    from jumpml.data import DataLoaders, Order
    from jumpml.graph import LossPlan, Model
    from jumpml.learn._phase import Phase
    from jumpml.learn.steps._execution import Execution, Losses

    Way = Callable[[Order, bool], Order]

_LOG = logging.getLogger("jumpml")
MOST_TOLD = 5  # parameters that are named


class Stage:
    """Sets up model, loaders and optimizer for a phase.

    Args:
        name: The phase's name.
        phase: The phase.
        model: Nodes that do not train are frozen.
        loaders: The train loader serves what the phase's objectives read.
        optimizer: Its learning rates are the phase's; the state of parameters that begin to train is dropped.
        initial: By group of the optimizer, all but its parameters, as it was before training.
        execution: How losses are computed.
        accumulate: Batches of an update.
        positions: Whether batches hold each row's place, though no objective reads it.
        trained: The parameters that trained before.
        stopped: The tasks that are left out.

    Attributes:
        data: The data sets that the phase is told to draw from; all where empty.
        plan: What computes the losses of a step.
        served: What the train loader serves: fields, draws of views, and data sets.
        order: What says which rows come, in the place of the loaders' own order. None: that; a hook may set another as
            the phase is entered.
        ways: What hooks made of the order, one after the other; see `rearrange`.

    Raises:
        LearnerError: No objective is active, or nothing trains.
    """

    def __init__(
        self,
        name: str,
        phase: Phase,
        *,
        model: Model,
        loaders: DataLoaders,
        optimizer: Optimizer,
        initial: Sequence[Mapping[str, Any]],
        execution: Execution,
        accumulate: int = 1,
        positions: bool = False,
        trained: Collection[nn.Parameter] = (),
        stopped: Collection[str] = (),
    ) -> None:
        self.name = name
        self.untold = not stopped  # what is left out has no gradient, as it should
        self.data = phase.data
        self.order: Order | None = None
        self.ways: list[Way] = []
        refuse_idle(name, model)
        left_out, own = left_out_with(stopped, name, model)
        frozen = {*model.select(phase.freeze)}
        trains = [node for node in model.select(phase.train) if node not in frozen]
        model.train_only([n for n in trains if n not in own], resting=[n for n in trains if n in own])
        self.trained = _trained(name, model, optimizer)
        optimizer.zero_grad()  # the last gradient of what is frozen now would go on moving it
        before = {id(parameter) for parameter in trained}
        for parameter in self.trained:
            if id(parameter) not in before:  # what begins to train begins afresh
                optimizer.state.pop(parameter, None)
        _fill_momentum(optimizer, self.trained)
        self.active = frozenset(model.active(name)) - left_out
        self._made = model, loaders, execution
        self.plan: Losses = self.executed(self.active)
        served = _servable(model, loaders, name)
        asked = _read(model, name)
        loaders.bind([key for key in asked if key.endswith((NEXT, PRESENT)) and key in served])
        loaders.bind([key for key in asked if key.endswith(TOLD)])
        # penalties on parameters read no field, and a batch says by something how many rows it has
        counted = positions or not self.plan.fields
        places = [POSITION] if counted and POSITION not in self.plan.fields else []
        fields = [*(key for key in self.plan.fields if key in served), *places]
        self.served = fields, model.draws(name), phase.data
        loaders.train.serve(*self.served)  # an epoch is as long as the phase's data sets are
        updates = -(-len(loaders.train) // accumulate)
        steps = phase.epochs * updates
        self._rates = Rates(optimizer, initial, lr=phase.lr, schedule=phase.schedule, steps=steps, an_epoch=updates)

    def rearrange(self, way: Way) -> None:
        """Serve rows in the place of others, also when the phase is set up again because its model or its tasks change.

        Args:
            way: See `jumpml.data.Order.rearranged`.
        """
        _, loaders, _ = self._made
        self.ways.append(way)
        self.order = (self.order or loaders.train.drawing(self.data)).rearranged(way)

    def losses_of(self, only: Collection[str]) -> LossPlan:
        """What computes losses of the phase, in full precision.

        Args:
            only: The objectives.
        """
        model, loaders, _ = self._made
        return _plan(self.name, model, loaders, only)

    def executed(self, only: Collection[str]) -> Losses:
        """The same as steps compute them."""
        _, loaders, execution = self._made
        return execution.forward(self.losses_of(only), loaders.device)

    def tell_of_idle(self, model: Model) -> None:
        """Once, after the first update: name the parameters of nodes that ran, which no gradient has reached."""
        self.untold = False
        nodes = {name: model.node(name).named_parameters() for name in self.plan.nodes}
        trained = {id(parameter) for parameter in self.trained}
        idle = [f"{n}.{name}" for n, own in nodes.items() for name, p in own if id(p) in trained and p.grad is None]
        if idle:
            told = ", ".join(idle[:MOST_TOLD]) + (f" and {len(idle) - MOST_TOLD} more" if len(idle) > MOST_TOLD else "")
            _LOG.warning(
                "Phase %r: no gradient reaches %s. No active objective depends on them: they stay as they are. Freeze "
                "the node, or see whether its module uses them.",
                self.name,
                told,
            )

    def advance(self) -> None:
        """Move the learning rates on by one step; past the phase's last one they stay.

        Raises:
            LearnerError: Somebody else has moved them.
        """
        self._rates.advance()

    def closed(self, val: Mapping[str, float]) -> None:
        """Take in the figures of an epoch's validation, which a schedule may follow."""
        self._rates.closed(val)

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule stands, and what rows are of."""
        return {"rates": self._rates.state_dict(), "data": [*self.data]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; the optimizer must have its own already."""
        self._rates.load_state_dict(state["rates"])


def _trained(name: str, model: Model, optimizer: Optimizer) -> list[nn.Parameter]:
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    nodes = [p for node in model.node_names for p in model.node(node).parameters() if p.requires_grad]
    if not any(id(parameter) in held for parameter in nodes):
        text = "nothing trains in this phase: its nodes have no parameters that the optimizer holds."
        raise refusal(LearnerError, [Problem(("phases", name, "train"), text)])
    return [parameter for parameter in model.parameters() if parameter.requires_grad and id(parameter) in held]


def _fill_momentum(optimizer: Optimizer, trained: Collection[nn.Parameter]) -> None:
    """Give momentum buffers of zero to the parameters that have none.

    Torch's fused SGD (2.13) fails where some parameters of a step have a buffer and others do not yet. A first step
    from zeros is the first step from nothing, to the bit, without dampening; with dampening no fused one is made.
    """
    trains = {id(parameter) for parameter in trained}
    for member in members_of(optimizer):
        for group in member.param_groups if isinstance(member, SGD) else ():
            for parameter in group["params"]:
                if group["fused"] and group["momentum"] and id(parameter) in trains:
                    member.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))


def left_out_with(stopped: Collection[str], phase: str, model: Model) -> tuple[frozenset[str], set[str]]:
    """What no longer counts where tasks are left out of a phase: objectives, and what of the model is frozen.

    Args:
        stopped: The tasks.
        phase: The phase.
        model: Whose they are.
    """
    own = {*model.select(model.own_nodes(*stopped))}
    read = {name: _nodes_of(model.objectives[name], model) for name in model.active(phase)}
    return frozenset(name for name, nodes in read.items() if name in stopped or (nodes and nodes <= own)), own


def _nodes_of(objective: Objective, model: Model) -> set[str]:
    """The nodes whose values, or whose parameters, an objective is of."""
    read = [node for value in objective.inputs if (node := model.node_of(value))]
    return {*model.select([*read, *objective.parameters_of])}


def _plan(phase: str, model: Model, loaders: DataLoaders, only: Collection[str]) -> LossPlan:
    draws = model.draws(phase)
    plain = _servable(model, loaders, phase)
    available = {*plain, *(name + PRESENT for name, info in loaders.fields.items() if info.missing)}
    available |= {name + COVERED for name, info in loaders.fields.items() if info.lacking}
    for draw in draws:
        touched = loaders.view_fields[draw.rpartition(".")[0]]
        available |= {f"{name}@{draw}" for name in plain if field_of(name) in touched}
        available |= {f"{name}@{draw}" for name in loaders.told[draw.rpartition(".")[0]]}
    return model.plan_losses(phase, available, only)


def _servable(model: Model, loaders: DataLoaders, phase: str) -> set[str]:
    """What batches can hold of the fields; ``age.present`` only where a node or an objective reads it."""
    asked = {*model.inputs, *_read(model, phase)}
    return {key for key in (*loaders.servable, POSITION) if not key.endswith(PRESENT) or key in asked}


def _read(model: Model, phase: str) -> list[str]:
    """What a phase's objectives read."""
    return [read for name in model.active(phase) for read in model.objectives[name].inputs]
