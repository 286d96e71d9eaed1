"""Named metrics against scikit-learn, and what a user may give instead of a name."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpml.core import TASK_KINDS, EvaluationError
from jumpml.evaluate import FunctionMetric, Predictions, compare, higher_is_better, measure, metric, metric_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

ROWS = 80
CLASSES = 4


def predictions_of(kind: str, seed: int, rows: int = ROWS) -> Predictions:
    """Somewhat right: each class has rows."""
    g = torch.Generator().manual_seed(seed)
    present = torch.ones(rows, dtype=torch.bool)
    if kind == "multilabel":
        target = (torch.rand(rows, CLASSES, generator=g) < torch.tensor([0.1, 0.3, 0.5, 0.8])).float()
        return Predictions(output=torch.randn(rows, CLASSES, generator=g) + target, target=target, present=present)
    if kind in {"regression", "reconstruction"}:
        target = torch.randn(rows, 1, generator=g) * 3 + 1
        return Predictions(output=target + torch.randn(rows, 1, generator=g), target=target, present=present)
    if kind == "ordinal":
        target = torch.arange(rows) % CLASSES
        above = (target[:, None] > torch.arange(CLASSES - 1)).float() - 0.5
        return Predictions(
            output=torch.randn(rows, CLASSES - 1, generator=g) + 2 * above, target=target, present=present
        )
    classes = CLASSES if kind == "multiclass" else 2
    target = torch.arange(rows) % classes
    logits = torch.randn(rows, classes, generator=g) + 1.5 * torch.eye(classes)[target]
    output = logits if kind == "multiclass" else (logits[:, 1:] - logits[:, :1])
    return Predictions(output=output, target=target, present=present)


def softmax(p: Predictions) -> NDArray[np.float64]:
    return p.output.double().softmax(1).numpy()


def sigmoid(p: Predictions) -> NDArray[np.float64]:
    return p.output.double().sigmoid().flatten().numpy()


def one_hot(p: Predictions) -> NDArray[np.int64]:
    return np.eye(CLASSES, dtype=int)[p.target]


def decided(p: Predictions) -> NDArray[np.int64]:
    return p.output.argmax(1).numpy() if p.output.shape[1] > 1 else (p.output > 0).long().flatten().numpy()


def chances(p: Predictions) -> NDArray[np.float64]:
    """By CORN's product, written down class by class."""
    reached = np.cumprod(p.output.double().sigmoid().numpy(), axis=1)
    edges = np.column_stack([np.ones(len(reached)), reached, np.zeros(len(reached))])
    return np.asarray(edges[:, :-1] - edges[:, 1:], dtype=np.float64)


def rank(p: Predictions) -> NDArray[np.int64]:
    return (np.cumprod(p.output.double().sigmoid().numpy(), axis=1) > 0.5).sum(1)


def on_ranks(function: Callable[..., Any], **options: Any) -> Callable[[Predictions], float]:
    return lambda p: function(p.target.numpy(), rank(p), **options)


def on_decisions(function: Callable[..., Any], **options: Any) -> Callable[[Predictions], float]:
    return lambda p: function(p.target.numpy(), decided(p), **options)


def on_labels(function: Callable[..., Any], **options: Any) -> Callable[[Predictions], float]:
    return lambda p: function(p.target.long().numpy(), (p.output > 0).long().numpy(), **options)


def on_chances(function: Callable[..., Any], **options: Any) -> Callable[[Predictions], float]:
    return lambda p: function(p.target.long().numpy(), p.output.double().sigmoid().numpy(), **options)


def on_numbers(function: Callable[..., Any]) -> Callable[[Predictions], float]:
    return lambda p: function(p.target.double().numpy(), p.output.double().numpy())


