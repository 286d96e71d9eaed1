"""The table by task: what each learned from, how far its loss came, and its best figures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from hypothesis import given
from hypothesis import strategies as st

import jumpml
from jumpml.core import EpochRecord, RunRecord, TaskTable
from jumpml.data import Column, DataLoaders
from jumpml.learn import RunHistory

if TYPE_CHECKING:
    from pathlib import Path


def epoch(number: int, losses: dict[str, float], rows: dict[str, int], **val: float) -> EpochRecord:
    figures = {name.replace("__", "/"): value for name, value in val.items()}
    return EpochRecord(
        phase="supervised", epoch=number, step=number, losses=losses, rows=rows, val=figures, lr=0.1, seconds=0.0
    )


HISTORY = RunHistory(
    epochs=[
        epoch(1, {"a": 2.0, "b": 5.0, "c": 0.0}, {"a": 10, "b": 4, "c": 0}, a__accuracy=0.5, b__rmse=3.0, b__odd=1.0),
        epoch(2, {"a": 1.0, "b": 4.0, "c": 3.0}, {"a": 10, "b": 4, "c": 2}, a__accuracy=0.9, b__rmse=2.0, b__odd=3.0),
        epoch(3, {"a": 1.5}, {"a": 10}, a__accuracy=0.8, b__rmse=2.5, b__odd=2.0),
    ],
    tasks=("a", "b", "c", "d"),
)


def test_a_row_a_task() -> None:
    table = HISTORY.by_task()
    a, b, c, d = table
    assert (a.task, a.epochs, a.rows, a.first, a.last, a.best, a.epoch) == ("a", 3, 30, 2.0, 1.5, 1.0, 2)
    assert [(v.metric, v.last, v.best, v.epoch) for v in a.val] == [("accuracy", 0.8, 0.9, 2)]
    assert (b.epochs, b.rows, b.last, b.best, b.epoch) == (2, 8, 4.0, 4.0, 2)
    rmse, odd = b.val  # the lowest error is the best; of a figure of one's own nobody knows
    assert (rmse.best, rmse.epoch, odd.last, odd.best) == (2.0, 2, 2.0, None)
    assert (c.epochs, c.rows, c.first, c.best, c.epoch) == (2, 2, 3.0, 3.0, 2)  # no row of the first epoch counted
    assert (d.epochs, d.rows, d.first, d.val) == (0, 0, None, ())
    assert table.table()[1]["best/rmse"] == 2.0
    assert str(table) == (
        "task  epochs  rows  loss: first  last  best  epoch  val       last  best  epoch\n"
        "a          3    30            2   1.5     1      2  accuracy   0.8   0.9      2\n"
        "b          2     8            5     4     4      2  rmse       2.5     2      2\n"
        "                                                    odd          2\n"
        "c          2     2            3     3     3      2\n"
        "d          0     0"
    )
    assert str(TaskTable()) == "no task"


@given(st.lists(st.floats(allow_nan=True), min_size=1, max_size=6))
def test_the_best_is_the_lowest_that_is_finite(losses: list[float]) -> None:
    epochs = [epoch(place, {"a": loss}, {"a": 1}) for place, loss in enumerate(losses, start=1)]
    (course,) = RunHistory(epochs=epochs, tasks=("a",)).by_task()
    finite = [loss for loss in losses if math.isfinite(loss)]
    if finite:
        assert course.best == min(finite) and course.epoch == losses.index(min(finite)) + 1


def loaders() -> DataLoaders:
    """Forty rows; the second target is there in every fourth of them."""
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    second = torch.where(torch.arange(60)[:, None] % 4 == 0, x[:, 1:], torch.nan)
    columns = {"x": Column(x, "tensor"), "first": Column(x[:, :1], "number"), "second": Column(second, "number")}
    splits = {"train": torch.arange(40), "val": torch.arange(40, 50), "test": torch.arange(50, 60)}
    return DataLoaders(columns, splits, features={"x": []}, batch_size=8)


NET: dict[str, Any] = {
    "seed": 0,
    "nodes": {
        "body": {"module": "jumpml.blocks.MLP", "inputs": "x", "args": {"widths": [6]}},
        **{f"{name}_out": {"module": "jumpml.blocks.Head", "inputs": "body"} for name in ("first", "second")},
    },
    "tasks": {n: {"kind": "regression", "output": f"{n}_out", "target": n} for n in ("first", "second")},
    "objectives": {"small": {"kind": "l2", "parameters": "all", "weight": 0.01}},
}


def test_rows_that_have_the_target_count_and_a_resumed_run_counts_alike(tmp_path: Path) -> None:
    said: dict[str, Any] = {"log": ["jsonl"], "phases": {"supervised": {"epochs": 3}}}
    said["checkpoint"] = {"every": {"steps": 2}, "best": {"metric": "val/second/rmse"}}
    made = [
        jumpml.create_learner(data := loaders(), jumpml.load_model(NET, data), None, said, run=tmp_path / name)
        for name in ("whole", "stopped", "stopped")
    ]
    made[0].fit()
    first, second = made[0].history.by_task()
    assert (first.rows, second.rows, first.epochs) == (120, 30, 3)
    assert [epoch.rows for epoch in made[0].history.epochs] == [{"first": 40, "second": 10, "small": 40}] * 3
    assert [one.metric for one in second.val] == ["rmse"] and not first.val
    made[1].train_epoch()
    with made[1]._run.at_work():
        for batch in [*made[1].remaining()][:3]:
            made[1].step(batch)
    made[1].save()
    assert made[2].resume() and made[2].progress.batch == 3
    made[2].fit()
    assert made[2].history.by_task() == made[0].history.by_task()


def test_a_run_record_keeps_it() -> None:
    record = RunRecord(name="r", created="", specs={}, environment={}, tasks=tuple(HISTORY.by_task()))
    assert RunRecord.model_validate_json(record.model_dump_json()).tasks == HISTORY.by_task()
