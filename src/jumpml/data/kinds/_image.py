"""A picture a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

from jumpml.core import ValueInfo
from jumpml.data.kinds._encoded import EncodedKind, decode_blobs
from jumpml.data.kinds._kind import Decoded, known_whole, shape_problem
from jumpml.data.kinds._numbers import scaled
from jumpml.data.kinds._picture import PictureDecoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pydantic import JsonValue
    from torch import Tensor

    from jumpml.core import FieldInfo
    from jumpml.data.kinds._column import Column
    from jumpml.data.kinds._raw_column import RawColumn


@final
class ImageKind(EncodedKind):
    """A picture a row: float32 ``[rows, channels, height, width]`` in [0, 1], NaN where missing."""

    name = "image"
    gives = "numbers"
    form = "[rows, channels, height, width]"

    def decode(self, raws: Sequence[RawColumn], told: Any, train: NDArray[np.int64] | None = None) -> Decoded:
        """Arrays of the field's shape, or files."""
        blobs = self.blobs(raws[0], told)
        if blobs is None:
            return Decoded(values=torch.from_numpy(scaled(raws[0], told.shape, told.range)), range=told.range)
        values = decode_blobs(raws[0], blobs, self.decoder(told), np.full(told.shape, np.nan, dtype=np.float32))
        return Decoded(values=torch.from_numpy(values), range=told.range)

    def decoder(self, told: Any) -> PictureDecoder:
        """A picture file to the field's shape."""
        return PictureDecoder(told.shape, told.range)

    def expected(self, told: Any) -> ValueInfo:
        """As the file says."""
        return ValueInfo(shape=told.shape)

    def problem(self, values: Tensor, column: Column) -> str:
        """Four dimensions, values in [0, 1] or a row of NaN."""
        if values.ndim != 4:
            return shape_problem(self.form, column.values)
        problem = known_whole(values)
        known = values[self.present(values)]
        if not problem and len(known) and not (float(known.amin()) >= 0 and float(known.amax()) <= 1):
            return f"expected values in [0, 1], got {float(known.amin()):g} to {float(known.amax()):g}."
        return problem

    def present(self, values: Tensor) -> Tensor:
        """Where there is no NaN; a picture is missing as a whole or not at all."""
        return ~values.flatten(1)[:, 0].isnan()

    def raw(self, info: FieldInfo, values: NDArray) -> list[JsonValue]:
        """The values in the field's range, whole numbers where the picture held such; null where missing."""
        low, high = info.range or (0.0, 1.0)
        exact = (values.astype(np.float64) * (high - low) + low).clip(low, high)
        whole = np.rint(exact)
        # A whole number is what the picture held, where it decodes to the same value.
        same = ((whole - low) / (high - low)).astype(np.float32) == values
        rows = np.where(same, whole, exact)
        return [None if np.isnan(row).any() else row.tolist() for row in rows]
