"""A sound a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

from jumpml.core import DataError, ValueInfo
from jumpml.data.kinds._encoded import EncodedKind
from jumpml.data.kinds._kind import Decoded, is_missing, known_whole, shape_problem
from jumpml.data.kinds._numbers import shortest
from jumpml.data.kinds._sound import SoundDecoder, fitted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from pydantic import JsonValue
    from torch import Tensor

    from jumpml.core import FieldInfo
    from jumpml.data.kinds._column import Column
    from jumpml.data.kinds._raw_column import RawColumn
    from jumpml.data.sources._blob import Blob


@final
class AudioKind(EncodedKind):
    """A sound a row: float32 ``[rows, channels, samples]`` in [-1, 1], NaN where missing."""

    name = "audio"
    gives = "numbers"
    form = "[rows, channels, samples]"

    def decode(self, raws: Sequence[RawColumn], told: Any, train: NDArray[np.int64] | None = None) -> Decoded:
        """Arrays at the field's rate, or files of any."""
        raw, blobs = raws[0], self.blobs(raws[0], told)
        sounds = _of_arrays(raw, told.channels) if blobs is None else _of_files(raw, blobs, self.decoder(told))
        values = np.full((len(raw), told.channels, told.samples), np.nan, dtype=np.float32)
        lengths = np.full(len(raw), told.samples)
        for row, sound in sounds:
            values[row], lengths[row] = fitted(sound, told.samples), sound.shape[1]
        return Decoded(values=torch.from_numpy(values), options={"rate": told.rate}, notes=_told(lengths, told.samples))

    def decoder(self, told: Any) -> SoundDecoder:
        """A sound file to the field's rate, channels and samples."""
        return SoundDecoder(told.rate, told.channels, told.samples)

    def expected(self, told: Any) -> ValueInfo:
        """As the file says."""
        return ValueInfo(shape=(told.channels, told.samples))

    def problem(self, values: Tensor, column: Column) -> str:
        """Three dimensions, values in [-1, 1] or a row of NaN."""
        if values.ndim != 3:
            return shape_problem(self.form, column.values)
        problem = known_whole(values)
        if not problem and bool((values.abs() > 1).any()):
            return f"expected values in [-1, 1], got {float(values.abs().nan_to_num().amax()):g}."
        return problem

    def present(self, values: Tensor) -> Tensor:
        """Where there is no NaN; a sound is missing as a whole or not at all."""
        return ~values.flatten(1)[:, 0].isnan()

    def raw(self, info: FieldInfo, values: NDArray) -> list[JsonValue]:
        """Each channel's samples; null where missing."""
        return [None if np.isnan(row).any() else shortest(row).tolist() for row in values]


def _of_files(
    raw: RawColumn, blobs: Sequence[Blob | None], decoder: SoundDecoder
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    for row, blob in enumerate(blobs):
        if blob is not None:
            try:
                yield row, decoder.whole(blob)
            except DataError as error:
                raw.reject(row, str(error))


def _of_arrays(raw: RawColumn, channels: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Rows of ``[samples]`` or ``[channels, samples]``; None and NaN throughout are missing."""
    if raw.values.dtype.kind not in "Obuif":
        raise DataError(f"{raw.where}: expected sounds, as files or as lists of numbers, got {raw.values.dtype}.")
    for row, value in enumerate(raw.values):
        if is_missing(value):
            continue
        try:
            sound = np.array(value.tolist() if isinstance(value, np.ndarray) else value, dtype=np.float64)
        except (ValueError, TypeError):
            sound = np.empty(())
        if np.isnan(sound).all() and sound.size:
            continue
        sound = sound[np.newaxis] if sound.ndim == 1 else sound
        if sound.ndim != 2 or len(sound) != channels:
            raw.reject(row, f"expected {channels} lists of samples, equally long, got {str(value)[:60]}.")
        elif not np.abs(sound).max(initial=0) <= 1:
            raw.reject(row, f"expected samples in [-1, 1], got {np.abs(sound).max():g}.")
        else:
            yield row, sound.astype(np.float32)


def _told(lengths: NDArray[np.int64], samples: int) -> tuple[str, ...]:
    cut, short = int((lengths > samples).sum()), int((lengths < samples).sum())
    longer = f"{cut} of {len(lengths)} sounds are longer than {samples} samples and were cut."
    shorter = f"{short} of {len(lengths)} sounds are shorter than {samples} samples and go on in silence."
    return (*([longer] if cut else []), *([shorter] if short else []))
