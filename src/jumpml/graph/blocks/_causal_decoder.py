"""A transformer that reads a sequence from left to right."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from jumpml.graph.blocks._attention import Attention, check_heads
from jumpml.graph.blocks._lazy import SizedByInput
from jumpml.graph.blocks._sequences import check_sequence
from jumpml.graph.blocks._sizes import check_sizes
from jumpml.graph.blocks._transformer import TransformerLayer, deepened, temper


@final
class CausalDecoder(SizedByInput):
    """Layers in which every position reads itself and those before it, then a normalization: a language model's body.

    The plan is GPT-2's (Radford et al. 2019,
    https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf) with rotary
    positions (Su et al. 2021, https://arxiv.org/abs/2104.09864), so that any length will do. An `Embedding` before it
    and a `Head`, or the same `Embedding` once more (tied weights), behind it make it whole. It needs no mask: padding
    stands behind a text, where nothing reads it.

    Shapes: ``[batch, length, width]`` to the same; the width is taken from the graph. Initialisation: that of
    ``torch.nn.Linear``, what each layer adds divided by ``sqrt(2 * depth)``.

    Args:
        depth: How many layers.
        heads: Of each layer's attention; the width must be a multiple of ``2 * heads``.
        expand: How many times wider than the vectors the inner layer of each position's network is.
        dropout: The share of what is added, and of attention weights, that is set to zero while training.

    Raises:
        ValueError: ``depth`` or ``heads`` is no whole number of 1 or more; or, when it is called, the width is no
            multiple of ``2 * heads``.

    Example:
        >>> import torch
        >>> CausalDecoder(depth=2, heads=4)(torch.zeros(3, 10, 32)).shape
        torch.Size([3, 10, 32])
    """

    def __init__(self, depth: int, heads: int, expand: float = 4.0, dropout: float = 0.0) -> None:
        super().__init__()
        check_sizes(depth=depth, heads=heads)
        self.depth, self.heads, self.expand, self.dropout = depth, heads, expand, dropout

    def build(self, values: Tensor) -> None:
        """Make the layers."""
        check_sequence("CausalDecoder", values)
        width = values.shape[2]
        check_heads(width, self.heads, rotary=True)
        self.layers = temper(
            [
                TransformerLayer(
                    width,
                    Attention(width, self.heads, dropout=self.dropout, causal=True, rotary=True),
                    hidden=int(width * self.expand),
                    dropout=self.dropout,
                )
                for _ in range(self.depth)
            ]
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, values: Tensor) -> Tensor:
        """A vector a position, made of itself and those before it."""
        check_sequence("CausalDecoder", values)
        for layer in self.layers:
            values = layer(values)
        return self.norm(values)

    def deepen(self) -> None:
        """Put one more layer behind the others, which adds zeros at first."""
        deepened(self.layers)
