"""`check_objective`: whether a loss keeps the rules that objectives keep."""

from __future__ import annotations

import copy
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

from jumpml.core import ValueInfo, did_you_mean
from jumpml.testing._objective_checks import (
    ObjectiveCase,
    check_absence,
    check_absent_gradients,
    check_counted,
    check_gradient,
    check_permutation,
    check_rows,
    check_saving,
    check_shapes,
    check_types,
)
from jumpml.testing._run import chosen, run

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from torch import Tensor, nn

OBJECTIVE_CHECKS: Mapping[str, Callable[[ObjectiveCase], str]] = MappingProxyType(
    {
        "shapes": check_shapes,
        "rows": check_rows,
        "permutation": check_permutation,
        "masks": check_absence,
        "counted": check_counted,
        "absent gradients": check_absent_gradients,
        "gradient": check_gradient,
        "saving": check_saving,
        "types": check_types,
    }
)
_NO_PARAMETERS: Mapping[str, nn.Parameter] = MappingProxyType({})


def check_objective(
    objective: Any,
    values: Sequence[Tensor] = (),
    *,
    fields: Collection[str] | None = None,
    parameters: Mapping[str, nn.Parameter] = _NO_PARAMETERS,
    without: Collection[str] = (),
) -> None:
    """Check that a loss can be an objective of any model: of any rows, where targets are missing, saved and copied.

    The objective is copied, and its `connect` is called with what the values tell. In evaluation mode, on the CPU;
    torch's global generator is left as it was.

    - ``shapes``: it returns a finite `Loss`, one value a row where it is ``per_example``, else a scalar.
    - ``rows``: where it is ``per_example``, a row's loss depends on no other row.
    - ``permutation``: rows in another order give the losses in that order, or the same loss of the batch.
    - ``masks``: rows that ``present`` leaves out change nothing, with NaN and the class -1 in their fields.
    - ``counted``: where it is ``per_example``, its method ``counted``, if it has one, tells of the fields alone which
      rows count: those that are present, where it has none.
    - ``absent gradients``: what stands in such rows reaches no gradient, and they have none.
    - ``gradient``: by inputs and parameters as finite differences say, in float64. Inputs that it detaches are left
      out.
    - ``saving``: another instance that loads the ``state_dict`` computes the same, and so does a copy.
    - ``types``: it runs in float32 and in float64, and its loss is of that type.

    Args:
        objective: As its constructor made it, not yet connected.
        values: An example of what `forward` gets, three different rows at least, ``[batch, ...]``; with views each
            input once a draw. Nothing for a penalty on parameters.
        fields: Those of its inputs that are fields of the data, whose rows may be absent; the last one where None.
        parameters: What a penalty on parameters reads.
        without: Checks that do not apply, by name.

    Raises:
        ConformanceError: Checks fail; the text names each, what was expected and what came.
        ValueError: The example cannot show what is to be checked, or ``without`` names no check.

    Example:
        >>> from jumpml.objectives import Function, Huber
        >>> from jumpml.testing import ConformanceError
        >>> check_objective(Huber(("age", "years")), [torch.randn(4, 1), torch.randn(4, 1)])
        >>> def relative(prediction, target):
        ...     return (prediction - target).abs() / target.mean()
        >>> try:
        ...     check_objective(Function(relative, ("age", "years")), [torch.randn(4), torch.rand(4)])
        ... except ConformanceError as error:
        ...     print(*error.findings)
        rows masks
    """
    checks = chosen(OBJECTIVE_CHECKS, without)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        case = _case(objective, values, fields, parameters)
        run(f"check_objective: {type(objective).__name__}", checks, case)


def _case(
    objective: Any, values: Sequence[Tensor], fields: Collection[str] | None, parameters: Mapping[str, nn.Parameter]
) -> ObjectiveCase:
    draws = len(values) // len(objective.inputs) if objective.inputs else 0
    if len(values) != len(objective.inputs) * draws or bool(objective.inputs) != bool(values):
        reads = ", ".join(objective.inputs) or "nothing"
        raise ValueError(f"expected a value for each input and draw ({reads}), got {len(values)} values.")
    if values and (len({len(value) for value in values}) > 1 or len(values[0]) < 3):
        shapes = ", ".join(str(list(value.shape)) for value in values)
        raise ValueError(f"expected values [batch, ...] of the same three rows or more, got {shapes}.")
    held = copy.deepcopy(dict(parameters))
    connected = copy.deepcopy(objective).eval()
    connected.connect([_told_of(value) for value in values[:: draws or 1]], held)
    named = objective.inputs[-1:] if fields is None and len(objective.inputs) > 1 else tuple(fields or ())
    for name in named:
        if name not in objective.inputs:
            raise ValueError(f"there is no input {name!r}. {did_you_mean(name, objective.inputs)}")
    absent = tuple(place for place in range(len(values)) if objective.inputs[place // draws] in named)
    return ObjectiveCase(connected, tuple(value.detach().cpu() for value in values), absent, held)


def _told_of(value: Tensor) -> ValueInfo:
    dtype = "float32" if value.is_floating_point() else str(value.dtype).removeprefix("torch.")
    return ValueInfo(shape=tuple(value.shape[1:]), dtype=dtype)
