"""`DataLoaders` without a file: features by default and by name, raw units, and what people are told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch

from jumpml.core import DataError, ValueInfo
from jumpml.data import Column, DataLoaders, Index, Noise, OneHot, Shift, Standardize, random_split

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def columns() -> dict[str, Column]:
    return {
        "x": Column(torch.arange(20.0)[:, None], "number"),
        "c": Column(torch.arange(20) % 3, "category", classes=("a", "b", "c")),
        "holes": Column(torch.tensor([[1.0], [torch.nan]]).repeat(10, 1), "number"),
        "v": Column(torch.arange(60.0).view(20, 3), "tensor"),
        "p": Column(torch.rand(20, 1, 4, 6), "image", range=(0.0, 255.0)),
    }


def rows() -> dict[str, Tensor]:
    return {"train": torch.arange(14), "val": torch.arange(14, 17), "test": torch.arange(17, 20)}


# --- features by default and by name --------------------------------------------------------------------------------


def test_nothing_is_featurised_until_a_node_reads_it() -> None:
    loaders = DataLoaders(columns(), rows())
    assert loaders.info("x") == ValueInfo(shape=(1,))
    assert loaders.info("c") == ValueInfo(shape=(), dtype="int64")
    batch = next(iter(loaders.test))
    assert batch["x"].flatten().tolist() == [17, 18, 19]
    assert batch["c"].tolist() == [2, 0, 1]


def test_bound_numbers_are_standardized_and_bound_categories_one_hot() -> None:
    loaders = DataLoaders(columns(), rows())
    plain = next(loaders.test.plain())  # cached before bind
    loaders.bind(["x", "c", "p", "v"])
    before = loaders.features.state_dict()
    loaders.bind(["holes"])  # adds to what was bound
    loaders.bind(["x", "holes"])  # changes nothing
    assert all(torch.equal(values, loaders.features.state_dict()[key]) for key, values in before.items())
    assert {name: loaders.info(name) for name in loaders.fields} == {
        "x": ValueInfo(shape=(1,)),
        "c": ValueInfo(shape=(3,)),
        "holes": ValueInfo(shape=(1,)),
        "v": ValueInfo(shape=(3,)),
        "p": ValueInfo(shape=(1, 4, 6)),
    }
    batch = next(iter(loaders.test))
    # Train is 0 to 13: mean 6.5, variance (14**2 - 1) / 12 = 16.25.
    torch.testing.assert_close(batch["x"], (plain["x"] - 6.5) / 16.25**0.5)
    assert batch["c"].tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert batch["holes"].tolist() == [[0], [0], [0]]
    assert batch["holes.present"].tolist() == [False, True, False]
    assert torch.equal(batch["p"], plain["p"])
    assert torch.equal(batch["v"], plain["v"])


def test_named_features_win_over_the_defaults() -> None:
    features = {"x": [], "c": [Index()], "v": [Standardize()], "holes": [Standardize()]}
    loaders = DataLoaders(columns(), rows(), features=features)
    loaders.bind(["x", "c", "holes"])
    assert [step.name for step in loaders.features.steps("c")] == ["index"]
    assert loaders.features.steps("x") == ()
    assert loaders.info("c") == ValueInfo(shape=(), dtype="int64")
    assert next(iter(loaders.test))["c"].tolist() == [3, 1, 2]


def test_steps_follow_each_other() -> None:
    loaders = DataLoaders(columns(), rows(), features={"c": [OneHot(), Standardize()]})
    out = torch.cat([batch["c"] for batch in loaders.train.plain()])
    torch.testing.assert_close(out.mean(0), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(out.std(0, correction=0), torch.ones(3))


def test_what_cannot_be_bound() -> None:
    loaders = DataLoaders(columns(), rows(), features={"holes": []}, name="mine")
    with pytest.raises(DataError, match=r"the data set 'mine' has no field 'hole'. Did you mean 'holes'\?"):
        loaders.bind(["x", "hole"])
    assert loaders.features.steps("x") == ()  # nothing was changed by the failure
    text = (
        r"field 'holes': 10 values are missing, and no feature fills them, but a node reads it\. "
        r"Give it standardize, or leave 'holes' out of `features`\."
    )
    with pytest.raises(DataError, match=text):
        loaders.bind(["x", "holes"])
    assert loaders.features.steps("x") == ()
    with pytest.raises(DataError, match=r"has no field 'y'. There is: c, holes, p, v, x\."):
        loaders.info("y")


def test_raw_units_of_a_standardized_target() -> None:
    loaders = DataLoaders(columns(), rows(), features={"x": [Standardize()], "c": [OneHot()]})
    batch = next(iter(loaders.test))
    torch.testing.assert_close(loaders.to_raw("x", batch["x"]), torch.tensor([[17.0], [18], [19]]))
    torch.testing.assert_close(loaders.to_raw("x", batch["x"][:, 0]), torch.tensor([17.0, 18, 19]))
    assert loaders.to_raw("c", batch["c"]).tolist() == [2, 0, 1]
    assert loaders.to_raw("v", batch["v"]) is batch["v"]
    with pytest.raises(DataError, match=r"has no field 'z'"):
        loaders.to_raw("z", batch["x"])


def test_moving_everything_keeps_every_value(fresh: Callable[..., DataLoaders]) -> None:
    one, other = fresh(), fresh()
    one.bind(["age", "image"])
    other.bind(["age", "image"])
    assert other.to("cpu") is other
    for left, right in zip(one.train, other.train, strict=True):
        assert all(torch.equal(left[key], right[key]) for key in ("age", "image", "age.present"))
    elsewhere = fresh().to("meta")
    elsewhere.bind([])
    assert elsewhere.train.decoded("image").device.type == "meta"
    assert elsewhere.features.state_dict()["field_image.0.mean"].device.type == "meta"


# --- what does not fit ----------------------------------------------------------------------------------------------


def changed(name: str, column: Column) -> dict[str, Column]:
    return columns() | {name: column}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"batch_size": 0}, "expected a batch size of at least 1, got 0."),
        ({"columns": {}}, "expected columns with equally many rows, got no column."),
        (
            {"columns": {"a": Column(torch.zeros(3, 1), "number"), "b": Column(torch.zeros(2, 1), "number")}},
            "expected columns with equally many rows, got a: 3, b: 2.",
        ),
        ({"splits": {"train": torch.arange(3)}}, "expected the splits train, val and test, got train."),
        ({"splits": rows() | {"val": torch.arange(0)}}, "the val split is empty."),
        ({"splits": rows() | {"val": [3]}}, "the val split: expected a tensor of row numbers, got list."),
        (
            {"splits": rows() | {"val": torch.tensor([20])}},
            "expected row numbers from 0 to 19 as int64, got 0 to 20 as",
        ),
        (
            {"splits": rows() | {"val": torch.tensor([-1])}},
            "expected row numbers from 0 to 19 as int64, got -1 to 19 as",
        ),
        (
            {"splits": rows() | {"val": torch.tensor([0])}},
            "expected every row in one split, got a row that stands twice.",
        ),
        ({"features": {"xx": [OneHot()]}}, "features: there is no field 'xx'. Did you mean 'x'?"),
        (
            {"features": {"p": [OneHot()]}},
            "features, 'p': one_hot reads the codes of a category or those of a mask; a field of kind image has "
            "numbers.",
        ),
        (
            {"features": {"c": [Standardize()]}},
            "features, 'c': standardize reads numbers or the columns of a table; a field of kind category has codes.",
        ),
        (
            {"features": {"c": [Index(), Standardize()]}},
            "features, 'c': standardize reads numbers or the columns of a table; index gives indices.",
        ),
        ({"features": {"x": [Standardize(), Standardize()]}}, "features, 'x': standardize stands twice."),
        ({"augment": {"x": [Shift(1)]}}, "augment, 'x': shift is for images; this field is a number."),
        ({"augment": {"q": [Noise(1)]}}, "augment: there is no field 'q'."),
        (
            {"views": {"strong": {"c": [Noise(1)]}}},
            "view 'strong', 'c': noise is for numbers; this field is a category.",
        ),
        ({"views": {"strong": {"q": [Noise(1)]}}}, "view 'strong': there is no field 'q'."),
    ],
)
def test_what_does_not_fit_is_refused(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(DataError) as error:
        DataLoaders(**{"columns": columns(), "splits": rows(), **arguments})
    assert text in str(error.value)


# --- what people and bundles are told -------------------------------------------------------------------------------


def test_decoding_and_raw_rows_are_plain_values() -> None:
    loaders = DataLoaders(columns(), rows())
    assert loaders.decoding() == {
        "x": {"kind": "number", "shape": [1], "dtype": "float32"},
        "c": {"kind": "category", "shape": [], "dtype": "int64", "classes": ["a", "b", "c"]},
        "holes": {"kind": "number", "shape": [1], "dtype": "float32", "missing": True},
        "v": {"kind": "tensor", "shape": [3], "dtype": "float32"},
        "p": {"kind": "image", "shape": [1, 4, 6], "dtype": "float32", "range": [0.0, 255.0]},
    }
    loaders.bind(["x", "c"])  # their features fill what a deployed model may be sent
    told = loaders.decoding()
    assert [name for name in told if told[name].get("missing")] == ["x", "c", "holes"]
    raw = loaders.raw("test", [2, 0])
    assert json.loads(json.dumps(raw)) == raw
    assert [(row["x"], row["c"], row["holes"], row["v"]) for row in raw] == [
        (19.0, "b", None, [57.0, 58.0, 59.0]),
        (17.0, "c", None, [51.0, 52.0, 53.0]),
    ]
    picture = torch.tensor(raw[0]["p"], dtype=torch.float64) / 255
    assert torch.equal(picture.float(), loaders.test.decoded("p")[2])
    with pytest.raises(DataError, match=r"there is no split 'tset'. Did you mean 'test'\?"):
        loaders.raw("tset", [0])


def test_summary_and_record_tell_the_same() -> None:
    loaders = DataLoaders(columns(), rows(), features={"p": [Standardize()]}, batch_size=4, name="mine")
    loaders.bind(["c"])
    record = loaders.record()
    assert json.loads(json.dumps(record)) == record
    assert record["name"] == "mine"
    assert record["batch_size"] == 4
    assert record["rows"] == {"train": 14, "val": 3, "test": 3}
    assert record["features"] == {"x": [], "c": ["one_hot"], "holes": [], "v": [], "p": ["standardize"]}
    fields: Any = record["fields"]
    assert fields["c"] == {
        "kind": "category",
        "shape": [],
        "dtype": "int64",
        "missing": 0,
        "classes": ["a", "b", "c"],
        "range": None,
    }
    assert loaders.summary().splitlines() == [
        "mine: 20 rows (train 14, val 3, test 3)",
        "  field  kind      shape  missing  features     classes",
        "  x      number    1      0        -            -",
        "  c      category  -      0        one_hot      a, b, c",
        "  holes  number    1      10       -            -",
        "  v      tensor    3      0        -            -",
        "  p      image     1x4x6  0        standardize  -",
        "  finding: holes: 10 of 20 values are missing (50%).",
        "  finding: holes: all train rows have the same value.",
    ]


def test_long_lists_of_classes_are_cut() -> None:
    names = tuple(f"c{index}" for index in range(10))
    data = {"y": Column(torch.arange(40) % 10, "category", classes=names), "x": Column(torch.rand(40, 1), "number")}
    assert "c0, c1, c2, c3, c4, c5, c6, c7, ... (10)" in DataLoaders(data, random_split(40)).summary()


@pytest.mark.parametrize(
    ("name", "column", "text"),
    [
        ("x", Column(torch.zeros(20, 1), "number"), "x: all train rows have the same value."),
        ("p", Column(torch.ones(20, 1, 2, 2), "image"), "p: all train rows have the same value."),
        (
            "c",
            Column(
                torch.where(torch.arange(20) < 17, torch.arange(20) % 2, 2), "category", classes=("a", "b", "c", "d")
            ),
            "c: no train row has the class c, d.",
        ),
        (
            "c",
            Column(torch.arange(20) % 2, "category", classes=tuple("abcdefghi")),
            "c: no train row has the class c, d, e, f, g and 2 more.",
        ),
        (
            "c",
            Column(torch.arange(20), "category", classes=tuple(map(str, range(20)))),
            "c: 20 classes in 20 rows; is it an identifier?",
        ),
        (
            "c",
            Column(torch.where(torch.arange(20) < 17, torch.arange(20) % 2, -1), "category", classes=("a", "b")),
            "c: no test row has a value.",
        ),
        (
            "x",
            Column(torch.where(torch.arange(20) == 3, torch.nan, torch.arange(20.0))[:, None], "number"),
            "x: 1 of 20",
        ),
    ],
)
def test_findings(name: str, column: Column, text: str) -> None:
    found = DataLoaders(changed(name, column), rows()).findings()
    assert any(finding.startswith(text) for finding in found), found


def test_equal_rows_across_splits_are_found() -> None:
    values = torch.arange(20.0)[:, None]
    values[18] = values[4]
    values[15] = values[2]
    loaders = DataLoaders({"x": Column(values, "number")}, rows())
    assert loaders.findings() == [
        "val rows that also stand in train: 1, such as row 15 (train row 2).",
        "test rows that also stand in train: 1, such as row 18 (train row 4).",
    ]
