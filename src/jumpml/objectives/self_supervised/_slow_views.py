"""Projections of views by the model and by its slow copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def slow_projections(
    objective: Any, inputs: Sequence[Tensor], draws: int | None = None
) -> tuple[list[Tensor], list[Tensor]]:
    """What a `WithMomentum` with a ``projector`` makes of each draw, and what its slow copy makes of the first ones.

    Args:
        objective: It names its projector in ``slow_parts``.
        inputs: What `forward` was given, of the rows that count.
        draws: Of how many draws the slow copy's is wanted; of all where None.
    """
    given = [objective.of_draw(draw, inputs) for draw in range(len(inputs) // len(objective.inputs))]
    own = [objective.projector(embedding) for embedding, *_ in given]
    with torch.no_grad():
        slow = [objective.slow_projector(objective.slow(fields)) for _, *fields in given[:draws]]
    return own, slow
