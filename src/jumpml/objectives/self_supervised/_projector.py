"""What stands between an embedding and the space in which it is compared."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from jumpml.core import ValueInfo
    from jumpml.objectives._module import ObjectiveModule


def make_projector(width: int, widths: Sequence[int]) -> nn.Sequential:
    """Linear layers with batch normalization and ReLU between them; the last one is linear, without a bias.

    Args:
        width: Of what it reads.
        widths: Of its layers; the identity where there are none.

    Example:
        >>> [type(layer).__name__ for layer in make_projector(16, (32, 8))]
        ['Linear', 'BatchNorm1d', 'ReLU', 'Linear']
    """
    layers = nn.Sequential()
    for read, made in pairwise((width, *widths[:-1])):
        layers.extend([nn.Linear(read, made), nn.BatchNorm1d(made), nn.ReLU()])
    if widths:
        layers.append(nn.Linear((width, *widths)[-2], widths[-1], bias=False))
    return layers


def embedding_width(objective: ObjectiveModule, embedding: ValueInfo | None) -> int:
    """The width of the first input.

    Args:
        objective: Whose input it is.
        embedding: What is known of it.

    Raises:
        ObjectiveError: It is not one float32 vector a row.
    """
    if embedding is None:
        raise objective.error(f"the shape of {objective.inputs[0]!r} must be known. Name a node.")
    if len(embedding.shape) != 1 or embedding.dtype != "float32":
        fix = "Flatten or pool it in a node first, such as torch.nn.Flatten."
        raise objective.wrong_shape(0, "[batch, width] float32", embedding, fix)
    return int(embedding.shape[0])


def rows_that_count(
    objective: ObjectiveModule, present: Tensor | None, *values: Tensor, why: str = "variance needs two"
) -> list[Tensor]:
    """The rows of the values that count, two at least.

    Args:
        objective: For its errors, and for what it knows of gaps.
        present: bool ``[batch]``, the rows that are there; None where all are.
        values: What `forward` was given of the objective's inputs, ``[batch, *]`` each.
        why: What one row is too few for.

    Raises:
        ObjectiveError: Fewer than two rows count.
    """
    present = objective.whole_rows(present, *values)
    kept = [*values] if present is None else [value[present] for value in values]
    if len(kept[0]) < 2:
        fix = "Choose a batch_size that leaves no single row over at the end of an epoch."
        if present is not None and len(present) > 1:
            lacking = f"Of {len(present)} rows the others lack what it reads"
            fix = f"{lacking}. Take a larger batch_size; where several processes learn, each has a share of it."
        raise objective.error(f"expected two rows or more in a batch, since {why}; got {len(kept[0])}. {fix}")
    return kept
