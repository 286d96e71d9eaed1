"""What a momentum encoder makes of hidden positions, foretold from the positions that are left."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import nn

from jumpml.objectives.self_supervised._latents import Latents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from jumpml.core import Weight


@final
class JEPA(Latents):
    """A joint-embedding predictive architecture: a small transformer foretells hidden positions from those left.

    After I-JEPA (Assran et al. 2023, https://arxiv.org/abs/2301.08243): the vectors of the positions that the view left
    are read together with one learned vector, the same at every hidden position, and vectors that say where each lies;
    what comes out at hidden positions is compared with the momentum encoder's normalized vectors there. A view that
    hides blocks asks for more than neighbours: ``hide`` with a ``patch`` of several positions. The authors foretell one
    block at a time, give the encoder only what is left, and have fixed sines say where a position lies; here all blocks
    are foretold at once, what is hidden is filled before the encoder reads it and its vectors are not used, and the
    vectors of places are learned, since positions may be of a picture, a series or a text.

    Args:
        inputs: The node, ``[batch, positions, width]`` or ``[batch, width, rows, columns]``, and the field that the
            view hides parts of.
        views: The view, which is drawn once.
        width: Of the transformer's vectors; a multiple of ``heads``.
        depth: How many layers it has. They belong to the objective and are not deployed.
        heads: Of each layer's attention.
        beta: The difference at which a square becomes a line (smooth L1); 0 for squares everywhere.
        momentum: The share of the momentum encoder that stays at each update, from 0 to 1, or a schedule of it.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: There are not one node, one field and one view, a number is below 1, the width no multiple of
            ``heads``, ``beta`` below 0, or the momentum not from 0 to 1.

    Example:
        >>> from jumpml.core import ValueInfo
        >>> from jumpml.graph import Model, Node
        >>> objective = JEPA(("code", "x"), views="part", width=8, depth=1, heads=2)
        >>> model = Model(inputs={"x": ValueInfo(shape=(6, 2))}, nodes={"code": Node(nn.Linear(2, 4), "x")},
        ...     objectives={"latent": objective})
        >>> x, hidden = torch.rand(3, 6, 2), torch.arange(6).expand(3, 6).unsqueeze(2).expand(3, 6, 2) < 2
        >>> batch = {"x@part.0": x.masked_fill(hidden, 0.0), "x.hidden@part.0": hidden, "x.whole@part.0": x}
        >>> model.losses(batch)["latent"].shape
        torch.Size([3])
    """

    if_collapsed = "raise `momentum`, hide larger blocks, or give the node a normalization behind it"

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        views: str | Sequence[str],
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        beta: float = 1.0,
        momentum: Weight = 0.996,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, views=views, beta=beta, momentum=momentum, weight=weight, when=when)
        if min(width, depth, heads) < 1 or width % heads:
            told = f"got a width of {width}, a depth of {depth} and {heads} heads"
            raise self.error(f"expected numbers of 1 or more, and a width that is a multiple of heads; {told}.")
        self.width, self.depth, self.heads = width, depth, heads

    def build(self, positions: int, width: int) -> None:
        """The transformer, the vector that stands for what is hidden, and those of places."""
        if positions < 2:
            raise self.error(
                f"{self.inputs[0]!r} gives one vector a row, and nothing is left beside it to foretell it from. Name a "
                "node that gives one a position, or take kind: latent_prediction."
            )
        self.inward = nn.Linear(width, self.width)
        self.unseen = nn.Parameter(0.02 * torch.randn(self.width))
        self.places = nn.Parameter(0.02 * torch.randn(positions, self.width))
        self.layers = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(
                    self.width, self.heads, 4 * self.width, 0.0, "gelu", batch_first=True, norm_first=True
                )
                for _ in range(self.depth)
            )
        )
        self.outward = nn.Sequential(nn.LayerNorm(self.width), nn.Linear(self.width, width))

    def foretell(self, embedding: Tensor, hidden: Tensor) -> Tensor:
        """Of the vectors of the positions that are left."""
        read = torch.where(hidden.unsqueeze(2), self.unseen.to(embedding.dtype), self.inward(embedding))
        return self.outward(self.layers(read + self.places[: read.shape[1]]))
