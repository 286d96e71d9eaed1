"""Pydantic's errors in our words: what was expected at a key, what came, and how to mend it."""

from __future__ import annotations

import re
import types
from typing import TYPE_CHECKING, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel

from jumpml.core._errors import Mistake, did_you_mean

if TYPE_CHECKING:
    from pydantic import ValidationError

    from jumpml.core._document import Document, Path_

_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_BOUNDS = {
    "greater_than": ("a number above", "gt"),
    "greater_than_equal": ("a number of at least", "ge"),
    "less_than": ("a number below", "lt"),
    "less_than_equal": ("a number of at most", "le"),
}
_FEW = 5  # keys that a text names


class _Words(NamedTuple):
    path: Path_
    expected: str  # a phrase that can be joined to others by "or"; empty where `problem` is the whole sentence
    problem: str
    fix: str = ""


def mistakes_of(error: ValidationError, cls: type[BaseModel], document: Document) -> list[Mistake]:
    """All that a validation found, one mistake a key.

    Args:
        error: What pydantic raised.
        cls: The spec that was validated.
        document: What it was validated from.
    """
    by_path: dict[Path_, list[_Words]] = {}
    for item in error.errors(include_url=False):
        words = _words(item, cls, document.value)
        by_path.setdefault(words.path, []).append(words)
    return [document.mistake(path, *_joined(found)) for path, found in by_path.items() if not _shadowed(path, by_path)]


def _shadowed(path: Path_, by_path: dict[Path_, list[_Words]]) -> bool:
    """Whether these are only the alternatives of a union whose right one is wrong further down."""
    deeper = any(len(other) > len(path) and other[: len(path)] == path for other in by_path)
    return deeper and all(words.expected for words in by_path[path])


def _joined(found: list[_Words]) -> tuple[str, str]:
    found = [words for words in found if not words.expected] or found
    fix = next((words.fix for words in found if words.fix), "")
    if not found[0].expected:
        return " ".join(dict.fromkeys(words.problem for words in found)), fix
    *others, last = dict.fromkeys(words.expected for words in found)
    return f"expected {', '.join(others)}{' or ' if others else ''}{last}, {found[0].problem}.", fix


def _words(item: Any, cls: type[BaseModel], value: Any) -> _Words:
    kind, loc, context = item["type"], item["loc"], item.get("ctx", {})
    path, last = _path_in_file(loc, value), loc[-1] if loc else ""
    match kind:
        case "extra_forbidden":
            return _Words(path, "", "this key is unknown.", _instead(cls, loc[:-1], str(last), value))
        case "missing" if isinstance(last, int):
            return _Words(path, _lengths(cls, loc[:-1]), _got(item["input"]))
        case "missing":
            return _Words((*path, last), "", "this key is missing.")
        case "union_tag_not_found":
            kinds = ", ".join(_kinds(cls, loc))
            return _Words((*path, "kind"), "", f"this key is missing; expected one of {kinds}.")
        case "union_tag_invalid":
            return _choice((*path, "kind"), context["expected_tags"], context["tag"])
        case "literal_error":
            return _choice(path, context["expected"], item["input"])
        case "value_error":
            said = str(context["error"])
            return _Words(path, "", said if said.endswith((".", "?")) else f"{said}.")
        case "too_short" | "too_long" | "string_too_short" | "string_too_long":
            return _Words(path, _size(kind, context), _got(item["input"]))
    if kind in _BOUNDS:
        phrase, bound = _BOUNDS[kind]
        return _Words(path, f"{phrase} {context[bound]:.15g}", _got(item["input"]))
    expected = _TYPES.get(kind) or item["msg"].removeprefix("Input should be ")
    return _Words(path, expected, _got(item["input"]), _type_fix(kind, item["input"]))


def _instead(cls: type[BaseModel], loc: tuple[int | str, ...], key: str, value: Any) -> str:
    """What may have been meant by a key that is unknown at a location."""
    known = _known_keys(cls, loc)
    near = did_you_mean(key, known) if known else "There is nothing to say beside its kind."
    if not near.startswith("Did") and (below := _keys_with(cls, loc, known, key)):
        near = f"It is a key of {', of '.join(below[:-1])}{' and of ' if below[1:] else ''}{below[-1]}."
    if "args" in known and "module" in _found(value, loc):
        near += " What the module takes stands under `args`."
    return near


def _path_in_file(loc: tuple[int | str, ...], value: Any) -> Path_:
    """Pydantic puts the names of union members into a location; a file knows nothing of them."""
    path: list[int | str] = []
    for part in loc:
        known: dict[Any, Any] = dict(enumerate(value)) if isinstance(value, list) else value
        if isinstance(known, dict) and part in known:
            path.append(part)
            value = known[part]
    return tuple(path)


