"""The layers that all transformers here are made of."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jumpml.graph.blocks._residual import fresh, zero

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jumpml.graph.blocks._attention import Attention


@final
class TransformerLayer(nn.Module):
    """Attention, then a small network at each position, each of the normalized values and added to them.

    Normalizing first (Xiong et al. 2020, https://arxiv.org/abs/2002.04745) trains without a warm-up.

    Shapes: ``[batch, length, width]`` to the same.

    Args:
        width: Of the vectors.
        attention: Its attention.
        hidden: The width of the small network's inner layer.
        dropout: The share of that layer's outputs that is set to zero while training.
        gated: ``relu(a) * b`` (Shazeer 2020, https://arxiv.org/abs/2002.05202) in the place of GELU.
    """

    def __init__(
        self, width: int, attention: Attention, *, hidden: int, dropout: float = 0.0, gated: bool = False
    ) -> None:
        super().__init__()
        self.gated = gated
        self.before_attention = nn.LayerNorm(width)
        self.attention = attention
        self.before_network = nn.LayerNorm(width)
        self.inward = nn.Linear(width, 2 * hidden if gated else hidden)
        self.outward = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: Tensor, attended: Tensor | None = None) -> Tensor:
        """What comes out, for what comes in."""
        values = values + self.dropout(self.attention(self.before_attention(values), attended))
        inner = self.inward(self.before_network(values))
        if self.gated:
            gate, inner = inner.chunk(2, dim=-1)
            inner = F.relu(gate) * inner
        else:
            inner = F.gelu(inner)
        return values + self.dropout(self.outward(inner))

    def unit_labels(self) -> list[tuple[Tensor, list[range]]]:
        """Of a gated network, the inner unit that each output belongs to, first of all gates, then of all values."""
        return [(self.inward.weight, [range(self.outward.in_features)] * 2)] if self.gated else []


def deepened(layers: nn.ModuleList) -> None:
    """Put one more layer behind others like the last of them, which adds zeros at first."""
    layer: Any = fresh(copy.deepcopy(layers[-1]))
    zero(layer.attention.outward)
    zero(layer.outward)
    layers.append(layer)


def temper(layers: Sequence[TransformerLayer]) -> nn.ModuleList:
    """Divide what each layer adds by the root of how many additions there are, so that depth does not add up.

    (Radford et al. 2019, https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf)
    """
    made = nn.ModuleList(layers)
    with torch.no_grad():
        for layer in layers:
            for projection in (layer.attention.outward, layer.outward):
                projection.weight.mul_((2 * len(made)) ** -0.5)
    return made
