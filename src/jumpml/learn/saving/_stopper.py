"""Ctrl-C and SIGTERM: the step under way is finished and saved before the program ends."""

from __future__ import annotations

import logging
import signal
import threading
from typing import TYPE_CHECKING, Any, Self

from jumpml.core import Terminated
from jumpml.learn.processes._processes import ALONE

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from jumpml.learn.processes._processes import Processes

_LOG = logging.getLogger("jumpml")
_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}

_HOW = "Go on with: learner.resume()"  # the shell puts its own command there


class Stopper:
    """Inside ``with``, the first Ctrl-C or SIGTERM is only noted; a second one stops at once.

    Only in the main thread, and only where the signal would do what it does by default: a program with handlers of its
    own knows what it does. Outside everything is as it was.

    Args:
        processes: Those that stop together.

    Attributes:
        asked: The signal that came, if one did.
    """

    def __init__(self, processes: Processes = ALONE) -> None:
        self.asked: signal.Signals | None = None
        self._processes = processes
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self.asked = None
        if threading.current_thread() is threading.main_thread():
            for name in _NAMES:
                handler = signal.getsignal(name)
                if handler in (signal.SIG_DFL, signal.default_int_handler):
                    self._before[name] = signal.signal(name, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_back()

    def agreed(self) -> bool:
        """Whether a signal came, to whichever process."""
        if not self._processes.alone and (came := self._processes.largest(self.asked or 0)):
            self.asked = signal.Signals(came)
        return self.asked is not None

    def stopped(self, text: str) -> BaseException:
        """What to raise when everything is saved.

        Args:
            text: What was saved, and where; goes on from "stopped by Ctrl-C".
        """
        told = f"stopped by {_NAMES[self.asked or signal.SIGINT]} {text}"
        if self.asked == signal.SIGTERM:
            _LOG.warning("%s %s", told, _HOW)  # a program that exits says nothing by itself
        stop = Terminated(told) if self.asked == signal.SIGTERM else KeyboardInterrupt(told)
        stop.add_note(_HOW)
        return stop

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = signal.Signals(number)
        self._give_back()  # the next one does what it always does

    def _give_back(self) -> None:
        while self._before:
            name, handler = self._before.popitem()
            signal.signal(name, handler)