SHARED = {
    "accuracy": on_decisions(sk.accuracy_score),
    "balanced_accuracy": on_decisions(sk.balanced_accuracy_score),
    "macro_f1": on_decisions(sk.f1_score, average="macro"),
    "matthews": on_decisions(sk.matthews_corrcoef),
    "cohen_kappa": on_decisions(sk.cohen_kappa_score),
}
NUMBERS = {
    "rmse": on_numbers(sk.root_mean_squared_error),
    "mse": on_numbers(sk.mean_squared_error),
    "mae": on_numbers(sk.mean_absolute_error),
    "r2": on_numbers(sk.r2_score),
}
EXPECTED: dict[str, dict[str, Callable[[Predictions], float]]] = {
    "multiclass": {
        **SHARED,
        "auroc": lambda p: sk.roc_auc_score(one_hot(p), softmax(p), average="macro"),
        "average_precision": lambda p: sk.average_precision_score(one_hot(p), softmax(p), average="macro"),
        "log_loss": lambda p: sk.log_loss(p.target, softmax(p)),
        "brier": lambda p: float(((softmax(p) - one_hot(p)) ** 2).sum(1).mean()),  # Brier 1950
    },
    "binary": {
        **SHARED,
        "f1": on_decisions(sk.f1_score),
        "precision": on_decisions(sk.precision_score),
        "recall": on_decisions(sk.recall_score),
        "specificity": on_decisions(sk.recall_score, pos_label=0),
        "auroc": lambda p: sk.roc_auc_score(p.target, sigmoid(p)),
        "average_precision": lambda p: sk.average_precision_score(p.target, sigmoid(p)),
        "log_loss": lambda p: sk.log_loss(p.target, sigmoid(p)),
        "brier": lambda p: sk.brier_score_loss(p.target, sigmoid(p)),
    },
    "multilabel": {
        "micro_f1": on_labels(sk.f1_score, average="micro"),
        "macro_f1": on_labels(sk.f1_score, average="macro"),
        "subset_accuracy": on_labels(sk.accuracy_score),
        "hamming_loss": on_labels(sk.hamming_loss),
        "auroc": on_chances(sk.roc_auc_score, average="macro"),
        "average_precision": on_chances(sk.average_precision_score, average="macro"),
        # of every label and row alike, as one long binary task
        "log_loss": lambda p: sk.log_loss(p.target.flatten(), sigmoid(p)),
        "brier": lambda p: sk.brier_score_loss(p.target.flatten(), sigmoid(p)),
    },
    "ordinal": {
        "accuracy": on_ranks(sk.accuracy_score),
        "balanced_accuracy": on_ranks(sk.balanced_accuracy_score),
        "macro_f1": on_ranks(sk.f1_score, average="macro"),
        "matthews": on_ranks(sk.matthews_corrcoef),
        "cohen_kappa": on_ranks(sk.cohen_kappa_score),
        "quadratic_kappa": on_ranks(sk.cohen_kappa_score, weights="quadratic"),
        "mae": on_ranks(sk.mean_absolute_error),
        "auroc": lambda p: sk.roc_auc_score(one_hot(p), chances(p), average="macro"),
        "average_precision": lambda p: sk.average_precision_score(one_hot(p), chances(p), average="macro"),
        "log_loss": lambda p: sk.log_loss(p.target, chances(p)),
        "brier": lambda p: float(((chances(p) - one_hot(p)) ** 2).sum(1).mean()),
    },
    "regression": NUMBERS,
    "reconstruction": NUMBERS,
}
# Those that scikit-learn does not have, or that need more than an output: tests/evaluate/test_evaluate_rows.py
ELSEWHERE = {"pinball", "coverage", "width", "psnr", "mase", "skill", "seasonal_skill"}
ELSEWHERE |= {"recall_at_1", "recall_at_5", "mean_average_precision"}
NAMES = [(kind, name) for kind, names in EXPECTED.items() for name in names]


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jumpml.evaluate._measure.num_resamples", lambda elements: 40)


@pytest.mark.usefixtures("few_resamples")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_a_named_metric_is_scikit_learns(kind: str, name: str, seed: int) -> None:
    predictions = predictions_of(kind, seed)
    figure = measure(kind, [name], predictions)[name]
    assert figure.value == pytest.approx(EXPECTED[kind][name](predictions), rel=1e-5)
    assert figure.low <= figure.high
    assert figure.low < figure.value < figure.high


