"""What every source promises: any ranges of rows, read one after the other, are what is read at once."""

from __future__ import annotations

import datetime
import gzip
import json
import pickle
import sqlite3
import tarfile
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import feather, parquet

from jumpml.core import DataError
from jumpml.data.sources import (
    IMAGE_SUFFIXES,
    ArraySource,
    ArrowSource,
    Blob,
    BytesBlob,
    ConcatSource,
    CsvSource,
    FilesSource,
    HuggingFaceSource,
    IdxSource,
    JsonSource,
    NpySource,
    NpzSource,
    ParquetSource,
    PathPattern,
    SklearnSource,
    SqlSource,
    TextSource,
    WebDatasetSource,
)
from jumpml.data.sources._data_file import DataFile

if TYPE_CHECKING:
    from pathlib import Path

    from jumpml.data.sources import Source

ROWS = 23
WORDS = [None if row % 7 == 3 else f"word {row % 5}" for row in range(ROWS)]
DAYS = [datetime.datetime(2026, 1, 1) + datetime.timedelta(days=row) for row in range(ROWS)]
TABLE = pa.table(
    {
        "number": pa.array([None if row == 4 else row / 2 for row in range(ROWS)]),
        "whole": pa.array([None if row == 20 else row for row in range(ROWS)]),
        "word": pa.array(WORDS),
        "list": pa.array([[1.0] * (row % 3) for row in range(ROWS)]),
        "fixed": pa.array([[row, row + 1] for row in range(ROWS)], pa.list_(pa.int64(), 2)),
        "time": pa.array(DAYS, pa.timestamp("s", "UTC")),
        "true": pa.array([row % 2 == 0 for row in range(ROWS)]),
        "inner": pa.array([{"a": row, "b": str(row)} for row in range(ROWS)]),
        "file": pa.array([b"%d" % row for row in range(ROWS)]),
    }
)


def make_csv(folder: Path) -> Source:
    lines = [f'{row},"a, {row} ",{WORDS[row] or "?"}' for row in range(ROWS)]
    (folder / "t.csv").write_text("n,text,word\n" + "\n\n".join(lines))
    return CsvSource(folder / "t.csv", missing=("?",))


def make_packed_csv(folder: Path) -> Source:
    with gzip.open(folder / "t.tsv.gz", "wb") as file:
        file.write("".join(f'{row}\t"ä{row}\n' for row in range(ROWS)).encode("utf-16"))
    return CsvSource(folder / "t.tsv.gz", "\t", header=("n", "text"), quote=None, encoding="utf-16")


def make_parquet(folder: Path) -> Source:
    parquet.write_table(TABLE, folder / "t.parquet", row_group_size=5, write_page_checksum=True)
    return ParquetSource(folder / "t.parquet")


def make_arrow(folder: Path) -> Source:
    feather.write_feather(TABLE, str(folder / "t.feather"), compression="lz4", chunksize=5)
    return ArrowSource(folder / "t.feather")


def make_stream(folder: Path) -> Source:
    with pa.OSFile(str(folder / "t.arrow"), "wb") as file, pa.ipc.new_stream(file, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=5)
    return ArrowSource(folder / "t.arrow")


def make_json(folder: Path) -> Source:
    rows = [
        {"n": row, "o": {"x": row / 2}, "tags": ["a"] * (row % 3)} | ({"w": "2026"} if row % 2 else {})
        for row in range(ROWS)
    ]
    (folder / "t.jsonl").write_text("\n\n".join(json.dumps(row) for row in rows))
    return JsonSource(folder / "t.jsonl")


def make_npz(folder: Path) -> Source:
    np.savez(folder / "t.npz", a=np.arange(ROWS), b=np.ones((ROWS, 2)))
    return NpzSource(folder / "t.npz")


def make_npy(folder: Path) -> Source:
    np.save(folder / "a.npy", np.arange(ROWS * 6).reshape(2, 3, ROWS).T)  # in Fortran order
    np.save(folder / "b.npy", np.array([f"w{row}" for row in range(ROWS)]))
    return NpySource({"a": folder / "a.npy", "b": folder / "b.npy"})


