"""Small arithmetic on rows that several objectives share."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from jumpml.core import ObjectiveError, ValueInfo
    from jumpml.objectives._module import ObjectiveModule


def mean_of_rows(x: Tensor, known: Tensor | None = None) -> Tensor:
    """``[batch, *]`` to the mean of each row, ``[batch]``; of the elements that are known, where some are not."""
    if known is not None:
        return torch.where(known, x, 0.0).flatten(1).sum(1) / known.flatten(1).sum(1).clamp(min=1)
    return x.flatten() if x.shape[1:].numel() == 1 else x.flatten(1).mean(1)


def same_rows(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    """Whether two rows can be compared element by element: shapes are equal, or sizes are and one of them is flat."""
    return first == second or (prod(first) == prod(second) and min(len(first), len(second)) < 2)


def shaped_like(x: Tensor, other: Tensor, error: Callable[[str], ObjectiveError]) -> Tensor:
    """`other` in the shape of `x`: ``[batch]`` against ``[batch, 1]`` would broadcast to ``[batch, batch]``."""
    if x.shape == other.shape:
        return other
    if not same_rows(x.shape[1:], other.shape[1:]) or len(x) != len(other):
        raise error(f"expected equal shapes, got {list(x.shape)} and {list(other.shape)}.")
    return other.reshape(x.shape)


def check_numbers(
    objective: ObjectiveModule, prediction: tuple[int, ValueInfo | None], target: tuple[int, ValueInfo | None]
) -> None:
    """Refuse a prediction and a target that are not numbers of equal shape, or size with one of them flat.

    Args:
        objective: Makes the errors.
        prediction: Its position among the inputs, and what is known of it.
        target: The same.
    """
    (place, predicted), (other, wanted) = prediction, target
    if wanted and wanted.dtype != "float32":
        fix = "For classes take kind: multiclass or binary."
        raise objective.wrong_shape(other, "float32", wanted, fix)
    if predicted and predicted.dtype != "float32":
        raise objective.wrong_shape(place, "float32", predicted, "Put a layer of real numbers at its end.")
    if predicted and predicted.gaps:
        told = f"{objective.inputs[place]!r} stands in the place of the prediction, and numbers of it are missing."
        raise objective.error(f"{told} Name what is predicted first, and the target last.")
    if predicted and wanted and not same_rows(predicted.shape, wanted.shape):
        fix = f"Give {objective.inputs[place]!r} the target's shape."
        raise objective.wrong_shape(place, f"{wanted} like {objective.inputs[other]!r}", predicted, fix)


def filled(x: Tensor, present: Tensor | None) -> Tensor:
    """Zeros at absent rows: a NaN there would reach the gradient, since NaN times zero is NaN. Codes have no NaN."""
    if present is None or not x.is_floating_point():
        return x
    return torch.where(present.view(-1, *[1] * (x.dim() - 1)), x, 0.0)
