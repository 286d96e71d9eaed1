"""From the learner file to the weights that learning begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import JumpMLError, LearnerError, Problem, refusal, with_lines
from jumpml.learn.initial._initialize import Drawing, initialize
from jumpml.learn.initial._schemes import LSUV, Kaiming, Normal, Orthogonal, Scheme, Xavier, Zeros
from jumpml.learn.saving._checkpoints import Checkpoints

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic import BaseModel

    from jumpml.core import InitializationRecord, LearnerSpec
    from jumpml.data import DataLoaders
    from jumpml.graph import Model

_KINDS: Mapping[str, type[Scheme]] = {
    "kaiming": Kaiming,
    "xavier": Xavier,
    "orthogonal": Orthogonal,
    "normal": Normal,
    "zeros": Zeros,
    "lsuv": LSUV,
}
_CUT = 2.0  # standard deviations, as transformers' authors have it


def build_drawing(spec: LearnerSpec) -> Drawing:
    """What the file says of drawing weights."""
    told = spec.initialize
    return Drawing(_scheme(told.scheme), {pattern: _scheme(scheme) for pattern, scheme in told.nodes.items()})


def _scheme(told: BaseModel) -> Scheme | None:
    kind: str = told.model_dump()["kind"]
    options = told.model_dump(exclude={"kind"})
    if kind == "default":
        return None
    return Normal(**options, cut=_CUT) if kind == "trunc_normal" else _KINDS[kind](**options)


def begin(spec: LearnerSpec, model: Model, loaders: DataLoaders, folder: Path) -> dict[str, InitializationRecord]:
    """Give a model the weights that learning begins with; nothing where the folder has a checkpoint to go on from.

    Args:
        spec: The learner file.
        model: The model.
        loaders: The data.
        folder: The run's folder.

    Returns:
        By node, what was drawn; what came from another run stands in ``model.loaded``.

    Raises:
        LearnerError: The other run's weights do not fit; with the file's line.
    """
    told, drawing = spec.initialize, build_drawing(spec)
    if spec.checkpoint is not None and Checkpoints(folder / "checkpoints", spec.checkpoint.keep).steps():
        return {}
    if told.checkpoint is not None:
        start = told.checkpoint
        patterns = (start.nodes,) if isinstance(start.nodes, str) else start.nodes
        try:
            model.load_nodes(spec.folder / start.file, part=start.part, nodes=patterns, strict=start.strict)
        except JumpMLError as error:
            problem = Problem(("initialize", "checkpoint", "file"), str(error))
            raise with_lines(refusal(LearnerError, [problem]), spec) from None
    try:
        return initialize(model, drawing.scheme, nodes=drawing.nodes, loaders=loaders, seed=spec.seed)
    except LearnerError as error:
        raise with_lines(error, spec) from None
