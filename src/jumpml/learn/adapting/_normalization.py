"""Batch normalization by the statistics of the rows that come, beside those of training."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from jumpml.core import LearnerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from jumpml.graph import Model

AFFINE = (_BatchNorm, _InstanceNorm, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def norms_of(model: Model) -> dict[str, _BatchNorm]:
    """By name, the layers that normalize by statistics of training on the way to a task's output."""
    behind = model.behind(task.output for task in model.tasks.values())
    predicting = {id(part) for node in behind & model.reads.keys() for part in model.node(node).modules()}
    own = {id(buffer) for buffer in model.buffers()}
    return {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, _BatchNorm)
        and id(layer) in predicting  # a projector of an objective predicts nothing
        and layer.running_mean is not None
        and id(layer.running_mean) in own
    }


def foreign_rows(model: Model) -> str:
    """Why a batch's statistics would be of more than its rows; empty where they are not."""
    lacking = sorted(name for name, info in model.fields.items() if info.lacking and name in model.inputs)
    if not lacking:
        return ""
    return f"some data sets lack {', '.join(lacking)}, and their rows would count in the statistics of what reads it."


def moments(value: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel, ``[channels]``.

    Args:
        value: ``[batch, channels, ...]``.
    """
    axes = [axis for axis in range(value.ndim) if axis != 1]
    variance, mean = torch.var_mean(value, axes, correction=0)
    return mean, variance


class OneRowError(LearnerError):
    """A batch of one row has no variance."""


class Normalizer:
    """Normalizes each batch by the statistics of all rows that were seen, among which those of training count as some.

    Means and variances are those of all rows pooled, so that the distance between two means adds to the variance.

    Args:
        model: Its layers' statistics are moved.
        prior: So many rows the statistics of training count as.
        memory: So many rows at most what was seen before a batch counts as; all of them where None.
    """

    def __init__(self, model: Model, *, prior: float, memory: float | None) -> None:
        self._layers = norms_of(model)
        self._prior, self._memory = prior, memory
        self._alone = {id(part) for name in model.need_two_rows for part in model.node(name).modules()}
        self.seen = prior

    @property
    def moved(self) -> list[str]:
        """The names of the statistics in the model's ``state_dict``."""
        return [f"{name}.{part}" for name in self._layers for part in ("running_mean", "running_var")]

    def restart(self) -> None:
        """Forget how many rows were seen."""
        self.seen = self._prior

    @contextmanager
    def batch(self, rows: int, *, keep: bool = True) -> Iterator[None]:
        """Inside, what passes through the model counts as one batch, however often it does.

        Args:
            rows: The batch's.
            keep: Whether its statistics stay with the layers; without, they are its own alone.

        Raises:
            OneRowError: One row has no variance, and nothing was seen before.
        """
        before = (self.seen if self._memory is None else min(self.seen, self._memory)) if keep else 0.0
        share = rows / (rows + before)
        if rows == 1 and share == 1 and any(id(layer) in self._alone for layer in self._layers.values()):
            raise OneRowError(
                "a batch of one row has no variance to normalize by. Give larger batches, or let the statistics of "
                "training count: prior=16 takes them for those of 16 rows."
            )
        hooks = [layer.register_forward_hook(_Pooling(layer, share, keep=keep)) for layer in self._layers.values()]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
        if keep:
            self.seen = before + rows


class _Pooling:
    """Puts the output by pooled statistics in the place of a layer's own."""

    def __init__(self, layer: _BatchNorm, share: float, *, keep: bool) -> None:
        self._before = [_buffer(layer.running_mean).clone(), _buffer(layer.running_var).clone()]
        self._share, self._keep = share, keep

    def __call__(self, layer: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        value: Tensor = args[0]
        mean, variance = moments(value)
        mean_before, variance_before = self._before
        apart, share = mean - mean_before, self._share
        mean = mean_before + share * apart if share < 1 else mean
        variance = torch.lerp(variance_before, variance, share) + share * (1 - share) * apart.square()
        if self._keep:
            with torch.no_grad():
                _buffer(layer.running_mean).copy_(mean)
                _buffer(layer.running_var).copy_(variance)
        shape = [1, -1, *[1] * (value.ndim - 2)]
        normal = (value - mean.view(shape)) * (variance + layer.eps).rsqrt().view(shape)  # pyright: ignore
        if layer.weight is None:
            return normal
        return normal * layer.weight.view(shape) + layer.bias.view(shape)  # pyright: ignore


def _buffer(value: Any) -> Tensor:
    return value
