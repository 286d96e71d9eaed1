"""Layers scaled one after the other, so that what comes out of each varies as much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from jumpml.evaluate import evaluation_mode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.graph import Model
    from jumpml.learn.initial._schemes import LSUV

Layers = dict[tuple[str, str], tuple[nn.Module, "LSUV"]]  # by node and path within it, and how each is scaled


class _ReachedError(Exception):
    """The layer has been called, and the rest of the pass is of no use."""


def scale_layers(model: Model, batch: Mapping[str, Tensor], layers: Layers) -> dict[tuple[str, str], float | None]:
    """Scale layers in the order in which a pass comes through them, a pass a layer, in evaluation mode.

    Of a layer that is called several times, the first call counts. Rows in which an output is no number do not.

    Args:
        model: Whose they are.
        batch: What is passed.
        layers: By node and path within it, each with how it is scaled.

    Returns:
        Likewise the standard deviation of its outputs once it was scaled; None where nothing comes through it, or
        nothing that varies.
    """
    found: dict[tuple[str, str], float | None] = dict.fromkeys(layers)
    with evaluation_mode(model), torch.no_grad():
        for name in _order(model, batch, layers):
            found[name] = _scale(model, batch, name[0], *layers[name])
    return found


def _order(model: Model, batch: Mapping[str, Tensor], layers: Layers) -> list[tuple[str, str]]:
    """The layers that are called, in the order of their first calls."""
    names, called = {id(layer): name for name, (layer, _) in layers.items()}, dict[tuple[str, str], None]()
    handles = [
        layer.register_forward_pre_hook(lambda layer, _: called.setdefault(names[id(layer)]))
        for layer, _ in layers.values()
    ]
    try:
        model(batch, outputs=[*dict.fromkeys(node for node, _ in layers)])
    finally:
        for handle in handles:
            handle.remove()
    return list(called)


def _scale(model: Model, batch: Mapping[str, Tensor], node: str, layer: nn.Module, how: LSUV) -> float | None:
    given: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def catch(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        given.append((args, named))
        raise _ReachedError

    handle = layer.register_forward_pre_hook(catch, with_kwargs=True)
    try:
        model(batch, outputs=[node])
    except _ReachedError:
        pass
    finally:
        handle.remove()
    args, named = given[0]
    for _ in range(how.tries):
        deviation = _deviation(layer(*args, **named))
        if not 0 < deviation < float("inf"):
            return None
        if abs(deviation**2 - 1) <= how.tolerance:
            break
        layer.weight.data /= deviation  # pyright: ignore[reportOperatorIssue, reportArgumentType]
    return _deviation(layer(*args, **named))


def _deviation(output: Tensor) -> float:
    rows = output.flatten(1) if output.ndim > 1 else output[:, None]
    return float(rows[rows.isfinite().all(1)].double().std(correction=0))
