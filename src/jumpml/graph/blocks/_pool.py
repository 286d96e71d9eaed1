"""Many vectors as one."""

from __future__ import annotations

from typing import Literal, final

import torch
from torch import Tensor, nn

from jumpml.graph.blocks._lazy import lazy_layers_are_meant
from jumpml.graph.blocks._sequences import check_sequence

Kind = Literal["mean", "max", "last", "attention"]
KINDS = ("mean", "max", "last", "attention")


@final
class Pool(nn.Module):
    """One vector of a sequence's vectors, or of a picture's places: of those that the mask marks, if there is one.

    A node lists the vectors first, then the mask: ``inputs: [words, message.mask]``. Averaging a text's tokens is how
    Iyyer et al. 2015 (https://aclanthology.org/P15-1162/) read it. What stands elsewhere counts for nothing, whatever
    it is; a text without tokens gives zeros.

    Shapes: ``[batch, length, channels]``, and a mask ``[batch, length]``, bool, or ``[batch, channels, height, width]``
    to ``[batch, channels]``. Initialisation: that of ``torch.nn.Linear``, for ``attention``.

    Args:
        kind: ``mean``; ``max``, channel by channel; ``last``, the last vector; or ``attention``, a mean whose weights
            are a softmax of a learned score of each vector (Ilse et al. 2018, https://arxiv.org/abs/1802.04712).

    Raises:
        ValueError: There is no such kind; or, when it is called, the mask does not go with the vectors.

    Example:
        >>> values, mask = torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[True, True, False]])
        >>> Pool()(values, mask), Pool("max")(values)
        (tensor([[2.]]), tensor([[9.]]))
    """

    def __init__(self, kind: Kind = "mean") -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}.")
        self.kind = kind
        if kind == "attention":
            with lazy_layers_are_meant():
                self.score = nn.LazyLinear(1)

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """One vector a row."""
        if values.ndim == 4 and mask is None:
            values = values.flatten(2).transpose(1, 2)
        check_sequence("Pool", values, mask)
        if mask is None:
            return self._pooled(values)
        # Not a product: what stands at padding counts for nothing, whatever it is.
        kept = values.masked_fill(~mask.unsqueeze(2), 0.0)
        return self._marked(kept, mask).masked_fill(~mask.any(1, keepdim=True), 0.0)

    def extra_repr(self) -> str:
        """What `print` shows between the brackets."""
        return self.kind

    def _pooled(self, values: Tensor) -> Tensor:
        if self.kind == "mean":
            return values.mean(1)
        if self.kind == "max":
            return values.amax(1)
        if self.kind == "last":
            return values[:, -1]
        return (self.score(values).softmax(1) * values).sum(1)

    def _marked(self, values: Tensor, mask: Tensor) -> Tensor:
        marked = mask.unsqueeze(2)
        if self.kind == "mean":
            return values.sum(1) / marked.sum(1).clamp(min=1).to(values.dtype)
        if self.kind == "max":
            return values.masked_fill(~marked, torch.finfo(values.dtype).min).amax(1)
        if self.kind == "last":
            return values.gather(1, last_place(mask)[:, None, None].expand(-1, 1, values.shape[2])).squeeze(1)
        scores = self.score(values)  # in bfloat16 under autocast, whatever the values are
        weights = scores.masked_fill(~marked, torch.finfo(scores.dtype).min).softmax(1)
        return (weights * values).sum(1)


def last_place(mask: Tensor) -> Tensor:
    """The last place that a mask marks, int64 ``[batch]``; 0 where it marks none."""
    return (torch.arange(mask.shape[1], device=mask.device) * mask).amax(1)
