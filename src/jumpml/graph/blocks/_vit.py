"""A transformer over the patches of a picture."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from jumpml.graph.blocks._attention import Attention
from jumpml.graph.blocks._lazy import lazy_layers_are_meant
from jumpml.graph.blocks._pictures import WholePatches, check_pictures
from jumpml.graph.blocks._sizes import check_sizes
from jumpml.graph.blocks._transformer import TransformerLayer, deepened, temper

SLOWEST = 10_000.0  # of the sines: the longest wavelength over the shortest


@final
class ViT(nn.Module):
    """A picture cut into patches, each a vector, read by a transformer and averaged.

    Dosovitskiy et al. 2021 (https://arxiv.org/abs/2010.11929) in the plainer form of Beyer et al. 2022
    (https://arxiv.org/abs/2205.01580): fixed sines of height and width tell where a patch lies, and the mean takes the
    place of a class token. So a picture may have any size.

    Shapes: ``[batch, channels, height, width]`` to ``[batch, width]``, or with ``tokens`` to ``[batch, patches,
    width]``, row by row. The number of channels is taken from the graph. Initialisation: that of ``torch.nn.Conv2d``
    and ``torch.nn.Linear``, what each layer adds divided by ``sqrt(2 * depth)``.

    Args:
        patch: Height and width of a patch, in pixels.
        width: Of the vectors; a multiple of ``heads`` and of 4.
        depth: How many layers.
        heads: Of each layer's attention.
        expand: How many times wider than the vectors the inner layer of each patch's network is.
        dropout: The share of what is added, and of attention weights, that is set to zero while training.
        tokens: Whether to give every patch's vector in the place of their mean.

    Raises:
        ValueError: A size is no whole number of 1 or more, or ``width`` no multiple of ``heads`` and of 4; or, when
            it is called, it is given no pictures.

    Example:
        >>> ViT(patch=4, width=32, depth=2, heads=4)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 32])
    """

    def __init__(
        self,
        patch: int,
        width: int,
        depth: int,
        heads: int,
        *,
        expand: float = 4.0,
        dropout: float = 0.0,
        tokens: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(patch=patch, width=width, depth=depth)
        if width % 4:
            raise ValueError(f"width must be a multiple of 4; got {width}.")
        with lazy_layers_are_meant():
            self.inward = nn.Sequential(WholePatches(patch), nn.LazyConv2d(width, patch, patch))
        self.layers = temper(
            [
                TransformerLayer(
                    width, Attention(width, heads, dropout=dropout), hidden=int(width * expand), dropout=dropout
                )
                for _ in range(depth)
            ]
        )
        self.norm = nn.LayerNorm(width)
        self.tokens = tokens

    def forward(self, image: Tensor) -> Tensor:
        """One vector a picture, or a patch."""
        check_pictures("ViT", image)
        patches = self.inward(image)
        values = (patches + sines(patches)).flatten(2).transpose(1, 2)
        for layer in self.layers:
            values = layer(values)
        values = self.norm(values)
        return values if self.tokens else values.mean(1)

    def deepen(self) -> None:
        """Put one more layer behind the others, which adds zeros at first."""
        deepened(self.layers)


def sines(patches: Tensor) -> Tensor:
    """Where each place of a picture lies, ``[width, rows, columns]``: sines and cosines of its row and its column.

    Args:
        patches: ``[batch, width, rows, columns]``, whose width is a multiple of 4.
    """
    width, rows, columns = patches.shape[1:]
    quarter = width // 4
    speeds = SLOWEST ** (-torch.arange(quarter, device=patches.device, dtype=torch.float32) / max(quarter - 1, 1))
    row = torch.arange(rows, device=patches.device, dtype=torch.float32)[None, :, None] * speeds[:, None, None]
    column = torch.arange(columns, device=patches.device, dtype=torch.float32)[None, None, :] * speeds[:, None, None]
    row, column = row.expand(-1, -1, columns), column.expand(-1, rows, -1)
    return torch.cat([row.sin(), row.cos(), column.sin(), column.cos()]).to(patches.dtype)
