"""Random changes on whole batches, drawn for every row on its own from a generator that the caller seeds."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from jumpml.core import FieldInfo


class Augmentation(ABC):
    """One random change. An instance holds its strength and no state: equal generators give equal results."""

    @abstractmethod
    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Change each row of ``[batch, ...]``; the generator is on the values' device."""

    @abstractmethod
    def problem(self, field: FieldInfo) -> str:
        """Why the field's values cannot be changed so; empty where they can."""


@final
class Shift(Augmentation):
    """Move each picture by a whole number of pixels along each axis, uniform in [-pixels, pixels]; zeros come in.

    Args:
        pixels: The most that it moves.

    Example:
        >>> Shift(1)(torch.ones(2, 1, 8, 8), torch.Generator().manual_seed(0)).shape
        torch.Size([2, 1, 8, 8])
    """

    def __init__(self, pixels: int) -> None:
        self.pixels = pixels

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Move ``[batch, channels, height, width]``."""
        batch, channels, height, width = values.shape
        reach, device = self.pixels, values.device
        start = torch.randint(0, 2 * reach + 1, (batch, 2, 1), generator=generator, device=device)
        rows = start[:, 0] + torch.arange(height, device=device)
        columns = start[:, 1] + torch.arange(width, device=device)
        index = rows.unsqueeze(2) * (width + 2 * reach) + columns.unsqueeze(1)
        padded = F.pad(values, (reach, reach, reach, reach)).flatten(2)
        return padded.gather(2, index.view(batch, 1, -1).expand(-1, channels, -1)).view_as(values)

    def problem(self, field: FieldInfo) -> str:
        """Needs a picture that does not move out of its frame."""
        if field.kind != "image":
            return _only_pictures("shift", field)
        shortest = min(field.value.shape[1:])
        if self.pixels >= shortest:
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

    def __init__(self, degrees: float) -> None:
        self.degrees = degrees

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Turn ``[batch, channels, height, width]``."""
        batch, _, height, width = values.shape
        angle = _uniform(batch, generator, values) * math.radians(2 * self.degrees) - math.radians(self.degrees)
        cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
        # grid_sample counts in half widths and half heights: without the ratios an oblong picture would be sheared.
        top = torch.stack([cosine, -sine * (height / width), zero], dim=1)
        bottom = torch.stack([sine * (width / height), cosine, zero], dim=1)
        grid = F.affine_grid(torch.stack([top, bottom], dim=1), list(values.shape), align_corners=False)
        return F.grid_sample(values, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

    def problem(self, field: FieldInfo) -> str:
        """Needs a picture."""
        return "" if field.kind == "image" else _only_pictures("rotate", field)


@final
class Noise(Augmentation):
    """Add Gaussian noise to every element.

    Args:
        std: Its standard deviation, in the decoded field's units.

    Example:
        >>> Noise(0.1)(torch.zeros(2, 3), torch.Generator().manual_seed(0)).shape
        torch.Size([2, 3])
    """

    def __init__(self, std: float) -> None:
        self.std = std

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Change float32 ``[batch, ...]``."""
        noise = torch.randn(values.shape, generator=generator, device=values.device, dtype=values.dtype)
        return values + self.std * noise

    def problem(self, field: FieldInfo) -> str:
        """Needs numbers."""
        return "noise is for numbers; this field is a category." if field.kind == "category" else ""


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
        touched, area, ratio, top, left = _uniform((5, batch), generator, values)
        pixels = (area * self.area * height * width).clamp(min=1)
        ratio = torch.exp((2 * ratio - 1) * math.log(1 / 0.3))
        # The area is kept before the ratio: a side that the picture or the pixels cannot hold is cut.
        tall = (pixels * ratio).sqrt().floor().clamp(min=1, max=height).minimum(pixels.floor())
        wide = (pixels / tall).floor().clamp(min=1, max=width)
        inside_y = _between(height, (top * (height - tall + 1)).floor(), tall)
        inside_x = _between(width, (left * (width - wide + 1)).floor(), wide)
        erased = inside_y.unsqueeze(2) & inside_x.unsqueeze(1) & (touched < self.probability).view(-1, 1, 1)
        return values.masked_fill(erased.unsqueeze(1), 0.0)

    def problem(self, field: FieldInfo) -> str:
        """Needs a picture, and an area of at least a pixel."""
        if field.kind != "image":
            return _only_pictures("erase", field)
        _, height, width = field.value.shape
        pixels = height * width
        if self.area * pixels < 1:
            return f"expected an area of at least one of the picture's {pixels} pixels, got {self.area:g} of them."
        return ""


def _uniform(shape: int | tuple[int, ...], generator: Generator, like: Tensor) -> Tensor:
    return torch.rand(shape, generator=generator, device=like.device)


def _between(size: int, start: Tensor, length: Tensor) -> Tensor:
    """Bool ``[batch, size]``: which positions lie in ``[start, start + length)``."""
    position = torch.arange(size, device=start.device)
    return (position >= start.unsqueeze(1)) & (position < (start + length).unsqueeze(1))


def _only_pictures(name: str, field: FieldInfo) -> str:
    return f"{name} is for images; this field is a {field.kind}."
