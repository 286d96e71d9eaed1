"""What a person at a shell is told when something goes wrong, and the exit code that a script reads."""

from __future__ import annotations

import errno
from typing import Any

import typer
from typer.core import TyperGroup

FAILED, MISTAKEN, INTERRUPTED, TERMINATED = 1, 2, 130, 143


class Shell(TyperGroup):
    """Runs a command; what goes wrong is told in words, without a traceback.

    Exit codes: 1 where a run fails on its way, 2 where a file or a command says what cannot be, 130 after Ctrl-C, 143
    after SIGTERM. Any other exception goes through: it is a bug of JumpML, or of code that the user brought.
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            _tell("interrupted", _with_notes(str(interrupt) or "stopped by Ctrl-C.", interrupt), interrupt)
            code = INTERRUPTED
        except SystemExit as stop:
            if stop.code != TERMINATED:
                raise
            _tell("terminated", "\n".join(getattr(stop, "__notes__", ())), stop)  # the learner has told the rest
            code = TERMINATED
        except OSError as error:
            if error.errno in {None, errno.EPIPE}:  # a reader of our output that went away is typer's business
                raise
            where = f": {error.filename}" if error.filename else ""
            _tell("error", _with_notes(f"{error.strerror}{where}", error), error)
            code = FAILED
        except Exception as error:
            code = _exit_code(error)
            if code is None:
                raise
            _tell("error", _with_notes(str(error), error), error)
        raise typer.Exit(code)


def _tell(label: str, text: str, error: BaseException) -> None:
    """Print what went wrong, where no other of several processes does."""
    from jumpml.cli._several import voice

    if (before := voice(error)) is not None:
        say(label, f"{before}{text}")


def say(label: str, text: str) -> None:
    """Print one labelled message to stderr, the label in red at a terminal; nothing in the text is taken for markup."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text.assemble((f"{label}:", "bold red"), " ", text))


def _exit_code(error: Exception) -> int | None:
    """The exit code of an error of JumpML's own; None for any other exception."""
    from jumpml.core import (
        CheckpointError,
        DeploymentError,
        DiagnosisError,
        EvaluationError,
        JumpMLError,
        LearnerError,
        MissingExtraError,
    )

    on_the_way = (CheckpointError, DeploymentError, DiagnosisError, EvaluationError, LearnerError, MissingExtraError)
    if isinstance(error, on_the_way):
        return FAILED
    return MISTAKEN if isinstance(error, JumpMLError) else None


def _with_notes(text: str, error: BaseException) -> str:
    return "\n".join([text, *getattr(error, "__notes__", ())])
