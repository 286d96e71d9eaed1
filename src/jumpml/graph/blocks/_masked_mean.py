"""The mean of a text's tokens."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn


@final
class MaskedMean(nn.Module):
    """The mean over those positions that the mask marks: a text's tokens without its padding.

    It is how Iyyer et al. 2015 (https://aclanthology.org/P15-1162/) read a text for their deep averaging network. A
    node lists the value first, then the mask: ``inputs: [embedded, message.mask]``. A text without tokens gives zeros.

    Shapes: values ``[batch, length, channels]`` and the mask ``[batch, length]``, bool, to ``[batch, channels]``.

    Raises:
        ValueError: When it is called: the mask is not bool, or does not go with the values.

    Example:
        >>> values, mask = torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[True, True, False]])
        >>> MaskedMean()(values, mask)
        tensor([[2.]])
    """

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """One vector a text."""
        if values.ndim != 3 or mask.shape != values.shape[:2] or mask.dtype != torch.bool:
            raise ValueError(
                "MaskedMean reads values [batch, length, channels] and a mask [batch, length] of bool; got "
                f"{list(values.shape)} and {list(mask.shape)} {str(mask.dtype).removeprefix('torch.')}."
            )
        marked = mask.unsqueeze(2)
        # Not a product: what stands at padding counts for nothing, whatever it is.
        return values.masked_fill(~marked, 0.0).sum(1) / marked.sum(1).clamp(min=1).to(values.dtype)
