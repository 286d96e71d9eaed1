"""The base of methods that compare views with what a slow copy of the model makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.objectives._momentum import WithMomentum
from jumpml.objectives.self_supervised._two_views import TwoViews

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class SlowViews(WithMomentum, TwoViews):
    """A loss on the projections of views and on those of a momentum encoder, whose projector is a slow copy too.

    The arguments are those of `TwoViews` and `WithMomentum`.
    """

    why_two = "batch normalization needs two"
    slow_parts = ("projector",)

    def both(self, inputs: Sequence[Tensor], draws: int | None = None) -> tuple[list[Tensor], list[Tensor]]:
        """The projection of each draw, and the slow copy's of the first ones.

        Args:
            inputs: What `forward` was given, of the rows that count.
            draws: Of how many draws the slow copy's is wanted; of all where None.
        """
        given = [self.of_draw(draw, inputs) for draw in range(len(inputs) // len(self.inputs))]
        own = [self.projector(embedding) for embedding, *_ in given]
        projector = self.get_submodule("slow_projector")
        with torch.no_grad():
            slow = [projector(self.slow(fields)) for _, *fields in given[:draws]]
        return own, slow
