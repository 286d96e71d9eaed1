"""What an objective must hold to, check by check; each says what was expected and what came, or nothing."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd.gradcheck import GradcheckError, gradcheck

from jumpml.core import Loss
from jumpml.objectives import reduce

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TOLERANCE = 1e-5  # relative, and absolute: float32 adds up in another order


@dataclass(frozen=True)
class ObjectiveCase:
    """What is checked, and on what.

    Attributes:
        objective: Connected, in evaluation mode.
        values: What it reads, ``[batch, ...]`` each.
        fields: The places of those that are fields of the data.
        parameters: What it holds, for a penalty on parameters.
    """

    objective: Any
    values: tuple[Tensor, ...]
    fields: tuple[int, ...]
    parameters: Mapping[str, nn.Parameter]

    @property
    def rows(self) -> int:
        """How many the example has; none for a penalty on parameters."""
        return len(self.values[0]) if self.values else 0

    def loss(self, values: Sequence[Tensor], present: Tensor | None = None, objective: Any = None) -> Loss:
        """What the objective, or another, returns."""
        called = self.objective if objective is None else objective
        return called(*values) if present is None else called(*values, present=present)

    def hidden(self) -> tuple[Tensor, list[Tensor]]:
        """Which rows are there, every second, and the values with nothing of use in the fields of the others."""
        present = torch.arange(self.rows) % 2 == 0
        values = list(self.values)
        for place in self.fields:
            value = values[place].clone()
            value[~present] = float("nan") if value.is_floating_point() else -1
            values[place] = value
        return present, values


def check_shapes(case: ObjectiveCase) -> str:
    """A finite loss, one value a row or a scalar."""
    loss = case.loss(case.values)
    if not isinstance(loss, Loss):
        return f"expected a jumpml.core.Loss, got a {type(loss).__name__}."
    expected = [case.rows] if case.objective.per_example else []
    if list(loss.value.shape) != expected:
        kind = "one loss a row, as per_example says" if case.objective.per_example else "a scalar, as per_example says"
        return f"expected {kind}, {expected}; got {list(loss.value.shape)}."
    if loss.present is not None and (loss.present.dtype != torch.bool or loss.present.shape != loss.value.shape):
        return f"expected present as bool {expected}, got {list(loss.present.shape)} {loss.present.dtype}."
    return "" if bool(loss.value.isfinite().all()) else "expected finite losses of the example, got some that are not."


def check_rows(case: ObjectiveCase) -> str:
    """A row's loss depends on no other row."""
    if not case.objective.per_example:
        return ""
    whole = case.loss(case.values).value
    for count in range(1, case.rows):
        few = case.loss([value[:count] for value in case.values]).value
        if not _near(few, whole[:count]):
            told = f"the first {count} rows have {_list(few)} alone, and {_list(whole[:count])} among {case.rows}"
            return f"expected a row's loss to depend on no other row; {told}."
    return ""


def check_permutation(case: ObjectiveCase) -> str:
    """Rows in another order give the losses in that order, or the same loss of the batch."""
    if not case.values:
        return ""
    order = torch.arange(case.rows).roll(1)
    whole, got = case.loss(case.values).value, case.loss([value[order] for value in case.values]).value
    expected = whole[order] if case.objective.per_example else whole
    kind = "the losses in the rows' order" if case.objective.per_example else "the same loss for any order of the rows"
    return "" if _near(got, expected) else f"expected {kind}, {_list(expected)}; got {_list(got)}."


def check_absence(case: ObjectiveCase) -> str:
    """Rows that are left out change nothing, whatever stands in their fields."""
    if not case.values:
        return ""
    present, values = case.hidden()
    got = reduce(case.loss(values, present))
    expected = reduce(case.loss([value[present] for value in case.values]))
    if not _near(got, expected):
        return f"expected absent rows to change nothing, {_list(expected)}; got {_list(got)}."
    if case.objective.per_example:
        nothing = reduce(case.loss(values, torch.zeros_like(present)))
        if float(nothing.detach()) != 0:
            return f"expected 0 of a batch in which no row is present, got {_list(nothing)}."
    return ""


def check_counted(case: ObjectiveCase) -> str:
    """Which rows count is told of the fields alone, before anything else is known."""
    if not case.values or not case.objective.per_example:
        return ""
    present, values = case.hidden()
    expected = case.loss(values, present).present
    if expected is None:  # absent rows change something then, which is said of `masks`
        return ""
    ahead = getattr(case.objective, "counted", None)
    told = present if ahead is None else ahead(*_fields_alone(case, values), present=present)
    found = torch.ones_like(present) if told is None else told
    if not torch.equal(found, expected):
        return f"expected the rows that count to be told ahead, {_list(expected)}; counted() tells {_list(found)}."
    return ""


