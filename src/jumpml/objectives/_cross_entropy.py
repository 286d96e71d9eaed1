"""One class of several, once a row or once a position."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F

from jumpml.core import Loss, ValueInfo
from jumpml.objectives._class_weights import ClassWeights, check_class_weights, need_data, weigh_classes
from jumpml.objectives._module import ObjectiveModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import Weight

MISSING = -1  # the code of an absent category, see core's decoding table
SURE = 1e-7  # the least that focusing takes for one minus a probability: below a power of 1 its slope at 0 is infinite


@final
class CrossEntropy(ObjectiveModule):
    """Softmax cross entropy of logits ``[batch, classes, *]`` against class codes ``[batch, *]``.

    What stands for ``*`` are positions, a picture's pixels or a text's tokens: a row's loss is the mean over those
    whose code is there, and a row without any does not count. A batch may hold shares of the classes in place of
    codes, float32 ``[batch, classes]``, as mixup makes them.

    Args:
        inputs: The logits and the target field.
        label_smoothing: The share of the target that is spread over all classes, in [0, 1)
            (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567).
        class_weights: What the loss of each class is multiplied by: a list in the order of the codes, weights by
            the classes' names (1 where one is left out), or ``balanced``: each class as much as any other, by the
            counts of the train rows. The mean over rows is not divided by the weights.
        focal: The power of one minus a class's probability that its loss is multiplied by, so that what is learned
            already counts less (Lin et al. 2017, https://arxiv.org/abs/1708.02002, who take 2); 0 switches it off.
        classes_last: Whether the logits are ``[batch, *, classes]``, as a linear layer gives them at each token.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: The smoothing, a weight or the power is out of range.

    Example:
        >>> objective = CrossEntropy(("digit", "label"))
        >>> objective(torch.zeros(2, 4), torch.tensor([3, -1])).value
        tensor([1.3863, 0.0000])
        >>> objective(torch.zeros(1, 4, 2), torch.tensor([[3, -1]])).value
        tensor([1.3863])
    """

    roles = ("logits", "target")
    class_weights: Tensor | None

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        label_smoothing: float = 0.0,
        class_weights: ClassWeights | None = None,
        focal: float = 0.0,
        classes_last: bool = False,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)
        if not 0 <= label_smoothing < 1:
            raise self.error(f"expected label_smoothing in [0, 1), got {label_smoothing}.")
        if not 0 <= focal < float("inf"):
            raise self.error(f"expected focal as a power of 0 or more, got {focal}.")
        check_class_weights(class_weights, self.error)
        self.label_smoothing, self.focal, self.classes_last = label_smoothing, focal, classes_last
        self._asked_weights = class_weights
        # a buffer follows the model to its device; the values come from file and data, not from a checkpoint
        self.register_buffer("class_weights", None, persistent=False)
        if class_weights is not None and not need_data(class_weights):
            self.class_weights = weigh_classes(class_weights, None, "", self.error)

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for ``[batch, classes, *]`` logits and ``[batch, *]`` codes; weigh the classes."""
        logits, target = values
        if logits and self.classes_last:  # from here on they are first
            logits = replace(logits, shape=(*logits.shape[-1:], *logits.shape[:-1]))
        if logits and (len(logits.shape) < 1 or logits.shape[0] < 2 or logits.dtype != "float32"):
            fix = "Use a linear node with one output a class; for a single logit take kind: binary."
            raise self.wrong_shape(0, "[batch, classes] float32 with two classes or more", logits, fix)
        positions = logits.shape[1:] if logits else ()
        if target and (target.dtype != "int64" or (logits and target.shape != positions)):
            fix = "Use a category field without features; for a number take kind: regression."
            if positions:
                axis = "the last axis" if self.classes_last else "the first axis after the batch"
                fix = f"Classes are {axis}, and {self.inputs[0]!r} is {values[0]}."
            raise self.wrong_shape(1, f"class codes {ValueInfo(shape=positions, dtype='int64')}", target, fix)
        if logits and target and target.classes not in {None, logits.shape[0]}:
            raise self.error(
                f"{self.inputs[1]!r} has {target.classes} classes, and {self.inputs[0]!r} is {logits}. "
                f"Give the logits {target.classes} columns."
            )
        self._weigh(logits, target)

    def _weigh(self, logits: ValueInfo | None, target: ValueInfo | None) -> None:
        asked = self._asked_weights
        if asked is None:
            return
        if self.class_weights is None or (target and target.class_counts):
            self.class_weights = weigh_classes(asked, target, self.inputs[1], self.error)
        if logits and len(self.class_weights) != logits.shape[0]:
            classes, count = logits.shape[0], len(self.class_weights)
            raise self.error(f"expected class_weights for {classes} classes, as {self.inputs[0]!r} has; got {count}.")

    def forward(self, logits: Tensor, target: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row; 0 where the target is missing.

        Args:
            logits: ``[batch, classes, *]``, or ``[batch, *, classes]`` where classes are last.
            target: Class codes, int64 ``[batch, *]``; -1 where missing. Or shares of the classes, float32
                ``[batch, classes, *]``.
            present: bool ``[batch]``, the rows that count; None where all do.
        """
        if self.classes_last:  # each position as a row: a softmax over the last axis runs along memory
            value = self._losses(logits.flatten(0, -2), target.flatten()).view(target.shape)
        else:
            value = self._losses(logits, target)
        if value.ndim == 1:
            return Loss(value, present)
        return self._mean_of_positions(value, target, present)

    def counted(self, *inputs: Tensor | None, present: Tensor | None = None) -> Tensor | None:
        """The rows that have a target, of positions at least one."""
        target = inputs[1]
        if target is None or target.ndim == 1 or target.is_floating_point():
            return present
        there = (target != MISSING).flatten(1).any(1)
        return there if present is None else there & present

    def _losses(self, logits: Tensor, target: Tensor) -> Tensor:
        if self.focal:
            return self._focal(logits, target)
        # ignore_index skips missing targets inside the kernel, so that no mask or clamp costs anything
        return F.cross_entropy(
            logits,
            target,
            self.class_weights if self._asked_weights else None,  # a buffer is looked up slowly, at every step
            ignore_index=MISSING,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )

    def _mean_of_positions(self, value: Tensor, target: Tensor, present: Tensor | None) -> Loss:
        if target.is_floating_point():
            return Loss(value.flatten(1).mean(1), present)
        counts = (target != MISSING).flatten(1).sum(1)
        there = counts > 0
        return Loss(value.flatten(1).sum(1) / counts.clamp(min=1), there if present is None else there & present)

    def _focal(self, logits: Tensor, target: Tensor) -> Tensor:
        log_probabilities = F.log_softmax(logits, dim=1)
        shares = target if target.is_floating_point() else shares_of(target, logits)
        if self.label_smoothing:
            spread = shares.sum(1, keepdim=True) / logits.shape[1]
            shares = shares * (1 - self.label_smoothing) + self.label_smoothing * spread
        if self.class_weights is not None:
            shares = shares * self.class_weights.view(-1, *[1] * (logits.ndim - 2))
        unsure = (-log_probabilities.expm1()).clamp(min=SURE) ** self.focal
        return -(shares * unsure * log_probabilities).sum(1)


def shares_of(codes: Tensor, logits: Tensor) -> Tensor:
    """Codes ``[batch, *]`` as shares of the classes, in the shape of logits; nothing where a code is missing."""
    known = codes != MISSING
    return torch.zeros_like(logits).scatter(1, codes.clamp(min=0).unsqueeze(1), known.unsqueeze(1).to(logits.dtype))
