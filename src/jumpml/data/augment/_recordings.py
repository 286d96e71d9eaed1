"""Recordings, as waveforms and as spectrograms."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from jumpml.data.augment._augmentation import Augmentation, between, by_row, only_for, uniform

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from jumpml.core import FieldInfo, ValueInfo


@final
class TimeShift(Augmentation):
    """Move each recording to an earlier or a later time by a whole number of samples; silence comes in.

    Args:
        share: The most that it moves, as a share of its length.

    Example:
        >>> TimeShift(0.5)(torch.ones(2, 1, 8), torch.Generator().manual_seed(0)).sum((1, 2))
        tensor([8., 6.])
    """

    moves = True

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Change float32 ``[batch, channels, samples]``."""
        batch, _, samples = values.shape
        drawn = uniform(batch, generator, values) * 2 - 1
        source = torch.arange(samples, device=values.device) + (drawn * self.share * samples).round().long()[:, None]
        heard = (source >= 0) & (source < samples)
        index = source.clamp(0, samples - 1).unsqueeze(1).expand_as(values)
        return values.gather(2, index).masked_fill(~heard.unsqueeze(1), 0.0)

    def problem(self, field: FieldInfo) -> str:
        """Needs a recording."""
        return "" if field.kind == "audio" else only_for("time_shift", "audio", field)


@final
class Gain(Augmentation):
    """Make each recording louder or quieter; what leaves [-1, 1] is cut, as a microphone would.

    Args:
        decibels: The most that it changes, either way; uniform in decibels.

    Example:
        >>> Gain(20.0)(torch.full((2, 1, 1), 0.5), torch.Generator().manual_seed(0)).flatten()
        tensor([0.4915, 1.0000])
    """

    def __init__(self, decibels: float) -> None:
        self.decibels = decibels

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Change float32 ``[batch, channels, samples]`` in [-1, 1]."""
        drawn = (uniform(len(values), generator, values) * 2 - 1) * self.decibels
        return (values * by_row(10 ** (drawn / 20), values)).clamp(-1, 1)

    def problem(self, field: FieldInfo) -> str:
        """Needs a recording."""
        return "" if field.kind == "audio" else only_for("gain", "audio", field)


class _MaskSpectrogram(Augmentation):
    """The two masks of SpecAugment; they differ in the axis."""

    after_features = True
    _name: str
    _axis: int

    def __init__(self, share: float, number: int = 1) -> None:
        self.share, self.number = share, number

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        mean = values.nanmean(tuple(range(1, values.dim())), keepdim=True)
        return mask_windows(values, mean, self._axis, share=self.share, number=self.number, generator=generator)

    def problem(self, field: FieldInfo) -> str:
        kinds = {"audio", "tensor"}
        return "" if field.kind in kinds else only_for(self._name, "spectrograms: audio with features, tensors", field)

    def problem_after_features(self, field: FieldInfo, value: ValueInfo) -> str:
        if len(value.shape) >= (3 if field.kind == "audio" else 2):
            return ""
        fix = " Give the field the feature log_mel." if field.kind == "audio" else ""
        return f"expected rows of [..., frequency, time], got {list(value.shape)}.{fix}"


@final
class MaskTime(_MaskSpectrogram):
    """Hide stretches of time of each spectrogram: SpecAugment (Park et al. 2019, https://arxiv.org/abs/1904.08779).

    It changes what the field's features give, a spectrogram ``[batch, ..., frequency, time]``: what is hidden becomes
    the spectrogram's mean.

    Args:
        share: The longest stretch, as a share of the time.
        number: How many stretches; they may overlap.

    Example:
        >>> MaskTime(0.5)(torch.arange(8.0).view(1, 2, 4), torch.Generator().manual_seed(0))[0]
        tensor([[0.0000, 1.0000, 2.0000, 3.5000],
                [4.0000, 5.0000, 6.0000, 3.5000]])
    """

    _name, _axis = "mask_time", -1


@final
class MaskFrequency(_MaskSpectrogram):
    """Hide bands of frequencies of each spectrogram: SpecAugment (Park et al. 2019, https://arxiv.org/abs/1904.08779).

    It changes what the field's features give, a spectrogram ``[batch, ..., frequency, time]``: what is hidden becomes
    the spectrogram's mean.

    Args:
        share: The widest band, as a share of the frequencies.
        number: How many bands; they may overlap.
    """

    _name, _axis = "mask_frequency", -2


def mask_windows(values: Tensor, mean: Tensor, axis: int, *, share: float, number: int, generator: Generator) -> Tensor:
    """Replace windows along an axis by a mean; a window's length is uniform in whole steps up to ``share``.

    Args:
        values: ``[batch, ...]``.
        mean: Broadcasts against `values`.
        axis: Of the windows, from the end.
        share: Of the axis, for the longest window.
        number: Windows a row.
        generator: On the values' device.
    """
    size = values.shape[axis]
    length, start = uniform((2, len(values) * number), generator, values)
    length = (length * (int(share * size) + 1)).floor()
    hidden = between(size, (start * (size - length + 1)).floor(), length).view(len(values), number, size).any(1)
    shape = [len(values), *[1] * (values.dim() - 1)]
    shape[axis] = size
    return torch.where(hidden.view(shape), mean, values)
