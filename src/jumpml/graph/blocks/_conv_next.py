"""A convolutional network in the manner of transformers."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

from jumpml.graph.blocks._lazy import lazy_layers_are_meant
from jumpml.graph.blocks._pictures import WholePatches, check_pictures, layers_by_level
from jumpml.graph.blocks._sizes import check_sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

SCALE = 1e-6  # of what a layer adds at first; the paper's


@final
class ConvNeXt(nn.Module):
    """Levels of layers that mix places by a depthwise 7 by 7 convolution and channels by a small network.

    Liu et al. 2022 (https://arxiv.org/abs/2201.03545), without its stochastic depth. The picture is cut into patches,
    and halved in size from level to level.

    Shapes: ``[batch, channels, height, width]`` to ``[batch, widths[-1]]``, normalized; with ``levels``, a tuple of
    each level's picture, ``[batch, widths[i], height / patch / 2**i, width / patch / 2**i]`` rounded up, which nodes
    read as ``node.0``, ``node.1`` and so on. The number of channels is taken from the graph. Initialisation: that of
    ``torch.nn.Conv2d`` and ``torch.nn.Linear``, and what a layer adds is scaled by 1e-6 at first.

    Args:
        widths: The channels of each level.
        layers: Layers a level: one number for all, or one each.
        patch: Height and width of a patch, in pixels.
        dropout: The share of the output vector that is set to zero while training.
        levels: Whether to give every level's picture in the place of one vector.

    Raises:
        ValueError: ``widths`` is empty, a size is no whole number of 1 or more, or there is another number of
            ``layers`` than of levels; or, when it is called, it is given no pictures.

    Example:
        >>> ConvNeXt([8, 16], layers=1)(torch.zeros(4, 1, 28, 28)).shape
        torch.Size([4, 16])
    """

    def __init__(
        self,
        widths: Sequence[int],
        layers: int | Sequence[int] = 2,
        patch: int = 2,
        dropout: float = 0.0,
        *,
        levels: bool = False,
    ) -> None:
        super().__init__()
        counts = layers_by_level(widths, layers)
        check_sizes(patch=patch)
        with lazy_layers_are_meant():
            shrinks: list[nn.Module] = [
                nn.Sequential(WholePatches(patch), nn.LazyConv2d(widths[0], patch, patch), _Norm(widths[0]))
            ]
        for before, after in pairwise(widths):
            shrinks.append(nn.Sequential(_Norm(before), WholePatches(2), nn.Conv2d(before, after, 2, 2)))
        self.levels = nn.ModuleList(
            nn.Sequential(shrink, *(_Layer(width) for _ in range(count)))
            for shrink, width, count in zip(shrinks, widths, counts, strict=True)
        )
        pool = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(widths[-1]))
        self.pool = None if levels else nn.Sequential(*pool, *([nn.Dropout(dropout)] if dropout else []))

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        """One vector a picture, or every level's picture."""
        check_pictures("ConvNeXt", image)
        values, found = image, []
        for level in self.levels:
            values = level(values)
            found.append(values)
        return tuple(found) if self.pool is None else self.pool(values)


@final
class _Norm(nn.Module):
    """A layer normalization of each place's channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, values: Tensor) -> Tensor:
        return self.norm(values.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@final
class _Layer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.places = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.channels = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.scale = nn.Parameter(torch.full((width,), SCALE))

    def forward(self, values: Tensor) -> Tensor:
        added = self.channels(self.places(values).permute(0, 2, 3, 1)) * self.scale
        return values + added.permute(0, 3, 1, 2)
