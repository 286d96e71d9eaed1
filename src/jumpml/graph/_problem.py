"""What is wrong with a graph, before it is known whether a file or a program asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jumpml.core import GraphError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SINGULAR = {"inputs": "input", "nodes": "node", "tasks": "task", "objectives": "objective"}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: Where, as a model file would spell it: ``("nodes", "digit", "inputs", 0)``.
        text: What was expected and what came; it goes on from the place: ``reads 'encodr', which ...``.
        fix: What to do, or an empty string.
    """

    path: tuple[str | int, ...]
    text: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{_SINGULAR[str(self.path[0])]} {self.path[1]!r}: {self.text} {self.fix}".rstrip()


def refuse(problems: Sequence[Problem]) -> None:
    """Raise all problems at once.

    Raises:
        GraphError: There is one.
    """
    if len(problems) == 1:
        raise GraphError(str(problems[0]))
    if problems:
        raise GraphError(
            "\n".join([f"the model has {len(problems)} problems:", *(f"  {problem}" for problem in problems)])
        )
