"""Sources give columns as arrays, and say plainly when a file is damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from jumpml.core import DataError
from jumpml.data.sources import CsvSource, NpzSource, SklearnSource

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("iris", {"setosa", "versicolor", "virginica"}),
        ("wine", {"class_0", "class_1", "class_2"}),
        ("breast_cancer", {"malignant", "benign"}),
    ],
)
def test_sklearn_targets_are_class_names(name: str, classes: set[str]) -> None:
    assert set(SklearnSource(name).read(["target"])["target"].tolist()) == classes


def test_sklearn_columns() -> None:
    digits = SklearnSource("digits")
    assert {"data", "target", "images", "pixel_0_0"} <= set(digits.schema)
    assert "images" not in SklearnSource("diabetes").schema
    read = digits.read(["images", "pixel_3_4", "data"])
    assert read["images"].shape == (1797, 8, 8)
    assert np.array_equal(read["pixel_3_4"], read["images"][:, 3, 4])
    assert np.array_equal(read["data"].reshape(-1, 8, 8), read["images"])
    assert digits.place(3) == "row 3"


def test_csv_reads_texts_and_knows_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    # A byte order mark, spaces around values, a quoted line end, a blank line and missing values.
    path.write_text('\ufeffa; b\n1;"x\ny"\n\n 2;?\n3; \n', encoding="utf-8")
    source = CsvSource(path, ";", ("", "?"))
    assert dict(source.schema) == {"a": "text", "b": "text"}
    assert {name: column.tolist() for name, column in source.read(["b", "a"]).items()} == {
        "a": ["1", "2", "3"],
        "b": ["x\ny", None, None],
    }
    assert [source.place(row) for row in range(4)] == [
        "row 0 (line 2 of t.csv)",
        "row 1 (line 5 of t.csv)",
        "row 2 (line 6 of t.csv)",
        "row 3",
    ]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "the file is empty; its first line must name the columns."),
        (b"a,b,a\n1,2,3\n", "the header names the column 'a' more than once."),
        (b"a,b\n1,2\n\n3\n", "line 4: expected 2 values as in the header, got 1."),
        (b"a,b\n1,\xff\n", "this is no table of UTF-8 text: 'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_csv_damage(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        CsvSource(path).read(["a"])
    assert str(path) in str(error.value)
    assert text in str(error.value)


def test_csv_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n")
    assert len(CsvSource(path).read(["a"])["a"]) == 0


def test_npz_reads_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", a=np.arange(3), b=np.ones((3, 2)), c=np.ones(4))
    source = NpzSource(tmp_path / "t.npz")
    assert source.schema == {"a": "int64", "b": "float64 [2]", "c": "float64"}
    assert source.length is None
    assert source.read(["b"])["b"].shape == (3, 2)
    assert source.place(2) == "row 2"
    with pytest.raises(DataError, match=r"expected arrays with equally many rows, got a: 3, c: 4"):
        source.read(["a", "c"])


def test_npz_damage(tmp_path: Path) -> None:
    objects = np.array([{}, {}], dtype=object)
    np.savez(tmp_path / "t.npz", allow_pickle=True, objects=objects, scalar=np.array(1.0))
    source = NpzSource(tmp_path / "t.npz")
    with pytest.raises(DataError, match=r"the array 'objects' holds pickled objects, which could run code; save it as"):
        source.read(["objects"])
    with pytest.raises(DataError, match=r"the array 'scalar' is a single value and has no rows"):
        source.read(["scalar"])
    (tmp_path / "bad.npz").write_text("no archive")
    with pytest.raises(DataError, match=r"this is no .npz file of arrays"):
        NpzSource(tmp_path / "bad.npz")
    np.save(tmp_path / "single.npy", np.ones(3))
    with pytest.raises(DataError, match=r"expected an .npz file of named arrays, got a single array"):
        NpzSource(tmp_path / "single.npy")


def test_npz_with_a_flipped_byte(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    np.savez(path, a=np.arange(1000))
    content = bytearray(path.read_bytes())
    content[4000] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"the array 'a' cannot be read: Bad CRC-32"):
        NpzSource(path).read(["a"])
