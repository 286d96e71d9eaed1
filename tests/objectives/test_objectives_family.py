"""What holds for every objective with one loss a row, whatever it computes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from jumpml.core import Loss, ObjectiveError, ValueInfo
from jumpml.objectives import (
    CKA,
    L1,
    L2,
    BinaryCrossEntropy,
    Contrastive,
    Corn,
    Cosine,
    CrossEntropy,
    Distillation,
    Function,
    GaussianNLL,
    Huber,
    KullbackLeibler,
    LossModule,
    MeanSquaredError,
    ObjectiveModule,
    PoissonNLL,
    Quantile,
    reduce,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

ROWS = 6
NAN = float("nan")


@dataclass(frozen=True)
class Case:
    """An objective and how to draw what it reads: the first input takes a gradient, `absent` stands at absent rows."""

    make: Callable[[], ObjectiveModule]
    draw: Callable[[torch.Generator], tuple[Tensor, ...]]
    absent: tuple[Any, ...] = field(default=())


def normal(*shape: int) -> Callable[[torch.Generator], Tensor]:
    return lambda g: torch.randn(ROWS, *shape, generator=g, dtype=torch.float64)


def codes(classes: int, *shape: int) -> Callable[[torch.Generator], Tensor]:
    return lambda g: torch.randint(classes, (ROWS, *shape), generator=g)


def drawn(*draws: Callable[[torch.Generator], Tensor]) -> Callable[[torch.Generator], tuple[Tensor, ...]]:
    return lambda g: tuple(draw(g) for draw in draws)


PAIR = ("out", "target")
CASES = {
    "cross_entropy": Case(lambda: CrossEntropy(PAIR), drawn(normal(4), codes(4)), (-1,)),
    "cross_entropy_smoothed": Case(lambda: CrossEntropy(PAIR, label_smoothing=0.2), drawn(normal(4), codes(4)), (-1,)),
    "cross_entropy_shares": Case(lambda: CrossEntropy(PAIR), lambda g: (normal(4)(g), normal(4)(g).softmax(1)), (0.0,)),
    "binary_shares": Case(lambda: BinaryCrossEntropy(PAIR), lambda g: (normal(1)(g), normal(2)(g).softmax(1)), (NAN,)),
    "binary_codes": Case(lambda: BinaryCrossEntropy(PAIR), drawn(normal(1), codes(2)), (-1,)),
    "binary_numbers": Case(
        lambda: BinaryCrossEntropy(PAIR, positive_weight=3.0),
        lambda g: (normal()(g), codes(2, 1)(g).double()),
        (NAN,),
    ),
    "cross_entropy_weighed": Case(
        lambda: CrossEntropy(PAIR, class_weights=[1, 2, 0, 4]).double(), drawn(normal(4), codes(4)), (-1,)
    ),
    "cross_entropy_focal": Case(
        lambda: CrossEntropy(PAIR, focal=2.0, label_smoothing=0.1), drawn(normal(4), codes(4)), (-1,)
    ),
    "cross_entropy_at_positions": Case(
        lambda: CrossEntropy(PAIR, label_smoothing=0.1), drawn(normal(3, 2, 2), codes(3, 2, 2)), (-1,)
    ),
    "binary_focal": Case(
        lambda: BinaryCrossEntropy(PAIR, focal=2.0, positive_weight=3.0), drawn(normal(1), codes(2)), (-1,)
    ),
    "quantile": Case(lambda: Quantile(PAIR), drawn(normal(6), normal(2)), (NAN,)),
    "contrastive": Case(lambda: Contrastive(("a", "b", "same")), drawn(normal(3), normal(3), codes(2)), (NAN, -1)),
    "corn": Case(lambda: Corn(PAIR), drawn(normal(3), codes(4)), (-1,)),
    "mse": Case(lambda: MeanSquaredError(PAIR), drawn(normal(1), normal()), (NAN,)),
    "mse_of_grids": Case(lambda: MeanSquaredError(PAIR), drawn(normal(2, 3), normal(2, 3)), (NAN,)),
    "l1": Case(lambda: L1("node"), drawn(normal(2, 3))),
    "l2": Case(lambda: L2("node"), drawn(normal(5))),
    "distill_multiclass": Case(
        lambda: Distillation(PAIR, kind="multiclass", temperature=2.0), drawn(normal(4), normal(4)), (NAN,)
    ),
    "distill_binary": Case(
        lambda: Distillation(PAIR, kind="binary", temperature=2.0), drawn(normal(1), normal(1)), (NAN,)
    ),
    "distill_regression": Case(lambda: Distillation(PAIR, kind="regression"), drawn(normal(1), normal()), (NAN,)),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=15, deadline=None)


def draw(case: Case, seed: int) -> tuple[Tensor, ...]:
    return case.draw(torch.Generator().manual_seed(seed))


# --- what is asserted -------------------------------------------------------------------------------------------------


def assert_one_loss_a_row(objective: ObjectiveModule, inputs: tuple[Tensor, ...]) -> None:
    loss = objective(*inputs)
    assert objective.per_example
    assert loss.value.shape == (len(inputs[0]),)
    assert loss.value.isfinite().all()
    assert (loss.value >= 0).all()


def assert_rows_are_independent(objective: ObjectiveModule, inputs: tuple[Tensor, ...], order: Tensor) -> None:
    whole = objective(*inputs).value
    torch.testing.assert_close(objective(*(x[order] for x in inputs)).value, whole[order])
    torch.testing.assert_close(objective(*(x[:1] for x in inputs)).value, whole[:1])


def assert_absent_rows_do_not_count(
    objective: ObjectiveModule, inputs: tuple[Tensor, ...], present: Tensor, absent: tuple[Any, ...]
) -> None:
    """What stands in place of a missing target changes neither the reduced loss nor the gradient of any row."""
    first = inputs[0].clone().requires_grad_()
    rest = [x.clone() for x in inputs[1:]]
    for x, value in zip(rest, absent, strict=True):
        x[~present] = value
    loss = objective(first, *rest, present=present)
    assert loss.present is not None
    assert not loss.present[~present].any()
    total = reduce(loss)
    total.backward()
    assert first.grad is not None
    assert (first.grad[~present] == 0).all()
    alone = inputs[0][present].clone().requires_grad_()
    expected = reduce(objective(alone, *(x[present] for x in inputs[1:])))
    torch.testing.assert_close(total, expected if present.any() else torch.zeros_like(total))
    if present.any():
        expected.backward()
        torch.testing.assert_close(first.grad[present], alone.grad)


def assert_gradient(objective: ObjectiveModule, inputs: tuple[Tensor, ...]) -> None:
    """Against central differences in float64 (torch's gradcheck)."""
    first = inputs[0].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: objective(x, *inputs[1:]).value, (first,))


