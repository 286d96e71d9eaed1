"""Figures of quantiles, forecasts, named outputs, pictures and embeddings, against other people's code or by hand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpml.core import EvaluationError, FieldInfo, Task, ValueInfo
from jumpml.data import Column, DataLoaders, random_split
from jumpml.evaluate import Predictions, compare, evaluate, figure_names, measure, own_metrics, resamples, wilson
from jumpml.evaluate._curves import curves
from jumpml.evaluate._forecast import last_season, naive_error
from jumpml.evaluate._measure import measure_sample, resolve
from jumpml.evaluate._neighbours import find_neighbours
from jumpml.evaluate._sample import Sample, sample_of
from jumpml.graph import Model, Node

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVELS = (0.1, 0.5, 0.9)
COLUMNS = ("height", "mass")


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jumpml.evaluate._measure.num_resamples", lambda elements: 60)


def everybody(rows: int) -> torch.Tensor:
    return torch.ones(rows, dtype=torch.bool)


def table_of(*names: str) -> FieldInfo:
    columns = tuple(FieldInfo(name=name, kind="number", value=ValueInfo(shape=(1,))) for name in names)
    return FieldInfo(name="body", kind="table", value=ValueInfo(shape=(len(names),)), columns=columns)


# --- quantiles --------------------------------------------------------------------------------------------------------


def quantiles(rows: int = 200, numbers: int = 1) -> Predictions:
    g = torch.Generator().manual_seed(0)
    target = torch.randn(rows, numbers, generator=g)
    output = torch.randn(rows, numbers, 1, generator=g) * 0.2 + torch.tensor([0.9, 0.0, -0.9])  # they cross
    return Predictions(output=output, target=target, present=everybody(rows), quantiles=LEVELS)


def test_pinball_is_scikit_learns_mean_over_the_levels() -> None:
    predictions = quantiles()
    target, ordered = predictions.target[:, 0].numpy(), predictions.output[:, 0].sort(-1).values.numpy()
    expected = np.mean([sk.mean_pinball_loss(target, ordered[:, i], alpha=level) for i, level in enumerate(LEVELS)])
    found = measure("regression", ["pinball", "mae", "width"], predictions)
    assert found["pinball"].value == pytest.approx(expected, rel=1e-6)
    assert found["mae"].value == pytest.approx(sk.mean_absolute_error(target, ordered[:, 1]), rel=1e-6)
    assert found["width"].value == pytest.approx((ordered[:, 2] - ordered[:, 0]).mean(), rel=1e-6)


def test_coverage_of_one_number_a_row_is_a_proportion() -> None:
    predictions = quantiles()
    target, ordered = predictions.target[:, 0], predictions.output[:, 0].sort(-1).values
    hits = int(((target >= ordered[:, 0]) & (target <= ordered[:, 2])).sum())
    figure = measure("regression", ["coverage"], predictions)["coverage"]
    assert (figure.value, figure.n) == (hits / 200, 200)
    assert (figure.low, figure.high) == wilson(hits, 200)


def test_coverage_of_several_numbers_a_row_is_resampled_by_row() -> None:
    """All numbers of a row are covered or none, so that Wilson's interval over the numbers would be half as wide."""
    one = quantiles(100)
    four = Predictions(
        output=one.output.repeat(1, 4, 1), target=one.target.repeat(1, 4), present=one.present, quantiles=LEVELS
    )
    alone, together = (measure("regression", ["coverage"], found)["coverage"] for found in (one, four))
    assert together.value == alone.value
    assert together.n == 100
    low, high = wilson(round(400 * alone.value), 400)
    assert together.high - together.low > 1.4 * (high - low)


def test_what_needs_quantiles_says_so() -> None:
    predictions = Predictions(output=torch.zeros(3, 1), target=torch.zeros(3, 1), present=everybody(3))
    for name in ("pinball", "coverage", "width"):
        with pytest.raises(EvaluationError) as error:
            measure("regression", [name], predictions)
        assert str(error.value) == (
            "the task predicts no quantiles: give it the key `quantiles`, such as [0.1, 0.5, 0.9]."
        )


def test_the_reliability_of_quantiles_is_drawn() -> None:
    predictions = quantiles()
    found, ideal = curves(Sample.of("regression", predictions))["quantiles"]
    below = (predictions.target[:, :1] <= predictions.output[:, 0].sort(-1).values).float().mean(0)
    assert found.y == pytest.approx(below.tolist())
    assert ideal.y == ideal.x == LEVELS


# --- several outputs --------------------------------------------------------------------------------------------------


