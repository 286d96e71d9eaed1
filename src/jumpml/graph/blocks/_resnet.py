"""A residual network for pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

from jumpml.graph.blocks._lazy import lazy_layers_are_meant
from jumpml.graph.blocks._pictures import check_pictures, layers_by_level

if TYPE_CHECKING:
    from collections.abc import Sequence


@final
class ResNet(nn.Module):
    """Levels of residual layers, halved in size from level to level, then averaged over the picture.

    He et al. 2016 (https://arxiv.org/abs/1512.03385), in the form for small pictures: one 3 by 3 convolution first,
    then two of them in each residual layer, with batch normalization. ``widths=[16, 32, 64], layers=3`` is the paper's
    ResNet-20. A shortcut between levels is a 1 by 1 convolution.

    Shapes: ``[batch, channels, height, width]`` to ``[batch, widths[-1]]``; with ``levels``, a tuple of each level's
    picture, ``[batch, widths[i], height / 2**i, width / 2**i]`` rounded up, which nodes read as ``node.0``, ``node.1``
    and so on. The number of channels is taken from the graph. Initialisation: He et al. 2015
    (https://arxiv.org/abs/1502.01852), and each residual layer's last scale 0, so that it begins as its shortcut (Goyal
    et al. 2017, https://arxiv.org/abs/1706.02677).

    Args:
        widths: The channels of each level.
        layers: Residual layers a level: one number for all, or one each.
        dropout: The share of the output vector that is set to zero while training.
        levels: Whether to give every level's picture in the place of one vector.

    Raises:
        ValueError: ``widths`` is empty, a size is no whole number of 1 or more, or there is another number of
            ``layers`` than of levels; or, when it is called, it is given no pictures.

    Example:
        >>> ResNet([8, 16], layers=1)(torch.zeros(4, 1, 28, 28)).shape
        torch.Size([4, 16])
        >>> [list(picture.shape) for picture in ResNet([8, 16], layers=1, levels=True)(torch.zeros(4, 1, 28, 28))]
        [[4, 8, 28, 28], [4, 16, 14, 14]]
    """

    def __init__(
        self, widths: Sequence[int], layers: int | Sequence[int] = 2, dropout: float = 0.0, *, levels: bool = False
    ) -> None:
        super().__init__()
        counts = layers_by_level(widths, layers)
        with lazy_layers_are_meant():
            first = nn.LazyConv2d(widths[0], 3, padding=1, bias=False)
        self.stem = nn.Sequential(first, nn.BatchNorm2d(widths[0]), nn.ReLU())
        before = [widths[0], *widths[:-1]]
        self.levels = nn.ModuleList(
            _level(*level, stride=1 if place == 0 else 2)
            for place, level in enumerate(zip(before, widths, counts, strict=True))
        )
        pool = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.pool = None if levels else nn.Sequential(*pool, *([nn.Dropout(dropout)] if dropout else []))

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        """One vector a picture, or every level's picture."""
        check_pictures("ResNet", image)
        values, found = self.stem(image), []
        for level in self.levels:
            values = level(values)
            found.append(values)
        return tuple(found) if self.pool is None else self.pool(values)

    def deepen(self) -> None:
        """Put one more layer behind those of the last level, which begins as its shortcut."""
        width = self.levels[-1][-1].last.num_features  # type: ignore[index]
        self.levels[-1].append(_ResidualLayer(width, width, 1))  # type: ignore[operator]


@final
class _ResidualLayer(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.added = nn.Sequential(
            _convolution(before, after, 3, stride), nn.BatchNorm2d(after), nn.ReLU(), _convolution(after, after, 3)
        )
        self.last = nn.BatchNorm2d(after)
        nn.init.zeros_(self.last.weight)
        self.shortcut = (
            nn.Identity()
            if before == after and stride == 1
            else nn.Sequential(_convolution(before, after, 1, stride), nn.BatchNorm2d(after))
        )

    def forward(self, values: Tensor) -> Tensor:
        return torch.relu(self.last(self.added(values)) + self.shortcut(values))


def _level(before: int, after: int, layers: int, *, stride: int) -> nn.Sequential:
    rest = (_ResidualLayer(after, after, 1) for _ in range(layers - 1))
    return nn.Sequential(_ResidualLayer(before, after, stride), *rest)


def _convolution(before: int, after: int, kernel_size: int, stride: int = 1) -> nn.Conv2d:
    # No bias: batch normalization subtracts the mean at once.
    convolution = nn.Conv2d(before, after, kernel_size, stride, padding=kernel_size // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution
