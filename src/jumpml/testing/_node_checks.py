"""What a node must hold to, check by check; each says what was expected and what came, or nothing."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.autograd.gradcheck import GradcheckError, gradcheck

from jumpml.testing._case import Case, Outputs, apart, said

if TYPE_CHECKING:
    from collections.abc import Sequence


def check_shapes(case: Case) -> str:
    """Every output has the batch as its first axis, and is else the same for any number of rows."""
    whole = case.run(case.values)
    for count in range(1, case.rows + 1):
        for name, value in case.run(case.first(count)).items():
            expected = (count, *whole[name].shape[1:]) if name in whole else None
            if expected is None or tuple(value.shape) != expected:
                wanted = "no such part" if expected is None else list(expected)
                return f"expected {name} of {count} rows to be {wanted}, got {list(value.shape)}."
    return ""


def check_rows(case: Case) -> str:
    """In evaluation a row's output depends on no other row."""
    whole = case.run(case.values)
    for count in range(1, case.rows):
        few, expected = case.run(case.first(count)), {name: value[:count] for name, value in whole.items()}
        if {name: value.shape for name, value in few.items()} != {name: v.shape for name, v in expected.items()}:
            return ""  # `shapes` says so
        told = apart(expected, few)
        if told:
            return f"expected the first {count} rows to give the same alone as among {case.rows}; {told}"
    return ""


def check_permutation(case: Case) -> str:
    """In evaluation rows in another order give the outputs in that order."""
    order = torch.arange(case.rows).roll(1)
    expected = {name: value[order] for name, value in case.run(case.values).items() if len(value) == case.rows}
    got = case.run([value[order] for value in case.values])
    told = apart(expected, {name: got[name] for name in expected})
    return f"expected the rows' outputs in the rows' order; {told}" if told else ""


def check_evaluation(case: Case) -> str:
    """In evaluation two calls give the same bits, and change nothing in the module."""
    before = {name: value.clone() for name, value in case.module.state_dict().items()}
    first, second = case.run(case.values), case.run(case.values)
    for name, value in first.items():
        if not torch.equal(value.nan_to_num(), second[name].nan_to_num()):
            return f"expected two calls to give the same bits; {name} differs. Does it draw random numbers?"
    for name, value in case.module.state_dict().items():
        if not torch.equal(value, before[name]):
            return f"expected a call to change nothing; {name!r} is another afterwards."
    return ""


def check_gradient(case: Case) -> str:
    """Gradients by inputs and parameters equal finite differences, in float64."""
    module = case.copy().double()
    places = [place for place, value in enumerate(case.values) if value.is_floating_point()]
    parameters = dict(module.named_parameters())
    # Parameters a little beside where they are: such as begin with zeros may put everything on a kink.
    beside = [value + 0.1 * torch.randn_like(value) for value in parameters.values()]
    given = [case.values[place].double() for place in places] + beside
    variables = [value.detach().clone().requires_grad_() for value in given]

    def function(*found: Tensor) -> tuple[Tensor, ...]:
        values = list(case.values)
        for place, value in zip(places, found, strict=False):
            values[place] = value
        held = dict(zip(parameters, found[len(places) :], strict=True))
        outputs = _outputs_with(case, module, held, values)
        return tuple(value for value in outputs.values() if value.is_floating_point())

    outputs = function(*variables) if variables else ()
    if any(value.dtype != torch.float64 for value in outputs):
        return ""  # `moving` says so
    if not any(value.requires_grad for value in outputs):
        return "expected a gradient by inputs or parameters; no output has one. Is something detached?"
    try:
        gradcheck(function, tuple(variables), fast_mode=True)
    except GradcheckError as error:
        return f"expected gradients as finite differences say; {_first_line(error)}"
    return ""


def _outputs_with(case: Case, module: nn.Module, held: dict[str, Tensor], values: Sequence[Tensor]) -> Outputs:
    def called(*args: Tensor, **named: Tensor) -> object:
        return torch.func.functional_call(module, held, args, named)

    return case.call(values, called)  # type: ignore[arg-type]


