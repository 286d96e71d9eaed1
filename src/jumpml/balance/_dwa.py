"""Dynamic weight average."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import torch

from jumpml.balance._balancer import LossBalancer
from jumpml.core import positive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor


@final
class DWA(LossBalancer):
    """An objective whose loss falls slowly counts for more, by the ratio of its means over the last two epochs.

    Dynamic weight averaging (Liu et al. 2019, https://arxiv.org/abs/1803.10704): the ratios' softmax times the number
    of objectives. All count 1 until an objective has two epochs behind it, and so does one whose mean is not above 0 or
    of which no row was present.

    Args:
        temperature: What ratios are divided by: the higher, the more alike multipliers are.

    Raises:
        LearnerError: The temperature is not above 0.

    Example:
        >>> import torch
        >>> balancer = DWA(temperature=1.0)
        >>> balancer.begin(["digit", "ink"], torch.device("cpu"))
        >>> balancer.closed({"digit": 2.0, "ink": 1.0})
        >>> balancer.closed({"digit": 1.0, "ink": 1.0})
        >>> balancer.multipliers(None, None)
        tensor([0.7551, 1.2449])
    """

    kind = "dwa"
    alone = True

    def __init__(self, temperature: float = 2.0) -> None:
        self._temperature = positive("dwa", "temperature", temperature)

    def begin(self, names: Sequence[str], device: torch.device) -> None:
        """Nothing is known of the losses."""
        super().begin(names, device)
        self._device = device
        self._means: list[dict[str, float]] = []
        self._weigh()

    def multipliers(self, means: Tensor | None, there: Tensor | None) -> Tensor:
        """Those that the last two epochs gave."""
        return self._multipliers

    def closed(self, means: Mapping[str, float]) -> None:
        """Take in an epoch."""
        self._means = [*self._means[-1:], {name: means[name] for name in self.names if name in means}]
        self._weigh()

    def state_dict(self) -> dict[str, Any]:
        """The last two epochs' means."""
        return {"means": self._means}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._means = [dict(means) for means in state["means"]]
        self._weigh()

    def identity(self) -> str:
        """Its temperature."""
        return f"dwa, temperature {self._temperature:g}"

    def _weigh(self) -> None:
        ratios = torch.tensor([self._ratio(name) for name in self.names], dtype=torch.float64)
        shares = torch.softmax(ratios / self._temperature, 0)
        self._multipliers = (len(self.names) * shares).float().to(self._device)

    def _ratio(self, name: str) -> float:
        known = [means.get(name, 0.0) for means in self._means]
        return known[1] / known[0] if len(known) == 2 and min(known) > 0 else 1.0
