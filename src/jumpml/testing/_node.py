"""`check_node`: whether a module keeps the rules that nodes keep."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from jumpml.testing._case import Case, Inputs
from jumpml.testing._error import ConformanceError
from jumpml.testing._node_checks import (
    check_compiling,
    check_copying,
    check_evaluation,
    check_gradient,
    check_masks,
    check_moving,
    check_permutation,
    check_rows,
    check_saving,
    check_shapes,
)
from jumpml.testing._node_export import check_export
from jumpml.testing._run import chosen, run

NODE_CHECKS: Mapping[str, Callable[[Case], str]] = MappingProxyType(
    {
        "shapes": check_shapes,
        "rows": check_rows,
        "permutation": check_permutation,
        "evaluation": check_evaluation,
        "masks": check_masks,
        "gradient": check_gradient,
        "saving": check_saving,
        "copying": check_copying,
        "moving": check_moving,
        "compiling": check_compiling,
        "export": check_export,
    }
)


def check_node(node: nn.Module | Callable[[], nn.Module], inputs: Inputs, *, without: Collection[str] = ()) -> None:
    """Check that a module can be a node of any model: in batches of any size, saved, copied, compiled and exported.

    All checks run in evaluation mode, on copies, on the CPU; torch's global generator is left as it was.

    - ``shapes``: every output has the batch as its first axis, and is else the same for 1, 2, ... rows.
    - ``rows``: a row's output depends on no other row.
    - ``permutation``: rows in another order give the outputs in that order.
    - ``evaluation``: two calls give the same bits and change nothing in the module.
    - ``masks``: where a mask is false, values count for nothing in any output where it is true. A mask is an input of
      bool ``[batch, length]``; its values are the inputs ``[batch, length, ...]``.
    - ``gradient``: by inputs and parameters as finite differences say, in float64.
    - ``saving``: another instance that loads the ``state_dict`` computes the same.
    - ``copying``: a deep copy computes the same and shares no memory.
    - ``moving``: it runs in float64 and on the meta device.
    - ``compiling``: ``torch.compile`` takes it as one graph.
    - ``export``: as an ONNX file it computes the same in ONNX Runtime, for several numbers of rows.

    Args:
        node: A function that makes the module, or the module. From a function ``saving`` sees more: a second instance
            shares nothing with the first but its state.
        inputs: An example of what the node reads, two different rows at least, ``[batch, ...]``: a tensor, a sequence
            for positional arguments, or a mapping by argument. A mask in it should be false somewhere.
        without: Checks that do not apply, by name.

    Raises:
        ConformanceError: Checks fail; the text names each, what was expected and what came.
        ValueError: The example cannot show what is to be checked, or ``without`` names no check.

    Example:
        >>> check_node(lambda: nn.Linear(3, 2), torch.randn(4, 3), without=["export"])
        >>> class Centred(nn.Module):
        ...     def forward(self, x):
        ...         return x - x.mean(0)
        >>> try:
        ...     check_node(Centred, torch.randn(4, 3), without=["export"])
        ... except ConformanceError as error:
        ...     print(*error.findings)
        rows
    """
    checks = chosen(NODE_CHECKS, without)
    names, values, named = _example(inputs)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        torch.manual_seed(0)
        warnings.filterwarnings("ignore", message="Lazy modules are a new feature", category=UserWarning)
        case = _case(node, names, values, named)
        run(f"check_node: {type(case.module).__name__}", checks, case)


def _example(inputs: Inputs) -> tuple[tuple[str, ...], tuple[Tensor, ...], bool]:
    """Names, values, and whether they are passed by name."""
    given: dict[Any, Tensor] = (
        dict(inputs)
        if isinstance(inputs, Mapping)
        else dict(enumerate([inputs] if isinstance(inputs, Tensor) else inputs))
    )
    rows = {value.shape[0] if value.ndim else 0 for value in given.values()}
    if len(rows) != 1 or min(rows) < 2:
        shapes = ", ".join(str(list(value.shape)) for value in given.values())
        raise ValueError(f"expected inputs [batch, ...] of the same two rows or more, got {shapes or 'none'}.")
    if all(torch.equal(value, value[:1].expand_as(value)) for value in given.values()):
        raise ValueError("expected rows that differ: of equal ones no check can tell whether a node mixes them.")
    for name, value in given.items():
        if value.dtype == torch.bool and value.ndim == 2 and bool(value.all()):
            raise ValueError(f"input {name!r} is a mask that is true everywhere: make it false somewhere.")
    return tuple(map(str, given)), tuple(value.detach().cpu() for value in given.values()), isinstance(inputs, Mapping)


def _case(
    node: nn.Module | Callable[[], nn.Module], names: tuple[str, ...], values: tuple[Tensor, ...], named: bool
) -> Case:
    """The module, real, beside its example."""

    def make() -> nn.Module:
        return _scrambled(node) if isinstance(node, nn.Module) else node()

    module = (copy.deepcopy(node) if isinstance(node, nn.Module) else make()).cpu().eval()
    case = Case(module, make, names, values, named)
    try:
        case.run(values)
    except Exception as error:
        told = {"shapes": f"expected it to run on its inputs; {type(error).__name__}: {error}"}
        raise ConformanceError(f"check_node: {type(module).__name__}", told, len(NODE_CHECKS)) from error
    return case


def _scrambled(module: nn.Module) -> nn.Module:
    """A copy that has learned something else."""
    copied = copy.deepcopy(module)
    with torch.no_grad():
        for value in copied.state_dict().values():
            if value.is_floating_point():
                value.uniform_()
    return copied
