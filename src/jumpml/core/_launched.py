"""What a launcher such as `torchrun` tells each process that it starts, and which of them speaks."""

from __future__ import annotations

import os
from dataclasses import dataclass

LAUNCHER = "torchrun --nproc-per-node"


@dataclass(frozen=True, kw_only=True)
class Launched:
    """One process, as its launcher has numbered it.

    Attributes:
        rank: Which of all it is, from 0.
        count: How many there are.
        place: Which of those on its machine it is, from 0.
        beside: How many there are on its machine.
    """

    rank: int = 0
    count: int = 1
    place: int = 0
    beside: int = 1

    @classmethod
    def here(cls) -> Launched:
        """This process; the only one where no launcher says otherwise."""
        rank, count = _number("RANK", -1), _number("WORLD_SIZE", 1)
        if rank < 0 or count < 2:
            return cls()
        return cls(rank=rank, count=count, place=_number("LOCAL_RANK", 0), beside=_number("LOCAL_WORLD_SIZE", count))

    def command(self, command: str) -> str:
        """A command of the shell as so many processes are started with it.

        Args:
            command: It begins with ``jumpml``.
        """
        if self.count < 2:
            return command
        machines = "" if self.count == self.beside else f" --nnodes {self.count // self.beside}"
        return f"{LAUNCHER} {self.beside}{machines} -m {command}"


def leave_to_first(error: BaseException) -> None:
    """Mark an error that the first process tells, since it has the same."""
    error.__dict__["_left_to_first"] = True


def is_left_to_first(error: BaseException) -> bool:
    """Whether the first process tells of an error."""
    return getattr(error, "_left_to_first", False)


def _number(variable: str, otherwise: int) -> int:
    try:
        return int(os.environ[variable])
    except (KeyError, ValueError):
        return otherwise
