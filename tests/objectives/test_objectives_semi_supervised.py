"""Pseudo-labels, FixMatch and mean teacher: values by hand, what counts, and the texts of what is refused."""

from __future__ import annotations

from math import exp, log
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from jumpml.core import FieldInfo, ObjectiveError, Task, ValueInfo, WeightSchedule
from jumpml.graph import Classes, Model, Node
from jumpml.objectives import CrossEntropy, FixMatch, MeanTeacher, ObjectiveModule, PseudoLabel, reduce

MULTI = "multiclass"
LOGITS = torch.tensor([[0.0, 2.0, 0.0], [0.0, 0.5, 0.0], [3.0, 0.0, 0.0]])


def info(*shape: int, dtype: str = "float32") -> ValueInfo:
    return ValueInfo(shape=shape, dtype=dtype)


def test_a_decision_is_learned_where_it_is_sure_enough() -> None:
    sure = exp(2) / (exp(2) + 2), exp(3) / (exp(3) + 2)  # .787 and .909; the second row has .452
    value, present = PseudoLabel("out", threshold=0.7, kind=MULTI)(LOGITS)
    torch.testing.assert_close(value, torch.tensor([-log(sure[0]), 0.0, -log(sure[1])]))
    assert present is None
    # the mean is over all rows, as in the paper, and not over those that are sure
    assert float(reduce(PseudoLabel("out", threshold=0.7, kind=MULTI)(LOGITS))) == pytest.approx(
        -(log(sure[0]) + log(sure[1])) / 3
    )


def test_a_threshold_below_one_over_the_classes_takes_every_row() -> None:
    value, _ = PseudoLabel("out", threshold=0.3, kind=MULTI)(LOGITS)
    torch.testing.assert_close(value, F.cross_entropy(LOGITS, LOGITS.argmax(1), reduction="none"))


def test_rows_with_a_label_are_left_out() -> None:
    objective = PseudoLabel(("out", "label"), threshold=0.3, kind=MULTI)
    labelled, there = torch.tensor([True, False, False]), torch.tensor([True, True, False])
    assert objective.inputs == ("out", "label.present")
    loss = objective(LOGITS, labelled, present=there)
    assert loss.present is not None
    assert loss.present.tolist() == [False, True, False]
    assert float(reduce(loss)) == pytest.approx(log(exp(0.5) + 2) - 0.5)
    told = objective.counted(None, labelled, present=there)
    assert told is not None
    assert told.equal(loss.present)


def test_labels_are_decided_and_left_out_one_by_one() -> None:
    logits = torch.tensor([[2.0, -0.1], [-3.0, 3.0]])
    value, _ = PseudoLabel("out", threshold=0.8, kind="multilabel")(logits)
    # -ln sigmoid(2) with a label that is not sure beside it; then two labels, one decided against and one for
    torch.testing.assert_close(value, torch.tensor([log(1 + exp(-2)) / 2, log(1 + exp(-3))]))


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_a_single_logit_decides_for_and_against(shape: tuple[int, ...]) -> None:
    value, _ = PseudoLabel("out", threshold=0.8, kind="binary")(torch.tensor([2.0, -2.0]).view(shape))
    torch.testing.assert_close(value, torch.full((2,), log(1 + exp(-2))))


def test_the_strong_view_learns_what_the_weak_one_decides() -> None:
    weak, strong = LOGITS.clone().requires_grad_(), torch.randn(3, 3, requires_grad=True)
    value, _ = FixMatch("out", views=("weak", "strong"), threshold=0.7, kind=MULTI)(weak, strong)
    expected = F.cross_entropy(strong, torch.tensor([1, 1, 0]), reduction="none") * torch.tensor([1.0, 0.0, 1.0])
    torch.testing.assert_close(value, expected)
    value.sum().backward()
    assert weak.grad is None
    assert strong.grad is not None
    assert not strong.grad[1].any()
    assert strong.grad[0].any()


def test_fixmatch_is_the_authors_own_code() -> None:
    """Against a plain transcription of google-research/fixmatch, fixmatch.py, `model`, to float64."""
    g = torch.Generator().manual_seed(0)
    weak, strong = (3 * torch.randn(64, 10, generator=g, dtype=torch.float64) for _ in range(2))
    pseudo_labels = weak.softmax(1)
    xeu = -strong.log_softmax(1)[torch.arange(64), pseudo_labels.argmax(1)]
    mask = (pseudo_labels.amax(1) >= 0.95).double()
    assert 0 < mask.sum() < 64
    objective = FixMatch("out", views=("weak", "strong"), kind=MULTI)
    assert float(reduce(objective(weak, strong))) == pytest.approx(float((xeu * mask).mean()), rel=1e-12)


