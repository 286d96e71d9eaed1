"""A code that is drawn from a distribution of which little may be told."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from jumpml.graph.blocks._kept import KeepsLosses
from jumpml.graph.blocks._lazy import lazy_layers_are_meant
from jumpml.graph.blocks._sizes import check_sizes

LARGEST = 20.0  # of the logarithm of a variance: e to a larger one, squared or in half precision, is infinite


@final
class VariationalBottleneck(KeepsLosses):
    """A variational auto-encoder's code: a mean and a variance, and in training a draw from that normal distribution.

    Kingma & Welling 2014, https://arxiv.org/abs/1312.6114: the draw is the mean plus the standard deviation times
    noise, so that gradients pass. It brings the loss ``kl``, one a row: the divergence from the standard normal
    distribution, summed over the code (and over positions). In evaluation the code is the mean. Noise is drawn from
    torch's global generator, as dropout's is.

    Shapes: ``[batch, *, any]`` to ``[batch, *, width]``. Initialisation: that of ``torch.nn.Linear``.

    Args:
        width: Of the code.

    Raises:
        ValueError: ``width`` is no whole number of 1 or more.

    Example:
        >>> code = VariationalBottleneck(2).eval()
        >>> code(torch.zeros(4, 8)).shape, code.losses()["kl"].shape
        (torch.Size([4, 2]), torch.Size([4]))
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        check_sizes(width=width)
        with lazy_layers_are_meant():
            self.told = nn.LazyLinear(2 * width)

    def forward(self, input: Tensor) -> Tensor:
        """The code: a draw while training, else the mean."""
        mean, log_variance = self.told(input).chunk(2, dim=-1)
        log_variance = log_variance.clamp(-LARGEST, LARGEST)
        self._keep(mean, log_variance)
        if not self.training:
            return mean
        return mean + (log_variance / 2).exp() * torch.randn_like(mean)

    def losses(self) -> dict[str, Tensor]:
        """``kl`` of the last call, ``[batch]``; it is forgotten then, and nothing is left for another asking."""
        kept = self._take()
        if not kept:
            return {}
        mean, log_variance = kept
        value = mean.square() + log_variance.exp() - 1 - log_variance
        return {"kl": value.flatten(1).sum(1) / 2}
