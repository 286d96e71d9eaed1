"""Plans: what runs for a set of values, or for a phase's losses. Made once, called at every step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, final

import torch

from jumpml.core import GraphError, Loss, Objective, did_you_mean
from jumpml.graph._brought import BroughtLoss
from jumpml.graph._objectives import draws_of
from jumpml.graph._program import Program, Request, key
from jumpml.graph._routine import LossStep, Routine

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.graph._compiler import Compiler


@final
class Plan:
    """Computes named values, running only the nodes that they depend on.

    Attributes:
        names: The values: inputs, nodes or ``node.part``.
        fields: The batch's keys that are read.
    """

    def __init__(self, names: tuple[str, ...], program: Program) -> None:
        self.names = names
        self.fields = program.fields
        self._routine = Routine(program, {name: program.slots[name, None] for name in names})

    def __call__(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The values by name.

        Args:
            batch: At least ``fields``.

        Raises:
            GraphError: The batch lacks a field.
        """
        return self._routine(batch)[1]


@final
class LossPlan:
    """Computes a phase's losses, running only the nodes that its objectives reach.

    Attributes:
        fields: The batch's keys that are read.
        nodes: The nodes that run.
    """

    def __init__(
        self, program: Program, losses: tuple[LossStep, ...], tensors: Collection[str], fixed: Collection[str] = ()
    ) -> None:
        self.fields = program.fields
        self.nodes = tuple(dict.fromkeys(step.node for step in (*program.frozen, *program.live)))
        first = len(program.fields)
        named = {
            key(request): slot for request, slot in program.slots.items() if slot >= first and request[0] in tensors
        }
        self._routine = Routine(program, named, losses)
        self._program, self._losses = program, losses
        self._differentiates = bool(program.traced)
        self._fixed = frozenset(fixed)  # losses that are made of gradients, and that no node that learns changes

    def __call__(self, batch: Mapping[str, Tensor]) -> tuple[dict[str, Loss], dict[str, Tensor]]:
        """The losses by objective, and every node's output by name (``encoder``, ``encoder@strong.0``, ``lstm.0``).

        Weights are not applied.

        Args:
            batch: At least ``fields``.

        Raises:
            GraphError: The batch lacks a field.
        """
        if not self._differentiates:
            return self._routine(batch)
        return (_apart if torch.compiler.is_dynamo_compiling() else LossPlan._of_gradients)(self, batch)

    def _of_gradients(self, batch: Mapping[str, Tensor]) -> tuple[dict[str, Loss], dict[str, Tensor]]:
        wanted = torch.is_grad_enabled()
        with torch.inference_mode(False), torch.enable_grad():  # such a loss is made of gradients
            # tensors that were made without any gradient in mind cannot take part as they are
            batch = {name: value.clone() if value.is_inference() else value for name, value in batch.items()}
            losses, values = self._routine(batch)
        done = self._fixed if wanted else losses.keys()
        return {name: Loss(v.detach(), p) if name in done else Loss(v, p) for name, (v, p) in losses.items()}, values

    def counted(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
        """By objective, the rows that will count, bool ``[batch]``, before any node has run; None where all do.

        Args:
            batch: At least ``fields``.
        """
        names = self._program.fields
        found: dict[str, Tensor | None] = {}
        for loss in self._losses:
            there = [batch[names[position]] for position in loss.present]
            present = torch.stack(there).all(0) if there else None
            ahead = getattr(self._program.modules[loss.module], "counted", None)
            inputs = [batch[names[position]] if position < len(names) else None for position in loss.positions]
            found[loss.objective] = present if ahead is None else ahead(*inputs, present=present)
        return found


def _apart(plan: LossPlan, batch: Mapping[str, Tensor]) -> tuple[dict[str, Loss], dict[str, Tensor]]:
    """Where ``torch.compile`` traces, one break of its graph: what it makes has no gradients of gradients."""
    disable: Any = torch.compiler.disable
    return disable(plan._of_gradients)(batch)


# what torch.compiler.disable sets; but that imports the compiler, for a second
_apart._torchdynamo_disable = True  # pyright: ignore[reportFunctionMemberAccess]
_apart._torchdynamo_disable_msg = "an objective takes gradients of gradients, which torch.compile has not"  # pyright: ignore


def compile_plan(names: Iterable[str], known: Collection[str], compiler: Compiler) -> Plan:
    """A plan for values.

    Args:
        names: The values.
        known: The names of all inputs, nodes and parts.
        compiler: For the batch's keys.

    Raises:
        GraphError: A name is unknown, or a field is not available.
    """
    if isinstance(names, str):
        raise GraphError(f"expected a list of outputs, got the text {names!r}. Write [{names!r}].")
    names = tuple(names)
    for name in names:
        if name not in known:
            raise GraphError(f"there is no input, node or part {name!r}. {did_you_mean(name, known)}".rstrip())
    requests: list[Request] = [(name, None) for name in names]
    missing = compiler.missing(requests)
    if missing:
        need = f"{', '.join(names)} need{'s' if len(names) == 1 else ''} {', '.join(map(repr, missing))}"
        raise GraphError(f"{need}, which the batch lacks; it holds: {compiler.holds}.")
    return Plan(names, compiler.compile(requests))


def compile_losses(
    active: Mapping[str, tuple[Objective, str]], compiler: Compiler, values: Collection[str]
) -> LossPlan:
    """A plan for the losses of objectives.

    Args:
        active: By name, an objective and its key in the model's table of modules.
        compiler: For the batch's keys.
        values: The names that stand for one tensor.

    Raises:
        GraphError: A field or a view is not available.
    """
    wanted = {
        name: [] if isinstance(objective, BroughtLoss) else _requests(name, objective, compiler)
        for name, (objective, _) in active.items()
    }
    read = [request for requests in wanted.values() for request in requests]
    for name, (objective, _) in active.items():
        if isinstance(objective, BroughtLoss):
            wanted[name] = _brought(name, objective, compiler, read)
    present = {name: compiler.present(objective.inputs) for name, (objective, _) in active.items()}
    requests = [request for name in active for request in (*wanted[name], *present[name])]
    program = compiler.compile(requests, _traced(active, wanted))
    steps = tuple(
        LossStep(
            name, module, tuple(program.slots[r] for r in wanted[name]), tuple(program.slots[r] for r in present[name])
        )
        for name, (_, module) in active.items()
    )
    return LossPlan(program, steps, values, _fixed(active, wanted, compiler))


def _fixed(
    active: Mapping[str, tuple[Objective, str]], wanted: Mapping[str, Sequence[Request]], compiler: Compiler
) -> list[str]:
    """Objectives that take gradients through frozen nodes alone: their losses have one, and it leads nowhere."""
    return [
        name
        for name, (objective, _) in active.items()
        if objective.differentiates
        and not compiler.learns(wanted[name])
        and not any(True for _ in cast("nn.Module", objective).parameters())
    ]


def _traced(active: Mapping[str, tuple[Objective, str]], wanted: Mapping[str, Sequence[Request]]) -> list[Request]:
    """What objectives take gradients by."""
    return [
        wanted[name][place * len(wanted[name]) // len(objective.inputs) + draw]
        for name, (objective, _) in active.items()
        for place in objective.differentiates
        for draw in range(len(wanted[name]) // len(objective.inputs))
    ]


def _brought(name: str, objective: BroughtLoss, compiler: Compiler, read: Sequence[Request]) -> list[Request]:
    """A loss that a node brings, once a call of the node."""
    (reference,) = objective.inputs
    draws = compiler.draws_of_node(reference.rpartition(".")[0], read) or [None]
    requests: list[Request] = [(reference, draw) for draw in draws]
    _refuse_missing(name, requests, compiler)
    return requests


def _requests(name: str, objective: Objective, compiler: Compiler) -> list[Request]:
    """What an objective reads: each input, once a draw where it has views."""
    for draw in draws_of(objective):
        if all(compiler.drawn(reference, draw)[1] is None for reference in objective.inputs):
            raise GraphError(
                f"objective {name!r} needs the view {draw!r} of a field that {', '.join(objective.inputs)} depends on, "
                f"which the batch lacks; it holds: {compiler.holds}."
            )
    draws = draws_of(objective) or (None,)
    requests = [
        compiler.drawn(reference, draw)
        for reference in objective.inputs
        for draw in _computed_on(draws, reference, objective, compiler)
    ]
    _refuse_missing(name, requests, compiler)
    return requests


def _computed_on(
    draws: Sequence[str | None], reference: str, objective: Objective, compiler: Compiler
) -> Sequence[str | None]:
    """The draws on which a value is had, one for each; that of a node may stand for it on later ones too."""
    most = getattr(objective, "nodes_on", None)
    if most is None or compiler.is_field(reference):
        return draws
    return [draws[min(place, most - 1)] for place in range(len(draws))]


def _refuse_missing(name: str, requests: Sequence[Request], compiler: Compiler) -> None:
    missing = compiler.missing(requests)
    if missing:
        needs = ", ".join(map(repr, missing))
        raise GraphError(f"objective {name!r} needs {needs}, which the batch lacks; it holds: {compiler.holds}.")