def test_with_a_temperature_the_target_is_a_distribution() -> None:
    strong = torch.tensor([[0.3, -1.0, 0.2]])
    value, _ = FixMatch("out", views=("weak", "strong"), threshold=0.7, temperature=0.5, kind=MULTI)(LOGITS[:1], strong)
    target = (LOGITS[:1] / 0.5).softmax(1)
    torch.testing.assert_close(value, -(target * strong.log_softmax(1)).sum(1))
    labels, _ = FixMatch("out", views=("weak", "strong"), threshold=0.7, temperature=0.5, kind="multilabel")(
        torch.tensor([[2.0]]), torch.tensor([[0.3]])
    )
    share = 1 / (1 + exp(-4))
    torch.testing.assert_close(labels, torch.tensor([share * log(1 + exp(-0.3)) + (1 - share) * log(1 + exp(0.3))]))


@given(st.floats(0.05, 0.95), st.integers(0, 99))
def test_more_rows_are_sure_below_a_lower_threshold(threshold: float, seed: int) -> None:
    logits = 2 * torch.randn(16, 4, generator=torch.Generator().manual_seed(seed))
    sure = [PseudoLabel("out", threshold=t, kind=MULTI)(logits).value > 0 for t in (threshold, threshold + 0.04)]
    assert not (sure[1] & ~sure[0]).any()
    assert (PseudoLabel("out", threshold=threshold, kind=MULTI)(logits).value > 0).equal(
        logits.softmax(1).amax(1) >= threshold
    )


def test_the_share_of_sure_rows_is_told_once_and_of_training_alone() -> None:
    objective = PseudoLabel(("out", "label"), threshold=0.7, kind=MULTI)
    labelled = torch.tensor([True, False, False])
    objective(LOGITS, labelled)  # of two rows without a label the second is sure
    objective(LOGITS, ~labelled)  # and the one that has one here
    objective.eval()
    objective(torch.zeros(3, 3), torch.zeros(3, dtype=torch.bool))
    assert float(objective.figures()["confident"]) == pytest.approx(2 / 3)
    assert bool(objective.figures()["confident"].isnan())
    labels = PseudoLabel("out", threshold=0.8, kind="multilabel")
    labels(torch.tensor([[2.0, -0.1], [-3.0, 3.0]]))
    assert float(labels.figures()["confident"]) == 0.75
    assert not objective.state_dict()


# --- mean teacher -----------------------------------------------------------------------------------------------------


def model(objective: ObjectiveModule, kind: str = MULTI, width: int = 3) -> Model:
    return Model(
        inputs={"x": info(4)},
        nodes={"body": Node(nn.Linear(4, 5), "x"), "out": Node(nn.Linear(5, width), "body")},
        tasks={"y": Task(kind=kind, output="out", target="y")},
        objectives={"o": objective},
        seed=0,
    )


def batch(rows: int = 6) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    draws = {key: torch.randn(rows, 4, generator=g) for key in ("x", "x@v.0", "x@v.1")}
    return {**draws, "y": torch.zeros(rows, dtype=torch.int64)}


def test_probabilities_agree_with_the_slow_copys_on_the_other_view() -> None:
    made = model(MeanTeacher("out", views="v", momentum=0.5))
    teacher = cast("MeanTeacher", made.objectives["o"])
    teacher.begin()
    with torch.no_grad():
        made.node("body").get_parameter("weight").add_(1.0)
    given = batch()
    loss = made.losses(given)["o"]
    student = made({"x": given["x@v.0"]})["y"].softmax(1)
    slow = teacher.slow([given["x@v.1"]]).softmax(1)
    torch.testing.assert_close(loss, (student - slow).square().mean(1))
    before = teacher.slow([given["x@v.1"]])
    teacher.after_update()
    after, now = teacher.slow([given["x@v.1"]]), made({"x": given["x@v.1"]})["y"]
    torch.testing.assert_close(after, (before + now) / 2)  # the copy differs in one linear layer


