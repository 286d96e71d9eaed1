"""Several labels a row: what is undefined, missing or compared, the record, and the areas that are computed at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_multilabel_classification
from torch import nn

from jumpml.core import EvaluationError, EvaluationRecord, LabelCounts, Task
from jumpml.data import Column, DataLoaders
from jumpml.evaluate import EvalResults, Predictions, compare, evaluate, measure, metric, score
from jumpml.evaluate._draws import Draws
from jumpml.evaluate._ranking import auroc, average_precision
from jumpml.graph import Model, Node
from jumpml.objectives import BinaryCrossEntropy

NAMES = ("rock", "jazz", "folk", "opera")


def predictions(target: list[list[int]], output: list[list[float]]) -> Predictions:
    return Predictions(
        output=torch.tensor(output),
        target=torch.tensor(target, dtype=torch.float32),
        present=torch.ones(len(target), dtype=torch.bool),
    )


def bags_of_words(never: tuple[int, ...] = ()) -> DataLoaders:
    """scikit-learn's bags of words with several topics each, some of them never; nobody labelled every tenth row."""
    bags: Any = make_multilabel_classification(200, n_features=8, n_classes=4, n_labels=2, random_state=0)
    x, y = bags
    topics = torch.tensor(y, dtype=torch.float32)
    topics[:, never] = 0
    topics[::10] = torch.nan
    columns = {
        "words": Column(torch.tensor(x, dtype=torch.float32), "tensor"),
        "topics": Column(topics, "multilabel", classes=NAMES),
    }
    rows = torch.arange(200)
    return DataLoaders(columns, {"train": rows[:100], "val": rows[100:120], "test": rows[120:]}, batch_size=32)


@pytest.fixture
def loaders() -> DataLoaders:
    return bags_of_words()


@pytest.fixture
def model(loaders: DataLoaders) -> Model:
    torch.manual_seed(0)
    return Model(
        inputs={"words": loaders.info("words")},
        nodes={"out": Node(nn.Linear(8, 4), "words")},
        tasks={"topics": Task(kind="multilabel", output="out", target="topics")},
        objectives={"topics": BinaryCrossEntropy(("out", "topics"))},
        fields=loaders.fields,
    )


@pytest.fixture
def results(loaders: DataLoaders, model: Model) -> EvalResults:
    return evaluate(loaders, model)


def truth_and_decisions(loaders: DataLoaders, model: Model) -> tuple[np.ndarray, np.ndarray]:
    rows = torch.arange(120, 200)
    rows = rows[rows % 10 > 0]
    topics, words = (loaders.test.decoded(name)[rows - 120] for name in ("topics", "words"))
    with torch.no_grad():
        return topics.long().numpy(), (model({"words": words})["topics"] > 0).long().numpy()


# --- the engine -------------------------------------------------------------------------------------------------------


def test_the_kinds_own_figures_are_scikit_learns(loaders: DataLoaders, model: Model, results: EvalResults) -> None:
    truth, decided = truth_and_decisions(loaders, model)
    names = ["micro_f1", "macro_f1", "average_precision", "subset_accuracy", "hamming_loss"]
    assert list(results) == [f"topics/{name}" for name in names]
    values = {name: results[f"topics/{name}"].value for name in names}
    assert values["micro_f1"] == pytest.approx(sk.f1_score(truth, decided, average="micro"))
    assert values["macro_f1"] == pytest.approx(sk.f1_score(truth, decided, average="macro"))
    assert values["subset_accuracy"] == pytest.approx(sk.accuracy_score(truth, decided))
    assert values["hamming_loss"] == pytest.approx(sk.hamming_loss(truth, decided))
    assert all(figure.low < figure.value < figure.high and figure.n == 72 for figure in results.values())


def test_a_validation_score_is_the_evaluations_value(loaders: DataLoaders, model: Model) -> None:
    scores = score(loaders, model, ["topics/micro_f1", "loss"])
    assert scores["topics/micro_f1"] == evaluate(loaders, model, split="val")["topics/micro_f1"].value
    assert scores["loss"] == pytest.approx(score(loaders, model, ["topics/log_loss"])["topics/log_loss"], rel=1e-6)


