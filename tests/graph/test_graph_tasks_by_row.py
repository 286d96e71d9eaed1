"""Tasks by row beyond a class or a number: classes in an order, quantiles, tables of numbers, forecasts."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from jumpml.core import FieldInfo, GraphError, ModelSpec, SpecError, Task, ValueInfo, load_spec
from jumpml.graph import build_nodes, channels_of, decide, in_rising_order, probabilities, scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from jumpml.graph import Model

FLATTEN = " It has 2 axes a row: put torch.nn.Flatten or jumpml.blocks.Pool before its last layer."
HEAD = " In a model file jumpml.blocks.Head is as wide as its task needs."
LEVELS = (0.1, 0.5, 0.9)


def refused(text: str) -> Any:
    return pytest.raises(GraphError, match=f"^{re.escape(text)}$")


def number(name: str) -> FieldInfo:
    return FieldInfo(name=name, kind="number", value=ValueInfo(shape=(1,)))


def table(*columns: FieldInfo) -> FieldInfo:
    return FieldInfo(name="y", kind="table", value=ValueInfo(shape=(len(columns),)), columns=columns)


def series(name: str, window: tuple[int, int], *channels: str) -> FieldInfo:
    options = {"window": list(window), "channels": list(channels)}
    value = ValueInfo(shape=(window[1] - window[0], len(channels)))
    return FieldInfo(name=name, kind="series", value=value, options=options)


# --- classes in an order ----------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-30, 30), min_size=1, max_size=8))
def test_chances_sum_to_one_and_the_decision_is_their_median(values: list[float]) -> None:
    logits = torch.tensor([values], dtype=torch.float64)
    chances = probabilities("ordinal", logits)
    assert chances.shape == (1, len(values) + 1)
    assert float(chances.sum()) == pytest.approx(1)
    torch.testing.assert_close(scores("ordinal", logits).exp(), chances)
    above = logits.sigmoid().cumprod(1)  # of being above each class: it can only fall
    assert bool((above[:, 1:] <= above[:, :-1]).all())
    code = int(decide("ordinal", logits))
    below, not_above = float(chances[0, :code].sum()), float(chances[0, : code + 1].sum())
    assert below < 0.5 + 1e-9
    assert not_above > 0.5 - 1e-9


def test_an_ordinal_output_has_one_logit_less_than_there_are_classes(make: Callable[..., Model], category: Any) -> None:
    tasks, fields = {"t": Task(kind="ordinal", output="out", target="y")}, {"y": category("y", 4)}
    text = (
        "task 't': the output 'out' is [batch, 4] float32, 4 wide, and the target 'y' has 4 classes, one more than the "
        "output must be wide."
    )
    with refused(text + HEAD):
        make({"out": (nn.Linear(4, 4), "x")}, tasks=tasks, fields=fields)
    with refused(
        "task 't': an ordinal task needs an output [batch, classes - 1], and 'out' is [batch, 2, 2] float32." + FLATTEN
    ):
        make({"out": (nn.Unflatten(1, (2, 2)), "x")}, tasks=tasks, fields=fields)
    make({"out": (nn.Linear(4, 3), "x")}, tasks=tasks, fields=fields)


def test_an_order_is_given_or_that_of_numbers(make: Callable[..., Model], category: Any) -> None:
    tasks, grade = {"t": Task(kind="ordinal", output="out", target="y")}, category("y", 5)
    text = (
        "task 't': an ordinal task needs classes in their order, and those of 'y' stand by their letters: class 0, "
        "class 1, class 2, class 3, .... Give the field `classes`, from the lowest to the highest."
    )
    with refused(text):
        make({"out": (nn.Linear(4, 4), "x")}, tasks=tasks, fields={"y": replace(grade, alphabetical=True)})
    make({"out": (nn.Linear(4, 4), "x")}, tasks=tasks, fields={"y": grade})


def test_one_class_has_no_order(make: Callable[..., Model], category: Any) -> None:
    with pytest.raises(GraphError) as error:
        make(
            {"out": (nn.Linear(4, 1), "x")},
            tasks={"t": Task(kind="ordinal", output="out", target="y")},
            fields={"y": category("y", 1)},
        )
    assert "an ordinal task needs a target with 2 classes or more, and 'y' has 1." in str(error.value)


def test_an_embedding_is_a_vector_of_some_width(make: Callable[..., Model], category: Any) -> None:
    tasks = {"t": Task(kind="retrieval", output="out", target="y")}
    text = "task 't': a retrieval task needs an output [batch, width], and 'out' is [batch, 2, 2] float32."
    with refused(text + FLATTEN):
        make({"out": (nn.Unflatten(1, (2, 2)), "x")}, tasks=tasks, fields={"y": category("y", 3)})
    with refused("task 't': a retrieval task needs a target with 2 classes or more, and 'y' has 1."):
        make({"out": (nn.Linear(4, 3), "x")}, tasks=tasks, fields={"y": category("y", 1)})
    make({"out": (nn.Linear(4, 3), "x")}, tasks=tasks, fields={"y": category("y", 3)})
    torch.testing.assert_close(decide("retrieval", torch.tensor([[3.0, 4.0]])), torch.tensor([[0.6, 0.8]]))


def test_a_head_does_not_know_an_embeddings_width(category: Any) -> None:
    nodes = {"code": {"module": "jumpml.blocks.Head", "inputs": "x"}}
    spec = load_spec(
        ModelSpec, {"nodes": nodes, "tasks": {"t": {"kind": "retrieval", "output": "code", "target": "y"}}}
    )
    with pytest.raises(SpecError) as error:
        build_nodes(spec, {"x": ValueInfo(shape=(4,))}, {"y": category("y", 3)})
    assert (
        "out_features is left out, and the embedding of task 't' may be of any width. Give out_features, such as 64."
        in (str(error.value))
    )


# --- numbers ----------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-100, 100, width=32), min_size=6, max_size=6))
def test_quantiles_never_cross_and_the_middle_one_is_decided(values: list[float]) -> None:
    output = torch.tensor([values])
    ordered = in_rising_order(output, LEVELS)
    assert ordered.shape == (1, 2, 3)
    assert bool((ordered[..., 1:] >= ordered[..., :-1]).all())
    assert decide("regression", output, LEVELS).tolist() == [[sorted(values[:3])[1], sorted(values[3:])[1]]]


def test_with_quantiles_an_output_is_as_many_times_as_wide(make: Callable[..., Model]) -> None:
    tasks = {"t": Task(kind="regression", output="out", target="y", quantiles=LEVELS)}
    text = (
        "task 't': the output 'out' is [batch, 2] float32, 2 numbers a row, and the target 'y' is [batch, 2] float32, "
        "2 a row at each of 3 quantiles."
    )
    fields = {"y": table(number("height"), number("mass"))}
    with refused(text + HEAD):
        make({"out": (nn.Linear(4, 2), "x")}, tasks=tasks, fields=fields)
    make({"out": (nn.Linear(4, 6), "x")}, tasks=tasks, fields=fields)


def test_a_head_is_as_wide_as_its_task_needs(category: Any) -> None:
    grade = category("grade", 5)
    fields = {"grade": grade, "body": table(number("height"), number("mass")), "past": series("past", (-4, 0), "oil")}
    fields["future"] = series("future", (0, 3), "oil")
    tasks = {
        "grade": {"kind": "ordinal", "target": "grade"},
        "body": {"kind": "regression", "target": "body"},
        "spread": {"kind": "regression", "target": "body", "quantiles": LEVELS},
        "ahead": {"kind": "forecasting", "target": "future", "history": "past"},
        "again": {"kind": "reconstruction", "target": "past"},
    }
    spec = load_spec(
        ModelSpec,
        {
            "nodes": {f"{name}_head": {"module": "jumpml.blocks.Head", "inputs": "x"} for name in tasks},
            "tasks": {name: {**task, "output": f"{name}_head"} for name, task in tasks.items()},
        },
    )
    nodes = build_nodes(spec, {"x": ValueInfo(shape=(4,))}, fields, seed=0)
    widths = {name.removesuffix("_head"): node.module.out_features for name, node in nodes.items()}
    assert widths == {"grade": 4, "body": 2, "spread": 6, "ahead": 3, "again": 4}


def test_a_table_of_targets_holds_numbers_alone(make: Callable[..., Model], category: Any) -> None:
    text = "task 't': a regression task predicts numbers, and sex of 'y' is none."
    text += " Give a category a field and a task of its own."
    with refused(text):
        make(
            {"out": (nn.Linear(4, 2), "x")},
            tasks={"t": Task(kind="regression", output="out", target="y")},
            fields={"y": table(number("mass"), category("sex", 2))},
        )


# --- forecasts --------------------------------------------------------------------------------------------------------

FUTURE = series("y", (0, 4), "oil")


@pytest.mark.parametrize(
    ("history", "options", "text"),
    [
        (None, {}, "the data has no field 'past'. There are none."),
        (number("past"), {}, "a history is a series, and 'past' is of kind number. Give the data such a field."),
        (
            series("past", (-8, -1), "oil"),
            {},
            "the history 'past' ends before step -1, and 'y' begins at step 0. Let it end where the target begins.",
        ),
        (
            series("past", (-8, 0), "load"),
            {},
            "the history 'past' is of load, and the target 'y' is of oil. Give it the target's columns too.",
        ),
        (
            replace(series("past", (-8, 0), "a", "b"), options={}),
            {},
            "the history 'past' is of 2 channels, and the target 'y' is of oil. Give it the target's columns too.",
        ),
        (
            series("past", (-8, 0), "oil"),
            {"season": 24},
            "a season of 24 steps does not fit into the 8 of the history 'past'. Give the data a field with a longer "
            "window; no node needs to read it.",
        ),
    ],
)
def test_a_history_leads_up_to_the_target(
    make: Callable[..., Model], history: FieldInfo | None, options: dict[str, Any], text: str
) -> None:
    fields = {"y": FUTURE} | ({"past": history} if history else {})
    with refused(f"task 't': {text}"):
        make(
            {"out": (nn.Linear(4, 4), "x")},
            tasks={"t": Task(kind="forecasting", output="out", target="y", history="past", **options)},
            fields=fields,
        )


def test_a_history_may_hold_more_than_the_target() -> None:
    assert channels_of(FUTURE, series("past", (-8, 0), "load", "oil")) == [1]
    lists = replace(FUTURE, options={})
    assert channels_of(lists, replace(lists, name="past")) == [0]


# --- what does not belong together ------------------------------------------------------------------------------------

WRONG = [
    (
        {"kind": "multiclass", "quantiles": LEVELS},
        "quantiles is for regression and forecasting tasks; this task is multiclass",
    ),
    ({"kind": "regression", "history": "past"}, "history is for forecasting tasks; this task is regression"),
    ({"kind": "regression", "season": 2}, "season is for forecasting tasks; this task is regression"),
    (
        {"kind": "forecasting", "season": 24},
        "a forecasting task needs history: the series field that ends where its target begins",
    ),
    (
        {"kind": "regression", "quantiles": (0.5, 0.1, 0.9)},
        "quantiles: expected levels between 0 and 1, in rising order; got 0.5, 0.1, 0.9",
    ),
    (
        {"kind": "regression", "quantiles": (0.0, 0.5, 0.9)},
        "quantiles: expected levels between 0 and 1, in rising order; got 0.0, 0.5, 0.9",
    ),
    (
        {"kind": "regression", "quantiles": (0.1, 0.9)},
        "quantiles: expected 0.5, which is decided, with a level below and one above it; got 0.1, 0.9",
    ),
    (
        {"kind": "regression", "quantiles": (0.5, 0.9)},
        "quantiles: expected 0.5, which is decided, with a level below and one above it; got 0.5, 0.9",
    ),
    (
        {"kind": "regression", "metrics": ("coverage",)},
        "the metric coverage needs the key quantiles, such as [0.1, 0.5, 0.9]",
    ),
    (
        {"kind": "forecasting", "history": "past", "metrics": ("seasonal_skill",)},
        "the metric seasonal_skill needs the key season, of more than one step",
    ),
]


@pytest.mark.parametrize(("options", "text"), WRONG)
def test_keys_that_do_not_belong_together_are_refused(
    make: Callable[..., Model], options: dict[str, Any], text: str
) -> None:
    with refused(f"task 't': {text}."):
        make({"out": (nn.Linear(4, 1), "x")}, tasks={"t": Task(output="out", target="y", **options)})
    nodes = {"out": {"module": "torch.nn.ReLU", "inputs": "x"}}
    with pytest.raises(SpecError) as error:
        load_spec(ModelSpec, {"nodes": nodes, "tasks": {"t": {"output": "out", "target": "y", **options}}})
    assert text in str(error.value)
