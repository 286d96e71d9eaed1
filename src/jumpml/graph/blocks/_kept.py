"""What modules with losses of their own share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class KeepsLosses(nn.Module):
    """Keeps what its losses are made of from a call until it is asked for them.

    A copy and a file do not hold it, and neither does an exported model.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kept: tuple[Tensor, ...] = ()

    def _keep(self, *values: Tensor) -> None:
        if not torch.compiler.is_exporting():
            self._kept = values

    def _take(self) -> tuple[Tensor, ...]:
        """What was kept; it is forgotten, so that the graph behind it can be freed."""
        kept, self._kept = self._kept, ()
        return kept

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": ()}
