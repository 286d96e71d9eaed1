"""``--set key.path=value``: values that win over a file's."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

from jumpml.core._document import Document, Path_, dotted
from jumpml.core._errors import Mistake, SpecError
from jumpml.core._yaml import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping


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


def override(document: Document, overrides: Mapping[str, Any], source: str) -> Document:
    """The document with other values at some keys; a mapping that is missing or null on the way is made.

    Args:
        document: The file's plain values.
        overrides: Values by dotted key; a list's element by its number: ``image[0].pixels`` or ``image.0.pixels``.
        source: The name to give in errors.

    Raises:
        SpecError: A key leads through something that is neither a mapping nor a list, or past a list's end.
    """
    value, overridden, mistakes = copy.deepcopy(document.value), set(document.overridden), []
    for key, new in overrides.items():
        try:
            overridden.add(_set(value, _parts(key), new))
        except _CannotSetError as error:
            mistakes.append(Mistake(key=key, problem=f"{error}.", overridden=True))
    if mistakes:
        raise SpecError(source, mistakes)
    return Document(value, document.positions, frozenset(overridden))


def path_of(key: str) -> Path_:
    """The path that an override's key names; a number is taken for an element's."""
    return tuple(int(part) if part.isdecimal() else part for part in _parts(key))


class _CannotSetError(Exception):
    pass


def _parts(key: str) -> list[str]:
    parts = re.sub(r"\[(\d+)\]", r".\1", key).split(".")
    if not all(parts):
        raise _CannotSetError("expected names with single dots between them")
    return parts


def _set(value: Any, parts: list[str], new: Any) -> Path_:
    """Set one value in place; the topmost path that stands in no file now."""
    here, path, topmost = value, (), ()
    for part in parts[:-1]:
        step = _step(here, part, path)
        path = (*path, step)
        if isinstance(here, dict) and here.get(part) is None:
            here[part] = {}
            topmost = topmost or path
        here = here[step]
    last = _step(here, parts[-1], path)
    here[last] = new
    return topmost or (*path, last)


def _step(here: Any, part: str, path: Path_) -> str | int:
    where = dotted(path) or "the file"
    if isinstance(here, dict):
        return part
    if not isinstance(here, list):
        raise _CannotSetError(f"{where} is {here!r}, which has no keys")
    if not part.isdecimal() or int(part) >= len(here):
        raise _CannotSetError(f"{where} is a list of {len(here)}, whose keys are numbers from 0; got {part!r}")
    return int(part)
