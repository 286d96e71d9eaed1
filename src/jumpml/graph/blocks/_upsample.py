"""A picture in the size of another."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn
from torch.nn import functional as F


@final
class Upsample(nn.Module):
    """A picture as large as another: logits of a coarse picture for each pixel of the one that was read.

    Bilinear, as Long et al. 2015 (https://arxiv.org/abs/1411.4038) bring a class a patch to a class a pixel. A node
    lists what is enlarged, then what gives the size: ``inputs: [coarse, image]``.

    Shapes: ``[batch, channels, height, width]`` and ``[batch, any, larger height, larger width]`` to ``[batch,
    channels, larger height, larger width]``.

    Raises:
        ValueError: When it is called: one of the two is no picture.

    Example:
        >>> import torch
        >>> Upsample()(torch.zeros(4, 10, 7, 7), torch.zeros(4, 1, 28, 28)).shape
        torch.Size([4, 10, 28, 28])
    """

    def forward(self, values: Tensor, like: Tensor) -> Tensor:
        """The picture, enlarged."""
        if values.ndim != 4 or like.ndim != 4:
            raise ValueError(
                "Upsample reads two pictures [batch, channels, height, width]; got "
                f"{list(values.shape)} and {list(like.shape)}."
            )
        return enlarged(values, like)


def enlarged(values: Tensor, like: Tensor) -> Tensor:
    """A picture in the size of another."""
    return F.interpolate(values, size=like.shape[2:], mode="bilinear", align_corners=False)
