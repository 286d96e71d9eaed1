"""The metrics that a file can name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from jumpml.core import WITH_HISTORY, WITH_QUANTILES, EvaluationError, did_you_mean
from jumpml.evaluate import _class_figures as figures
from jumpml.evaluate._draws import Draws
from jumpml.evaluate._embeddings import EMBEDDING_FIGURES
from jumpml.evaluate._metric import UndefinedError
from jumpml.evaluate._neighbours import found_among, mean_average_precision
from jumpml.evaluate._numbers import (
    absolute_error,
    covered,
    determination,
    peak_ratio,
    pinball,
    root_squared_error,
    scaled_error,
    seasonal_skill,
    skill,
    squared_error,
    width,
)
from jumpml.evaluate._positions import Positions

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
    """A share of rows: so many hits of so many trials, which has a Wilson interval.

    Attributes:
        counts: The hits and the trials of each row, ``[rows]`` each.
    """

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
        hits, trials = (int(count.sum()) for count in self.counts(sample))
        if not trials:
            raise UndefinedError("it is a share of rows of which there are none")
        return hits, trials

    def independent(self, sample: AnySample) -> bool:
        """Whether trials tell nothing of each other: of several in a row, or of neighbouring windows, they do."""
        return sample.block == 1 and int(self.counts(sample)[1].sum()) <= len(sample)

    def compute(self, sample: AnySample) -> dict[str, float]:
        """The share."""
        hits, trials = self.hits(sample)
        return {self.name: hits / trials}

    def draw(self, sample: AnySample, draws: Draws) -> dict[str, Tensor]:
        """The share on each resample, float64 ``[resamples]``."""
        hits, trials = (draws.sums(count) for count in self.counts(sample))
        return {self.name: hits / trials}


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """Any other figure, which has a bootstrap interval; one that `reflects` is raised by repeated rows alone.

    Attributes:
        value: The figure on each resample, float64 ``[resamples]``; NaN on those where it has none.
        each: Where outputs have names, the figure of each, ``[resamples, outputs]``.
    """

    name: str
    kinds: tuple[str, ...]
    value: Callable[[Any, Draws], Tensor]
    higher_is_better: bool | None = True
    resamples: int | None = None
    reflects: bool = False
    each: Callable[[Sample, Draws], Tensor] | None = None

    def compute(self, sample: AnySample) -> dict[str, float]:
        """The figure, and that of each named output that has one."""
        found = {name: float(value) for name, value in self.draw(sample, Draws.once(len(sample))).items()}
        return {name: value for name, value in found.items() if name == self.name or not math.isnan(value)}

    def draw(self, sample: AnySample, draws: Draws) -> dict[str, Tensor]:
        """The figure on each resample, and that of each named output."""
        found = {self.name: self.value(sample, draws)}
        if self.each is None or isinstance(sample, Positions) or not sample.names:
            return found
        own = zip(sample.names, self.each(sample, draws).unbind(1), strict=True)
        return found | {f"{self.name}.{name}": value for name, value in own}


_ALL: tuple[Proportion | Statistic, ...] = (
    Proportion(name="accuracy", kinds=CLASSES, counts=figures.accuracy),
    Statistic(name="balanced_accuracy", kinds=CLASSES, value=figures.balanced_accuracy),
    Statistic(name="micro_f1", kinds=LABELS, value=figures.micro_f1),
    Statistic(name="macro_f1", kinds=(*CLASSES, *LABELS, "token_labelling"), value=figures.macro_f1),
    Statistic(name="f1", kinds=("binary",), value=figures.f1),
    Proportion(name="precision", kinds=("binary",), counts=lambda s: figures.hits(s.decided == 1, s.target == 1)),
    Proportion(name="recall", kinds=("binary",), counts=lambda s: figures.hits(s.target == 1, s.decided == 1)),
    Proportion(name="specificity", kinds=("binary",), counts=lambda s: figures.hits(s.target == 0, s.decided == 0)),
    Statistic(name="auroc", kinds=(*CLASSES, *LABELS), value=figures.macro_auroc),
    Statistic(
        name="average_precision", kinds=(*CLASSES, *LABELS), value=figures.macro_average_precision, reflects=True
    ),
    Statistic(name="matthews", kinds=CLASSES, value=figures.matthews),
    Statistic(name="cohen_kappa", kinds=CLASSES, value=figures.kappa),
    Statistic(name="log_loss", kinds=(*CLASSES, *LABELS, *POSITIONS), value=figures.log_loss, higher_is_better=False),
    Statistic(name="brier", kinds=(*CLASSES, *LABELS), value=figures.brier, higher_is_better=False),
    Proportion(name="subset_accuracy", kinds=LABELS, counts=figures.accuracy),
    # of decisions, which in one row depend on each other: its interval comes from resamples of rows
    Statistic(
        name="hamming_loss",
        kinds=LABELS,
        value=figures.hamming_loss,
        higher_is_better=False,
    ),
    Statistic(name="quadratic_kappa", kinds=("ordinal",), value=figures.quadratic_kappa),
    Statistic(
        name="rmse",
        kinds=NUMBERS,
        value=partial(root_squared_error, each=False),
        each=partial(root_squared_error, each=True),
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
    Statistic(name="mean_iou", kinds=("segmentation",), value=figures.mean_iou),
    Statistic(name="dice", kinds=("segmentation",), value=figures.dice),
    Statistic(name="pixel_accuracy", kinds=("segmentation",), value=figures.position_accuracy),
    Statistic(name="token_accuracy", kinds=TOKENS, value=figures.position_accuracy),
    Statistic(
        name="perplexity",
        kinds=("language_modelling",),
        value=lambda s, draws: figures.log_loss(s, draws).exp(),
        higher_is_better=False,
    ),
    Statistic(
        name="bits_per_token",
        kinds=("language_modelling",),
        value=lambda s, draws: figures.log_loss(s, draws) / math.log(2),
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
        name: A metric that a file can name, a figure of embeddings, or ``loss``.

    Returns:
        None where the name is not known.

    Example:
        >>> higher_is_better("accuracy"), higher_is_better("loss"), higher_is_better("my_metric")
        (True, False, None)
    """
    if name == "loss":
        return False
    if name in EMBEDDING_FIGURES:
        return EMBEDDING_FIGURES[name]
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
