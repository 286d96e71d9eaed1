"""Whether several processes still have the same state, so that the first one's checkpoint is that of all."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import torch

from jumpml.core import LearnerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from jumpml.learn.processes._processes import Processes

_WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes of an element
_MOST = 4  # parts that a text names


class Agreement:
    """Compares checksums of the processes' states.

    What adds up gradients keeps weights equal for ever, unless something else moves them: a hook that draws numbers of
    each process's own, or acts in one alone. Such a run would go on, and only its first process be saved. Where nothing
    is saved the weights are compared when losses are read.

    Args:
        processes: All.

    Attributes:
        good: After which step they were last seen to be the same.
    """

    def __init__(self, processes: Processes) -> None:
        self.good, self._processes = 0, processes

    def check(self, step: int, state: Mapping[str, Any]) -> None:
        """Compare a state; the device is read once.

        Args:
            step: The steps that are made.
            state: Nested dicts and lists of tensors and plain values.

        Raises:
            LearnerError: A process's is another than the first one's; in all of them.
        """
        if self._processes.alone:
            return
        leaves = dict(_leaves(state, ""))
        tensors = {name: value for name, value in leaves.items() if isinstance(value, torch.Tensor)}
        own = {**{name: repr(leaves[name]) for name in sorted(leaves) if name not in tensors}, **_sums(tensors)}
        told = self._processes.gather(hashlib.sha256(repr(own).encode()).hexdigest())
        if len({*told}) > 1:
            self._refuse(step, own)
        self.good = step

    def _refuse(self, step: int, own: Mapping[str, str]) -> None:
        first, *others = self._processes.gather(dict(own))
        found = [
            f"process {rank} has another {', '.join(map(repr, names[:_MOST]))}"
            + (f" and {len(names) - _MOST} more" if len(names) > _MOST else "")
            for rank, other in enumerate(others, 1)
            if (names := [name for name in {**first, **other} if first.get(name) != other.get(name)])
        ]
        text = (
            f"distribute: after step {step} the processes no longer have the same state: {'; '.join(found)} than "
            f"process 0. After step {self.good} they were the same. A hook that draws random numbers, or acts by "
            "the rows that it sees, must do so alike in all: see Learner.processes. Nothing was saved."
        )
        raise self._processes.agreed(LearnerError(text))


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else f"{key}")
    elif isinstance(value, (list, tuple)) and value:
        for place, inner in enumerate(value):
            yield from _leaves(inner, f"{name}.{place}")
    else:
        yield name, value


def _sums(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """The sum of each tensor's bits, taken as whole numbers, with its type and shape; one reading for each device."""
    by_device: dict[torch.device, dict[str, Tensor]] = {}
    for name, value in sorted(tensors.items()):
        real = torch.atleast_1d(torch.view_as_real(value) if value.is_complex() else value).detach()
        bits = real.view(_WHOLE[real.element_size()])
        by_device.setdefault(value.device, {})[name] = bits.sum(dtype=torch.int64)
    return {
        name: f"{tensors[name].dtype} {list(tensors[name].shape)} {total}"
        for sums in by_device.values()
        for name, total in zip(sums, torch.stack([*sums.values()]).tolist(), strict=True)
    }