def holes() -> Predictions:
    g = torch.Generator().manual_seed(1)
    target = torch.randn(60, 2, generator=g) * torch.tensor([1.0, 500.0]) + torch.tensor([180.0, 4000.0])
    target[::3, 1] = torch.nan
    output = target.nan_to_num(4000.0) + torch.randn(60, 2, generator=g) * torch.tensor([0.5, 300.0])
    return Predictions(output=output, target=target, present=everybody(60), field=table_of(*COLUMNS))


def test_each_output_has_figures_of_its_own_over_the_rows_that_have_it() -> None:
    predictions = holes()
    found = measure("regression", ["rmse", "mae", "r2"], predictions)
    assert list(found) == [f"{m}{of}" for m in ("rmse", "mae", "r2") for of in ("", ".height", ".mass")]
    for place, name in enumerate(COLUMNS):
        known = ~predictions.target[:, place].isnan()
        pair = predictions.target[known, place].double().numpy(), predictions.output[known, place].double().numpy()
        assert found[f"rmse.{name}"].value == pytest.approx(sk.root_mean_squared_error(*pair))
        assert found[f"mae.{name}"].value == pytest.approx(sk.mean_absolute_error(*pair))
        assert found[f"r2.{name}"].value == pytest.approx(sk.r2_score(*pair))
        assert found[f"rmse.{name}"].low < found[f"rmse.{name}"].value < found[f"rmse.{name}"].high
    assert found["r2"].value == pytest.approx((found["r2.height"].value + found["r2.mass"].value) / 2)


def test_an_output_that_no_row_has_is_left_out() -> None:
    predictions = holes()
    predictions.target[:, 1] = torch.nan
    assert list(measure("regression", ["mae"], predictions)) == ["mae", "mae.height"]


def test_two_models_are_compared_by_an_outputs_own_figure() -> None:
    before = holes()
    after = Predictions(
        output=before.target.nan_to_num(0), target=before.target, present=before.present, field=before.field
    )
    change = compare("regression", ["mae"], "mae.mass", before, after)
    assert change.value == pytest.approx(-measure("regression", ["mae"], before)["mae.mass"].value)


def test_the_figures_of_a_metric_are_known_beforehand() -> None:
    assert figure_names("mae", table_of(*COLUMNS)) == ("mae", "mae.height", "mae.mass")
    assert figure_names("accuracy", table_of(*COLUMNS)) == ("accuracy",)


def test_each_output_is_drawn_in_its_own_unit() -> None:
    found = curves(Sample.of("regression", holes()))
    assert list(found) == [f"{what} of {name}" for name in COLUMNS for what in ("predicted and true", "residuals")]
    assert len(found["predicted and true of mass"][0].x) == 40


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_the_peak_ratio_of_pictures_is_by_its_formula() -> None:
    g = torch.Generator().manual_seed(2)
    target = torch.rand(12, 1, 4, 4, generator=g)
    output = target + torch.randn(12, 1, 4, 4, generator=g) * 0.1
    output[0] = target[0]
    field = FieldInfo(name="image", kind="image", value=ValueInfo(shape=(1, 4, 4)))
    predictions = Predictions(output=output, target=target, present=everybody(12), field=field)
    errors = [max(float((a - b).square().mean()), 1e-10) for a, b in zip(output.double(), target.double(), strict=True)]
    expected = sum(10 * math.log10(1 / error) for error in errors) / 12
    assert measure("reconstruction", ["psnr"], predictions)["psnr"].value == pytest.approx(expected)


def test_only_pictures_have_a_peak() -> None:
    task, field = Task(kind="reconstruction", output="out", target="x"), table_of(*COLUMNS)
    assert own_metrics(task, field) == ("mse", "mae")
    assert own_metrics(task, None) == ("mse", "mae", "psnr")
    assert "psnr" not in measure("reconstruction", ["mae", "psnr"], holes())


# --- forecasts --------------------------------------------------------------------------------------------------------

PAST, STEPS, SEASON = 6, 4, 3


def series(rows: int = 90) -> tuple[NDArray[np.float32], DataLoaders]:
    g = np.random.default_rng(0)
    whole = (np.sin(np.arange(rows + 20) * 2 * np.pi / SEASON) + g.normal(0, 0.4, rows + 20)).astype(np.float32)
    windows = np.stack([whole[row : row + PAST + STEPS] for row in range(rows)])[..., None]
    past, future = (torch.from_numpy(part) for part in (windows[:, :PAST], windows[:, PAST:]))
    columns = {"past": Column(past, "series"), "future": Column(future, "series")}
    return windows[..., 0], DataLoaders(columns, random_split(rows))


def forecaster(loaders: DataLoaders, season: int = SEASON, **options: Any) -> Model:
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(PAST, STEPS * max(1, len(options.get("quantiles", ()))))
    )
    task = Task(kind="forecasting", output="out", target="future", history="past", season=season, **options)
    return Model(inputs={"past": loaders.info("past")}, nodes={"out": Node(net, "past")}, tasks={"t": task})