def test_every_name_has_been_compared_and_every_kind_has_its_own() -> None:
    for kind, brings in TASK_KINDS.items():
        if brings.at != "row":  # test_evaluate_positions.py has these
            continue
        compared = EXPECTED.get("regression" if kind == "forecasting" else kind, {})
        assert set(metric_names(kind)) - ELSEWHERE == set(compared)
        assert set(brings.metrics) <= set(metric_names(kind))


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=30).filter(
        lambda pairs: len({true for true, _ in pairs}) > 1
    )
)
def test_averages_over_classes_are_scikit_learns_where_classes_have_no_rows(pairs: list[tuple[int, int]]) -> None:
    true, given_ = (torch.tensor(column) for column in zip(*pairs, strict=True))
    output = torch.eye(CLASSES)[given_] * 3
    predictions = Predictions(output=output, target=true, present=torch.ones(len(pairs), dtype=torch.bool))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jumpml.evaluate._measure.num_resamples", lambda elements: 60)
        figures = measure("multiclass", ["macro_f1", "balanced_accuracy", "auroc"], predictions)
    recalls = sk.recall_score(true, given_, labels=sorted(set(true.tolist())), average="macro")
    areas = [sk.roc_auc_score(true == c, output[:, c]) for c in sorted(set(true.tolist()))]
    assert figures["macro_f1"].value == pytest.approx(sk.f1_score(true, given_, average="macro"), rel=1e-5)
    assert figures["balanced_accuracy"].value == pytest.approx(recalls, rel=1e-5)
    assert "auroc" not in figures or figures["auroc"].value == pytest.approx(np.mean(areas), rel=1e-5)


def test_proportions_have_wilsons_interval_over_their_own_trials() -> None:
    output = torch.tensor([1.0] * 20 + [-1.0] * 80)
    target = torch.tensor([1] * 18 + [0] * 2 + [1] * 12 + [0] * 68)
    predictions = Predictions(output=output, target=target, present=torch.ones(100, dtype=torch.bool))
    figures = measure("binary", ["accuracy", "precision", "recall", "specificity"], predictions)
    values = {name: (figure.value, figure.n) for name, figure in figures.items()}
    assert values == {
        "accuracy": (0.86, 100),
        "precision": (18 / 20, 20),
        "recall": (18 / 30, 30),
        "specificity": (68 / 70, 70),
    }
    # Wilson 1927's formula for 18 of 20
    assert (figures["precision"].low, figures["precision"].high) == pytest.approx((0.6990, 0.9721), abs=5e-5)


def test_rows_without_target_do_not_count() -> None:
    whole = predictions_of("multiclass", 0)
    target, present = whole.target.clone(), torch.arange(ROWS) < 60
    target[~present] = -1
    cut = Predictions(output=whole.output[:60], target=target[:60], present=present[:60])
    assert measure("multiclass", ["accuracy"], Predictions(output=whole.output, target=target, present=present)) == (
        measure("multiclass", ["accuracy"], cut)
    )


def test_log_loss_survives_confident_mistakes() -> None:
    output = torch.tensor([[200.0, 0.0], [0.0, 0.0]])
    predictions = Predictions(output=output, target=torch.tensor([1, 0]), present=torch.ones(2, dtype=torch.bool))
    # 200 for the first, ln 2 for the second
    figure = measure("multiclass", ["log_loss"], predictions)["log_loss"]
    assert figure.value == pytest.approx((200 + np.log(2)) / 2)


def test_regression_on_vectors_weighs_elements_by_their_variance_in_r2() -> None:
    g = torch.Generator().manual_seed(0)
    target = torch.randn(50, 2, 3, generator=g)
    target[:, 0, 0] = 4.0  # scikit-learn's plain mean over elements would be minus infinity
    output = target + 0.1 * torch.randn(50, 2, 3, generator=g)
    predictions = Predictions(output=output, target=target, present=torch.ones(50, dtype=torch.bool))
    figures = measure("regression", ["r2", "rmse"], predictions)
    flat = target.reshape(50, 6).double().numpy(), output.reshape(50, 6).double().numpy()
    assert figures["r2"].value == pytest.approx(sk.r2_score(*flat, multioutput="variance_weighted"), rel=1e-9)
    assert figures["rmse"].value == pytest.approx(np.sqrt(((flat[0] - flat[1]) ** 2).mean()), rel=1e-9)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("accuracy", True), ("log_loss", False), ("rmse", False), ("r2", True), ("loss", False), ("mine", None)],
)
def test_which_way_is_better(name: str, expected: bool | None) -> None:
    assert higher_is_better(name) is expected


# --- without a value --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["auroc", "average_precision", "cohen_kappa"])
@pytest.mark.parametrize("kind", ["multiclass", "binary"])
def test_a_ranking_of_one_class_is_left_out(kind: str, name: str) -> None:
    predictions = predictions_of(kind, 0)
    one = Predictions(output=predictions.output, target=torch.zeros(ROWS).long(), present=predictions.present)
    assert list(measure(kind, ["accuracy", name], one)) == ["accuracy"]