def write_idx(path: Path, array: np.ndarray, code: int) -> Path:
    header = bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    content = header + array.astype(array.dtype.newbyteorder(">")).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def make_idx(folder: Path) -> Source:
    image = write_idx(folder / "i.gz", np.arange(ROWS * 4, dtype=np.uint8).reshape(ROWS, 2, 2), 8)
    return IdxSource({"image": image, "label": write_idx(folder / "l", np.arange(ROWS, dtype=np.int32), 12)})


def make_files(folder: Path) -> Source:
    for row in range(ROWS):
        path = folder / "pictures" / f"class {row % 3}" / f"{row:02}_x.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % row)
    pattern = PathPattern("{row}_{letter}.png")
    return FilesSource(folder / "pictures", content="image", suffixes=IMAGE_SUFFIXES, pattern=pattern)


def make_zip(folder: Path) -> Source:
    with zipfile.ZipFile(folder / "t.zip", "w") as archive:
        for row in range(ROWS):
            how = zipfile.ZIP_DEFLATED if row % 2 else zipfile.ZIP_STORED
            archive.writestr(f"a/{row:02}.png", b"%d" % row * 9, how)
    return FilesSource(folder / "t.zip", content="image", suffixes=IMAGE_SUFFIXES)


def make_text(folder: Path) -> Source:
    (folder / "t.txt").write_text("\n \n".join(f"line {row}" for row in range(ROWS)))
    return TextSource(folder / "t.txt", "line")


def make_database(folder: Path) -> Path:
    with sqlite3.connect(folder / "t.db") as connection:
        connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, number REAL, word TEXT, file BLOB)")
        rows = [(row, None if row == 5 else row / 2, WORDS[row], b"%d" % row) for row in reversed(range(ROWS))]
        connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)", rows)
    connection.close()
    return folder / "t.db"


def make_table(folder: Path) -> Source:
    return SqlSource(path=make_database(folder), table="rows")


def make_query(folder: Path) -> Source:
    query = "SELECT word, id * 2 AS twice, number FROM rows ORDER BY id DESC"
    return SqlSource(f"sqlite:///{make_database(folder)}", query=query)


def make_huggingface(folder: Path) -> Source:
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["no", "yes"]),
            "tags": datasets.List(datasets.ClassLabel(names=["x", "y"])),
            "grid": datasets.Array2D((2, 2), "int64"),
        }
    )
    columns = {
        "text": WORDS,
        "label": [row % 3 - 1 for row in range(ROWS)],
        "tags": [[row % 2] * (row % 3) for row in range(ROWS)],
        "grid": [[[row, 1], [2, 3]] for row in range(ROWS)],
    }
    made = datasets.Dataset.from_dict(columns, features=features)
    datasets.DatasetDict({"train": made, "test": made}).save_to_disk(folder / "saved")
    return HuggingFaceSource.from_disk(folder / "saved", split="train")


def make_webdataset(folder: Path) -> Source:
    for shard, rows in enumerate((range(9), range(9, ROWS))):
        with tarfile.open(folder / f"{shard}.tar", "w") as archive:
            for row in rows:
                members = {"png": b"%d" % row, "cls": b"%d\n" % (row % 2)} | ({"seg.png": b"s"} if row % 3 else {})
                for name, content in members.items():
                    told = tarfile.TarInfo(f"d/{row:04}.{name}")
                    told.size = len(content)
                    archive.addfile(told, BytesIO(content))
    return WebDatasetSource([folder / "0.tar", folder / "1.tar"])


def make_arrays(folder: Path) -> Source:
    return ArraySource({"a": np.ones((ROWS, 2)), "word": WORDS, "file": [b"%d" % row for row in range(ROWS)]})


def make_joined_csv(folder: Path) -> Source:
    parts: dict[str, Source] = {}
    for name, rows in (("a.csv", range(9)), ("b.csv", range(0)), ("c.csv", range(9, ROWS))):
        (folder / name).write_text("n,w\n" + "".join(f"{row},{WORDS[row] or ''}\n" for row in rows))
        parts[name] = CsvSource(folder / name)
    return ConcatSource(parts)


