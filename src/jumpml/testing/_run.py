"""Runs the checks of a kind of part."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from jumpml.core import did_you_mean
from jumpml.testing._error import ConformanceError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

C = TypeVar("C")


def chosen(checks: Mapping[str, Callable[[C], str]], without: Collection[str]) -> dict[str, Callable[[C], str]]:
    """The checks but those that do not apply.

    Args:
        checks: By name.
        without: Those that do not apply.

    Raises:
        ValueError: ``without`` names no check.
    """
    for name in without:
        if name not in checks:
            raise ValueError(f"there is no check {name!r}. {did_you_mean(name, checks)}")
    return {name: check for name, check in checks.items() if name not in without}


def run(what: str, checks: Mapping[str, Callable[[C], str]], case: C) -> None:
    """Make all checks, whichever of them fail.

    Args:
        what: The verb and the part: ``check_node: MyModule``.
        checks: By name; each says what was expected and what came, or nothing.
        case: What is checked.

    Raises:
        ConformanceError: Some fail.
    """
    findings = {name: told for name, check in checks.items() if (told := _told(check, case))}
    if findings:
        raise ConformanceError(what, findings, len(checks))


def _told(check: Callable[[C], str], case: C) -> str:
    """What a check finds; what it stumbles over is a finding too."""
    try:
        return check(case)
    except ImportError:
        raise  # a package that is not installed says nothing of the part
    except Exception as error:
        return f"expected it to run; {type(error).__name__}: {str(error).strip()}"
