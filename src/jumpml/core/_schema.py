"""JSON Schema of the four files, for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema

from jumpml.core._load_spec import SPECS

if TYPE_CHECKING:
    from pydantic_core import core_schema


class _NamesChecked(GenerateJsonSchema):
    """Pydantic writes which names a mapping may hold, but lets others pass."""

    def dict_schema(self, schema: core_schema.DictSchema) -> dict[str, Any]:
        made = super().dict_schema(schema)
        return {**made, "additionalProperties": False} if "patternProperties" in made else made


def json_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one of the four files.

    Args:
        kind: ``data``, ``model``, ``learner`` or ``deploy``.

    Returns:
        The schema, with the documentation of every key.

    Example:
        >>> json_schema("learner")["properties"]["seed"]["default"]
        0
    """
    schema = SPECS[kind].model_json_schema(schema_generator=_NamesChecked)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": f"JumpML {kind} file"}
