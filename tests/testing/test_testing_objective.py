"""`check_objective`: a good objective passes, and each check is failed by one that breaks exactly it."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from jumpml.core import Loss
from jumpml.objectives import L2, CrossEntropy, MeanSquaredError, ObjectiveModule, SupervisedContrastive, VICReg
from jumpml.testing import ConformanceError, check_objective

PREDICTED = torch.tensor([[0.3], [-1.2], [2.0], [0.7], [-0.4], [1.1]])
TARGET = torch.tensor([[1.0], [0.5], [-2.0], [0.1], [3.0], [0.9]])


class Base(ObjectiveModule):
    roles = ("prediction", "target")

    def __init__(self) -> None:
        super().__init__(("out", "y"))

    def connect(self, values: Any, parameters: Any) -> None: ...

    def forward(self, prediction: Tensor, target: Tensor, present: Tensor | None = None) -> Any:
        return self.lose(prediction[:, 0], target[:, 0], present)

    def lose(self, prediction: Tensor, target: Tensor, present: Tensor | None) -> Any:
        if present is not None:
            target = torch.where(present, target, 0.0)
        return Loss((prediction - target).square(), present)


class Mine(NamedTuple):
    value: Tensor
    present: Tensor | None


class OtherType(Base):
    def lose(self, prediction: Tensor, target: Tensor, present: Tensor | None) -> Any:
        return Mine(*super().lose(prediction, target, present))


class BySize(Base):
    """Small batches weigh more; of six rows and of three it is the same."""

    def lose(self, prediction: Tensor, target: Tensor, present: Tensor | None) -> Any:
        value, present = super().lose(prediction, target, present)
        return Loss(value * (2 if len(value) < 3 else 1), present)


class ByPlace(Base):
    """The first row weighs less; of every second row the first is the first of all."""

    def lose(self, prediction: Tensor, target: Tensor, present: Tensor | None) -> Any:
        value, present = super().lose(prediction, target, present)
        return Loss(value * torch.where(torch.arange(len(value)) == 0, 1.0, 2.0), present)


class CountsAbsent(Base):
    """Absent rows have no gradient, but they count."""

    def lose(self, prediction: Tensor, target: Tensor, present: Tensor | None) -> Any:
        value, present = super().lose(prediction, target, present)
        return Loss(value if present is None else torch.where(present, value, value.detach()))


class Unfilled(Base):
    """NaN times zero is NaN."""

    def lose(self, prediction: Tensor, target: Tensor, present: Tensor | None) -> Any:
        return Loss((prediction - target).square(), present)


class Untold(Base):
    """A row more counts than it tells before."""

    def counted(self, *inputs: Tensor | None, present: Tensor | None = None) -> Tensor | None:
        return None if present is None else present & (torch.arange(len(present)) > 0)


class WrongGradient(Base):
    def lose(self, prediction: Tensor, target: Tensor, present: Tensor | None) -> Any:
        if present is not None:
            target = torch.where(present, target, 0.0)
        return Loss((prediction - target) * (prediction - target).detach(), present)


class Forgetful(Base):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def lose(self, prediction: Tensor, target: Tensor, present: Tensor | None) -> Any:
        value, present = super().lose(prediction, target, present)
        return Loss(value * self.scale, present)

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any: ...


class Widened(Base):
    def lose(self, prediction: Tensor, target: Tensor, present: Tensor | None) -> Any:
        value, present = super().lose(prediction, target, present)
        return Loss(value.double(), present)


def test_good_objectives_pass() -> None:
    check_objective(Base(), [PREDICTED, TARGET])
    check_objective(MeanSquaredError(("out", "y")), [PREDICTED, TARGET])
    check_objective(CrossEntropy(("out", "y")), [torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])])
    check_objective(VICReg("out", views="one", projector=(4,)), [torch.randn(6, 3), torch.randn(6, 3)])


def test_views_and_parameters_are_understood() -> None:
    label = torch.tensor([0, 1, 0, 2, 1, 0])
    draws = [torch.randn(6, 3), torch.randn(6, 3), label, label]
    check_objective(SupervisedContrastive(("out", "y"), views="one"), draws)
    check_objective(L2(parameters_of="all"), parameters=dict(nn.Linear(3, 2).named_parameters()))


@pytest.mark.parametrize(
    ("objective", "check", "text"),
    [
        (OtherType(), "shapes", "expected a jumpml.core.Loss, got a Mine."),
        (
            BySize(),
            "rows",
            "expected a row's loss to depend on no other row; the first 1 rows have 0.98 alone, and 0.49 among 6.",
        ),
        (ByPlace(), "permutation", "expected the losses in the rows' order, "),
        (CountsAbsent(), "masks", "expected absent rows to change nothing, "),
        (
            Unfilled(),
            "absent gradients",
            "expected finite gradients of 'out'; what stands in absent rows reaches them.",
        ),
        (
            Untold(),
            "counted",
            "expected the rows that count to be told ahead, 1, 0, 1, 0, ...; counted() tells 0, 0, 1, 0, ....",
        ),
        (WrongGradient(), "gradient", "expected the gradient that finite differences give in float64; "),
        (Forgetful(), "saving", "expected the same from another instance that has loaded the state_dict."),
        (Widened(), "types", "expected a loss of torch.float32 from values of torch.float32, got torch.float64."),
    ],
)
def test_each_check_is_failed_by_what_breaks_it_alone(objective: Base, check: str, text: str) -> None:
    with pytest.raises(ConformanceError) as caught:
        check_objective(objective, [PREDICTED, TARGET])
    assert list(caught.value.findings) == [check]
    assert caught.value.findings[check].startswith(text)
    assert str(caught.value).startswith(
        f"check_objective: {type(objective).__name__} fails 1 of 9 checks.\n  {check}: "
    )
    check_objective(objective, [PREDICTED, TARGET], without=[check])


class Wide(Base):
    def lose(self, prediction: Tensor, target: Tensor, present: Tensor | None) -> Any:
        return Loss((prediction - target)[:, None])


class Flat(Base):
    def lose(self, prediction: Tensor, target: Tensor, present: Tensor | None) -> Any:
        return Loss(torch.zeros(len(prediction)), present)


class Broken(Base):
    def lose(self, prediction: Tensor, target: Tensor, present: Tensor | None) -> Any:
        raise RuntimeError("no loss today")


def test_other_findings_of_the_checks() -> None:
    for objective, check, text in (
        (Wide(), "shapes", "expected one loss a row, as per_example says, [6]; got [6, 1]."),
        (Flat(), "gradient", "expected the loss to have a gradient by something that it reads; it has none."),
        (Broken(), "shapes", "expected it to run; RuntimeError: no loss today"),
    ):
        with pytest.raises(ConformanceError) as caught:
            check_objective(objective, [PREDICTED, TARGET])
        assert caught.value.findings[check] == text


def test_examples_that_show_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a value for each input and draw \(out, y\), got 1 values\."):
        check_objective(Base(), [PREDICTED])
    with pytest.raises(ValueError, match=r"the same three rows or more, got \[2, 1\], \[2, 1\]\."):
        check_objective(Base(), [PREDICTED[:2], TARGET[:2]])
    with pytest.raises(ValueError, match=r"there is no check 'mask'\. Did you mean 'masks'\?"):
        check_objective(Base(), [PREDICTED, TARGET], without=["mask"])
    with pytest.raises(ValueError, match="there is no input 'target'"):
        check_objective(Base(), [PREDICTED, TARGET], fields=["target"])


def test_the_global_generator_and_the_objective_are_left_as_they_were() -> None:
    objective, state = VICReg("out", views="one", projector=(4,)), torch.get_rng_state()
    check_objective(objective, [torch.ones(4, 3).cumsum(0), torch.ones(4, 3).cumsum(1)], without=["gradient"])
    assert torch.equal(torch.get_rng_state(), state)
    assert not objective.state_dict()
