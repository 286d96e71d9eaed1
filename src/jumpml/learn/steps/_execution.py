"""How a step is computed: in which precision, compiled or not, in which order in memory."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch

from jumpml.core import Loss, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from torch import Tensor
    from torch.optim import Optimizer

    from jumpml.graph import LossPlan

Precision = Literal["float32", "bfloat16", "float16"]
_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, kw_only=True)
class Compile:
    """What `torch.compile` is told.

    Attributes:
        backend: What compiles: ``inductor``, ``aot_eager``, ``eager``, ...
        mode: Inductor's: ``reduce-overhead``, ``max-autotune``; its own default where None.
    """

    backend: str = "inductor"
    mode: str | None = None


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How the losses of a batch are computed; the weights are float32 in any case.

    Attributes:
        precision: What matrices are multiplied in, by `torch.autocast`.
        compile: None leaves Python to run the plan.
        channels_last: Whether images and their weights lie in memory pixel by pixel.
        dynamic: Whether compiled code takes any shape. Otherwise each shape has code of its own, whatever shapes came
            before it: so a run that goes on computes the same bits as one that never stopped.
    """

    precision: Precision = "float32"
    compile: Compile | None = None
    channels_last: bool = False
    dynamic: bool = False

    def problems(self, device: torch.device) -> Iterator[Problem]:
        """What this machine cannot do."""
        if self.precision != "float32" and self.precision not in _DTYPES:
            text = f"expected one of float32, bfloat16, float16, got {self.precision!r}."
            yield Problem(("precision",), text)
        if self.compile is None:
            return
        known = torch.compiler.list_backends(None)  # type: ignore[arg-type]  # those for debugging too
        if self.compile.backend not in known:
            names = ", ".join(sorted(known))
            yield Problem(("compile", "backend"), f"torch has no backend {self.compile.backend!r}.", f"Known: {names}.")
        elif self.compile.mode is not None and self.compile.backend != "inductor":
            yield Problem(("compile", "mode"), f"the backend {self.compile.backend!r} has no modes.", "Leave it out.")
        elif self.compile.backend == "inductor" and device.type == "cpu" and not _compiler():
            text = "torch.compile writes C++ for the processor, and this machine has no C++ compiler."
            yield Problem(("compile",), text, "Install g++ or clang++, or name one in CXX; or leave `compile` out.")

    def forward(self, plan: LossPlan, device: torch.device) -> Losses:
        """What computes the losses."""
        return plan if self == Execution() else Forward(plan, self, device)


class Losses(Protocol):
    """What computes the losses of a batch, as a `LossPlan` does."""

    @property
    def fields(self) -> Collection[str]:
        """The batch's keys that are read."""
        ...

    @property
    def nodes(self) -> Sequence[str]:
        """The nodes that run."""
        ...

    def counted(self, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor | None]:
        """By objective, the rows that will count; see `LossPlan.counted`."""
        ...

    def __call__(self, batch: Mapping[str, Tensor]) -> tuple[dict[str, Loss], dict[str, Tensor]]:
        """The losses by objective, and every node's output by name."""
        ...


class Forward:
    """A phase's losses as a step computes them; called as a `LossPlan` is.

    Args:
        plan: The losses.
        execution: How.
        device: Where.
    """

    def __init__(self, plan: LossPlan, execution: Execution, device: torch.device) -> None:
        self.fields, self.nodes, self.counted = plan.fields, plan.nodes, plan.counted
        self._kind, self._dtype = device.type, _DTYPES.get(execution.precision)
        self._channels_last = execution.channels_last
        self._run: Any = plan
        if execution.compile is not None:
            told = {"backend": execution.compile.backend, "mode": execution.compile.mode}
            self._run = torch.compile(_with_own_code(plan), dynamic=execution.dynamic, **told)

    def __call__(self, batch: Mapping[str, Tensor]) -> tuple[dict[str, Loss], dict[str, Tensor]]:
        """The losses by objective, in float32, and every node's output by name.

        Args:
            batch: At least ``fields``.
        """
        if self._channels_last:
            batch = {name: _pixel_by_pixel(value) for name, value in batch.items()}
        if self._dtype is None:
            return self._run(batch)
        with torch.autocast(self._kind, dtype=self._dtype):
            losses, values = self._run(batch)
        return {name: Loss(value.float(), present) for name, (value, present) in losses.items()}, values


def laid_out_alike(optimizer: Optimizer) -> None:
    """Let moments lie in memory as their parameters do: fused updates go through both as through one list."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if value.__class__ is torch.Tensor and value.shape == parameter.shape and value.dim():
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _with_own_code(plan: LossPlan) -> Callable[..., Any]:
    """A function whose code is no other's: torch counts compilations by code, and gives up after eight."""

    def run(batch: Mapping[str, Tensor]) -> tuple[dict[str, Loss], dict[str, Tensor]]:
        return plan(batch)

    return FunctionType(run.__code__.replace(), globals(), run.__name__, None, run.__closure__)


def _pixel_by_pixel(value: Tensor) -> Tensor:
    return value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value


def _compiler() -> str | None:
    return next(filter(None, map(shutil.which, [os.environ.get("CXX", "g++"), "g++", "clang++", "c++"])), None)