# --- on every objective -----------------------------------------------------------------------------------------------


@cases
@few
@given(seed=seeds)
def test_there_is_one_loss_a_row(case: Case, seed: int) -> None:
    assert_one_loss_a_row(case.make(), draw(case, seed))


@cases
@few
@given(seed=seeds, order=st.permutations(range(ROWS)))
def test_rows_are_independent(case: Case, seed: int, order: list[int]) -> None:
    assert_rows_are_independent(case.make(), draw(case, seed), torch.tensor(order))


@cases
@few
@given(seed=seeds, present=st.lists(st.booleans(), min_size=ROWS, max_size=ROWS))
def test_absent_rows_do_not_count(case: Case, seed: int, present: list[bool]) -> None:
    assert_absent_rows_do_not_count(case.make(), draw(case, seed), torch.tensor(present), case.absent)


@cases
def test_the_gradient_is_that_of_the_value(case: Case) -> None:
    assert_gradient(case.make(), draw(case, 0))


@cases
def test_an_objective_can_be_copied_and_has_no_state(case: Case) -> None:
    assert not case.make().state_dict()


# --- each assert can fail ---------------------------------------------------------------------------------------------


class Broken(ObjectiveModule):
    roles = ("out",)

    def __init__(self, value: Callable[[Tensor], Tensor]) -> None:
        super().__init__("out")
        self.value = value

    def connect(self, values: Any, parameters: Any) -> None: ...

    def forward(self, out: Tensor, present: Tensor | None = None) -> Loss:
        return Loss(self.value(out), present)


X = torch.tensor([[1.0], [-2.0], [3.0]], dtype=torch.float64)


