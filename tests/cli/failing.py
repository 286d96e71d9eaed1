"""A command that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from typer.testing import CliRunner

from jumpml.cli._errors import Shell

if TYPE_CHECKING:
    from collections.abc import Mapping


def ends_with(error: BaseException, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """A command that raises, under the shell that all commands have: its exit code and what it said to stderr."""
    failing = typer.Typer(cls=Shell, rich_markup_mode=None, pretty_exceptions_enable=False)

    @failing.command("fail")
    def fail() -> None:
        raise error

    @failing.callback()
    def group() -> None: ...

    result = CliRunner().invoke(failing, ["fail"], env=environment)
    assert result.stdout == ""
    return result.exit_code, result.stderr
