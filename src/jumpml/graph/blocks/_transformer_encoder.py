"""A transformer that reads a whole sequence."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from jumpml.graph.blocks._attention import Attention, check_heads
from jumpml.graph.blocks._lazy import SizedByInput
from jumpml.graph.blocks._sequences import check_sequence
from jumpml.graph.blocks._sizes import check_sizes
from jumpml.graph.blocks._transformer import TransformerLayer, deepened, temper


@final
class TransformerEncoder(SizedByInput):
    """Layers in which every position reads all others, then a normalization.

    Vaswani et al. 2017 (https://arxiv.org/abs/1706.03762), normalized first (Xiong et al. 2020,
    https://arxiv.org/abs/2002.04745), with rotary positions (Su et al. 2021, https://arxiv.org/abs/2104.09864), so that
    any length will do. A node lists the vectors first, then the mask, if there is one: ``inputs: [words,
    message.mask]``. What stands at padding is never read, and comes out as zeros.

    Shapes: ``[batch, length, width]``, and a mask ``[batch, length]``, bool, to ``[batch, length, width]``; the width
    is taken from the graph. Initialisation: that of ``torch.nn.Linear``, what each layer adds divided by ``sqrt(2 *
    depth)``.

    Args:
        depth: How many layers.
        heads: Of each layer's attention; the width must be a multiple of it.
        expand: How many times wider than the vectors the inner layer of each position's network is.
        dropout: The share of what is added, and of attention weights, that is set to zero while training.
        rotary: Whether attention knows positions; without it the order of the vectors counts for nothing.

    Raises:
        ValueError: ``depth`` or ``heads`` is no whole number of 1 or more; or, when it is called, the width is no
            multiple of ``heads`` (of ``2 * heads`` with rotary positions), or the mask does not go with the values.

    Example:
        >>> import torch
        >>> TransformerEncoder(depth=2, heads=4)(torch.zeros(3, 10, 32)).shape
        torch.Size([3, 10, 32])
    """

    def __init__(
        self, depth: int, heads: int, expand: float = 4.0, dropout: float = 0.0, *, rotary: bool = True
    ) -> None:
        super().__init__()
        check_sizes(depth=depth, heads=heads)
        self.depth, self.heads, self.expand, self.dropout, self.rotary = depth, heads, expand, dropout, rotary

    def build(self, values: Tensor) -> None:
        """Make the layers."""
        check_sequence("TransformerEncoder", values)
        width = values.shape[2]
        check_heads(width, self.heads, self.rotary)
        self.layers = temper(
            [
                TransformerLayer(
                    width,
                    Attention(width, self.heads, dropout=self.dropout, rotary=self.rotary),
                    hidden=int(width * self.expand),
                    dropout=self.dropout,
                )
                for _ in range(self.depth)
            ]
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """A vector a position."""
        check_sequence("TransformerEncoder", values, mask)
        attended = None
        if mask is not None:
            values = values.masked_fill(~mask.unsqueeze(2), 0.0)
            # A text without tokens reads its zeros: a softmax over nothing would not be a number.
            attended = (mask | ~mask.any(1, keepdim=True))[:, None, None, :]
        for layer in self.layers:
            values = layer(values, attended)
        values = self.norm(values)
        return values if mask is None else values.masked_fill(~mask.unsqueeze(2), 0.0)

    def deepen(self) -> None:
        """Put one more layer behind the others, which adds zeros at first."""
        deepened(self.layers)
