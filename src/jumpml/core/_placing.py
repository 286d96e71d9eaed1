"""From what does not fit to the lines of the files that say it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from jumpml.core._errors import JumpMLError, SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jumpml.core._errors import Problem
    from jumpml.core._spec import FileSpec

E = TypeVar("E", bound=JumpMLError)


def refusal(kind: type[E], problems: Sequence[Problem]) -> E:
    """An error that tells all problems at once, and remembers where each stands.

    Args:
        kind: The error's class.
        problems: At least one.

    Example:
        >>> from jumpml.core import GraphError, Problem
        >>> print(refusal(GraphError, [Problem(("nodes", "digit"), "reads nothing.")]))
        node 'digit': reads nothing.
    """
    lines = [str(problem) for problem in problems]
    error = kind(lines[0] if len(lines) == 1 else "\n".join([f"{len(lines)} problems:", *(f"  {n}" for n in lines)]))
    error.problems = tuple(problems)
    return error


def with_lines(error: JumpMLError, *specs: FileSpec) -> JumpMLError:
    """Tell an error's problems with file, line and key, where one of these files has the key that a path begins with.

    Args:
        error: It comes back as it is where none of its problems stands in one of the files.
        specs: The files. Top-level keys that paths begin with stand in one kind of file only.
    """
    left = list(error.problems)
    placed: list[JumpMLError] = []
    for spec in specs:
        own = [problem for problem in left if problem.path[0] in type(spec).model_fields]
        left = [problem for problem in left if problem not in own]
        if own:
            placed.append(SpecError(spec.source, [spec.mistake(p.path, p.text, p.fix) for p in own]))
    if not placed:
        return error
    found = join_errors([*placed, *([refusal(type(error), left)] if left else [])])
    if left:
        found.problems = error.problems  # who knows the other files can tell all with lines
    return found


def join_errors(errors: Sequence[JumpMLError]) -> JumpMLError:
    """Several errors as one; mistakes in one file stand together.

    Args:
        errors: At least one.
    """
    by_source: dict[object, JumpMLError] = {}
    for error in errors:
        key = error.source if isinstance(error, SpecError) else error
        known = by_source.get(key)
        if isinstance(error, SpecError) and isinstance(known, SpecError):
            error = SpecError(error.source, list(dict.fromkeys([*known.mistakes, *error.mistakes])))  # noqa: PLW2901
        by_source[key] = error
    found = list(by_source.values())
    return found[0] if len(found) == 1 else JumpMLError("\n".join(map(str, found)))
