"""A path, a dict or a spec object to a validated spec; every mistake of a file at once."""

from __future__ import annotations

import json
import runpy
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from jumpml.core._data_spec import DataSpec
from jumpml.core._deploy_spec import DeploySpec
from jumpml.core._errors import Mistake, SpecError, did_you_mean
from jumpml.core._learner_spec import LearnerSpec
from jumpml.core._model_spec import ModelSpec
from jumpml.core._spec import FileSpec, Origin
from jumpml.core._yaml import Document, Path_, dotted, parse_yaml

SPECS: dict[str, type[FileSpec]] = {"data": DataSpec, "model": ModelSpec, "learner": LearnerSpec, "deploy": DeploySpec}
S = TypeVar("S", bound=FileSpec)
SpecSource = str | Path | Mapping[str, Any] | FileSpec
_RESERVED = (".", "@")
_NAMED = {
    "data": ("datasets", "datasets.*.fields", "views"),
    "model": ("inputs", "nodes", "tasks", "objectives"),
    "learner": ("phases",),
    "deploy": ("variants",),
}


def load_spec(cls: type[S], source: SpecSource, overrides: Mapping[str, Any] | None = None) -> S:
    """Read one of the four files.

    Args:
        cls: ``DataSpec``, ``ModelSpec``, ``LearnerSpec`` or ``DeploySpec``.
        source: A path (``.yaml``, ``.yml``, ``.json``, or ``.py`` with a variable named ``data``, ``model``, ``learner``
            or ``deploy``), a dict, or a spec object, which is returned as it is.
        overrides: Values by dotted key, such as ``{"phases.supervised.epochs": 3}``.

    Returns:
        The validated spec, which remembers its file.

    Raises:
        SpecError: The file is missing or holds mistakes; the error lists all of them.

    Example:
        >>> load_spec(LearnerSpec, {"seed": 7}).seed
        7
    """
    kind = next(name for name, known in SPECS.items() if known is cls)
    if isinstance(source, FileSpec):
        if not isinstance(source, cls):
            raise SpecError(f"the {kind} spec", [Mistake(key="", problem=f"expected a {cls.__name__}, got a {type(source).__name__}.")])
        if not overrides:
            return source
        origin = source._origin
        name, folder = source.source, source.folder
        document = Document(source.model_dump(mode="json"), origin.document.positions if origin else {})
    elif isinstance(source, Mapping):
        name, folder, document = f"the {kind} spec", Path(), Document(_plain(source))
    else:
        path = Path(source)
        name, folder, document = str(source), path.parent, _read(path, kind)
    value = _override(document.value, overrides or {}, name)
    return _validate(cls, kind, Origin(source=name, folder=folder, document=Document(value, document.positions)))


def parse_override(text: str) -> tuple[str, Any]:
    """Split ``key.path=value``, the value being YAML.

    Raises:
        SpecError: There is no ``=``, or the value is no YAML.

    Example:
        >>> parse_override("phases.supervised.epochs=3")
        ('phases.supervised.epochs', 3)
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        problem = f"expected key=value, such as learner.phases.supervised.epochs=3; got {text!r}."
        raise SpecError("--set", [Mistake(key="", problem=problem)])
    return key, (parse_yaml(value, f"--set {key}").value if value else None)


def _read(path: Path, kind: str) -> Document:
    if path.suffix not in {".yaml", ".yml", ".json", ".py"}:
        problem = f"expected a file that ends in .yaml, .yml, .json or .py, got {path.suffix or 'no ending'!r}."
        raise SpecError(path, [Mistake(key="", problem=problem)])
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = did_you_mean(path.name, [p.name for p in path.parent.glob("*.*")] if path.parent.is_dir() else [])
        raise SpecError(path, [Mistake(key="", problem="there is no such file.", fix=near)]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(path, [Mistake(key="", problem=f"the file cannot be read: {error}.")]) from None
    if path.suffix != ".py":
        return parse_yaml(text, str(path))
    variables = runpy.run_path(str(path))
    if kind not in variables:
        fix = f"Write {kind} = {{...}} in it."
        raise SpecError(path, [Mistake(key="", problem=f"the file sets no variable named {kind!r}.", fix=fix)])
    return Document(_plain(variables[kind]))


def _plain(value: Any) -> Any:
    """Dicts, lists and scalars of anything that a Python form may hold."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value


def _override(value: Any, overrides: Mapping[str, Any], name: str) -> Any:
    if not overrides:
        return value
    value = _plain(value)
    for key, new in overrides.items():
        here = value
        *parents, last = key.split(".")
        for depth, part in enumerate(parents):
            if isinstance(here, dict):
                if here.get(part) is None:
                    here[part] = {}
                here = here[part]
            elif isinstance(here, list) and part.isdigit() and int(part) < len(here):
                here = here[int(part)]
            else:
                problem = f"cannot set {key!r}: {'.'.join(parents[: depth + 1])} is no mapping."
                raise SpecError(name, [Mistake(key=key, problem=problem)])
        if isinstance(here, list) and last.isdigit() and int(last) < len(here):
            here[int(last)] = new
        elif isinstance(here, dict):
            here[last] = new
        else:
            raise SpecError(name, [Mistake(key=key, problem=f"cannot set {key!r}: {'.'.join(parents)} is no mapping.")])
    return value


