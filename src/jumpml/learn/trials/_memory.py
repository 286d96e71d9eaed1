"""How much memory training holds."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.profiler import ProfilerActivity, profile

from jumpml.core import LearnerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from jumpml.graph import Model
    from jumpml.learn._learner import Learner

_LEVEL = "KINETO_LOG_LEVEL"
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def bytes_of(text: str | int) -> int:
    """An amount of memory as bytes.

    Raises:
        LearnerError: It is none.

    Example:
        >>> bytes_of("4GB"), bytes_of("512MiB"), bytes_of(1000)
        (4000000000, 536870912, 1000)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?\s*", str(text).lower())
    if not match or match[2] not in _UNITS or not float(match[1]):
        raise LearnerError(f"expected an amount of memory such as 4GB or 512MiB, got {text!r}.")
    return round(float(match[1]) * _UNITS[match[2]])


def told_bytes(amount: float) -> str:
    """Bytes for people.

    Example:
        >>> told_bytes(900), told_bytes(61_234), told_bytes(12_300_000)
        ('900 B', '61.2 kB', '12.3 MB')
    """
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(amount) >= size:
            return f"{amount / size:.3g} {unit}"
    return f"{amount:.0f} B"


def bytes_by_node(model: Model) -> tuple[dict[str, int], dict[str, int]]:
    """By node, how many parameters it has, and the bytes of these and its buffers."""
    parameters, held = {}, {}
    for name in model.node_names:
        module = model.node(name)
        parameters[name] = sum(parameter.numel() for parameter in module.parameters())
        held[name] = sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))
    return parameters, held


@contextmanager
def profiled(device: torch.device) -> Iterator[profile]:
    """Torch's profiler with memory, without what its library tells of itself on the terminal."""
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device.type == "cuda" else [])
    told = os.environ.get(_LEVEL)
    os.environ.setdefault(_LEVEL, "6")  # read when a process profiles for the first time
    try:
        with profile(activities=activities, profile_memory=True, acc_events=True) as seen:
            yield seen
    finally:
        if told is None:
            del os.environ[_LEVEL]


def held_by(trial: Learner) -> int:
    """Bytes of weights, buffers and the optimizer's moments; gradients are let go first."""
    trial.optimizer.zero_grad()
    tensors = (*trial.model.parameters(), *trial.model.buffers(), *_tensors(trial.optimizer.state_dict()))
    return sum(tensor.nbytes for tensor in {id(tensor): tensor for tensor in tensors}.values())


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _tensors(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _tensors(each)


def peak_of(seen: Any, device: torch.device) -> int:
    """The most bytes that were held at a time of those that came while the profiler looked."""
    on_cpu = device.type == "cpu"
    changes = sorted(
        (event.start_ns(), event.nbytes())
        for event in seen.profiler.kineto_results.events()
        if event.name() == "[memory]" and (event.device_type() == torch.autograd.DeviceType.CPU) == on_cpu
    )
    level = highest = 0
    for _, change in changes:
        level += change
        highest = max(highest, level)
    return highest