def _fields_alone(case: ObjectiveCase, values: Sequence[Tensor]) -> list[Tensor | None]:
    return [value if place in case.fields else None for place, value in enumerate(values)]


def check_absent_gradients(case: ObjectiveCase) -> str:
    """What stands in absent rows reaches no gradient, and they have none."""
    present, values = case.hidden()
    places = [p for p in range(len(values)) if values[p].is_floating_point() and p not in case.fields]
    leaves = {place: values[place].clone().requires_grad_() for place in places}
    given = [leaves.get(place, value) for place, value in enumerate(values)]
    total = reduce(case.loss(given, present)) if values else None
    if total is None or not total.requires_grad:
        return ""
    held = [p for p in case.objective.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(total, [*leaves.values(), *held], allow_unused=True)
    for place, gradient in zip(places, gradients, strict=False):
        if gradient is not None and not bool(gradient.isfinite().all()):
            return f"expected finite gradients of {_name(case, place)}; what stands in absent rows reaches them."
        if gradient is not None and bool((gradient[~present] != 0).any()):
            return f"expected absent rows to have no gradient; those of {_name(case, place)} have one."
    if any(gradient is not None and not bool(gradient.isfinite().all()) for gradient in gradients[len(places) :]):
        return "expected finite gradients of its own parameters; what stands in absent rows reaches them."
    return ""


def check_gradient(case: ObjectiveCase) -> str:
    """Gradients by inputs and parameters equal finite differences, in float64."""
    objective, held = copy.deepcopy((case.objective, dict(case.parameters)))
    objective.double()
    for parameter in held.values():
        parameter.data = parameter.data.double()
    values = [value.double() if value.is_floating_point() else value for value in case.values]
    places = [place for place, value in enumerate(values) if value.is_floating_point()]
    leaves = [*(values[place].clone().requires_grad_() for place in places), *objective.parameters(), *held.values()]

    def function(*found: Tensor) -> Tensor:
        given = list(values)
        for place, value in zip(places, found, strict=False):
            given[place] = value
        return objective(*given).value

    value = function(*leaves)
    if not value.requires_grad:
        return "expected the loss to have a gradient by something that it reads; it has none."
    gradients = torch.autograd.grad(value.sum(), leaves, allow_unused=True)
    for leaf, gradient in zip(leaves, gradients, strict=True):
        leaf.requires_grad_(gradient is not None)  # what it detaches is a constant to it
    try:
        gradcheck(function, leaves)
    except GradcheckError as error:
        return f"expected the gradient that finite differences give in float64; {' '.join(str(error).split())}"
    return ""


def check_saving(case: ObjectiveCase) -> str:
    """Another instance that loads the state computes the same, and so does a copy."""
    expected = case.loss(case.values).value
    copied = copy.deepcopy(case.objective)
    if not _near(case.loss(case.values, objective=copied).value, expected):
        return "expected a deep copy to compute the same."
    with torch.no_grad():
        for value in copied.state_dict().values():
            if value.is_floating_point():
                value.uniform_()
    copied.load_state_dict(case.objective.state_dict())
    got = case.loss(case.values, objective=copied).value
    return "" if _near(got, expected) else "expected the same from another instance that has loaded the state_dict."


def check_types(case: ObjectiveCase) -> str:
    """It runs in both precisions, and its loss is of the type of what it reads."""
    for dtype in (torch.float32, torch.float64):
        objective, held = copy.deepcopy((case.objective, dict(case.parameters)))
        objective.to(dtype)
        for parameter in held.values():
            parameter.data = parameter.data.to(dtype)
        values = [value.to(dtype) if value.is_floating_point() else value for value in case.values]
        got = case.loss(values, objective=objective).value.dtype
        if got != dtype:
            return f"expected a loss of {dtype} from values of {dtype}, got {got}."
    return ""


def _near(got: Tensor, expected: Tensor) -> bool:
    return got.shape == expected.shape and bool(torch.isclose(got, expected, TOLERANCE, TOLERANCE).all())


def _list(value: Tensor) -> str:
    numbers = [f"{number:.4g}" for number in value.detach().flatten()[:4].tolist()]
    return ", ".join(numbers) + (", ..." if value.numel() > 4 else "")


def _name(case: ObjectiveCase, place: int) -> str:
    draws = len(case.values) // len(case.objective.inputs)
    return repr(case.objective.inputs[place // draws])
