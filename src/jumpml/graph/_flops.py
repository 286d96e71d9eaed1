"""How much a node computes a row."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from jumpml.graph._ghost import ghost
from jumpml.graph._inferred import ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.core import ValueInfo
    from jumpml.graph._wiring import Wiring

_GATES = {nn.LSTM: 4, nn.GRU: 3, nn.RNN: 1}


def count_flops(
    modules: Mapping[str, nn.Module],
    wiring: Wiring,
    values: Mapping[str, ValueInfo],
    keys: Mapping[str, int | str],
) -> dict[str, int | None]:
    """Floating point operations of a forward pass, by node, for one row.

    As torch counts them: of matrix products, convolutions, attention and recurrent layers, where a multiplication and
    an addition are two; what is done element by element counts nothing. Nothing is computed for it: sizes flow through
    copies of the modules on the meta device.

    Args:
        modules: By node.
        wiring: The graph's edges.
        values: Shape and type of every input, node and part.
        keys: By ``node.part``, the index or key that picks it.

    Returns:
        By node; None where a module cannot run without values, or outside torch.
    """
    flops: dict[str, int | None] = {}
    with torch.device("meta"), torch.no_grad():
        results: dict[str, Any] = {
            name: torch.empty((ROWS, *value.shape), dtype=getattr(torch, value.dtype)) for name, value in values.items()
        }
        for name in wiring.order:
            try:
                lacking = {read for read in wiring.optional[name] if wiring.names.split(read)[0] not in results}
                read = [
                    None if reference in lacking else _read(reference, wiring, results, keys)
                    for reference in wiring.reads[name]
                ]
                flops[name], results[name] = _count(modules[name], read, wiring.arguments[name])
            except Exception:  # any module may fail in any way
                flops[name] = None
    return flops


def _read(reference: str, wiring: Wiring, results: Mapping[str, Any], keys: Mapping[str, int | str]) -> Any:
    name, part = wiring.names.split(reference)
    if reference in results or part is None:
        return results[reference if reference in results else name]
    return results[name][keys[reference]]


def _count(module: nn.Module, read: list[Any], arguments: tuple[str, ...] | None) -> tuple[int, Any]:
    from torch.utils.flop_counter import FlopCounterMode

    recurrent: list[int] = []
    copied = ghost(module, lambda layer, series: recurrent.append(_recurrent(layer, series)))
    with FlopCounterMode(display=False) as counter:
        result = copied(*read) if arguments is None else copied(**dict(zip(arguments, read, strict=True)))
    return (counter.get_total_flops() + sum(recurrent)) // ROWS, result


def _recurrent(layer: nn.RNNBase, series: Tensor) -> int:
    """The products of a layer's weights with its input and with its state, at every step of every row."""
    gates = next(gates for kind, gates in _GATES.items() if isinstance(layer, kind))
    directions = 2 if layer.bidirectional else 1
    width = layer.proj_size or layer.hidden_size
    total = 0
    for place in range(layer.num_layers):
        read = layer.input_size if place == 0 else directions * width
        step = gates * layer.hidden_size * (read + width) + layer.hidden_size * layer.proj_size
        total += 2 * directions * step
    return total * prod(series.shape[:-1])
