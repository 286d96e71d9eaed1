"""Figures of predicted numbers, each on all resamples at once; an element that a row's target lacks does not count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.core import EvaluationError
from jumpml.evaluate._metric import UndefinedError

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.evaluate._draws import Draws
    from jumpml.evaluate._sample import Sample

LEAST_ERROR = 1e-10  # a picture that is met exactly has 100 dB, and not infinitely many


def squared_error(s: Sample, draws: Draws, *, each: bool) -> Tensor:
    """The mean squared error, of all elements or of each."""
    return draws.means(s.errors().square(), each=each)


def root_squared_error(s: Sample, draws: Draws, *, each: bool) -> Tensor:
    """The root of the mean squared error."""
    return squared_error(s, draws, each=each).sqrt()


def absolute_error(s: Sample, draws: Draws, *, each: bool) -> Tensor:
    """The mean absolute error, of all elements or of each; of classes in an order in ranks."""
    return draws.means(s.errors().abs(), each=each)


def determination(s: Sample, draws: Draws, *, each: bool) -> Tensor:
    """The share of the targets' variance that is explained; of named outputs, which differ in unit, their mean."""
    target = s.elements(s.target)
    if len(s) < 2 or not ((target - target.nanmean(0)).square().nansum(0) > 0).any():
        raise UndefinedError("the target is the same in all rows")
    from_mean = (target - draws.means(target, each=True).unsqueeze(1)).square().nan_to_num(nan=0.0)
    spread = (draws.counts.unsqueeze(1) @ from_mean).squeeze(1)
    left = draws.sums(s.errors().square().nan_to_num(nan=0.0))
    if each or s.names:
        shares = torch.where(spread > 0, 1 - left / spread, torch.nan)
        return shares if each else shares.nanmean(1)
    return 1 - left.where(spread > 0, 0.0).sum(1) / spread.sum(1)


def scaled_error(s: Sample, draws: Draws) -> Tensor:
    """The mean absolute scaled error: in units of what the season before is off on the train rows."""
    scale = s.aside["scale"]
    if not (scale > 0).all():
        raise UndefinedError("on the train rows the series repeats itself exactly from season to season")
    return draws.means(s.errors().abs() / scale)


def skill(s: Sample, draws: Draws, baseline: str) -> Tensor:
    """By what share the mean absolute error is smaller than a baseline's, on the same elements."""
    naive = (s.aside[baseline] - s.elements(s.target)).abs()
    if not naive.nansum() > 0:
        raise UndefinedError("the baseline makes no error")
    own = torch.where(naive.isnan(), torch.nan, s.errors().abs())
    return 1 - draws.means(own) / draws.means(naive)


def seasonal_skill(s: Sample, draws: Draws) -> Tensor:
    """The same against the season before."""
    if "season" not in s.aside:
        raise UndefinedError("the task has no season of more than one step")
    return skill(s, draws, "season")


def peak_ratio(s: Sample, draws: Draws) -> Tensor:
    """The mean over pictures of the peak signal-to-noise ratio in decibels; their values lie in [0, 1]."""
    if s.field is None or s.field.kind != "image":
        raise UndefinedError("only pictures have a peak")
    return draws.means(-10 * s.errors().square().mean(1).clamp(min=LEAST_ERROR).log10())


def pinball(s: Sample, draws: Draws) -> Tensor:
    """The mean quantile loss over all levels (Koenker and Bassett 1978, https://doi.org/10.2307/1913643)."""
    levels = torch.tensor(_levels(s), dtype=torch.float64)
    off = s.elements(s.target).unsqueeze(-1) - s.logits.double()
    return draws.means(torch.maximum(levels * off, (levels - 1) * off))


def covered(s: Sample) -> tuple[Tensor, Tensor]:
    """How many elements of each row lie in the outer interval, of how many; ``[rows]`` each."""
    _levels(s)
    target = s.elements(s.target)
    inside = (target >= s.logits[..., 0]) & (target <= s.logits[..., -1])
    return inside.sum(1), (~target.isnan()).sum(1)


def width(s: Sample, draws: Draws) -> Tensor:
    """The mean width of the outer interval."""
    _levels(s)
    return draws.means((s.logits[..., -1] - s.logits[..., 0]).double())


def _levels(s: Sample) -> tuple[float, ...]:
    if not s.quantiles:
        raise EvaluationError("the task predicts no quantiles: give it the key `quantiles`, such as [0.1, 0.5, 0.9].")
    return s.quantiles
