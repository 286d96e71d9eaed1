"""Which modules cannot train on a single row."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from jumpml.graph._inferred import ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn


@contextmanager
def single_values(module: nn.Module) -> Iterator[list[nn.Module]]:
    """While the pass of two rows runs, collect the batch normalizations that get one value a row in each channel.

    In training such a layer fails on a batch of one row, whose variance there is not. One that gets pictures has many
    values a row, and does not.
    """
    found: list[nn.Module] = []

    def look(layer: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        value = next(iter((*args, *named.values())), None)
        if isinstance(value, Tensor) and value.ndim > 1 and value.numel() <= ROWS * value.shape[1]:
            found.append(layer)

    layers = [part for part in module.modules() if isinstance(part, _BatchNorm)]
    hooks = [layer.register_forward_pre_hook(look, with_kwargs=True) for layer in layers]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
