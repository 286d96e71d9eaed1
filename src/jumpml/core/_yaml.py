"""YAML and JSON text to plain values, with the line and column of every key.

YAML 1.1 reads ``no`` as false and ``1e-4`` as text; both have cost people days, so this reader takes YAML 1.2's view:
only ``true`` and ``false`` are booleans, and every number that JSON knows is a number.
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from jumpml.core._document import Bounds, Document, Path_
from jumpml.core._errors import Mistake, SpecError

_TAG = "tag:yaml.org,2002:"
_TAGS = {
    yaml.ScalarNode: {f"{_TAG}{name}" for name in ("null", "bool", "int", "float", "str")},
    yaml.SequenceNode: {f"{_TAG}seq"},
    yaml.MappingNode: {f"{_TAG}map"},
}
_FIXES = {
    "\\t": "Indent with spaces: YAML takes no tabs there.",
    "but got '?'": "Put a name that ends in ? in quotes: inside [ ] and { } YAML reads the ? otherwise.",
    "mapping values are not allowed": "Put a value that holds ': ' in quotes, and check the indentation.",
    "<block end>": "Check the indentation: keys of one mapping start in one column.",
    "could not find expected ':'": "Write a colon and a space after a key.",
    "another document": "Write one document a file, without a second '---'.",
}


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's own attribute)


def _resolve(name: str, pattern: str, first: list[str]) -> None:
    _Loader.add_implicit_resolver(_TAG + name, re.compile(pattern), first)


_resolve("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""])
_resolve("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF"))
_resolve("int", r"^[-+]?(?:0|[1-9][0-9]*)$", list("-+0123456789"))
_resolve(
    "float",
    r"^(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
    list("-+.0123456789"),
)


def reads_as_text(value: str) -> bool:
    """Whether a plain scalar, without quotes, is text."""
    return _Loader("").resolve(yaml.ScalarNode, value, (True, False)) == f"{_TAG}str"


def parse_yaml(text: str, source: str) -> Document:
    """Parse YAML text.

    Args:
        text: The file's content.
        source: The name to give in errors.

    Returns:
        The value and the positions of its keys.

    Raises:
        SpecError: The text is no YAML, a key stands twice, a tag asks for an object, or aliases expand without bound.

    Example:
        >>> parse_yaml("lr: 1e-4", "learner.yaml").value
        {'lr': 0.0001}
    """
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        return Document({}, {(): (1, 1)}) if root is None else _Reader(loader, source).read(root)
    except yaml.reader.ReaderError as error:
        raise SpecError(source, [_unreadable(error, text)]) from None
    except yaml.YAMLError as error:
        raise SpecError(source, [_not_yaml(error)]) from None
    except RecursionError:
        raise SpecError(source, [Mistake(key="", problem="this is nested too deeply to be read.")]) from None


def parse_json(text: str, source: str) -> Document:
    """Parse JSON text; like `parse_yaml`, which gives the positions, but refuses what only YAML allows.

    Raises:
        SpecError: The text is no JSON, or a key stands twice.

    Example:
        >>> parse_json('{"lr": 1e-4}', "learner.json").positions[("lr",)]
        (1, 2)
    """
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        problem = f"this is not JSON: {error.msg[0].lower()}{error.msg[1:]}."
        raise SpecError(source, [Mistake(key="", problem=problem, line=error.lineno, column=error.colno)]) from None
    except (RecursionError, ValueError):  # too deep, or a number of thousands of digits: the other reader says where
        pass
    return parse_yaml(text.replace("\t", " "), source)  # JSON indents with tabs too; inside text it has none


class _Reader:
    """Turns one document's nodes into values, noting where each stands."""

    def __init__(self, loader: _Loader, source: str) -> None:
        self._loader, self._source = loader, source
        self._positions: dict[Path_, tuple[int, int]] = {}
        self._mistakes: list[Mistake] = []
        self._bounds = Bounds()

    def read(self, root: yaml.Node) -> Document:
        value = self._value(root, ())
        if self._mistakes:
            raise SpecError(self._source, self._mistakes)
        return Document(value, self._positions)

    def _value(self, node: yaml.Node, path: Path_) -> Any:
        self._positions.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
        if problem := self._bounds.exceeded(path):
            self._report(node, path[:4], problem)
            raise SpecError(self._source, self._mistakes)
        if node.tag not in _TAGS[type(node)]:
            tag = node.tag.replace(_TAG, "!!")
            self._report(node, path, f"the tag {tag!r} is refused: a spec file holds only data.")
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._mapping(node, path)

    def _scalar(self, node: yaml.ScalarNode, path: Path_) -> Any:
        try:
            return self._loader.construct_object(node)
        except (ValueError, KeyError):  # a tag that does not fit, such as !!int hello, or thousands of digits
            shown = node.value if len(node.value) <= 40 else f"{node.value[:40]}..."
            self._report(node, path, f"{shown!r} cannot be read as {node.tag.removeprefix(_TAG)}.")
            return None

    def _mapping(self, node: yaml.Node, path: Path_) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._report(key_node, path, "a key must be plain text.")
                continue
            key = key_node.value
            here = (*path, key)
            if key in result:
                line, _ = self._positions[here]
                self._report(key_node, here, f"this key stands twice; the first, in line {line}, would be lost.")
            elif key == "<<" and key_node.style is None:  # unquoted
                self._report(key_node, here, "merge keys are no part of YAML 1.2; write the keys out.")
            else:
                self._positions[here] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
                result[key] = self._value(value_node, here)
        return result

    def _report(self, node: yaml.Node, path: Path_, problem: str) -> None:
        place = {path: (node.start_mark.line + 1, node.start_mark.column + 1)}
        self._mistakes.append(Document(None, place).mistake(path, problem))


def _not_yaml(error: yaml.YAMLError) -> Mistake:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    if problem.startswith("but "):
        problem = f"{getattr(error, 'context', '')}, {problem}"
    fix = next((fix for part, fix in _FIXES.items() if part in problem), "")
    line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
    return Mistake(key="", problem=f"this is not YAML: {problem}.", fix=fix, line=line, column=column)


def _unreadable(error: yaml.reader.ReaderError, text: str) -> Mistake:
    before = text[: error.position]
    line, column = before.count("\n") + 1, error.position - before.rfind("\n")
    problem = f"this is not YAML: the character U+{error.character:04X} is not allowed in a text file."
    return Mistake(key="", problem=problem, line=line, column=column)
