"""A model without values: copies of its modules on the meta device, through which only sizes and types flow."""

from __future__ import annotations

import copy
from types import MethodType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable


def ghost(module: nn.Module, recurrent: Callable[[nn.RNNBase, Tensor], object] = lambda *_: None) -> nn.Module:
    """A copy in evaluation mode with all tensors on the meta device: none of the module's own is copied.

    It shares nothing with the module, so that whatever a module keeps for itself stays as it is. Recurrent layers,
    which torch would run step by step there, give empty tensors of the sizes that they would give.

    Args:
        module: Any module that is not lazy.
        recurrent: Is told of each call of a recurrent layer: the layer, and the series that it reads.
    """
    tensors = [*module.parameters(), *module.buffers()]
    tensors += [value for part in module.modules() for value in vars(part).values() if isinstance(value, Tensor)]
    copied = copy.deepcopy(module, {id(tensor): _empty(tensor) for tensor in tensors}).eval()
    for part in copied.modules():
        if isinstance(part, nn.RNNBase):
            part.forward = MethodType(_recurrent(recurrent), part)
    return copied


def _empty(tensor: Tensor) -> Tensor:
    empty = torch.empty_like(tensor, device="meta", requires_grad=False)
    return nn.Parameter(empty, requires_grad=False) if isinstance(tensor, nn.Parameter) else empty


def _recurrent(told: Callable[[nn.RNNBase, Tensor], object]) -> Callable[..., Any]:
    def forward(self: nn.RNNBase, input: Tensor, hx: object = None) -> tuple[Tensor, Any]:
        told(self, input)
        directions = 2 if self.bidirectional else 1
        width = self.proj_size or self.hidden_size
        rows = input.shape[0 if self.batch_first else 1]
        states = [input.new_empty(self.num_layers * directions, rows, size) for size in (width, self.hidden_size)]
        output = input.new_empty(*input.shape[:-1], directions * width)
        return output, tuple(states) if isinstance(self, nn.LSTM) else states[0]

    return forward