def test_the_student_runs_on_its_own_view_alone() -> None:
    made = model(MeanTeacher("out", views="v"))
    calls: list[torch.Tensor] = []
    made.node("body").register_forward_hook(lambda module, given, value: calls.append(given[0]))
    given = batch()
    made.losses(given)
    assert len(calls) == 1
    assert calls[0] is given["x@v.0"]


def test_rows_that_do_not_count_have_no_part_in_the_slow_copys_statistics() -> None:
    def made() -> Model:
        torch.manual_seed(0)
        body = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5))
        return Model(
            inputs={"x": info(4)},
            nodes={"body": Node(body, "x"), "out": Node(nn.Linear(5, 3), "body")},
            tasks={"y": Task(kind=MULTI, output="out", target="y")},
            objectives={"o": MeanTeacher("out", views="v")},
            seed=0,
        ).train()

    there = torch.tensor([True, False, True, True, False, True])
    for few in (there, torch.arange(6) == 2, torch.zeros(6, dtype=torch.bool)):
        teacher = cast("MeanTeacher", made().objectives["o"])
        output, fields = torch.randn(6, 3), [torch.randn(6, 4) for _ in range(2)]
        spoilt = [field.masked_fill(~few[:, None], 1e4) for field in fields]
        value, present = teacher(output, output, *spoilt, present=few)
        assert present is few
        if few is there:  # one row, or none, is given the running statistics
            alone = cast("MeanTeacher", made().objectives["o"])
            expected = alone(output[few], output[few], *[field[few] for field in fields]).value
            torch.testing.assert_close(value[few], expected)
        assert bool(value.isfinite().all())
        assert cast("Any", teacher.encoder).training


def test_no_gradient_reaches_the_momentum_encoder() -> None:
    made = model(MeanTeacher("out", views="v"))
    made.losses(batch())["o"].sum().backward()
    assert {name for name, p in made.named_parameters() if p.grad is not None} == {
        "node_body.weight",
        "node_body.bias",
        "node_out.weight",
        "node_out.bias",
    }


@pytest.mark.parametrize(("kind", "width"), [("binary", 1), ("multilabel", 3)])
def test_the_kind_is_that_of_the_task(kind: str, width: int) -> None:
    teacher = MeanTeacher("out", views="v")
    made = model(teacher, kind, width)
    given = batch()
    student, slow = made({"x": given["x@v.0"]})["y"], teacher.slow([given["x@v.1"]])
    loss = made.plan_losses("supervised", given, ["o"])(given)[0]["o"].value
    torch.testing.assert_close(loss, (student.sigmoid() - slow.sigmoid()).square().view(6, -1).mean(1))
    for objective in (PseudoLabel("out"), FixMatch("out", views=("v", "v"))):
        model(objective, kind, width)
        assert objective.kind == kind


