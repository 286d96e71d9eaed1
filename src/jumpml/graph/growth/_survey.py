"""A model's units, and what stands in the way of there being more or fewer of them."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from jumpml.core import GraphError, JumpMLError, did_you_mean
from jumpml.graph._inference import some_rows
from jumpml.graph._inferred import ROWS
from jumpml.graph._objectives import draws_of
from jumpml.graph.growth._adapters import ADAPTERS
from jumpml.graph.growth._follow import Follower, watching
from jumpml.graph.growth._rules import rule_of
from jumpml.graph.growth._units import swept

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from jumpml.graph._model import Model
    from jumpml.graph.growth._units import Labels, Units


def survey(model: Model) -> list[Units]:
    """Follow the units of every layer through the model, in a pass of two rows.

    Args:
        model: It is as it was afterwards.
    """
    names = module_names(model)
    owners: dict[int, str] = {}
    called: dict[int, str] = {}
    for module, name in names.items():
        for own, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
            owners.setdefault(id(tensor), name)
            called.setdefault(id(tensor), own)
    follower = Follower(owners, _declared(names), rule_of)
    with watching(follower, names), _evaluating(model):  # no objective notes these rows, nor draws
        values = rows_of(model)
        for name, task in model.tasks.items():
            _block(follower, values[task.output], f"they are the output of task {name!r}")
        if not model.tasks:
            for name in model({field: values[field] for field in model.inputs}):
                _block(follower, values[name], f"they are the model's output {name!r}")
        for name, objective in model.objectives.items():
            if not getattr(objective, "follows_width", False):
                copied = any(isinstance(module, type(model)) for module in objective.modules())  # type: ignore[attr-defined]
                given = [values.get(reference) for reference in objective.inputs]
                _ask(follower, name, objective, given, copied=copied)
    found = [units for units in follower.all if units.root is units]
    _tell_apart(found, called)
    return found


def _tell_apart(found: Sequence[Units], called: Mapping[int, str]) -> None:
    """Name units by their weight too where a module makes several kinds, as one with a branch of low rank does."""
    many = Counter(units.makers[0] for units in found)
    for units in found:
        weight = called[id(next(iter(units.members.values())).tensor)]
        if many[units.makers[0]] > 1 and weight != "weight":
            units.makers[0] += f".{weight}"


def rows_of(model: Model) -> dict[str, Tensor]:
    """All values of two rows, in evaluation mode, without a trace."""
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    dtype = precision_of(model)
    batch = {name: some_rows(value, ROWS, dtype).to(device) for name, value in model.inputs.items()}
    with torch.no_grad(), _evaluating(model):
        wanted = [name for name in model.values if model.node_of(name) is not None]
        return {**batch, **model.plan(wanted, tuple(batch))(batch)}


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Inside, all of a model is in evaluation mode."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def precision_of(model: nn.Module) -> torch.dtype:
    """The floating point type of a model's parameters."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)


def module_names(model: Model) -> dict[nn.Module, str]:
    """Every module by the name that `Model.node` knows it by; an objective's by its own."""
    found: dict[nn.Module, str] = {}
    for node in model.node_names:
        for path, module in model.node(node).named_modules():
            found.setdefault(module, f"{node}.{path}" if path else node)
    for name, objective in model.objectives.items():
        for path, module in objective.named_modules():  # type: ignore[attr-defined]
            found.setdefault(module, f"objective {name}.{path}" if path else f"objective {name}")
    return found


def _declared(names: dict[nn.Module, str]) -> dict[int, Labels]:
    """What modules say of units that are not one an output, such as an attention's heads."""
    found: dict[int, Labels] = {}
    for module in names:
        told = getattr(module, "unit_labels", None)
        if told is not None:
            found |= {id(weight): swept(*sweeps) for weight, sweeps in told()}
    # a branch of low rank gives what the weight beside it gives
    found |= {id(m.up): found[id(m.weight)] for m in names if isinstance(m, ADAPTERS) and id(m.weight) in found}
    return found


def _block(follower: Follower, value: Tensor, why: str) -> None:
    place = follower.place(value)
    if place is not None:
        place.block(why)


def _ask(follower: Follower, name: str, objective: Any, given: list[Tensor | None], *, copied: bool) -> None:
    """Follow units into an objective that has weights of its own."""
    tracked = [value for value in given if value is not None and follower.place(value) is not None]
    if not tracked or not any(True for _ in (*objective.parameters(), *objective.buffers())):
        return
    if copied:
        _block(follower, tracked[0], f"objective {name!r} keeps a copy of what gives them")
        return
    drawn = [value for value in given for _ in draws_of(objective) or (None,)]
    try:
        objective(*drawn)
    except (JumpMLError, RuntimeError, TypeError, AttributeError, ValueError):
        for value in tracked:
            _block(follower, value, f"objective {name!r} has weights of its own that read them")


def chosen(model: Model, name: str) -> list[Units]:
    """The units of a node, or of a module inside one, that can be more or fewer.

    Args:
        model: The model.
        name: A node, or ``node.path``: all units that are made in it.

    Raises:
        GraphError: There is no such node, it makes no units, or something stands in the way of all of them.
    """
    model.node(name)
    found = [units for units in survey(model) if any(_is_in(maker, name) for maker in units.makers)]
    if not found:
        names = {maker for units in survey(model) for maker in units.makers}
        raise GraphError(f"{name!r} makes no units: {_lacking(model, name)} {did_you_mean(name, names)}".rstrip())
    free = [units for units in found if not units.obstacles]
    if not free:
        told = "; ".join(f"of {units.makers[0]!r}: {units.obstacles[0]}" for units in found)
        fix = "Name a node or a module inside one whose units only linear, convolutional or recurrent layers read."
        raise GraphError(
            f"the units of {name!r} cannot become more or fewer without changing its outputs: {told}. {fix}"
        )
    return free


def _lacking(model: Model, name: str) -> str:
    """What a node has not that would make units."""
    if any(isinstance(module, nn.MultiheadAttention) for module in model.node(name).modules()):
        return (
            "torch.nn.MultiheadAttention has one width for what it reads, for all its heads together and for what it "
            "gives, so that no head can be added alone. Take jumpml.blocks.TransformerEncoder, whose heads can grow."
        )
    return "it has no linear, convolutional or recurrent layer and no attention of JumpML's."


def _is_in(maker: str, name: str) -> bool:
    return maker == name or maker.startswith(f"{name}.")