def make_joined_parquet(folder: Path) -> Source:
    for name, rows in (("a", slice(0, 9)), ("b", slice(9, ROWS))):
        parquet.write_table(
            TABLE.slice(rows.start, rows.stop - rows.start), folder / f"{name}.parquet", row_group_size=4
        )
    return ConcatSource({name: ParquetSource(folder / f"{name}.parquet") for name in ("a", "b")})


def make_sklearn(folder: Path) -> Source:
    return SklearnSource("iris")


MAKERS = {
    name.removeprefix("make_"): made
    for name, made in list(globals().items())
    if name.startswith("make_") and name != "make_database"
}


@pytest.fixture(scope="module", params=MAKERS)
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Source:
    return MAKERS[request.param](tmp_path_factory.mktemp(request.param))


def assert_same(got: Any, expected: Any) -> None:
    """Both hold equal values of equal types, missing ones too."""
    assert type(got) is type(expected)
    if isinstance(got, np.ndarray):
        assert got.shape == expected.shape
        if got.dtype == object:
            for one, other in zip(got, expected, strict=True):
                assert_same(one, other)
        else:
            np.testing.assert_array_equal(got, expected)
    else:
        assert got == expected


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (np.array([1.0, np.nan]), np.array([1.0, 2.0])),
        (np.array([1.0]), np.array([1.0, 2.0])),
        (np.array(["a", None], dtype=object), np.array(["a", "b"], dtype=object)),
        (np.array([None, np.ones(1)], dtype=object), np.array([None, np.zeros(1)], dtype=object)),
        (np.array([BytesBlob(b"a", "x")], dtype=object), np.array([BytesBlob(b"b", "x")], dtype=object)),
    ],
)
def test_assert_same_can_fail(got: Any, expected: Any) -> None:
    with pytest.raises(AssertionError):
        assert_same(got, expected)


