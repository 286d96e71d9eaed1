"""Learning another model's outputs, one loss a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch.nn.functional as F

from jumpml.core import TASK_KINDS, Loss, did_you_mean
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._rows import filled, mean_of_rows, same_rows, shaped_like
from jumpml.objectives._temperature import checked_temperature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight


@final
class Distillation(ObjectiveModule):
    """How far a student's output is from a source model's, by the task's kind.

    For classes it is the Kullback-Leibler divergence from the source's distribution to the student's, both with logits
    over the temperature T, times T squared so that gradients keep their size (Hinton et al. 2015,
    https://arxiv.org/abs/1503.02531). For numbers it is the squared difference, and for embeddings one minus the cosine
    of the angle between them; neither has a temperature. The source gets no gradient.

    Args:
        inputs: The student's raw output and the source's, of one shape.
        kind: One of `jumpml.core.TASK_KINDS`: softmax of ``[batch, classes]`` for ``multiclass``, sigmoid of each
            element for the other kinds of classes and labels.
        temperature: What the logits of both are divided by; above 0.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: The kind is unknown or the temperature is not above 0.

    Example:
        >>> import torch
        >>> objective = Distillation(("digit", "source_digit"), kind="multiclass", temperature=2.0)
        >>> objective(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0]])).value
        tensor([0.])
    """

    roles = ("student", "source")

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
        if kind not in TASK_KINDS:
            raise self.error(f"{kind!r} is no kind of task. {did_you_mean(kind, TASK_KINDS)}")
        self.kind, self.temperature = kind, checked_temperature(self, temperature)

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for equal shapes, and for classes where the kind has them."""
        super().connect(values, parameters)
        student, source = values
        if student and source and not (same_rows(student.shape, source.shape) and student.dtype == "float32"):
            fix = "Give both models the same output."
            raise self.wrong_shape(0, f"{source} like {self.inputs[1]!r}", student, fix)
        if (
            student
            and TASK_KINDS[self.kind].prediction == "softmax"
            and (len(student.shape) != 1 or student.shape[0] < 2)
        ):
            fix = "For a single logit take kind='binary'."
            raise self.wrong_shape(0, "[batch, classes] float32 with two classes or more", student, fix)

    def forward(self, student: Tensor, source: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row.

        Args:
            student: Raw output, ``[batch, *]``.
            source: Raw output of the model to learn from, of the same shape.
            present: bool ``[batch]``, the rows that count; None where all do. A table's rows of which single numbers
                are missing do not count.

        Raises:
            ObjectiveError: The two hold different numbers of elements.
        """
        present = self.whole_rows(present, student, source)
        source = filled(shaped_like(student, source, self.error).detach(), present)
        if TASK_KINDS[self.kind].decides == "numbers":
            return Loss(mean_of_rows(F.mse_loss(student, source, reduction="none")), present)
        if TASK_KINDS[self.kind].decides == "embedding":
            return Loss(1 - F.cosine_similarity(student, source), present)
        divergence = _softmax_divergence if TASK_KINDS[self.kind].prediction == "softmax" else _sigmoid_divergence
        value = divergence(student / self.temperature, source / self.temperature)
        return Loss(value * self.temperature**2, present)


def _softmax_divergence(student: Tensor, source: Tensor) -> Tensor:
    log_student, log_source = F.log_softmax(student, dim=1), F.log_softmax(source, dim=1)
    return F.kl_div(log_student, log_source, reduction="none", log_target=True).sum(1)


def _sigmoid_divergence(student: Tensor, source: Tensor) -> Tensor:
    yes = F.kl_div(F.logsigmoid(student), F.logsigmoid(source), reduction="none", log_target=True)
    no = F.kl_div(F.logsigmoid(-student), F.logsigmoid(-source), reduction="none", log_target=True)
    return mean_of_rows(yes + no)
