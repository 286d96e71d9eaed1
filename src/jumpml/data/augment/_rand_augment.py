"""RandAugment: a few changes a row, each drawn from one list, all of one strength."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F

from jumpml.data.augment._augmentation import Augmentation, by_row, only_for, uniform
from jumpml.data.augment._geometry import resample, rotation, shearing
from jumpml.data.augment._kornia import kornia
from jumpml.data.augment._pictures import blend, grey

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from jumpml.core import FieldInfo

STRONGEST = 30
LEAN, TRAVEL, TURN, FACTOR, BITS = 0.3, 150 / 331, math.radians(30), 0.9, 4  # at the strongest; the paper's
MOVES = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
BLENDS = ("brightness", "contrast", "saturation", "sharpness")
TONES = ("posterize", "solarize", "auto_contrast", "equalize")
CHANGES = (*MOVES, *BLENDS, *TONES, "identity")
BLACK, FLAT, GREY, SMOOTH = (CHANGES.index(name) for name in BLENDS)
POSTERIZE, SOLARIZE, AUTO_CONTRAST, EQUALIZE = (CHANGES.index(name) for name in TONES)


@final
class RandAugment(Augmentation):
    """Change each picture in a few ways, each drawn from 14 (Cubuk et al. 2020, https://arxiv.org/abs/1909.13719).

    They are: to turn, to shear and to move along either axis; brightness, contrast, saturation, sharpness; fewer bits,
    solarizing, stretching the contrast, equalizing, and none. Every row has its own. All are computed for all rows and
    then chosen from, so that no device has to tell the host what was drawn. A mask of class codes follows the moves.

    Args:
        number: Changes a row, one after the other.
        magnitude: Their strength, from 0 to 30; the last two but one know none.

    Raises:
        MissingExtraError: kornia is not installed.

    Example:
        >>> RandAugment()(torch.rand(2, 3, 8, 8), torch.Generator().manual_seed(0)).shape
        torch.Size([2, 3, 8, 8])
    """

    moves = True
    opens = True

    def __init__(self, number: int = 2, magnitude: float = 9.0) -> None:
        self.number, self.magnitude = number, magnitude
        kornia("rand_augment")

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Change float32 ``[batch, 1 or 3, height, width]`` in [0, 1], or codes ``[batch, height, width]``."""
        for _ in range(self.number):
            change, side = uniform((2, len(values)), generator, values)
            change = (change * len(CHANGES)).long()
            strength = torch.where(side < 0.5, -1.0, 1.0) * (self.magnitude / STRONGEST)
            values = _move(values, change, strength)
            if values.is_floating_point():
                values = _tone(_blend(values.clamp(0, 1), change, strength), change, strength.abs())
        return values

    def problem(self, field: FieldInfo) -> str:
        """Needs a picture, grey or in red, green and blue."""
        if field.kind not in {"image", "mask"}:
            return only_for("rand_augment", "images", field)
        channels = field.value.shape[0] if field.kind == "image" else 1
        if channels not in {0, 1, 3}:  # 0 is a size that only the data tells
            return f"rand_augment is for pictures of 1 or 3 channels; this one has {channels}."
        return ""


def _move(values: Tensor, change: Tensor, strength: Tensor) -> Tensor:
    """Turn, shear or move the rows for which that was drawn."""
    height, width = values.shape[-2:]
    turned, leaning, rising, right, down = (torch.where(change == CHANGES.index(name), strength, 0.0) for name in MOVES)
    matrix = rotation(turned * TURN) @ shearing(leaning * LEAN) @ shearing(rising * LEAN, upright=True)
    offset = torch.stack([right * TRAVEL * width, down * TRAVEL * height], dim=1)
    # Where nothing moves the values stay as they are, bit for bit.
    return torch.where(by_row(change < len(MOVES), values), resample(values, matrix, offset), values)


def _blend(values: Tensor, change: Tensor, strength: Tensor) -> Tensor:
    """Brightness, contrast, saturation and sharpness: towards an anchor or away from it."""
    shade = grey(values)
    chosen = by_row(change, values)
    anchor = torch.where(chosen == FLAT, shade.mean((1, 2, 3), keepdim=True), torch.where(chosen == GREY, shade, 0.0))
    anchor = torch.where(chosen == SMOOTH, _smooth(values), anchor)
    blended = (change >= BLACK) & (change <= SMOOTH)
    return blend(values, torch.where(by_row(blended, values), anchor, values), 1 + strength * FACTOR)


def _tone(values: Tensor, change: Tensor, strength: Tensor) -> Tensor:
    """Fewer bits, solarizing, stretching the contrast, equalizing."""
    enhance = kornia("rand_augment").enhance
    chosen = by_row(change, values)
    bits = torch.where(change == POSTERIZE, 8 - (strength * BITS).round(), 8).long()
    values = torch.where(chosen == POSTERIZE, enhance.posterize(values, bits), values)
    values = torch.where((chosen == SOLARIZE) & (values >= by_row(1 - strength, values)), 1 - values, values)
    low, high = values.amin((2, 3), keepdim=True), values.amax((2, 3), keepdim=True)
    spread = torch.where(high > low, (values - low) / (high - low).clamp(min=1e-6), values)
    values = torch.where(chosen == AUTO_CONTRAST, spread.clamp(0, 1), values)
    return torch.where(chosen == EQUALIZE, enhance.equalize(values), values)


def _smooth(values: Tensor) -> Tensor:
    """Each pixel's weighted mean with its eight neighbours; the border as it is."""
    if min(values.shape[2:]) < 3:
        return values
    kernel = values.new_tensor([[1, 1, 1], [1, 5, 1], [1, 1, 1]]).div(13).expand(values.shape[1], 1, 3, 3)
    smooth = values.clone()
    smooth[:, :, 1:-1, 1:-1] = F.conv2d(values, kernel, groups=values.shape[1])
    return smooth