def check_masks(case: Case) -> str:
    """Where a mask is false, values count for nothing in any output where it is true."""
    whole = case.run(case.values)
    for mask, masked in case.masks():
        marked, values = case.values[mask], list(case.values)
        for place in masked:
            values[place] = _other_values(values[place], marked)
        got = case.run(values)
        kept = [name for name, value in whole.items() if value.shape[:2] == marked.shape]
        told = apart(
            {name: value[marked] if name in kept else value for name, value in whole.items()},
            {name: value[marked] if name in kept else value for name, value in got.items()},
        )
        if told:
            where = f"input {case.names[mask]!r}"
            return f"expected values where the mask, {where}, is false to count for nothing; {told}"
    return ""


def _other_values(values: Tensor, marked: Tensor) -> Tensor:
    """Other values of the same sort where the mask is false."""
    if values.is_floating_point():
        others = 10 * torch.randn_like(values)
    else:
        others = values.flatten()[torch.randperm(values.numel())].view_as(values)
    return torch.where(marked.view(*marked.shape, *[1] * (values.ndim - 2)), values, others)


def check_saving(case: Case) -> str:
    """What `state_dict` holds, saved and loaded into another instance, gives the same outputs."""
    other = case.make().eval()
    case.run(case.first(min(2, case.rows)), other)  # makes lazy parts real
    kept = io.BytesIO()
    torch.save(case.module.state_dict(), kept)
    kept.seek(0)
    try:
        other.load_state_dict(torch.load(kept, weights_only=True))
    except RuntimeError as error:
        return f"expected another instance to load the state; {' '.join(str(error).split())}"
    told = apart(case.run(case.values), case.run(case.values, other))
    if told:
        return f"expected another instance to compute the same with the same state; {told} Is all that it learns in it?"
    return ""


def check_copying(case: Case) -> str:
    """A deep copy computes the same, and shares no memory with the module."""
    copied = case.copy()
    told = apart(case.run(case.values), case.run(case.values, copied))
    if told:
        return f"expected a copy to compute the same; {told}"
    own = {value.data_ptr() for value in case.module.state_dict().values() if value.numel()}
    for name, value in copied.state_dict().items():
        if value.data_ptr() in own:
            return f"expected a copy to have tensors of its own; {name!r} is the module's."
    return ""


def check_moving(case: Case) -> str:
    """It goes where `to` sends it: to float64, and to another device (meta)."""
    double = [value.double() if value.is_floating_point() else value for value in case.values]
    got = case.run(double, case.copy().double())
    for name, value in got.items():
        if value.is_floating_point() and value.dtype != torch.float64:
            return f"expected {name} to be float64 where inputs and parameters are, got {said(value)}."
    try:
        got = case.run([value.to("meta") for value in case.values], case.copy().to("meta"))
    except Exception as error:
        return f"expected it to run on another device (meta, which knows shapes only); {_raised(error)}"
    for name, value in case.run(case.values).items():
        if got[name].device.type != "meta" or got[name].shape != value.shape:
            return f"expected {name} {list(value.shape)} on meta, got {list(got[name].shape)} on {got[name].device}."
    return ""


def check_compiling(case: Case) -> str:
    """`torch.compile` takes it as one graph, which computes the same."""
    torch._dynamo.reset()
    compiled = torch.compile(case.copy(), backend="eager", fullgraph=True)
    try:
        with torch.no_grad():
            got = case.call(case.values, compiled)
    except Exception as error:
        return f"expected one graph without a break; {_raised(error)}"
    finally:
        torch._dynamo.reset()
    told = apart(case.run(case.values), got)
    return f"expected the compiled module to compute the same; {told}" if told else ""


def _raised(error: BaseException) -> str:
    return f"{type(error).__name__}: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
