"""A transformer over stretches of a series."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from jumpml.graph.blocks._attention import Attention, check_heads
from jumpml.graph.blocks._lazy import SizedByInput
from jumpml.graph.blocks._sequences import check_sequence
from jumpml.graph.blocks._sizes import check_sizes
from jumpml.graph.blocks._transformer import TransformerLayer, temper

EPSILON = 1e-5  # added to a window's variance, which may be 0


@final
class PatchTST(SizedByInput):
    """A forecast of every channel from stretches of its own past.

    Nie et al. 2023 (https://arxiv.org/abs/2211.14730): a window is brought to mean 0 and variance 1, channel by channel
    (Kim et al. 2022, https://openreview.net/forum?id=cGDAkQo1C0p, without its learned scale), cut into overlapping
    patches, read by a transformer that all channels share, and foretold by a linear layer of all patches, on the scale
    of the window again. The last steps are always in a patch: where patches do not fit, the first steps are left out.

    Shapes: ``[batch, steps, channels]`` to ``[batch, horizon, channels]``; the number of steps is taken from the graph.
    Initialisation: that of ``torch.nn.Linear``, what each layer adds divided by ``sqrt(2 * depth)``; positions normal
    with deviation 0.02.

    Args:
        horizon: Steps of the forecast.
        patch: Steps a patch.
        stride: Steps from a patch to the next.
        width: Of the vectors; a multiple of ``heads``.
        depth: How many layers.
        heads: Of each layer's attention.
        dropout: The share of what is added, and of attention weights, that is set to zero while training.

    Raises:
        ValueError: A size is no whole number of 1 or more, or ``width`` no multiple of ``heads``; or, when it is
            called, the window is shorter than a patch, or of another length than the first one.

    Example:
        >>> PatchTST(horizon=24)(torch.zeros(4, 96, 7)).shape
        torch.Size([4, 24, 7])
    """

    def __init__(
        self,
        horizon: int,
        *,
        patch: int = 16,
        stride: int = 8,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_heads(width, heads, rotary=False)
        check_sizes(horizon=horizon, depth=depth, patch=patch, stride=stride)
        self.horizon, self.patch, self.stride = horizon, patch, stride
        self.width, self.depth, self.heads, self.dropout = width, depth, heads, dropout

    def build(self, values: Tensor) -> None:
        """Make the layers for windows of this length."""
        check_sequence("PatchTST", values)
        self.steps = values.shape[1]
        if self.steps < self.patch:
            raise ValueError(f"PatchTST cuts a window into patches of {self.patch} steps; it has {self.steps}.")
        patches = (self.steps - self.patch) // self.stride + 1
        self.inward = nn.Linear(self.patch, self.width)
        self.places = nn.Parameter(0.02 * torch.randn(patches, self.width))
        self.layers = temper(
            [
                TransformerLayer(
                    self.width,
                    Attention(self.width, self.heads, dropout=self.dropout),
                    hidden=2 * self.width,
                    dropout=self.dropout,
                )
                for _ in range(self.depth)
            ]
        )
        self.norm = nn.LayerNorm(self.width)
        self.outward = nn.Sequential(
            nn.Flatten(2), nn.Dropout(self.dropout), nn.Linear(patches * self.width, self.horizon)
        )

    def forward(self, values: Tensor) -> Tensor:
        """The steps to come."""
        check_sequence("PatchTST", values)
        if values.shape[1] != self.steps:
            raise ValueError(f"PatchTST was made for windows of {self.steps} steps; got {values.shape[1]}.")
        mean = values.mean(1, keepdim=True)
        deviation = (values.var(1, keepdim=True, unbiased=False) + EPSILON).sqrt()
        window = ((values - mean) / deviation).transpose(1, 2)
        first = (self.steps - self.patch) % self.stride
        patches = window[:, :, first:].unfold(2, self.patch, self.stride)  # [batch, channels, patches, patch]
        batch, channels = patches.shape[:2]
        found = (self.inward(patches) + self.places).flatten(0, 1)
        for layer in self.layers:
            found = layer(found)
        found = self.norm(found).view(batch, channels, -1, self.width)
        return self.outward(found).transpose(1, 2) * deviation + mean
