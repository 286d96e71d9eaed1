"""Which parameters share a learning rate and a weight decay."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from jumpml.core import GraphError, LearnerError, Problem, refusal
from jumpml.learn.optimizers._depth import NORM, rate_shares

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from torch import nn

    from jumpml.graph import Model

Undecayed = Literal["norms", "biases"]

MATRICES_ONLY = ("muon",)  # optimizers that refuse any other shape

_BIAS = re.compile(r"^bias(_|$)|_bias$")  # torch's recurrent layers have bias_ih_l0, its attention in_proj_bias


@dataclass(frozen=True, kw_only=True)
class Group:
    """Nodes that learn at their own rate, with their own arguments, or by another optimizer.

    Attributes:
        nodes: Patterns of the nodes; see `Model.select`.
        lr: Their learning rate; the optimizer's own where None.
        kind: Another optimizer for them, which then shares no argument with the first; the same one where None.
        arguments: What the optimizer is told of them beside `lr`, such as ``{"weight_decay": 0.0}``.
    """

    nodes: tuple[str, ...]
    lr: float | None = None
    kind: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class Share:
    """Parameters that are treated alike.

    Attributes:
        group: The place of their group; None for what no group names.
        rate: What their learning rate is multiplied by, for how deep they lie.
        decayed: Whether weight decay is for them.
        parameters: The parameters.
    """

    group: int | None
    rate: float
    decayed: bool
    parameters: list[nn.Parameter] = field(default_factory=list)


def share_out(
    model: Model, groups: Sequence[Group] = (), *, layer_decay: float = 1.0, no_decay: Collection[Undecayed] = ()
) -> list[Share]:
    """Every parameter of a model in exactly one share.

    Args:
        model: The model, with the objectives' own parameters.
        groups: Nodes that are treated apart.
        layer_decay: What the learning rate is multiplied by with each layer away from the outputs.
        no_decay: What is left out of weight decay.

    Returns:
        First what no group names, then group by group; of each first the layers that are nearest to the outputs.

    Raises:
        LearnerError: A group's pattern names no node, its nodes have no parameters, or two groups have the same ones.
    """
    owners = _owners(model, groups)
    rates = rate_shares(model, layer_decay)
    undecayed = {id(parameter) for parameter in _undecayed(model, no_decay)}
    shares: dict[tuple[int | None, float, bool], Share] = {}
    for parameter in model.parameters():
        key = (owners.get(id(parameter)), rates.get(id(parameter), 1.0), id(parameter) not in undecayed)
        shares.setdefault(key, Share(group=key[0], rate=key[1], decayed=key[2])).parameters.append(parameter)
    return sorted(shares.values(), key=lambda s: (-1 if s.group is None else s.group, -s.rate, not s.decayed))


def find_group_problems(model: Model, groups: Sequence[Group]) -> list[Problem]:
    """What is wrong with groups of nodes, each by its place."""
    problems, taken = [], dict[int, tuple[int, str]]()
    for place, group in enumerate(groups):
        path = ("optimizer", "groups", place, "nodes")
        try:
            units = model.select(group.nodes)
        except GraphError as error:
            problems.append(Problem(path, str(error)))
            continue
        held = [(unit, parameter) for unit in units for parameter in _own(model, unit)]
        if not held:
            problems.append(Problem(path, f"{', '.join(units)} has no parameters.", "Leave the group out."))
        twice = {unit: taken[id(p)] for unit, p in held if id(p) in taken}
        for unit, (other, known) in twice.items():
            same = f"node {unit!r} is" if unit == known else f"nodes {unit!r} and {known!r} share weights that are"
            text = f"{same} in group {other} too: a parameter has one group."
            problems.append(Problem(path, text, "Take patterns that do not overlap."))
        taken |= {id(parameter): (place, unit) for unit, parameter in held}
    return problems


def _owners(model: Model, groups: Sequence[Group]) -> dict[int, int]:
    """By parameter, the place of its group."""
    problems = find_group_problems(model, groups)
    if problems:
        raise refusal(LearnerError, problems)
    return {
        id(parameter): place
        for place, group in enumerate(groups)
        for unit in model.select(group.nodes)
        for parameter in _own(model, unit)
        if parameter.ndim == 2 or (group.kind or "").lower() not in MATRICES_ONLY
    }


def _own(model: Model, unit: str) -> Iterator[nn.Parameter]:
    """A node's parameters; of a module inside a wrapped net those that no module in it has."""
    return model.node(unit).parameters(recurse=unit in model.node_names)


def _undecayed(model: nn.Module, what: Collection[Undecayed]) -> Iterator[nn.Parameter]:
    for module in model.modules():
        norm = NORM.search(type(module).__name__)
        for name, parameter in module.named_parameters(recurse=False):
            if (norm and "norms" in what) or ("biases" in what and _BIAS.search(name)):
                yield parameter
