"""The metrics that a file can name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from jumpml.core import WITH_HISTORY, WITH_QUANTILES, EvaluationError, did_you_mean
from jumpml.evaluate._metric import UndefinedError
from jumpml.evaluate._neighbours import found_among, mean_average_precision
from jumpml.evaluate._numbers import (
    absolute_error,
    covered,
    determination,
    peak_ratio,
    pinball,
    scaled_error,
    seasonal_skill,
    skill,
    squared_error,
    width,
)
from jumpml.evaluate._positions import Positions
from jumpml.evaluate._ranking import auroc, average_precision

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from jumpml.core import FieldInfo, Task
    from jumpml.evaluate._sample import AnySample, Sample

CLASSES = ("multiclass", "binary", "ordinal")
LABELS = ("multilabel",)
TOKENS = ("token_labelling", "language_modelling")
POSITIONS = ("segmentation", *TOKENS)
NUMBERS = ("regression", "forecasting", "reconstruction")


@dataclass(frozen=True, kw_only=True)
class Proportion:
    """A share of rows: so many hits of so many trials, which has a Wilson interval."""

    name: str
    kinds: tuple[str, ...]
    counts: Callable[[Any], tuple[Tensor, Tensor]]
    higher_is_better: bool | None = True
    resamples: int | None = None

    def hits(self, sample: AnySample) -> tuple[int, int]:
        """Hits and trials.

        Raises:
            UndefinedError: There are no trials.
        """
        hits, trials = (int(count) for count in self.counts(sample))
        if not trials:
            raise UndefinedError("it is a share of rows of which there are none")
        return hits, trials

    def independent(self, sample: AnySample) -> bool:
        """Whether trials tell nothing of each other: of several in a row, or of neighbouring windows, they do."""
        return sample.block == 1 and int(self.counts(sample)[1]) <= len(sample)

    def compute(self, sample: AnySample) -> dict[str, float]:
        """The share."""
        hits, trials = self.hits(sample)
        return {self.name: hits / trials}


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """Any other figure, which has a bootstrap interval; one that `reflects` is raised by repeated rows alone.

    Attributes:
        each: Where outputs have names, the figure of each.
    """

    name: str
    kinds: tuple[str, ...]
    value: Callable[[Any], Tensor]
    higher_is_better: bool | None = True
    resamples: int | None = None
    reflects: bool = False
    each: Callable[[Sample], Tensor] | None = None

    def compute(self, sample: AnySample) -> dict[str, float]:
        """The figure, and that of each named output that has one."""
        found = {self.name: float(self.value(sample))}
        if self.each is None or isinstance(sample, Positions) or not sample.names:
            return found
        own = zip(sample.names, self.each(sample).tolist(), strict=True)
        return found | {f"{self.name}.{name}": value for name, value in own if not math.isnan(value)}


def _hits(given: Tensor, hit: Tensor) -> tuple[Tensor, Tensor]:
    return (given & hit).sum(), given.sum()


def _accuracy(s: Sample) -> tuple[Tensor, Tensor]:
    return s.right.sum(), torch.tensor(len(s))


def _balanced_accuracy(s: Sample) -> Tensor:
    from torchmetrics.functional.classification import multiclass_recall

    recall = multiclass_recall(s.decided, s.target, s.num_classes, average="none", validate_args=False)
    return recall[s.class_counts > 0].mean()


def _macro_f1(s: Sample | Positions) -> Tensor:
    if isinstance(s, Positions):
        return _dice(s)
    if s.decides == "labels":
        twice, marked = _f1_of_labels(s)
        return (twice[marked > 0] / marked[marked > 0]).mean()
    from torchmetrics.functional.classification import multiclass_f1_score

    return multiclass_f1_score(s.decided, s.target, s.num_classes, average="macro", validate_args=False)


def _micro_f1(s: Sample) -> Tensor:
    twice, marked = _f1_of_labels(s)
    return twice.sum() / marked.sum()


def _f1_of_labels(s: Sample) -> tuple[Tensor, Tensor]:
    """An F1 score's numerator and denominator of each label; one without a row and without a decision has no score."""
    twice, marked = 2 * (s.decided & s.target).sum(0), (s.decided + s.target).sum(0)
    if not marked.any():
        raise UndefinedError("no row has a label and none was given one")
    return twice.double(), marked.double()


def _f1(s: Sample) -> Tensor:
    from torchmetrics.functional.classification import binary_f1_score

    if not (s.decided.any() or s.target.any()):
        raise UndefinedError("no row is positive and none was taken for positive")
    return binary_f1_score(s.decided, s.target, validate_args=False)


