"""A run in several processes: all of them learn, and the first one writes and tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from jumpml.core import LAUNCHER, JumpMLError, Launched, RunError

if TYPE_CHECKING:
    from collections.abc import Callable

    from jumpml.learn import Processes

Value = TypeVar("Value")


def together(processes: Processes, call: Callable[[], Value]) -> Value:
    """What a call gives that each process makes for itself; where it fails in one, it fails in all.

    Args:
        processes: All.
        call: Asks nothing of the others.

    Raises:
        JumpMLError: What failed here; or that another failed.
    """
    if processes.alone:
        return call()
    found: list[Value] = []
    failed: JumpMLError | None = None
    try:
        found.append(call())
    except JumpMLError as error:
        failed = error
    try:
        told = processes.gather("" if failed is None else str(failed))
    except JumpMLError:  # the others did not come as far as this
        if failed is not None:
            raise failed from None
        raise
    if failed is not None:
        raise processes.agreed(failed) if told[0] == str(failed) else failed
    others = [rank for rank, text in enumerate(told) if text]
    if others:
        raise processes.agreed(RunError(f"process {others[0]} of {len(told)} failed, and said why."))
    return found[0]


def refuse_several(what: str) -> None:
    """Refuse what one process does.

    Args:
        what: In words.

    Raises:
        RunError: A launcher has started several.
    """
    count = Launched.here().count
    if count > 1:
        raise RunError(f"{what} in one process, and {count} were started. Start it without torchrun.")


def told_of(processes: Processes) -> str:
    """In words, who learns."""
    if processes.alone:
        return f"one; several learn as one with `distribute: ddp` where `{LAUNCHER} 2 -m jumpml run ...` starts them"
    return f"{processes.count} learn as one, each from its share of every batch"
