"""From loaders and a model to figures and their record."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch
import torch.nn.functional as F

from jumpml.core import EvaluationError, EvaluationRecord, Figure, Task
from jumpml.evaluate import EvalResults, evaluate, evaluation_mode, metric, predict, score
from jumpml.graph import Model, Node

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.data import DataLoaders


def one_task(model: Model, name: str) -> Model:
    """The same nodes with one of the tasks."""
    return Model(
        inputs=model.inputs,
        nodes={n: Node(model.node(n), "x" if n == "body" else "body") for n in model.node_names},
        tasks={name: model.tasks[name]},
    )


# --- predict ----------------------------------------------------------------------------------------------------------


def test_predictions_are_in_order_in_raw_units_and_in_evaluation_mode(loaders: DataLoaders, model: Model) -> None:
    model.train()
    predictions = predict(loaders, model, "test")
    batch = next(iter(loaders.test.plain()))
    model.eval()
    outputs = model(batch)
    torch.testing.assert_close(predictions["kind"].output[:16], outputs["kind"])
    torch.testing.assert_close(predictions["sick"].target, loaders.test.decoded("diagnosis"))
    assert predictions["kind"].present.all()
    years = predictions["age"]
    present = years.present
    assert present.tolist() == [row % 10 != 0 for row in range(80, 120)]
    torch.testing.assert_close(years.target[present], loaders.test.decoded("years")[present])
    torch.testing.assert_close(years.output[:16], loaders.to_raw("years", outputs["age"]))
    assert 40 < years.output.mean() < 60


def test_every_module_is_back_in_its_mode_even_after_an_error(model: Model) -> None:
    model.train_only(["age"])
    model.train()
    before = {name: module.training for name, module in model.named_modules()}
    assert len(set(before.values())) == 2
    with pytest.raises(ZeroDivisionError), evaluation_mode(model):
        assert not any(module.training for module in model.modules())
        raise ZeroDivisionError
    assert {name: module.training for name, module in model.named_modules()} == before


def test_training_goes_on_after_a_prediction(loaders: DataLoaders, model: Model) -> None:
    """Tensors made in inference mode cannot be trained on; what the loaders cache must not become one."""
    predictions = predict(loaders, model, "train")
    found = predictions["kind"]
    assert not any(tensor.is_inference() for tensor in (found.output, found.target, found.present))
    batch = next(iter(loaders.train))
    assert not any(tensor.is_inference() for tensor in batch.values())
    F.cross_entropy(model(batch)["kind"], batch["species"]).backward()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda data, m: (data, m, "tests"), "there is no split 'tests'. Did you mean 'test'?"),
        (
            lambda data, m: (data, SimpleNamespace(tasks={}), "test"),
            "the model has no tasks: there is no prediction to measure. Name one under the key `tasks`.",
        ),
        (
            lambda data, m: (
                SimpleNamespace(test=SimpleNamespace(plain=lambda _: iter(())), fields=data.fields, bind=data.bind),
                m,
                "test",
            ),
            "the split 'test' is empty: give it a share of the rows, or name another split.",
        ),
    ],
)
def test_what_cannot_be_predicted_is_refused(loaders: DataLoaders, model: Model, change: Any, text: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        predict(*change(loaders, model))
    assert str(caught.value) == text


def test_a_target_that_no_batch_has_is_refused(loaders: DataLoaders, model: Model) -> None:
    task = Task(kind="multiclass", output="kind", target="specie")
    other = Model(
        inputs=model.inputs,
        nodes={"body": Node(model.node("body"), "x"), "kind": Node(model.node("kind"), "body")},
        tasks={"kind": task},
    )
    with pytest.raises(
        EvaluationError, match=r"task 'kind': the data set has no target field 'specie'\. Did you mean 's"
    ):
        predict(loaders, other, "test")


# --- evaluate ---------------------------------------------------------------------------------------------------------


def test_every_task_has_its_kinds_figures(loaders: DataLoaders, model: Model) -> None:
    results = evaluate(loaders, model)
    assert list(results) == [
        *(f"kind/{name}" for name in ("accuracy", "macro_f1", "auroc", "log_loss")),
        *(f"sick/{name}" for name in ("accuracy", "f1", "auroc", "log_loss")),
        *(f"age/{name}" for name in ("rmse", "mae", "r2")),
    ]
    assert len(results) == 11
    assert all(isinstance(figure, Figure) for figure in results.values())
    assert results["kind/accuracy"].n == 40
    assert results["age/rmse"].n == 36
    age = results.record.tasks["age"]
    assert (age.rows, age.missing, age.classes, age.confusion, age.calibration) == (36, 4, (), None, None)
    assert age.higher_is_better == {"rmse": False, "mae": False, "r2": True}


def test_regression_is_measured_in_raw_units(loaders: DataLoaders, model: Model) -> None:
    predictions = predict(loaders, model, "test")["age"]
    error = (predictions.output - predictions.target)[predictions.present]
    value = evaluate(loaders, one_task(model, "age"), ["mae"])["age/mae"].value
    assert value == pytest.approx(float(error.abs().double().mean()), rel=1e-6)


def test_the_record_holds_classes_confusion_calibration_and_curves(loaders: DataLoaders, model: Model) -> None:
    record = evaluate(loaders, model).record
    kind, sick, age = (record.tasks[name] for name in ("kind", "sick", "age"))
    assert (kind.classes, sick.classes) == (("ant", "bee", "cow"), ("0", "1"))
    assert kind.confusion is not None
    predictions = predict(loaders, model, "test")["kind"]
    pairs = zip(predictions.target.tolist(), predictions.output.argmax(1).tolist(), strict=True)
    counted = [[0] * 3 for _ in range(3)]
    for true, decided in pairs:
        counted[true][decided] += 1
    assert kind.confusion == tuple(map(tuple, counted))
    assert kind.calibration is not None
    assert sum(kind.calibration.count) == 40
    assert set(kind.curves) == set(sick.curves) == {"ROC", "precision and recall"}
    assert set(age.curves) == {"predicted and true", "residuals"}
    (roc,) = sick.curves["ROC"]
    assert (roc.x[0], roc.y[0], roc.x[-1], roc.y[-1]) == (0, 0, 1, 1)
    area = float(torch.trapezoid(torch.tensor(roc.y), torch.tensor(roc.x)))
    assert area == pytest.approx(record.tasks["sick"].figures["auroc"].value, abs=1e-5)
    (mean,) = kind.curves["ROC"]
    assert mean.label == "mean over classes"
    assert all(before <= after for before, after in zip(mean.y, mean.y[1:], strict=False))
    (line,) = sick.curves["precision and recall"]
    assert (line.x[0], line.y[0], line.x[-1]) == (0, 1, 1)
    (points,) = age.curves["predicted and true"]
    assert len(points.x) == 36
    (residuals,) = age.curves["residuals"]
    assert residuals.y == pytest.approx([t - p for t, p in zip(points.x, points.y, strict=True)])


def test_the_record_survives_a_file(loaders: DataLoaders, model: Model) -> None:
    record = evaluate(loaders, model, split="val", averaged=True, notes=["a note"]).record
    assert EvaluationRecord.model_validate_json(record.model_dump_json()) == record
    assert (record.split, record.averaged_weights, record.notes[0]) == ("val", True, "a note")


def test_an_evaluation_is_repeatable_and_leaves_torchs_generator_alone(loaders: DataLoaders, model: Model) -> None:
    state = torch.get_rng_state()
    first = evaluate(loaders, model)
    assert torch.equal(torch.get_rng_state(), state)
    assert evaluate(loaders, model).record == first.record


def test_metrics_are_a_list_for_one_task_or_a_dict_by_task(loaders: DataLoaders, model: Model) -> None:
    def mine(predictions: Tensor, targets: Tensor) -> float:
        return float((predictions == targets).float().mean())

    results = evaluate(loaders, one_task(model, "kind"), ["accuracy", mine])
    assert list(results) == ["kind/accuracy", "kind/mine"]
    assert results["kind/mine"].value == pytest.approx(results["kind/accuracy"].value)
    assert results.metrics == {"kind": ["accuracy", mine]}
    assert results.loaders is loaders
    assert results.record.tasks["kind"].higher_is_better == {"accuracy": True, "mine": None}
    asked = {"kind": ["brier"], "sick": [metric(mine, name="right", higher_is_better=True)]}
    both = evaluate(loaders, model, asked)
    assert list(both) == ["kind/brier", "sick/right", "age/rmse", "age/mae", "age/r2"]
    assert both.record.tasks["sick"].higher_is_better == {"right": True}


def test_a_task_can_bring_its_own_metrics(loaders: DataLoaders, model: Model) -> None:
    task = Task(kind="binary", output="sick", target="diagnosis", metrics=("recall",))
    nodes = {"body": Node(model.node("body"), "x"), "sick": Node(model.node("sick"), "body")}
    assert list(evaluate(loaders, Model(inputs=model.inputs, nodes=nodes, tasks={"t": task}))) == ["t/recall"]


@pytest.mark.parametrize(
    ("metrics", "text"),
    [
        (
            ["accuracy"],
            "a list of metrics is for one task, and the model has 'kind', 'sick', 'age': give a dict of lists by task.",
        ),
        ({"kin": ["accuracy"]}, "metrics are asked for a task 'kin', which the model lacks. Did you mean 'kind'?"),
        (
            {"age": ["rsme"]},
            "task 'age': there is no metric 'rsme' for regression tasks. Did you mean 'rmse'?",
        ),
        ({"kind": "auroc"}, "task 'kind': expected a list of metrics, got 'auroc'. Write it in brackets."),
    ],
)
def test_metrics_that_do_not_fit_are_refused(loaders: DataLoaders, model: Model, metrics: Any, text: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        evaluate(loaders, model, metrics)
    assert str(caught.value) == text


def test_a_failing_function_is_named_with_its_task(loaders: DataLoaders, model: Model) -> None:
    def broken(predictions: Tensor, targets: Tensor) -> float:
        raise KeyError("nowhere")

    with pytest.raises(EvaluationError) as caught:
        evaluate(loaders, model, {"sick": [broken]})
    assert str(caught.value) == "task 'sick': the metric 'broken' failed: KeyError: 'nowhere'"
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_diverged_model_is_refused_with_its_task(loaders: DataLoaders, model: Model) -> None:
    with torch.no_grad():
        cast("Any", model.node("sick")).bias.fill_(float("nan"))
    with pytest.raises(
        EvaluationError, match=r"^task 'sick': the model's output is NaN or infinite in 40 of 40 rows\."
    ):
        evaluate(loaders, model)


def test_a_figure_without_a_value_is_left_out_with_a_note(ants: DataLoaders, model: Model) -> None:
    task = evaluate(ants, one_task(model, "kind"), ["accuracy", "auroc"], notes=["first"])
    assert list(task) == ["kind/accuracy"]
    assert task.record.tasks["kind"].curves == {}
    assert task.record.notes == (
        "first",
        "kind: auroc is left out: all rows are of one class.",
        "kind: no row of the split is of class 'bee', 'cow'.",
    )


def test_a_function_without_an_interval_is_left_out_with_a_note(loaders: DataLoaders, model: Model) -> None:
    calls = []

    def once(predictions: Tensor, targets: Tensor) -> float:
        calls.append(1)
        return 1.0 if len(calls) == 1 else float("nan")

    results = evaluate(loaders, one_task(model, "kind"), [once])
    assert not results
    assert results.record.tasks["kind"].higher_is_better == {}
    assert results.record.notes == ("kind: once is left out: it has a value on too few resamples for an interval.",)


def test_results_show_themselves_as_a_table(loaders: DataLoaders, model: Model) -> None:
    record = evaluate(loaders, one_task(model, "sick"), ["accuracy", "log_loss"], averaged=True, notes=["look"]).record
    figures = {
        "accuracy": Figure(value=0.95, low=0.8, high=1, n=40),
        "log_loss": Figure(value=0.2, low=0.1, high=0.3, n=40),
    }
    calibration = record.tasks["sick"].calibration
    assert calibration is not None
    calibration = calibration.model_copy(update={"error": 0.05, "null_low": 0.01, "null_high": 0.09})
    task = record.tasks["sick"].model_copy(update={"figures": figures, "calibration": calibration})
    shown = EvalResults(record.model_copy(update={"tasks": {"sick": task}}), loaders, {})
    assert repr(shown) == shown.summary()
    assert shown.summary().splitlines() == [
        "evaluation on the test split, averaged weights",
        "  sick/accuracy        0.95  [0.8, 1]  n=40",
        "  sick/log_loss         0.2  [0.1, 0.3]  n=40",
        "  sick: calibration error 0.05 (a calibrated model's: 0.01 to 0.09)",
        "  note: look",
    ]


# --- score ------------------------------------------------------------------------------------------------------------


def test_scores_are_the_evaluations_values(loaders: DataLoaders, model: Model) -> None:
    results = evaluate(loaders, model, split="val")
    names = ["age/r2", "kind/accuracy", "sick/auroc"]
    scores = score(loaders, model, names)
    assert list(scores) == names
    assert scores == pytest.approx({name: results[name].value for name in names})


def test_the_loss_is_the_weighted_sum_of_means_over_the_rows_that_count(loaders: DataLoaders, model: Model) -> None:
    model.objectives["hold"].consolidate({name: torch.ones_like(p) for name, p in model.named_parameters()})  # type: ignore[attr-defined]
    with torch.no_grad():
        cast("Any", model.node("kind")).bias += 2.0
    model.eval()
    whole = {key: torch.cat([b[key] for b in loaders.val.plain()]) for key in next(iter(loaders.val.plain()))}
    outputs, present = model(whole), whole["years.present"]
    expected = 0.5 * F.cross_entropy(outputs["kind"], whole["species"])
    expected += F.binary_cross_entropy_with_logits(outputs["sick"], whole["diagnosis"])
    expected += 2 * F.mse_loss(outputs["age"][present], whole["years"][present])
    expected += 3 * 0.5 * 3 * 2.0**2  # three biases were moved by two
    assert score(loaders, model, ["loss"]) == pytest.approx({"loss": expected.item()}, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "kind/acuracy",
            "there is no metric 'acuracy' for multiclass tasks. Did you mean 'accuracy' or 'auroc'?",
        ),
        (
            "kin/accuracy",
            "there is no value 'kin/accuracy': expected 'loss' or 'task/metric'. Did you mean 'kind/accuracy'",
        ),
        ("los", "there is no value 'los': expected 'loss' or 'task/metric'. Did you mean 'loss'?"),
    ],
)
def test_scores_that_there_are_not_are_refused(loaders: DataLoaders, model: Model, name: str, text: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        score(loaders, model, [name])
    assert str(caught.value).startswith(text)


def test_a_score_without_a_value_is_refused(ants: DataLoaders, model: Model) -> None:
    with pytest.raises(EvaluationError) as caught:
        score(ants, model, ["kind/auroc"])
    assert str(caught.value) == "'kind/auroc' has no value on the split 'val': all rows are of one class."
    with pytest.raises(EvaluationError) as caught:
        score(ants, one_task(model, "kind"), ["loss"])
    assert str(caught.value) == ("'loss' has no value: no objective without views is active in the supervised phase.")
