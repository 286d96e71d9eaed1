"""The rows of a task that count, in every form that a metric may read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jumpml.core import EvaluationError
from jumpml.graph import decide, probabilities, scores

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.evaluate._predictions import Predictions


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Rows that have a target.

    Attributes:
        kind: The task's kind.
        target: Class codes int64 ``[rows]``; for regression float32 ``[rows]`` or ``[rows, elements]``.
        logits: ``[rows, classes]`` for multiclass, ``[rows]`` for binary; for regression the prediction.
        probabilities: Of ``logits``' shape; for regression the prediction.
        decided: Of the target's shape and type.
    """

    kind: str
    target: Tensor
    logits: Tensor
    probabilities: Tensor
    decided: Tensor

    @classmethod
    def of(cls, kind: str, predictions: Predictions) -> Sample:
        """The rows that count.

        Raises:
            EvaluationError: No row has a target, an output is not finite, or a binary target is neither 0 nor 1.
        """
        if not predictions.present.any():
            raise EvaluationError("no row of the split has a target: there is nothing to measure.")
        output, target = predictions.output[predictions.present], predictions.target[predictions.present]
        wrong = (
            int((~output.flatten(1).isfinite()).any(1).sum()) if output.dim() > 1 else int((~output.isfinite()).sum())
        )
        if wrong:
            fix = "Look at the losses: training may have diverged."
            raise EvaluationError(f"the model's output is NaN or infinite in {wrong} of {len(output)} rows. {fix}")
        if kind == "regression":
            target = _vectors(target)
            numbers = output.reshape(target.shape)
            return cls(kind=kind, target=target, logits=numbers, probabilities=numbers, decided=numbers)
        return cls(
            kind=kind,
            target=_binary(target) if kind == "binary" else target,
            logits=scores(kind, output),
            probabilities=probabilities(kind, output),
            decided=decide(kind, output),
        )

    def __len__(self) -> int:
        return len(self.target)

    @property
    def num_classes(self) -> int:
        """Of the task; 0 for regression."""
        return {"multiclass": self.logits.shape[-1], "binary": 2, "regression": 0}[self.kind]

    @property
    def class_counts(self) -> Tensor:
        """Rows by true class, int64 ``[classes]``."""
        return self.target.bincount(minlength=self.num_classes)

    def take(self, rows: Tensor) -> Sample:
        """Some of the rows, in the order given, as often as given."""
        return replace(
            self,
            target=self.target[rows],
            logits=self.logits[rows],
            probabilities=self.probabilities[rows],
            decided=self.decided[rows],
        )


def _vectors(x: Tensor) -> Tensor:
    x = x.flatten(1) if x.dim() > 1 else x
    return x.squeeze(1) if x.dim() == 2 and x.shape[1] == 1 else x


def _binary(target: Tensor) -> Tensor:
    target = target.flatten()
    wrong = target[(target != 0) & (target != 1)]
    if len(wrong):
        raise EvaluationError(
            f"a binary target is 0 or 1; {len(wrong)} of {len(target)} rows are not, such as {wrong[0]:g}."
        )
    return target.long()
