"""Recordings as what is heard in them: mel spectrograms and cepstral coefficients."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F
from torch import Tensor

from jumpml.core import DataError
from jumpml.data.features._feature import Feature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.core import FieldInfo
    from jumpml.data.features._train_rows import TrainRows

_FLOOR = 1e-10  # of a power, below which its logarithm would tell of rounding only


@final
class LogMel(Feature):
    """A recording as the logarithm of its power in bands that are as wide as the ear's, frame by frame.

    Frames of a periodic Hann window, the first around the first sample, zeros beyond the ends; Slaney's mel scale and
    bands of equal area; the natural logarithm of at least 1e-10. These are librosa's ``melspectrogram``'s conventions.

    Args:
        mels: How many bands.
        window: Samples a frame.
        hop: Samples from a frame to the next.
        low: The lowest frequency, in Hz.
        high: The highest frequency, in Hz; None for half the sampling rate.
        rate: Samples a second; None for the field's own.

    Attributes:
        waves: float32 ``[2 * (window // 2 + 1), 1, window]``, windowed cosines and then sines.
        bands: float32 ``[mels, window // 2 + 1]``.

    Example:
        >>> from jumpml.data import Column, TrainRows
        >>> sounds, step = torch.rand(2, 1, 4000), LogMel(mels=20, rate=8000)
        >>> step.fit(TrainRows(sounds), Column(sounds, "tensor").info("sound"))
        >>> step(sounds).shape
        torch.Size([2, 1, 20, 26])
    """

    name = "log_mel"
    reads = ("numbers",)
    learns = ("waves", "bands")
    waves: Tensor
    bands: Tensor

    def __init__(
        self,
        mels: int = 64,
        *,
        window: int = 400,
        hop: int = 160,
        low: float = 0.0,
        high: float | None = None,
        rate: int | None = None,
    ) -> None:
        super().__init__()
        self.mels, self.window, self.hop = mels, window, hop
        self.low, self.high, self.rate = low, high, rate

    def problem(self, field: FieldInfo, fields: Mapping[str, FieldInfo]) -> str:
        """Needs recordings."""
        return _only_audio(self.name, field)

    def fit(self, train: TrainRows, field: FieldInfo) -> None:
        """Make the waves and the bands for the field's sampling rate.

        Raises:
            DataError: The rate is not known, or the bands do not fit between 0 and half of it.
        """
        rate = self.rate or field.options.get("rate")
        if not isinstance(rate, int):
            raise DataError(f"field {field.name!r}: {self.name} needs the sampling rate; give it as `rate`.")
        high = rate / 2 if self.high is None else self.high
        if not 0 <= self.low < high <= rate / 2:
            raise DataError(
                f"field {field.name!r}: {self.name} goes from {self.low:g} to {high:g} Hz; at a rate of {rate} Hz "
                f"expected two frequencies from 0 to {rate / 2:g}, the lower one first."
            )
        bands = mel_bands(self.mels, self.window, rate, self.low, high)
        empty = int((bands.sum(dim=1) == 0).sum())
        if empty:
            raise DataError(
                f"field {field.name!r}: {empty} of {self.name}'s {self.mels} mels hold no frequency of a window of "
                f"{self.window} samples. Take fewer mels or a longer window."
            )
        self.learn(waves=_waves(self.window), bands=bands)

    def forward(self, values: Tensor) -> Tensor:
        """Float32 ``[batch, channels, mels, frames]`` of ``[batch, channels, samples]``.

        Raises:
            DataError: What comes in are no recordings.
        """
        if values.dim() != 3:
            raise DataError(f"{self.name}: expected [batch, channels, samples], got {list(values.shape)}.")
        channels, samples = values.shape[1:]
        # A convolution with waves, not torch.stft: a spectrum of complex numbers is more than a runtime may know.
        parts = F.conv1d(values.reshape(-1, 1, samples), self.waves, stride=self.hop, padding=self.window // 2)
        cosines, sines = parts.square().chunk(2, dim=1)
        mel = self.bands @ (cosines + sines)
        logarithms = torch.where(mel < _FLOOR, _FLOOR, mel).log()
        return logarithms.reshape(-1, channels, self.mels, samples // self.hop + 1)


@final
class MFCC(Feature):
    """A recording as mel-frequency cepstral coefficients: the cosine transform of its log-mel bands, frame by frame.

    The bands are those of `LogMel`, in natural logarithms; the transform is the orthonormal DCT-II.
    (Davis and Mermelstein 1980, https://doi.org/10.1109/TASSP.1980.1163420)

    Args:
        coefficients: How many, at most as many as mels.
        mels: As in `LogMel`, like all that follow.
        window: Samples a frame.
        hop: Samples from a frame to the next.
        low: The lowest frequency, in Hz.
        high: The highest frequency, in Hz; None for half the sampling rate.
        rate: Samples a second; None for the field's own.

    Attributes:
        log_mel: The bands.
        cosines: float32 ``[coefficients, mels]``.

    Raises:
        DataError: There are more coefficients than mels.

    Example:
        >>> from jumpml.data import Column, TrainRows
        >>> sounds, step = torch.rand(2, 1, 4000), MFCC(mels=20, rate=8000)
        >>> step.fit(TrainRows(sounds), Column(sounds, "tensor").info("sound"))
        >>> step(sounds).shape
        torch.Size([2, 1, 13, 26])
    """

    name = "mfcc"
    reads = ("numbers",)
    learns = ("cosines",)
    cosines: Tensor

    def __init__(
        self,
        coefficients: int = 13,
        *,
        mels: int = 64,
        window: int = 400,
        hop: int = 160,
        low: float = 0.0,
        high: float | None = None,
        rate: int | None = None,
    ) -> None:
        super().__init__()
        if coefficients > mels:
            raise DataError(f"mfcc: expected at most as many coefficients as mels, {mels}; got {coefficients}.")
        self.log_mel = LogMel(mels, window=window, hop=hop, low=low, high=high, rate=rate)
        places = torch.arange(coefficients).unsqueeze(1) * (torch.arange(mels) + 0.5) * (math.pi / mels)
        cosines = places.double().cos() * math.sqrt(2 / mels)
        cosines[0] /= math.sqrt(2)
        self.learn(cosines=cosines.float())

    def problem(self, field: FieldInfo, fields: Mapping[str, FieldInfo]) -> str:
        """Needs recordings."""
        return _only_audio(self.name, field)

    def fit(self, train: TrainRows, field: FieldInfo) -> None:
        """Make the bands.

        Raises:
            DataError: As `LogMel.fit`.
        """
        self.log_mel.fit(train, field)

    def forward(self, values: Tensor) -> Tensor:
        """Float32 ``[batch, channels, coefficients, frames]`` of ``[batch, channels, samples]``."""
        return self.cosines @ self.log_mel(values)


def _only_audio(name: str, field: FieldInfo) -> str:
    return "" if field.kind == "audio" else f"{name} is for audio; this field is a {field.kind}."


def mel_bands(mels: int, window: int, rate: int, low: float, high: float) -> Tensor:
    """Triangles on Slaney's mel scale, each of area 1 in Hz, over the frequencies of a window.

    Returns:
        Float32 ``[mels, window // 2 + 1]``.
    """
    ends = torch.tensor([low, high], dtype=torch.float64)
    first, last = _to_mel(ends).tolist()
    edges = _to_hz(torch.linspace(first, last, mels + 2, dtype=torch.float64))
    frequencies = torch.arange(window // 2 + 1, dtype=torch.float64) * (rate / window)
    widths = edges.diff().unsqueeze(1)
    rising = (frequencies - edges[:-2].unsqueeze(1)) / widths[:-1]
    falling = (edges[2:].unsqueeze(1) - frequencies) / widths[1:]
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return (triangles * (2 / (edges[2:] - edges[:-2])).unsqueeze(1)).float()


def _to_mel(hz: Tensor) -> Tensor:
    """Slaney's scale: 15 mels for 1,000 Hz, then 27 mels for a factor of 6.4."""
    return torch.where(hz < 1000, hz * 0.015, 15 + 27 * (hz.clamp(min=1000) / 1000).log() / math.log(6.4))


def _to_hz(mel: Tensor) -> Tensor:
    return torch.where(mel < 15, mel / 0.015, 1000 * ((mel - 15) * (math.log(6.4) / 27)).exp())


def _waves(window: int) -> Tensor:
    """A Hann window's cosines and sines, float32 ``[2 * (window // 2 + 1), 1, window]``."""
    places = torch.arange(window)
    # The remainder keeps the angle small, so that float64 holds all of its digits.
    angles = (torch.arange(window // 2 + 1).unsqueeze(1) * places).remainder(window).double() * (2 * math.pi / window)
    hann = 0.5 - 0.5 * (places.double() * (2 * math.pi / window)).cos()
    return (torch.cat([angles.cos(), angles.sin()]) * hann).float().unsqueeze(1)
