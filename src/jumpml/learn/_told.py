"""What a run was told by its files, for its checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from jumpml.core import SPECS, ModelSpec, load_spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.core import DataSpec, LearnerSpec


def told_by(learner: LearnerSpec, model: ModelSpec | None, data: DataSpec | None) -> dict[str, Any]:
    """What files say, by kind, as JSON has it; with the model files that they nest."""
    told: dict[str, Any] = {"learner": learner.model_dump(mode="json")}
    if model is not None:
        told["model"] = _model(model)
    if data is not None:
        told["data"] = data.model_dump(mode="json")
    return told


def as_now(told: Mapping[str, Any]) -> dict[str, Any]:
    """The same as an earlier version told it: keys that it did not know stand at their defaults."""
    return {kind: _as_now(kind, values) for kind, values in told.items()}


def _as_now(kind: str, values: Any) -> Any:
    try:
        return SPECS[kind].model_validate(values).model_dump(mode="json", exclude={"data"})
    except ValidationError:  # a key that is no more, or a model file that nests others
        return values


def _model(spec: ModelSpec) -> dict[str, Any]:
    value = spec.model_dump(mode="json", exclude={"data"})
    for name, node in spec.nodes.items():
        if node.graph is not None:
            value["nodes"][name]["graph"] = _model(load_spec(ModelSpec, spec.folder / node.graph))
    return value