def test_shares_of_no_rows_are_left_out() -> None:
    none = Predictions(
        output=-torch.ones(4, 1), target=torch.zeros(4, dtype=torch.long), present=torch.ones(4, dtype=torch.bool)
    )
    assert list(measure("binary", ["precision", "recall", "f1", "specificity"], none)) == ["specificity"]


def test_r2_of_a_constant_target_is_left_out() -> None:
    same = Predictions(output=torch.rand(4, 1), target=torch.ones(4, 1), present=torch.ones(4, dtype=torch.bool))
    assert list(measure("regression", ["r2", "mae"], same)) == ["mae"]


# --- a user's own -----------------------------------------------------------------------------------------------------


def test_a_function_gets_decided_predictions_and_targets() -> None:
    seen: list[tuple[Tensor, Tensor]] = []

    def share_of_zeros(predictions: Tensor, targets: Tensor) -> float:
        seen.append((predictions, targets))
        return float((predictions == 0).float().mean())

    predictions = predictions_of("multiclass", 0)
    figure = measure("multiclass", [share_of_zeros], predictions)["share_of_zeros"]
    assert torch.equal(seen[0][0], predictions.output.argmax(1))
    assert torch.equal(seen[0][1], predictions.target)
    assert len(seen) == 1 + 200
    assert not seen[0][0].is_inference()
    assert figure.low < figure.value < figure.high
    assert figure.n == ROWS


def test_a_function_can_answer_a_tensor_a_numpy_number_or_a_dict() -> None:
    def several(predictions: Tensor, targets: Tensor) -> dict[str, Any]:
        return {"a": torch.tensor(1), "b": np.float32(2), "c": True}

    figures = measure("multiclass", [metric(several, resamples=40)], predictions_of("multiclass", 0))
    assert {name: figure.value for name, figure in figures.items()} == {"several.a": 1, "several.b": 2, "several.c": 1}


@pytest.mark.parametrize(("kind", "shape"), [("multiclass", (ROWS, CLASSES)), ("binary", (ROWS,))])
def test_a_function_can_ask_for_more(kind: str, shape: tuple[int, ...]) -> None:
    def more(predictions: Tensor, targets: Tensor, probabilities: Tensor, logits: Tensor) -> float:
        assert probabilities.shape == logits.shape == shape
        assert 0 <= probabilities.min() <= probabilities.max() <= 1
        return 1.0

    asked = metric(more, needs=["probabilities", "logits"], name="other", higher_is_better=True, resamples=40)
    assert (asked.name, asked.higher_is_better) == ("other", True)
    assert measure(kind, [asked], predictions_of(kind, 0))["other"].value == 1


def test_a_function_that_refuses_some_resamples_has_an_interval_from_the_others() -> None:
    def whole(predictions: Tensor, targets: Tensor) -> float:
        if targets.bincount(minlength=CLASSES)[0] < ROWS // CLASSES:
            raise ValueError("too few zeros")
        return float(predictions.float().mean())

    figure = measure("multiclass", [whole], predictions_of("multiclass", 0))["whole"]
    assert figure.low < figure.value < figure.high


def test_a_function_that_refuses_nearly_all_resamples_is_left_out() -> None:
    def once(predictions: Tensor, targets: Tensor) -> float:
        return 1.0 if torch.equal(targets, torch.arange(ROWS) % CLASSES) else float("nan")

    assert not measure("multiclass", [once], predictions_of("multiclass", 0))


@pytest.mark.parametrize("kind", ["multiclass", "binary", "regression"])
def test_a_torchmetrics_object_is_updated_with_probabilities_and_keeps_its_state(kind: str) -> None:
    import torchmetrics

    made = {
        "multiclass": lambda: torchmetrics.AUROC("multiclass", num_classes=CLASSES),
        "binary": lambda: torchmetrics.AUROC("binary"),
        "regression": torchmetrics.MeanAbsoluteError,
    }[kind]()
    predictions, named = predictions_of(kind, 0), "mae" if kind == "regression" else "auroc"
    figures = measure(kind, [made, named], predictions)
    name = type(made).__name__
    assert figures[name].value == pytest.approx(figures[named].value, rel=1e-6)
    assert figures[name].low < figures[name].value < figures[name].high
    assert not made.update_called


