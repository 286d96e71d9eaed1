"""The weights as they were when all was last seen to be well, for a run that writes no checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.learn.processes._processes import ALONE
from jumpml.learn.steps._culprit import all_finite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn
    from torch.optim import Optimizer

    from jumpml.learn.processes._processes import Processes

EVERY = 50  # steps, at least, between two copies


class LastGood:
    """Keeps one copy of some modules' weights and buffers, on their device, and gives it back.

    Losses are read every so many steps. When one is found that is not finite, the weights have been spoiled for a
    while; where there is no checkpoint to go back to, this is what is left of the run.

    Args:
        processes: Those that learn together: what is not finite in one, such as a running variance, stops all.
    """

    def __init__(self, processes: Processes = ALONE) -> None:
        self._processes, self._step = processes, 0
        self._kept: list[Tensor] = []
        self._held: list[Tensor] = []

    def hold(self, modules: Sequence[nn.Module]) -> None:
        """See what there is to copy; to be told again when parameters come or go."""
        held = [value for module in modules for value in (*module.parameters(), *module.buffers())]
        if [value.shape for value in held] != [value.shape for value in self._kept]:
            self._kept = []
        self._held = held

    def take(self, step: int) -> bool:
        """Copy what is held, if it is finite, and if some steps are over since the last copy; the device is read once.

        Returns:
            Whether it is finite, as far as it was looked at.
        """
        if self._kept and step - self._step < EVERY:
            return True
        if not all(self._processes.gather(all_finite(self._held))):
            return False
        self._kept = self._kept or [torch.empty_like(value) for value in self._held]
        with torch.no_grad():
            torch._foreach_copy_(self._kept, self._held)
        self._step = step
        return True

    def restore(self, optimizer: Optimizer) -> int | None:
        """Give back what was kept, and let the optimizer begin afresh: its moments are spoiled too.

        Returns:
            After which step it was copied; None where nothing was, or parameters have come or gone since.
        """
        if not self._kept:
            return None
        with torch.no_grad():
            torch._foreach_copy_(self._held, self._kept)
        for parameter in list(optimizer.state):
            optimizer.state.pop(parameter)
        return self._step
