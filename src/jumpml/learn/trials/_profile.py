"""Where the time and the memory of a step go, by node."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch.profiler import record_function

from jumpml.core import LearnerError
from jumpml.learn.trials._memory import bytes_by_node, held_by, peak_of, profiled
from jumpml.learn.trials._step_profile import PartProfile, StepProfile
from jumpml.learn.trials._step_sums import MARK, StepSums, middle
from jumpml.learn.trials._trial import phase_of, read, trial_of, windows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.graph import Model
    from jumpml.learn._learner import Learner

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
        sums = StepSums(seen.events() or (), on_gpu=device.type == "cuda")
        scale = worked / total if (total := sums.of("all")) else 0.0
        made = _parts(trial.model, sums, scale)
        read(trial)
    optimizer = sums.of("optimizer") * scale
    known = sum(part.forward + part.backward for part in made) + optimizer
    return StepProfile(
        phase=name,
        device=str(device),
        rows=rows,
        steps=steps,
        compiles=compiles,
        data=waited,
        parts=made,
        optimizer=optimizer,
        rest=max(0.0, worked - known),
        peak=held + peak_of(seen, device),
    )


def _parts(model: Model, sums: StepSums, scale: float) -> tuple[PartProfile, ...]:
    """Nodes and objectives, in the order in which they ran; the profiler's seconds are scaled to those without it."""
    parameters, weights = bytes_by_node(model)
    return tuple(
        PartProfile(
            name=name,
            kind=kind,
            forward=sums.of("forward", (kind, name)) * scale,
            backward=sums.of("backward", (kind, name)) * scale,
            parameters=parameters.get(name, 0) if kind == "node" else 0,
            weights=weights.get(name, 0) if kind == "node" else 0,
            kept=round(sums.of("kept", (kind, name))),
        )
        for kind, name in sums.parts
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
    return sum(waited) / steps, worked[middle(worked)], rows


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
            with record_function(f"{MARK}step"):
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

            def enter(*_: object, name: str = f"{MARK}{kind}:{name}", ranges: list[Any] = open_ranges) -> None:
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
