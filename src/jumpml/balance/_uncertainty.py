"""Homoscedastic uncertainty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import torch

from jumpml.balance._adam import SmallAdam
from jumpml.balance._balancer import LossBalancer
from jumpml.core import positive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor


@final
class Uncertainty(LossBalancer):
    """Each loss over a variance of its own, which is learned: ``loss / variance + log(variance)``.

    Kendall et al. 2018, https://arxiv.org/abs/1705.07115, as they have it of a regression, twice, for every objective:
    a variance settles at the loss, whatever its units. All are 1 at first, which is the plain sum. A loss that is
    not above 0 has no variance at which it could settle, and leaves its own where it is.

    Args:
        lr: The learning rate of the log-variances, which Adam moves.

    Raises:
        LearnerError: The rate is not above 0.

    Example:
        >>> import torch
        >>> balancer = Uncertainty(lr=0.1)
        >>> balancer.begin(["digit", "ink"], torch.device("cpu"))
        >>> balancer.observe(torch.tensor([2.0, 0.1]), None)
        >>> balancer.multipliers(None, None)
        tensor([0.9048, 1.1052])
    """

    kind = "uncertainty"
    alone = True

    def __init__(self, lr: float = 0.01) -> None:
        self._lr = positive("uncertainty", "lr", lr)

    def begin(self, names: Sequence[str], device: torch.device) -> None:
        """All variances are 1."""
        super().begin(names, device)
        self._logs = SmallAdam(torch.zeros(len(names), device=device), self._lr)  # of one over the variances
        self._less = torch.full((len(names),), -1.0, device=device)
        self._multipliers = torch.ones(len(names), device=device)

    def multipliers(self, means: Tensor | None, there: Tensor | None) -> Tensor:
        """One over each variance."""
        return self._multipliers

    def observe(self, means: Tensor, there: Tensor | None) -> None:
        """One step of the variances of those that are there."""
        gradient = torch.addcmul(self._less, means, self._multipliers)
        self._logs.step(gradient.mul_(means > 0), there)
        self._multipliers = torch.exp(self._logs.value)

    def state_dict(self) -> dict[str, Any]:
        """The logarithms, with Adam's moments."""
        return self._logs.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._logs.load_state_dict(state)
        self._multipliers = torch.exp(self._logs.value)

    def identity(self) -> str:
        """Its rate."""
        return f"uncertainty, lr {self._lr:g}"
