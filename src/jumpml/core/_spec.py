"""What the four files share: frozen, keyword-only, no unknown key, and a memory of where each key stood."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from jumpml.core._document import Document, Path_
from jumpml.core._values import MASK, PRESENT
from jumpml.core._write_yaml import to_yaml

if TYPE_CHECKING:
    from jumpml.core._errors import Mistake


class Spec(BaseModel):
    """The base of everything that a file may say."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        ser_json_inf_nan="constants",  # a module's own arguments may hold them
    )

    def says(self, key: str) -> bool:
        """Whether there is a key, and it says something else than its default: resolved files hold every key.

        Args:
            key: The key.
        """
        return key in type(self).model_fields and getattr(self, key) != type(self).model_fields[key].get_default(
            call_default_factory=True
        )


def exactly_one(*names: str) -> dict[str, Any]:
    """The JSON Schema of "one of these keys, and it is not null"."""
    return {"oneOf": [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in names]}


class ByName:
    """Of kinds that are told apart by `kind`: the name of one stands for it with its defaults."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A name, or one of the kinds."""
        specs = {get_args(spec.model_fields["kind"].annotation)[0]: spec for spec in get_args(source)}
        name = core_schema.literal_schema([*specs])
        named = core_schema.no_info_after_validator_function(lambda kind: specs[kind](kind=kind), name)
        return core_schema.union_schema([named, handler(source)])


class OneOf(Spec):
    """A mapping with exactly one key, which names a step, and that step's own options."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    @model_validator(mode="before")
    @classmethod
    def _exactly_one(cls, value: Any) -> Any:
        known = tuple(cls.model_fields)
        if isinstance(value, str) and value in known:
            raise ValueError(f"a step is a mapping; write {{{value}: {{}}}} with its options inside")
        if isinstance(value, dict) and set(value) <= set(known):
            if len(value) != 1:
                got = ", ".join(value) or "none"
                raise ValueError(f"expected exactly one step, one of: {', '.join(known)}; got {got}")
            ((name, options),) = value.items()
            if options is None:
                raise ValueError(f"{name} has no options; write {{{name}: {{}}}} where it needs none")
        return value

    @model_serializer(mode="wrap")
    def _only_the_one(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {self.name: write(self)[self.name]}

    def chosen(self) -> Any:
        """The one step's options."""
        return getattr(self, self.name)

    @property
    def name(self) -> str:
        """The one step's name."""
        return next(iter(self.model_fields_set))


def as_tuple(value: Any) -> Any:
    """A list as a tuple: below a step's name pydantic sees Python values, not JSON, and is strict about the two."""
    return tuple(value) if isinstance(value, list) else value


_RESERVED = (".", "@", ",", "/", "\\", ":", "*", "?", "[", "]")  # they write parts, views, lists, metrics, files, ...


def _name(value: str) -> str:
    if not value or not value.isprintable() or any(mark in value for mark in _RESERVED):
        raise ValueError(f"a name must not be empty, unprintable or hold any of {' '.join(_RESERVED)}; got {value!r}")
    if value == "all":
        raise ValueError("the name 'all' is taken: it means every one")
    return value


Name = Annotated[
    str,
    AfterValidator(_name),
    WithJsonSchema({"type": "string", "pattern": f"^(?!all$)[^{re.escape(''.join(_RESERVED))}]+$"}),
]
"""What a user calls a node, a field, a task."""

InputName = Annotated[
    str,
    AfterValidator(lambda value: _name(value.removesuffix(MASK).removesuffix(PRESENT)) and value),
    WithJsonSchema({"type": "string", "pattern": f"^(?!all$)[^{re.escape(''.join(_RESERVED))}]+(\\.(mask|present))?$"}),
]
"""What a node can read of the data: a field, a text's mask, or which rows have a value."""

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
"""A share."""

Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""A seed that NumPy and torch both take."""


def _pattern(value: Any) -> Any:
    if isinstance(value, dict):
        (word, name), *more = [*value.items()] or [("", None)]
        if more or word not in {"upto", "only"} or not isinstance(name, str):
            raise ValueError("expected a pattern as text, {upto: name} or {only: task}")
        return f"{word}:{name}"
    return value


NodePattern = Annotated[
    str,
    BeforeValidator(_pattern),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "properties": {
                        "upto": {"type": "string", "description": "A node; its ancestors come along."},
                        "only": {"type": "string", "description": "A task: the nodes that no other task reads."},
                    },
                    "minProperties": 1,
                    "maxProperties": 1,
                    "additionalProperties": False,
                },
            ],
            "description": "`all`, a node's name, a pattern such as `enc*`, `upto: name` for a node and its ancestors, "
            "or `only: task` for the nodes that a task reads and no other does.",
        }
    ),
]


class About(Spec):
    """The base of what people say of their data or model, for the report card."""

    description: str = ""
    """What it is, in a sentence or two."""
    license: str = ""
    """An SPDX identifier, such as `cc-by-4.0`."""


DATA_ENDINGS = (".yaml", ".yml", ".json")  # of files that can run nothing


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

    def __eq__(self, other: object) -> bool:
        """Whether both say the same, wherever they came from."""
        return type(self) is type(other) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]  # they hold dicts

    @property
    def source(self) -> str:
        """The file's path as the user gave it, or a phrase for a spec that was made in Python."""
        return self._origin.source if self._origin else f"the {type(self).__name__}"

    @property
    def stem(self) -> str | None:
        """The file's name up to the first dot; None for a spec that was made in Python."""
        path = Path(self.source)
        return path.name.partition(".")[0] if self._origin and path.suffix else None

    @property
    def folder(self) -> Path:
        """The folder in which relative paths start: the file's, or the current one."""
        return self._origin.folder if self._origin else Path()

    def to_yaml(self) -> str:
        """The spec as the text of a file, which `load_spec` reads back as an equal spec.

        Only what differs from a default is written; relative paths still start in `folder`.
        """
        return to_yaml(self.model_dump(mode="json", exclude_defaults=True))

    def mistake(self, path: Path_, problem: str, fix: str = "") -> Mistake:
        """Say what is wrong at a key, with its line where the spec came from a file.

        Args:
            path: The key's path, such as ``("nodes", "digit", "module")``.
            problem: What was expected and what came.
            fix: What to do.
        """
        document = self._origin.document if self._origin else Document(None)
        return document.mistake(path, problem, fix)

    def code_mistakes(self, path: Path_, name: str) -> list[Mistake]:
        """What is wrong with naming a file that would be run, in a file of data, which can run nothing.

        Args:
            path: The key that names the file.
            name: The file's name.
        """
        if Path(self.source).suffix not in DATA_ENDINGS or Path(name).suffix in DATA_ENDINGS:
            return []
        problem = f"expected a file that ends in {', '.join(DATA_ENDINGS)}; got {name!r}."
        return [self.mistake(path, problem, "Only you can run a .py file, by naming it.")]
