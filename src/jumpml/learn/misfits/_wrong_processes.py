"""Devices that there are not, and several processes that were not told to learn together, or cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.core import Launched, Problem
from jumpml.learn.processes._devices import device_of, own_device
from jumpml.learn.processes._processes import started

if TYPE_CHECKING:
    from collections.abc import Iterator


def wrong_processes(device: str, *, together: bool) -> Iterator[Problem]:
    """What keeps this process, or all that were started, from learning.

    Args:
        device: Where, as the file names it.
        together: Whether several are to learn as one.
    """
    count, several = started(), device in {"auto", "cuda"} and started() > 1
    try:
        torch.empty(0, device=own_device(device_of(device)))
    except (RuntimeError, AssertionError) as error:  # torch asserts where it was built without CUDA
        text = f"this machine has no device {device!r}: {str(error).splitlines()[0]}"
        if several and torch.cuda.is_available():
            text = (
                f"{Launched.here().beside} processes need a GPU each, and this machine has {torch.cuda.device_count()}."
            )
        yield Problem(("device",), text, "Start fewer processes." if several else "")
        return
    if count > 1 and not together:
        text = f"{count} processes were started, and each would learn the whole run by itself."
        fix = "Say `distribute: ddp`, and they share every batch; or start one, without torchrun."
        yield Problem(("distribute",), text, fix)
    elif count > 1:
        yield from _unshared(device_of(device), count)


def _unshared(device: torch.device, count: int) -> Iterator[Problem]:
    if device.type not in {"cpu", "cuda"}:
        text = f"{count} processes cannot add up their gradients on {device.type!r}."
        yield Problem(("device",), text, "Say `device: cpu`, or start one process.")
    elif device.index is not None and Launched.here().beside > 1:
        text = f"{Launched.here().beside} processes of this machine would share {str(device)!r}."
        yield Problem(("device",), text, "Say `device: cuda`: each takes a GPU of its own.")
