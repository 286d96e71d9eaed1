"""Where the pixels of a picture go. A mask of class codes moves along: nearest neighbour, -1 (no class) comes in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F

from jumpml.data.augment._augmentation import Augmentation, by_row, only_for, uniform, within

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from jumpml.core import FieldInfo


@final
class Shift(Augmentation):
    """Move each picture by a whole number of pixels along each axis, uniform in [-pixels, pixels]; zeros come in.

    Args:
        pixels: The most that it moves.

    Example:
        >>> Shift(1)(torch.ones(2, 1, 8, 8), torch.Generator().manual_seed(0)).shape
        torch.Size([2, 1, 8, 8])
    """

    moves = True
    opens = True

    def __init__(self, pixels: int) -> None:
        self.pixels = pixels

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Move float32 ``[batch, channels, height, width]`` or codes ``[batch, height, width]``."""
        batch, height, width, reach = len(values), *values.shape[-2:], self.pixels
        start = torch.randint(0, 2 * reach + 1, (batch, 2, 1), generator=generator, device=values.device)
        rows = start[:, 0] + torch.arange(height, device=values.device)
        columns = start[:, 1] + torch.arange(width, device=values.device)
        index = rows.unsqueeze(2) * (width + 2 * reach) + columns.unsqueeze(1)
        planes = values.reshape(batch, -1, height, width)
        padded = F.pad(planes, (reach, reach, reach, reach), value=_outside(values)).flatten(2)
        return padded.gather(2, index.view(batch, 1, -1).expand(-1, planes.shape[1], -1)).view_as(values)

    def problem(self, field: FieldInfo) -> str:
        """Needs a picture that does not move out of its frame."""
        if field.kind not in _MOVED:
            return only_for("shift", "images", field)
        shortest = min(field.value.shape[-2:])
        if self.pixels >= shortest > 0:  # 0 is a size that only the data tells
            return f"expected fewer pixels than the picture's shorter side, {shortest}; got {self.pixels}."
        return ""


@final
class Rotate(Augmentation):
    """Turn each picture around its centre by an angle uniform in [-degrees, degrees], bilinearly; zeros come in.

    Args:
        degrees: The most that it turns.

    Example:
        >>> Rotate(10.0)(torch.ones(2, 1, 8, 8), torch.Generator().manual_seed(0))[0, 0, 4, 4].item()
        1.0
    """

    moves = True
    opens = True

    def __init__(self, degrees: float) -> None:
        self.degrees = degrees

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Turn float32 ``[batch, channels, height, width]`` or codes ``[batch, height, width]``."""
        angle = uniform(len(values), generator, values) * math.radians(2 * self.degrees) - math.radians(self.degrees)
        return resample(values, rotation(angle))

    def problem(self, field: FieldInfo) -> str:
        """Needs a picture."""
        return "" if field.kind in _MOVED else only_for("rotate", "images", field)


@final
class Flip(Augmentation):
    """Mirror pictures.

    Args:
        horizontal: The share of rows whose left and right change places.
        vertical: The share of rows whose top and bottom change places.

    Example:
        >>> Flip(horizontal=1.0)(torch.arange(3.0).view(1, 1, 1, 3), torch.Generator()).flatten()
        tensor([2., 1., 0.])
    """

    moves = True

    def __init__(self, horizontal: float = 0.0, vertical: float = 0.0) -> None:
        self.horizontal, self.vertical = horizontal, vertical

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Mirror ``[batch, ..., height, width]``."""
        drawn = uniform((2, len(values)), generator, values)
        for probability, numbers, axis in zip((self.horizontal, self.vertical), drawn, (-1, -2), strict=True):
            if probability:
                values = torch.where(by_row(numbers < probability, values), values.flip(axis), values)
        return values

    def problem(self, field: FieldInfo) -> str:
        """Needs a picture."""
        return "" if field.kind in _MOVED else only_for("flip", "images", field)


