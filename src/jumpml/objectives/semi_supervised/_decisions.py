"""What a model itself says of a row, and how sure it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from jumpml.core import TASK_KINDS, ValueInfo, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.graph import Model
    from jumpml.objectives._module import ObjectiveModule

DECIDED = ("multiclass", "binary", "multilabel")  # kinds of task that decide once a row, by logits
_SHAPES = {
    "multiclass": "[batch, classes] float32 with two classes or more",
    "binary": "[batch] or [batch, 1] float32",
    "multilabel": "[batch, labels] float32",
}


def check_kind(objective: ObjectiveModule, kind: str | None) -> None:
    """Refuse a kind of task that does not decide by logits once a row.

    Raises:
        ObjectiveError: It is such a kind.
    """
    if kind is not None and kind not in DECIDED:
        expected = f"expected a kind of task among {', '.join(DECIDED)}, got {kind!r}."
        raise objective.error(f"{expected} {did_you_mean(kind, DECIDED)}".rstrip())


def kind_in(objective: ObjectiveModule, model: Model) -> str:
    """The kind of the task whose output an objective's first input is.

    Raises:
        ObjectiveError: It is the output of no such task.
    """
    output = objective.inputs[0]
    kinds = {task.output: task.kind for task in model.tasks.values()}
    kind = kinds.get(output)
    if kind in DECIDED:
        return kind
    of = f"of a {kind} task" if kind else "of no task"
    known = [repr(name) for name, other in kinds.items() if other in DECIDED]
    fix = f"Name {' or '.join(known)}." if known else "The model has none."
    raise objective.error(
        f"expected the output of a multiclass, binary or multilabel task; {output!r} is that {of}. {fix}"
    )


def check_output(objective: ObjectiveModule, kind: str | None, output: ValueInfo | None) -> None:
    """Refuse what cannot be a task's logits.

    Raises:
        ObjectiveError: It cannot.
    """
    if output is None:
        return
    fits = {
        "multiclass": len(output.shape) == 1 and output.shape > (1,),
        "binary": output.shape in {(), (1,)},
        "multilabel": len(output.shape) == 1,
        None: len(output.shape) < 2,
    }
    if output.dtype != "float32" or not fits[kind]:
        expected = "[batch, classes] or [batch] float32" if kind is None else _SHAPES[kind]
        raise objective.wrong_shape(0, expected, output, "Name the output of a task that decides once a row.")


def decide(kind: str, logits: Tensor, temperature: float | None = None) -> tuple[Tensor, Tensor]:
    """What logits say, as a target of `losses`, and how probable that is.

    Args:
        kind: The task's.
        logits: ``[batch, classes]``, ``[batch]`` or ``[batch, labels]``.
        temperature: None for the likeliest class, or what is likelier of each label; else the probabilities that the
            logits over the temperature have.

    Returns:
        The target; and the probability of what is likeliest, ``[batch]``, or ``[batch, labels]`` of each label.

    Example:
        >>> target, sure = decide("multiclass", torch.tensor([[0.0, 2.0]]))
        >>> target, sure
        (tensor([1]), tensor([0.8808]))
    """
    if TASK_KINDS[kind].prediction == "softmax":
        sure, target = logits.softmax(1).max(1)
        return (target if temperature is None else (logits / temperature).softmax(1)), sure
    logits = by_label(logits)
    probability = logits.sigmoid()
    target = (logits > 0).to(logits.dtype) if temperature is None else (logits / temperature).sigmoid()
    return target, torch.maximum(probability, 1 - probability)


def losses(kind: str, logits: Tensor, target: Tensor) -> Tensor:
    """Cross entropy of logits against what `decide` gave, ``[batch]``, or ``[batch, labels]`` of each label."""
    if TASK_KINDS[kind].prediction == "softmax":
        return F.cross_entropy(logits, target, reduction="none")
    return F.binary_cross_entropy_with_logits(by_label(logits), target, reduction="none")


def by_label(logits: Tensor) -> Tensor:
    """``[batch]`` or ``[batch, labels]`` as ``[batch, labels]``."""
    return logits.view(len(logits), -1)
