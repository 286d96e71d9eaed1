"""What the four files share: frozen, keyword-only, no unknown key, and a memory of where each key stood."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, PrivateAttr, WithJsonSchema, model_validator

from jumpml.core._errors import Mistake
from jumpml.core._yaml import Document, Path_, dotted


class Spec(BaseModel):
    """The base of everything that a file may say."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, ser_json_inf_nan="constants")


class OneOf(Spec):
    """A mapping with exactly one key, which names a step, and that step's own options."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_fields_set) != 1 or self.chosen() is None:
            known = ", ".join(type(self).model_fields)
            raise ValueError(f"expected exactly one step, one of: {known}")
        return self

    def chosen(self) -> Any:
        """The one step's options."""
        return getattr(self, self.name)

    @property
    def name(self) -> str:
        """The one step's name."""
        return next(iter(self.model_fields_set))


def _upto(value: Any) -> Any:
    if isinstance(value, dict) and list(value) == ["upto"] and isinstance(value["upto"], str):
        return f"upto:{value['upto']}"
    return value


NodePattern = Annotated[
    str,
    BeforeValidator(_upto),
    WithJsonSchema({
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "properties": {"upto": {"type": "string"}},
                "required": ["upto"],
                "additionalProperties": False,
            },
        ],
        "description": "`all`, a node's name, a pattern such as `enc*`, or `upto: name` for a node and all its ancestors.",
    }),
]


class About(Spec):
    """The base of what people say of their data or model, for the report card."""

    description: str = ""
    """What it is, in a sentence or two."""
    license: str = ""
    """An SPDX identifier, such as `cc-by-4.0`."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a spec came from.

    Attributes:
        source: The file's path as the user gave it, or a phrase such as ``the model spec``.
        folder: Relative paths in the spec start here.
        document: The positions of its keys.
    """

    source: str
    folder: Path
    document: Document


class FileSpec(Spec):
    """The base of the four files: remembers its file, so that what is found later names the line too."""

    _origin: Origin | None = PrivateAttr(default=None)

    @property
    def source(self) -> str:
        """The file's path as the user gave it, or a phrase for a spec that was made in Python."""
        return self._origin.source if self._origin else f"the {type(self).__name__}"

    @property
    def folder(self) -> Path:
        """The folder in which relative paths start: the file's, or the current one."""
        return self._origin.folder if self._origin else Path()

    def mistake(self, path: Path_, problem: str, fix: str = "") -> Mistake:
        """Say what is wrong at a key, with its line where the spec came from a file.

        Args:
            path: The key's path, such as ``("nodes", "digit", "module")``.
            problem: What was expected and what came.
            fix: What to do.
        """
        line, column = self._origin.document.position(path) if self._origin else (None, None)
        return Mistake(key=dotted(path), problem=problem, fix=fix, line=line, column=column)