@pytest.mark.parametrize(
    "value", [lambda x: x, lambda x: x.sum(), lambda x: x[:, 0] * NAN, lambda x: x[:, 0]], ids=["2d", "0d", "nan", "-"]
)
def test_assert_one_loss_a_row_can_fail(value: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(AssertionError):
        assert_one_loss_a_row(Broken(value), (X,))


@pytest.mark.parametrize(
    "value", [lambda x: x[:, 0].sort().values, lambda x: x[:, 0] - x.mean()], ids=["order", "mean"]
)
def test_assert_rows_are_independent_can_fail(value: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(AssertionError):
        assert_rows_are_independent(Broken(value), (X,), torch.tensor([2, 1, 0]))


def test_assert_absent_rows_do_not_count_can_fail_on_the_value() -> None:
    with pytest.raises(AssertionError):
        assert_absent_rows_do_not_count(Broken(lambda x: x[:, 0] + len(x)), (X,), torch.tensor([True, False, True]), ())


def test_assert_absent_rows_do_not_count_can_fail_on_the_gradient() -> None:
    with pytest.raises(AssertionError):
        assert_absent_rows_do_not_count(
            Broken(lambda x: (x - x.mean().exp())[:, 0]), (X,), torch.tensor([True, False, True]), ()
        )


def test_assert_gradient_can_fail() -> None:
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        assert_gradient(Broken(lambda x: x[:, 0] * x[:, 0].detach()), (X,))


# --- tables of which single numbers are missing -----------------------------------------------------------------------

GAP = torch.tensor([[1.0, float("nan")], [2.0, 0.5]])


@pytest.mark.parametrize("objective", [GaussianNLL(("m", "v", "y")), PoissonNLL(("r", "y"))])
def test_a_likelihood_is_of_the_numbers_that_are_there(objective: Any) -> None:
    *others, _ = objective.inputs
    two, one = ValueInfo(shape=(2,)), ValueInfo(shape=(1,))
    predicted = [torch.randn(2, 2, requires_grad=True) for _ in others]
    objective.connect([*[one] * len(others), one], {})
    alone = objective(*(value[:1, :1] for value in predicted), GAP[:1, :1]).value
    objective.connect([*[two] * len(others), ValueInfo(shape=(2,), gaps=True)], {})
    value, present = objective(*predicted, GAP)
    torch.testing.assert_close(value[:1], alone)
    reduce(Loss(value, present)).backward()
    assert all(bool(x.grad.isfinite().all()) and x.grad[0, 1] == 0 for x in predicted if x.grad is not None)


def test_a_table_with_gaps_is_no_prediction() -> None:
    with pytest.raises(ObjectiveError) as error:
        Huber(("y", "p")).connect([ValueInfo(shape=(2,), gaps=True), ValueInfo(shape=(2,))], {})
    assert str(error.value) == (
        "Huber: 'y' stands in the place of the prediction, and numbers of it are missing. Name what is predicted "
        "first, and the target last."
    )


@pytest.mark.parametrize(
    "objective",
    [
        LossModule(nn.SmoothL1Loss(), ("p", "y")),
        Function(F.mse_loss, ("p", "y"), per_example=False),
        KullbackLeibler(("p", "y")),
        Cosine(("p", "y")),
    ],
)
def test_others_do_not_count_a_row_of_which_a_number_is_missing(objective: Any) -> None:
    objective.connect([ValueInfo(shape=(2,)), ValueInfo(shape=(2,), gaps=True)], {})
    predicted = torch.randn(2, 2, requires_grad=True)
    got = reduce(objective(predicted, GAP, present=torch.tensor([True, True])))
    got.backward()
    torch.testing.assert_close(got, reduce(objective(predicted[1:], GAP[1:])))
    assert predicted.grad is not None and bool(predicted.grad.isfinite().all()) and not bool(predicted.grad[0].any())


def test_the_alignment_with_a_table_is_that_of_its_whole_rows() -> None:
    objective = CKA(("p", "y"))
    objective.connect([ValueInfo(shape=(3,)), ValueInfo(shape=(2,), gaps=True)], {})
    predicted, table = torch.randn(5, 3, requires_grad=True), torch.cat([torch.randn(4, 2), GAP[:1]])
    got = objective(predicted, table, present=torch.ones(5, dtype=torch.bool)).value
    torch.testing.assert_close(got, CKA(("p", "y"))(predicted[:4], table[:4]).value)
    got.backward()
    assert predicted.grad is not None and bool(predicted.grad.isfinite().all())
