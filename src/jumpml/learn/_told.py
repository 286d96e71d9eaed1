"""What a run was told by its files, for its checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml.core import ModelSpec, load_spec

if TYPE_CHECKING:
    from jumpml.core import DataSpec, LearnerSpec


def told_by(learner: LearnerSpec, model: ModelSpec | None, data: DataSpec | None) -> dict[str, Any]:
    """What files say, by kind, as JSON has it; with the model files that they nest."""
    told: dict[str, Any] = {"learner": learner.model_dump(mode="json")}
    if model is not None:
        told["model"] = _model(model)
    if data is not None:
        told["data"] = data.model_dump(mode="json")
    return told


def _model(spec: ModelSpec) -> dict[str, Any]:
    value = spec.model_dump(mode="json", exclude={"data"})
    for name, node in spec.nodes.items():
        if node.graph is not None:
            value["nodes"][name]["graph"] = _model(load_spec(ModelSpec, spec.folder / node.graph))
    return value