def test_a_forecast_is_measured_against_what_was_known() -> None:
    windows, loaders = series()
    results = evaluate(loaders, forecaster(loaders))
    assert [name.partition("/")[2] for name in results] == ["mae", "rmse", "mase", "skill", "seasonal_skill"]
    train, test = (windows[loaders.train.rows], windows[loaders.test.rows])
    future, last = test[:, PAST:], test[:, [PAST - 1]]
    before = np.stack([test[:, PAST - SEASON + step % SEASON] for step in range(STEPS)], axis=1)
    scale = np.abs(train[:, PAST:] - train[:, PAST - SEASON : PAST + STEPS - SEASON]).mean()
    mae = results["t/mae"].value
    assert results["t/mase"].value == pytest.approx(mae / scale, rel=1e-5)
    assert results["t/skill"].value == pytest.approx(1 - mae / np.abs(future - last).mean(), rel=1e-5)
    assert results["t/seasonal_skill"].value == pytest.approx(1 - mae / np.abs(future - before).mean(), rel=1e-5)


def test_a_forecast_with_quantiles_has_their_figures_too() -> None:
    _, loaders = series()
    results = evaluate(loaders, forecaster(loaders, quantiles=LEVELS))
    names = ["mae", "rmse", "pinball", "coverage", "width", "mase", "skill", "seasonal_skill"]
    assert [name.partition("/")[2] for name in results] == names
    lines = results.record.tasks["t"].curves["forecast 1"]
    assert [line.label for line in lines] == ["before", "true", "forecast", "0.1", "0.9"]


def test_a_forecast_is_drawn_by_step_and_by_window() -> None:
    windows, loaders = series()
    found = evaluate(loaders, forecaster(loaders)).record.tasks["t"].curves
    model, last, season = found["error by step"]
    assert (model.label, last.label, season.label) == ("this model", "the last value", "the last season")
    test = windows[loaders.test.rows]
    assert last.y == pytest.approx(np.abs(test[:, PAST:] - test[:, [PAST - 1]]).mean(0).tolist(), rel=1e-5)
    past, true, forecast = found["forecast 1"]
    assert past.x == tuple(range(1 - PAST, 1))
    assert true.x == forecast.x == (1, 2, 3, 4)
    assert any(past.y + true.y == pytest.approx(row.tolist()) for row in test)


def test_without_a_season_of_several_steps_there_is_no_season_to_beat() -> None:
    _, loaders = series()
    results = evaluate(loaders, forecaster(loaders, season=1), {"t": ["skill", "seasonal_skill"]})
    assert list(results) == ["t/skill"]
    assert results.record.notes == ("t: seasonal_skill is left out: the task has no season of more than one step.",)


def test_the_season_before_repeats() -> None:
    past = torch.arange(6.0).reshape(1, 6, 1)
    assert last_season(past, 7, 3).flatten().tolist() == [3, 4, 5, 3, 4, 5, 3]


def test_the_naive_error_passes_over_what_is_missing() -> None:
    past = torch.tensor([[1.0, 2.0], [1.0, torch.nan]])[..., None]
    target = torch.tensor([[5.0], [9.0]])[..., None]
    assert naive_error(past, target, 1).tolist() == [3.0]
    assert naive_error(past, target, 2).tolist() == [6.0]


def test_neighbouring_rows_are_drawn_together() -> None:
    drawn = resamples(100, 50, block=8)
    assert drawn.shape == (50, 100)
    steps = drawn[:, 1:] - drawn[:, :-1]
    assert (steps == 1).float().mean() > 0.85  # 7 of 8, and the seams where blocks happen to meet
    assert drawn.min() >= 0
    assert drawn.max() < 100


@pytest.mark.parametrize(("rows", "told"), [(20, True), (120, False)])
def test_few_windows_are_no_certainty(rows: int, told: bool) -> None:
    """Of fewer rows than a block holds each resample would be the sample itself, and the interval a point."""
    errors = torch.randn(rows, 1, generator=torch.Generator().manual_seed(0))
    found = Predictions(output=errors, target=torch.zeros(rows, 1), present=everybody(rows), block=24)
    measured = measure_sample(sample_of("regression", found), resolve("regression", ["mae"]))
    assert measured.figures["mae"].low < measured.figures["mae"].value < measured.figures["mae"].high
    note = f"{rows} rows that overlap tell little: the intervals are too narrow."
    assert measured.notes == ([note] if told else [])


