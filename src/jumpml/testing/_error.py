"""What a part that does not conform is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from jumpml.core import JumpMLError

if TYPE_CHECKING:
    from collections.abc import Mapping


@final
class ConformanceError(JumpMLError, AssertionError):
    """A part fails checks of its kind; test runners take it for a failed assertion.

    Args:
        what: The verb and the part: ``check_node: MyModule``.
        findings: By check that failed, what was expected and what came.
        total: How many checks were made.

    Attributes:
        findings: As given.
    """

    def __init__(self, what: str, findings: Mapping[str, str], total: int) -> None:
        lines = "".join(f"\n  {check}: {text}" for check, text in findings.items())
        super().__init__(f"{what} fails {len(findings)} of {total} checks.{lines}")
        self.findings = dict(findings)
