"""Devices that there are not, and several processes that were not told to learn together, or cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.core import Launched, Problem
from jumpml.learn.processes._devices import device_of
from jumpml.learn.processes._processes import started

if TYPE_CHECKING:
    from collections.abc import Iterator


def wrong_processes(device: str, *, together: bool) -> Iterator[Problem]:
    """What keeps this process, or all that were started, from learning.

    Args:
        device: Where, as the file names it.
        together: Whether several are to learn as one.
    """
    count = started()
    if (problem := _no_device(device)) is not None:
        yield problem
    elif count > 1 and not together:
        text = f"{count} processes were started, and each would learn the whole run by itself."
        fix = "Say `distribute: ddp`, and they share every batch; or start one, without torchrun."
        yield Problem(("distribute",), text, fix)
    elif count > 1:
        yield from _unshared(device_of(device), count)


def _no_device(device: str) -> Problem | None:
    try:
        torch.empty(0, device=device_of(device))
    except (RuntimeError, AssertionError) as error:  # torch asserts where it was built without CUDA
        text = f"this machine has no device {device!r}: {str(error).splitlines()[0].removesuffix('.')}."
        return Problem(("device",), text, "Say `device: cpu`, or `auto`.")
    return None


def _unshared(device: torch.device, count: int) -> Iterator[Problem]:
    beside = Launched.here().beside
    if device.type not in {"cpu", "cuda"}:
        text = f"{count} processes cannot add up their gradients on {device.type!r}."
        yield Problem(("device",), text, "Say `device: cpu`, or start one process.")
    elif device.index is not None:
        if beside > 1:
            text = f"{beside} processes of this machine would share {str(device)!r}."
            yield Problem(("device",), text, "Say `device: cuda`: each takes a GPU of its own.")
    elif device.type == "cuda" and beside > (gpus := torch.cuda.device_count()):
        text = f"{beside} processes of this machine need a GPU each, and it has {gpus}."
        yield Problem(("device",), text, "Start as many as there are, or say `device: cpu`.")
