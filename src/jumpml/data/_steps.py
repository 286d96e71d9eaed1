"""The steps that a file can name, as classes that know no file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml.data.augment._geometry import Affine, Crop, Flip, Rotate, Shift
from jumpml.data.augment._hiding import Hide
from jumpml.data.augment._mixing import CutMix, Mixup
from jumpml.data.augment._numbers import Noise, SwapNoise
from jumpml.data.augment._pictures import Blur, Colour, Erase
from jumpml.data.augment._pretexts import Jigsaw, QuarterTurn, Reorder
from jumpml.data.augment._rand_augment import RandAugment
from jumpml.data.augment._recordings import Gain, MaskFrequency, MaskTime, TimeShift
from jumpml.data.augment._series import CropSteps, MaskSteps, Permute, Scale
from jumpml.data.augment._tokens import DropTokens, MaskTokens

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jumpml.data.augment._augmentation import Change

CHANGES: dict[str, type[Change]] = {
    "shift": Shift,
    "rotate": Rotate,
    "flip": Flip,
    "crop": Crop,
    "affine": Affine,
    "colour": Colour,
    "blur": Blur,
    "erase": Erase,
    "rand_augment": RandAugment,
    "mixup": Mixup,
    "cutmix": CutMix,
    "noise": Noise,
    "swap_noise": SwapNoise,
    "time_shift": TimeShift,
    "gain": Gain,
    "mask_time": MaskTime,
    "mask_frequency": MaskFrequency,
    "scale": Scale,
    "permute": Permute,
    "mask_steps": MaskSteps,
    "crop_steps": CropSteps,
    "mask_tokens": MaskTokens,
    "drop_tokens": DropTokens,
    "hide": Hide,
    "quarter_turn": QuarterTurn,
    "jigsaw": Jigsaw,
    "order": Reorder,
}


def augment_steps(steps: Iterable[Any]) -> list[Change]:
    """The changes behind a file's augmentation steps."""
    return [CHANGES[step.name](**step.chosen().model_dump()) for step in steps]
