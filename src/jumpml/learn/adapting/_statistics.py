"""Normalization by the statistics of the rows that come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import torch

from jumpml.core import LearnerError
from jumpml.learn.adapting._method import AdaptationMethod
from jumpml.learn.adapting._normalization import Normalizer, foreign_rows, norms_of
from jumpml.learn.steps._window import rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from jumpml.graph import Model


@final
class BatchStatistics(AdaptationMethod):
    """Let batch normalization use the means and variances of the rows that come; no weight moves.

    Schneider et al. 2020, https://arxiv.org/abs/2006.16971; Nado et al. 2020, https://arxiv.org/abs/2006.10963. Where
    rows come with other brightness, contrast or noise than those of training, much of that is taken away. Batches must
    hold rows of many classes: what the rows have in common is taken away with the rest.

    Args:
        prior: So many rows the statistics of training count as; with 0 they do not count. Schneider et al. have 16 for
            small batches.
        memory: So many rows at most what was seen before a batch counts as; all of it where None. What has only
            0 goes by each batch alone.

    Raises:
        LearnerError: A number is below 0.

    Example:
        >>> BatchStatistics(prior=16).prior
        16
    """

    name = "statistics"
    normalizes = True

    def __init__(self, *, prior: float = 0.0, memory: float | None = None) -> None:
        for what, value in (("prior", prior), ("memory", memory or 0.0)):
            if value < 0:
                raise LearnerError(f"statistics: expected {what} of 0 or more, got {value:g}.")
        self.prior, self.memory = prior, memory

    def problem(self, model: Model) -> str:
        """That no layer normalizes by statistics."""
        if norms_of(model):
            return foreign_rows(model)
        return (
            "the model has no batch normalization, whose statistics these are. Layer and group "
            "normalization have none: adapt by ttt, or by entropy."
        )

    def begin(self, model: Model) -> None:
        """Take a model."""
        self._model = model
        self._normalizer = Normalizer(model, prior=self.prior, memory=self.memory)
        self.moved = self._normalizer.moved

    @torch.no_grad()
    def adapt(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Take in a batch's statistics, and give its outputs by all that were taken in."""
        with self._normalizer.batch(rows_of(batch)):
            return self._model(batch)

    @torch.no_grad()
    def outputs(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The outputs of rows that are normalized by their own statistics."""
        with self._normalizer.batch(rows_of(batch), keep=False):
            return self._model(batch)

    def restart(self) -> None:
        """Forget the rows that were seen."""
        self._normalizer.restart()

    def state_dict(self) -> dict[str, Any]:
        """How many rows were seen."""
        return {"seen": self._normalizer.seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._normalizer.seen = state["seen"]
