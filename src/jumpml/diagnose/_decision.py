"""One task's decision as a function of its inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from jumpml.core import TASK_KINDS
from jumpml.graph import decide, probabilities, scores

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.graph import Plan


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A task's output, and how strongly it stands for a decision once that is made.

    Attributes:
        kind: The task's kind.
        output: The node.
        plan: Computes the node.
        inputs: The fields that it reads, in the order in which the methods take their values.
        quantiles: The task's.
    """

    kind: str
    output: str
    plan: Plan
    inputs: tuple[str, ...]
    quantiles: tuple[float, ...] = ()

    def decide(self, *values: Tensor) -> Tensor:
        """What is decided of each row, as `graph.decide` gives it."""
        return decide(self.kind, self._output(values), self.quantiles)

    def score(self, codes: Tensor, *values: Tensor) -> Tensor:
        """The logit of each row's decided class, ``[n]``; for regression the mean of the row's outputs.

        Of several labels it is the mean over those that were decided; where none was, minus the largest logit. Where
        positions are decided it is the mean over all of them.

        Args:
            codes: What was decided; for regression it is not read.
            values: Of the inputs.
        """
        output = self._output(values)
        if TASK_KINDS[self.kind].decides == "numbers":
            return decide(self.kind, output, self.quantiles).reshape(len(output), -1).mean(1)
        logits = scores(self.kind, output)
        return self._decided(codes, logits, -logits)

    def probability(self, codes: Tensor, *values: Tensor) -> Tensor:
        """The probability of each row's decided class, ``[n]``.

        Of several labels it is the mean over those that were decided; where none was, that of not having the likeliest.
        """
        chances = probabilities(self.kind, self._output(values))
        return self._decided(codes, chances, 1 - chances)

    def _decided(self, codes: Tensor, for_it: Tensor, against: Tensor) -> Tensor:
        """What speaks for the decision, of what speaks for and against each class."""
        if TASK_KINDS[self.kind].one_logit:
            return torch.where(codes > 0, for_it, against)
        if TASK_KINDS[self.kind].decides == "labels":
            count = codes.sum(1)
            return torch.where(count > 0, (for_it * codes).sum(1) / count.clamp(min=1), against.amin(1))
        decided = for_it.gather(-1, codes.unsqueeze(-1)).squeeze(-1)
        return decided if decided.dim() == 1 else decided.flatten(1).mean(1)  # over a row's positions

    def _output(self, values: tuple[Tensor, ...]) -> Tensor:
        return self.plan(dict(zip(self.inputs, values, strict=True)))[self.output]
