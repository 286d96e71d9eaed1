"""Layers with a branch of low rank beside their weights."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@final
class LowRankLinear(nn.Linear):
    """A linear layer whose weights stay, with a product of two small matrices beside them that learns.

    Hu et al. 2021 (https://arxiv.org/abs/2106.09685); the second matrix is zero at first. Weight and bias are those of
    the layer whose place it takes, under their names.

    Args:
        layer: That layer.
        rank: Of the product.
    """

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight, self.bias = layer.weight, layer.bias
        like = {"device": layer.weight.device, "dtype": layer.weight.dtype}
        self.down = nn.Parameter(_drawn((rank, layer.in_features)).to(**like))
        self.up = nn.Parameter(torch.zeros((layer.out_features, rank), **like))
        self.train(layer.training)

    def kept(self) -> list[Tensor]:
        """The parameters that do not train."""
        return [parameter for parameter in (self.weight, self.bias) if parameter is not None]

    def forward(self, input: Tensor) -> Tensor:
        """What the layer gives, and the branch."""
        return F.linear(input, self.weight, self.bias) + F.linear(F.linear(input, self.down), self.up)

    def merged(self) -> nn.Linear:
        """A plain layer that computes the same."""
        made = nn.Linear(self.in_features, self.out_features, self.bias is not None, device="meta")
        made.weight, made.bias = nn.Parameter((self.weight + self.up @ self.down).detach()), self.bias
        return made.train(self.training)


@final
class LowRankConvolution(nn.Module):
    """A convolution whose weights stay, with one of few channels beside it, and one by one back, that learn.

    Args:
        layer: The convolution whose place it takes, in one group; its weight and bias are its own, under their names.
        rank: The channels between.
    """

    def __init__(self, layer: nn.modules.conv._ConvNd, rank: int) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        self.stride, self.padding, self.dilation = layer.stride, layer.padding, layer.dilation
        self.padding_mode, self.kernel_size = layer.padding_mode, layer.kernel_size
        like = {"device": layer.weight.device, "dtype": layer.weight.dtype}
        self.down = nn.Parameter(_drawn((rank, *layer.weight.shape[1:])).to(**like))
        self.up = nn.Parameter(torch.zeros((layer.weight.shape[0], rank, *[1] * len(layer.kernel_size)), **like))
        self.train(layer.training)

    def kept(self) -> list[Tensor]:
        """The parameters that do not train."""
        return [parameter for parameter in (self.weight, self.bias) if parameter is not None]

    def forward(self, input: Tensor) -> Tensor:
        """What the layer gives, and the branch."""
        convolve: Any = (F.conv1d, F.conv2d, F.conv3d)[self.weight.ndim - 3]
        inner = convolve(input, self.down, None, self.stride, self.padding, self.dilation)
        return convolve(input, self.weight, self.bias, self.stride, self.padding, self.dilation) + convolve(
            inner, self.up
        )

    def merged(self) -> nn.modules.conv._ConvNd:
        """A plain convolution that computes the same."""
        cls: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[self.weight.ndim - 3]
        made = cls(
            self.weight.shape[1],
            self.weight.shape[0],
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            bias=self.bias is not None,
            device="meta",
        )
        added = torch.einsum("or,r...->o...", self.up.flatten(1), self.down)
        made.weight, made.bias = nn.Parameter((self.weight + added).detach()), self.bias
        return made.train(self.training)


ADAPTERS = (LowRankLinear, LowRankConvolution)


def _drawn(shape: tuple[int, ...]) -> Tensor:
    bound = torch.Size(shape[1:]).numel() ** -0.5
    return torch.empty(shape).uniform_(-bound, bound)
