"""Nodes whose modules, or whose first weights, were made elsewhere."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from jumpml.core import JumpMLError, ModelSpec, Problem, did_you_mean, join_errors, load_spec, local
from jumpml.graph._nesting import flatten, place
from jumpml.pretrained import OnnxModel, SentenceModel, TimmModel, TransformersModel, read_weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import nn

    from jumpml.core import NodeSpec, PretrainedNode
    from jumpml.graph._model import Model
    from jumpml.graph._nesting import Part

_LOG = logging.getLogger("jumpml")


def make_pretrained(told: PretrainedNode, folder: Path) -> nn.Module:
    """A model from a hub, or an ONNX file, as a module.

    Args:
        told: What the file says; it is of no run.
        folder: Where its paths start.

    Raises:
        PretrainedError: There is no such model, or it cannot be read.
        MissingExtraError: A library is not installed.
    """
    if told.transformers is not None:
        return TransformersModel(local(told.transformers, folder), pool=told.pool)
    if told.sentences is not None:
        return SentenceModel(local(told.sentences, folder))
    if told.timm is not None:
        return TimmModel(told.timm, told.args)
    return OnnxModel.from_file(folder / str(told.onnx))


def node_of_run(name: str, told: PretrainedNode, folder: Path) -> tuple[NodeSpec, Path] | Problem:
    """What the model file of a run says of one of its nodes, and that file's folder; or why there is no such node.

    Args:
        name: The node's own name, which is that in the run where nothing is said.
        told: What the file says; it is of a run.
        folder: Where its paths start.

    Raises:
        SpecError: The run's model file is wrong.
    """
    path, place = folder / str(told.run), ("nodes", name, "pretrained")
    specs = next((above / "specs" for above in (path, *path.parents[:2]) if (above / "specs").is_dir()), None)
    files = sorted(specs.glob("*.model.yaml")) if specs else []
    if not files:
        fix = "A run is a folder that `jumpml run` made." if path.exists() else "There is no such folder."
        return Problem((*place, "run"), f"{told.run} is no run: it has no specs/*.model.yaml.", fix)
    parts, wanted = flatten(load_spec(ModelSpec, files[0])), told.node or name
    if wanted in parts:
        part = parts[parts[wanted].owner or wanted]
        return part.node, part.spec.folder
    inner = [key for key in parts if key.startswith(f"{wanted}.")]
    if inner:
        fix = "Nest its file in the place of it (`graph`), and name the run under `weights`."
        return Problem((*place, "node"), f"in that run {wanted!r} is a graph of {', '.join(inner)}.", fix)
    return Problem((*place, "node"), f"the model of that run has no node {wanted!r}.", did_you_mean(wanted, parts))


def fill_nodes(spec: ModelSpec, model: Model) -> None:
    """Give nodes the weights that a model file names for them; ``model.loaded`` tells what went in.

    Args:
        spec: The model file.
        model: Built from it.

    Raises:
        SpecError: A file of weights cannot be read, or does not fit; with its line.
        JumpMLError: The same for several files, where one nests others.
    """
    parts = flatten(spec)
    made = {name: part for name, part in parts.items() if part.owner is None and name in model.node_names}
    for name, part in made.items():  # what one has grown to, another reads: all are shaped before any is filled
        _shape_one(model, name, part)
    problems = [problem for name, part in made.items() for problem in _fill_one(model, name, part)]
    errors: list[JumpMLError] = [place(spec, parts, problem) for problem in problems]
    for within, key in _graphs(spec):
        node = within.nodes[key.rpartition(".")[2]]
        found = _fill_graph(model, key, node, within.folder, made)
        errors += [place(within, {}, Problem(("nodes", key.rpartition(".")[2], *p.path), p.text)) for p in found]
    if errors:
        raise join_errors(errors)
    for name, record in model.loaded.items():
        if not record.whole:
            _LOG.warning("Node %r begins with %s.", name, record)


def _shape_one(model: Model, name: str, part: Part) -> None:
    """Let a node grow as the one of a run has grown; what is wrong with the run is told when the node is filled."""
    told, origin = part.node.weights, part.node.pretrained
    run = origin.run if origin is not None else None
    with suppress(JumpMLError):
        if run is not None:
            model.take_shape(name, read_weights(part.spec.folder / run).of_node((origin and origin.node) or part.key))
        elif told is not None:
            weights = read_weights(part.spec.folder / told.file, part=told.part)
            if weights.nodes:
                model.take_shape(name, weights.of_node(told.node or part.key))


def _fill_one(model: Model, name: str, part: Part) -> Iterator[Problem]:
    """A node's own weights, or those of the run that its module is from."""
    told, origin, key = part.node.weights, part.node.pretrained, ("weights", "file")
    try:
        if told is not None:
            weights = read_weights(part.spec.folder / told.file, part=told.part)
            node = told.node or (part.key if weights.nodes else None)
            model.load_weights(name, weights, node=node, strip=told.strip, prefix=told.prefix, strict=told.strict)
        elif origin is not None and origin.run is not None and model.node(name).state_dict():
            key = ("pretrained", "run")
            model.load_weights(name, part.spec.folder / origin.run, node=origin.node or part.key)
    except JumpMLError as error:
        yield Problem(("nodes", name, *key), str(error))


def _graphs(spec: ModelSpec, before: str = "") -> Iterator[tuple[ModelSpec, str]]:
    """All nested graphs, the inner ones first: the file that nests each, and its name in the flat graph."""
    for name, node in spec.nodes.items():
        if node.graph is not None:
            yield from _graphs(load_spec(ModelSpec, spec.folder / node.graph), f"{before}{name}.")
            yield spec, f"{before}{name}"


def _fill_graph(model: Model, name: str, node: NodeSpec, folder: Path, made: Mapping[str, Part]) -> Iterator[Problem]:
    """The weights of each of a nested graph's nodes, where it has some; a problem's path begins below the graph."""
    told = node.weights
    if told is None:
        return
    try:
        weights = read_weights(folder / told.file, part=told.part)
        for inner in (part.removeprefix(f"{name}.") for part in made if part.startswith(f"{name}.")):
            if model.node(f"{name}.{inner}").state_dict():
                model.load_weights(
                    f"{name}.{inner}",
                    weights,
                    node=inner if told.node is None else f"{told.node}.{inner}",
                    strip=told.strip,
                    prefix=told.prefix,
                    strict=told.strict,
                )
    except JumpMLError as error:
        yield Problem(("weights", "file"), str(error))
