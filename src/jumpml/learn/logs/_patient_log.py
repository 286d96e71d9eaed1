"""A log on a disk that refuses stops no training."""

from __future__ import annotations

import logging
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, final

from jumpml.learn.logs._logs import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jumpml.core import EpochRecord
    from jumpml.learn.logs._logs import StepRecord

_LOG = logging.getLogger("jumpml")


@final
class PatientLog(Log):
    """Another log; what it fails to write is kept and given to it again with the next figures.

    Args:
        log: The other.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._kept: deque[Callable[[], object]] = deque()
        self._told = False

    def begin(self, phase: str, epochs: int, done: int, steps: int) -> None:
        """A phase starts or goes on."""
        self._log.begin(phase, epochs, done, steps)

    def steps(self, records: Sequence[StepRecord]) -> None:
        """Some steps were made."""
        self._kept.append(partial(self._log.steps, records))
        self._write()

    def epoch(self, record: EpochRecord) -> None:
        """An epoch ended."""
        self._kept.append(partial(self._log.epoch, record))
        self._write()

    def rewind(self, step: int, epochs: Sequence[EpochRecord]) -> None:
        """Training goes on from a checkpoint."""
        self._kept.clear()
        self._kept.append(partial(self._log.rewind, step, epochs))
        self._write()

    def pause(self) -> None:
        """The learner hands back to the program."""
        self._write()
        if not self._kept:
            self._kept.append(self._log.pause)
            self._write()

    def _write(self) -> None:
        try:
            while self._kept:
                self._kept[0]()
                self._kept.popleft()
        except OSError as error:
            if not self._told:
                text = "%s cannot write: %s. Its figures are kept and written when it can; training goes on."
                _LOG.warning(text, type(self._log).__name__, error)
            self._told = True
        else:
            self._told = False
