"""A transformer over the columns of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

from jumpml.graph.blocks._attention import Attention
from jumpml.graph.blocks._sizes import check_sizes
from jumpml.graph.blocks._tabular_embedding import TabularEmbedding
from jumpml.graph.blocks._transformer import TransformerLayer, temper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jumpml.core import ValueInfo


@final
class FTTransformer(nn.Module):
    """Each element of a table becomes a vector, and a transformer's extra vector gathers from them what is asked for.

    Gorishniy et al. 2021 (https://arxiv.org/abs/2106.11959): a `TabularEmbedding`, then layers with gated networks, of
    which the first has no normalization before its attention. With ``encode: {categories: index}`` as the table's
    feature it embeds the classes of each category; what ``one_hot`` gives it would take for numbers.

    Shapes: any number of values, float32 ``[batch, elements]`` or int64 codes ``[batch]``, to ``[batch, width]``.
    Initialisation: that of `TabularEmbedding` and ``torch.nn.Linear``, what each layer adds divided by ``sqrt(2 *
    depth)``.

    Args:
        width: Of the vectors; a multiple of ``heads``.
        depth: How many layers.
        heads: Of each layer's attention.
        expand: How many times wider than the vectors the inner layer of each element's network is.
        dropout: The share of what is added that is set to zero while training.
        attention_dropout: Likewise, of attention weights.
        cardinalities: By element of all values in order, how many codes it may hold, 0 for a number; known from the
            data where None.

    Raises:
        ValueError: ``depth`` or ``width`` is no whole number of 1 or more, or ``width`` no multiple of ``heads``; or as
            in `TabularEmbedding`.

    Example:
        >>> block = FTTransformer(16, depth=2, heads=4, cardinalities=[0, 0, 3])
        >>> block(torch.tensor([[0.5, -1.0, 2.0]])).shape
        torch.Size([1, 16])
    """

    def __init__(
        self,
        width: int = 64,
        depth: int = 3,
        heads: int = 8,
        *,
        expand: float = 4 / 3,
        dropout: float = 0.1,
        attention_dropout: float = 0.2,
        cardinalities: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        check_sizes(depth=depth)
        self.embedding = TabularEmbedding(width, cardinalities)
        self.gathering = nn.Parameter(torch.empty(width).uniform_(-(width**-0.5), width**-0.5))
        self.layers = temper(
            [
                TransformerLayer(
                    width,
                    Attention(width, heads, dropout=attention_dropout),
                    hidden=int(width * expand),
                    dropout=dropout,
                    gated=True,
                )
                for _ in range(depth)
            ]
        )
        self.layers[0].before_attention = nn.Identity()
        self.norm = nn.LayerNorm(width)

    def connect(self, *values: ValueInfo) -> None:
        """Make a vector for each element of the fields that the node reads."""
        self.embedding.connect(*values)

    def forward(self, *values: Tensor) -> Tensor:
        """One vector a row."""
        elements = self.embedding(*values)
        gathering = self.gathering.expand(elements.shape[0], 1, -1)
        everything = torch.cat([gathering, elements], 1)
        for layer in self.layers:
            everything = layer(everything)
        return torch.relu(self.norm(everything[:, 0]))
