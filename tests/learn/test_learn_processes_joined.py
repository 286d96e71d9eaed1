"""Processes that are joined by what a launcher tells them, and left again."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import several_joined

if TYPE_CHECKING:
    from pathlib import Path


def free_port() -> int:
    """A port that is free, as is the one behind it."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            try:
                other.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def test_they_are_joined_left_and_joined_again_and_a_programs_own_group_stays(tmp_path: Path) -> None:
    found = several_joined.launched(tmp_path, free_port())
    for rank, of_one in enumerate(found):
        assert of_one == [(rank, 2, [0, 1]), False, (rank, 2, [0, 1]), False, True]
