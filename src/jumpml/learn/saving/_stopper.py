"""Ctrl-C and SIGTERM: the step under way is finished and saved before the program ends."""

from __future__ import annotations

import logging
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import torch

from jumpml.core import Terminated
from jumpml.learn.processes._processes import ALONE

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from jumpml.learn.processes._processes import Processes

_LOG = logging.getLogger("jumpml")
_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}

ASK_EVERY = 1.0  # seconds, about, until several processes ask each other again
MOST_STEPS = 1000  # between two times, however short they are

_HOW = "Go on with: learner.resume()"  # the shell puts its own command there


class Stopper:
    """Inside ``with``, the first Ctrl-C or SIGTERM is only noted; a second one stops at once.

    Only in the main thread, and only where the signal would do what it does by default: a program with handlers of its
    own knows what it does. Outside everything is as it was.

    Args:
        processes: Those that stop together.
        device: Where they tell each other.

    Attributes:
        asked: The signal that came, if one did.
    """

    def __init__(self, processes: Processes = ALONE, device: torch.device | None = None) -> None:
        self.asked: signal.Signals | None = None
        self._processes, self._device = processes, device
        self._before: dict[signal.Signals, Any] = {}
        self._steps, self._pause, self._since = 0, 1, 0.0

    def __enter__(self) -> Self:
        self.asked = None
        self._steps, self._pause, self._since = 0, 1, time.monotonic()
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

    def after_step(self) -> bool:
        """Whether a signal came, as far as is known after a step; several processes ask each other every second or so.

        How many steps that takes they agree upon when they ask, by the slowest: a clock is each one's own. Only a
        launcher that has told them to stop waits for it, and that for half a minute.
        """
        if self._processes.alone:
            return self.asked is not None
        self._steps += 1
        return self._steps >= self._pause and self.agreed()

    def agreed(self) -> bool:
        """Whether a signal came, to whichever process; all are asked, and wait for their devices."""
        if not self._processes.alone:
            now = time.monotonic()
            told = torch.zeros(self._processes.count, 2, dtype=torch.float64)
            told[self._processes.rank] = torch.tensor([int(self.asked or 0), (now - self._since) / max(1, self._steps)])
            (told,) = self._processes.sum([told.to(self._device)])
            came, slowest = told.amax(0).tolist()
            self._pause = max(1, min(2 * self._pause, int(ASK_EVERY / max(slowest, 1e-9)), MOST_STEPS))
            self._steps, self._since = 0, now
            if came:
                self.asked = signal.Signals(int(came))
        return self.asked is not None

    def stopped(self, text: str) -> BaseException:
        """What to raise when everything is saved.

        Args:
            text: What was saved, and where; goes on from "stopped by Ctrl-C".
        """
        told = f"stopped by {_NAMES[self.asked or signal.SIGINT]} {text}"
        if self.asked == signal.SIGTERM and self._processes.first:
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
