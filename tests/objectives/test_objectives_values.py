"""Numbers from closed forms or from torch's own reduction, and the texts of what is refused."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F

from jumpml.core import Loss, ObjectiveError, ValueInfo
from jumpml.objectives import (
    L1,
    L2,
    BinaryCrossEntropy,
    CrossEntropy,
    Distillation,
    MeanSquaredError,
    ObjectiveModule,
    VICReg,
    reduce,
    reduce_all,
)

if TYPE_CHECKING:
    from torch import Tensor

PAIR = ("out", "label")
LOG3 = log(3)
# from p = (1/4, 3/4), which logits (0, ln 3) stand for, to the uniform distribution
KL = 0.25 * log(0.5) + 0.75 * log(1.5)


def close(value: Tensor, expected: list[float]) -> None:
    torch.testing.assert_close(value, torch.tensor(expected))


@pytest.mark.parametrize(
    ("objective", "inputs", "expected"),
    [
        # -ln of the softmax of the target
        (CrossEntropy(PAIR), ([[0.0, LOG3], [0.0, LOG3]], [0, 1]), [log(4), log(4 / 3)]),
        # shares of the classes weigh the losses that each class would have
        (CrossEntropy(PAIR), ([[0.0, LOG3]], [[0.75, 0.25]]), [0.75 * log(4) + 0.25 * log(4 / 3)]),
        (BinaryCrossEntropy(PAIR), ([[LOG3]], [[0.75, 0.25]]), [0.75 * log(4) + 0.25 * log(4 / 3)]),
        # (1 - s) times that, and s times its mean over classes
        (
            CrossEntropy(PAIR, label_smoothing=0.5),
            ([[0.0, LOG3]], [1]),
            [0.5 * log(4 / 3) + 0.5 * (log(4) + log(4 / 3)) / 2],
        ),
        (BinaryCrossEntropy(PAIR), ([LOG3, LOG3], [0, 1]), [log(4), log(4 / 3)]),
        (BinaryCrossEntropy(PAIR, positive_weight=2.0), ([[LOG3], [LOG3]], [[0.0], [1.0]]), [log(4), 2 * log(4 / 3)]),
        (MeanSquaredError(PAIR), ([1.0, 2.0], [[0.0], [4.0]]), [1.0, 4.0]),
        (MeanSquaredError(PAIR), ([[1.0, 2.0]], [[0.0, 4.0]]), [2.5]),
        (L1("out"), ([[[1.0], [-3.0]]],), [2.0]),
        (L2("out"), ([[[1.0], [-3.0]]],), [5.0]),
        (Distillation(PAIR, kind="multiclass", temperature=1), ([[0.0, 0.0]], [[0.0, LOG3]]), [KL]),
        (Distillation(PAIR, kind="multiclass", temperature=2), ([[0.0, 0.0]], [[0.0, 2 * LOG3]]), [4 * KL]),
        (Distillation(PAIR, kind="binary", temperature=1), ([[0.0]], [[LOG3]]), [KL]),
        (Distillation(PAIR, kind="binary", temperature=2), ([0.0], [[-2 * LOG3]]), [4 * KL]),
        (Distillation(PAIR, kind="regression"), ([[1.0]], [4.0]), [9.0]),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, ObjectiveModule) else "",
)
def test_golden_table(objective: ObjectiveModule, inputs: tuple[Any, ...], expected: list[float]) -> None:
    close(objective(*map(torch.tensor, inputs)).value, expected)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_cross_entropy_and_its_gradient_are_torchs_bit_for_bit(label_smoothing: float) -> None:
    torch.manual_seed(0)
    ours = torch.randn(64, 10, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    target = torch.randint(10, (64,))
    loss = reduce(CrossEntropy(PAIR, label_smoothing=label_smoothing)(ours, target))
    expected = F.cross_entropy(theirs, target, reduction="none", label_smoothing=label_smoothing).mean()
    loss.backward()
    expected.backward()
    assert torch.equal(loss, expected)
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.equal(ours.grad, theirs.grad)


def test_binary_cross_entropy_and_mse_are_torchs_bit_for_bit() -> None:
    torch.manual_seed(0)
    out, target = torch.randn(64, 1), torch.rand(64, 1)
    binary = F.binary_cross_entropy_with_logits(out, target, reduction="none").mean()
    assert torch.equal(reduce(BinaryCrossEntropy(PAIR)(out, target)), binary)
    assert torch.equal(reduce(MeanSquaredError(PAIR)(out, target)), F.mse_loss(out, target, reduction="none").mean())


def test_reduce_passes_a_scalar_through_and_is_zero_where_no_row_counts() -> None:
    scalar = torch.tensor(3.0)
    assert torch.equal(reduce(Loss(scalar)), scalar)
    value = torch.tensor([1.0, float("nan")], requires_grad=True)
    nothing = reduce(Loss(value, torch.tensor([False, False])))
    nothing.backward()
    assert nothing == 0
    assert value.grad is not None
    assert value.grad.tolist() == [0, 0]


@pytest.mark.parametrize("rows", [1, 7, 64, 1000, 1 << 14, 40_000])
def test_many_losses_reduce_to_the_bits_of_each(rows: int) -> None:
    values = [torch.randn(rows), 100 * torch.rand(rows), torch.rand(rows + 1)]
    masked = Loss(torch.where(torch.arange(rows) > 0, values[0], torch.nan), torch.arange(rows) > 0)
    losses = [*map(Loss, values), masked, Loss(torch.tensor(0.1))]
    found = reduce_all(losses)
    assert torch.equal(found, torch.stack([reduce(loss) for loss in losses]))
    assert torch.equal(found[:3], torch.stack([value.mean() for value in values]))


def test_distillation_gives_the_source_no_gradient() -> None:
    student, source = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4, requires_grad=True)
    reduce(Distillation(PAIR, kind="multiclass")(student, source)).backward()
    assert student.grad is not None
    assert source.grad is None


def test_the_positive_weight_follows_the_dtype_and_is_in_no_checkpoint() -> None:
    objective = BinaryCrossEntropy(PAIR, positive_weight=2.0).double()
    assert objective.positive_weight is not None
    assert objective.positive_weight.dtype == torch.float64
    assert not objective.state_dict()


@pytest.mark.parametrize(
    ("objective", "values", "text"),
    [
        (
            CrossEntropy(PAIR),
            [ValueInfo(shape=(1,)), ValueInfo(shape=(), dtype="int64")],
            "CrossEntropy: expected logits as [batch, classes] float32 with two classes or more; 'out' is [batch, 1] "
            "float32. Use a linear node with one output a class; for a single logit take kind: binary.",
        ),
        (
            CrossEntropy(PAIR),
            [ValueInfo(shape=(4,)), ValueInfo(shape=(1,))],
            "CrossEntropy: expected target as class codes [batch] int64; 'label' is [batch, 1] float32. Use a category "
            "field without features; for a number take kind: regression.",
        ),
        (
            BinaryCrossEntropy(PAIR),
            [ValueInfo(shape=(2,)), ValueInfo(shape=(), dtype="int64")],
            "BinaryCrossEntropy: expected logits as one logit for each of [batch] int64 in 'label'; 'out' is "
            "[batch, 2] float32. Use a linear node with one output; for one logit a class take kind: multiclass.",
        ),
        (
            BinaryCrossEntropy(PAIR),
            [ValueInfo(shape=(1,)), ValueInfo(shape=(8, 8))],
            "BinaryCrossEntropy: expected target as [batch] or [batch, labels]; 'label' is [batch, 8, 8] float32. Use "
            "a category of two classes, a number that is 0 or 1, or a multilabel field.",
        ),
        (
            MeanSquaredError(PAIR),
            [ValueInfo(shape=(2,)), ValueInfo(shape=(1,))],
            "MeanSquaredError: expected prediction as [batch, 1] float32 like 'label'; 'out' is [batch, 2] float32. "
            "Give 'out' the target's shape.",
        ),
        (
            MeanSquaredError(PAIR),
            [ValueInfo(shape=(1,)), ValueInfo(shape=(), dtype="int64")],
            "MeanSquaredError: expected target as float32; 'label' is [batch] int64. For classes take kind: "
            "multiclass or binary.",
        ),
        (
            MeanSquaredError(PAIR),
            [ValueInfo(shape=(1,), dtype="int64"), ValueInfo(shape=(1,))],
            "MeanSquaredError: expected prediction as float32; 'out' is [batch, 1] int64. Put a layer of real numbers "
            "at its end.",
        ),
        (
            L1("label"),
            [ValueInfo(shape=(), dtype="int64")],
            "L1: expected activation as float32; 'label' is [batch] int64. A penalty needs numbers that a gradient can "
            "change.",
        ),
        (
            VICReg("out", views="strong"),
            [ValueInfo(shape=(3, 4, 4))],
            "VICReg: expected embedding as [batch, width] float32; 'out' is [batch, 3, 4, 4] float32. Flatten or pool "
            "it in a node first, such as torch.nn.Flatten.",
        ),
        (VICReg("out", views="strong"), [None], "VICReg: the shape of 'out' must be known. Name a node."),
        (
            Distillation(PAIR, kind="multiclass"),
            [ValueInfo(shape=(3,)), ValueInfo(shape=(4,))],
            "Distillation: expected student as [batch, 4] float32 like 'label'; 'out' is [batch, 3] float32. Give both "
            "models the same output.",
        ),
        (
            Distillation(PAIR, kind="multiclass"),
            [ValueInfo(shape=(1,)), ValueInfo(shape=(1,))],
            "Distillation: expected student as [batch, classes] float32 with two classes or more; 'out' is [batch, 1] "
            "float32. For a single logit take kind='binary'.",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_refused(objective: ObjectiveModule, values: list[Any], text: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        objective.connect(values, {})
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("objective", "shapes"),
    [
        (CrossEntropy(PAIR), [(ValueInfo(shape=(2,)), ValueInfo(shape=(), dtype="int64"))]),
        (BinaryCrossEntropy(PAIR), [(ValueInfo(shape=s), ValueInfo(shape=t)) for s in ((), (1,)) for t in ((), (1,))]),
        (MeanSquaredError(PAIR), [(ValueInfo(shape=s), ValueInfo(shape=t)) for s in ((), (1,)) for t in ((), (1,))]),
        (MeanSquaredError(PAIR), [(ValueInfo(shape=(2, 3)), ValueInfo(shape=(2, 3)))]),
        (Distillation(PAIR, kind="regression"), [(ValueInfo(shape=()), ValueInfo(shape=(1,)))]),
    ],
)
def test_shapes_that_fit_are_taken(objective: ObjectiveModule, shapes: list[Any]) -> None:
    for values in shapes:
        objective.connect(values, {})
        for known in ((values[0], None), (None, values[1]), (None, None)):
            objective.connect(known, {})


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: CrossEntropy(["out"]), "CrossEntropy: expected 2 inputs (logits, target), got 1."),
        (lambda: L1("out", weight=-1), "L1: expected a weight of 0 or more, got -1."),
        (lambda: L1("out", weight=float("nan")), "L1: expected a weight of 0 or more, got nan."),
        (lambda: CrossEntropy(PAIR, label_smoothing=1), "CrossEntropy: expected label_smoothing in [0, 1), got 1."),
        (
            lambda: BinaryCrossEntropy(PAIR, positive_weight=0),
            "BinaryCrossEntropy: expected a positive_weight above 0, or 'balanced'; got 0.",
        ),
        (
            lambda: Distillation(PAIR, kind="multiclas"),
            "Distillation: 'multiclas' is no kind of task. Did you mean 'multiclass' or 'multilabel'?",
        ),
        (
            lambda: Distillation(PAIR, kind="binary", temperature=0),
            "Distillation: expected a temperature above 0, got 0.",
        ),
        (lambda: VICReg("out", views=()), "VICReg: expected one view, which is drawn twice, or two; got none."),
        (lambda: VICReg("out", views=list("abc")), "VICReg: expected one view, which is drawn twice, or two; got 3."),
        (
            lambda: VICReg("out", views="strong", projector=()),
            "VICReg: expected the widths of one projector layer or more, got none.",
        ),
    ],
)
def test_wrong_options_are_refused(make: Any, text: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        make()
    assert str(caught.value) == text


def test_shapes_that_differ_at_run_time_are_refused_instead_of_broadcast() -> None:
    with pytest.raises(ObjectiveError, match=r"MeanSquaredError: expected equal shapes, got \[4, 1\] and \[3\]"):
        MeanSquaredError(PAIR)(torch.zeros(4, 1), torch.zeros(3))
    with pytest.raises(
        ObjectiveError, match=r"MeanSquaredError: expected equal shapes, got \[2, 3, 2\] and \[2, 2, 3\]"
    ):
        MeanSquaredError(PAIR)(torch.zeros(2, 3, 2), torch.zeros(2, 2, 3))


def test_names_may_be_one_text() -> None:
    objective = VICReg("encoder", views="strong", when="all")
    assert (objective.inputs, objective.views, objective.when) == (("encoder",), ("strong",), ("all",))
