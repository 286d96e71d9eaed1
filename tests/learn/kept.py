"""What a hook of the tests keeps of each update: the gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.learn import Hook

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.learn._stage import Stage


class Kept(Hook):
    """The gradients of each update, as they are before the step."""

    name = "kept"

    def __init__(self) -> None:
        self.gradients: list[list[Tensor]] = []

    def differentiated(self, stage: Stage) -> None:
        self.gradients.append([p.grad.clone() for p in stage.trained if p.grad is not None])
