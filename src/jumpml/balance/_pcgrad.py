"""Gradient surgery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

from jumpml.balance._balancer import GradientBalancer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jumpml.balance._balancer import Array


@final
class PCGrad(GradientBalancer):
    """The sum of the gradients, from each of which what is against another is taken away, in a random order.

    Gradient surgery (Yu et al. 2020, https://arxiv.org/abs/2001.06782). With two objectives no order is drawn.

    Args:
        at: The node on whose value gradients are taken and combined; the shared parameters where None.
        seed: Of the orders.

    Example:
        >>> import numpy as np
        >>> PCGrad().multipliers(np.array([[1.0, -1.0], [-1.0, 2.0]]), np.ones(2))
        array([2. , 1.5])
    """

    kind = "pcgrad"

    def __init__(self, at: str | None = None, *, seed: int = 0) -> None:
        super().__init__(at)
        self._generator, self._seed = torch.Generator().manual_seed(seed), seed

    def begin(self, names: Sequence[str], device: torch.device) -> None:
        """Orders are drawn from the first on."""
        super().begin(names, device)
        self._generator.manual_seed(self._seed)

    def multipliers(self, gramian: Array, means: Array) -> Array:
        """Of the sum."""
        count = len(gramian)
        total = np.zeros(count)
        for one in range(count):
            own = np.eye(count)[one]
            for other in torch.randperm(count, generator=self._generator).tolist() if count > 2 else range(count):
                product = gramian[other] @ own
                if other != one and product < 0:
                    own[other] -= product / gramian[other, other]
            total += own
        return total

    def state_dict(self) -> dict[str, Any]:
        """How far orders were drawn."""
        return {"generator": self._generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._generator.set_state(state["generator"])

    def identity(self) -> str:
        """With its seed."""
        return f"{super().identity()}, seed {self._seed}"
