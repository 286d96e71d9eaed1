"""The whole diagnosis: what it holds, what it leaves alone, and what it refuses."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from jumpml.core import DiagnosisError, DiagnosisRecord, EvaluationError, ExampleHistory, History, Task, ValueInfo
from jumpml.data import Column, DataLoaders, random_split
from jumpml.diagnose import diagnose
from jumpml.diagnose._hard_examples import hard_examples
from jumpml.graph import Model, Node

if TYPE_CHECKING:
    from conftest import Trained

    from jumpml.diagnose import Diagnosis


@pytest.fixture(scope="module")
def diagnosis(digits: Trained) -> Diagnosis:
    return diagnose(digits.loaders, digits.model, digits.history)


def test_all_parts_are_there(diagnosis: Diagnosis) -> None:
    record = diagnosis.record
    assert [(part.task, part.field) for part in record.attributions] == [("digit", "image")]
    assert [(part.method, part.node) for part in record.out_of_domain] == [
        ("mahalanobis", "encoder"),
        ("knn", "encoder"),
    ]
    assert len(record.hard_examples) == 12
    assert record.notes == ()


def test_the_record_is_plain_json(diagnosis: Diagnosis) -> None:
    text = diagnosis.record.model_dump_json()
    assert DiagnosisRecord.model_validate_json(text) == diagnosis.record
    assert "NaN" not in text
    assert len(text) < 100_000


def test_the_summary_tells_the_main_figures(diagnosis: Diagnosis) -> None:
    text, record = diagnosis.summary(), diagnosis.record
    assert str(diagnosis) == text
    first, score, hard = record.attributions[0], record.out_of_domain[0], record.hard_examples[0]
    assert f"  digit, from image: insertion {first.insertion}, at random {first.random_insertion}; deletion" in text
    assert f"  mahalanobis at encoder: {score.test_above} of the test rows above {score.threshold:.4g}" in text
    assert f"AUROC against shuffled {score.auroc['shuffled']}" in text
    assert f"  digit, row {hard.row}: {hard.target}, margin {hard.margin:.3g}" in text
    assert "Notes" not in text


def test_it_is_repeatable_and_the_seed_matters(digits: Trained, diagnosis: Diagnosis) -> None:
    assert diagnose(digits.loaders, digits.model, digits.history).record == diagnosis.record
    assert diagnose(digits.loaders, digits.model, digits.history, seed=1).record != diagnosis.record


def _state(model: Model) -> dict[str, object]:
    return {
        "modes": [module.training for module in model.modules()],
        "requires_grad": [parameter.requires_grad for parameter in model.parameters()],
        "grads": [None if p.grad is None else p.grad.tolist() for p in model.parameters()],
        "weights": {name: value.tolist() for name, value in model.state_dict().items()},
        "generator": torch.get_rng_state().tolist(),
        "hooks": [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()],
    }


def test_model_generators_and_loaders_are_left_as_they_were(digits: Trained) -> None:
    loaders, model = digits.loaders, copy.deepcopy(digits.model)
    model.train()
    model.node("digit").eval()
    next(model.parameters()).requires_grad_(False)
    model(next(loaders.test.plain()))["digit"].sum().backward()
    before, place = _state(model), loaders.train.state_dict()
    diagnose(loaders, model, digits.history)
    assert _state(model) == before
    assert loaders.train.state_dict() == place


def test_a_change_of_state_would_be_seen(digits: Trained) -> None:
    model = copy.deepcopy(digits.model)
    before = _state(model)
    model.train(not model.training)
    assert _state(model) != before
    model.train(not model.training)
    assert _state(model) == before
    torch.rand(1)
    assert _state(model) != before


def test_dropout_that_never_sleeps_does_not_move_the_generator(digits: Trained) -> None:
    class Awake(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.dropout(x, 0.1, training=True)

    loaders = digits.loaders
    model = Model(
        inputs={"image": loaders.info("image")},
        nodes={
            "flat": Node(nn.Flatten(), "image"),
            "awake": Node(Awake(), "flat"),
            "digit": Node(nn.Linear(64, 10), "awake"),
        },
        tasks={"digit": Task(kind="multiclass", output="digit", target="label")},
    )
    before = torch.get_rng_state()
    diagnose(loaders, model)
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_history_the_notes_say_what_is_missing(digits: Trained) -> None:
    found = diagnose(digits.loaders, digits.model)
    assert found.record.hard_examples == ()
    assert found.record.warnings == ()
    note = (
        "hard examples and training health are left out, for want of a history; give diagnose the learner's: "
        "diagnose(loaders, model, learner.history)."
    )
    assert found.record.notes == (note,)
    assert f"Notes\n  {note}" in found.summary()


def test_without_examples_the_notes_say_how_to_get_them(digits: Trained) -> None:
    found = diagnose(digits.loaders, digits.model, History(epochs=digits.history.epochs))
    assert found.record.notes == (
        "hard examples are left out: the history holds no examples; the learner records them while it trains the tasks "
        "(record_examples: true).",
    )


def test_training_health_is_part_of_it(digits: Trained) -> None:
    flat = [record.model_copy(update={"losses": {"digit": 2.3, "total": 2.3}}) for record in digits.history.epochs * 2]
    found = diagnose(digits.loaders, digits.model, History(epochs=flat))
    assert found.record.warnings[0].startswith("supervised: the train loss did not fall: 2.3 in the first epoch")
    assert f"Warnings\n  {found.record.warnings[0]}" in found.summary()


def test_tasks_with_one_embedding_share_its_scores(table: Trained) -> None:
    found = diagnose(table.loaders, table.model)
    assert [part.task for part in found.record.attributions] == ["progress"] * 4 + ["risk"] * 4
    assert [part.node for part in found.record.out_of_domain] == ["body", "body"]


def test_a_model_without_tasks_is_refused(digits: Trained) -> None:
    model = Model(inputs={"image": digits.loaders.info("image")}, nodes={"flat": Node(nn.Flatten(), "image")})
    with pytest.raises(EvaluationError, match="the model has no tasks"):
        diagnose(digits.loaders, model)


def test_outputs_that_are_not_finite_are_refused(digits: Trained) -> None:
    model = copy.deepcopy(digits.model)
    model.node("digit").bias.data[0] = torch.nan  # type: ignore[union-attr]
    rows = len(digits.loaders.test.rows)
    text = f"task 'digit': the model's output is NaN or infinite in {rows} of {rows} test rows. Look at the losses"
    with pytest.raises(DiagnosisError, match=text):
        diagnose(digits.loaders, model)


def test_a_history_of_another_model_is_refused(digits: Trained) -> None:
    history = History(examples={"digits": digits.history.examples["digit"]})
    with pytest.raises(
        DiagnosisError, match=r"the history is of a task 'digits', which the model lacks. Did you mean 'digit'\?"
    ):
        diagnose(digits.loaders, digits.model, history)


def test_a_history_of_other_rows_is_refused(digits: Trained) -> None:
    rows = digits.history.examples["digit"].rows.copy()
    foreign = int(digits.loaders.test.rows[0])
    rows[3] = foreign
    history = History(examples={"digit": replace(digits.history.examples["digit"], rows=rows)})
    with pytest.raises(DiagnosisError) as error:
        diagnose(digits.loaders, digits.model, history)
    assert str(error.value) == (
        f"the history of task 'digit' has 1 rows that are not among the train rows, such as row {foreign}: it belongs "
        "to other data or another split. Give the history of the learner that trained on these loaders."
    )


def test_hard_examples_show_row_label_and_picture(digits: Trained, diagnosis: Diagnosis) -> None:
    recorded, train = digits.history.examples["digit"], digits.loaders.train
    assert [e.margin for e in diagnosis.record.hard_examples] == sorted(
        e.margin for e in diagnosis.record.hard_examples
    )
    for example in diagnosis.record.hard_examples:
        place = int((train.rows == example.row).nonzero())
        assert example.target == str(int(train.decoded("label")[place]))
        assert example.margin == pytest.approx(float(recorded.margin[:, place].mean()))
        assert example.loss == pytest.approx(float(recorded.loss[:, place].mean()))
        assert example.suggestion != example.target
        torch.testing.assert_close(
            torch.tensor(example.picture), train.decoded("image")[place, 0], atol=1e-3, rtol=1e-3
        )


def test_rows_of_a_history_may_come_in_any_order(digits: Trained, diagnosis: Diagnosis) -> None:
    recorded = digits.history.examples["digit"]
    order = np.random.default_rng(0).permutation(len(recorded.rows))
    mixed = ExampleHistory(
        rows=recorded.rows[order],
        loss=recorded.loss[:, order],
        margin=recorded.margin[:, order],
        predicted=recorded.predicted[:, order],
    )
    found, _ = hard_examples(digits.loaders, digits.model, "digit", mixed)
    assert tuple(found) == diagnosis.record.hard_examples


def test_a_suspicious_label_is_told(digits: Trained) -> None:
    rows = digits.loaders.train.rows.numpy()
    labels = digits.loaders.train.decoded("label").numpy()
    margin = np.ones((4, len(rows)), dtype=np.float32)
    predicted = np.tile(labels, (4, 1))
    margin[:, 5], predicted[:, 5] = -2, (labels[5] + 1) % 10
    history = ExampleHistory(rows=rows, loss=1 - margin, margin=margin, predicted=predicted)
    found, warnings = hard_examples(digits.loaders, digits.model, "digit", history)
    first = found[0]
    assert (first.row, first.target, first.suggestion) == (rows[5], str(labels[5]), str((labels[5] + 1) % 10))
    assert first.suspicious
    assert not any(example.suspicious or example.suggestion for example in found[1:])
    assert warnings == [
        f"digit: 1 of {len(rows)} train rows are suspicious: the model never learned their label and kept preferring "
        "another. Look at them under hard examples; correct a wrong label, or leave the row out."
    ]


def test_hard_rows_of_a_regression_have_numbers_for_targets(table: Trained) -> None:
    rows = table.loaders.train.rows.numpy()
    margin = -np.arange(2 * len(rows), dtype=np.float32).reshape(2, -1)
    history = ExampleHistory(rows=rows, loss=-margin, margin=margin, predicted=np.full(margin.shape, -1))
    found, warnings = hard_examples(table.loaders, table.model, "progress", history)
    assert warnings == []
    assert (found[0].row, found[0].suggestion, found[0].suspicious, found[0].picture) == (rows[-1], "", False, None)
    assert float(found[0].target) == float(table.loaders.train.decoded("progression")[-1, 0])


def test_a_binary_task_on_a_number() -> None:
    y = (torch.arange(60) % 2).float().unsqueeze(1)
    y[0] = torch.nan
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0)) + y.nan_to_num()
    splits = random_split(60)
    loaders = DataLoaders({"x": Column(x, "tensor"), "y": Column(y, "number")}, splits)
    task = Task(kind="binary", output="out", target="y")
    model = Model(inputs={"x": ValueInfo(shape=(2,))}, nodes={"out": Node(nn.Linear(2, 1), "x")}, tasks={"y": task})
    rows = splits["train"].numpy()
    margin = np.where(rows == 0, np.nan, 1.0).astype(np.float32)[None]
    history = ExampleHistory(rows=rows, loss=margin, margin=margin, predicted=np.ones_like(margin, dtype=np.int64))
    record = diagnose(loaders, model, History(examples={"y": history})).record
    assert {example.target for example in record.hard_examples} == {"0", "1"}
    assert {(e.target, e.suggestion) for e in record.hard_examples} == {("0", "1"), ("1", "")}
    assert 0 not in {example.row for example in record.hard_examples}
    assert {example.target for example in record.attributions[0].examples} <= {"0", "1"}
