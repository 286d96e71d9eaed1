"""The figures of many resamples at once are those of each resample by itself."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from jumpml.core import TASK_KINDS, FieldInfo, ValueInfo
from jumpml.evaluate import Predictions, measure, metric, metric_names
from jumpml.evaluate._draws import Draws
from jumpml.evaluate._metric import UndefinedError
from jumpml.evaluate._named import NAMED
from jumpml.evaluate._positions import PositionCounter
from jumpml.evaluate._sample import AnySample, sample_of

CLASSES = 3
LEVELS = (0.1, 0.5, 0.9)
PAIRS = [(kind, name) for kind in TASK_KINDS for name in metric_names(kind)]


def sample(kind: str, rows: int, seed: int) -> AnySample:
    """Few rows and ties, so that resamples lack classes; an element of a table is missing here and there."""
    g = torch.Generator().manual_seed(seed)
    if TASK_KINDS[kind].at != "row":
        counter = PositionCounter(kind, (2, 2) if kind == "segmentation" else (4,), CLASSES, by_class=True)
        shape = (rows, CLASSES, 2, 2) if kind == "segmentation" else (rows, 4, CLASSES)
        truth = torch.randint(CLASSES, (rows, *counter._positions), generator=g)
        counter.add(torch.randint(-2, 3, shape, generator=g).float(), truth)
        return sample_of(kind, counter.positions())
    width = {"binary": 1, "ordinal": CLASSES - 1}.get(kind, CLASSES)
    output = torch.randint(-2, 3, (rows, width), generator=g).float()
    numbers = torch.randint(3, (rows, CLASSES), generator=g).float()
    aside, quantiles = {}, ()
    if TASK_KINDS[kind].decides == "numbers":
        numbers[0, 0] = torch.nan
        aside = {"scale": torch.ones(rows, CLASSES).double(), "last": output + 1.0, "season": output - 1.0}
        if kind in {"regression", "forecasting"}:
            output, quantiles = torch.randint(-2, 3, (rows, CLASSES, 3), generator=g).float(), LEVELS
    target = numbers if aside else (numbers > 0).float() if kind == "multilabel" else numbers[:, 0].long()
    target = (target > 0).float() if kind == "binary" else target
    return sample_of(
        kind,
        Predictions(
            output=output,
            target=target,
            present=torch.ones(rows, dtype=torch.bool),
            aside=aside,
            quantiles=quantiles,
            field=field_of(kind),
        ),
    )


def field_of(kind: str) -> FieldInfo:
    if kind == "regression":
        columns = tuple(FieldInfo(name=name, kind="number", value=ValueInfo(shape=(1,))) for name in "abc")
        return FieldInfo(name="y", kind="table", value=ValueInfo(shape=(3,)), columns=columns)
    classes = ("p", "q") if kind == "binary" else ("p", "q", "r")
    picture = kind == "reconstruction"
    return FieldInfo(
        name="y",
        kind="image" if picture else "category",
        value=ValueInfo(shape=(3,) if picture else ()),
        classes=() if picture or kind == "forecasting" else classes,
    )


def test_every_named_figure_is_drawn() -> None:
    assert {name for _, name in PAIRS} == set(NAMED)


@pytest.mark.parametrize(("kind", "name"), PAIRS)
@pytest.mark.parametrize("seed", range(3))
def test_each_resample_has_the_figure_that_it_has_by_itself(kind: str, name: str, seed: int) -> None:
    rows = 3 + 4 * seed  # from so few that resamples lack classes to enough that they have them
    whole, entry = sample(kind, rows, seed), NAMED[name]
    drawn = torch.randint(rows, (12, rows), generator=torch.Generator().manual_seed(seed))
    try:
        at_once = entry.draw(whole, Draws.of(drawn))
    except UndefinedError:
        return  # it has no value on the rows themselves, and is left out before any resample
    for place, some in enumerate(drawn):
        try:
            alone = entry.compute(whole.take(some))
        except (UndefinedError, ZeroDivisionError):
            alone = {}
        for figure, values in at_once.items():
            found, expected = float(values[place]), alone.get(figure, math.nan)
            assert found == pytest.approx(expected, abs=1e-9, nan_ok=True), figure
    assert at_once[name].isfinite().any()


@given(st.lists(st.lists(st.integers(0, 4), min_size=5, max_size=5), min_size=1, max_size=6))
def test_sums_and_means_are_those_of_the_drawn_rows(drawn: list[list[int]]) -> None:
    rows, draws = torch.tensor(drawn), Draws.of(torch.tensor(drawn))
    values = torch.tensor([[1.0, math.nan], [2.0, 5.0], [4.0, 6.0], [8.0, 7.0], [16.0, 9.0]])

    def close(found: Tensor, expected: Tensor) -> None:
        torch.testing.assert_close(found, expected.double(), equal_nan=True)

    close(draws.sums(values[:, 0]), values[rows, 0].sum(1))
    close(draws.means(values), torch.stack([values[some].nanmean() for some in rows]))
    close(draws.means(values, each=True), torch.stack([values[some].nanmean(0) for some in rows]))
    close(
        draws.tally(torch.tensor([2, 0, 2, 1, 0]), 3),
        torch.stack([(rows == 1) + (rows == 4), rows == 3, (rows == 0) + (rows == 2)]).sum(2).T,
    )


def test_a_user_s_function_is_called_for_each_and_has_the_same_interval() -> None:
    g = torch.Generator().manual_seed(0)
    target = torch.randint(3, (60,), generator=g)
    output = torch.eye(3)[target] + torch.randn(60, 3, generator=g)
    predictions = Predictions(output=output, target=target, present=torch.ones(60, dtype=torch.bool))

    def brier(predictions: Tensor, targets: Tensor, probabilities: Tensor) -> float:
        return float((probabilities.double() - torch.eye(3)[targets]).square().sum(1).mean())

    own = metric(brier, needs="probabilities", name="own", resamples=1000)
    figures = measure("multiclass", ["brier", own], predictions)
    assert figures["own"].low == pytest.approx(figures["brier"].low, rel=1e-6)
    assert figures["own"].high == pytest.approx(figures["brier"].high, rel=1e-6)
