"""Gradient normalization."""

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
class GradNorm(LossBalancer):
    """Weights that learn to make the objectives' gradients equally long, longer where an objective lags behind.

    GradNorm (Chen et al. 2018, https://arxiv.org/abs/1711.02257): the norms are those of each weighted loss's gradient
    on the parameters of one node, the last that all objectives share. A gradient should be as long as the mean of all,
    times the objective's relative training rate, which is its loss over its first one, over the mean of these, to the
    power ``alpha``. The weights take one step of Adam an update towards it, and sum to the number of objectives.

    Args:
        at: The node on whose parameters gradients are taken.
        alpha: How strongly those that lag behind are pulled; 0 makes all equally long.
        lr: The learning rate of the weights.

    Raises:
        LearnerError: The rate is not above 0.

    Example:
        >>> import torch
        >>> balancer = GradNorm(at="encoder", lr=0.1)
        >>> balancer.begin(["digit", "ink"], torch.device("cpu"))
        >>> balancer.look(torch.tensor([1.0, 3.0]))
        >>> balancer.observe(torch.tensor([2.0, 5.0]), None)
        >>> balancer.multipliers(None, None)
        tensor([1.1000, 0.9000])
    """

    kind = "gradnorm"

    def __init__(self, at: str, *, alpha: float = 1.5, lr: float = 0.025) -> None:
        self.at = at
        self._alpha, self._lr = alpha, positive("gradnorm", "lr", lr)

    def begin(self, names: Sequence[str], device: torch.device) -> None:
        """All weights are 1."""
        super().begin(names, device)
        self._weights = SmallAdam(torch.ones(len(names), device=device), self._lr)
        self._first = torch.zeros(len(names), device=device)
        self._known = torch.zeros(len(names), dtype=torch.bool, device=device)

    def multipliers(self, means: Tensor | None, there: Tensor | None) -> Tensor:
        """The weights."""
        return self._weights.value.clone()  # they move in place, and what is logged is of now

    def look(self, norms: Tensor) -> None:
        """Where one is not finite, the weights stay as they are."""
        self._whole = norms.isfinite().all()
        self._norms = torch.where(self._whole, norms, 0.0)

    def observe(self, means: Tensor, there: Tensor | None) -> None:
        """One step of the weights of those that are there."""
        present = torch.ones_like(self._known) if there is None else there
        present = present & self._whole
        self._first = torch.where(self._known | ~present, self._first, means)
        self._known = self._known | present
        value, count = self._weights.value, present.sum().clamp(min=1)
        lengths = value * self._norms
        ratios = torch.where(present, means / self._first.where(self._first != 0, 1.0), 0.0)
        rates = (ratios / (ratios.sum() / count)).clamp(min=0)
        wanted = torch.where(present, lengths, 0.0).sum() / count * rates**self._alpha
        held = torch.where(present, value, 0.0).sum()
        self._weights.step(torch.sign(lengths - wanted) * self._norms, present)
        value.clamp_(min=1e-4)  # Adam's step does not know that a weight is above 0
        scale = held / torch.where(present, value, 0.0).sum()
        value.copy_(torch.where(present, value * scale, value))

    def state_dict(self) -> dict[str, Any]:
        """The weights, with Adam's moments, and the first losses."""
        return {"weights": self._weights.state_dict(), "first": self._first, "known": self._known}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._weights.load_state_dict(state["weights"])
        self._first, self._known = state["first"].to(self._first.device), state["known"].to(self._known.device)

    def identity(self) -> str:
        """Its options."""
        return f"gradnorm, at {self.at}, alpha {self._alpha:g}, lr {self._lr:g}"
