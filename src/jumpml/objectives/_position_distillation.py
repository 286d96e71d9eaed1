"""Learning another model's outputs at each position, one loss a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F

from jumpml.core import TASK_KINDS, Loss, did_you_mean
from jumpml.graph import scores
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._temperature import checked_temperature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight


@final
class PositionDistillation(ObjectiveModule):
    """How far a student's output at each position is from a source model's; see `Distillation`.

    A row's loss is the mean over the positions whose class is known, so that nothing is learned of padding.

    Args:
        inputs: The student's raw output and the source's, of one shape, and the target, whose -1 do not count.
        kind: ``segmentation``, ``token_labelling`` or ``language_modelling``.
        temperature: What the logits of both are divided by; above 0.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: The kind decides at no positions or the temperature is not above 0.

    Example:
        >>> objective = PositionDistillation(("tags", "source_tags", "truth"), kind="token_labelling")
        >>> same = torch.tensor([[[1.0, 0.0], [9.0, 9.0]]])
        >>> objective(same, same, torch.tensor([[1, -1]]))
        Loss(value=tensor([0.]), present=tensor([True]))
    """

    roles = ("student", "source", "target")

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        kind: str,
        temperature: float = 4.0,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)
        kinds = [name for name, brings in TASK_KINDS.items() if brings.at != "row"]
        if kind not in kinds:
            raise self.error(f"{kind!r} is no kind of task that decides at positions. {did_you_mean(kind, kinds)}")
        self.kind, self.temperature = kind, checked_temperature(self, temperature)

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for equal shapes."""
        student, source, _ = values
        if student and source and student != source:
            raise self.wrong_shape(0, f"{source} like {self.inputs[1]!r}", student, "Give both models the same output.")

    def forward(self, student: Tensor, source: Tensor, target: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row.

        Args:
            student: Raw output, ``[batch, classes, *]`` or ``[batch, *, classes]`` as the kind has it.
            source: Raw output of the model to learn from, of the same shape.
            target: Class codes, int64 ``[batch, *]``; -1 where not known.
            present: bool ``[batch]``, the rows that count; None where all do.
        """
        own, taught = (
            F.log_softmax(scores(self.kind, output) / self.temperature, dim=-1) for output in (student, source.detach())
        )
        divergence = F.kl_div(own, taught, reduction="none", log_target=True).sum(-1).flatten(1)
        known = (target >= 0).flatten(1)
        value = torch.where(known, divergence, 0.0).sum(1) / known.sum(1).clamp(min=1) * self.temperature**2
        there = known.any(1)
        return Loss(value, there if present is None else there & present)

    def counted(self, *inputs: Tensor | None, present: Tensor | None = None) -> Tensor | None:
        """The rows with a position whose target is known."""
        there = (inputs[2] >= 0).flatten(1).any(1) if inputs[2] is not None else None
        return present if there is None else there if present is None else there & present
