"""Whether a checkpoint belongs to the run that reads it, and what was changed where it does not."""

from __future__ import annotations

import json
import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jumpml.core import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

# What leaves the weights' bits as they are, or follows the machine.
_FREE = (
    "data.root",
    "data.storage",
    "data.workers",
    "learner.adapt",
    "learner.checkpoint.every",
    "learner.checkpoint.keep",
    "learner.device",
    "learner.distribute",  # how many processes there are is told beside the files
    "learner.log",
)
# What the files say too, in their own words.
_IN_FILES = (
    "seed",
    "batch size",
    "how rows are drawn",
    "accumulate",
    "clip_norm",
    "clip_value",
    "execution",
    "ema",
    "curriculum",
    "pacing",
    "examples",
    "prioritized",
    "phase ",
)
_RATES = (
    "learner.accumulate",
    "learner.optimizer",
    "learner.schedule",
    "learner.phases",
    "accumulate",
    "optimizer",
    "phase ",
)
# What says which rows come, as the learner has it.
_ORDERS = ("train rows", "batch size", "how rows are drawn", "curriculum", "pacing", "prioritized")
_UNSAID = {"processes": "1"}  # what is meant where nothing is told; "none" elsewhere
_ANEW = {"processes": "; dropout and augmentation are drawn anew from here"}
_LONGEST = 60  # characters of a value in a text


class Changes:
    """What differs between a checkpoint and the learner that reads it.

    Args:
        was: By name, what must be the same for a resumed run to be the same run, as the checkpoint has it.
        now: As the learner has it.
        files_was: What the files said then, by kind; empty where the run had none.
        files_now: What they say now.

    Attributes:
        by_key: What differs, in words, by the key that says it.
        orders: Whether an epoch has other batches now, whichever data sets its phase draws from.
    """

    def __init__(
        self,
        was: Mapping[str, str],
        now: Mapping[str, str],
        files_was: Mapping[str, Any] | None = None,
        files_now: Mapping[str, Any] | None = None,
    ) -> None:
        files_was, files_now = files_was or {}, files_now or {}
        self.by_key: dict[str, str] = {}
        for kind in files_was.keys() & files_now.keys():
            self.by_key |= _differing(kind, files_was[kind], files_now[kind])
        self.orders = _any(self.by_key, ("data.",)) or any(was.get(key) != now.get(key) for key in _ORDERS)
        told = _IN_FILES if self.by_key else ()
        self.by_key |= {
            key: _then_and_now(key, was, now)
            for key in {**was, **now}
            if was.get(key) != now.get(key) and not key.startswith(told)
        }

    def __bool__(self) -> bool:
        return bool(self.by_key)

    def __str__(self) -> str:
        return "\n".join(f"  {key}: {change}" for key, change in self.by_key.items())

    @property
    def in_a_line(self) -> str:
        """All of them, for a record."""
        return "; ".join(f"{key}: {change}" for key, change in self.by_key.items())

    @property
    def rates(self) -> bool:
        """Whether learning rates move otherwise now."""
        return _any(self.by_key, _RATES)

    @contextmanager
    def fitting(self, part: str) -> Iterator[None]:
        """Inside, what fails to take its state says so.

        Args:
            part: What takes it, in words.

        Raises:
            CheckpointError: It fails.
        """
        try:
            yield
        except (KeyError, IndexError, RuntimeError, TypeError, ValueError) as error:
            fix = "Build it as it was where the checkpoint was written, or save into another folder."
            why = f"; changed was:\n{self}\nUndo the changes, or start a new run." if self else f".\n{fix}"
            raise CheckpointError(f"the checkpoint does not fit {part}: {_shortened(error)}{why}") from error

    def refuse(self, step: int, run: Path | None = None) -> None:
        """Say what was changed, and what to do.

        Args:
            step: The checkpoint's.
            run: The run's folder, where it was made from files.

        Raises:
            CheckpointError: Always.
        """
        shell = f"jumpml resume {shlex.quote(str(run))} --allow-changes, or " if run else ""
        raise CheckpointError(
            f"the checkpoint of step {step} belongs to another run:\n{self}\n"
            f"Undo the changes, or start a new run; or go on with them: {shell}learner.resume(allow_changes=True)."
        )


_ABSENT = object()
_TOLD = 3  # of what does not fit, one a line


def _shortened(error: Exception) -> str:
    """What torch says of each tensor that does not fit, for the first few of them."""
    first, *rest = str(error).removesuffix(".").splitlines()
    lines = [first, *(f"  {line.strip()}" for line in rest[:_TOLD])]
    return "\n".join([*lines, f"  and {len(rest) - _TOLD} more"] if len(rest) > _TOLD else lines)


def _then_and_now(key: str, was: Mapping[str, str], now: Mapping[str, str]) -> str:
    unsaid = _UNSAID.get(key, "none")
    return f"{was.get(key, unsaid)} then, {now.get(key, unsaid)} now{_ANEW.get(key, '')}"


def _any(keys: Collection[str], starts: tuple[str, ...]) -> bool:
    return any(key.startswith(starts) for key in keys)


def _differing(key: str, was: Any, now: Any) -> dict[str, str]:
    """What differs below a key, by dotted key; a list is one value."""
    if was == now or key.startswith(_FREE):
        return {}
    if not (isinstance(was, dict) and isinstance(now, dict)):
        return {key: f"{_shown(was)} then, {_shown(now)} now"}
    told = {}
    for name in {**was, **now}:
        told |= _differing(f"{key}.{name}", was.get(name, _ABSENT), now.get(name, _ABSENT))
    return told


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "not there"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."
