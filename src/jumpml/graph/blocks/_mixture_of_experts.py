"""Small networks of which each value chooses a few."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jumpml.graph.blocks._kept import KeepsLosses
from jumpml.graph.blocks._lazy import lazy_layers_are_meant
from jumpml.graph.blocks._sizes import check_sizes


@final
class MixtureOfExperts(KeepsLosses):
    """Networks of two layers; a router weighs the best few of them for each value, and their outputs are added.

    Shazeer et al. 2017, https://arxiv.org/abs/1701.06538, without noise. It brings the loss ``balance``, one of the
    batch, which keeps the router from using few experts only: the number of experts times the sum, over them, of the
    share of values that chose an expert times its mean probability (Fedus et al. 2022,
    https://arxiv.org/abs/2101.03961, who weigh it by 0.01); 1 where all are used alike.

    All experts are computed for every value, and what was not chosen is multiplied by 0, so that shapes do not depend
    on values: it can be compiled and exported, and has the cost of one layer as wide as all.

    Shapes: ``[batch, *, any]`` to ``[batch, *, width]``. Initialisation: that of ``torch.nn.Linear``.

    Args:
        width: Of the output.
        experts: How many there are.
        chosen: How many of them each value chooses.
        hidden: Of each expert's inner layer; `width` where None.

    Raises:
        ValueError: A size is no whole number of 1 or more, or more are chosen than there are.

    Example:
        >>> mixture = MixtureOfExperts(8, experts=4, chosen=2)
        >>> mixture(torch.randn(16, 5)).shape, mixture.losses()["balance"].shape
        (torch.Size([16, 8]), torch.Size([]))
    """

    def __init__(self, width: int, experts: int = 4, chosen: int = 1, hidden: int | None = None) -> None:
        super().__init__()
        hidden = width if hidden is None else hidden
        check_sizes(width=width, experts=experts, chosen=chosen, hidden=hidden)
        if chosen > experts:
            raise ValueError(f"chosen must be at most experts, {experts}; got {chosen}.")
        self.experts, self.chosen, self.hidden = experts, chosen, hidden
        with lazy_layers_are_meant():
            self.router = nn.LazyLinear(experts)
            self.inward = nn.LazyLinear(experts * hidden)
        self.outward = nn.ModuleList(nn.Linear(hidden, width) for _ in range(experts))

    def forward(self, input: Tensor) -> Tensor:
        """The weighed outputs of the experts that were chosen."""
        probabilities = F.softmax(self.router(input), dim=-1)
        _, best = probabilities.topk(self.chosen, dim=-1)
        chosen = torch.zeros_like(probabilities).scatter(-1, best, 1.0)
        self._keep(probabilities, chosen)
        gates = probabilities * chosen
        if self.chosen > 1:  # the gate of a single one keeps its size, or the router would learn nothing
            gates = gates / gates.sum(-1, keepdim=True)
        inner = F.relu(self.inward(input)).unflatten(-1, (self.experts, self.hidden))
        outputs = torch.stack([layer(inner[..., place, :]) for place, layer in enumerate(self.outward)], dim=-2)
        return (gates.unsqueeze(-1) * outputs).sum(-2)

    def losses(self) -> dict[str, Tensor]:
        """``balance`` of the last call, a scalar; it is forgotten then, and nothing is left for another asking."""
        kept = self._take()
        if not kept:
            return {}
        probabilities, chosen = (value.flatten(0, -2).mean(0) for value in kept)
        return {"balance": self.experts * (probabilities * chosen / self.chosen).sum()}
