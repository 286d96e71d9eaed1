"""Sequences of labels that nobody has aligned with the steps, one loss a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F

from jumpml.core import Loss
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._rows import filled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight


@final
class CTC(ObjectiveModule):
    """Connectionist temporal classification: every alignment of a sequence with the steps counts.

    The negative log-likelihood of the sequence (Graves et al. 2006, https://doi.org/10.1145/1143844.1143891), over its
    length. A sequence that no alignment has room for adds 0.

    Args:
        inputs: Logits ``[batch, steps, codes]`` and the sequence ``[batch, length]``, int64.
        blank: The code between labels; it also pads sequences that are shorter, and so is no label.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: The blank is below 0.

    Example:
        >>> objective = CTC(("frames", "phonemes"))
        >>> objective(torch.zeros(1, 2, 3), torch.tensor([[1, 0]])).value  # three of the nine paths say 1: -ln(3 / 9)
        tensor([1.0986])
    """

    roles = ("logits", "sequence")

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        blank: int = 0,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)
        if blank < 0:
            raise self.error(f"expected blank as a code of 0 or more, got {blank}.")
        self.blank = blank

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for logits at every step, and steps enough."""
        logits, sequence = values
        if logits and (len(logits.shape) != 2 or logits.shape[1] <= self.blank or logits.dtype != "float32"):
            fix = f"The blank is code {self.blank}; give the last axis one place a code."
            raise self.wrong_shape(0, "[batch, steps, codes] float32", logits, fix)
        if sequence and (len(sequence.shape) != 1 or sequence.dtype != "int64"):
            raise self.wrong_shape(1, "codes [batch, length] int64", sequence, "Use a text without features.")
        if logits and sequence and (sequence.classes or 0) > logits.shape[1]:
            raise self.wrong_shape(0, f"{sequence.classes} codes, as {self.inputs[1]!r} has", logits, "Make it wider.")
        if logits and sequence and logits.shape[0] < sequence.shape[0]:
            fix = "Give the network more steps, or shorten the sequences."
            raise self.wrong_shape(0, f"at least {sequence.shape[0]} steps, one a label", logits, fix)

    def forward(self, logits: Tensor, sequence: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row.

        Args:
            logits: ``[batch, steps, codes]``.
            sequence: int64 ``[batch, length]``, labels and then the blank.
            present: bool ``[batch]``, the rows that count; None where all do.
        """
        if present is not None:
            logits, sequence = filled(logits, present), torch.where(present[:, None], sequence, self.blank)
        steps = torch.full((len(logits),), logits.shape[1], device=logits.device)
        lengths = (sequence != self.blank).sum(1)
        paths = F.log_softmax(logits, dim=2).transpose(0, 1)
        value = F.ctc_loss(paths, sequence, steps, lengths, self.blank, reduction="none", zero_infinity=True)
        return Loss(value / lengths.clamp(min=1), present)
