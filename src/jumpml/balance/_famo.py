"""Fast adaptive multitask optimization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import torch

from jumpml.balance._adam import SmallAdam
from jumpml.balance._balancer import LossBalancer
from jumpml.core import positive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

_LEAST = 1e-8  # of a loss, so that it has a logarithm


@final
class FAMO(LossBalancer):
    """Lets the logarithms of all losses fall alike: the slowest counts for more, whatever its units.

    FAMO (Liu et al. 2023, https://arxiv.org/abs/2306.03792): logits that Adam moves by how far each log loss fell from
    one update to the next; an objective's multiplier is its share by their softmax over its loss, scaled so that
    the multipliers times the losses are as one mean. As algorithm 1 has it, the losses of an update are compared with
    those of the next one; the authors' program computes those of the same batch again, which is a second forward pass.
    Losses should be above 0.

    Args:
        lr: The learning rate of the logits.
        decay: What pulls the logits together.

    Raises:
        LearnerError: The rate is not above 0.

    Example:
        >>> import torch
        >>> balancer = FAMO()
        >>> balancer.begin(["digit", "ink"], torch.device("cpu"))
        >>> balancer.multipliers(torch.tensor([1.0, 3.0]), None)
        tensor([0.7500, 0.2500])
    """

    kind = "famo"
    foresees = True

    def __init__(self, lr: float = 0.025, decay: float = 0.001) -> None:
        self._lr, self._decay = positive("famo", "lr", lr), decay

    def begin(self, names: Sequence[str], device: torch.device) -> None:
        """All shares are alike."""
        super().begin(names, device)
        self._logits = SmallAdam(torch.zeros(len(names), device=device), self._lr, self._decay)
        self._before = torch.zeros(len(names), device=device)  # log losses of the update before
        self._known = torch.zeros(len(names), dtype=torch.bool, device=device)
        self._whole = False  # whether all are known: what the host knows needs no mask

    def multipliers(self, means: Tensor | None, there: Tensor | None) -> Tensor:
        """Of an update with these means, whose fall since the last one moves the logits first."""
        if means is None:
            raise TypeError("famo needs the means of the update")
        now = means.clamp(min=_LEAST).log()
        if self._whole and there is None:
            self._learn(self._before - now, None)
            self._before = now
        else:
            both = self._known if there is None else self._known & there
            self._learn(torch.where(both, self._before - now, 0.0), both)
            self._before = now if there is None else torch.where(there, now, self._before)
            self._known = torch.ones_like(self._known) if there is None else self._known | there
            self._whole = self._whole or there is None
        return _softmax(self._logits.value - now, there)  # shares over losses, scaled

    def _learn(self, fell: Tensor, there: Tensor | None) -> None:
        """Move the logits by how far log losses fell."""
        shares = _softmax(self._logits.value, there)
        self._logits.step(shares * (fell - torch.dot(shares, fell)), there)

    def state_dict(self) -> dict[str, Any]:
        """The logits, with Adam's moments, and the last losses."""
        return {"logits": self._logits.state_dict(), "before": self._before, "known": self._known, "whole": self._whole}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._logits.load_state_dict(state["logits"])
        self._before.copy_(state["before"])
        self._known.copy_(state["known"])
        self._whole = bool(state["whole"])

    def identity(self) -> str:
        """Its options."""
        return f"famo, lr {self._lr:g}, decay {self._decay:g}"


def _softmax(logits: Tensor, there: Tensor | None) -> Tensor:
    """Over those that are there."""
    if there is None:
        return torch.softmax(logits, 0)
    own = logits.masked_fill(~there, float("-inf"))
    return torch.softmax(own, 0).nan_to_num()  # where none is there, nothing
