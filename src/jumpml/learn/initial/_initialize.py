"""The weights that learning begins with: drawn by pattern of nodes, scaled by data, or another run's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from jumpml.core import (
    GraphError,
    InitializationRecord,
    LearnerError,
    Problem,
    derive_seed,
    refusal,
)
from jumpml.learn._drawable import SCALED, Drawable, drawables
from jumpml.learn.initial._lsuv import scale_layers
from jumpml.learn.initial._schemes import LSUV, Scheme

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.data import DataLoaders
    from jumpml.graph import Model


@dataclass(frozen=True)
class Drawing:
    """How the nodes of a model begin.

    Attributes:
        scheme: That of all nodes; None leaves what their modules drew.
        nodes: By pattern of nodes, another one; where several name a node, the last counts.
    """

    scheme: Scheme | None = None
    nodes: Mapping[str, Scheme | None] | None = None

    def of(self, model: Model) -> dict[str, Scheme]:
        """By node, how it is drawn; nodes with weights from elsewhere keep these.

        Raises:
            GraphError: A pattern names no node.
        """
        found: dict[str, Scheme | None] = dict.fromkeys(model.units, self.scheme)
        for pattern, scheme in (self.nodes or {}).items():
            found |= dict.fromkeys(_units(model, model.select([pattern])), scheme)
        return {name: scheme for name, scheme in found.items() if scheme is not None and name not in model.loaded}


class Part(NamedTuple):
    """What is drawn of a node, and how."""

    scheme: Scheme
    layers: list[Drawable]


def initialize(
    model: Model,
    scheme: Scheme | None = None,
    *,
    nodes: Mapping[str, Scheme | None] | None = None,
    loaders: DataLoaders | None = None,
    seed: int = 0,
) -> dict[str, InitializationRecord]:
    """Draw a model's weights anew, before it has learned anything.

    Drawn are the weights of torch's linear, convolutional, recurrent, attention and embedding layers, the gates of a
    recurrent layer and the projections of an attention each for themselves; other parameters, such as the scales of a
    normalization, keep their first values, and so do nodes with weights from elsewhere (``model.loaded``). Each weight
    is a function of the seed and of its name; torch's global generator is left alone. A module that several nodes share
    is drawn once.

    Args:
        model: The model.
        scheme: How; None draws only what ``nodes`` names.
        nodes: By pattern of nodes, another scheme, or None for what their modules drew; where several name a node, the
            last counts.
        loaders: Of `LSUV`: the data, whose first train batch is passed.
        seed: What is drawn, together with the weights' names.

    Returns:
        By node, what was drawn.

    Raises:
        LearnerError: A pattern names no node, or only nodes in which nothing is drawn; or `LSUV` has no data.

    Example:
        >>> from torch import nn
        >>> from jumpml.core import ValueInfo
        >>> from jumpml.graph import Model, Node
        >>> from jumpml.learn import Orthogonal, Zeros
        >>> net = {"body": Node(nn.Linear(4, 4), "x"), "out": Node(nn.Linear(4, 2), "body")}
        >>> model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=net)
        >>> made = initialize(model, Orthogonal(), nodes={"out": Zeros()})
        >>> str(made["body"]), bool(model.node("out").weight.any())
        ('orthogonal (gain 1), 1 weight', False)
    """
    drawing = Drawing(scheme, nodes)
    problems = [*find_drawing_problems(drawing, model)]
    if problems:
        raise refusal(LearnerError, problems)
    schemes = drawing.of(model)
    scaled = [name for name, one in schemes.items() if isinstance(one, LSUV)]
    if scaled and loaders is None:
        raise LearnerError(f"lsuv passes a train batch, for {', '.join(scaled)}. Give the data, as loaders=....")
    parts = {name: Part(schemes[name], _layers(model, name)) for name in _owners(model, schemes)}
    made = {name: _draw(name, part, seed) for name, part in parts.items() if part.layers}
    if loaders is not None and scaled:
        lsuv = {name: part for name, part in parts.items() if name in scaled}
        made |= _scaled(model, _first_batch(model, loaders, seed), lsuv, made)
    return made


def find_drawing_problems(drawing: Drawing, model: Model) -> Iterator[Problem]:
    """Patterns that name no node, or only nodes in which nothing is drawn.

    Args:
        drawing: What is asked for.
        model: The model.
    """
    for pattern, scheme in (drawing.nodes or {}).items():
        path = ("initialize", "nodes", pattern)
        try:
            named = model.select([pattern])
        except GraphError as error:
            yield Problem(path, str(error))
            continue
        if scheme is None:
            continue
        free = [name for name in _units(model, named) if name not in model.loaded]
        if not free:
            source = model.loaded[named[0]].source
            text = f"{', '.join(named)} began with weights from {source}, which a scheme would undo."
            yield Problem(path, text, "Take one of the two out.")
        elif not any(_layers(model, name) for name in free):
            kinds = "linear, convolutional, recurrent, attention or embedding"
            yield Problem(path, f"there is nothing to draw in {', '.join(free)}: no weight of a {kinds} layer.")


def _units(model: Model, names: Sequence[str]) -> list[str]:
    """Nodes, or the modules of a wrapped one, with what is in them."""
    return [unit for unit in model.units if any(unit == name or unit.startswith(f"{name}.") for name in names)]


def _layers(model: Model, unit: str) -> list[Drawable]:
    """What is drawn of a node; of a module of a wrapped one itself alone, since what is in it is a unit of its own."""
    return [found for found in drawables(model.node(unit)) if unit in model.node_names or not found.path]


def _owners(model: Model, names: Collection[str]) -> dict[str, nn.Module]:
    """The nodes' modules, each once: under the name of the node that its weights bear."""
    modules: dict[int, str] = {}
    for name in [*model.given, *names]:
        if name in names:
            modules.setdefault(id(model.node(name)), name)
    return {name: model.node(name) for name in modules.values()}


