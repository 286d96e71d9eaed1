"""Balances objectives while a learner learns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, final

from jumpml.balance import GradientBalancer, LossBalancer
from jumpml.core import LearnerError, Problem, did_you_mean, refusal
from jumpml.learn._hook import Hook
from jumpml.learn.steps._at_node import AtNode
from jumpml.learn.steps._combined import Combined
from jumpml.learn.steps._weighed import Weighed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from torch import nn

    from jumpml.core import EpochRecord
    from jumpml.graph import Model
    from jumpml.learn._learner import Learner
    from jumpml.learn._phase import Phase
    from jumpml.learn._stage import Stage
    from jumpml.learn.steps._descent import Descends, Descent


@final
class Balancing(Hook):
    """Lets a balancer say what each objective counts, in each phase in which two or more that it balances are active.

    Objectives' own weights, and their ways over a phase, stay what losses are multiplied by first. With each phase what
    the balancer has learned begins afresh, and so with another learner. The log has ``balance/<objective>``, the
    multipliers, and of balancers that look at gradients ``cosine/<objective>/<objective>``, between each two of them.

    Args:
        balancer: What says it.
        over: The objectives, by name; the others are added. All but penalties on parameters where None.

    Raises:
        LearnerError: Fewer than two are named, or the balancer is neither one of losses nor one of gradients.

    Example:
        ``Learner(loaders, model, optimizer, hooks=[Balancing(UPGrad(at="encoder"))])``
    """

    name = "balance"

    def __init__(self, balancer: LossBalancer | GradientBalancer, over: Sequence[str] | None = None) -> None:
        if not isinstance(balancer, (LossBalancer, GradientBalancer)):
            told = f"expected a LossBalancer or a GradientBalancer, got {type(balancer).__name__}"
            raise LearnerError(f"balance: {told}. Derive it from one of the two.")
        self.balancer, self.over = balancer, None if over is None else tuple(over)
        if isinstance(over, str) or (over is not None and len(over) < 2):
            raise LearnerError(f"balance: expected `over` as two objectives' names or more, got {over!r}.")
        self._phase = ""
        self._descent: Weighed | Combined | AtNode | None = None

    def attach(self, learner: Learner) -> None:
        """Look at what there is to balance.

        Raises:
            LearnerError: There is no such objective or node, or nothing is to be balanced.
        """
        self._model, self._device = learner.model, learner.loaders.device
        self._phase, self._descent = "", None  # another learner's phase has taught it nothing of this one's
        problems = [*find_balance_problems(self.balancer, self.over, learner.model, learner.phases)]
        if problems:
            raise refusal(LearnerError, problems)

    def check_compiled(self) -> None:
        """The losses will be computed by code that `torch.compile` makes.

        Raises:
            LearnerError: Of that no gradients can be taken objective by objective.
        """
        if isinstance(self.balancer, GradientBalancer) or self.balancer.at is not None:
            kind = self.balancer.kind
            text = f"{kind} takes gradients objective by objective, which code that torch.compile makes does not allow."
            fix = "Leave it out, or balance by losses: uncertainty, dwa or famo."
            raise refusal(LearnerError, [Problem(("compile",), text, fix)])

    def on(self, stage: Stage, plain: Descent) -> Descends:
        """What makes gradients in a phase: the sum, where there is nothing to balance.

        Args:
            stage: The phase, as it is set up.
            plain: The sum.
        """
        names = balanced(self.over, self._model, stage.name, stage.active)
        if (stage.name, names) != (self._phase, self.balancer.names):
            self._phase = stage.name
            self.balancer.begin(names, self._device)
        self._descent = self._made(stage, plain) if len(names) > 1 else None
        return plain if self._descent is None else self._descent

    def read(self) -> dict[str, float]:
        """What objectives counted in the last update, and how their gradients lay to each other."""
        return self._descent.figures() if self._descent else {}

    def closed(self, record: EpochRecord) -> None:
        """Tell the balancer of the epoch's losses."""
        if self._descent:
            self.balancer.closed(record.losses)

    def state_dict(self) -> dict[str, Any]:
        """The balancer's, and of which objectives in which phase it is."""
        if self._descent is None:
            return {}
        told = {"kind": self.balancer.kind, "phase": self._phase, "names": [*self.balancer.names]}
        return {**told, "balancer": self.balancer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; one of another kind, or of other objectives, is of no use."""
        own = {"kind": self.balancer.kind, "phase": self._phase, "names": [*self.balancer.names]}
        if self._descent and all(state.get(key) == value for key, value in own.items()):
            self.balancer.load_state_dict(state["balancer"])

    def identity(self) -> str:
        """The balancer's, and over what it goes."""
        over = "" if self.over is None else f", over {', '.join(self.over)}"
        return self.balancer.identity() + over

    def _made(self, stage: Stage, plain: Descent) -> Weighed | Combined | AtNode:
        balancer = self.balancer
        if isinstance(balancer, LossBalancer):
            return Weighed(plain, balancer, stage.trained, _parameters(balancer.at, self._model, stage.trained))
        if balancer.at is None:
            return Combined(plain, balancer, stage.trained)
        return AtNode(plain, balancer, given_by(self._model, balancer.at))


class Compares(Protocol):
    """What looks at gradients: a balancer, or a mere look.

    Attributes:
        kind: What it is called.
        at: The node where it looks, if it has one.
    """

    kind: ClassVar[str]
    at: str | None


def find_balance_problems(
    balancer: Compares, over: Sequence[str] | None, model: Model, phases: Mapping[str, Phase]
) -> Iterator[Problem]:
    """What cannot be balanced so.

    Args:
        balancer: How, or what else compares gradients.
        over: The objectives; see `Balancing`.
        model: Whose they are.
        phases: In which they are active.
    """
    wrong = [name for name in over or () if name not in model.objectives]
    for name in wrong:
        near = did_you_mean(name, model.objectives)
        yield Problem(("balance", "over"), f"there is no objective {name!r}.", near)
    if balancer.at is not None and balancer.at not in model.node_names:
        near = did_you_mean(balancer.at, model.node_names)
        yield Problem(("balance", "at"), f"there is no node {balancer.at!r}.", near)
    elif not wrong:
        yield from _too_few(balancer, over, model, phases)


def _too_few(
    balancer: Compares, over: Sequence[str] | None, model: Model, phases: Mapping[str, Phase]
) -> Iterator[Problem]:
    ran = [name for name, phase in phases.items() if phase.epochs and model.active(name)]
    meant = {phase: balanced(over, model, phase, weightless=True) for phase in ran}
    found = {phase: balanced(over, model, phase) for phase in ran}
    if not any(len(names) > 1 for names in meant.values()):
        told = "; ".join(
            f"in {phase!r} there is {', '.join(map(repr, names)) or 'none'}" for phase, names in meant.items()
        )
        text = f"{balancer.kind} needs two objectives or more that are active at once: {told or 'no phase has any'}."
        yield Problem(("balance",), text, "Leave it out, or name the objectives with `over`.")
    elif not any(found.values()):
        names = ", ".join(dict.fromkeys(name for names in meant.values() for name in names))
        yield Problem(("balance",), f"the weights of {names} sum to zero: there is nothing to balance.")
    elif not any(len(names) > 1 for names in found.values()):
        zero = sorted({n for names in meant.values() for n in names} - {n for names in found.values() for n in names})
        text = f"{balancer.kind} needs two objectives or more with a weight above 0; that of {', '.join(zero)} is 0."
        yield Problem(("balance",), text, "Give them weights.")
    elif balancer.at is not None:
        yield from _wrong_node(balancer, found, model)


def _wrong_node(balancer: Compares, found: Mapping[str, Sequence[str]], model: Model) -> Iterator[Problem]:
    at = str(balancer.at)
    if isinstance(balancer, LossBalancer) and not any(True for _ in model.node(at).parameters()):
        text = f"node {at!r} has no parameters on which gradients could be compared."
        yield Problem(("balance", "at"), text, "Name the last node with parameters that all objectives share.")
        return
    alike = _alike(model, at)
    back = {*alike, *(name for node in alike for name in model.ancestors(node))} & {*model.node_names}
    if not any(True for node in back for _ in model.node(node).parameters()):
        text = f"neither node {at!r} nor one before it has parameters, so no gradient goes there."
        yield Problem(("balance", "at"), text, "Name a node behind what the objectives share.")
        return
    if not any(sum(_reads(model, name, alike) for name in names) > 1 for names in found.values()):
        told = dict.fromkeys(n for names in found.values() for n in names if _reads(model, n, alike))
        text = f"of the objectives that are compared {', '.join(map(repr, told)) or 'none'} depends on node {at!r}."
        yield Problem(("balance", "at"), text, "Name a node that two of them or more depend on.")


def balanced(
    over: Sequence[str] | None,
    model: Model,
    phase: str,
    active: Collection[str] | None = None,
    *,
    weightless: bool = False,
) -> tuple[str, ...]:
    """The objectives that are balanced in a phase; those whose weight is always 0 are not.

    Args:
        over: Those that were named; all but penalties on parameters where None.
        model: The model.
        phase: The phase.
        active: Those of the phase that learn; all that are active in it where None.
        weightless: Whether those whose weight is always 0 are told too.
    """
    names = [n for n in model.active(phase) if (n in over if over else model.objectives[n].inputs)]
    names = [n for n in names if active is None or n in active]
    objectives = model.objectives
    return tuple(n for n in names if weightless or objectives[n].weight or objectives[n].schedule is not None)


def _reads(model: Model, objective: str, nodes: Collection[str]) -> bool:
    read = [model.node_of(value) or value for value in model.objectives[objective].inputs]
    before = {name for value in read if value in model.node_names for name in model.ancestors(value)}
    return not before.union(read).isdisjoint(nodes)


def _alike(model: Model, node: str) -> list[str]:
    """A node, and those that share its module: one trunk, in however many places it stands."""
    return [name for name in model.node_names if model.node(name) is model.node(node)]


def given_by(model: Model, node: str) -> frozenset[str]:
    """A node's value, or the parts of it, and those of its likes; what modules inside it give is none."""
    alike = _alike(model, node)
    inner = {f"{name}.{path}" for name in alike for path, _ in model.node(name).named_modules()}
    parts = (name for name in model.values if model.node_of(name) in alike and name not in inner)
    return frozenset({*alike, *parts})


def _parameters(node: str | None, model: Model, trained: Sequence[nn.Parameter]) -> list[nn.Parameter]:
    """Those of a node that train; none of none."""
    own = set() if node is None else {id(parameter) for parameter in model.node(node).parameters()}
    return [parameter for parameter in trained if id(parameter) in own]