def test_the_record_counts_each_label_and_has_no_confusion(
    loaders: DataLoaders, model: Model, results: EvalResults
) -> None:
    truth, decided = truth_and_decisions(loaders, model)
    task = results.record.tasks["topics"]
    assert (task.rows, task.missing, task.classes, task.confusion) == (72, 8, NAMES, None)
    expected = [
        LabelCounts(right=int(n[1, 1]), missed=int(n[1, 0]), wrong=int(n[0, 1]))
        for n in sk.multilabel_confusion_matrix(truth, decided)
    ]
    assert list(task.labels) == expected
    assert EvaluationRecord.model_validate_json(results.record.model_dump_json()) == results.record


def test_calibration_pools_the_labels_and_curves_average_them(results: EvalResults) -> None:
    task = results.record.tasks["topics"]
    assert task.calibration is not None
    assert sum(task.calibration.count) == 72 * 4
    assert list(task.curves) == ["ROC", "precision and recall"]
    assert {curve.label for curves in task.curves.values() for curve in curves} == {"mean over labels"}


def test_a_label_that_no_row_has_is_told(model: Model) -> None:
    record = evaluate(bags_of_words(never=(3,)), model).record
    assert record.notes == ("topics: no row of the split has the label 'opera'.",)
    assert record.tasks["topics"].curves


# --- metrics ----------------------------------------------------------------------------------------------------------


def test_f1_passes_over_labels_that_neither_are_nor_were_given() -> None:
    p = predictions([[1, 0, 0], [1, 1, 0]] * 20, [[2.0, 1.0, -1.0], [2.0, -1.0, -1.0]] * 20)
    figures = measure("multilabel", ["macro_f1", "micro_f1"], p)
    # the first label is always right, the second never, the third nowhere; 40 right of 40 + half of 20 + 20
    assert figures["macro_f1"].value == pytest.approx(0.5)
    assert figures["micro_f1"].value == pytest.approx(40 / 60)
    nowhere: Any = np.nan  # scikit-learn's word for passing over
    assert figures["macro_f1"].value == pytest.approx(
        sk.f1_score(p.target, p.output > 0, average="macro", zero_division=nowhere)
    )


def test_without_any_label_there_is_no_f1_and_no_ranking() -> None:
    p = predictions([[0, 0]] * 3, [[-1.0, -2.0]] * 3)
    names = ["micro_f1", "macro_f1", "auroc", "average_precision", "subset_accuracy", "hamming_loss"]
    assert {n: f.value for n, f in measure("multilabel", names, p).items()} == {
        "subset_accuracy": 1,
        "hamming_loss": 0,
    }
    with pytest.raises(
        EvaluationError, match=r"^'micro_f1' has no value .*: no row has a label and none was given one\.$"
    ):
        compare("multilabel", ["micro_f1"], "micro_f1", p, p)
    with pytest.raises(EvaluationError, match=r"^'auroc' has no value .*: each label is in all rows or in none\.$"):
        compare("multilabel", ["auroc"], "auroc", p, p)


def test_rankings_are_averaged_over_the_labels_that_divide_the_rows() -> None:
    p = predictions([[1, 0, 1], [0, 0, 1], [1, 0, 1], [0, 0, 1]] * 10, [[3.0, 0.0, 1.0], [2.0, 1.0, 0.0]] * 20)
    assert measure("multilabel", ["auroc"], p)["auroc"].value == 1


def test_subset_accuracy_has_wilsons_interval() -> None:
    p = predictions([[1, 0]] * 20, [[1.0, -1.0]] * 18 + [[1.0, 1.0], [-1.0, -1.0]])
    figure = measure("multilabel", ["subset_accuracy"], p)["subset_accuracy"]
    # Wilson 1927's formula for 18 of 20
    assert (figure.value, figure.low, figure.high) == pytest.approx((0.9, 0.6990, 0.9721), abs=5e-5)


def test_no_change_of_subset_accuracy_has_a_width() -> None:
    p = predictions([[1, 0]] * 270, [[1.0, -1.0]] * 270)
    change = compare("multilabel", ["subset_accuracy"], "subset_accuracy", p, p)
    # Agresti's and Min's interval: half a row in each of two cells, 1.96 / (n + 2)
    assert (change.value, change.low, change.high) == pytest.approx((0, -1.959964 / 272, 1.959964 / 272))


