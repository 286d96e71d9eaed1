"""How sure a model is of its answers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch

from jumpml.core import TASK_KINDS
from jumpml.graph import decide, probabilities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from jumpml.core import Task
    from jumpml.graph import Model

TINY = 1e-12  # a chance of 0 has no logarithm


class Chances(NamedTuple):
    """A task's chances on some rows.

    Attributes:
        values: ``[rows, questions, answers]``; each label of a multilabel task is a question of two answers.
        most: The highest entropy that a question can have, in nats.
    """

    values: Tensor
    most: float

    def entropy(self) -> Tensor:
        """The mean over a row's questions, in nats, ``[rows]``."""
        return entropy_of(self.values).mean(1)


def entropy_of(chances: Tensor) -> Tensor:
    """Along the last axis, in nats."""
    chances = chances.clamp(min=TINY)
    return -(chances * chances.log()).sum(-1)


def classifies(task: Task) -> bool:
    """Whether a task decides classes or labels of rows."""
    kind = TASK_KINDS[task.kind]
    return kind.at == "row" and kind.decides in {"class", "labels"}


def no_classes(model: Model) -> str:
    """Why a method that goes by the entropy of answers cannot adapt a model; empty where it can."""
    if any(classifies(task) for task in model.tasks.values()):
        return ""
    kinds = ", ".join(f"{name!r} ({task.kind})" for name, task in model.tasks.items()) or "none"
    return f"it makes classes more certain, and no task of the model decides classes of rows; there is {kinds}."


def chances_of(model: Model, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Chances]:
    """By task that decides classes of rows, the chances on the rows that have what its output needs.

    Args:
        model: Its tasks.
        outputs: Raw, by task.
        batch: The rows.
    """
    found = {}
    for name, task in model.tasks.items():
        if not classifies(task):
            continue
        rows = model.rows([task.output], batch)
        values = probabilities(task.kind, outputs[name] if rows is None else outputs[name][rows])
        if TASK_KINDS[task.kind].prediction == "sigmoid":
            values = torch.stack([1 - values, values], -1).reshape(len(values), -1, 2)
        else:
            values = values.unsqueeze(1)
        found[name] = Chances(values, math.log(values.shape[-1]))
    return found


def variety(model: Model, outputs: Mapping[str, Tensor]) -> dict[str, float]:
    """By task that decides one class a row, among how many classes, as it were, the decisions are spread evenly.

    The exponential of the entropy of the shares of the classes that were decided.

    Args:
        model: Its tasks.
        outputs: Raw, by task.
    """
    found = {}
    for name, task in model.tasks.items():
        if classifies(task) and TASK_KINDS[task.kind].decides == "class":
            counts = decide(task.kind, outputs[name]).flatten().bincount().float()
            found[name] = float(entropy_of(counts / counts.sum()).exp())
    return found
