"""A convolutional network for sounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from torch import Tensor, nn

from jumpml.graph.blocks._lazy import lazy_layers_are_meant
from jumpml.graph.blocks._residual import Residual, width_of
from jumpml.graph.blocks._sizes import check_sizes, check_widths

if TYPE_CHECKING:
    from collections.abc import Sequence


@final
class AudioCNN(nn.Module):
    """Convolutions over samples as they are, a quarter as many from level to level, then averaged over time.

    The plan is that of Dai et al. 2017 (https://arxiv.org/abs/1610.00087): a first convolution as long as some periods
    of a voice, which learns to be a bank of filters, then short ones, with batch normalization. For spectrograms (the
    features ``log_mel`` and ``mfcc``), which are pictures, take a `ConvEncoder` or a `ResNet`.

    Shapes: ``[batch, channels, samples]`` to ``[batch, widths[-1]]``; the number of channels is taken from the graph,
    and the number of samples may be any. Initialisation: that of ``torch.nn.Conv1d``.

    Args:
        widths: The channels of each level.
        filter_size: Samples that the first convolution sees at once.
        stride: Samples from one place of the first convolution to the next.
        dropout: The share of the output vector that is set to zero while training.

    Raises:
        ValueError: ``widths`` is empty, or a size is no whole number of 1 or more; or, when it is called, it is given
            no sounds.

    Example:
        >>> import torch
        >>> AudioCNN([16, 32])(torch.zeros(4, 1, 8000)).shape
        torch.Size([4, 32])
    """

    def __init__(self, widths: Sequence[int], filter_size: int = 80, stride: int = 4, dropout: float = 0.0) -> None:
        super().__init__()
        check_widths(widths)
        check_sizes(filter_size=filter_size, stride=stride)
        with lazy_layers_are_meant():
            first = nn.LazyConv1d(widths[0], filter_size, stride, padding=filter_size // 2, bias=False)
        layers: list[nn.Module] = [first, nn.BatchNorm1d(widths[0]), nn.ReLU()]
        for before, after in zip([widths[0], *widths[:-1]], widths, strict=True):
            # No bias: batch normalization subtracts the mean at once.
            convolution = nn.Conv1d(before, after, 3, padding=1, bias=False)
            layers += [nn.MaxPool1d(4, ceil_mode=True), convolution, nn.BatchNorm1d(after), nn.ReLU()]
        self.levels = nn.Sequential(*layers)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten(), *([nn.Dropout(dropout)] if dropout else []))

    def forward(self, sound: Tensor) -> Tensor:
        """One vector a sound."""
        if sound.ndim != 3:
            raise ValueError(f"AudioCNN reads sounds [batch, channels, samples]; got {list(sound.shape)}.")
        return self.pool(self.levels(sound))

    def deepen(self) -> None:
        """Put one more layer behind the last level's, which adds zeros at first."""
        self.levels.append(Residual(width_of(self.levels), space=1))
