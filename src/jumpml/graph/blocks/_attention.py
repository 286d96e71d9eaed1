"""Attention from every position to the others."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jumpml.graph.blocks._sizes import check_sizes

ROTARY_BASE = 10_000.0  # of the paper: wavelengths from 2 pi positions to 2 pi times this


@final
class Attention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762) by torch's fused kernels.

    Shapes: ``[batch, length, width]`` to the same. Initialisation: that of ``torch.nn.Linear``.

    Args:
        width: Of the vectors.
        heads: How many; each sees ``width / heads`` numbers.
        dropout: The share of attention weights that is set to zero while training.
        causal: Whether a position sees only itself and those before it.
        rotary: Whether queries and keys are turned by their position (Su et al. 2021, https://arxiv.org/abs/2104.09864),
            so that attention knows how far apart two positions are.
    """

    def __init__(
        self, width: int, heads: int, *, dropout: float = 0.0, causal: bool = False, rotary: bool = False
    ) -> None:
        super().__init__()
        check_heads(width, heads, rotary)
        self.head_width, self.dropout, self.causal, self.rotary = width // heads, dropout, causal, rotary
        self.inward = nn.Linear(width, 3 * width)
        self.outward = nn.Linear(width, width)

    def forward(self, values: Tensor, attended: Tensor | None = None) -> Tensor:
        """What each position gathers.

        Args:
            values: ``[batch, length, width]``.
            attended: bool ``[batch, 1, 1, length]``, the positions that are seen; all where None. One at least a row.
        """
        split = self.inward(values).unflatten(2, (3, -1, self.head_width))
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        if self.rotary:
            query, key = rotate(query), rotate(key)
        dropout = self.dropout if self.training else 0.0
        gathered = F.scaled_dot_product_attention(query, key, value, attended, dropout, self.causal)
        return self.outward(gathered.transpose(1, 2).flatten(2))

    @property
    def heads(self) -> int:
        """How many heads there are; as many as at first, unless it has grown."""
        return self.inward.out_features // (3 * self.head_width)

    def unit_labels(self) -> list[tuple[Tensor, list[list[int]]]]:
        """Of the weight of queries, keys and values, by each of these the head that each output belongs to."""
        return [(self.inward.weight, [[head for head in range(self.heads) for _ in range(self.head_width)]] * 3)]


def check_heads(width: int, heads: int, rotary: bool) -> None:
    """Refuse a width that does not fall into heads.

    Raises:
        ValueError: It does not, or one of the two is no whole number of 1 or more.
    """
    check_sizes(width=width, heads=heads)
    if width % heads:
        raise ValueError(f"the width, {width}, must be a multiple of heads, {heads}.")
    if rotary and width // heads % 2:
        raise ValueError(f"rotary positions turn pairs of numbers: width / heads, {width // heads}, must be even.")


def rotate(values: Tensor) -> Tensor:
    """Turn pairs of numbers by an angle that grows with the position, each pair at a speed of its own.

    Args:
        values: ``[batch, heads, length, even]``.
    """
    half = values.shape[-1] // 2
    places = torch.arange(half, device=values.device, dtype=torch.float32)
    speeds = ROTARY_BASE ** (-places / half)
    angles = torch.arange(values.shape[-2], device=values.device, dtype=torch.float32).unsqueeze(1) * speeds
    cosine, sine = angles.cos().to(values.dtype), angles.sin().to(values.dtype)
    first, second = values[..., :half], values[..., half:]
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)
