"""The rows of a task that count, in every form that a metric may read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import torch.nn.functional as F

from jumpml.core import TASK_KINDS, EvaluationError
from jumpml.evaluate._positions import Positions
from jumpml.graph import decide, probabilities, scores

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.evaluate._predictions import Predicted, Predictions


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Rows that have a target.

    Attributes:
        kind: The task's kind.
        target: Class codes int64 ``[rows]``; for multilabel 0 and 1, int64 ``[rows, classes]``; for regression float32
            ``[rows]`` or ``[rows, elements]``.
        logits: ``[rows, classes]`` for multiclass and multilabel, ``[rows]`` for binary; for regression the prediction.
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
            EvaluationError: No row has a target, an output is not finite, or a target of yes and no is neither 0 nor 1.
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
        if TASK_KINDS[kind].decides == "numbers":
            target = _vectors(target)
            numbers = output.reshape(target.shape)
            return cls(kind=kind, target=target, logits=numbers, probabilities=numbers, decided=numbers)
        return cls(
            kind=kind,
            target=_zero_or_one(kind, target) if TASK_KINDS[kind].prediction == "sigmoid" else target,
            logits=scores(kind, output),
            probabilities=probabilities(kind, output),
            decided=decide(kind, output),
        )

    def __len__(self) -> int:
        return len(self.target)

    @property
    def size(self) -> int:
        """How many numbers the figures of a resample are computed from."""
        return self.logits.numel()

    @property
    def decides(self) -> str:
        """``class``, ``labels`` or ``numbers``."""
        return TASK_KINDS[self.kind].decides

    @property
    def num_classes(self) -> int:
        """Of the task; 0 where numbers are predicted."""
        if self.decides == "numbers":
            return 0
        return 2 if TASK_KINDS[self.kind].one_logit else self.logits.shape[-1]

    @property
    def class_counts(self) -> Tensor:
        """Rows of each class, int64 ``[classes]``; a row of a multilabel task may be of several, or of none."""
        return self.target.sum(0) if self.decides == "labels" else self.target.bincount(minlength=self.num_classes)

    @property
    def right(self) -> Tensor:
        """Which rows are decided rightly, bool ``[rows]``; of several labels, those with no label wrong."""
        right = self.decided == self.target
        return right.all(1) if self.decides == "labels" else right

    def rankings(self) -> tuple[Tensor, Tensor]:
        """Scores and truths of each class against the rest, without the classes that no row or every row is of.

        Returns:
            Probabilities, and int64 0 and 1; ``[rows, rankings]`` each. One of two classes is ranked once.
        """
        if self.probabilities.dim() == 2 and self.decides == "class":
            scores, truths = self.probabilities, F.one_hot(self.target, self.num_classes)
        else:
            scores, truths = (values.reshape(len(self), -1) for values in (self.probabilities, self.target))
        both = (truths.amin(0) == 0) & (truths.amax(0) == 1)
        return scores[:, both], truths[:, both]

    def take(self, rows: Tensor) -> Sample:
        """Some of the rows, in the order given, as often as given."""
        return replace(
            self,
            target=self.target[rows],
            logits=self.logits[rows],
            probabilities=self.probabilities[rows],
            decided=self.decided[rows],
        )


AnySample: TypeAlias = Sample | Positions


def sample_of(kind: str, predictions: Predicted) -> AnySample:
    """The rows of a task that count.

    Raises:
        EvaluationError: See `Sample.of` and `Positions.known`.
    """
    return predictions.known() if isinstance(predictions, Positions) else Sample.of(kind, predictions)


def _vectors(x: Tensor) -> Tensor:
    x = x.flatten(1) if x.dim() > 1 else x
    return x.squeeze(1) if x.dim() == 2 and x.shape[1] == 1 else x


def _zero_or_one(kind: str, target: Tensor) -> Tensor:
    several = TASK_KINDS[kind].decides == "labels"
    target = target if several else target.flatten()
    wrong = (target != 0) & (target != 1)
    if wrong.any():
        rows = int((wrong.any(1) if several else wrong).sum())
        raise EvaluationError(
            f"a {kind} target is 0 or 1; {rows} of {len(target)} rows are not, such as {target[wrong][0]:g}."
        )
    return target.long()
