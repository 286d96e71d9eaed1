"""From gradients to moved weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn
    from torch.optim import Optimizer


class Update:
    """Clips gradients and moves the weights; scales losses where gradients are float16.

    Args:
        optimizer: What moves them.
        clip_norm: Scale the gradient down to this norm where it is longer.
        clip_value: Cut each element of the gradient off at this size.
        scaled: The kind of device on which losses are scaled, so that small gradients are not 0 in float16: by as much
            as goes, which overflows tell. An update whose gradients overflow is left out (Micikevicius et al. 2018,
            https://arxiv.org/abs/1710.03740).
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        scaled: str | None = None,
    ) -> None:
        self._optimizer = optimizer
        self._norm, self._value = clip_norm, clip_value
        self._scaler = None if scaled is None else torch.amp.GradScaler(scaled)

    @property
    def skips(self) -> bool:
        """Whether an update whose gradients are not finite is left out."""
        return self._scaler is not None

    def scale(self, gradients: list[Tensor]) -> list[Tensor]:
        """Gradients by losses, as backward starts from them."""
        return gradients if self._scaler is None else self._scaler.scale(gradients)

    def unscale(self) -> None:
        """All gradients are there: they become what they are."""
        if self._scaler is not None:
            self._scaler.unscale_(self._optimizer)

    def move(self, trained: Sequence[nn.Parameter]) -> None:
        """Clip and move."""
        if self._value is not None:
            clip_grad_value_(trained, self._value)
        if self._norm is not None:
            clip_grad_norm_(trained, self._norm)
        if self._scaler is None:
            self._optimizer.step()
        else:
            self._scaler.step(self._optimizer)
            self._scaler.update()

    def identity(self) -> dict[str, str]:
        """What must be the same for a resumed run to be the same run."""
        return {"clip_norm": str(self._norm), "clip_value": str(self._value)}

    def state_dict(self) -> dict[str, Any]:
        """The scale."""
        return {} if self._scaler is None else self._scaler.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; one of another precision has no scale."""
        if self._scaler is not None and state:
            self._scaler.load_state_dict(dict(state))
