"""What the pixels of a picture show, where they are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, final

import torch

from jumpml.data.augment._augmentation import Augmentation, between, by_row, only_for, uniform, within
from jumpml.data.augment._kornia import kornia

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from jumpml.core import FieldInfo


@final
class Erase(Augmentation):
    """Set a random rectangle of each picture to zero (Zhong et al. 2020, https://arxiv.org/abs/1708.04896).

    Its area is uniform up to the largest, its ratio of sides log-uniform in [0.3, 1 / 0.3] as in the paper, its place
    uniform.

    Args:
        area: The largest area as a share of the picture.
        probability: The share of rows that are touched.

    Example:
        >>> erased = Erase(0.25, probability=1.0)(torch.ones(2, 1, 8, 8), torch.Generator().manual_seed(0))
        >>> bool(((erased == 0).sum((1, 2, 3)) <= 16).all())
        True
    """

    def __init__(self, area: float, probability: float = 0.5) -> None:
        self.area, self.probability = area, probability

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Change ``[batch, channels, height, width]``."""
        batch, _, height, width = values.shape
        touched, area, ratio, top, left = uniform((5, batch), generator, values)
        pixels = (area * self.area * height * width).clamp(min=1)
        ratio = torch.exp((2 * ratio - 1) * math.log(1 / 0.3))
        # The area is kept before the ratio: a side that the picture or the pixels cannot hold is cut.
        tall = (pixels * ratio).sqrt().floor().clamp(min=1, max=height).minimum(pixels.floor())
        wide = (pixels / tall).floor().clamp(min=1, max=width)
        inside_y = between(height, (top * (height - tall + 1)).floor(), tall)
        inside_x = between(width, (left * (width - wide + 1)).floor(), wide)
        erased = inside_y.unsqueeze(2) & inside_x.unsqueeze(1) & (touched < self.probability).view(-1, 1, 1)
        return values.masked_fill(erased.unsqueeze(1), 0.0)

    def problem(self, field: FieldInfo) -> str:
        """Needs a picture, and an area of at least a pixel."""
        if field.kind != "image":
            return only_for("erase", "images", field)
        _, height, width = field.value.shape
        pixels = height * width
        if pixels and self.area * pixels < 1:  # 0 is a size that only the data tells
            return f"expected an area of at least one of the picture's {pixels} pixels, got {self.area:g} of them."
        return ""


@final
class Colour(Augmentation):
    """Change each picture's brightness, contrast, saturation and hue, in this order; what leaves [0, 1] is cut.

    Hue is kornia's; the others are one line each.

    Args:
        brightness: Every value is multiplied by a factor uniform in [1 - brightness, 1 + brightness].
        contrast: Likewise the distance from the picture's mean grey.
        saturation: Likewise the distance from each pixel's own grey.
        hue: The most that hues turn, either way, as a share of the colour circle.
        probability: The share of rows that are touched.

    Raises:
        MissingExtraError: `hue` is asked for, and kornia is not installed.

    Example:
        >>> Colour(brightness=0.5)(torch.full((2, 3, 1, 1), 0.5), torch.Generator().manual_seed(0)).flatten(1)
        tensor([[0.4981, 0.4981, 0.4981],
                [0.6341, 0.6341, 0.6341]])
    """

    def __init__(
        self,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        hue: float = 0.0,
        probability: float = 1.0,
    ) -> None:
        self.brightness, self.contrast, self.saturation, self.hue = brightness, contrast, saturation, hue
        self.probability = probability
        if hue:
            kornia("colour with a hue")

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Change float32 ``[batch, 1 or 3, height, width]`` in [0, 1]."""
        drawn = uniform((5, len(values)), generator, values)
        bright, contrast, saturation, hue = drawn[:4] * 2 - 1
        changed = values
        if self.brightness:
            changed = blend(changed, torch.zeros_like(changed), 1 + bright * self.brightness)
        if self.contrast:
            changed = blend(changed, grey(changed).mean((1, 2, 3), keepdim=True), 1 + contrast * self.contrast)
        if self.saturation:
            changed = blend(changed, grey(changed), 1 + saturation * self.saturation)
        if self.hue:
            turned = hue * self.hue * (2 * math.pi)
            changed = kornia("colour with a hue").enhance.adjust_hue(changed, turned).clamp(0, 1)
        return torch.where(by_row(drawn[4] < self.probability, values), changed, values)

    def problem(self, field: FieldInfo) -> str:
        """Needs a picture; for saturation and hue one in red, green and blue."""
        if field.kind != "image":
            return only_for("colour", "images", field)
        coloured = "saturation" if self.saturation else "hue" if self.hue else ""
        channels = field.value.shape[0]
        if coloured and channels not in {0, 3}:  # 0 is a size that only the data tells
            return f"{coloured} is for pictures in red, green and blue; this one has {_channels(channels)}."
        return ""


@final
class Blur(Augmentation):
    """Blur each picture with a Gaussian; at the border, what lies inside counts.

    Args:
        sigma: The smallest and the largest standard deviation, in pixels; uniform between them.
        probability: The share of rows that are touched.

    Example:
        >>> Blur((0.5, 1.0))(torch.ones(2, 1, 4, 4), torch.Generator().manual_seed(0)).sum().item()
        32.0
    """

    def __init__(self, sigma: tuple[float, float], probability: float = 1.0) -> None:
        self.sigma, self.probability = sigma, probability

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Change ``[batch, channels, height, width]``."""
        drawn, touched = uniform((2, len(values)), generator, values)
        down, across = (_gaussian(size, within(self.sigma, drawn)).unsqueeze(1) for size in values.shape[2:])
        return torch.where(by_row(touched < self.probability, values), down @ values @ across.mT, values)

    def problem(self, field: FieldInfo) -> str:
        """Needs a picture."""
        return "" if field.kind == "image" else only_for("blur", "images", field)


def grey(values: Tensor) -> Tensor:
    """The brightness of each pixel, ``[batch, 1, height, width]``, by the weights of ITU-R BT.601."""
    if values.shape[1] != 3:
        return values.mean(1, keepdim=True)
    return 0.299 * values[:, :1] + 0.587 * values[:, 1:2] + 0.114 * values[:, 2:]


def blend(values: Tensor, anchor: Tensor, factor: Tensor) -> Tensor:
    """``anchor + factor * (values - anchor)`` with one factor a row, cut to [0, 1]."""
    return (anchor + by_row(factor, values) * (values - anchor)).clamp(0, 1)


def _gaussian(size: int, sigma: Tensor) -> Tensor:
    """``[batch, size, size]`` whose product with a column of pixels is the blurred column; each row sums to 1."""
    position = torch.arange(size, device=sigma.device)
    distance = (position.unsqueeze(1) - position).float() / sigma.view(-1, 1, 1)
    return torch.softmax(-distance.square() / 2, dim=2)


def _channels(count: int) -> str:
    return f"{count} channel{'s' if count != 1 else ''}"
