"""Adam on a short vector of which some elements may sit out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


class SmallAdam:
    """Moves a vector by Adam (Kingma & Ba 2015, https://arxiv.org/abs/1412.6980), each element by a count of its own.

    Torch's own has one count for all, and moves an element whose gradient is zero by what it remembers.

    Args:
        value: The vector, which is moved in place.
        lr: The learning rate.
        decay: What the value times this is added to its gradient.
    """

    def __init__(self, value: Tensor, lr: float, decay: float = 0.0) -> None:
        self.value, self._lr, self._decay = value, lr, decay
        self._mean, self._square, self._count = (torch.zeros_like(value) for _ in range(3))
        self._steps = 0  # of all elements, while none has sat out: then the host can count

    def step(self, gradient: Tensor, there: Tensor | None = None) -> None:
        """One step.

        Args:
            gradient: Of the vector.
            there: bool, the elements that move; all where None.
        """
        if self._decay:
            gradient = gradient.add(self.value, alpha=self._decay)
        if there is None and self._steps >= 0:
            self._step_all(gradient)
            return
        if self._steps >= 0:
            self._count.fill_(self._steps)
            self._steps = -1
        one = torch.ones_like(self.value) if there is None else there.to(self.value.dtype)
        self._count += one
        self._mean += 0.1 * one * (gradient - self._mean)
        self._square += 0.001 * one * (gradient.square() - self._square)
        # 1 - b**count as float32 would have it is off by much at first; where nothing was ever there, 0 over 1
        shares = [-torch.expm1(self._count.clamp(min=1) * math.log(share)) for share in (0.9, 0.999)]
        unbiased = self._mean / shares[0]
        self.value -= self._lr * one * unbiased / ((self._square / shares[1]).sqrt() + 1e-8)

    def _step_all(self, gradient: Tensor) -> None:
        """The same in a few calls, which is what a step of so few numbers costs; the host corrects both biases."""
        self._steps += 1
        first, root = 1 - 0.9**self._steps, math.sqrt(1 - 0.999**self._steps)
        self._mean.lerp_(gradient, 0.1)
        self._square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        self.value.addcdiv_(self._mean, self._square.sqrt().add_(1e-8 * root), value=-self._lr * root / first)

    def state_dict(self) -> dict[str, Any]:
        """The vector and its moments."""
        told = {"value": self.value, "mean": self._mean, "square": self._square, "count": self._count}
        return {**told, "steps": self._steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        for name, own in self.state_dict().items():
            if isinstance(own, torch.Tensor):
                own.copy_(state[name])
        self._steps = int(state["steps"])
