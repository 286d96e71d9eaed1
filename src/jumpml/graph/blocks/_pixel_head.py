"""The layer that a task at pixels ends in."""

from __future__ import annotations

from typing import ClassVar, final

from torch import nn

from jumpml.graph.blocks._lazy import lazy_layers_are_meant
from jumpml.graph.blocks._sizes import check_sizes


@final
class PixelHead(nn.LazyConv2d):
    """A linear layer at each pixel; in a model file it is as wide as its task has classes.

    It is a convolution of 1 by 1 (Long et al. 2015, https://arxiv.org/abs/1411.4038). In a model file ``out_channels``
    may be left out: it is then the number of classes of the segmentation task whose output this is. Once the graph is
    built the module is a plain ``torch.nn.Conv2d``.

    Shapes: ``[batch, channels, height, width]`` to ``[batch, out_channels, height, width]``. Initialisation: that of
    ``torch.nn.Conv2d``.

    Args:
        out_channels: The channels of the output, one a class.

    Raises:
        ValueError: ``out_channels`` is no whole number of 1 or more.

    Example:
        >>> import torch
        >>> PixelHead(3)(torch.zeros(2, 8, 16, 16)).shape
        torch.Size([2, 3, 16, 16])
    """

    width_of_task: ClassVar[str] = "out_channels"

    def __init__(self, out_channels: int) -> None:
        check_sizes(out_channels=out_channels)
        with lazy_layers_are_meant():
            super().__init__(out_channels, kernel_size=1)