def _matthews(s: Sample) -> Tensor:
    from torchmetrics.functional.classification import multiclass_matthews_corrcoef

    return multiclass_matthews_corrcoef(s.decided, s.target, s.num_classes, validate_args=False)


def _kappa(s: Sample) -> Tensor:
    from torchmetrics.functional.classification import multiclass_cohen_kappa

    _several_classes(s)
    return multiclass_cohen_kappa(s.decided, s.target, s.num_classes, validate_args=False)


def _auroc(s: Sample) -> Tensor:
    return auroc(*_rankings(s)).mean()


def _average_precision(s: Sample) -> Tensor:
    return average_precision(*_rankings(s)).mean()


def _rankings(s: Sample) -> tuple[Tensor, Tensor]:
    if s.decides != "labels":
        _several_classes(s)
    scores, truths = s.rankings()
    if not truths.shape[1]:
        raise UndefinedError("each label is in all rows or in none")
    return scores, truths


def _several_classes(s: Sample) -> None:
    if (s.class_counts > 0).sum() < 2:
        raise UndefinedError("all rows are of one class")


def _log_loss(s: Sample | Positions) -> Tensor:
    if isinstance(s, Positions):
        return s.mean_loss()
    logits = s.logits.double()  # a probability in float32 would round to 0 where the logit still says how wrong it is
    if s.logits.dim() == 2 and s.decides == "class":
        return F.cross_entropy(logits, s.target)
    return F.binary_cross_entropy_with_logits(logits, s.target.double())


def _brier(s: Sample) -> Tensor:
    probabilities = s.probabilities.double()
    if s.probabilities.dim() == 2 and s.decides == "class":
        return (probabilities - F.one_hot(s.target, s.num_classes)).square().sum(1).mean()
    return (probabilities - s.target).square().mean()


def _quadratic_kappa(s: Sample) -> Tensor:
    from torchmetrics.functional.classification import multiclass_cohen_kappa

    _several_classes(s)
    return multiclass_cohen_kappa(s.decided, s.target, s.num_classes, weights="quadratic", validate_args=False)


def _dice(s: Positions) -> Tensor:
    right, true, given = s.totals
    there = true + given > 0  # a class of no position that none was taken for has no score
    return (2 * right[there] / (true + given)[there]).mean()


def _mean_iou(s: Positions) -> Tensor:
    right, true, given = s.totals
    union = true + given - right
    return (right[union > 0] / union[union > 0]).mean()


_ALL: tuple[Proportion | Statistic, ...] = (
    Proportion(name="accuracy", kinds=CLASSES, counts=_accuracy),
    Statistic(name="balanced_accuracy", kinds=CLASSES, value=_balanced_accuracy),
    Statistic(name="micro_f1", kinds=LABELS, value=_micro_f1),
    Statistic(name="macro_f1", kinds=(*CLASSES, *LABELS, "token_labelling"), value=_macro_f1),
    Statistic(name="f1", kinds=("binary",), value=_f1),
    Proportion(name="precision", kinds=("binary",), counts=lambda s: _hits(s.decided == 1, s.target == 1)),
    Proportion(name="recall", kinds=("binary",), counts=lambda s: _hits(s.target == 1, s.decided == 1)),
    Proportion(name="specificity", kinds=("binary",), counts=lambda s: _hits(s.target == 0, s.decided == 0)),
    Statistic(name="auroc", kinds=(*CLASSES, *LABELS), value=_auroc),
    Statistic(name="average_precision", kinds=(*CLASSES, *LABELS), value=_average_precision, reflects=True),
    Statistic(name="matthews", kinds=CLASSES, value=_matthews),
    Statistic(name="cohen_kappa", kinds=CLASSES, value=_kappa),
    Statistic(name="log_loss", kinds=(*CLASSES, *LABELS, *POSITIONS), value=_log_loss, higher_is_better=False),
    Statistic(name="brier", kinds=(*CLASSES, *LABELS), value=_brier, higher_is_better=False),
    Proportion(name="subset_accuracy", kinds=LABELS, counts=_accuracy),
    # of decisions, which in one row depend on each other: its interval comes from resamples of rows
    Statistic(
        name="hamming_loss",
        kinds=LABELS,
        value=lambda s: (s.decided != s.target).double().mean(),
        higher_is_better=False,
    ),
    Statistic(name="quadratic_kappa", kinds=("ordinal",), value=_quadratic_kappa),
    Statistic(
        name="rmse",
        kinds=NUMBERS,
        value=lambda s: squared_error(s, each=False).sqrt(),
        each=lambda s: squared_error(s, each=True).sqrt(),
        higher_is_better=False,
    ),
    Statistic(
        name="mse",
        kinds=NUMBERS,
        value=partial(squared_error, each=False),
        each=partial(squared_error, each=True),
        higher_is_better=False,
    ),
    Statistic(
        name="mae",
        kinds=(*NUMBERS, "ordinal"),
        value=partial(absolute_error, each=False),
        each=partial(absolute_error, each=True),
        higher_is_better=False,
    ),
    Statistic(
        name="r2", kinds=NUMBERS, value=partial(determination, each=False), each=partial(determination, each=True)
    ),
    Statistic(name="mase", kinds=WITH_HISTORY, value=scaled_error, higher_is_better=False),
    Statistic(name="skill", kinds=WITH_HISTORY, value=partial(skill, baseline="last")),
    Statistic(name="seasonal_skill", kinds=WITH_HISTORY, value=seasonal_skill),
    Statistic(name="psnr", kinds=("reconstruction",), value=peak_ratio),
    Proportion(name="recall_at_1", kinds=("retrieval",), counts=partial(found_among, count=1)),
    Proportion(name="recall_at_5", kinds=("retrieval",), counts=partial(found_among, count=5)),
    Statistic(name="mean_average_precision", kinds=("retrieval",), value=mean_average_precision),
    Statistic(name="pinball", kinds=WITH_QUANTILES, value=pinball, higher_is_better=False),
    Proportion(name="coverage", kinds=WITH_QUANTILES, counts=covered, higher_is_better=None),
    Statistic(name="width", kinds=WITH_QUANTILES, value=width, higher_is_better=False),
    # positions of one row depend on each other: the intervals come from resamples of rows
    Statistic(name="mean_iou", kinds=("segmentation",), value=_mean_iou),
    Statistic(name="dice", kinds=("segmentation",), value=_dice),
    Statistic(name="pixel_accuracy", kinds=("segmentation",), value=Positions.accuracy),
    Statistic(name="token_accuracy", kinds=TOKENS, value=Positions.accuracy),
    Statistic(
        name="perplexity",
        kinds=("language_modelling",),
        value=lambda s: s.mean_loss().exp(),
        higher_is_better=False,
    ),
    Statistic(
        name="bits_per_token",
        kinds=("language_modelling",),
        value=lambda s: s.mean_loss() / math.log(2),
        higher_is_better=False,
    ),
)
NAMED: Mapping[str, Proportion | Statistic] = {entry.name: entry for entry in _ALL}


