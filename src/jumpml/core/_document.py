"""A file's values with the place of each, and the bounds that no file may exceed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jumpml.core._errors import Mistake

Path_ = tuple[str | int, ...]
MAX_DEPTH = 100
MAX_VALUES = 100_000


def dotted(path: Path_) -> str:
    """A key path as people write it: ``nodes.digit.inputs[0]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if part and part.isprintable() else repr(part))
    return text


@dataclass(frozen=True)
class Document:
    """A file's value, and where each key stands.

    Attributes:
        value: Dicts, lists and scalars.
        positions: 1-based (line, column) by key path; the empty path is the document itself.
        overridden: The paths that ``--set`` gave: they and what is below them stand in no line.
    """

    value: Any
    positions: dict[Path_, tuple[int, int]] = field(default_factory=dict)
    overridden: frozenset[Path_] = frozenset()

    def mistake(self, path: Path_, problem: str, fix: str = "") -> Mistake:
        """A mistake at a path, placed where the path or its nearest ancestor stands."""
        ancestors = [path[:length] for length in range(len(path), -1, -1)]
        overridden = any(ancestor in self.overridden for ancestor in ancestors)
        # The node of a nested graph, `outer.inner`, stands where the graph does.
        ancestors = [
            other
            for ancestor in ancestors
            for other in (ancestor, *((*ancestor[:-1], head) for head in _heads(ancestor[-1:])))
        ]
        line, column = None, None
        if not overridden:
            line, column = next((self.positions[a] for a in ancestors if a in self.positions), (None, None))
        return Mistake(key=dotted(path), problem=problem, fix=fix, line=line, column=column, overridden=overridden)


def _heads(last: Path_) -> list[str]:
    name = str(*last) if last else ""
    return [name[:place] for place, mark in enumerate(name) if mark == "."][::-1]


class Bounds:
    """Notices what expands or nests without bound: aliases of aliases in a file, a dict that holds itself in Python."""

    def __init__(self) -> None:
        self._count = 0

    def exceeded(self, path: Path_) -> str:
        """Count one more value; the problem as a sentence, empty while all is well."""
        self._count += 1
        if len(path) > MAX_DEPTH:
            return f"nested deeper than {MAX_DEPTH} levels; does an alias or a dict hold itself?"
        if self._count > MAX_VALUES:
            return f"more than {MAX_VALUES:,} values, aliases counted each time they are used."
        return ""