@final
class Crop(Augmentation):
    """Cut a random rectangle out of each picture and stretch it to the picture's size, bilinearly.

    The random resized crop of Szegedy et al. 2015 (https://arxiv.org/abs/1409.4842): the area is uniform, the ratio of
    sides log-uniform, the place uniform; a side that the picture cannot hold is cut.

    Args:
        scale: The smallest and the largest area, as shares of the picture's.
        ratio: The smallest and the largest ratio of width to height, in pixels.

    Example:
        >>> Crop((0.25, 1.0))(torch.ones(2, 1, 8, 8), torch.Generator().manual_seed(0)).shape
        torch.Size([2, 1, 8, 8])
    """

    moves = True

    def __init__(self, scale: tuple[float, float], ratio: tuple[float, float] = (3 / 4, 4 / 3)) -> None:
        self.scale, self.ratio = scale, ratio

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Change float32 ``[batch, channels, height, width]`` or codes ``[batch, height, width]``."""
        height, width = values.shape[-2:]
        area, ratio, top, left = uniform((4, len(values)), generator, values)
        area = within(self.scale, area) * height * width
        ratio = within((math.log(self.ratio[0]), math.log(self.ratio[1])), ratio).exp()
        wide, tall = (area * ratio).sqrt().clamp(max=width), (area / ratio).sqrt().clamp(max=height)
        offset = torch.stack([(left - 0.5) * (width - wide), (top - 0.5) * (height - tall)], dim=1)
        matrix = torch.diag_embed(torch.stack([wide / width, tall / height], dim=1))
        return resample(values, matrix, offset, inside=True)

    def problem(self, field: FieldInfo) -> str:
        """Needs a picture."""
        return "" if field.kind in _MOVED else only_for("crop", "images", field)


@final
class Affine(Augmentation):
    """Shear, scale, turn and move each picture around its centre, bilinearly; zeros come in.

    Args:
        degrees: The most that it turns, either way.
        translate: The most that it moves along each axis, as a share of its width and of its height.
        scale: The smallest and the largest factor of its size; log-uniform between them.
        shear: The most that its upright edges lean, in degrees, either way.

    Example:
        >>> Affine(degrees=10.0, scale=(0.9, 1.1))(torch.ones(2, 1, 8, 8), torch.Generator().manual_seed(0)).shape
        torch.Size([2, 1, 8, 8])
    """

    moves = True
    opens = True

    def __init__(
        self,
        degrees: float = 0.0,
        translate: float = 0.0,
        scale: tuple[float, float] = (1.0, 1.0),
        shear: float = 0.0,
    ) -> None:
        self.degrees, self.translate, self.scale, self.shear = degrees, translate, scale, shear

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Change float32 ``[batch, channels, height, width]`` or codes ``[batch, height, width]``."""
        height, width = values.shape[-2:]
        turn, lean, right, down, size = uniform((5, len(values)), generator, values) * 2 - 1
        size = within((math.log(self.scale[0]), math.log(self.scale[1])), (size + 1) / 2).exp()
        matrix = shearing(-(lean * math.radians(self.shear)).tan()) @ rotation(turn * math.radians(self.degrees))
        matrix = matrix / size.view(-1, 1, 1)
        moved = torch.stack([right * self.translate * width, down * self.translate * height], dim=1)
        return resample(values, matrix, -(matrix @ moved.unsqueeze(2)).squeeze(2))

    def problem(self, field: FieldInfo) -> str:
        """Needs a picture."""
        return "" if field.kind in _MOVED else only_for("affine", "images", field)


_MOVED = ("image", "mask")


def rotation(angle: Tensor) -> Tensor:
    """``[batch, 2, 2]`` that turn by an angle ``[batch]`` in radians."""
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cosine, -sine], dim=1), torch.stack([sine, cosine], dim=1)], dim=1)


def shearing(slope: Tensor, *, upright: bool = False) -> Tensor:
    """``[batch, 2, 2]`` that add ``slope * y`` to x, or where `upright` ``slope * x`` to y."""
    one, zero = torch.ones_like(slope), torch.zeros_like(slope)
    along, across = (zero, slope) if upright else (slope, zero)
    return torch.stack([torch.stack([one, along], dim=1), torch.stack([across, one], dim=1)], dim=1)


def resample(values: Tensor, matrix: Tensor, offset: Tensor | None = None, *, inside: bool = False) -> Tensor:
    """Each picture read at other places: the pixel at ``p`` from the centre is read at ``matrix @ p + offset``.

    Args:
        values: Float32 ``[batch, channels, height, width]``, bilinearly and 0 outside; or codes int64
            ``[batch, height, width]``, the nearest and -1 outside.
        matrix: ``[batch, 2, 2]``, on (x, y) in pixels.
        offset: ``[batch, 2]``, in pixels; none where None.
        inside: What is read lies inside: half a pixel beyond the edge, the edge itself is read.
    """
    batch, height, width = len(values), *values.shape[-2:]
    offset = matrix.new_zeros(batch, 2) if offset is None else offset
    # grid_sample counts in half widths and half heights: without the ratios an oblong picture would be sheared.
    top = torch.stack([matrix[:, 0, 0], matrix[:, 0, 1] * (height / width), offset[:, 0] * (2 / width)], dim=1)
    bottom = torch.stack([matrix[:, 1, 0] * (width / height), matrix[:, 1, 1], offset[:, 1] * (2 / height)], dim=1)
    codes = not values.is_floating_point()
    # Codes count from 1 meanwhile, so that the zeros outside become -1; float32 holds them exactly.
    planes = (values + 1).unsqueeze(1).float() if codes else values
    grid = F.affine_grid(torch.stack([top, bottom], dim=1), list(planes.shape), align_corners=False)
    read = F.grid_sample(
        planes,
        grid,
        mode="nearest" if codes else "bilinear",
        padding_mode="border" if inside else "zeros",
        align_corners=False,
    )
    return read.squeeze(1).long() - 1 if codes else read


def _outside(values: Tensor) -> float:
    return 0.0 if values.is_floating_point() else -1
