"""A command that a launcher has started several times: one of the processes speaks."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from typing import Any

from jumpml.core import Launched, NonFiniteLossError, RunError, Terminated, is_left_to_first

TOGETHER = ("run", "resume", "check")
PATIENCE = 30.0  # seconds: by how much the processes of a machine may be apart before they join
_STOPPED = (KeyboardInterrupt, Terminated)  # a signal to one stops all at the same step


def begin(context: Any, command: str | None) -> None:
    """Let the first process alone speak, and refuse what one process does.

    Args:
        context: The command's.
        command: Its name.

    Raises:
        RunError: Several were started with a command that one does.
    """
    here = Launched.here()
    if here.count < 2:
        return
    if here.rank:
        _hush(context)
    if command not in TOGETHER:
        text = f"`jumpml {command}` runs in one process, and {here.count} were started"
        raise RunError(f"{text}: start it without torchrun. Several learn together by {_listed()}.")


def voice(error: BaseException) -> str | None:
    """What to put before the text of an error; None where this process leaves it to the first.

    Before processes have joined each finds what is wrong with the files by itself, and one a machine tells. Others wait
    until it has: `torchrun` stops them then, and would stop the one before it has spoken where another ended first. Who
    is not stopped has met what that one has not, and tells it; but for what all have met together, as when all learn
    the same and come to a NaN.

    Args:
        error: What ended the command here.
    """
    here = Launched.here()
    if not here.rank:
        return ""
    if isinstance(error, _STOPPED):
        return None
    together = is_left_to_first(error) or isinstance(error, NonFiniteLossError)
    if together or (here.place and not _joined()):
        time.sleep(PATIENCE)
    return None if together else f"process {here.rank} of {here.count}: "


def _listed() -> str:
    *names, last = (f"`jumpml {name}`" for name in TOGETHER)
    return f"{', '.join(names)} and {last}"


def _joined() -> bool:
    if "torch" not in sys.modules:  # whoever joins has imported it
        return False
    from torch import distributed

    return distributed.is_available() and distributed.is_initialized()


def _hush(context: Any) -> None:
    """Until the command ends, send nowhere what the first process says too."""
    context.with_resource(redirect_stdout(StringIO()))
    context.with_resource(warnings.catch_warnings(action="ignore"))
    log = logging.getLogger("jumpml")
    context.call_on_close(partial(log.setLevel, log.level))
    log.setLevel(logging.CRITICAL)
