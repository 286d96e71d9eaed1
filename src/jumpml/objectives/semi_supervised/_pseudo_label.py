"""Learning from rows without a label what the model decides there."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from jumpml.core import PRESENT, Loss
from jumpml.objectives.semi_supervised._with_threshold import WithThreshold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from jumpml.core import Weight


@final
class PseudoLabel(WithThreshold):
    """The model's own decision as the target, where it is sure enough.

    Pseudo-labels (Lee 2013, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method", ICML workshop on
    challenges in representation learning): the mean over the rows without a label of the cross entropy against the
    likeliest class, which counts 0 below the threshold. Lee takes every row, which a threshold below one over the
    number of classes does, and lets the weight rise: `WeightSchedule`. Labels of a multilabel task are decided, and
    left out, one by one.

    Args:
        inputs: A task's output; and its target, whose rows with a value are left out, as in the paper. Without it all
            rows count.
        threshold: The probability from which on a decision is learned, between 0 and 1.
        kind: ``multiclass``, ``binary`` or ``multilabel``; that of the task whose output it is where None.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: The threshold is not between 0 and 1, or the kind decides otherwise.

    Example:
        >>> import torch
        >>> objective = PseudoLabel(("logits", "digit"), threshold=0.8, kind="multiclass")
        >>> objective.inputs
        ('logits', 'digit.present')
        >>> logits = torch.tensor([[0.0, 2.0], [0.0, 1.0], [0.0, 2.0]])  # probabilities of .88, .73 and .88
        >>> objective(logits, torch.tensor([False, False, True]))
        Loss(value=tensor([0.1269, 0.0000, 0.1269]), present=tensor([ True,  True, False]))
    """

    roles = ("output", "target")
    optional = 1

    def __init__(
        self,
        inputs: str | Sequence[str],
        *,
        threshold: float = 0.95,
        kind: str | None = None,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, threshold=threshold, kind=kind, weight=weight, when=when)
        self.inputs = (*self.inputs[:1], *(name.removesuffix(PRESENT) + PRESENT for name in self.inputs[1:]))

    def forward(self, output: Tensor, labelled: Tensor | None = None, present: Tensor | None = None) -> Loss:
        """The loss of each row.

        Args:
            output: Logits, ``[batch, classes]``, ``[batch]`` or ``[batch, labels]``.
            labelled: bool ``[batch]``, the rows that have a label and do not count.
            present: bool ``[batch]``, the rows that count; None where all do.
        """
        return self.agreement(output, output, self.counted(output, labelled, present=present))

    def counted(self, *inputs: Tensor | None, present: Tensor | None = None) -> Tensor | None:
        """The rows without a label."""
        labelled = inputs[1] if len(inputs) > 1 else None
        if labelled is None:
            return present
        return ~labelled if present is None else present & ~labelled