def contents(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The columns with the bytes behind blobs: those in memory are named by the range that was read."""
    read = np.vectorize(lambda value: value.read() if isinstance(value, Blob) else value, otypes=[object])
    return {
        name: read(values) if any(isinstance(value, Blob) for value in values) else values
        for name, values in columns.items()
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(data=st.data())
def test_ranges_make_the_whole(source: Source, data: st.DataObject) -> None:
    names = data.draw(
        st.permutations(list(source.schema)).flatmap(lambda all_: st.just(all_[: max(1, len(all_) // 2)]))
    )
    whole = contents(source.read(names))
    count = len(whole[names[0]])
    cuts = sorted(data.draw(st.lists(st.integers(0, count + 2), max_size=4)))
    ranges = [*zip([0, *cuts], [*cuts, None], strict=True)]
    order = data.draw(st.permutations(range(len(ranges))))
    parts = {index: contents(source.read(names, *ranges[index])) for index in order}
    for name in names:
        joined = [parts[index][name] for index in range(len(ranges)) if len(parts[index][name])]
        assert_same(np.concatenate(joined), whole[name])


def test_what_a_source_tells_of_itself(source: Source) -> None:
    names = list(source.schema)
    whole = source.read(names)
    assert list(whole) == names
    assert source.length in {None, len(whole[names[0]])}
    if source.length is not None:
        assert [row for shard in source.shards for row in shard] == list(range(source.length))
    assert source.place(7).startswith("row 7")
    again = pickle.loads(pickle.dumps(source))
    for name, values in again.read(names).items():
        assert_same(values, whole[name])
    with pytest.raises(DataError, match=r"the source has no column 'nothing'"):
        source.read(["nothing"])
    with pytest.raises(DataError, match=r"expected rows from a start of 0 or more to a stop not before it, got 3 to 2"):
        source.read(names[:1], 3, 2)


def test_columns_of_a_typed_table(tmp_path: Path) -> None:
    for make in (make_parquet, make_arrow, make_stream):
        source = make(tmp_path)
        assert source.schema == {
            "number": "float64",
            "whole": "int64",
            "word": "text",
            "list": "lists of float64",
            "fixed": "int64 [2]",
            "time": "timestamp",
            "true": "bool",
            "inner.a": "int64",
            "inner.b": "text",
            "file": "bytes",
        }
        assert source.length == ROWS
        assert source.shards[-1] == range(20, 23)
        read = source.read(source.schema, 3, 5)
        kinds = [values.dtype.kind for values in read.values()]
        assert kinds == ["f", "i", "O", "O", "i", "M", "b", "i", "O", "O"]
        assert np.isnan(read["number"][1])
        assert read["word"].tolist() == [None, "word 4"]
        assert [row.tolist() for row in read["list"]] == [[], [1.0]]
        assert read["fixed"].tolist() == [[3, 4], [4, 5]]
        assert read["time"][0] == np.datetime64("2026-01-04")
        assert read["inner.b"].tolist() == ["3", "4"]
        assert [blob.name for blob in read["file"]] == ["row 3", "row 4"]
        assert np.isnan(source.read(["whole"])["whole"][20])


def test_whole_numbers_keep_their_digits_beside_missing_ones(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"id": [2**60 + 1, None]}), tmp_path / "t.parquet")
    assert ParquetSource(tmp_path / "t.parquet").read(["id"])["id"].tolist() == [2**60 + 1, None]


def test_columns_of_json_lines(tmp_path: Path) -> None:
    source = make_json(tmp_path)
    assert source.schema == {"n": "int64", "o.x": "float64", "tags": "lists of text", "w": "text"}
    read = source.read(["w", "o.x", "tags"], 1, 3)
    assert read["w"].tolist() == ["2026", None]
    assert read["o.x"].tolist() == [0.5, 1.0]
    assert read["tags"].tolist() == [["a"], ["a", "a"]]
    assert source.place(2) == "row 2 (line 5 of t.jsonl)"


def test_json_lines_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jumpml.data.sources._json.BLOCK_SIZE", 40)
    lines = [{"a": 1}, {"a": 2.5, "b": "x"}, {"a": None, "c": {"d": 1}}, {"c": {"e": [1]}}]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    source = JsonSource(tmp_path / "t.jsonl")
    assert len(source.shards) > 1
    assert source.schema == {"a": "float64", "b": "text", "c.d": "int64", "c.e": "lists of int64"}
    assert source.read(["a", "c.d"])["c.d"].tolist()[2] == 1


def test_compressed_json_lines_are_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jumpml.data.sources._json.BLOCK_SIZE", 40)
    with gzip.open(tmp_path / "t.jsonl.gz", "wt") as file:
        file.writelines(json.dumps({"a": row}) + "\n" for row in range(50))
    source = JsonSource(tmp_path / "t.jsonl.gz")
    assert len(source.shards) > 5
    begun = []
    monkeypatch.setattr(gzip.GzipFile, "rewind", lambda self, real=gzip.GzipFile.rewind: begun.append(1) or real(self))
    opened, real = [], DataFile.unpacked
    monkeypatch.setattr(DataFile, "unpacked", lambda self: opened.append(1) or real(self))
    assert source.read(["a"])["a"].tolist() == [*range(50)]
    parts = [source.read(["a"], shard.start, shard.stop)["a"] for shard in source.shards]
    assert [value for part in parts for value in part] == [*range(50)]
    assert (len(opened), len(begun)) == (2, 0)
    assert source.read(["a"], 40, 42)["a"].tolist() == [40, 41]
    assert source.read(["a"], 3, 5)["a"].tolist() == [3, 4]  # another place is found too
    assert pickle.loads(pickle.dumps(source)).read(["a"], 41, 43)["a"].tolist() == [41, 42]


def test_columns_of_files(tmp_path: Path) -> None:
    source = make_files(tmp_path)
    assert source.schema == {
        "image": "bytes",
        **dict.fromkeys(("label", "path", "name", "row", "letter"), "text"),
    }
    first = source.read(source.schema, 0, 1)
    assert {name: values[0] for name, values in first.items() if name != "image"} == {
        "label": "class 0",
        "path": "class 0/00_x.png",
        "name": "00_x",
        "row": "00",
        "letter": "x",
    }
    assert first["image"][0].read() == b"0"
    assert source.place(0) == "row 0 (class 0/00_x.png)"
    assert make_zip(tmp_path).place(3) == "row 3 (a/03.png in t.zip)"


@pytest.mark.parametrize(
    ("unit", "rows"),
    [
        ("file", ["one\n two\n\nthree \n", ""]),
        ("line", ["one", " two", "three "]),
        ("paragraph", ["one\n two", "three "]),
        (6, ["one\n t", "wo\n\nth", "ree \n"]),
    ],
)
def test_units_of_text(tmp_path: Path, unit: Any, rows: list[str]) -> None:
    (tmp_path / "texts" / "a").mkdir(parents=True)
    (tmp_path / "texts" / "a" / "1.txt").write_bytes(b"\xef\xbb\xbfone\r\n two\r\n\r\nthree \r\n")
    (tmp_path / "texts" / "b.txt").write_text("")
    source = TextSource(tmp_path / "texts", unit)
    assert source.read(["text"])["text"].tolist() == rows
    assert source.read(["label", "name"], 0, 1)["label"].tolist() == ["a"]
    if unit == "line":
        assert source.place(2) == "row 2 (line 4 of a/1.txt)"


def test_a_whole_number_of_a_database_stays_one(tmp_path: Path) -> None:
    read = make_query(tmp_path).read(["twice", "number", "word"], 0, 3)
    assert read["twice"].tolist() == [44, 42, 40]
    assert read["twice"].dtype == np.int64


def test_names_of_huggingface_classes(tmp_path: Path) -> None:
    source = make_huggingface(tmp_path)
    assert source.schema == {"text": "text", "label": "text", "tags": "lists of text", "grid": "int64 [2, 2]"}
    read = source.read(["label", "tags", "grid"], 0, 6)
    assert read["label"].tolist() == [None, "no", "yes", None, "no", "yes"]  # -1 is a missing one
    assert read["tags"].tolist() == [[], ["y"], ["x", "x"], [], ["x"], ["y", "y"]]
    assert read["grid"].shape == (6, 2, 2)


def test_rows_of_webdataset(tmp_path: Path) -> None:
    source = make_webdataset(tmp_path)
    assert source.schema == {"__key__": "text", "png": "bytes", "cls": "text", "seg.png": "bytes"}
    assert source.shards == (range(9), range(9, ROWS))
    read = source.read(["__key__", "cls", "seg.png", "png"], 9, 11)
    assert read["__key__"].tolist() == ["d/0009", "d/0010"]
    assert read["cls"].tolist() == ["1", "0"]
    assert [blob and blob.read() for blob in read["seg.png"]] == [None, b"s"]
    assert read["png"][1].read() == b"10"
    assert source.place(10) == "row 10 (d/0010.png in 1.tar)"


def test_columns_in_memory() -> None:
    import torch

    source = ArraySource(
        {
            "tensor": torch.ones(2, 3),
            "numbers": [1, None],
            "words": ("a", None),
            "rows": [torch.zeros(2), torch.ones(2)],
            "ragged": [np.zeros(1), np.zeros(2)],
            "bytes": [b"x", None],
        }
    )
    assert source.schema == {
        "tensor": "float32 [3]",
        "numbers": "float64",
        "words": "text",
        "rows": "float32 [2]",
        "ragged": "text",
        "bytes": "bytes",
    }
    assert source.read(["bytes"])["bytes"][0].read() == b"x"
    rows = ArraySource.from_rows([{"a": 1, "b": "x"}, {"a": 2}])
    assert rows.read(["a", "b"])["b"].tolist() == ["x", None]


def test_place_in_several_files(tmp_path: Path) -> None:
    source = make_joined_csv(tmp_path)
    source.read(["n"])
    assert source.place(10) == "row 10 (line 3 of c.csv)"
    assert make_joined_parquet(tmp_path).place(10) == "row 10 (row 1 of b)"
    assert make_joined_parquet(tmp_path).shards == tuple(
        map(range, (0, 4, 8, 9, 13, 17, 21), (4, 8, 9, 13, 17, 21, 23))
    )
