"""Optimizers by name, with parameters in groups."""

from __future__ import annotations

import inspect
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch.optim import Optimizer

from jumpml.core import LearnerError, Problem, did_you_mean, refusal
from jumpml.learn.optimizers._group_names import NAME
from jumpml.learn.optimizers._joint import JointOptimizer
from jumpml.learn.optimizers._param_groups import Group, find_group_problems, share_out

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from jumpml.graph import Model
    from jumpml.learn.optimizers._param_groups import Share, Undecayed

RATE_SHARE = "lr_share"  # in a group of parameters: its learning rate over the optimizer's
NOTHING: Mapping[str, Any] = MappingProxyType({})


def make_optimizer(
    model: Model,
    kind: str = "adam",
    lr: float = 1e-3,
    *,
    groups: Sequence[Group] = (),
    layer_decay: float = 1.0,
    no_decay: Collection[Undecayed] = (),
    arguments: Mapping[str, Any] = NOTHING,
) -> Optimizer:
    """An optimizer of `torch.optim` over a model's parameters, fused where torch has that.

    Args:
        model: The model.
        kind: The class's name in any case.
        lr: The learning rate.
        groups: Nodes with a learning rate, arguments or an optimizer of their own.
        layer_decay: What the learning rate is multiplied by with each layer away from the outputs (Howard & Ruder
            2018, https://arxiv.org/abs/1801.06146).
        no_decay: What weight decay is not for: ``norms`` (normalization layers' weights), ``biases``.
        arguments: The class's own, such as ``{"momentum": 0.9}``.

    Returns:
        One optimizer, or a `JointOptimizer` where a group has its own kind.

    Raises:
        LearnerError: Torch has no such optimizer, it refuses its arguments, or a group names no node, or one that is in
            another group too.

    Example:
        >>> from torch import nn
        >>> from jumpml.core import ValueInfo
        >>> from jumpml.graph import Model, Node
        >>> nodes = {"body": Node(nn.Linear(4, 8), "x"), "head": Node(nn.Linear(8, 2), "body")}
        >>> model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=nodes)
        >>> optimizer = make_optimizer(model, "adamw", 0.01, layer_decay=0.5, no_decay=["biases"])
        >>> [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups]
        [(0.01, 0.01), (0.01, 0), (0.005, 0.01), (0.005, 0)]
    """
    problems = find_optimizer_problems(
        model, kind, lr=lr, groups=groups, layer_decay=layer_decay, no_decay=no_decay, arguments=arguments
    )
    if problems:
        raise refusal(LearnerError, problems)
    shares = share_out(model, groups, layer_decay=layer_decay, no_decay=no_decay)
    parts: dict[str, tuple[str, dict[str, Any], list[Share]]] = {}  # by name: kind, its arguments, its parameters
    for share in shares:
        group = None if share.group is None else groups[share.group]
        if group is None or group.kind is None:
            parts.setdefault("first", (kind, dict(arguments), []))[2].append(share)
        else:
            parts.setdefault(f"group {share.group}", (group.kind, dict(group.arguments), []))[2].append(share)
    members = {
        name: _make(known, [_param_group(share, groups, lr) for share in own], {"lr": lr, **told})
        for name, (known, told, own) in parts.items()
    }
    return JointOptimizer(members) if len(members) > 1 else next(iter(members.values()))


def _param_group(share: Share, groups: Sequence[Group], lr: float) -> dict[str, Any]:
    """A share as torch takes it."""
    own: dict[str, Any] = {} if share.group is None else {"lr": groups[share.group].lr, **groups[share.group].arguments}
    rate = share.rate * (own.pop("lr", None) or lr)
    name = "rest" if share.group is None else "+".join(groups[share.group].nodes)
    name += f"*{share.rate:g}" if share.rate != 1.0 else ""  # as deep as that
    group = {"params": share.parameters, **own, "lr": rate, RATE_SHARE: rate / lr, NAME: name}
    return group if share.decayed else {**group, "weight_decay": 0}


def _make(kind: str, groups: list[dict[str, Any]], arguments: Mapping[str, Any]) -> Optimizer:
    cls: Any = known_optimizers()[kind.lower()]
    fused = "fused" in arguments_of(cls) and not {"fused", "foreach", "dampening"} & arguments.keys()
    try:
        try:
            return cls(groups, **arguments, **({"fused": True} if fused else {}))
        except RuntimeError:  # this torch or device has no fused form
            return cls(groups, **arguments)
    except (TypeError, ValueError) as error:
        text = f"{cls.__name__} refuses its arguments: {error}."
        raise refusal(LearnerError, [Problem(("optimizer",), text)]) from None


@cache
def known_optimizers() -> dict[str, type[Optimizer]]:
    """What torch has, by name in lower case."""
    classes = [value for value in vars(torch.optim).values() if inspect.isclass(value)]
    # LBFGS evaluates the loss several times a step, which no phase, log or average here is made for
    return {
        cls.__name__.lower(): cls
        for cls in classes
        if issubclass(cls, Optimizer) and cls.__name__ not in {"Optimizer", "LBFGS"}
    }


def arguments_of(cls: type[Optimizer]) -> dict[str, Any]:
    """An optimizer's own arguments with their defaults."""
    parameters = list(inspect.signature(cls).parameters.values())[1:]
    return {parameter.name: parameter.default for parameter in parameters}


def find_optimizer_problems(
    model: Model,
    kind: str,
    *,
    lr: float = 1e-3,
    groups: Sequence[Group],
    layer_decay: float,
    no_decay: Collection[Undecayed],
    arguments: Mapping[str, Any],
) -> list[Problem]:
    """What is wrong with an optimizer before it is made; see `make_optimizer`."""
    problems = [*_wrong_kind(("optimizer",), kind, arguments)]
    for place, group in enumerate(groups):
        path = ("optimizer", "groups", place)
        problems += _wrong_kind(path, group.kind or kind, group.arguments, own=group.kind is not None)
    if not lr > 0:
        problems.append(Problem(("optimizer", "lr"), f"expected a number above 0, got {lr:g}."))
    if not 0 < layer_decay <= 1:
        text = f"expected a number above 0 and at most 1, got {layer_decay:g}."
        problems.append(Problem(("optimizer", "layer_decay"), text))
    problems += find_group_problems(model, groups)
    if not problems and no_decay:
        problems += _vain_decay(kind, groups, arguments)
    return problems


def _wrong_kind(
    path: tuple[str | int, ...], kind: str, arguments: Mapping[str, Any], *, own: bool = True
) -> Iterator[Problem]:
    known = known_optimizers()
    cls = known.get(kind.lower())
    if cls is None:
        if own:
            near = did_you_mean(kind.lower(), known)
            yield Problem((*path, "kind"), f"torch.optim has no optimizer {kind!r}.", near)
        return
    names = [*arguments_of(cls)]
    for name in arguments:
        if name not in names:
            yield Problem((*path, name), f"{cls.__name__} takes no such argument.", did_you_mean(name, names))


def _vain_decay(kind: str, groups: Sequence[Group], arguments: Mapping[str, Any]) -> Iterator[Problem]:
    """Leaving something out of a weight decay that there is not."""
    told = [(kind, arguments)]
    told += [(g.kind or kind, g.arguments if g.kind else {**arguments, **g.arguments}) for g in groups]
    decays = [{**arguments_of(known_optimizers()[name.lower()]), **own}.get("weight_decay") for name, own in told]
    if not any(decays):
        text = "there is no weight decay to leave anything out of."
        yield Problem(("optimizer", "no_decay"), text, "Set weight_decay, or leave no_decay out.")