def test_a_torchmetrics_collection_gives_each_figure_its_name() -> None:
    from torchmetrics import MetricCollection
    from torchmetrics.classification import MulticlassAccuracy

    collection = MetricCollection(
        {
            average: MulticlassAccuracy(CLASSES, average=average)  # pyright: ignore[reportArgumentType]
            for average in ("micro", "macro")
        }
    )
    predictions = predictions_of("multiclass", 1)
    figures = measure("multiclass", [collection, "accuracy"], predictions)
    assert sorted(figures) == ["MetricCollection.macro", "MetricCollection.micro", "accuracy"]
    assert figures["MetricCollection.micro"].value == pytest.approx(figures["accuracy"].value)


# --- what is refused --------------------------------------------------------------------------------------------------


def nothing(predictions: Tensor, targets: Tensor) -> None: ...


def words(predictions: Tensor, targets: Tensor) -> str:
    return "0.5"


def infinite(predictions: Tensor, targets: Tensor) -> float:
    return float("inf")


def a_row(predictions: Tensor, targets: Tensor) -> Tensor:
    return (predictions == targets).float()


def empty(predictions: Tensor, targets: Tensor) -> dict[str, float]:
    return {}


def broken(predictions: Tensor, targets: Tensor) -> float:
    return 1 / 0


@pytest.mark.parametrize(
    ("metrics", "text"),
    [
        (
            ["acuracy"],
            "there is no metric 'acuracy' for multiclass tasks. Did you mean 'accuracy' or 'auroc'?",
        ),
        (
            ["f1"],
            "the metric 'f1' is for binary tasks; a multiclass task has: accuracy, balanced_accuracy, macro_f1, auroc, "
            "average_precision, matthews, cohen_kappa, log_loss, brier.",
        ),
        (
            ["rmse"],
            "the metric 'rmse' is for regression, forecasting and reconstruction tasks; a multiclass task has: "
            "accuracy, balanced_accuracy, macro_f1, auroc, average_precision, matthews, cohen_kappa, log_loss, brier.",
        ),
        ("accuracy", "expected a list of metrics, got 'accuracy'. Write it in brackets."),
        ([3], "expected a function f(predictions, targets), got 3."),
        (
            ["accuracy", "accuracy"],
            "two metrics have the name 'accuracy': metric(f, name=...) gives a function another, a MetricCollection "
            "torchmetrics objects.",
        ),
        (
            [nothing],
            "the metric 'nothing' returned None; expected a number, or a dict of numbers by name.",
        ),
        ([words], "the metric 'words' returned '0.5'; expected a number, or a dict of numbers by name."),
        ([empty], "the metric 'empty' returned {}; expected a number, or a dict of numbers by name."),
        (
            [a_row],
            "the metric 'a_row' returned a Tensor of shape [80]; expected a number, or a dict of numbers by name.",
        ),
        ([infinite], "the metric 'infinite' returned inf; expected a finite number."),
        ([broken], "the metric 'broken' failed: ZeroDivisionError: division by zero"),
    ],
)
def test_a_metric_that_is_none_is_refused(metrics: Any, text: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        measure("multiclass", metrics, predictions_of("multiclass", 0))
    assert str(caught.value) == text


def test_the_users_own_error_is_the_cause() -> None:
    with pytest.raises(EvaluationError) as caught:
        measure("multiclass", [broken], predictions_of("multiclass", 0))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: metric(lambda p, t: 1.0), r"<function .*<lambda> at .*> has no name that could stand in results"),
        (lambda: metric(functools.partial(words)), r"has no name .*: metric\(f, name=\.\.\.\) gives it one\."),
        (
            lambda: metric(words, needs="probability"),
            r"the metric 'words' needs 'probability', which there is not\. Did you mean 'probabilities'\?",
        ),
        (lambda: metric(words, resamples=10), r"the metric 'words': expected 40 resamples or more, got 10\."),
    ],
)
def test_wrong_options_of_a_function_are_refused(make: Callable[[], FunctionMetric], text: str) -> None:
    with pytest.raises(EvaluationError, match=text):
        make()


