"""Where the time and the memory of a step go, by node."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch
from torch.profiler import record_function

from jumpml.core import LearnerError
from jumpml.learn.trials._memory import bytes_by_node, held_by, peak_of, profiled
from jumpml.learn.trials._step_profile import PartProfile, StepProfile
from jumpml.learn.trials._trial import phase_of, read, trial_of, windows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.graph import Model
    from jumpml.learn._learner import Learner

_MARK = "jumpml:"  # before the names of our ranges
_BACKWARD = "autograd::engine::evaluate_function: "
_OPTIMIZER = "Optimizer.step#"
_Part: TypeAlias = tuple[Literal["node", "objective"], str]
_NONE: _Part = ("node", "")
_WARM = 2  # steps that allocate what stays


def profile_step(learner: Learner, steps: int, phase: str | None) -> StepProfile:
    """See `Learner.profile`."""
    if steps < 1:
        raise LearnerError(f"expected at least 1 step, got {steps}.")
    name = phase_of(learner, phase)
    with trial_of(learner) as trial, trial._loop.random:
        compiles = trial._loop.execution.compile is not None
        trial._loop.execution = replace(trial._loop.execution, compile=None)  # compiled, nodes melt into each other
        trial._run.enter(name)
        device = next(trial.model.parameters()).device
        windows = windows_of(trial, name)
        for _ in range(_WARM):
            trial.step(*next(windows))
        waited, worked, rows = _timed(trial, windows, steps, device)
        held = held_by(trial)
        seen = _profiled(trial, [next(windows) for _ in range(min(steps, 5) + 1)], device)
        parts, optimizer, total = _by_part(list(seen.events() or ()), device)
        scale = worked / total if total else 0.0
        parameters, weights = bytes_by_node(trial.model)
        read(trial)
    made = [
        PartProfile(
            name=part,
            kind=kind,
            forward=forward * scale,
            backward=backward * scale,
            parameters=parameters.get(part, 0) if kind == "node" else 0,
            weights=weights.get(part, 0) if kind == "node" else 0,
            kept=round(kept),
        )
        for (kind, part), (forward, backward, kept) in parts.items()
    ]
    known = sum(part.forward + part.backward for part in made) + optimizer * scale
    return StepProfile(
        phase=name,
        device=str(device),
        rows=rows,
        steps=steps,
        compiles=compiles,
        data=waited,
        parts=tuple(made),
        optimizer=optimizer * scale,
        rest=max(0.0, worked - known),
        peak=held + peak_of(seen, device),
    )


def _timed(
    trial: Learner, windows: Iterator[list[dict[str, Tensor]]], steps: int, device: torch.device
) -> tuple[float, float, int]:
    """Seconds a step until its batches are there, on average; the middle step's after that; the largest step's rows."""
    waited, worked = list[float](), list[float]()
    rows = 0
    for _ in range(steps):
        _wait(device)
        start = time.perf_counter()
        window = next(windows)
        _wait(device)
        there = time.perf_counter()
        trial.step(*window)
        _wait(device)
        waited.append(there - start)
        worked.append(time.perf_counter() - there)
        rows = max(rows, sum(next(iter(batch.values())).shape[0] for batch in window))
    return sum(waited) / steps, worked[_middle(worked)], rows


def _middle(values: Sequence[float]) -> int:
    """The place of the median: other programs on the machine lengthen some steps by far."""
    return sorted(range(len(values)), key=values.__getitem__)[len(values) // 2]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _profiled(trial: Learner, windows: Sequence[Sequence[Mapping[str, Tensor]]], device: torch.device) -> Any:
    """The profiler, after a step on each window; the first one wakes it, and is not marked."""
    with (
        _marked(trial.model),
        profiled(device) as seen,
    ):
        trial.step(*windows[0])
        for window in windows[1:]:
            _wait(device)
            with record_function(f"{_MARK}step"):
                trial.step(*window)
        _wait(device)
    return seen


@contextmanager
def _marked(model: Model) -> Iterator[None]:
    """Inside, each call of a node or an objective is a range of its own."""
    handles: list[Any] = []
    for kind, modules in {"node": _nodes(model), "objective": dict(model.objectives)}.items():
        for name, module in modules.items():
            open_ranges: list[Any] = []

            def enter(*_: object, name: str = f"{_MARK}{kind}:{name}", ranges: list[Any] = open_ranges) -> None:
                ranges.append(record_function(name).__enter__())

            def leave(*_: object, ranges: list[Any] = open_ranges) -> None:
                ranges.pop().__exit__(None, None, None)

            handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave, always_call=True)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _nodes(model: Model) -> dict[str, nn.Module]:
    """By the first name that it has, each node's module."""
    found: dict[int, tuple[str, nn.Module]] = {}
    for name in model.node_names:
        found.setdefault(id(model.node(name)), (name, model.node(name)))
    return dict(found.values())


def _by_part(
    events: Sequence[Any], device: torch.device
) -> tuple[dict[_Part, tuple[float, float, float]], float, float]:
    """By node or objective, seconds forward, backward, and bytes kept; the optimizer's seconds; all seconds.

    All are of one step, the middle one by its time. A backward event bears the number of the forward operation that it
    undoes; a range on the CPU holds the kernels that it started.
    """
    cuda = device.type == "cuda"
    on_cpu = [event for event in events if event.device_type == torch.autograd.DeviceType.CPU]
    on_cpu.sort(key=lambda event: event.time_range.start)
    begun = [event.time_range.start for event in on_cpu if event.name == f"{_MARK}step"]
    sums: dict[tuple[str, _Part], list[float]] = defaultdict(lambda: [0.0] * len(begun))
    owner: dict[int, _Part] = {}

    def add(event: Any, what: str, part: _Part, amount: float) -> None:
        step = bisect_right(begun, event.time_range.start) - 1
        if step >= 0:
            sums[what, part][step] += amount

    for event in on_cpu:
        seconds = (event.device_time_total if cuda else event.cpu_time_total) / 1e6
        if event.name == f"{_MARK}step":
            add(event, "all", _NONE, seconds)
        elif (part := _part_of(event.name)) is not None:
            add(event, "forward", part, seconds)
            add(event, "kept", part, event.device_memory_usage if cuda else event.cpu_memory_usage)
        elif event.name.startswith(_OPTIMIZER):
            add(event, "optimizer", _NONE, seconds)
        elif event.name.startswith(_BACKWARD):
            if event.sequence_nr in owner:
                add(event, "backward", owner[event.sequence_nr], seconds)
        elif event.sequence_nr >= 0 and (part := _around(event)) is not None:
            owner[event.sequence_nr] = part  # the last one that bears a number is the one that a gradient goes through
    middle = _middle(sums["all", _NONE])

    def of(what: str, part: _Part = _NONE) -> float:
        return sums[what, part][middle]

    parts = [part for what, part in sums if what == "forward"]
    return (
        {part: (of("forward", part), of("backward", part), of("kept", part)) for part in parts},
        of("optimizer"),
        of("all"),
    )


def _part_of(name: str) -> _Part | None:
    """The node or objective whose range an event is."""
    kind, colon, part = name.removeprefix(_MARK).partition(":")
    if not (name.startswith(_MARK) and colon):
        return None
    return ("node", part) if kind == "node" else ("objective", part)


def _around(event: Any) -> _Part | None:
    """The node or objective in whose call an operation was made."""
    parent = event.cpu_parent
    while parent is not None:
        if part := _part_of(parent.name):
            return part
        parent = parent.cpu_parent
    return None
