"""Figures of predicted numbers; an element that a row's target lacks does not count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.core import EvaluationError
from jumpml.evaluate._metric import UndefinedError

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.evaluate._sample import Sample

LEAST_ERROR = 1e-10  # a picture that is met exactly has 100 dB, and not infinitely many


def squared_error(s: Sample, *, each: bool) -> Tensor:
    """The mean squared error, of all elements or of each."""
    return _mean(s.errors().square(), each=each)


def absolute_error(s: Sample, *, each: bool) -> Tensor:
    """The mean absolute error, of all elements or of each; of classes in an order in ranks."""
    return _mean(s.errors().abs(), each=each)


def determination(s: Sample, *, each: bool) -> Tensor:
    """The share of the targets' variance that is explained; of named outputs, which differ in unit, their mean."""
    target = s.elements(s.target)
    spread = (target - target.nanmean(0)).square().nansum(0)
    if len(s) < 2 or not (spread > 0).any():
        raise UndefinedError("the target is the same in all rows")
    left = s.errors().square().nansum(0)
    if each:
        return torch.where(spread > 0, 1 - left / spread, torch.nan)
    left, spread = left[spread > 0], spread[spread > 0]
    return (1 - left / spread).mean() if s.names else 1 - left.sum() / spread.sum()


def scaled_error(s: Sample) -> Tensor:
    """The mean absolute scaled error: in units of what the season before is off on the train rows."""
    scale = s.aside["scale"]
    if not (scale > 0).all():
        raise UndefinedError("on the train rows the series repeats itself exactly from season to season")
    return (s.errors().abs() / scale).nanmean()


def skill(s: Sample, baseline: str) -> Tensor:
    """By what share the mean absolute error is smaller than a baseline's, on the same elements."""
    naive = (s.aside[baseline] - s.elements(s.target)).abs()
    if not naive.nansum() > 0:
        raise UndefinedError("the baseline makes no error")
    own = torch.where(naive.isnan(), torch.nan, s.errors().abs())
    return 1 - own.nanmean() / naive.nanmean()


def seasonal_skill(s: Sample) -> Tensor:
    """The same against the season before."""
    if "season" not in s.aside:
        raise UndefinedError("the task has no season of more than one step")
    return skill(s, "season")


def peak_ratio(s: Sample) -> Tensor:
    """The mean over pictures of the peak signal-to-noise ratio in decibels; their values lie in [0, 1]."""
    if s.field is None or s.field.kind != "image":
        raise UndefinedError("only pictures have a peak")
    return -10 * s.errors().square().mean(1).clamp(min=LEAST_ERROR).log10().mean()


def pinball(s: Sample) -> Tensor:
    """The mean quantile loss over all levels (Koenker and Bassett 1978, https://doi.org/10.2307/1913643)."""
    levels = torch.tensor(_levels(s), dtype=torch.float64)
    off = s.elements(s.target).unsqueeze(-1) - s.logits.double()
    return torch.maximum(levels * off, (levels - 1) * off).nanmean()


def covered(s: Sample) -> tuple[Tensor, Tensor]:
    """How many elements lie in the outer interval, of how many."""
    _levels(s)
    target = s.elements(s.target)
    inside = (target >= s.logits[..., 0]) & (target <= s.logits[..., -1])
    return inside.sum(), (~target.isnan()).sum()


def width(s: Sample) -> Tensor:
    """The mean width of the outer interval."""
    _levels(s)
    return (s.logits[..., -1] - s.logits[..., 0]).double().mean()


def _levels(s: Sample) -> tuple[float, ...]:
    if not s.quantiles:
        raise EvaluationError("the task predicts no quantiles: give it the key `quantiles`, such as [0.1, 0.5, 0.9].")
    return s.quantiles


def _mean(errors: Tensor, *, each: bool) -> Tensor:
    return errors.nanmean(0) if each else errors.nanmean()