def test_windows_of_one_series_have_wider_intervals_than_rows() -> None:
    """Errors that persist for 20 rows: drawn one by one their mean seems four times as certain as it is."""
    g = torch.Generator().manual_seed(0)
    errors = torch.randn(25, 1, generator=g).repeat(1, 20).reshape(500, 1)
    widths = []
    for block in (1, 20):
        found = Predictions(output=errors, target=torch.zeros(500, 1), present=everybody(500), block=block)
        figure = measure("regression", ["mse"], found)["mse"]
        widths.append(figure.high - figure.low)
    assert widths[1] > 2 * widths[0]


# --- embeddings -------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), rows=st.integers(3, 30), block=st.integers(1, 200))
def test_neighbours_are_those_of_a_plain_loop_whatever_the_block(seed: int, rows: int, block: int) -> None:
    g = torch.Generator().manual_seed(seed)
    embeddings, classes = torch.randn(rows, 3, generator=g), torch.randint(3, (rows,), generator=g)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jumpml.evaluate._neighbours.BLOCK", block)
        found = find_neighbours(embeddings, classes)
    unit = torch.nn.functional.normalize(embeddings, dim=1)
    for row in range(rows):
        others = [other for other in range(rows) if other != row]
        relevant = [bool(classes[other] == classes[row]) for other in others]
        if not any(relevant):
            assert math.isnan(found["average_precision"][row])
            continue
        similarity = [float(unit[row] @ unit[other]) for other in others]
        assert float(found["average_precision"][row]) == pytest.approx(sk.average_precision_score(relevant, similarity))
        ranked = sorted(zip(similarity, relevant, strict=True), key=lambda pair: -pair[0])
        assert int(found["first"][row]) == 1 + next(place for place, (_, hit) in enumerate(ranked) if hit)
        best = max(range(rows - 1), key=similarity.__getitem__)
        assert int(found["nearest"][row]) == int(classes[others[best]])


def test_retrieval_is_measured_over_the_queries_that_any_row_could_match() -> None:
    angles = torch.tensor([0.0, 0.1, 0.25, 1.5, 0.5])
    embeddings = torch.stack([angles.cos(), angles.sin()], 1)
    predictions = Predictions(output=3 * embeddings, target=torch.tensor([0, 1, 0, 2, 0]), present=everybody(5))
    found = measure("retrieval", ["recall_at_1", "recall_at_5", "mean_average_precision"], predictions)
    # the rows of class 0 find their class in places 2, 2 and 1; their average precisions are (1/2 + 2/3) / 2 for the
    # first, (1/2 + 2/3) / 2 for the second, whose nearest is the row of class 1, and (1 + 2/3) / 2 for the third
    assert (found["recall_at_1"].value, found["recall_at_1"].n) == (1 / 3, 3)
    assert found["recall_at_5"].value == 1
    expected = (3.5 / 6 + 3.5 / 6 + 5 / 6) / 3
    assert found["mean_average_precision"].value == pytest.approx(expected)
    (recall,) = curves(Sample.of("retrieval", predictions))["recall"]
    assert (recall.x, recall.y) == ((1, 2, 3, 4), (pytest.approx(1 / 3), 1, 1, 1))


def test_a_single_row_finds_nothing() -> None:
    alone = Predictions(output=torch.ones(1, 2), target=torch.zeros(1, dtype=torch.int64), present=everybody(1))
    with pytest.raises(EvaluationError) as error:
        measure("retrieval", ["recall_at_1"], alone)
    assert str(error.value) == "one row of the split has a target: there is no other that it could find."


def test_where_nothing_is_known_nothing_is_measured() -> None:
    for kind in ("ordinal", "regression", "forecasting", "retrieval", "reconstruction"):
        nobody = Predictions(output=torch.ones(2, 2), target=torch.full((2, 2), torch.nan), present=~everybody(2))
        with pytest.raises(EvaluationError) as error:
            measure(kind, [], nobody)
        assert str(error.value) == "no row of the split has a target: there is nothing to measure."


def test_where_all_classes_differ_nothing_can_be_found() -> None:
    alone = Predictions(output=torch.eye(3), target=torch.arange(3), present=everybody(3))
    assert measure("retrieval", ["recall_at_1", "mean_average_precision"], alone) == {}
    assert curves(Sample.of("retrieval", alone)) == {}


def test_two_embeddings_that_find_the_same_rows_may_still_differ_on_others() -> None:
    """Of queries that nothing could match there is nothing to learn, so they do not narrow the interval."""
    classes = torch.tensor([0, 0, 1, 1, 2, 2, 3])
    found = Predictions(output=torch.eye(4)[classes], target=classes, present=everybody(7))
    change = compare("retrieval", ["recall_at_1"], "recall_at_1", found, found)
    assert (change.value, change.n) == (0.0, 6)
    assert change.low < 0 < change.high
