"""A task's raw output to what is predicted, by the task's kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F

from jumpml.core import TASK_KINDS
from jumpml.graph._ordinal import log_chances, median_class

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor


def scores(kind: str, output: Tensor) -> Tensor:
    """The raw output in one shape a kind.

    Args:
        kind: A task kind.
        output: A model's output for a task of that kind, ``[batch, ...]``.

    Returns:
        ``[batch, classes]`` logits for multiclass and multilabel, for ordinal the logarithms of the chances;
        ``[batch]`` logits for binary, ``[batch, height, width, classes]`` at pixels, ``[batch, length, classes]`` at
        tokens; where no class is decided the output as it is.

    Example:
        >>> import torch
        >>> scores("binary", torch.tensor([[2.0], [-1.0]]))
        tensor([ 2., -1.])
    """
    brings = TASK_KINDS[kind]
    if brings.at == "pixels":
        return output.movedim(1, -1)
    if brings.prediction == "corn":
        return log_chances(output)
    return output.flatten() if brings.one_logit else output


def probabilities(kind: str, output: Tensor) -> Tensor:
    """The raw output as probabilities.

    Args:
        kind: A task kind.
        output: A model's output for a task of that kind, ``[batch, ...]``.

    Returns:
        ``[batch, classes]`` for multiclass (softmax), ordinal and multilabel (sigmoid of each label), ``[batch]`` of
        the second class for binary (sigmoid), ``[batch, *positions, classes]`` where positions are decided (softmax);
        for retrieval vectors of length 1, and numbers as they are.

    Example:
        >>> import torch
        >>> probabilities("multiclass", torch.zeros(1, 4))
        tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """
    return _PROBABILITIES[TASK_KINDS[kind].prediction](scores(kind, output))


def decide(kind: str, output: Tensor, quantiles: Sequence[float] = ()) -> Tensor:
    """The decision that a raw output stands for.

    Args:
        kind: A task kind.
        output: A model's output for a task of that kind, ``[batch, ...]``.
        quantiles: The task's.

    Returns:
        int64 class codes ``[batch]``, for ordinal the median class, or ``[batch, *positions]`` where positions are
        decided; for multilabel int64 ``[batch, classes]``, 1 where a label is likelier than not; numbers themselves,
        with quantiles the median of each, ``[batch, numbers]``.

    Example:
        >>> import torch
        >>> decide("multiclass", torch.tensor([[0.1, 2.0, 0.3]])), decide("binary", torch.tensor([[-0.1]]))
        (tensor([1]), tensor([0]))
    """
    if quantiles:
        return in_rising_order(output, quantiles)[..., list(quantiles).index(0.5)]
    return _DECISIONS[TASK_KINDS[kind].prediction](scores(kind, output))


def in_rising_order(output: Tensor, quantiles: Sequence[float]) -> Tensor:
    """Predicted quantiles, sorted, so that none crosses another (Chernozhukov et al. 2010).

    https://arxiv.org/abs/0704.3649. The levels of a number stand beside each other.

    Args:
        output: ``[batch, ...]``, as many values a row as there are numbers times quantiles.
        quantiles: Their levels.

    Returns:
        ``[batch, numbers, quantiles]``.

    Example:
        >>> import torch
        >>> in_rising_order(torch.tensor([[3.0, 2.0, 5.0]]), (0.1, 0.5, 0.9))
        tensor([[[2., 3., 5.]]])
    """
    return output.reshape(len(output), -1, len(quantiles)).sort(-1).values


_PROBABILITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda logits: logits.softmax(-1),
    "sigmoid": lambda logits: logits.sigmoid(),
    "corn": lambda scores: scores.exp(),
    "unit": lambda embedding: F.normalize(embedding, dim=-1),
    "identity": lambda value: value,
}
_DECISIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda logits: logits.argmax(-1),
    "sigmoid": lambda logits: (logits > 0).long(),
    "corn": lambda scores: median_class(scores.exp()),
    "unit": lambda embedding: F.normalize(embedding, dim=-1),
    "identity": lambda value: value,
}
