"""Picture files to arrays, as `deploy/_runtime.py` does it too."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, final

import numpy as np

from jumpml.core import DataError, MissingExtraError
from jumpml.data.kinds._numbers import outside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jumpml.data.sources._blob import Blob

MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@final
@dataclass(frozen=True)
class PictureDecoder:
    """A picture file to float32 ``shape`` in [0, 1].

    Attributes:
        shape: Channels, height, width; the picture is converted and stretched to it.
        range: The raw values that become 0 and 1.
    """

    shape: tuple[int, int, int]
    range: tuple[float, float]

    def __call__(self, blob: Blob, row: NDArray[np.float32]) -> None:
        """Decode a file into a row of ``shape``.

        Raises:
            DataError: It is damaged, no picture, of more bits than the channels allow, or outside the range.
        """
        raw = read_picture(blob, *self.shape)
        if raw.dtype != np.uint8:
            row[:] = _scaled(raw.astype(np.float64), self.range)
        elif _divides(self.range):
            np.divide(raw, np.float32(self.range[1]), out=row, dtype=np.float32)
            return
        else:
            np.take(_levels(self.range), raw, out=row, mode="clip")
        beyond = np.isnan(row)
        if beyond.any():
            raise DataError(f"{blob.name}: {outside(float(raw[beyond][0]), self.range)}")


@cache
def _levels(value_range: tuple[float, float]) -> NDArray[np.float32]:
    """256 levels, each scaled once: the same bits as scaling every pixel, in a fraction of the time."""
    return _scaled(np.arange(256, dtype=np.float64), value_range)


@cache
def _divides(value_range: tuple[float, float]) -> bool:
    """Whether one division gives the same bits at all 256 levels, as it does for 0 to 255; it is quicker still."""
    low, high = value_range
    divided = np.divide(np.arange(256, dtype=np.uint8), np.float32(high), dtype=np.float32)
    return low == 0 and np.array_equal(divided, _levels(value_range))


def _scaled(raw: NDArray, value_range: tuple[float, float]) -> NDArray[np.float32]:
    """Raw values in [0, 1], NaN where they are outside the range."""
    low, high = value_range
    inside = (raw >= low) & (raw <= high)
    return np.where(inside, (raw - low) / (high - low), np.nan).astype(np.float32)


@final
@dataclass(frozen=True)
class MaskDecoder:
    """A picture file to class codes, int64 ``shape``, -1 where the class is not known.

    Attributes:
        shape: Height and width; the picture is stretched to it, each place taking its nearest pixel.
        classes: How many there are.
        ignore: The pixels' value where the class is not known.
    """

    shape: tuple[int, int]
    classes: int
    ignore: int | None

    def __call__(self, blob: Blob, row: NDArray[np.int64]) -> None:
        """Decode a file into a row of ``shape``.

        Raises:
            DataError: It is damaged, no picture, of several channels, or holds a value that is no code.
        """
        raw = read_codes(blob, *self.shape)
        try:
            row[:] = codes_of(raw, self.classes, self.ignore)
        except ValueError as error:
            raise DataError(f"{blob.name}: {error}") from None


def codes_of(raw: NDArray, classes: int, ignore: int | None) -> NDArray[np.int64]:
    """Pixels as class codes, -1 for ``ignore`` and NaN.

    Raises:
        ValueError: One is neither a code nor ``ignore``.
    """
    unknown = np.isnan(raw) | (raw == (np.nan if ignore is None else ignore))
    good = ((raw >= 0) & (raw < classes) & (raw % 1 == 0)) | unknown
    if not good.all():
        told = "" if ignore is None else f", or {ignore} where the class is not known"
        raise ValueError(f"expected codes of the {classes} classes{told}, got {raw[~good][0]:g}.")
    return np.where(unknown, -1, raw).astype(np.int64)


def read_picture(blob: Blob, channels: int, height: int, width: int) -> NDArray:
    """A picture's raw values ``[channels, height, width]``: uint8, or float32 of a file of more bits.

    Raises:
        DataError: It cannot be read, or has more bits than fit its channels.
    """

    def convert(image: Any) -> Any:
        deep = image.mode[0] in "IF"
        if channels not in MODES or (deep and channels > 1):
            what = "more than 8 bits a pixel and one channel" if deep else "1, 3 or 4 channels"
            raise ValueError(f"such a file has {what}, and the field {channels} channels")
        mode = "F" if deep else MODES[channels]
        return image if image.mode == mode else image.convert(mode)  # which would copy it

    pixels = _pixels(blob, convert, (width, height), "BILINEAR")
    return pixels.reshape(height, width, channels).transpose(2, 0, 1)


def read_codes(blob: Blob, height: int, width: int) -> NDArray[np.float64]:
    """A picture's values ``[height, width]`` as they are.

    Raises:
        DataError: It cannot be read, or has several channels.
    """

    def convert(image: Any) -> Any:
        if image.mode[0] not in "1LPI" or image.mode in {"LA", "PA", "LAB"}:
            raise ValueError(f"a mask has one channel of codes, and this picture is of mode {image.mode}")
        return image

    return _pixels(blob, convert, (width, height), "NEAREST").astype(np.float64)


def _pixels(blob: Blob, convert: Any, size: tuple[int, int], method: str) -> NDArray:
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise MissingExtraError("pillow", "vision", "reading picture files") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            opened = Image.open(io.BytesIO(blob.read()))
        with opened:
            ImageOps.exif_transpose(opened, in_place=True)
            image = convert(opened)
            resized = image if image.size == size else image.resize(size, Image.Resampling[method])
            return np.asarray(resized)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        problem = str(error).partition(" <_io.")[0]  # an address in memory would make each run's record another
        raise DataError(f"{blob.name}: the picture cannot be read: {problem}.") from None
