"""Convolutions over time that look back."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from torch import Tensor, nn
from torch.nn import functional as F

from jumpml.graph.blocks._lazy import lazy_layers_are_meant
from jumpml.graph.blocks._sequences import check_sequence
from jumpml.graph.blocks._sizes import check_sizes, check_widths

if TYPE_CHECKING:
    from collections.abc import Sequence


@final
class TCN(nn.Module):
    """Residual layers of two convolutions that see the past alone, twice as far from layer to layer.

    Bai et al. 2018 (https://arxiv.org/abs/1803.01271), without its weight normalization. ``n`` layers see ``1 + 2 *
    (kernel_size - 1) * (2 ** n - 1)`` steps.

    Shapes: ``[batch, steps, channels]`` to ``[batch, steps, widths[-1]]``; the number of channels is taken from the
    graph. Initialisation: that of ``torch.nn.Conv1d``.

    Args:
        widths: The channels of each layer.
        kernel_size: Of every convolution.
        dropout: The share of each convolution's outputs that is set to zero while training.

    Raises:
        ValueError: ``widths`` is empty, or a size is no whole number of 1 or more; or, when it is called, it is given
            no sequence.

    Example:
        >>> import torch
        >>> TCN([8, 16])(torch.zeros(4, 24, 3)).shape
        torch.Size([4, 24, 16])
    """

    def __init__(self, widths: Sequence[int], kernel_size: int = 3, dropout: float = 0.0) -> None:
        super().__init__()
        check_widths(widths)
        check_sizes(kernel_size=kernel_size)
        self.layers = nn.Sequential(
            *(
                _Layer(None if place == 0 else widths[place - 1], width, kernel_size, 2**place, dropout)
                for place, width in enumerate(widths)
            )
        )

    def forward(self, values: Tensor) -> Tensor:
        """A vector a step, made of that step and those before it."""
        check_sequence("TCN", values)
        return self.layers(values.transpose(1, 2)).transpose(1, 2)


@final
class _Layer(nn.Module):
    def __init__(self, before: int | None, after: int, kernel_size: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.reach = (kernel_size - 1) * dilation
        with lazy_layers_are_meant():
            self.first = (
                nn.LazyConv1d(after, kernel_size, dilation=dilation)
                if before is None
                else nn.Conv1d(before, after, kernel_size, dilation=dilation)
            )
            self.shortcut = (
                nn.LazyConv1d(after, 1)
                if before is None
                else nn.Identity()
                if before == after
                else nn.Conv1d(before, after, 1)
            )
        self.second = nn.Conv1d(after, after, kernel_size, dilation=dilation)
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: Tensor) -> Tensor:
        found = values
        for convolution in (self.first, self.second):
            found = self.dropout(F.relu(convolution(F.pad(found, (self.reach, 0)))))
        return F.relu(found + self.shortcut(values))
