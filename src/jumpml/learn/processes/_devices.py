"""Which device is whose."""

from __future__ import annotations

import torch

from jumpml.core import Launched
from jumpml.learn.processes._processes import started


def device_of(name: str) -> torch.device:
    """Where to learn, as the learner file names it.

    Raises:
        RuntimeError: Torch knows no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def own_device(device: torch.device) -> torch.device:
    """The GPU of this one of several processes, where a GPU is asked for and none is named; else what is asked for."""
    if device.type != "cuda" or device.index is not None or started() < 2:
        return device
    return torch.device("cuda", Launched.here().place)
