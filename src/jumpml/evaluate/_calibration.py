"""Whether a stated confidence is the share of times that it is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.core import Calibration, derive_seed
from jumpml.evaluate._intervals import MOST, num_resamples, percentiles

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.evaluate._sample import Sample

BINS = 15  # of equal width, as in Guo et al. 2017, so that errors can be compared with published ones
BLOCK = 4_000_000  # simulated answers that are held at once


def calibrate(sample: Sample) -> Calibration:
    """The expected calibration error of the decided class, with what chance alone would give.

    The error (Guo et al. 2017, https://arxiv.org/abs/1706.04599) is above zero even for a perfect model, since shares
    over few rows scatter. The null band shows by how much: answers are drawn that are right exactly as often as stated
    (Bröcker and Smith 2007, https://doi.org/10.1175/WAF993.1; Vaicenavicius et al. 2019, https://arxiv.org/abs/1902.06977).
    The labels of a multilabel task are pooled: an answer is one label's yes or no. The null band takes them for
    independent, and is too narrow where a row's labels are not.

    Args:
        sample: Of a task that has classes.
    """
    right = (sample.decided == sample.target).double()
    stated = sample.probabilities.double()
    if sample.decides == "class" and stated.dim() == 2:
        confidence = stated.gather(1, sample.decided.unsqueeze(1))
    else:
        confidence = torch.maximum(stated, 1 - stated)
    return calibration_of(confidence.flatten(), right.flatten())


def calibration_of(confidence: Tensor, right: Tensor) -> Calibration:
    """The calibration of stated confidences.

    Args:
        confidence: ``[answers]``, in [0, 1].
        right: 0 or 1 ``[answers]``.
    """
    confidence, right = confidence.double(), right.double()
    bins = (confidence * BINS).long().clamp(max=BINS - 1)
    membership = torch.nn.functional.one_hot(bins, BINS).double()
    counts = membership.sum(0)
    used = counts > 0
    null_low, null_high = percentiles(_null_errors(confidence, membership))
    return Calibration(
        error=float(_errors((right - confidence)[None], membership)),
        null_low=null_low,
        null_high=null_high,
        confidence=tuple(((confidence @ membership)[used] / counts[used]).tolist()),
        accuracy=tuple(((right @ membership)[used] / counts[used]).tolist()),
        count=tuple(counts[used].long().tolist()),
    )


def calibrate_positions(bins: Tensor) -> Calibration:
    """The same of answers that were counted by bin, as those at positions are, of which there may be millions.

    In the null band each bin's right answers are normal around what is stated, with the variance of independent ones.
    Positions of one row are not independent, so that the band is too narrow.

    Args:
        bins: See `Positions.bins`.
    """
    counts, stated, right, variance = bins
    used = counts > 0
    generator = torch.Generator().manual_seed(derive_seed("calibration", int(counts.sum())))
    noise = torch.randn(MOST, len(counts), generator=generator, dtype=torch.float64) * variance.sqrt()
    null_low, null_high = percentiles((noise.abs().sum(1) / counts.sum()).tolist())
    return Calibration(
        error=float((right - stated).abs().sum() / counts.sum()),
        null_low=null_low,
        null_high=null_high,
        confidence=tuple((stated / counts)[used].tolist()),
        accuracy=tuple((right / counts)[used].tolist()),
        count=tuple(counts[used].long().tolist()),
    )


def _errors(gaps: Tensor, membership: Tensor) -> Tensor:
    """``[draws, rows]`` differences of answer and confidence to ``[draws]`` calibration errors."""
    return (gaps @ membership).abs().sum(1) / len(membership)


def _null_errors(confidence: Tensor, membership: Tensor) -> list[float]:
    rows, draws = len(confidence), num_resamples(len(confidence))
    generator = torch.Generator().manual_seed(derive_seed("calibration", rows))
    errors: list[float] = []
    while len(errors) < draws:
        block = min(draws - len(errors), max(1, BLOCK // rows))
        answers = torch.rand(block, rows, generator=generator, dtype=torch.float64) < confidence
        errors += _errors(answers.double() - confidence, membership).tolist()
    return errors
