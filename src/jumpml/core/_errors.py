"""Every error that JumpML raises on purpose, each with the place, the expectation and the repair in its text."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """One thing that does not fit, before it is known whether a file or a program asked for it.

    Attributes:
        path: Where, as a file would spell it: ``("nodes", "digit", "inputs", 0)``.
        text: What was expected and what came; it goes on from the place: ``reads 'encodr', which ...``.
        fix: What to do, or an empty string.
    """

    path: tuple[str | int, ...]
    text: str
    fix: str = ""

    def __str__(self) -> str:
        kind, *names = self.path
        place = f"{_SINGULAR[str(kind)]} {names[0]!r}" if names and kind in _SINGULAR else ".".join(map(str, self.path))
        return f"{place}: {self.text} {self.fix}".rstrip()


_SINGULAR = {"inputs": "input", "nodes": "node", "tasks": "task", "objectives": "objective", "phases": "phase"}


class JumpMLError(Exception):
    """The root of all errors that a user's input or environment can cause.

    Attributes:
        problems: What does not fit, by the key that a file would have; empty where the error knows of no such place.
            `with_lines` finds file and line.
    """

    problems: tuple[Problem, ...] = ()


class DataError(JumpMLError):
    """The data cannot be read, decoded or split as the data file says."""


class PretrainedError(JumpMLError):
    """A model or weights that were made elsewhere cannot be read, or do not fit."""


class GraphError(JumpMLError):
    """Nodes, their wiring or their shapes do not fit together."""


class ObjectiveError(JumpMLError):
    """An objective received values that it cannot be computed on."""


class LearnerError(JumpMLError):
    """The learner was asked for something that its model, data or options rule out."""


class NonFiniteLossError(LearnerError):
    """A loss became NaN or infinite; the text names the step, the objective and the node where it began."""


class CheckpointError(JumpMLError):
    """A checkpoint is missing, damaged, or belongs to other files."""


class Terminated(SystemExit):
    """SIGTERM came while the learner was at work; what it had learned was saved. Ends the program with exit code 143.

    Attributes:
        text: What was saved, and where.
    """

    def __init__(self, text: str) -> None:
        super().__init__(143)  # 128 + SIGTERM, as a shell tells it
        self.text = text

    def __str__(self) -> str:
        return self.text


class EvaluationError(JumpMLError):
    """A metric cannot be computed as asked."""


class DiagnosisError(JumpMLError):
    """A diagnosis cannot be made of what was given: another run's history, or embeddings that are no numbers."""


class DeploymentError(JumpMLError):
    """A variant cannot be exported, verified or bundled, or a bundle cannot be trusted."""


class RunError(JumpMLError):
    """A folder is no run, or holds a damaged record."""


class MissingExtraError(JumpMLError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        install = f"pip install 'jumpml[{extra}]'"
        super().__init__(f"{purpose} needs the package {package!r}, which is not installed: {install}")


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One thing that is wrong in a file.

    Attributes:
        key: The dotted path of the key, such as ``nodes.digit.module``; empty for the file as a whole.
        problem: What is wrong: what was expected and what came.
        fix: What to do, or an empty string.
        line: 1-based line, or None where the source is not a file.
        column: 1-based column, or None likewise.
        overridden: Whether the value came from ``--set`` and so stands in no line of the file.
    """

    key: str
    problem: str
    fix: str = ""
    line: int | None = None
    column: int | None = None
    overridden: bool = False

    def __str__(self) -> str:
        where = "" if self.line is None else f"line {self.line}, column {self.column}: "
        where = "--set " if self.overridden else where
        key = f"{self.key}: " if self.key else ""
        return f"{where}{key}{self.problem}" + (f" {self.fix}" if self.fix else "")


class SpecError(JumpMLError):
    """One or more mistakes in one of the four files; all of them are told at once.

    Attributes:
        source: The file's path, or a phrase such as ``the model spec`` for a dict.
        mistakes: What is wrong, in the order of the file.
    """

    def __init__(self, source: str | Path, mistakes: Sequence[Mistake]) -> None:
        self.source = str(source)
        self.mistakes = tuple(sorted(mistakes, key=lambda m: (m.line or 0, m.column or 0)))
        count = len(self.mistakes)
        head = f"{self.source}: {count} mistake{'s' if count != 1 else ''}"
        super().__init__("\n".join([head, *(f"  {mistake}" for mistake in self.mistakes)]))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Answer a wrong name with the near misses, or with all that there is where the list is short.

    Args:
        name: What the user wrote.
        known: The names that would have been right.

    Returns:
        A sentence to append to an error; empty where nothing helps.

    Example:
        >>> did_you_mean("modul", ["module", "inputs", "args"])
        "Did you mean 'module'?"
    """
    names = sorted({str(k) for k in known})
    by_lower = {n.lower(): n for n in names}  # `CSV` is near `csv`, though no letter is the same
    close = [by_lower[n] for n in get_close_matches(str(name).lower(), by_lower, n=3, cutoff=0.6)]
    if close:
        return f"Did you mean {' or '.join(repr(c) for c in close)}?"
    if not names:
        return "There are none."
    if len(names) <= 20:
        return f"There is: {', '.join(names)}."
    return ""
