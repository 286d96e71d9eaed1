"""From small pictures back to large ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

from jumpml.graph.blocks._lazy import lazy_layers_are_meant
from jumpml.graph.blocks._sizes import check_widths
from jumpml.graph.blocks._upsample import enlarged

if TYPE_CHECKING:
    from collections.abc import Sequence


@final
class UNetDecoder(nn.Module):
    """Enlarges the smallest of an encoder's pictures level by level, each time beside the encoder's own of that size.

    Ronneberger et al. 2015 (https://arxiv.org/abs/1505.04597), with bilinear enlarging and batch normalization. A node
    lists the encoder's levels, the largest first: ``inputs: [encoder.0, encoder.1, encoder.2]``, where ``encoder`` is a
    `ResNet` or a `ConvNeXt` with ``levels: true``. A `PixelHead` behind it gives a class a pixel.

    Shapes: ``[batch, channels, height, width]`` of each level, from large to small, to ``[batch, widths[0], height,
    width]`` of the first; the numbers of channels are taken from the graph. Initialisation: that of
    ``torch.nn.Conv2d``.

    Args:
        widths: The channels at each level but the smallest, the largest first.

    Raises:
        ValueError: ``widths`` is empty, or a width is no whole number of 1 or more; or, when it is called, there are
            not as many pictures as widths and one.

    Example:
        >>> large, small = torch.zeros(4, 8, 28, 28), torch.zeros(4, 16, 14, 14)
        >>> UNetDecoder([8])(large, small).shape
        torch.Size([4, 8, 28, 28])
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        check_widths(widths)
        with lazy_layers_are_meant():
            self.layers = nn.ModuleList(
                nn.Sequential(
                    # No bias: batch normalization subtracts the mean at once.
                    nn.LazyConv2d(width, 3, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(),
                    nn.Conv2d(width, width, 3, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(),
                )
                for width in widths
            )

    def forward(self, *levels: Tensor) -> Tensor:
        """A picture as large as the first."""
        if len(levels) != len(self.layers) + 1:
            raise ValueError(
                f"UNetDecoder of {len(self.layers)} widths reads {len(self.layers) + 1} pictures; got {len(levels)}."
            )
        values = levels[-1]
        for layer, skipped in zip(reversed(self.layers), reversed(levels[:-1]), strict=True):
            values = layer(torch.cat([enlarged(values, skipped), skipped], 1))
        return values
