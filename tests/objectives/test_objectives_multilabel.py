"""Binary cross entropy of several labels a row, and forecasts of several steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import sklearn.metrics as sk
import torch

from jumpml.core import ModelSpec, ObjectiveError, ValueInfo, load_spec
from jumpml.objectives import BinaryCrossEntropy, Distillation, MeanSquaredError, build_objectives, reduce

if TYPE_CHECKING:
    from typing import Any

PAIR = ("out", "labels")
LABELS = ValueInfo(shape=(3,))


def drawn(rows: int = 6, labels: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(rows, labels, generator=g, dtype=torch.float64, requires_grad=True)
    return logits, (torch.rand(rows, labels, generator=g) < 0.4).double()


def test_the_loss_of_a_row_is_the_mean_over_its_labels() -> None:
    logits, target = drawn()
    rows = [
        sk.log_loss(true, chance, labels=[0.0, 1.0])
        for true, chance in zip(target.numpy(), logits.sigmoid().detach().numpy(), strict=True)
    ]
    assert BinaryCrossEntropy(PAIR)(logits, target).value.tolist() == pytest.approx(rows)


def test_the_positive_weight_is_of_the_labels_that_a_row_has() -> None:
    value = BinaryCrossEntropy(PAIR, positive_weight=3.0)(torch.zeros(1, 4), torch.tensor([[1.0, 0, 0, 0]])).value
    # ln 2 for each label, three times for the one that is there, over four labels
    assert value.tolist() == pytest.approx([np.log(2) * 6 / 4])


def test_rows_without_labels_have_no_part() -> None:
    logits, target = drawn()
    target[1] = torch.nan
    present = ~target.isnan().any(1)
    loss = reduce(BinaryCrossEntropy(PAIR)(logits, target, present=present))
    loss.backward()
    alone = reduce(BinaryCrossEntropy(PAIR)(logits.detach()[present], target[present]))
    assert loss.item() == pytest.approx(alone.item())
    assert logits.grad is not None
    assert logits.grad[1].tolist() == [0, 0, 0]
    assert logits.grad[present].abs().min() > 0


def test_one_label_is_a_binary_task() -> None:
    logits, target = drawn(labels=1)
    objective = BinaryCrossEntropy(PAIR)
    assert torch.equal(objective(logits, target).value, objective(logits.flatten(), target.flatten().long()).value)


@pytest.mark.parametrize(
    ("logits", "target", "text"),
    [
        (
            ValueInfo(shape=(2,)),
            LABELS,
            "expected logits as one logit for each of [batch, 3] float32 in 'labels'; 'out' is [batch, 2] float32. Use "
            "a linear node with 3 outputs, one a label.",
        ),
        (
            ValueInfo(shape=(3, 2)),
            LABELS,
            "expected logits as [batch] or [batch, labels] float32; 'out' is [batch, 3, 2] float32. Use a linear node "
            "with one output, or one a label.",
        ),
    ],
)
def test_logits_that_do_not_fit_the_labels_are_refused(logits: ValueInfo, target: ValueInfo, text: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        BinaryCrossEntropy(PAIR).connect([logits, target], {})
    assert str(caught.value) == f"BinaryCrossEntropy: {text}"


def test_logits_that_fit_are_taken_also_where_the_target_is_not_known() -> None:
    BinaryCrossEntropy(PAIR).connect([LABELS, LABELS], {})
    BinaryCrossEntropy(PAIR).connect([LABELS, None], {})


def test_labels_that_differ_at_run_time_are_refused() -> None:
    with pytest.raises(ObjectiveError, match=r"BinaryCrossEntropy: expected equal shapes, got \[2, 3\] and \[2, 2\]"):
        BinaryCrossEntropy(PAIR)(torch.zeros(2, 3), torch.zeros(2, 2))


def test_a_student_of_several_labels_learns_each_ones_chance() -> None:
    student, source = torch.zeros(1, 2), torch.tensor([[0.0, 2.0]])
    value = Distillation(PAIR, kind="multilabel", temperature=1.0)(student, source).value
    # 0 for the first label; of the second p ln(p / .5) + (1 - p) ln((1 - p) / .5) with p = 1 / (1 + e^-2)
    p = 1 / (1 + np.exp(-2))
    assert value.tolist() == pytest.approx([(p * np.log(2 * p) + (1 - p) * np.log(2 * (1 - p))) / 2])


def test_a_flat_prediction_is_compared_with_all_steps_of_a_forecast() -> None:
    g = torch.Generator().manual_seed(0)
    target, prediction = torch.randn(5, 4, 2, generator=g), torch.randn(5, 8, generator=g)
    objective = MeanSquaredError(("out", "next"))
    objective.connect([ValueInfo(shape=(8,)), ValueInfo(shape=(4, 2))], {})
    expected = (prediction.reshape(5, 4, 2) - target).square().mean((1, 2))
    torch.testing.assert_close(objective(prediction, target).value, expected)
    torch.testing.assert_close(objective(prediction.reshape(5, 4, 2), target).value, expected)
    with pytest.raises(ObjectiveError, match=r"expected prediction as \[batch, 4, 2\] float32 like 'next'"):
        objective.connect([ValueInfo(shape=(2, 4)), ValueInfo(shape=(4, 2))], {})


def made(task: dict[str, Any]) -> BinaryCrossEntropy:
    nodes = {"out": {"module": "torch.nn.LazyLinear", "inputs": "x", "args": {"out_features": 3}}}
    tasks = {"topics": {"kind": "multilabel", "output": "out", "target": "topics", **task}}
    objective = build_objectives(load_spec(ModelSpec, {"nodes": nodes, "tasks": tasks}))["topics"]
    assert isinstance(objective, BinaryCrossEntropy)
    return objective


def test_a_multilabel_task_brings_it() -> None:
    assert made({}).positive_weight is None
    weight = made({"objective": {"positive_weight": 4.0}}).positive_weight
    assert weight is not None
    assert weight.item() == 4
