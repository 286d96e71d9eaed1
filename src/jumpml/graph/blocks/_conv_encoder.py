"""A small convolutional network from a picture to a vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from torch import Tensor, nn

from jumpml.graph.blocks._lazy import lazy_layers_are_meant
from jumpml.graph.blocks._pictures import check_pictures
from jumpml.graph.blocks._residual import Residual, width_of
from jumpml.graph.blocks._sizes import check_sizes, check_widths

if TYPE_CHECKING:
    from collections.abc import Sequence


@final
class ConvEncoder(nn.Module):
    """Levels of two convolutions each, halved in size from level to level, then averaged over the picture.

    The plan is VGG's (Simonyan & Zisserman 2015, https://arxiv.org/abs/1409.1556) with batch normalization (Ioffe &
    Szegedy 2015, https://arxiv.org/abs/1502.03167) between each convolution and its ReLU, where export folds it into
    the convolution. Pooling to one vector makes it independent of the picture's size.

    Shapes: ``[batch, channels, height, width]`` to ``[batch, widths[-1]]``; the number of channels is taken from the
    graph. Initialisation: that of ``torch.nn.Conv2d``.

    Args:
        widths: The channels of each level.
        kernel_size: Of every convolution; odd, so that a level keeps its size.
        dropout: The share of the output vector that is set to zero while training.

    Raises:
        ValueError: ``widths`` is empty, a width is no whole number of 1 or more, or ``kernel_size`` is even.

    Example:
        >>> import torch
        >>> ConvEncoder([8, 16])(torch.zeros(4, 1, 28, 28)).shape
        torch.Size([4, 16])
    """

    def __init__(self, widths: Sequence[int], kernel_size: int = 3, dropout: float = 0.0) -> None:
        super().__init__()
        check_widths(widths)
        check_sizes(kernel_size=kernel_size)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, so that a level keeps its size; got {kernel_size}.")
        layers: list[nn.Module] = []
        before = None
        for width in widths:
            if before is not None:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))  # ceil_mode: a picture may be as small as one pixel
            layers += [*_convolution(before, width, kernel_size), *_convolution(width, width, kernel_size)]
            before = width
        self.levels = nn.Sequential(*layers)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), *([nn.Dropout(dropout)] if dropout else []))

    def forward(self, image: Tensor) -> Tensor:
        """One vector a picture."""
        check_pictures("ConvEncoder", image)
        return self.pool(self.levels(image))

    def deepen(self) -> None:
        """Put one more layer behind the last level's, which adds zeros at first."""
        self.levels.append(Residual(width_of(self.levels), space=2))


def _convolution(before: int | None, after: int, kernel_size: int) -> list[nn.Module]:
    # No bias: batch normalization subtracts the mean at once.
    padding = kernel_size // 2
    if before is None:
        with lazy_layers_are_meant():
            convolution = nn.LazyConv2d(after, kernel_size, padding=padding, bias=False)
    else:
        convolution = nn.Conv2d(before, after, kernel_size, padding=padding, bias=False)
    return [convolution, nn.BatchNorm2d(after), nn.ReLU()]
