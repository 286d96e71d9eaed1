"""Sound files to arrays."""

from __future__ import annotations

import io
from dataclasses import dataclass
from math import ceil, gcd
from typing import TYPE_CHECKING, final

import numpy as np

from jumpml.core import DataError, MissingExtraError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jumpml.data.sources._blob import Blob

CROSSINGS = 16  # zeros of the resampling filter on each side
UNTOLD = 0x7FFFF000  # bytes of samples and more: what writers say who do not know yet how many there will be


@final
@dataclass(frozen=True)
class SoundDecoder:
    """A sound file to float32 ``[channels, samples]`` in [-1, 1].

    Attributes:
        rate: Samples a second; another rate is converted.
        channels: Several become one by their mean, and one becomes several alike.
        samples: Longer sounds are cut at their end, shorter ones go on in silence.
    """

    rate: int
    channels: int
    samples: int

    def __call__(self, blob: Blob, row: NDArray[np.float32]) -> None:
        """Decode a file into a row, ``[channels, samples]``.

        Raises:
            DataError: It is damaged, no sound, or has other channels.
        """
        row[:] = fitted(self.whole(blob), self.samples)

    def whole(self, blob: Blob) -> NDArray[np.float32]:
        """All of a file, ``[channels, its samples]``.

        Raises:
            DataError: As above.
        """
        sound, rate = _read(blob)
        if len(sound) != self.channels and 1 not in {len(sound), self.channels}:
            raise DataError(f"{blob.name}: expected {self.channels} channels, got {len(sound)}.")
        if not (np.isfinite(sound).all() and np.abs(sound).max(initial=0) <= 1):
            raise DataError(f"{blob.name}: expected samples in [-1, 1].")
        if self.channels == 1 and len(sound) > 1:
            sound = sound.astype(np.float64).mean(axis=0, keepdims=True).astype(np.float32)
        sound = np.broadcast_to(sound, (self.channels, sound.shape[1]))
        return sound if rate == self.rate else resample(sound, rate, self.rate)


def fitted(sound: NDArray[np.float32], samples: int) -> NDArray[np.float32]:
    """A sound ``[channels, its samples]`` cut or silent at its end, ``[channels, samples]``."""
    cut = sound[:, :samples]
    return np.pad(cut, ((0, 0), (0, samples - cut.shape[1])))


def resample(sound: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    """A sound at another rate, by a sinc filter under a Hann window.

    Args:
        sound: ``[channels, samples]`` in [-1, 1].
        rate: Its samples a second.
        wanted: The new ones.

    References:
        J. O. Smith, Digital Audio Resampling, https://ccrma.stanford.edu/~jos/resample/

    Example:
        >>> resample(np.ones((1, 80), dtype=np.float32), 8000, 16000).shape
        (1, 160)
    """
    up, down = wanted // gcd(rate, wanted), rate // gcd(rate, wanted)
    cutoff = min(1.0, up / down)
    reach = ceil(CROSSINGS / cutoff)
    count = ceil(sound.shape[1] * up / down)
    padded = np.pad(sound.astype(np.float64), ((0, 0), (reach, reach + down)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=1)
    result = np.empty((len(sound), count))
    for phase in range(min(up, count)):
        # The outputs of one phase lie equally far from the inputs around them, so that they share a filter.
        first, rest = divmod(phase * down, up)
        away = (np.arange(-reach, reach + 1) - rest / up) * cutoff
        window = np.where(np.abs(away) < CROSSINGS, np.cos(np.pi * away / (2 * CROSSINGS)) ** 2, 0)
        kernel = cutoff * np.sinc(away) * window
        places = first + down * np.arange(len(range(phase, count, up)))
        result[:, phase::up] = windows[:, places] @ kernel
    return result.clip(-1, 1).astype(np.float32)


def _read(blob: Blob) -> tuple[NDArray[np.float32], int]:
    try:
        import soundfile
    except (ImportError, OSError):  # its C library may be missing where it is installed
        raise MissingExtraError("soundfile", "audio", "reading sound files") from None
    content = blob.read()
    if _is_cut(content):
        raise DataError(f"{blob.name}: the sound cannot be read: the file ends before its samples do.")
    try:
        sound, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError, ValueError, TypeError) as error:
        told = getattr(error, "error_string", error)
        raise DataError(f"{blob.name}: the sound cannot be read: {told}") from None
    return sound.T.astype(np.float32, copy=False), rate


def _is_cut(content: bytes) -> bool:
    """Whether a wav file ends before its samples do, which libsndfile takes for a shorter sound."""
    at = 12
    while content[:4] == b"RIFF" and at + 8 <= len(content):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        if content[at : at + 4] == b"data":
            return size < UNTOLD and at + 8 + size > len(content)
        at += 8 + size + size % 2
    return False
