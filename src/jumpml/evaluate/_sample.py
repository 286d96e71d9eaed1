"""The rows of a task that count, in every form that a metric may read."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import torch.nn.functional as F

from jumpml.core import TASK_KINDS, EvaluationError
from jumpml.evaluate._neighbours import find_neighbours
from jumpml.evaluate._positions import Positions
from jumpml.graph import decide, in_rising_order, probabilities, scores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from jumpml.core import FieldInfo
    from jumpml.evaluate._predictions import Predicted, Predictions


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Rows that have a target.

    Attributes:
        kind: The task's kind.
        target: Class codes int64 ``[rows]``; for multilabel 0 and 1, int64 ``[rows, classes]``; numbers float32
            ``[rows]`` or ``[rows, elements]``, NaN where one is missing.
        logits: ``[rows, classes]`` for multiclass, ordinal and multilabel, ``[rows]`` for binary; numbers the
            prediction, with quantiles ``[rows, elements, quantiles]`` in rising order; embeddings of length 1.
        probabilities: Of ``logits``' shape; numbers and embeddings as they are.
        decided: Of the target's shape and type; of embeddings the class of the nearest other row.
        quantiles: The levels that are predicted of each number; empty where it is one number each.
        field: The target; None where it is not known.
        aside: What else the kind's metrics read, a row each: see `Predictions`.
        past: Of a forecast, what comes before each row's target; None on resamples, whose metrics do not read it.
        block: How many neighbouring rows share what they show, as overlapping windows do; resamples keep them together.
    """

    kind: str
    target: Tensor
    logits: Tensor
    probabilities: Tensor
    decided: Tensor
    quantiles: tuple[float, ...] = ()
    field: FieldInfo | None = None
    aside: Mapping[str, Tensor] = dataclasses.field(default_factory=dict)
    past: Tensor | None = None
    block: int = 1

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
            return cls._of_numbers(kind, predictions, output, _vectors(target))
        if TASK_KINDS[kind].decides == "embedding":
            return cls._of_embeddings(kind, predictions, output, target)
        return cls(
            kind=kind,
            target=_zero_or_one(kind, target) if TASK_KINDS[kind].prediction == "sigmoid" else target,
            logits=scores(kind, output),
            probabilities=probabilities(kind, output),
            decided=decide(kind, output),
            field=predictions.field,
        )

    @classmethod
    def _of_embeddings(cls, kind: str, predictions: Predictions, output: Tensor, target: Tensor) -> Sample:
        """Each row is a query; what it finds among all others is found once, so that resamples are of queries."""
        if len(target) < 2:
            raise EvaluationError("one row of the split has a target: there is no other that it could find.")
        unit, aside = probabilities(kind, output), find_neighbours(output, target)
        nearest = aside.pop("nearest")
        return cls(
            kind=kind,
            target=target,
            logits=unit,
            probabilities=unit,
            decided=nearest,
            field=predictions.field,
            aside=aside,
        )

    @classmethod
    def _of_numbers(cls, kind: str, predictions: Predictions, output: Tensor, target: Tensor) -> Sample:
        quantiles = predictions.quantiles
        decided = decide(kind, output, quantiles).reshape(target.shape)
        numbers = in_rising_order(output, quantiles) if quantiles else decided
        return cls(
            kind=kind,
            target=target,
            logits=numbers,
            probabilities=numbers,
            decided=decided,
            quantiles=quantiles,
            field=predictions.field,
            aside={name: values[predictions.present] for name, values in predictions.aside.items() if name != "past"},
            past=predictions.aside["past"][predictions.present] if "past" in predictions.aside else None,
            block=predictions.block,
        )

    def __len__(self) -> int:
        return len(self.target)

    @property
    def size(self) -> int:
        """How many numbers the figures of a resample are computed from."""
        return self.logits.numel()

    @property
    def decides(self) -> str:
        """``class``, ``labels``, ``numbers`` or ``embedding``."""
        return TASK_KINDS[self.kind].decides

    @property
    def num_classes(self) -> int:
        """Of the task; 0 where numbers are predicted."""
        if self.decides == "numbers":
            return 0
        if self.decides == "embedding":
            return len(self.field.classes) if self.field else int(self.target.max()) + 1
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
            aside={name: values[rows] for name, values in self.aside.items()},
            past=None,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """What each element of a table of targets is; empty where they have no names."""
        return tuple(column.name for column in self.field.columns) if self.field else ()

    def elements(self, values: Tensor) -> Tensor:
        """Values of the target's shape as float64 ``[rows, elements]``."""
        return values.double().reshape(len(self), -1)

    def errors(self) -> Tensor:
        """What the decisions are off, float64 ``[rows, elements]``; NaN where the target is missing."""
        return self.elements(self.decided) - self.elements(self.target)


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
