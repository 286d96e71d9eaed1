"""Columns decode to the tensors that the architecture names; a bad value is told with data set, field and row."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pydantic import TypeAdapter

from jumpml.core import DataError
from jumpml.core._field_spec import FieldSpec
from jumpml.data import Column
from jumpml.data.kinds import KINDS, RawColumn, decode, raw_rows

if TYPE_CHECKING:
    from collections.abc import Sequence


def raw(values: object, dtype: object = None) -> RawColumn:
    where = "data set 'd', field 'f'"
    return RawColumn(values=np.array(values, dtype=dtype), where=where, place=lambda row: f"row {row}")  # type: ignore[arg-type]


def texts(*values: str | None) -> RawColumn:
    return raw(values, object)


def decode_number(column: RawColumn) -> Column:
    return decode([column], TypeAdapter(FieldSpec).validate_python({"kind": "number"}))


def decode_category(column: RawColumn, classes: Sequence[str] | None = None) -> Column:
    return decode([column], TypeAdapter(FieldSpec).validate_python({"kind": "category", "classes": classes}))


def decode_image(column: RawColumn, shape: tuple[int, ...], ends: tuple[float, float]) -> Column:
    told = {"kind": "image", "shape": shape, "range": ends}
    return decode([column], TypeAdapter(FieldSpec).validate_python(told))


def decode_tensor(column: RawColumn, shape: tuple[int, ...]) -> Column:
    return decode([column], TypeAdapter(FieldSpec).validate_python({"kind": "tensor", "shape": shape}))


# --- numbers --------------------------------------------------------------------------------------------------------


def test_numbers_from_texts_and_numbers() -> None:
    for column in (texts("1.5", None, "-2e3"), raw([1.5, np.nan, -2000])):
        decoded = decode_number(column)
        assert decoded.values.dtype == torch.float32
        assert decoded.values.shape == (3, 1)
        assert torch.equal(decoded.values.nan_to_num(7), torch.tensor([[1.5], [7], [-2000]]))
        present = decoded.present()
        assert present is not None
        assert present.tolist() == [True, False, True]
        assert decoded.info("f").missing == 1
    assert decode_number(raw([[True], [False]])).values.tolist() == [[1], [0]]
    assert decode_number(raw(["1", "2"])).values.tolist() == [[1], [2]]
    assert decode_number(raw([1, 2])).present() is None


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (texts("1", "two"), "row 1: expected a number, got 'two'. If it stands for a missing value, list it under"),
        (texts("1", "2", "nan"), "row 2: expected a number, got 'nan'."),
        (texts("1", "inf"), "row 1: expected a number within float32's range, got inf."),
        (raw([1.0, 1e300]), "row 1: expected a number within float32's range, got 1e+300."),
        (raw([[1, 2], [3, 4]]), "field 'f': expected rows of shape [1], got [2]."),
        (raw([1j]), "field 'f': expected numbers, got complex128."),
    ],
)
def test_bad_numbers(column: RawColumn, text: str) -> None:
    with pytest.raises(DataError) as error:
        decode_number(column)
    assert str(error.value).startswith("data set 'd', field 'f'")
    assert text in str(error.value)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([1, 2**24, 2**24 + 2, 0.1, 20_000_000.5], ""),
        (
            [5, 123_456_789],
            "1 whole number is above 16,777,216, where float32 has no room for the last digits: 123456789 is read as "
            "123456792. If they name things, make the field a category.",
        ),
        ([-16_777_217, 16_777_217, np.nan], "2 whole numbers are above 16,777,216, where float32 has no room"),
        ([2**53 + 1], "1 whole number is above 16,777,216"),
    ],
)
def test_whole_numbers_that_lose_digits_are_told(values: list[float], told: str) -> None:
    notes = decode_number(raw(values)).notes
    assert len(notes) == bool(told)
    assert "".join(notes).startswith(told)
    column = raw(values)
    table = KINDS["table"].decode([column], types.SimpleNamespace(columns={column.column: "number"}))
    assert table.notes == tuple(f"{column.column}: {note}" for note in notes)


# --- categories -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "classes", "codes"),
    [
        (texts("b", "a", None, "b"), ("a", "b"), [1, 0, -1, 1]),
        (raw([10.0, np.nan, 9.0]), ("9", "10"), [1, -1, 0]),  # whole numbers as such, in their own order
        (raw([0.5, 2]), ("0.5", "2"), [0, 1]),
        (raw([3, 1, 3]), ("1", "3"), [1, 0, 1]),
        (raw([True, False]), ("False", "True"), [1, 0]),
        (raw(["x", "y"]), ("x", "y"), [0, 1]),
        (texts("10", "9", "x"), ("9", "10", "x"), [1, 0, 2]),
        (raw(np.array(["a", 1, 1.0, np.nan, None], dtype=object)), ("1", "a"), [1, 0, 0, -1, -1]),  # as SQLite may hold
    ],
)
def test_categories(column: RawColumn, classes: tuple[str, ...], codes: list[int]) -> None:
    decoded = decode_category(column)
    assert decoded.classes == classes
    assert decoded.values.dtype == torch.int64
    assert decoded.values.tolist() == codes


def test_given_classes_keep_their_order_and_may_be_absent() -> None:
    decoded = decode_category(texts("low", None, "high"), ("low", "mid", "high"))
    assert decoded.classes == ("low", "mid", "high")
    assert decoded.values.tolist() == [0, -1, 2]


@pytest.mark.parametrize(
    ("column", "classes", "alphabetical"),
    [
        (texts("low", "high"), None, True),
        (texts("9", "10"), None, False),
        (texts("9", "ten"), None, True),
        (texts("low", "high"), ["low", "high"], False),
        (raw([3.0, 9.0]), None, False),
    ],
)
def test_an_order_of_letters_is_known_as_such(
    column: RawColumn, classes: Sequence[str] | None, alphabetical: bool
) -> None:
    decoded = decode_category(column, classes)
    assert decoded.alphabetical is decoded.info("grade").alphabetical is alphabetical


def test_other_names_become_classes() -> None:
    told = {"kind": "category", "rename": {"0": "shirt", "coat.": "coat"}}
    decoded = decode([texts("coat", "0", "coat.", None, "shirt")], TypeAdapter(FieldSpec).validate_python(told))
    assert decoded.classes == ("coat", "shirt")
    assert decoded.values.tolist() == [0, 1, 0, -1, 1]
    assert decoded.options == {"rename": told["rename"]}
    numbers = decode([raw([0.0, 1.0])], TypeAdapter(FieldSpec).validate_python(told | {"classes": ["1", "shirt"]}))
    assert numbers.values.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (texts(None, "low", "hihg"), "row 2: expected one of the 2 classes, got 'hihg'. Did you mean 'high'?"),
        (texts("x"), "If it is another way of writing one, the field's `rename` can say so."),
        (raw([[1], [2]]), "expected one value a row for a category, got rows of shape [1]."),
        (raw([1j]), "expected texts or numbers for a category, got complex128."),
        (texts("low", ["low"]), "row 1: expected one value for a category, got ['low']."),  # type: ignore[arg-type]
    ],
)
def test_bad_categories(column: RawColumn, text: str) -> None:
    with pytest.raises(DataError) as error:
        decode_category(column, ("low", "high"))
    assert str(error.value).startswith("data set 'd', field 'f'")
    assert text in str(error.value)


# --- images and tensors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 1, 2, 2), (3, 2, 2), (3, 4)])
def test_an_image_may_lack_its_channel_or_be_flat(shape: tuple[int, ...]) -> None:
    decoded = decode_image(raw(np.arange(12).reshape(shape)), (1, 2, 2), (0.0, 11.0))
    assert decoded.values.shape == (3, 1, 2, 2)
    assert decoded.values.flatten().tolist() == [np.float32(value / 11) for value in range(12)]
    assert decoded.range == (0, 11)


def test_more_rows_than_are_decoded_at_a_time() -> None:
    values = np.arange(10_000, dtype=np.uint16).reshape(-1, 1)
    assert decode_tensor(raw(values), (1,)).values.flatten().tolist() == values.flatten().tolist()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([[0.0, 17.0], [0, 0]], "row 0: expected values in the field's range [0, 16], got 17."),
        ([[0.0, 1.0], [0, -1]], "row 1: expected values in the field's range [0, 16], got -1."),
        (
            [[0.0, 1.0], [np.nan, 0]],
            "row 1: expected finite numbers, or none at all where the row is missing, got nan.",
        ),
        ([[0.0, np.inf], [1, 0]], "row 0: expected finite numbers, or none at all where the row is missing, got inf."),
    ],
)
def test_bad_images(values: list[list[float]], text: str) -> None:
    with pytest.raises(DataError) as error:
        decode_image(raw(values), (1, 1, 2), (0.0, 16.0))
    assert str(error.value).startswith("data set 'd', field 'f', ")
    assert text in str(error.value)


def test_channels_that_come_last_are_no_shape_to_guess() -> None:
    with pytest.raises(DataError, match=r"expected rows of shape \[3, 8, 8\], got \[8, 8, 3\]. The channels come last"):
        decode_image(raw(np.zeros((2, 8, 8, 3))), (3, 8, 8), (0.0, 255.0))


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (raw(np.zeros((2, 3))), "expected rows of shape [2, 2], got [3]."),
        (
            raw([[0.0, 1, 2, 3], [0, 0, np.inf, 0]]),
            "row 1: expected finite numbers, or none at all where the row is missing, got inf",
        ),
        (raw([["0", "1", "2", "3"], ["0", "0", "x", "0"]]), "row 1: expected a number, got 'x'."),
        (
            raw([[0.0, 1, 2, 3], [0, 0, 1e300, 0]]),
            "row 1: expected finite numbers, or none at all where the row is missing, got 1e+300",
        ),
    ],
)
def test_bad_tensors(column: RawColumn, text: str) -> None:
    with pytest.raises(DataError) as error:
        decode_tensor(column, (2, 2))
    assert text in str(error.value)


# --- back to raw ----------------------------------------------------------------------------------------------------


@given(npst.arrays(np.uint8, (5, 1, 2, 3)))
def test_raw_whole_pictures_come_back_as_they_were(values: np.ndarray) -> None:
    decoded = decode_image(raw(values), (1, 2, 3), (0.0, 255.0))
    rows = raw_rows({"f": (decoded.info("f"), decoded.values)}, {})
    assert [row["f"] for row in rows] == values.tolist()


@given(
    shares=npst.arrays(np.float64, (4, 2), elements=st.floats(0, 1)),
    ends=st.sampled_from([(-3.0, 5.0), (-0.1, 0.3), (0.0, 1.0), (1e5, 1e7)]),
    number=npst.arrays(np.float32, 4, elements=st.floats(width=32, allow_infinity=False)),
)
def test_decoding_raw_values_gives_the_same_tensors(
    shares: np.ndarray, ends: tuple[float, float], number: np.ndarray
) -> None:
    picture = (ends[0] + shares * (ends[1] - ends[0])).clip(*ends)
    columns = {
        "picture": decode_image(raw(picture), (1, 1, 2), ends),
        "tensor": decode_tensor(raw(picture), (2,)),
        "number": decode_number(raw(number)),
        "category": decode_category(raw(number.round())),
    }
    rows = raw_rows({name: (column.info(name), column.values) for name, column in columns.items()}, {})
    again = {
        "picture": decode_image(raw([row["picture"] for row in rows]), (1, 1, 2), ends),
        "tensor": decode_tensor(raw([row["tensor"] for row in rows]), (2,)),
        "number": decode_number(raw([row["number"] for row in rows], float)),
        "category": decode_category(raw([row["category"] for row in rows], object), columns["category"].classes),
    }
    for name, column in columns.items():
        assert torch.equal(column.values.nan_to_num(), again[name].values.nan_to_num()), name
        assert (column.present() is None) == (again[name].present() is None)


# --- columns made in Python -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind", "text"),
    [
        (torch.zeros(3), "nubmer", "a column's kind: got 'nubmer'. Did you mean 'number'?"),
        (torch.zeros(3), "number", r"a column of kind number: expected values of shape \[rows, 1\], got \[3\]."),
        (torch.zeros(3, 2), "number", r"expected values of shape \[rows, 1\], got \[3, 2\]."),
        (torch.zeros(3, 1).double(), "number", "expected values of torch.float32, got torch.float64."),
        (torch.tensor([[torch.inf]]), "number", r"expected finite values \(NaN where missing\), got infinity."),
        (torch.zeros(3), "category", "expected values of torch.int64, got torch.float32."),
        (torch.tensor([0, 2]), "category", r"expected codes from -1 \(missing\) to 1 \(the last class\), got 0 to 2."),
        (
            torch.zeros(2, 4, 4),
            "image",
            r"expected values of shape \[rows, channels, height, width\], got \[2, 4, 4\].",
        ),
        (torch.full((2, 1, 4, 4), 1.5), "image", r"expected values in \[0, 1\], got 1.5 to 1.5."),
        (
            torch.tensor([[1.0, torch.nan]]),
            "tensor",
            "expected rows that are known or missing as a whole, got NaN beside",
        ),
    ],
)
def test_columns_check_what_they_are_given(values: torch.Tensor, kind: str, text: str) -> None:
    with pytest.raises(DataError, match=text):
        Column(values, kind, classes=("a", "b") if kind == "category" else ())


def test_class_names_differ() -> None:
    with pytest.raises(DataError, match=r"expected different names of classes, got a, a"):
        Column(torch.zeros(2, dtype=torch.int64), "category", classes=("a", "a"))
