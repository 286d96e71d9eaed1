"""Nodes whose input some rows of a batch do not have."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def on_rows(
    module: nn.Module, call: Callable[..., Any], rows: Tensor, two: bool, alone: bool, /, *values: Any, **named: Any
) -> Any:
    """Call a module for some rows of a batch; zeros stand at the others.

    In evaluation rows do not see each other: all are computed, and the others are zeroed, which asks nothing of the
    device. In training the module gets those rows alone, so that no statistic over the batch counts the others; how
    many they are is a shape, which the device is asked for.

    Args:
        module: Whose mode says which.
        call: The module, or what calls it.
        rows: bool ``[batch]``, the rows that have all that it reads.
        two: Whether it cannot train on a single row; one such row is computed as in evaluation.
        alone: Whether it gets those rows alone in evaluation too, since it tells a loss of all that it was given.
        values: Its positional arguments.
        named: Its named ones.
    """
    if not (module.training or alone):
        return _zeroed(call(*values, **named), rows)
    chosen = rows.nonzero().squeeze(1)
    if len(chosen) == len(rows):
        return call(*values, **named)
    if len(chosen) == 0:
        with _evaluating(module):  # for the shapes, and for gradients, which are zero
            first = chosen.new_zeros(1)
            return _spread(call(*_taken(values, rows, first), **_taken(named, rows, first)), rows, chosen)
    values, named = _taken(values, rows, chosen), _taken(named, rows, chosen)
    if len(chosen) == 1 and two:
        with _evaluating(module):
            return _spread(call(*values, **named), rows, chosen)
    return _spread(call(*values, **named), rows, chosen)


def at_rows(value: Tensor, rows: Tensor) -> Tensor:
    """A loss that a module brings of the rows that it was given, at their places; nothing where there were none.

    Args:
        value: A loss a row, or a scalar.
        rows: bool ``[batch]``, as in `on_rows`.
    """
    if value.ndim == 0:
        return value * rows.any()
    return value if len(value) == len(rows) else _spread(value, rows, rows.nonzero().squeeze(1))


def _taken(values: Any, rows: Tensor, chosen: Tensor) -> Any:
    def take(value: Any) -> Any:
        return value[chosen] if isinstance(value, Tensor) and value.shape[:1] == rows.shape else value

    return tree_map(take, values)


def _spread(output: Any, rows: Tensor, chosen: Tensor) -> Any:
    """What was computed of the chosen rows at their places, and zeros elsewhere."""

    def put(value: Any) -> Any:
        if not isinstance(value, Tensor) or value.shape[:1] != (max(1, len(chosen)),):
            return value
        empty = value.new_zeros((len(rows), *value.shape[1:]))
        return empty.index_copy(0, chosen, value[: len(chosen)])

    return tree_map(put, output)


def _zeroed(output: Any, rows: Tensor) -> Any:
    def zero(value: Any) -> Any:
        if not isinstance(value, Tensor) or value.shape[:1] != rows.shape:
            return value
        return torch.where(rows.view(-1, *[1] * (value.ndim - 1)), value, value.new_zeros(()))

    return tree_map(zero, output)


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
