"""Two models on the same rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from jumpml.core import EvaluationError, Figure, did_you_mean
from jumpml.evaluate._draws import Draws
from jumpml.evaluate._intervals import num_resamples, paired, percentiles, resamples
from jumpml.evaluate._measure import draw, first, resolve
from jumpml.evaluate._metric import FEWEST, Metric, UndefinedError
from jumpml.evaluate._named import Proportion
from jumpml.evaluate._sample import AnySample, sample_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jumpml.evaluate._predictions import Predicted

SHARES = ("accuracy", "subset_accuracy", "recall_at_1")  # of the rows that count, those that are decided rightly


def compare(kind: str, metrics: Sequence[Any], name: str, before: Predicted, after: Predicted) -> Figure:
    """How much a figure changes from one model's predictions to another's, on the same rows.

    The interval of ``accuracy``, ``subset_accuracy`` and ``recall_at_1`` is Agresti's and Min's for paired proportions,
    which has a width even where no row changes. That of every other figure is the paired bootstrap's (Efron and
    Tibshirani 1993, An Introduction to the Bootstrap): both are measured on the same resamples of rows, so that what is
    hard for both cancels.

    Args:
        kind: The task's kind.
        metrics: Names, `torchmetrics` objects or functions; `name` is a figure of one of them.
        name: The figure, such as ``accuracy``.
        before: Of the one model.
        after: Of the other, in the same order of rows.

    Returns:
        ``after`` less ``before``.

    Raises:
        EvaluationError: There is no such figure, it has no value on these rows or on too few resamples of them, or the
            rows are not the same.

    Example:
        >>> import torch
        >>> from jumpml.evaluate import Predictions
        >>> target, present = torch.tensor([0, 1] * 50), torch.ones(100, dtype=torch.bool)
        >>> right = Predictions(output=torch.eye(2)[target], target=target, present=present)
        >>> wrong = Predictions(output=torch.eye(2)[1 - target], target=target, present=present)
        >>> compare("multiclass", ["accuracy"], "accuracy", right, wrong).value
        -1.0
    """
    entries = resolve(kind, metrics)
    entry = next((e for e in entries if name == e.name or name.startswith(f"{e.name}.")), None)
    if entry is None:
        raise EvaluationError(f"there is no figure {name!r}. {did_you_mean(name, [e.name for e in entries])}")
    samples = sample_of(kind, before), sample_of(kind, after)
    rows = len(samples[0])
    if len(samples[1]) != rows:
        raise EvaluationError(f"expected predictions of the same rows, got {rows} and {len(samples[1])} with a target.")
    try:
        value = _change(entry, name, *samples)
    except UndefinedError as reason:
        raise EvaluationError(f"{name!r} has no value on these rows: {reason}.") from None
    if name in SHARES and isinstance(entry, Proportion):
        right = [sample.right for sample in samples]  # of rows: no task that decides at positions has these
        _, count = entry.hits(samples[0])
        low, high = paired(int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum()), count)
        return Figure(value=value, low=low, high=high, n=count)
    number = entry.resamples or num_resamples(samples[0].size)
    taken = resamples(rows, number, samples[0].block)
    counts = Draws.of(taken)
    old, new = (draw(entry, sample, taken, counts)[name] for sample in samples)
    draws = [change for change in (new - old).tolist() if math.isfinite(change)]  # a resample may lack a class
    if len(draws) < FEWEST:
        raise EvaluationError(f"{name!r} has a value on too few resamples of the {rows} rows for an interval.")
    low, high = percentiles(draws)
    return Figure(value=value, low=low, high=high, n=rows)


def _change(entry: Metric, name: str, before: AnySample, after: AnySample) -> float:
    values = first(entry, before), first(entry, after)
    if not all(name in value for value in values):
        raise UndefinedError(f"the metric gave {', '.join(values[0])}")
    return values[1][name] - values[0][name]
