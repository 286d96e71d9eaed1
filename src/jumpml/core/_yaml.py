"""YAML and JSON text to plain values, with the line and column of every key.

YAML 1.1 reads ``no`` as false and ``1e-4`` as a string; both have cost people days, so this reader takes YAML 1.2's
view: only ``true`` and ``false`` are booleans, and every number that JSON knows is a number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from jumpml.core._errors import Mistake, SpecError

Path_ = tuple[str | int, ...]
MAX_VALUES = 100_000  # aliases can make a short file expand without bound ("billion laughs")


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's own class attribute)


_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)


@dataclass(frozen=True)
class Document:
    """A parsed file: its value, and where each key stands.

    Attributes:
        value: Dicts, lists and scalars.
        positions: 1-based (line, column) by key path; the empty path is the document itself.
    """

    value: Any
    positions: dict[Path_, tuple[int, int]] = field(default_factory=dict)

    def position(self, path: Path_) -> tuple[int, int] | tuple[None, None]:
        """The place of a path, or of its nearest ancestor that stands in the file."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.positions:
                return self.positions[path[:length]]
        return None, None


def parse_yaml(text: str, source: str) -> Document:
    """Parse YAML (and so JSON) text.

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
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return Document({}, {(): (1, 1)})
        return _Reader(loader, source).read(root)
    except yaml.YAMLError as error:
        raise SpecError(source, [_mistake_of(error)]) from None
    finally:
        loader.dispose()


class _Reader:
    """Turns one document's nodes into values, noting where each stands."""

    def __init__(self, loader: _Loader, source: str) -> None:
        self.loader, self.source = loader, source
        self.positions: dict[Path_, tuple[int, int]] = {}
        self.mistakes: list[Mistake] = []
        self.open: set[int] = set()
        self.count = 0

    def read(self, root: yaml.Node) -> Document:
        value = self._value(root, ())
        if self.mistakes:
            raise SpecError(self.source, self.mistakes)
        return Document(value, self.positions)

    def _value(self, node: yaml.Node, path: Path_) -> Any:
        self.count += 1
        if self.count > MAX_VALUES or id(node) in self.open:
            problem = f"the file's aliases expand to more than {MAX_VALUES} values or contain themselves."
            raise SpecError(self.source, [self._mistake(node, path, problem)])
        self.positions.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._mapping(node, path)
        finally:
            self.open.discard(id(node))

    def _scalar(self, node: yaml.ScalarNode, path: Path_) -> Any:
        if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.startswith("tag:yaml.org,2002:python"):
            self.mistakes.append(self._mistake(node, path, f"the tag {node.tag!r} is refused: a spec file holds only data."))
            return None
        return self.loader.construct_object(node)

    def _mapping(self, node: yaml.Node, path: Path_) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None:
                self.mistakes.append(self._mistake(key_node, path, "a key must be plain text."))
                continue
            here = (*path, key)
            if key in result:
                self.mistakes.append(self._mistake(key_node, here, "this key stands twice; the first would be lost."))
                continue
            self.positions[here] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            result[key] = self._value(value_node, here)
        return result

    def _mistake(self, node: yaml.Node, path: Path_, problem: str) -> Mistake:
        mark = node.start_mark
        return Mistake(key=dotted(path), problem=problem, line=mark.line + 1, column=mark.column + 1)


def dotted(path: Path_) -> str:
    """A key path as people write it: ``nodes.digit.inputs[0]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _mistake_of(error: yaml.YAMLError) -> Mistake:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
    return Mistake(key="", problem=f"this is not YAML: {problem}.", line=line, column=column)