def _validate(cls: type[S], kind: str, origin: Origin) -> S:
    raw = origin.document.value
    if not isinstance(raw, dict):
        problem = f"expected a mapping of keys, got {_said(raw)}."
        raise SpecError(origin.source, [Mistake(key="", problem=problem, line=1, column=1)])
    mistakes = _reserved_names(kind, origin.document)
    try:
        # JSON mode is strict about types and still takes lists for tuples.
        spec = cls.model_validate_json(json.dumps(raw, default=_not_data), strict=True)
    except ValidationError as error:
        mistakes += _mistakes_of(error, cls, origin.document)
    except _NotDataError as error:
        mistakes.append(Mistake(key="", problem=f"expected plain values, got {error}."))
    if mistakes:
        raise SpecError(origin.source, mistakes)
    spec._origin = origin
    return spec


class _NotDataError(TypeError):
    pass


def _not_data(value: Any) -> Any:
    raise _NotDataError(f"a {type(value).__name__} object ({value!r})")


def _reserved_names(kind: str, document: Document) -> list[Mistake]:
    mistakes = []
    for pattern in _NAMED[kind]:
        for path in _paths(document.value, pattern.split(".")):
            name = str(path[-1])
            if not name or any(mark in name for mark in _RESERVED):
                line, column = document.position(path)
                problem = f"a name must not be empty or hold '.' or '@'; got {name!r}."
                mistakes.append(Mistake(key=dotted(path), problem=problem, line=line, column=column))
    return mistakes


def _paths(value: Any, parts: list[str], prefix: Path_ = ()) -> list[Path_]:
    if not isinstance(value, dict):
        return []
    if not parts:
        return [(*prefix, key) for key in value]
    head, *rest = parts
    keys = list(value) if head == "*" else [head] if head in value else []
    return [path for key in keys for path in _paths(value[key], rest, (*prefix, key))]


# --- pydantic's errors in our words ---------------------------------------------------------------------------------

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "finite_number": "a finite number",
}


def _mistakes_of(error: ValidationError, cls: type[BaseModel], document: Document) -> list[Mistake]:
    by_path: dict[Path_, list[tuple[str, str]]] = {}
    for item in error.errors(include_url=False):
        path = _path_in_file(item["loc"], document.value)
        by_path.setdefault(path, []).append(_words(item, cls))
    mistakes = []
    for path, found in by_path.items():
        line, column = document.position(path)
        problems = list(dict.fromkeys(problem for problem, _ in found))
        if len(problems) > 1 and all(p.startswith("expected ") for p in problems):
            got = problems[0].partition(", got")[2]
            wanted = list(dict.fromkeys(p.removeprefix("expected ").partition(", got")[0] for p in problems))
            problems = [f"expected {' or '.join(wanted)}, got{got}"]
        fix = next((f for _, f in found if f), "")
        mistakes.append(Mistake(key=dotted(path), problem=" ".join(problems), fix=fix, line=line, column=column))
    return mistakes


def _path_in_file(loc: tuple[int | str, ...], value: Any) -> Path_:
    """Pydantic puts the names of union members into a location; a file knows nothing of them."""
    path: list[int | str] = []
    for position, part in enumerate(loc):
        if isinstance(value, dict) and part in value:
            path.append(part)
            value = value[part]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            path.append(part)
            value = value[part]
        elif isinstance(value, dict) and position == len(loc) - 1 and value.get("kind") != part:
            path.append(part)
    return tuple(path)


def _words(item: Any, cls: type[BaseModel]) -> tuple[str, str]:
    kind, context, got = item["type"], item.get("ctx", {}), _said(item["input"])
    last = str(item["loc"][-1]) if item["loc"] else ""
    if kind == "extra_forbidden":
        return "this key is unknown.", did_you_mean(last, _known_keys(cls, item["loc"][:-1]))
    if kind == "missing":
        return "this key is missing.", ""
    if kind in {"literal_error", "union_tag_invalid"}:
        text = context.get("expected") or context.get("expected_tags", "")
        names = [part.strip(" '") for part in text.replace(" or ", ", ").split(",")]
        received = repr(context["tag"]) if "tag" in context else got
        wanted = f"one of {', '.join(names)}" if len(names) > 1 else repr(names[0])
        near = did_you_mean(str(context.get("tag", item["input"])), names)
        return f"expected {wanted}, got {received}.", near if near.startswith("Did") else ""
    if kind == "union_tag_not_found":
        return "the key kind is missing.", ""
    if kind == "value_error":
        return f"{context['error']}.", ""
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, got {got}.", ""
    message = item["msg"].removeprefix("Input should be ")
    return f"expected {message[0].lower()}{message[1:]}, got {got}.", ""


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return f"a mapping ({', '.join(map(str, value)) or 'empty'})"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return repr(value) if isinstance(value, str) else str(value)


def _known_keys(annotation: Any, loc: tuple[int | str, ...]) -> list[str]:
    """The keys that the model at a location knows."""
    candidates = [annotation]
    for part in loc:
        candidates = [inner for candidate in candidates for inner in _step_into(candidate, part)]
    return [key for candidate in candidates for key in getattr(candidate, "model_fields", {})]


def _step_into(annotation: Any, part: int | str) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if part in annotation.model_fields:
            return _members(annotation.model_fields[str(part)].annotation)
        kind = annotation.model_fields.get("kind")
        return [annotation] if kind is not None and part in get_args(kind.annotation) else []
    arguments = get_args(annotation)
    if get_origin(annotation) is dict:
        return _members(arguments[1])
    if get_origin(annotation) is tuple:
        return _members(arguments[0])
    return []


def _members(annotation: Any) -> list[Any]:
    if get_origin(annotation) in {Union, types.UnionType}:
        return [inner for member in get_args(annotation) for inner in _members(member)]
    if hasattr(annotation, "__metadata__"):
        return _members(get_args(annotation)[0])
    return [annotation]