def test_a_change_of_micro_f1_is_measured_on_the_same_resamples() -> None:
    g = torch.Generator().manual_seed(0)
    target = (torch.rand(100, 4, generator=g) < 0.4).float()
    before, after = (
        Predictions(output=target * 2 - 1 + noise * torch.randn(100, 4, generator=g), target=target, present=present)
        for noise, present in ((0.5, torch.ones(100, dtype=torch.bool)), (2.0, torch.ones(100, dtype=torch.bool)))
    )
    change = compare("multilabel", ["micro_f1"], "micro_f1", before, after)
    own = [measure("multilabel", ["micro_f1"], p)["micro_f1"].value for p in (before, after)]
    assert change.value == pytest.approx(own[1] - own[0])
    assert change.low < change.value < change.high < 0


def test_a_function_gets_labels_as_zeros_and_ones() -> None:
    def per_row(predictions: torch.Tensor, targets: torch.Tensor, probabilities: torch.Tensor) -> float:
        assert predictions.shape == targets.shape == probabilities.shape == (len(targets), 2)
        assert predictions.dtype == targets.dtype == torch.int64
        return float(predictions.sum(1).float().mean())

    p = predictions([[1, 0]] * 20, [[1.0, -1.0]] * 10 + [[1.0, 1.0]] * 10)
    assert measure("multilabel", [metric(per_row, needs="probabilities")], p)["per_row"].value == 1.5


def test_torchmetrics_objects_read_the_labels_as_they_are() -> None:
    from torchmetrics.classification import MultilabelF1Score

    p = predictions([[1, 0], [0, 1]] * 20, [[1.0, -1.0], [1.0, 1.0]] * 20)
    figures = measure("multilabel", [MultilabelF1Score(num_labels=2, average="micro"), "micro_f1"], p)
    assert figures["MultilabelF1Score"].value == pytest.approx(figures["micro_f1"].value)


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(EvaluationError, match=r"^a multilabel target is 0 or 1; 1 of 2 rows are not, such as 3\.$"):
        measure("multilabel", ["micro_f1"], predictions([[1, 3], [0, 1]], [[1.0, 1.0], [1.0, 1.0]]))
    text = (
        r"^the metric 'accuracy' is for multiclass, binary and ordinal tasks; a multilabel task has: micro_f1, "
        r"macro_f1, auroc, average_precision, log_loss, brier, subset_accuracy, hamming_loss\.$"
    )
    with pytest.raises(EvaluationError, match=text):
        measure("multilabel", ["accuracy"], predictions([[1]], [[1.0]]))
    kinds = "multiclass, binary, ordinal, multilabel and token_labelling"
    text = rf"^the metric 'macro_f1' is for {kinds} tasks; a regression task has: rmse, "
    with pytest.raises(EvaluationError, match=text):
        measure("regression", ["macro_f1"], predictions([[1]], [[1.0]]))


# --- the areas --------------------------------------------------------------------------------------------------------

RANKED = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40).filter(
    lambda rows: len({truth for _, truth in rows}) == 2
)


@settings(max_examples=60, deadline=None)
@given(st.lists(RANKED, min_size=1, max_size=3))
def test_areas_are_scikit_learns_with_ties_in_every_column(columns: list[list[tuple[int, bool]]]) -> None:
    rows = min(map(len, columns))
    cut = [column[:rows] for column in columns if len({truth for _, truth in column[:rows]}) == 2]
    if not cut:
        return
    scores = torch.tensor([[float(s) for s, _ in column] for column in cut]).T
    truths = torch.tensor([[int(t) for _, t in column] for column in cut]).T
    pairs = [(truths[:, c].numpy(), scores[:, c].numpy()) for c in range(len(cut))]
    once = Draws.once(rows)
    assert auroc(scores, truths, once)[0].tolist() == pytest.approx([sk.roc_auc_score(*pair) for pair in pairs])
    precisions = [sk.average_precision_score(*pair) for pair in pairs]
    assert average_precision(scores, truths, once)[0].tolist() == pytest.approx(precisions)
