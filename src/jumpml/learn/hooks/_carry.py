"""What an optimizer remembers of parameters, taken along when a model grows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from jumpml.learn.optimizers._joint import members_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import nn
    from torch.optim import Optimizer

    from jumpml.graph import Growth


def carry_optimizer(optimizer: Optimizer, growth: Growth) -> None:
    """Let an optimizer hold the parameters that a model has now, with what it remembers of what they are made of.

    A parameter that took another's place stands in its place. One that is new stands at the end of the group that has
    others of its node, with state of its own to come.

    Where part of a parameter is fresh, its moments are zeros there, and the one count of steps that Adam has for all of
    it goes on. So what is fresh takes longer steps at first, up to six times: its second moment is taken for whole.
    That is meant: units that were added catch up (docs/results.md has the figures). With the mean of the old second
    moments they would stall, since what is read with weights of zero has small gradients.

    Args:
        optimizer: Over the parameters that the model had.
        growth: What became of them.
    """
    for member in members_of(optimizer):
        for group in member.param_groups:
            group["params"] = [*_carried_group(member, group, growth)]
    _take_in(optimizer.param_groups, growth)


def _carried_group(optimizer: Optimizer, group: Mapping[str, Any], growth: Growth) -> Iterator[nn.Parameter]:
    """A group's parameters as they are now."""
    now = {old: new for new, old in growth.index_map.before.items()}
    names = {id(parameter): name for name, parameter in growth.before.items()}
    for parameter in group["params"]:
        name = now.get(names[id(parameter)])
        if name is None:  # it is gone
            optimizer.state.pop(parameter, None)
        else:
            yield _carried(optimizer, group, growth, parameter, name)


def _carried(
    optimizer: Optimizer, group: Mapping[str, Any], growth: Growth, old: nn.Parameter, name: str
) -> nn.Parameter:
    """The parameter that took the place of another, with its state."""
    new = growth.after[name]
    state = optimizer.state.pop(old, None) if new is not old else None
    if not state:
        return new
    fills = {
        "step_size": float(group["lr"]),  # of Rprop
        "sum": group.get("initial_accumulator_value", 0.0),  # of Adagrad
        "ax": new.detach(),  # of ASGD: the averaged parameter itself
    }
    optimizer.state[new] = {
        key: growth.index_map.carry(name, value, fills.get(key, 0.0))
        if isinstance(value, torch.Tensor) and value.ndim == old.ndim and value.ndim > 0
        else value
        for key, value in state.items()
    }
    return new


def _take_in(groups: Sequence[dict[str, Any]], growth: Growth) -> None:
    """Give an optimizer the parameters that are new, each in the group that has others of its node."""
    names = {id(parameter): name for name, parameter in growth.after.items()}
    for name, parameter in growth.after.items():
        if name in growth.index_map.before:
            continue
        node = name.partition(".")[0]
        own = [
            (other, group)
            for group in groups
            for other in group["params"]
            if names.get(id(other), "").partition(".")[0] == node
        ]
        alike = [group for other, group in own if (other.ndim > 1) == (parameter.ndim > 1)]
        (alike or [group for _, group in own] or groups)[0]["params"].append(parameter)
