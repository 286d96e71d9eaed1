"""Series: their scale, and the order and the speed of their steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from jumpml.data.augment._augmentation import Augmentation, only_for, uniform, within
from jumpml.data.augment._recordings import mask_windows

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from jumpml.core import FieldInfo


@final
class Scale(Augmentation):
    """Multiply each channel of each series by a factor (Um et al. 2017, https://arxiv.org/abs/1706.00527).

    Args:
        std: The factor is normal with mean 1 and this standard deviation.

    Example:
        >>> Scale(0.1)(torch.ones(2, 3, 1), torch.Generator().manual_seed(0)).squeeze(2)
        tensor([[1.1541, 1.1541, 1.1541],
                [0.9707, 0.9707, 0.9707]])
    """

    def __init__(self, std: float) -> None:
        self.std = std

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Change float32 ``[batch, steps, channels]``."""
        shape = (len(values), 1, values.shape[2])
        return values * (1 + self.std * torch.randn(shape, generator=generator, device=values.device))

    def problem(self, field: FieldInfo) -> str:
        """Needs a series."""
        return _only_series("scale", field)


@final
class Permute(Augmentation):
    """Cut each series into segments and put them in random order (Um et al. 2017, https://arxiv.org/abs/1706.00527).

    Args:
        segments: How many, as long as each other, but for what does not divide.

    Example:
        >>> Permute(2)(torch.arange(4.0).view(1, 4, 1), torch.Generator().manual_seed(1)).flatten()
        tensor([2., 3., 0., 1.])
    """

    moves = True

    def __init__(self, segments: int) -> None:
        self.segments = segments

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Change ``[batch, steps, channels]``."""
        batch, steps, _ = values.shape
        place = uniform((batch, self.segments), generator, values).argsort(1).argsort(1)
        step = torch.arange(steps, device=values.device)
        # A step's new place: behind all steps of the segments before its own, in the order that it had.
        key = place[:, step * self.segments // steps] * steps + step
        return values.gather(1, key.argsort(1).unsqueeze(2).expand_as(values))

    def problem(self, field: FieldInfo) -> str:
        """Needs a series of as many steps as segments."""
        problem, steps = _only_series("permute", field), field.value.shape[0] if field.value.shape else 0
        if not problem and self.segments > steps > 0:  # 0 is a size that only the data tells
            return f"expected no more segments than the series has steps, {steps}; got {self.segments}."
        return problem


@final
class MaskSteps(Augmentation):
    """Hide stretches of each series: what is hidden becomes the channel's mean over the row.

    Args:
        share: The longest stretch, as a share of the steps.
        number: How many stretches; they may overlap.

    Example:
        >>> MaskSteps(0.5)(torch.arange(4.0).view(1, 4, 1), torch.Generator().manual_seed(0)).flatten()
        tensor([0.0000, 1.0000, 2.0000, 1.5000])
    """

    def __init__(self, share: float, number: int = 1) -> None:
        self.share, self.number = share, number

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Change float32 ``[batch, steps, channels]``."""
        return mask_windows(
            values, values.nanmean(1, keepdim=True), -2, share=self.share, number=self.number, generator=generator
        )

    def problem(self, field: FieldInfo) -> str:
        """Needs a series."""
        return _only_series("mask_steps", field)


@final
class CropSteps(Augmentation):
    """Cut a random stretch out of each series and stretch it to the series' length, linearly.

    Window slicing of Le Guennec et al. 2016 (https://shs.hal.science/halshs-01357973), with the length kept.

    Args:
        scale: The smallest and the largest length, as shares of the series'; uniform between them.

    Example:
        >>> CropSteps((0.5, 0.5))(torch.arange(5.0).view(1, 5, 1), torch.Generator().manual_seed(0)).flatten().diff()
        tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """

    moves = True

    def __init__(self, scale: tuple[float, float]) -> None:
        self.scale = scale

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Change float32 ``[batch, steps, channels]``."""
        last = values.shape[1] - 1
        drawn, start = uniform((2, len(values), 1), generator, values)
        reach = within(self.scale, drawn) * last
        ends = torch.linspace(0, 1, last + 1, device=values.device)
        place = (start * (last - reach) + ends * reach).clamp(max=last)
        before = place.floor()
        weight = (place - before).unsqueeze(2)
        first, second = (
            values.gather(1, index.long().clamp(max=last).unsqueeze(2).expand_as(values))
            for index in (before, before + 1)
        )
        # On a step itself, the next one has no say: it may be missing.
        return torch.where(weight == 0, first, first + weight * (second - first))

    def problem(self, field: FieldInfo) -> str:
        """Needs a series."""
        return _only_series("crop_steps", field)


def _only_series(name: str, field: FieldInfo) -> str:
    return "" if field.kind == "series" else only_for(name, "series", field)