def _choice(path: Path_, names: str, got: Any) -> _Words:
    choices = [name.strip(" '") for name in names.replace(" or ", ", ").split(",")]
    near = did_you_mean(str(got), choices)
    expected = f"one of {', '.join(choices)}" if len(choices) > 1 else repr(choices[0])
    return _Words(path, expected, _got(got), near if near.startswith("Did") else "")


def _size(kind: str, context: dict[str, Any]) -> str:
    side, bound = ("at least", "min_length") if kind.endswith("short") else ("at most", "max_length")
    length = context[bound]
    if kind.startswith("string"):
        return f"{side} {length} character{'s' if length != 1 else ''}"
    if context["field_type"] == "Tuple":
        return f"a list of {'at least ' if kind == 'too_short' else ''}{length}"  # fixed ones say what is missing
    return f"{side} {length} {'entries' if length != 1 else 'entry'}"


def _type_fix(kind: str, got: Any) -> str:
    if kind == "string_type" and isinstance(got, (bool, int, float)):
        return f'Write it in quotes: "{said(got)}".'
    if kind == "tuple_type" and isinstance(got, (str, dict)):
        return "Put it in [ ] for a list of one."
    return ""


def _got(value: Any) -> str:
    return f"got {said(value)}"


def said(value: Any) -> str:
    """A value as an error repeats it."""
    if isinstance(value, dict):
        return f"a mapping ({', '.join(map(str, value))})" if value else "an empty mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


# --- what a spec knows at a location ----------------------------------------------------------------------------------


def _found(value: Any, loc: tuple[int | str, ...]) -> Any:
    """What stands at a location; nothing where the location goes through what no file has, such as a union's member."""
    for part in loc:
        value = value.get(part, {}) if isinstance(value, dict) else {}
    return value


def _known_keys(cls: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Those that may be meant; a kind that must be told stands there already."""
    fields = [item for spec in _annotations(cls, loc) for item in getattr(spec, "model_fields", {}).items()]
    return [key for key, field in fields if key != "kind" or not field.is_required()]


def _keys_with(cls: type[BaseModel], loc: tuple[int | str, ...], known: list[str], key: str) -> list[str]:
    """Of the keys of a location those that have such a key below them; nothing where they are many."""
    kinds = {name: [one for spec in _annotations(cls, (*loc, name)) for one in (spec, *_each(spec))] for name in known}
    below = [name for name, specs in kinds.items() if any(key in getattr(one, "model_fields", {}) for one in specs)]
    return below if len(below) <= _FEW else []


def _each(annotation: Any) -> list[Any]:
    """What a mapping or a list of a file is of."""
    return _step_into(annotation, 0) if get_origin(annotation) in {dict, tuple} else []


def _kinds(cls: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    specs = [spec for spec in _annotations(cls, loc) if "kind" in getattr(spec, "model_fields", {})]
    return sorted(kind for spec in specs for kind in get_args(spec.model_fields["kind"].annotation))


def _lengths(cls: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    tuples = [get_args(candidate) for candidate in _annotations(cls, loc) if get_origin(candidate) is tuple]
    return " or ".join(f"a list of {len(arguments)}" for arguments in tuples if Ellipsis not in arguments)


def _annotations(cls: type[BaseModel], loc: tuple[int | str, ...]) -> list[Any]:
    """The types that a location may have."""
    candidates: list[Any] = [cls]
    for part in loc:
        if str(part).startswith("("):  # the tag of a union whose members are no kinds
            continue
        candidates = [inner for candidate in candidates for inner in _step_into(candidate, part)]
    return candidates


def _step_into(annotation: Any, part: int | str) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(part))
        kind = annotation.model_fields.get("kind")
        tagged = kind is not None and part in get_args(kind.annotation)  # a kind may be called as another's key is
        # text may name members of a union, too: `tagged-union[RootSpec,...]`
        stays = tagged or (field is None and re.search(rf"\b{annotation.__name__}\b", str(part)))
        return [*([annotation] if stays else []), *(_members(field.annotation) if field else [])]
    arguments = get_args(annotation)
    if get_origin(annotation) is dict:
        return _members(arguments[1])
    if get_origin(annotation) is tuple:
        return _members(arguments[0]) if isinstance(part, int) else [annotation]  # text: the union member's name
    return []


def _members(annotation: Any) -> list[Any]:
    if get_origin(annotation) in {Union, types.UnionType}:
        return [inner for member in get_args(annotation) for inner in _members(member)]
    if hasattr(annotation, "__metadata__"):
        return _members(get_args(annotation)[0])
    return [annotation]
