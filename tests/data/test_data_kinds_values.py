"""Kinds whose raw values are texts, numbers and lists: decoded, back to raw, and decoded as the deployed model does."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from jumpml.core import DataError, DataSpec, FieldInfo, SpecError, ValueInfo
from jumpml.core._field_spec import FieldSpec
from jumpml.data import Column, build_dataloader
from jumpml.data.kinds import KINDS, RawColumn, columns_read, decode, decoding, raw_rows
from jumpml.deploy._runtime import BundleError, decoder_of
from jumpml.deploy._runtime import decode as decode_deployed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=3)


def objects(values: Sequence[Any]) -> np.ndarray:
    """Lists and None side by side, each one value."""
    array = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        array[row] = value
    return array


def made(columns: Any, /, **told: Any) -> Column:
    """Decodes a column, or several by name, as a data file would say."""
    by_name = columns if isinstance(columns, dict) else {"f": columns}
    raws = raws_of(by_name)
    return decode(raws, TypeAdapter(FieldSpec).validate_python(told))


def raws_of(by_name: dict[str, Any], skip: bool = False) -> list[RawColumn]:
    return [
        RawColumn(
            column=name,
            values=values if isinstance(values, np.ndarray) else objects(values),
            where="data set 'd', field 'f'",
            place=lambda row: f"row {row}",
            skip=skip,
        )
        for name, values in by_name.items()
    ]


def sent(column: Column) -> list[Any]:
    """What a user would send of a column, by way of JSON."""
    originals = {} if column.originals is None else {"f": column.originals}
    rows = raw_rows({"f": (column.info("f"), column.values)}, originals)
    return [row["f"] for row in json.loads(json.dumps(rows))]


def deployed(column: Column, values: list[Any], *, filled: bool = False) -> np.ndarray:
    how = json.loads(json.dumps(decoding(column.info("f"), filled=filled)))
    return decode_deployed("f", decoder_of(how), values)


def same_bits(column: Column, other: np.ndarray) -> None:
    assert other.dtype == column.values.numpy().dtype
    np.testing.assert_array_equal(other, column.values.numpy())


def round_trip(column: Column, **told: Any) -> None:
    """Raw, decoded here and by the runtime: the same bits."""
    raw = sent(column)
    same_bits(column, deployed(column, raw))
    if told:
        same_bits(column, made(raw, **told).values.numpy())


def complaint(columns: Any, /, **told: Any) -> str:
    with pytest.raises(DataError) as error:
        made(columns, **told)
    return str(error.value)


def test_the_round_trip_can_fail() -> None:
    column = made(["1", "2"], kind="number")
    with pytest.raises(AssertionError):
        same_bits(column, deployed(column, [1, 3]))
    with pytest.raises(AssertionError):
        same_bits(column, deployed(column, [1, 2]).astype(np.float64))


def test_every_kind_is_named_once() -> None:
    assert all(kind.name == name for name, kind in KINDS.items())
    assert {kind.gives for kind in KINDS.values()} == {
        "numbers",
        "codes",
        "dates",
        "tokens",
        "labels",
        "table",
        "codes map",
    }


# --- multilabel -------------------------------------------------------------------------------------------------------


def test_labels_from_texts_lists_and_flags() -> None:
    told = {"kind": "multilabel", "classes": ["a", "b", "c"]}
    expected = torch.tensor([[1.0, 0, 1], [0, 0, 0], [torch.nan] * 3])
    for values in (
        ["c, a", "", None],
        [["a", "c"], [], None],
        np.array([[1.0, 0, 1], [0, 0, 0], [np.nan] * 3]),
    ):
        column = made(values, **told)
        torch.testing.assert_close(column.values, expected, equal_nan=True)
        present = column.present()
        assert present is not None
        assert present.tolist() == [True, True, False]
        round_trip(column, **told)


def test_labels_of_the_data_stand_in_their_order() -> None:
    column = made(["10;2", "x", "2"], kind="multilabel", separator=";")
    assert column.classes == ("2", "10", "x")
    assert column.values.tolist() == [[1, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert made(np.array([3, 1]), kind="multilabel").classes == ("1", "3")


def test_labels_by_other_names() -> None:
    column = made(["2,0", "1", None, "joy"], kind="multilabel", rename={"0": "joy", "2": "love"})
    assert column.classes == ("1", "joy", "love")
    assert sent(column) == [["joy", "love"], ["1"], None, ["joy"]]
    round_trip(column, kind="multilabel", classes=column.classes)
    assert deployed(column, ["0,2"]).tolist() == [[0, 1, 1]], "a bundle takes both names"


@given(st.lists(st.none() | st.lists(NAMES, max_size=4), min_size=1, max_size=6))
def test_labels_come_back_as_they_were(rows: list[list[str] | None]) -> None:
    if not any(rows):
        assert "no row names any class." in complaint(rows, kind="multilabel")
        return
    column = made(rows, kind="multilabel")
    assert [row and sorted(row) for row in sent(column)] == [row and sorted(set(row)) for row in rows]
    round_trip(column, kind="multilabel", classes=column.classes)


@pytest.mark.parametrize(
    ("values", "told", "text"),
    [
        (["a", "b,z"], {"classes": ["a", "bz"]}, "row 1: expected one of the 2 classes, got 'b'."),
        (["x"], {"classes": ["joy", "joys"]}, "row 0: expected one of the 2 classes, got 'x'. There is: joy, joys."),
        (
            ["lov"],
            {"classes": ["joy", "fun"], "rename": {"love": "joy"}},
            "got 'lov'. Did you mean 'love'? If it is another way of writing one, the field's `rename` can say so.",
        ),
        (np.array([[0, 1]]), {}, "expected a name for each of the 2 places of a row, but no classes are named."),
        (np.array([[0, 1]]), {"classes": ["a"]}, "for each of the 2 places of a row, but 1 classes are named."),
        (np.array([[0, 1], [0, 2]]), {"classes": ["a", "b"]}, "row 1: expected 0 or 1 for each class, got [0, 2]."),
        (np.array([["a", "b"]]), {}, "expected a list of names or a text a row, got rows of shape [2]."),
    ],
)
def test_bad_labels(values: Any, told: dict[str, Any], text: str) -> None:
    assert text in complaint(values, kind="multilabel", **told)


def test_a_deployed_model_is_told_of_labels_that_it_does_not_know() -> None:
    column = made(["a,b"], kind="multilabel")
    assert deployed(column, ["b, z", ["z"]]).tolist() == [[0, 1], [0, 0]]
    with pytest.raises(BundleError, match="row 0, field 'f': expected a list of names, got 3"):
        deployed(column, [3])


# --- dates ------------------------------------------------------------------------------------------------------------

SECONDS = st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))


def test_dates_from_texts_and_times() -> None:
    day = 1_194_739_200  # date -d 2007-11-11T00:00:00Z +%s
    texts = made(["2007-11-11", "2007-11-11T01:00:00+01:00", " 2007-11-11T00:00:00.9 ", None], kind="date")
    assert texts.values.tolist() == [day, day, day, -(2**63)]
    assert made([date(2007, 11, 11), datetime(2007, 11, 11)], kind="date").values.tolist() == [day, day]
    times = np.array(["2007-11-11T00:00:00.9", "NaT"], dtype="datetime64[ms]")
    assert made(times, kind="date").values.tolist() == [day, -(2**63)]
    assert made(["11.11.2007"], kind="date", format="%d.%m.%Y").values.tolist() == [day]
    present = texts.present()
    assert present is not None
    assert present.tolist() == [True, True, True, False]


@given(st.lists(st.none() | SECONDS, min_size=1))
def test_dates_come_back_as_they_were(moments: list[datetime | None]) -> None:
    column = made(moments, kind="date")
    round_trip(column, kind="date")
    form = "%Y/%m/%d %H-%M-%S"
    texts = [moment and moment.strftime(form) for moment in moments]
    written = made(texts, kind="date", format=form)
    assert sent(written) == texts
    round_trip(written, kind="date", format=form)


@pytest.mark.parametrize(
    ("values", "told", "text"),
    [
        (["2007-11-11", "soon"], {}, "row 1: expected a date in ISO 8601, such as 2007-11-11, got 'soon'."),
        (["1.2.2003"], {"format": "%d/%m/%Y"}, "row 0: expected a date written as '%d/%m/%Y', got '1.2.2003'."),
        ([1.5], {}, "row 0: expected a date, got 1.5."),
        (np.array([1, 2]), {}, "expected a text or a date a row, got int64 of shape []."),
        (np.array(["2001"], "datetime64[s]"), {"format": "%Y"}, "holds dates already, so that `format` says nothing"),
    ],
)
def test_bad_dates(values: Any, told: dict[str, Any], text: str) -> None:
    assert text in complaint(values, kind="date", **told)


def test_a_deployed_model_refuses_what_is_no_date() -> None:
    column = made(["2001-01-01"], kind="date")
    with pytest.raises(BundleError, match="expected a date in ISO 8601, such as 2007-11-11, got 5"):
        deployed(column, [5])
    with pytest.raises(BundleError, match=r"expected a date written as '%d\.%m\.%Y', got '2001-01-01'"):
        deployed(made(["01.01.2001"], kind="date", format="%d.%m.%Y"), ["2001-01-01"])


# --- tables -----------------------------------------------------------------------------------------------------------


def test_a_table_is_its_columns_side_by_side() -> None:
    columns = {"age": ["41", None, "1.5"], "sex": ["f", "m", None]}
    column = made(columns, kind="table", columns={"age": "number", "sex": "category"})
    expected = torch.tensor([[41, 0], [torch.nan, 1], [1.5, torch.nan]])
    torch.testing.assert_close(column.values, expected, equal_nan=True)
    assert [(info.name, info.kind, info.classes, info.missing) for info in column.info("t").columns] == [
        ("age", "number", (), 1),
        ("sex", "category", ("f", "m"), 1),
    ]
    assert sent(column)[1] == {"age": None, "sex": "m"}
    assert column.present() is None
    round_trip(column)


@given(st.lists(st.tuples(st.none() | FLOATS, st.none() | NAMES), min_size=1, max_size=6))
def test_tables_come_back_as_they_were(rows: list[tuple[float | None, str | None]]) -> None:
    told = {"kind": "table", "columns": {"a": "number", "b": "category"}}
    column = made({"a": [a for a, _ in rows], "b": [b for _, b in rows]}, **told)
    round_trip(column)
    again = sent(column)
    same_bits(column, made({name: [row[name] for row in again] for name in ("a", "b")}, **told).values.numpy())


def test_a_table_guesses_and_says_so() -> None:
    columns = {
        "id": ["a", "b"],
        "n": ["1", None],
        "x": np.array([1.5, 2]),
        "yes": np.array([True, False]),
        "empty": [None, None],
        "picture": np.zeros((2, 3)),
        "list": [[1], [2]],
        "when": np.array(["2001", "2002"], "datetime64[s]"),
    }
    column = made(columns, kind="table", columns="infer")
    assert {info.name: info.kind for info in column.columns} == {
        "id": "category",
        "n": "number",
        "x": "number",
        "yes": "category",
        "empty": "category",
    }
    assert column.notes == (
        "guessed from the values: category: id, yes, empty; number: n, x; left out: picture, list, when",
    )
    assert column.info("f").notes == column.notes
    assert "none of the columns holds a number or a text a row" in complaint(
        {"p": np.zeros((2, 2))}, kind="table", columns="infer"
    )


def test_a_table_takes_what_nothing_else_reads() -> None:
    fields = {
        name: TypeAdapter(FieldSpec).validate_python(told)
        for name, told in {
            "x": {"kind": "table", "columns": "infer"},
            "y": {"kind": "number", "column": "Y"},
            "s": {"kind": "series", "columns": ["a", "b"], "window": [0, 2], "group": "g"},
        }.items()
    }
    known = ["Y", "a", "b", "g", "part", "c", "d"]
    assert columns_read(fields, known, ["part"]) == {"x": ("c", "d"), "y": ("Y",), "s": ("a", "b", "g")}
    with pytest.raises(DataError, match="field 'x': every column of the source is read by something else; none is le"):
        columns_read(fields, known[:5], ["part"])
    with pytest.raises(DataError, match="the fields 'x' and 'z' both take all other columns; name one's columns"):
        columns_read({**fields, "z": fields["x"]}, known, [])


def test_findings_of_a_table_name_its_columns() -> None:
    columns = {"a": ["1", "1"], "b": ["1", None], "c": [None, None]}
    column = made(columns, kind="table", columns=dict.fromkeys(columns, "number"))
    assert list(KINDS["table"].findings(column.info("f"), [column.values], 2)) == [
        "all train rows have the same value of a.",
        "all train rows have the same value of b.",
        "no train row has a value of c.",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"age": 1}, "the column 'sex' is not there (null stands for missing). There is: age."),
        ({}, "the column 'age' is not there (null stands for missing). There is: nothing."),
        ([1, 2], "expected an object with the table's columns, got [1, 2]."),
        ({"age": "x", "sex": "f"}, "column 'age': expected a number, got 'x'."),
        ({"age": None, "sex": "f"}, "column 'age': expected a value; this model cannot do without."),
        ({"age": 1, "sex": "z"}, "column 'sex': expected one of the 2 classes that the model knows, got 'z'."),
    ],
)
def test_a_deployed_model_refuses_half_a_table(value: Any, text: str) -> None:
    columns = {"age": ["1", "2"], "sex": ["f", "m"]}
    column = made(columns, kind="table", columns={"age": "number", "sex": "category"})
    # A cell of a csv file; z is unknown.
    assert deployed(column, ['{"age": 3, "sex": "z"}'], filled=True).tolist()[0][0] == 3
    with pytest.raises(BundleError) as error:
        deployed(column, [value])
    assert str(error.value) == f"row 0, field 'f': {text}"


# --- series -----------------------------------------------------------------------------------------------------------


def test_windows_are_a_view_around_each_row() -> None:
    rows = 17_000
    columns = {"a": np.arange(rows), "b": np.arange(rows) / 2}
    column = made(columns, kind="series", columns=["a", "b"], window=[-336, 0])
    assert column.values.shape == (rows, 336, 2)
    # 336 times smaller than the windows would be.
    assert column.values.untyped_storage().nbytes() == (rows + 336) * 2 * 4
    assert column.values[336, :, 0].tolist() == list(range(336))
    assert column.values[-1, -1].tolist() == [rows - 2, (rows - 2) / 2]
    assert column.usable is not None
    assert column.usable.nonzero().flatten().tolist() == list(range(336, rows))
    assert column.notes == ("336 of 17000 rows have no whole window and are in no split.",)
    assert column.reach == (336, 0)
    assert bool(torch.isfinite(column.values[:336]).all())


@given(
    rows=st.integers(1, 12),
    window=st.tuples(st.integers(-6, 6), st.integers(1, 5)).map(lambda ends: (ends[0], ends[0] + ends[1])),
    groups=st.lists(st.integers(0, 1), min_size=12, max_size=12),
)
def test_a_usable_row_s_window_is_what_stands_there(rows: int, window: tuple[int, int], groups: list[int]) -> None:
    series = np.arange(1, rows + 1, dtype=float)
    group = np.array(groups[:rows])
    told = {"kind": "series", "columns": ["x"], "window": window, "group": "g"}
    low, high = np.arange(rows) + min(0, window[0]), np.arange(rows) + max(0, window[1] - 1)
    whole = [lo >= 0 and hi < rows and len(set(group[lo : hi + 1])) == 1 for lo, hi in zip(low, high, strict=True)]
    if not any(whole):
        assert "of every one of the" in complaint({"x": series, "g": group}, **told)
        return
    column = made({"x": series, "g": group}, **told)
    assert (column.usable is None) == all(whole)
    assert whole == ([True] * rows if column.usable is None else column.usable.tolist())
    for row in (row for row in range(rows) if whole[row]):
        assert column.values[row, :, 0].tolist() == series[row + window[0] : row + window[1]].tolist()
    assert column.reach == (max(0, -window[0]), max(0, window[1] - 1))
    round_trip(column)


def test_every_window_leaves_the_table() -> None:
    text = "the window [-2, 0] of every one of the 2 rows leaves the table."
    assert text in complaint({"x": ["1", "2"]}, kind="series", columns=["x"], window=[-2, 0])
    text = "the window [0, 2] of every one of the 2 rows leaves the table or its group."
    columns = {"x": ["1", "2"], "g": ["a", "b"]}
    assert text in complaint(columns, kind="series", columns=["x"], window=[0, 2], group="g")


@given(st.lists(st.none() | st.lists(st.none() | FLOATS, min_size=3, max_size=3), min_size=1, max_size=5))
def test_lists_come_back_as_they_were(rows: list[list[float | None] | None]) -> None:
    if not any(rows):
        assert f"the field is missing in all {len(rows)} rows." in complaint(rows, kind="series")
        return
    column = made(rows, kind="series")
    assert column.values.shape == (len(rows), 3, 1)
    round_trip(column, kind="series")


def test_a_series_of_arrays() -> None:
    assert made(np.zeros((2, 5)), kind="series").values.shape == (2, 5, 1)
    assert made(np.zeros((2, 5, 3)), kind="series").values.shape == (2, 5, 3)
    column = made(np.array([[[1.0, 2], [np.nan, 4]]]), kind="series")
    assert sent(column) == [[[1, 2], [None, 4]]]
    assert column.info("f").missing == 1


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            [[1, 2], [1, 2, 3]],
            "row 1: expected 2 steps of 1 as in the first row, got 3 of 1; series of one field are eq",
        ),
        (
            [[[1, 2]], [[1], [2, 3]]],
            "row 1: expected a list of numbers, or of equally long lists of numbers, got [[1],",
        ),
        ([[1.0], ["x"]], "row 1: expected a list of numbers, or of equally long lists of numbers, got ['x']."),
        ([[1e300]], "row 0: expected numbers within float32's range, got infinity."),
        (np.array(["a"]), "expected a list of numbers a row, or of lists of numbers, got <U1 of shape []."),
    ],
)
def test_bad_series(values: Any, text: str) -> None:
    assert text in complaint(values, kind="series")


def test_a_deployed_model_refuses_infinity_in_a_series() -> None:
    column = made(np.zeros((2, 2)), kind="series")
    with pytest.raises(BundleError, match="expected numbers that are finite, or null where one is missing; got infini"):
        deployed(column, [[1, 1e300]])
    with pytest.raises(BundleError, match="expected a number for each step; this model cannot do without"):
        deployed(column, [[1, None]])
    assert deployed(column, [[1, None]], filled=True)[0, :, 0].tolist() == [1, pytest.approx(np.nan, nan_ok=True)]


# --- rows that are missing, or skipped --------------------------------------------------------------------------------


@given(st.lists(st.none() | st.lists(FLOATS, min_size=4, max_size=4), min_size=1, max_size=5))
def test_tensors_may_be_missing(rows: list[list[float] | None]) -> None:
    column = made(rows, kind="tensor", shape=[2, 2])
    assert column.info("f").missing == rows.count(None)
    round_trip(column, kind="tensor", shape=[2, 2])


def test_a_deployed_model_takes_nothing_only_where_its_features_fill_it() -> None:
    full, holes = (made(rows, kind="tensor", shape=[2]) for rows in ([[1, 2]], [[1, 2], None]))
    for got in (deployed(holes, [None]), deployed(full, [None], filled=True)):
        assert got[0].tolist() == pytest.approx([np.nan] * 2, nan_ok=True)
    with pytest.raises(BundleError, match="row 0, field 'f': expected a value; this model cannot do without"):
        deployed(full, [None])


def test_a_code_that_no_feature_takes_is_no_class_of_a_deployed_model() -> None:
    column = made(["a", "b"], kind="category")
    assert deployed(column, ["b", "z", None], filled=True).tolist() == [1, -1, -1]
    # An exported embedding would take -1 for its last row.
    with pytest.raises(BundleError, match="row 1, field 'f': expected one of the 2 classes that the model knows, got"):
        deployed(column, ["b", "z"])
    with pytest.raises(BundleError, match="row 0, field 'f': expected a value; this model cannot do without"):
        deployed(column, [None])


@pytest.mark.parametrize(
    ("values", "told", "text"),
    [
        ([[1, 2], [1, 2, 3]], {"kind": "tensor", "shape": [2]}, "row 1: expected numbers of shape [2], got shape [3]."),
        ([[1, 2], ["x", 2]], {"kind": "tensor", "shape": [2]}, "row 1: expected numbers of shape [2], got ['x', 2]."),
        ([[1, None]], {"kind": "tensor", "shape": [2]}, "row 0: expected finite numbers, or none at all where the row"),
        (["1", 2, "x"], {"kind": "number"}, "row 2: expected a number, got 'x'."),
    ],
)
def test_rows_of_mixed_types(values: Any, told: dict[str, Any], text: str) -> None:
    assert text in complaint(values, **told)


@pytest.mark.parametrize(
    ("values", "told", "bad"),
    [
        (["1", "x", "3", "inf"], {"kind": "number"}, [1, 3]),
        (["a", "z", None], {"kind": "category", "classes": ["a"]}, [1]),
        (["a", "z", "q,a"], {"kind": "multilabel", "classes": ["a"]}, [1, 2]),
        (["soon", "2001-01-01"], {"kind": "date"}, [0]),
        ([[1], [1, 2], [3]], {"kind": "series"}, [1]),
        ([[1.0], ["x"], [np.inf]], {"kind": "tensor", "shape": [1]}, [1, 2]),
        ([[1, 2], [1, 3]], {"kind": "image", "shape": [1, 1, 2], "range": [0, 2]}, [1]),
        ([[[0, 1]], [[0, 5]]], {"kind": "mask", "shape": [1, 2], "classes": ["a", "b"]}, [1]),
        ([[0.5], [3]], {"kind": "audio", "rate": 1, "samples": 1}, [1]),
    ],
)
def test_bad_rows_can_be_noted_in_place_of_an_error(values: list[Any], told: dict[str, Any], bad: list[int]) -> None:
    raws = raws_of({"f": values}, skip=True)
    column = decode(raws, TypeAdapter(FieldSpec).validate_python(told))
    assert sorted(raws[0].rejected) == bad
    assert len(column) == len(values)
    with pytest.raises(DataError, match=f"row {bad[0]}: "):
        made(values, **told)


# --- columns made in Python -------------------------------------------------------------------------------------------

NUMBER = FieldInfo(name="a", kind="number", value=ValueInfo(shape=(1,)))
CATEGORY = FieldInfo(name="b", kind="category", value=ValueInfo(shape=(), dtype="int64"), classes=("u", "v"))


@pytest.mark.parametrize(
    ("values", "kind", "options", "text"),
    [
        (torch.zeros(2, 3), "multilabel", {"classes": ("a",)}, "shape [rows, 1], a place for each class, got [2, 3]."),
        (torch.full((1, 1), 0.5), "multilabel", {"classes": ("a",)}, "expected 0 and 1, or NaN where nothing is known"),
        (torch.zeros(1, 2), "multilabel", {"classes": ("a", "a")}, "expected different names of classes, got a, a."),
        (torch.tensor([[0, torch.nan]]), "multilabel", {"classes": ("a", "b")}, "got NaN beside a number."),
        (torch.zeros(2, 2, dtype=torch.int64), "date", {}, "expected values of shape [rows], got [2, 2]."),
        (torch.tensor([2**60]), "date", {}, "expected seconds of the years 1 to 9999, got 1152921504606846976."),
        (torch.zeros(2, 3), "table", {"columns": (NUMBER,)}, "shape [rows, 1], a place for each of `columns`, got [2"),
        (
            torch.full((1, 1), 0.5),
            "table",
            {"columns": (CATEGORY,)},
            "column 'b': expected codes from 0 to 1, NaN wher",
        ),
        (torch.full((1, 1), torch.inf), "table", {"columns": (NUMBER,)}, "column 'a': expected finite values (NaN wh"),
        (
            torch.zeros(1, 1),
            "table",
            {"columns": (FieldInfo(name="a", kind="nmber", value=ValueInfo(shape=())),)},
            "column 'a': got 'nmber'. Did you mean 'number'?",
        ),
        (torch.zeros(2, 3), "series", {}, "expected values of shape [rows, steps, channels], got [2, 3]."),
        (torch.full((1, 1, 1), torch.inf), "series", {}, "expected finite values (NaN where missing), got infinity."),
        (torch.zeros(2, 3), "audio", {}, "expected values of shape [rows, channels, samples], got [2, 3]."),
        (torch.full((1, 1, 2), 2.0), "audio", {}, "expected values in [-1, 1], got 2."),
        (torch.full((1, 1, 2), torch.inf), "audio", {}, "expected finite values, got infinity."),
        (
            torch.zeros(2, 3, dtype=torch.int64),
            "mask",
            {},
            "expected values of shape [rows, height, width], got [2, 3].",
        ),
        (torch.ones(1, 1, 1, dtype=torch.int64), "mask", {"classes": ("a",)}, "expected codes from -1 (missing) to 0"),
        (torch.zeros(3, dtype=torch.int64), "text", {}, "expected values of shape [rows, length], got [3]."),
        (torch.tensor([[-1]]), "text", {}, "expected ids from 0 or above, got -1 to -1."),
    ],
)
def test_columns_check_what_they_are_given(values: torch.Tensor, kind: str, options: dict[str, Any], text: str) -> None:
    with pytest.raises(DataError) as error:
        Column(values, kind, **options)
    assert text in str(error.value)
    assert str(error.value).startswith(f"a column of kind {kind}: ")


# --- what the file says wrongly ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "told"),
    [
        (
            "{kind: multilabel, classes: [a, b, a]}",
            "line 5, column 29: datasets.d.fields.f.classes: the class 'a'",
        ),
        (
            "{kind: category, classes: [low, high], rename: {'1': hihg}}",
            "line 5, column 58: datasets.d.fields.f.rename.1: 'hihg' is none of the classes. Did you mean 'high'?",
        ),
        (
            "{kind: multilabel, rename: {a: b, b: a}}",
            "f.rename.a: 'b' is renamed too, to 'a'; which of the two is meant?",
        ),
        (
            "{kind: date, format: '%Q'}",
            "line 5, column 23: datasets.d.fields.f.format: dates cannot be",
        ),
        ("{kind: mask, shape: [1, 1], classes: [a, b], ignore: 1}", "ignore: 1 is the code of the class 'b'."),
        (
            "{kind: series, columns: [a]}",
            "f.window: this key is missing. Windows need `columns` and `window`, a colu",
        ),
        ("{kind: series, window: [0, 2]}", "f.columns: this key is missing. Windows need `columns` and `window`"),
        (
            "{kind: series, group: a}",
            "group: only windows have a group, so that this key would change nothing.",
        ),
        (
            "{kind: series, columns: [a], window: [2, 2]}",
            "window: expected the first step and the one behind the last,",
        ),
        ("{kind: series, columns: [a, bb], window: [0, 2]}", "f.columns: the source has no column 'bb'."),
        ("{kind: series, columns: [a], window: [0, 2], group: g}", "f.group: the source has no column 'g'."),
        ("{kind: table, columns: {a: number, z: category}}", "f.columns: the source has no column 'z'."),
        (
            "{kind: table, columns: {a: numbre}}",
            "columns.a: expected one of number, category, got 'numbre'. Did",
        ),
        (
            "{kind: text, length: 3, tokenizer: {kind: words, pattern: '('}}",
            "tokenizer.pattern: this is no regular",
        ),
        ("{kind: text, tokenizer: {kind: words}}", "f.length: this key is missing."),
    ],
)
def test_mistakes_of_a_field_are_told_with_their_line(
    field: str, told: str, data_spec: Callable[[str], DataSpec], tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("a,f\n1,2\n")
    lines = ["datasets:", "  d:", "    source: {kind: csv, path: t.csv}", "    fields:", f"      f: {field}"]
    with pytest.raises(SpecError) as error:
        build_dataloader(data_spec("\n".join(lines)))
    assert told in str(error.value)
