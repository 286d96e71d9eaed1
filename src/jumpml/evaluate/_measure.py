"""Metrics on a sample, each with its interval."""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from jumpml.core import EvaluationError, Figure
from jumpml.evaluate._draws import Draws
from jumpml.evaluate._intervals import BLOCKS, num_resamples, percentiles, reflected, resamples, wilson
from jumpml.evaluate._metric import FEWEST, FunctionMetric, Metric, ObjectMetric, UndefinedError, metric
from jumpml.evaluate._named import Proportion, Statistic, named
from jumpml.evaluate._sample import AnySample, sample_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from jumpml.evaluate._predictions import Predicted

HELD = 4_000_000  # numbers that are held at once where a figure of several resamples is computed


@dataclass(frozen=True)
class Measured:
    """What metrics gave.

    Attributes:
        figures: By name, in the order that was asked for.
        higher_is_better: Likewise.
        notes: What was left out, and why.
    """

    figures: dict[str, Figure] = field(default_factory=dict)
    higher_is_better: dict[str, bool | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def measure(kind: str, metrics: Sequence[Any], predictions: Predicted) -> dict[str, Figure]:
    """Measure predictions, wherever they come from.

    Args:
        kind: The task's kind.
        metrics: Names, `torchmetrics` objects, functions, or what `metric` returned.
        predictions: Raw outputs with their targets, or what was decided at each position.

    Returns:
        Figures by metric. One that has no value on these rows is left out.

    Raises:
        EvaluationError: A metric is unknown or fails, no row has a target, or an output is not finite.

    Example:
        >>> import torch
        >>> from jumpml.evaluate import Predictions
        >>> output, target = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]]), torch.tensor([0, 1, 1])
        >>> predictions = Predictions(output=output, target=target, present=torch.tensor([True, True, False]))
        >>> print(measure("multiclass", ["accuracy"], predictions)["accuracy"])
        1 [0.3424, 1]
    """
    return measure_sample(sample_of(kind, predictions), resolve(kind, metrics)).figures


def resolve(kind: str, metrics: Sequence[Any]) -> list[Metric]:
    """Bring all that may stand for a metric into one form.

    Raises:
        EvaluationError: One is unknown, is no metric, or has the name of another.
    """
    if isinstance(metrics, str) or not isinstance(metrics, Sequence):
        raise EvaluationError(f"expected a list of metrics, got {metrics!r}. Write it in brackets.")
    resolved = [_resolved(kind, entry) for entry in metrics]
    names = [entry.name for entry in resolved]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        fix = "metric(f, name=...) gives a function another, a MetricCollection torchmetrics objects."
        raise EvaluationError(f"two metrics have the name {twice!r}: {fix}")
    return resolved


def _resolved(kind: str, entry: Any) -> Metric:
    if isinstance(entry, str):
        return named(kind, entry)
    if isinstance(entry, FunctionMetric):
        return entry
    torchmetrics = sys.modules.get("torchmetrics")  # where it was never imported, nothing can be an object of it
    if torchmetrics and isinstance(entry, torchmetrics.Metric | torchmetrics.MetricCollection):
        return ObjectMetric(original=entry)
    return metric(entry)


def measure_sample(sample: AnySample, metrics: Sequence[Metric]) -> Measured:
    """Measure a sample.

    Raises:
        EvaluationError: A metric fails or returns no finite number.
    """
    measured = Measured()
    resampled: dict[Metric, dict[str, float]] = {}
    for entry in metrics:
        try:
            values = first(entry, sample)
        except UndefinedError as reason:
            measured.notes.append(f"{entry.name} is left out: {reason}.")
            continue
        measured.higher_is_better.update(dict.fromkeys(values, entry.higher_is_better))
        if isinstance(entry, Proportion) and entry.independent(sample):
            hits, trials = entry.hits(sample)
            low, high = wilson(hits, trials)
            measured.figures[entry.name] = Figure(value=hits / trials, low=low, high=high, n=trials)
        else:
            resampled[entry] = values
    if resampled and len(sample) < BLOCKS * sample.block and sample.block > 1:
        measured.notes.append(f"{len(sample)} rows that overlap tell little: the intervals are too narrow.")
    for entry, draws in _bootstrap(sample, resampled).items():
        _close(measured, entry, resampled[entry], draws, len(sample))
    return replace(measured, figures={name: measured.figures[name] for name in measured.higher_is_better})


def first(entry: Metric, sample: AnySample) -> dict[str, float]:
    """A metric's values on the sample itself.

    Raises:
        EvaluationError: It fails or returns no finite number.
        UndefinedError: It has no value on these rows.
    """
    try:
        values = entry.compute(sample)
    except (UndefinedError, EvaluationError):
        raise
    except Exception as error:
        raise EvaluationError(f"the metric {entry.name!r} failed: {type(error).__name__}: {error}") from error
    for name, value in values.items():
        if not math.isfinite(value):
            raise EvaluationError(f"the metric {name!r} returned {value}; expected a finite number.")
    return values


def _bootstrap(sample: AnySample, values: Mapping[Metric, Mapping[str, float]]) -> dict[Metric, dict[str, list[float]]]:
    """All metrics' values on the same resamples; those on which a metric has none are passed over."""
    counts = {entry: entry.resamples or num_resamples(sample.size) for entry in values}
    rows = resamples(len(sample), max(counts.values(), default=0), sample.block)
    draws = Draws.of(rows)
    drawn = {entry: draw(entry, sample, rows[:count], draws) for entry, count in counts.items()}
    return {
        entry: {name: given[name][given[name].isfinite()].tolist() for name in values[entry]}
        for entry, given in drawn.items()
    }


def draw(entry: Metric, sample: AnySample, rows: Tensor, draws: Draws) -> Mapping[str, Tensor]:
    """A metric's values on resamples.

    Args:
        entry: The metric. A named one has them all at once; a user's is called for each.
        sample: The rows.
        rows: The drawn ones, int64 ``[resamples, rows]``.
        draws: The same, as how often each is drawn.

    Returns:
        float64 ``[resamples]`` by figure; NaN on those where it has no value.
    """
    if isinstance(entry, Proportion | Statistic):
        parts = [entry.draw(sample, part) for part in draws.split(HELD // max(sample.size, 1))]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    found: defaultdict[str, Tensor] = defaultdict(lambda: torch.full((len(rows),), math.nan, dtype=torch.float64))
    for index, drawn in enumerate(rows):
        for name, value in _called(entry, sample.take(drawn)).items():
            found[name][index] = value
    return found


def _called(entry: Metric, drawn: AnySample) -> dict[str, float]:
    try:
        return entry.compute(drawn)
    except Exception:
        return {}  # it worked on the split itself; a resample may lack a class, which many functions refuse


def _close(
    measured: Measured, entry: Metric, values: Mapping[str, float], draws: Mapping[str, list[float]], rows: int
) -> None:
    for name, value in values.items():
        if len(draws[name]) < FEWEST:
            measured.higher_is_better.pop(name)
            measured.notes.append(f"{name} is left out: it has a value on too few resamples for an interval.")
            continue
        reflects = isinstance(entry, Statistic) and entry.reflects
        low, high = reflected(value, draws[name]) if reflects else percentiles(draws[name])
        measured.figures[name] = Figure(value=value, low=low, high=high, n=rows)
