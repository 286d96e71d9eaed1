"""A table as one vector, the default features of each kind, and what must not reach a node."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jumpml.core import DataError, FieldInfo, ValueInfo
from jumpml.data import Clip, Column, DataLoaders, Encode, Impute, OneHot, Standardize, TrainRows

NAN = torch.nan


def columns_of_a_table() -> tuple[FieldInfo, ...]:
    def number(name: str) -> FieldInfo:
        return FieldInfo(name=name, kind="number", value=ValueInfo(shape=(1,)), missing=1)

    def category(name: str, *classes: str) -> FieldInfo:
        return FieldInfo(name=name, kind="category", value=ValueInfo(shape=(), dtype="int64"), classes=classes)

    return (number("age"), category("sex", "f", "m"), number("pay"), category("town", "x", "y", "z"), number("none"))


ROWS = torch.tensor(
    [
        [20.0, 0.0, 1.0, 2.0, NAN],
        [60.0, 1.0, NAN, 0.0, NAN],
        [NAN, NAN, 3.0, 2.0, NAN],
        [40.0, 1.0, 2.0, 2.0, NAN],
    ]
)


def fitted(step: Encode) -> Encode:
    info = FieldInfo(name="t", kind="table", value=ValueInfo(shape=(5,)), columns=columns_of_a_table())
    step.fit(TrainRows(ROWS), info)
    return step


def test_numbers_then_indicators_then_categories() -> None:
    age, pay = 20 / (800 / 3) ** 0.5, 1 / (2 / 3) ** 0.5  # by the deviations of 20, 40, 60 and of 1, 2, 3
    unknown = torch.tensor([[NAN, NAN, NAN, 1.0, 5.0]])  # no train row has the town "y"
    out = fitted(Encode())(torch.cat([ROWS, unknown]))
    expected = torch.tensor(
        [
            [-age, -pay, 0, 0, 0, 1, 1, 0, 0, 0, 1],
            [age, 0, 0, 0, 1, 1, 0, 1, 1, 0, 0],
            [0, pay, 0, 1, 0, 1, 0, 0, 0, 0, 1],
            [0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1],
            [0, 0, 5, 1, 1, 0, 0, 0, 0, 0, 0],
        ]
    )
    torch.testing.assert_close(out, expected)
    index = fitted(Encode("index"))(torch.cat([ROWS, unknown]))
    assert index[:, :6].equal(out[:, :6])
    assert index[:, 6:].tolist() == [[1, 3], [2, 1], [0, 3], [2, 3], [0, 0]]


@pytest.mark.parametrize("kind", ["number", "category"])
def test_a_table_of_one_kind_only(kind: str) -> None:
    info = columns_of_a_table()[0 if kind == "number" else 1]
    for step in (Encode(), Encode("index")):
        step.fit(
            TrainRows(torch.ones(2, 1)), FieldInfo(name="t", kind="table", value=ValueInfo(shape=(1,)), columns=(info,))
        )
        out = step(torch.tensor([[1.0], [NAN]]))
        if kind == "number":
            assert out.tolist() == [[0], [0]]
        else:
            assert out.tolist() == ([[0, 1], [0, 0]] if step.one_hot else [[2], [0]])


# --- defaults ---------------------------------------------------------------------------------------------------------


def loaders_of(column: Column, **features: list[torch.nn.Module]) -> DataLoaders:
    rows = torch.arange(len(column))
    splits = {"train": rows[:4], "val": rows[4:5], "test": rows[5:]}
    return DataLoaders({"x": column}, splits, features=features)


def every_kind() -> dict[str, tuple[Column, str | None]]:
    floats = torch.arange(6.0)
    first = torch.cat([ROWS, ROWS[:2]])[:, :4]
    return {
        "number": (Column(floats[:, None], "number"), "standardize"),
        "category": (Column(torch.arange(6) % 2, "category", classes=("a", "b")), "one_hot"),
        "date": (Column(torch.arange(6), "date"), "cycles"),
        "table": (Column(first, "table", columns=columns_of_a_table()[:4]), "encode"),
        "tensor": (Column(floats[:, None], "tensor"), None),
        "image": (Column((floats / 5).view(6, 1, 1, 1), "image"), None),
        "series": (Column(floats.view(6, 1, 1), "series"), None),
        "multilabel": (Column(torch.ones(6, 2), "multilabel", classes=("a", "b")), None),
    }


@pytest.mark.parametrize("kind", every_kind())
def test_default_features_by_kind(kind: str) -> None:
    column, default = every_kind()[kind]
    loaders = loaders_of(column)
    loaders.bind(["x"])
    assert [step.name for step in loaders.features.steps("x")] == ([default] if default else [])
    assert not any(batch["x"].isnan().any() for batch in loaders.train)


HOLEY = torch.tensor([[0.0], [1.0], [NAN], [3.0], [4.0], [5.0]])


@pytest.mark.parametrize(
    ("column", "features", "text"),
    [
        (
            Column(HOLEY, "number"),
            [],
            "1 value is missing, and no feature fills them, but a node reads it. Give it standardize, or leave 'x' "
            "out of `features`.",
        ),
        (
            Column(HOLEY, "number"),
            [Clip(0, 1)],
            "1 value is missing, and clip leaves them so, but a node reads it. Give it standardize, or leave 'x' out "
            "of `features`.",
        ),
        (
            Column(HOLEY, "tensor"),
            [Clip(0, 1), torch.nn.Flatten()],
            "1 value is missing, and clip and module leave them so, but a node reads it. Give it impute or "
            "standardize.",
        ),
        (
            Column(torch.cat([ROWS, ROWS[:2]])[:, :4], "table", columns=columns_of_a_table()[:4]),
            [torch.nn.Identity()],
            "values are missing, and module leaves them so, but a node reads it. Give it encode, or leave 'x' out of "
            "`features`.",
        ),
    ],
)
def test_missing_values_do_not_reach_a_node(column: Column, features: list[torch.nn.Module], text: str) -> None:
    with pytest.raises(DataError) as error:
        loaders_of(column, x=features).bind(["x"])
    assert str(error.value).startswith("field 'x': ")
    assert text in str(error.value)


def test_missing_values_of_a_kind_without_default_features() -> None:
    loaders = loaders_of(Column(HOLEY, "tensor"))
    text = "no feature fills them, but a node reads it. Give it impute or standardize."
    with pytest.raises(DataError, match=text):
        loaders.bind(["x"])
    filled = loaders_of(Column(HOLEY, "tensor"), x=[Impute(), Clip(0, 2)])
    filled.bind(["x"])
    assert not any(batch["x"].isnan().any() for batch in filled.train)


def test_steps_that_read_something_else() -> None:
    column = every_kind()["table"][0]
    with pytest.raises(DataError, match="standardize is for tables of numbers alone, and sex, town is none"):
        loaders_of(column, x=[Standardize()])
    with pytest.raises(DataError, match="encode reads the columns of a table; one_hot gives numbers"):
        loaders_of(every_kind()["category"][0], x=[OneHot(), Encode()])


def served(loaders: DataLoaders) -> Tensor:
    return torch.cat([batch["x"] for batch in loaders.test.plain()])


def test_a_table_in_batches() -> None:
    loaders = loaders_of(every_kind()["table"][0], x=[Encode("index")])
    torch.testing.assert_close(served(loaders), fitted(Encode("index"))(ROWS[1:2])[:, [0, 1, 3, 4, 6, 7]])
