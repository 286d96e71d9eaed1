"""The weights as they were when all was last seen to be well, for a run that writes no checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.learn._culprit import all_finite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn
    from torch.optim import Optimizer


class LastGood:
    """Keeps one copy of some modules' weights and buffers, on their device, and gives it back.

    Losses are read every so many steps. When one is found that is not finite, the weights have been spoiled for a
    while; where there is no checkpoint to go back to, this is what is left of the run.
    """

    def __init__(self) -> None:
        self._step: int | None = None
        self._kept: list[Tensor] = []

    def take(self, step: int, modules: Sequence[nn.Module]) -> bool:
        """Copy what there is, if it is finite; the device is read once.

        Returns:
            Whether it is.
        """
        now = _tensors(modules)
        if not all_finite(now):
            return False
        if [value.shape for value in now] != [value.shape for value in self._kept]:
            self._kept = [torch.empty_like(value) for value in now]
        with torch.no_grad():
            torch._foreach_copy_(self._kept, now)
        self._step = step
        return True

    def restore(self, modules: Sequence[nn.Module], optimizer: Optimizer) -> int | None:
        """Give the modules what was kept, and let the optimizer begin afresh: its moments are spoiled too.

        Returns:
            After which step it was copied; None where nothing was, or the modules have grown since.
        """
        now = _tensors(modules)
        if self._step is None or [value.shape for value in now] != [value.shape for value in self._kept]:
            return None
        with torch.no_grad():
            torch._foreach_copy_(now, self._kept)
        for parameter in list(optimizer.state):
            optimizer.state.pop(parameter)
        return self._step


def _tensors(modules: Sequence[nn.Module]) -> list[Tensor]:
    return [value for module in modules for value in (*module.parameters(), *module.buffers())]
