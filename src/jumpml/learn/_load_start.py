"""Learning that begins with another run's weights."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from jumpml.core import JumpMLError, PretrainedError, did_you_mean
from jumpml.learn._initialize import modules_once
from jumpml.pretrained import read_weights

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jumpml.core import WeightsRecord
    from jumpml.graph import Model

_LOG = logging.getLogger("jumpml")


def load_start(
    model: Model, path: Path, *, part: str | None = None, nodes: Sequence[str] = ("all",), strict: bool = True
) -> dict[str, WeightsRecord]:
    """Give nodes the weights of their namesakes in another run.

    Args:
        model: The model; ``model.loaded`` tells what went in.
        path: A run's or a checkpoint's folder, or a file of a JumpML model's weights.
        part: Of a checkpoint ``average``.
        nodes: Patterns of the nodes. Those that have no weights are passed over, and those that began with others'.
        strict: Whether each must have a namesake with the same weights; otherwise what fits is taken.

    Raises:
        PretrainedError: The weights cannot be read or do not fit, or no node has a namesake; with all that is wrong.
            Some nodes have theirs then, and others have not.
        GraphError: A pattern names no node.
    """
    weights = read_weights(path, part=part)
    known = {name.replace("__", ".") for name in weights.nodes}
    wanted = {name: m for name, m in modules_once(model, model.select(nodes)).items() if name not in model.loaded}
    found: dict[str, WeightsRecord] = {}
    misfits: list[str] = []
    for name in [name for name, module in wanted.items() if module.state_dict()]:
        if not strict and weights.nodes and name not in known:
            _LOG.warning("Node %r has no namesake in %s. %s", name, path, did_you_mean(name, known))
            continue
        try:
            found[name] = model.load_weights(name, weights, node=name, strict=strict)
        except JumpMLError as error:
            misfits.append(str(error))
    if misfits or not found:
        raise PretrainedError("\n".join(misfits) or f"{path} has weights of none of the nodes {', '.join(wanted)}.")
    for name, record in found.items():
        if not record.whole:
            _LOG.warning("Node %r begins with %s.", name, record)
    return found
