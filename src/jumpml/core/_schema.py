"""JSON Schema of the four files, for editors."""

from __future__ import annotations

from typing import Any

from jumpml.core._load_spec import SPECS


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
    schema = SPECS[kind].model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": f"JumpML {kind} file"}