def metric_names(kind: str) -> tuple[str, ...]:
    """The metrics that a task of a kind can name.

    Args:
        kind: One of `jumpml.core.TASK_KINDS`.

    Example:
        >>> metric_names("reconstruction")
        ('rmse', 'mse', 'mae', 'r2', 'psnr')
    """
    return tuple(name for name, entry in NAMED.items() if kind in entry.kinds)


def own_metrics(task: Task, field: FieldInfo | None) -> tuple[str, ...]:
    """The metrics that a task names, or its kind's own.

    Args:
        task: The task.
        field: Its target, where it is known: only a picture has a peak that noise could be measured against.
    """
    if task.metrics is not None:
        return task.metrics
    picture = field is None or field.kind == "image"
    return tuple(metric for metric in task.brings.metrics if picture or metric != "psnr")


def figure_names(metric: str, field: FieldInfo | None) -> tuple[str, ...]:
    """The figures that a metric gives: itself, and one an output that has a name, as ``rmse.mass``.

    Args:
        metric: Its name.
        field: The task's target, where it is known.

    Example:
        >>> figure_names("rmse", None)
        ('rmse',)
    """
    entry = NAMED.get(metric)
    each = field.columns if field and isinstance(entry, Statistic) and entry.each else ()
    return (metric, *(f"{metric}.{column.name}" for column in each))


def higher_is_better(name: str) -> bool | None:
    """Whether more of a figure is better.

    Args:
        name: A metric that a file can name, or ``loss``.

    Returns:
        None where the name is not known.

    Example:
        >>> higher_is_better("accuracy"), higher_is_better("loss"), higher_is_better("my_metric")
        (True, False, None)
    """
    if name == "loss":
        return False
    metric = NAMED.get(name.partition(".")[0])  # of a named output, mae.mass
    return metric.higher_is_better if metric else None


def named(kind: str, name: str) -> Proportion | Statistic:
    """The metric of a name.

    Raises:
        EvaluationError: There is none, or none for this kind of task.
    """
    known = metric_names(kind)
    if name in known:
        return NAMED[name]
    if name in NAMED:
        *others, last = NAMED[name].kinds
        kinds, fits = f"{', '.join(others)} and {last}" if others else last, ", ".join(known)
        raise EvaluationError(f"the metric {name!r} is for {kinds} tasks; a {kind} task has: {fits}.")
    raise EvaluationError(f"there is no metric {name!r} for {kind} tasks. {did_you_mean(name, known)}")
