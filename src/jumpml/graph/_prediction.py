"""A task's raw output to what is predicted, by the task's kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import TASK_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def scores(kind: str, output: Tensor) -> Tensor:
    """The raw output in one shape a kind.

    Args:
        kind: A task kind.
        output: A model's output for a task of that kind, ``[batch, ...]``.

    Returns:
        ``[batch, classes]`` logits for multiclass and multilabel, ``[batch]`` logits for binary, ``[batch, height,
        width, classes]`` at pixels, ``[batch, length, classes]`` at tokens; for regression the output as it is.

    Example:
        >>> import torch
        >>> scores("binary", torch.tensor([[2.0], [-1.0]]))
        tensor([ 2., -1.])
    """
    brings = TASK_KINDS[kind]
    if brings.at == "pixels":
        return output.movedim(1, -1)
    return output.flatten() if brings.one_logit else output


def probabilities(kind: str, output: Tensor) -> Tensor:
    """The raw output as probabilities.

    Args:
        kind: A task kind.
        output: A model's output for a task of that kind, ``[batch, ...]``.

    Returns:
        ``[batch, classes]`` for multiclass (softmax) and multilabel (sigmoid of each label), ``[batch]`` of the second
        class for binary (sigmoid), ``[batch, *positions, classes]`` where positions are decided (softmax); for
        regression the output as it is.

    Example:
        >>> import torch
        >>> probabilities("multiclass", torch.zeros(1, 4))
        tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """
    return _PROBABILITIES[TASK_KINDS[kind].prediction](scores(kind, output))


def decide(kind: str, output: Tensor) -> Tensor:
    """The decision that a raw output stands for.

    Args:
        kind: A task kind.
        output: A model's output for a task of that kind, ``[batch, ...]``.

    Returns:
        int64 class codes ``[batch]``, or ``[batch, *positions]`` where positions are decided; for multilabel int64
        ``[batch, classes]``, 1 where a label is likelier than not; for regression the number itself.

    Example:
        >>> import torch
        >>> decide("multiclass", torch.tensor([[0.1, 2.0, 0.3]])), decide("binary", torch.tensor([[-0.1]]))
        (tensor([1]), tensor([0]))
    """
    return _DECISIONS[TASK_KINDS[kind].prediction](scores(kind, output))


_PROBABILITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda logits: logits.softmax(-1),
    "sigmoid": lambda logits: logits.sigmoid(),
    "identity": lambda value: value,
}
_DECISIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda logits: logits.argmax(-1),
    "sigmoid": lambda logits: (logits > 0).long(),
    "identity": lambda value: value,
}