def _draw(node: str, part: Part, seed: int) -> InitializationRecord:
    weights, zeroed = [], []
    for drawn in part.layers:
        for name, blocks in drawn.weights.items():
            whole = drawn.named(name)
            generator = torch.Generator().manual_seed(derive_seed(seed, "initialize", node, whole))
            for block in blocks:
                values = torch.empty(block.shape, dtype=block.dtype)
                part.scheme.draw(values, generator)
                block.copy_(values)
            weights.append(whole)
        padding = getattr(drawn.layer, "padding_idx", None)
        if padding is not None:
            drawn.layer.weight.data[padding] = 0  # pyright: ignore[reportIndexIssue]
        if part.scheme.biases == "zeros":
            for name, bias in drawn.biases.items():
                bias.zero_()
                zeroed.append(drawn.named(name))
    return InitializationRecord(scheme=str(part.scheme), weights=tuple(weights), zeroed=tuple(zeroed))


def _scaled(
    model: Model, batch: Mapping[str, Tensor], parts: Mapping[str, Part], made: Mapping[str, InitializationRecord]
) -> dict[str, InitializationRecord]:
    """The records of nodes whose layers are scaled, with what became of these."""
    layers = [
        (node, drawn.path, drawn.layer, part.scheme)
        for node, part in parts.items()
        for drawn in part.layers
        if isinstance(drawn.layer, SCALED) and isinstance(part.scheme, LSUV)
    ]
    if not layers:
        return {}
    found = scale_layers(model, batch, {(node, path): (layer, how) for node, path, layer, how in layers})
    told: dict[str, InitializationRecord] = {}
    for node in dict.fromkeys(node for node, *_ in layers):
        own = {path or "weight": deviation for (of, path), deviation in found.items() if of == node}
        deviations = {path: value for path, value in own.items() if value is not None}
        unreached = tuple(path for path, value in own.items() if value is None)
        told[node] = made[node].model_copy(update={"deviations": deviations, "unreached": unreached})
    return told


def _first_batch(model: Model, loaders: DataLoaders, seed: int) -> dict[str, Tensor]:
    """The first train batch; the loader stands afterwards where it stood."""
    loaders.bind([name for name in model.inputs if name in loaders.readable])
    with loaders.train.borrowed():
        loaders.seed = seed
        loaders.train.load_state_dict({"epoch": 0, "batch": 0})
        batch = next(iter(loaders.train))
    device = next((parameter.device for parameter in model.parameters()), loaders.device)
    return {name: value.to(device) for name, value in batch.items()}
