"""Which device is whose."""

from __future__ import annotations

import torch

from jumpml.core import Launched


def device_of(name: str) -> torch.device:
    """Where to learn, as the learner file names it.

    Raises:
        RuntimeError: Torch knows no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def own_device(device: torch.device) -> torch.device:
    """The GPU of this one of several that a launcher started, where one is asked for and none named; else the same."""
    if device.type != "cuda" or device.index is not None or Launched.here().count < 2:
        return device
    return torch.device("cuda", Launched.here().place)
