"""Adam for a vector of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.curriculum._teacher import Array

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8


@final
class VectorAdam:
    """Adam (Kingma & Ba 2015, https://arxiv.org/abs/1412.6980), with torch's defaults.

    Args:
        size: How many numbers; they begin at 0.
        lr: The learning rate.

    Attributes:
        value: The numbers, ``[size]``.
    """

    def __init__(self, size: int, lr: float) -> None:
        self.value: Array = np.zeros(size)
        self._lr, self._time = lr, 0
        self._first, self._second = np.zeros(size), np.zeros(size)

    def step(self, gradient: Array) -> None:
        """One step against a gradient.

        Args:
            gradient: ``[size]``.
        """
        self._time += 1
        self._first = _BETAS[0] * self._first + (1 - _BETAS[0]) * gradient
        self._second = _BETAS[1] * self._second + (1 - _BETAS[1]) * gradient**2
        scale = np.sqrt(self._second / (1 - _BETAS[1] ** self._time)) + _EPSILON
        self.value = self.value - self._lr * self._first / (1 - _BETAS[0] ** self._time) / scale

    def state_dict(self) -> dict[str, Any]:
        """The numbers, their moments and the count of steps."""
        vectors = {"value": self.value, "first": self._first, "second": self._second}
        return {**{name: vector.tolist() for name, vector in vectors.items()}, "time": self._time}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.value, self._first, self._second = (np.array(state[name]) for name in ("value", "first", "second"))
        self._time = state["time"]