@pytest.mark.parametrize(
    ("kind", "change", "text"),
    [
        (
            "multiclass",
            lambda p: {"present": torch.zeros(ROWS, dtype=torch.bool)},
            "no row of the split has a target: there is nothing to measure.",
        ),
        (
            "multiclass",
            lambda p: {"output": p.output.index_fill(0, torch.tensor([3, 5]), float("nan"))},
            "the model's output is NaN or infinite in 2 of 80 rows. Look at the losses: training may have diverged.",
        ),
        (
            "binary",
            lambda p: {"target": p.target.float() * 3},
            "a binary target is 0 or 1; 40 of 80 rows are not, such as 3.",
        ),
    ],
)
def test_predictions_that_cannot_be_measured_are_refused(
    kind: str, change: Callable[[Predictions], dict[str, Tensor]], text: str
) -> None:
    predictions = predictions_of(kind, 0)
    whole = {"output": predictions.output, "target": predictions.target, "present": predictions.present}
    changed: dict[str, Any] = {**whole, **change(predictions)}
    with pytest.raises(EvaluationError) as caught:
        measure(kind, ["accuracy"], Predictions(**changed))
    assert str(caught.value) == text


# --- two models -------------------------------------------------------------------------------------------------------


def flipped(predictions: Predictions, rows: int) -> Predictions:
    output = predictions.output.clone()
    output[:rows] = -10 * torch.eye(CLASSES)[predictions.target[:rows]]
    return Predictions(output=output, target=predictions.target, present=predictions.present)


def test_a_change_is_measured_on_the_same_resamples() -> None:
    before = predictions_of("multiclass", 0)
    after = flipped(before, 20)
    change = compare("multiclass", ["accuracy"], "accuracy", before, after)
    figures = [measure("multiclass", ["accuracy"], p)["accuracy"] for p in (before, after)]
    assert change.value == pytest.approx(figures[1].value - figures[0].value)
    assert change.low < change.value < change.high <= 0
    # of two independent shares the interval would be as wide as both together
    assert change.high - change.low < sum(figure.high - figure.low for figure in figures)


def test_no_change_of_accuracy_has_a_width_that_shrinks_with_the_rows() -> None:
    def width(rows: int) -> float:
        target = torch.arange(rows) % CLASSES
        same = Predictions(output=torch.eye(CLASSES)[target], target=target, present=torch.ones(rows, dtype=torch.bool))
        change = compare("multiclass", ["accuracy"], "accuracy", same, same)
        assert change.value == 0
        assert change.low == -change.high
        return change.high

    # half a row in each of two cells: 1.96 / (n + 2)
    assert width(270) == pytest.approx(1.959964 / 272)
    assert width(1000) < width(100)


def test_no_change_of_another_figure_has_no_width() -> None:
    same = predictions_of("multiclass", 0)
    change = compare("multiclass", ["log_loss"], "log_loss", same, same)
    assert (change.value, change.low, change.high) == (0, 0, 0)


def test_a_part_of_a_users_answer_can_be_compared() -> None:
    def right(predictions: Tensor, targets: Tensor) -> dict[str, float]:
        return {"share": float((predictions == targets).float().mean())}

    before = predictions_of("multiclass", 0)
    change = compare("multiclass", ["accuracy", right], "right.share", before, flipped(before, 20))
    assert change.value == pytest.approx(
        compare("multiclass", ["accuracy"], "accuracy", before, flipped(before, 20)).value
    )
    with pytest.raises(
        EvaluationError, match=r"'right\.other' has no value on these rows: the metric gave right\.share"
    ):
        compare("multiclass", [right], "right.other", before, before)


def test_what_cannot_be_compared_is_refused() -> None:
    p = predictions_of("binary", 0)
    with pytest.raises(EvaluationError, match=r"^there is no figure 'acuracy'\. Did you mean 'accuracy'\?$"):
        compare("binary", ["accuracy"], "acuracy", p, p)
    less = Predictions(output=p.output, target=p.target, present=torch.arange(ROWS) > 0)
    with pytest.raises(
        EvaluationError, match=r"^expected predictions of the same rows, got 80 and 79 with a target\.$"
    ):
        compare("binary", ["accuracy"], "accuracy", p, less)
    one = Predictions(output=p.output, target=torch.zeros(ROWS).long(), present=p.present)
    with pytest.raises(EvaluationError, match=r"^'auroc' has no value on these rows: all rows are of one class\.$"):
        compare("binary", ["auroc"], "auroc", one, one)
    single = Predictions(output=p.output, target=(torch.arange(ROWS) < 1).long(), present=torch.arange(ROWS) < 60)

    def fussy(predictions: Tensor, targets: Tensor) -> float:
        if not torch.equal(targets, single.target[:60]):
            raise ValueError
        return 1.0

    with pytest.raises(
        EvaluationError, match=r"^'fussy' has a value on too few resamples of the 60 rows for an interval\.$"
    ):
        compare("binary", [fussy], "fussy", single, single)
