"""What to call an optimizer's groups of parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml.learn.optimizers._joint import JointOptimizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch.optim import Optimizer

    from jumpml.graph import Model

NAME = "name"  # in a group of parameters: what to call it
_MOST = 3  # nodes that a name names


def group_names(optimizer: Optimizer, model: Model) -> list[str]:
    """By place, a name for each group: its own, else that of its optimizer among several, else its nodes'.

    Args:
        optimizer: Over the model's parameters. A group's own name is what it has under ``"name"``; groups that are made
            from options have one.
        model: Knows whose the parameters are.
    """
    nodes = {id(parameter): _owner(name) for name, parameter in model.named_parameters()}
    names: list[str] = []
    for member, group in _members(optimizer):
        held = [*dict.fromkeys(nodes.get(id(parameter), "") for parameter in group["params"])]
        several = "+".join(held[:_MOST]) + ("+..." if len(held) > _MOST else "")
        name = str(group.get(NAME) or member or several or "empty")
        names.append(name if NAME in group or name not in names else f"{name} {len(names)}")
    return names


def rates_of(optimizer: Optimizer, names: Sequence[str]) -> dict[str, float]:
    """By name, the learning rate of each group as it is; of groups with one name the first one's.

    Args:
        optimizer: The optimizer.
        names: Of its groups, or nothing.
    """
    rates: dict[str, float] = {}
    for name, group in zip(names, optimizer.param_groups, strict=False):
        rates.setdefault(name, float(group["lr"]))
    return rates


def _owner(parameter: str) -> str:
    """The node or objective of a parameter of a model, by the parameter's name."""
    return parameter.partition(".")[0].removeprefix("node_").removeprefix("objective_")


def _members(optimizer: Optimizer) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every group, with the name that its optimizer was given."""
    if not isinstance(optimizer, JointOptimizer):
        yield from (("", group) for group in optimizer.param_groups)
        return
    for name, member in optimizer.members.items():
        given = "" if name.isdigit() else name
        yield from ((given, group) for group in member.param_groups)
