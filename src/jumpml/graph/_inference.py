"""Shapes flow through the graph: lazy modules become real, and what does not fit is told by node."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from jumpml.core import GraphError, Problem, ValueInfo, refusal
from jumpml.graph._batch_first import check_batch_first
from jumpml.graph._brought import brought_by
from jumpml.graph._connect import connect_node
from jumpml.graph._fit import what_would_fit
from jumpml.graph._inferred import ROWS, Inferred, Output, describe, has_rows, info, parts_of
from jumpml.graph._inner import Inner, find_inner, tapping
from jumpml.graph._node import class_name
from jumpml.graph._norms import single_values
from jumpml.graph._random import own_draws

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from jumpml.graph._wiring import Wiring

_LOST = "Does the module average over rows, or does it want batch_first=True?"
_FIXED = f"With {ROWS} rows it passes: does it hold the number of rows fixed, as in x.view({ROWS}, -1)?"


def infer(
    modules: Mapping[str, nn.Module],
    wiring: Wiring,
    inputs: Mapping[str, ValueInfo],
    seed: int | None,
    *,
    rows: int = ROWS,
    asked: Iterable[str] = (),
    optional: bool = True,
    dtype: torch.dtype = torch.float32,
) -> Inferred:
    """Pass some rows through every node, without gradient, in evaluation mode, and without a trace.

    Lazy modules are made real on the way; with a seed their parameters depend on it and on the node's name alone.

    Args:
        modules: By node.
        wiring: The graph's edges.
        inputs: What fields look like.
        seed: Of lazy parameters.
        rows: How many pass.
        asked: References of tasks and objectives, some to inner modules of nodes.
        optional: Whether optional fields that are there are given; else all of them are None.
        dtype: Of numbers, for a model that has been brought into another precision; they are told as float32.

    Raises:
        GraphError: A node fails on its inputs, gives no tensor, or loses the batch.
    """
    parameters = (parameter for module in modules.values() for parameter in module.parameters())
    device = next((parameter.device for parameter in parameters), torch.device("cpu"))
    inferred = Inferred(dict(inputs), wiring.names, rows)
    results: dict[str, Any] = {name: some_rows(value, rows, dtype).to(device) for name, value in inputs.items()}
    inner, told = _inner_references(wiring, asked), set[int]()
    for name in wiring.order:
        module = modules[name]
        lacking = {read for read in wiring.optional[name] if _is_lacking(read, results, wiring, optional)}
        values = [None if read in lacking else _read(read, name, results, inferred) for read in wiring.reads[name]]
        known = [inferred.values[read] for read in wiring.reads[name] if read in inferred.values]
        if len(known) == len(values) and id(module) not in told:  # one that is shared is told once
            connect_node(name, module, known, wiring.arguments[name], seed)
        told.add(id(module))
        places = {read: found for read, part in inner.get(name, {}).items() if (found := find_inner(module, part))}
        check_batch_first(name, module, [value for value in values if value is not None])
        with single_values(module) as single, tapping(module, places.values()) as given:
            results[name] = _run(name, module, wiring, values, seed=seed, rows=rows)
        inferred.need_two_rows.update([name] if single else [])
        _note(name, module, results[name], inferred)
        inferred.brought.update({f"{name}.{loss}": found for loss, found in brought_by(name, module, rows).items()})
        for reference, place in places.items():
            if reference not in {**inferred.keys, **inferred.brought}:
                _note_inner(reference, place, given[place.path], results, inferred)
    if dtype != torch.float32:
        told = inferred.values.items()
        inferred.values.update({n: replace(v, dtype="float32") for n, v in told if getattr(torch, v.dtype) == dtype})
    inferred.values.update(
        {graph: inferred.values[nodes[0]] for graph, nodes in wiring.names.graphs.items() if _one(nodes, inferred)}
    )
    return inferred


def _is_lacking(reference: str, results: Mapping[str, Any], wiring: Wiring, optional: bool) -> bool:
    """Whether what is read as optional is None: it cannot be had, or is a field that shall not be."""
    name, _ = wiring.names.split(reference)
    return name not in results or (not optional and name not in wiring.names)


def _inner_references(wiring: Wiring, asked: Iterable[str]) -> dict[str, dict[str, str]]:
    """By node, the references to more than its whole output: parts of it, or what inner modules give."""
    found: dict[str, dict[str, str]] = {}
    for reference in dict.fromkeys([*asked, *(read for reads in wiring.reads.values() for read in reads)]):
        node, part = wiring.names.split(reference)
        if part is not None and node in wiring.reads:
            found.setdefault(node, {})[reference] = part
    return found


def _note_inner(
    reference: str, found: Inner, given: tuple[Any, ...], results: dict[str, Any], inferred: Inferred
) -> None:
    """What an inner module gave."""
    what = f"its inner module {found.path!r}"
    if not given:
        inferred.inner[reference] = f"{what} is not called in a pass."
        return
    parts = parts_of(given[0])
    value = given[0] if found.part is None else parts.get(str(found.part), (None, None))[1]
    if isinstance(value, Tensor) and has_rows(value, inferred.rows):
        inferred.values[reference], results[reference] = info(value), value
    else:
        more = f", whose parts are {', '.join(parts)}" if parts else ""
        text = f"{what} gives {describe(given[0])}{more}. A value is one tensor with the batch as its first axis."
        inferred.inner[reference] = text


def _one(nodes: tuple[str, ...], inferred: Inferred) -> bool:
    """Whether a nested graph stands for one value."""
    return len(nodes) == 1 and nodes[0] in inferred.values


def some_rows(value: ValueInfo, rows: int, precision: torch.dtype = torch.float32) -> Tensor:
    """Rows to try modules on: codes of 0, which every embedding has; numbers that differ, as an inverse asks for."""
    dtype = getattr(torch, value.dtype)
    if not dtype.is_floating_point:
        return torch.zeros((rows, *value.shape), dtype=dtype)
    drawn = torch.rand((rows, *value.shape), dtype=dtype, generator=torch.Generator().manual_seed(0))
    return drawn.to(precision) if dtype == torch.float32 else drawn


def _read(reference: str, reader: str, results: Mapping[str, Any], inferred: Inferred) -> Any:
    name, part = inferred.names.split(reference)
    if reference in results or part is None:
        return results[name if reference not in results else reference]
    if reference not in inferred.values:
        text = f"reads {reference!r}, but {inferred.why_not(reference)}"
        raise refusal(GraphError, [Problem(("nodes", reader, "inputs"), text)])
    return results[name][inferred.keys[reference]]


def _run(name: str, module: nn.Module, wiring: Wiring, values: list[Any], *, seed: int | None, rows: int) -> Any:
    arguments = wiring.arguments[name]
    try:
        with _no_trace(module, name, seed):
            return module(*values) if arguments is None else module(**dict(zip(arguments, values, strict=True)))
    except Exception as error:
        named = zip(wiring.reads[name], values, strict=True)
        read = ", ".join(
            f"{reference} {info(value) if has_rows(value, rows) else describe(value)}" for reference, value in named
        )
        said = f"In a pass of {rows} rows, {type(error).__name__}: {str(error).strip().rstrip('.')}."
        fix = what_would_fit(module, values, arguments, error) if rows == ROWS else _FIXED
        text = f"{class_name(type(module))} fails on {read}. {said}"
        raise refusal(GraphError, [Problem(("nodes", name), text, fix)]) from error


@contextmanager
def _no_trace(module: nn.Module, name: str, seed: int | None) -> Iterator[None]:
    """Evaluation mode without gradient; afterwards modes, buffers and torch's generator are as before.

    Only the draws of lazy parameters show, as they do in plain PyTorch, and only without a seed.
    """
    lazy = any(is_lazy(parameter) for parameter in module.parameters())
    modes = [(part, part.training) for part in module.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in module.buffers() if not is_lazy(buffer)]
    module.eval()
    try:
        with torch.no_grad(), own_draws(0 if seed is None and not lazy else seed, "lazy", name):
            yield
    finally:
        module.train(modes[0][1])  # parts that it made in the pass follow it
        for part, training in modes:
            part.training = training
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)


def _note(name: str, module: nn.Module, result: Any, inferred: Inferred) -> None:
    cls, parts = class_name(type(module)), parts_of(result)
    inferred.outputs[name] = Output(cls, {part: describe(value) for part, (_, value) in parts.items()})
    if has_rows(result, inferred.rows):
        inferred.values[name] = info(result)
    elif isinstance(result, Tensor):
        given = f"{inferred.rows} rows into {describe(result)}"
        text = f"{cls} turns {given}: the batch must stay the first axis of its output."
        raise refusal(GraphError, [Problem(("nodes", name), text, _LOST if inferred.rows == ROWS else _FIXED)])
    elif not parts:
        text = f"{cls} returns {describe(result)}; expected a tensor, or a tuple or dict of them."
        raise refusal(GraphError, [Problem(("nodes", name), text)])
    for part, (key, value) in parts.items():
        if has_rows(value, inferred.rows):
            inferred.values[f"{name}.{part}"] = info(value)
            inferred.keys[f"{name}.{part}"] = key
