"""The base of objectives that learn what the model itself decides, where it is sure enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from jumpml.core import Loss
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._precision import in_single
from jumpml.objectives._rows import mean_of_rows
from jumpml.objectives.semi_supervised._decisions import check_kind, check_output, decide, kind_in, losses

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo
    from jumpml.graph import IndexMap, Model


class WithThreshold(ObjectiveModule):
    """Learns a task's own decisions on rows whose likeliest answer is probable enough.

    A row that is not sure enough counts with a loss of 0, so that the mean is over all rows, as in the papers. The log
    has the share of those that are: ``confident/<objective>``, of labels where a task decides several.

    Args:
        inputs: The output, and what else a subclass reads.
        threshold: The probability from which on a decision is learned, between 0 and 1.
        kind: ``multiclass``, ``binary`` or ``multilabel``; that of the task whose output it is where None.
        others: As `ObjectiveModule` has them.

    Raises:
        ObjectiveError: The threshold is not between 0 and 1, or the kind decides otherwise.
    """

    follows_width = True
    tallies = ("told",)
    told: Tensor

    def __init__(self, inputs: str | Sequence[str], *, threshold: float, kind: str | None, **others: Any) -> None:
        super().__init__(inputs, **others)
        if not 0 < threshold < 1:
            raise self.error(f"expected a threshold between 0 and 1, got {threshold}.")
        check_kind(self, kind)
        self.threshold, self.kind = threshold, kind
        # what was sure, and of how many: since the log was last written, which a checkpoint comes after
        self.register_buffer("told", torch.zeros(2), persistent=False)

    def reach(self, fields: Sequence[str]) -> None:
        """Nothing of the fields that the output is computed from matters."""

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for logits that decide once a row."""
        super().connect(values, parameters)
        check_output(self, self.kind, values[0])

    def remember(self, model: Model) -> None:
        """See which task's output it reads.

        Raises:
            ObjectiveError: It is that of no task that decides classes or labels once a row.
        """
        self.kind = self.kind or kind_in(self, model)

    def outgrow(self, model: Model, index_map: IndexMap) -> None:
        """Nothing is kept that could grow."""

    def agreement(
        self, output: Tensor, decided: Tensor, present: Tensor | None, temperature: float | None = None
    ) -> Loss:
        """The loss of an output against what another, or the same, decides.

        Args:
            output: The logits that learn.
            decided: Those that decide; they get no gradient.
            present: bool ``[batch]``, the rows that count; None where all do.
            temperature: See `decide`.

        Raises:
            ObjectiveError: It is in no model, and was not told the kind.
        """
        if self.kind is None:
            raise self.error("give it kind='multiclass', 'binary' or 'multilabel' where it is no model's objective.")
        target, probable = decide(self.kind, in_single(decided.detach()), temperature)
        sure = probable >= self.threshold
        if self.training:
            self._tell(sure, present)
        value = torch.where(sure, losses(self.kind, in_single(output), target), 0.0)
        return Loss(mean_of_rows(value), present)

    @torch.no_grad()
    def _tell(self, sure: Tensor, present: Tensor | None) -> None:
        rows = sure.flatten(1).float().mean(1) if sure.ndim > 1 else sure.float()
        there = torch.ones_like(rows) if present is None else present.to(rows.dtype)
        self.told += torch.stack([(rows * there).sum(), there.sum()]).to(self.told.dtype)

    @torch.no_grad()
    def figures(self) -> Mapping[str, Tensor]:
        """The share of rows, or labels, that were sure enough in training, since it was last asked."""
        share = self.told[0] / self.told[1]
        self.told.zero_()
        return {"confident": share}