def test_half_precision_is_summed_in_float32() -> None:
    logits = (4 * torch.randn(64, 10, generator=torch.Generator().manual_seed(0))).bfloat16()
    for objective, views in (
        (PseudoLabel("out", threshold=0.5, kind=MULTI), [logits]),
        (FixMatch("out", views=("a", "b"), threshold=0.5, kind=MULTI), [logits, logits.flip(0)]),
    ):
        value = objective(*views).value
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, objective(*[x.float() for x in views]).value)


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: PseudoLabel("out", threshold=1.0),
            "PseudoLabel: expected a threshold between 0 and 1, got 1.0.",
        ),
        (
            lambda: FixMatch("out", views=("a", "b"), threshold=0.0),
            "FixMatch: expected a threshold between 0 and 1, got 0.0.",
        ),
        (
            lambda: FixMatch("out", views="a"),
            "FixMatch: expected two views, a weak one and a strong one; got 1.",
        ),
        (
            lambda: FixMatch("out", views=("a", "b"), temperature=0.0),
            "FixMatch: expected a temperature above 0, got 0.0.",
        ),
        (
            lambda: MeanTeacher("out", views=()),
            "MeanTeacher: expected one view, which is drawn twice, or two; got none.",
        ),
        (
            lambda: MeanTeacher("out", views="v", momentum=1.5),
            "MeanTeacher: expected a momentum from 0 to 1, got 1.5.",
        ),
        (
            lambda: PseudoLabel("out", kind="multilable"),
            "PseudoLabel: expected a kind of task among multiclass, binary, multilabel, got 'multilable'. "
            "Did you mean 'multilabel' or 'multiclass'?",
        ),
        (
            lambda: PseudoLabel("out")(LOGITS),
            "PseudoLabel: give it kind='multiclass', 'binary' or 'multilabel' where it is no model's objective.",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, text: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        make()
    assert str(caught.value) == text


def test_what_is_no_tasks_output_is_refused() -> None:
    with pytest.raises(ObjectiveError) as caught:
        model(PseudoLabel("body"))
    assert str(caught.value) == (
        "objective 'o': PseudoLabel: expected the output of a multiclass, binary or multilabel task; 'body' is that of "
        "no task. Name 'out'."
    )
    with pytest.raises(ObjectiveError, match=r"'out' is that of a regression task\. The model has none\.$"):
        model(MeanTeacher("out", views="v"), "regression", 3)


def test_an_output_of_positions_is_refused() -> None:
    with pytest.raises(ObjectiveError) as caught:
        PseudoLabel("out").connect([info(3, 8, 8)], {})
    assert str(caught.value) == (
        "PseudoLabel: expected output as [batch, classes] or [batch] float32; 'out' is [batch, 3, 8, 8] float32. Name "
        "the output of a task that decides once a row."
    )
    with pytest.raises(ObjectiveError, match=r"\[batch, classes\] float32 with two classes or more"):
        FixMatch("out", views=("a", "b"), kind=MULTI).connect([info(1)], {})


def test_a_momentum_may_move_over_the_phase() -> None:
    teacher = MeanTeacher("out", views="v", momentum=WeightSchedule(start=0.0, end=1.0))
    made = model(teacher)
    teacher.begin()
    weight = made.node("body").get_parameter("weight")
    kept = cast("Any", teacher.encoder).node("body").get_buffer("weight")
    for epoch, moves in ((0.0, True), (10.0, False)):  # at first the copy is the model, at last it stays
        with torch.no_grad():
            weight.add_(1.0)
        before = kept.clone()
        teacher.after_update(epoch, 10.0)
        assert kept.equal(weight if moves else before)


@pytest.mark.parametrize(
    "make",
    [lambda: PseudoLabel("out"), lambda: FixMatch("out", views=("w", "s")), lambda: MeanTeacher("out", views="w")],
)
def test_new_classes_can_come(make: Any) -> None:
    """None keeps anything as wide as the output; a momentum encoder gets the same classes."""
    value = ValueInfo(shape=(), dtype="int64", classes=2)
    net = Model(
        inputs={"x": info(4)},
        nodes={"out": Node(nn.Linear(4, 2), "x")},
        tasks={"kind": Task(kind=MULTI, output="out", target="y")},
        objectives={"kind": CrossEntropy(("out", "y")), "agree": make()},
        fields={"y": FieldInfo(name="y", kind="category", value=value, classes=("bee", "elk"))},
    )
    net.grow(Classes("y", ["ape", "bee", "cat", "elk"]))
    x = torch.rand(3, 4)
    views = {f"x@{draw}": x for draw in ("w.0", "w.1", "s.0")}
    losses = net.losses({"x": x, "y": torch.tensor([0, 1, 3]), **views})
    assert losses["agree"].shape == (3,)
    agree = net.objectives["agree"]
    if isinstance(agree, MeanTeacher):
        assert losses["agree"].tolist() == [0.0, 0.0, 0.0]
        assert torch.equal(agree.slow([x]), net({"x": x})["kind"])


def test_a_batch_of_which_no_row_counts_costs_nothing() -> None:
    """Many a module cannot read no rows: ``x.view(len(x), -1)`` is one."""

    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x.view(len(x), -1))

    objective = MeanTeacher("out", views="w")
    tasks = {"kind": Task(kind=MULTI, output="out", target="y")}
    Model(inputs={"x": info(2, 2)}, nodes={"out": Node(Flat(), "x")}, tasks=tasks, objectives={"agree": objective})
    output, x = torch.rand(2, 3, requires_grad=True), torch.rand(2, 2, 2)
    loss = reduce(objective(output, output, x, x, present=torch.zeros(2, dtype=torch.bool)))
    loss.backward()
    assert loss == 0
    assert output.grad is not None
    assert output.grad.abs().max() == 0
