"""What is damaged, changed, or not what it claims to be is an error that names the file, and its row or line."""

from __future__ import annotations

import gzip
import pickle
import sqlite3
import sys
import tarfile
import zipfile
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from jumpml.core import DataError, MissingExtraError, UntrustedNameError, resolve_function
from jumpml.data.sources import (
    AUDIO_SUFFIXES,
    IMAGE_SUFFIXES,
    ArraySource,
    ArrowSource,
    ConcatSource,
    CsvSource,
    DataFile,
    FileBlob,
    FilesSource,
    HuggingFaceSource,
    IdxSource,
    JsonSource,
    NpySource,
    NpzSource,
    ParquetSource,
    PathPattern,
    SqlSource,
    TextSource,
    WebDatasetSource,
    file_blob,
)
from jumpml.data.sources._python import source_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jumpml.data.sources import Source


def read_all(source: Source) -> Any:
    return source.read(list(source.schema))


def refusal_of(read: Callable[[], Any]) -> str:
    """What the error says."""
    with pytest.raises(DataError) as error:
        read()
    return str(error.value)


CUT = gzip.compress(b"a\n1\n" * 99, mtime=0)[:-9]  # without the time of day: a test's name must not differ


@pytest.mark.parametrize(
    ("name", "content", "options", "text"),
    [
        ("t.csv", b"a,b\n1,2\nx,\xe9\n", {}, "line 3: this is no table of UTF-8 text: 'utf-8' codec can't decode byte"),
        ("t.csv", b"a,b\n1,2\nx,\xe9\n", {}, "0xe9: invalid continuation byte. If it is in another encoding, say so,"),
        ("t.csv", b"a\n\xe9\n", {"encoding": "ascii"}, "line 2: this is no table of text in ascii: 'ascii' codec"),
        ("t.csv", b"", {"header": ("a",)}, "the file is empty; it has no rows."),
        ("t.csv", b"1,2\n", {"header": ("a",)}, "expected 1 values a line as in `header`, got 2 in line 1."),
        ("t.csv", b"1,2\n3\n", {"header": ("a", "b")}, "line 2: expected 2 values as in `header`, got 1."),
        ("t.csv", b"1,2\n", {"header": ("a", "a")}, "the header names the column 'a' more than once."),
        (
            "t.csv.gz",
            gzip.compress(b"a\n1\n" * 99, mtime=0)[:-9],
            {},
            "Compressed file ended before the end-of-stream marker",
        ),
        ("t.csv.gz", b"a\n1\n", {}, "this is no table of UTF-8 text: Not a gzipped file"),
    ],
)
def test_csv(tmp_path: Path, name: str, content: bytes, options: dict[str, Any], text: str) -> None:
    (tmp_path / name).write_bytes(content)
    said = refusal_of(lambda: read_all(CsvSource(tmp_path / name, **options)))
    assert said.startswith(str(tmp_path / name))
    assert text in said


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "the file is empty; expected a JSON object a line."),
        (b"\n\n", "the file is empty; expected a JSON object a line."),
        (b'{"a": 1}\n\n{"a": "x"}\n', "line 3: 'a' is a text here, and a number in line 1."),
        (
            b'{"a": {"b": [1]}}\n{"a": {"b": [true]}}\n',
            "line 2: 'a.b.[]' is true or false here, and a number in line 1.",
        ),
        (b'{"a": 1}\n[1]\n', "line 2: expected a JSON object, got a list."),
        (b'{"a": 1}\n{"a": 2', "line 2: this is no JSON object: Expecting ',' delimiter"),
        (
            b'{"a": "\xff"}\n',
            "line 1: this is no UTF-8 text: 'utf-8' codec can't decode byte 0xff: invalid start byte.",
        ),
    ],
)
def test_json(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(content)
    assert refusal_of(lambda: JsonSource(path)).startswith(str(path))
    assert text in refusal_of(lambda: JsonSource(path))


def test_json_of_different_types_in_different_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jumpml.data.sources._json.BLOCK_SIZE", 4)
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n{"a": "x"}\n')
    said = refusal_of(lambda: JsonSource(tmp_path / "t.jsonl"))
    assert said.endswith("line 2: 'a' is a text here, and a number in line 1.")
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n')[:-4])
    assert "the file cannot be read: Compressed file ended" in refusal_of(lambda: JsonSource(tmp_path / "t.jsonl.gz"))


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = pa.table({"a": range(1000), "m": pa.array([[("k", 1)]] * 1000, pa.map_(pa.string(), pa.int64()))})
    parquet.write_table(
        table, path, row_group_size=500, compression="none", write_page_checksum=True, use_dictionary=False
    )
    source = ParquetSource(path)
    assert "the column 'm' is of the type map<string, int64 ('m')>, which is no column of" in (
        refusal_of(lambda: source.read(["m"]))
    )
    content = bytearray(path.read_bytes())
    content[content.index(np.int64(700).tobytes())] ^= 1  # in the second group
    path.write_bytes(content)
    damaged = ParquetSource(path)
    assert damaged.read(["a"], 0, 500)["a"].tolist() == list(range(500))
    said = refusal_of(lambda: damaged.read(["a"], 600, 601))
    assert said.startswith(f"{path}: row group 1 (rows 500 to 999) is damaged: ")
    path.write_bytes(content[: len(content) // 2])
    assert f"{path}: this is no parquet file: " in refusal_of(lambda: ParquetSource(path))
    twice = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    parquet.write_table(twice, path)
    assert refusal_of(lambda: ParquetSource(path)) == f"{path}: the file names the column 'a' more than once."


def test_arrow(tmp_path: Path) -> None:
    path = tmp_path / "t.arrow"
    path.write_text("no arrow")
    assert f"{path}: this is no whole Arrow file: " in refusal_of(lambda: ArrowSource(path))
    table = pa.table({"a": ["word"] * 1000})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema, options=options) as writer:
        writer.write_table(table)
    content = path.read_bytes()
    path.write_bytes(content[:-50])
    assert f"{path}: this is no whole Arrow file: " in refusal_of(lambda: ArrowSource(path))


def test_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_text("no array")
    assert f"{path}: this is no .npy file: " in refusal_of(lambda: NpySource({"a": path}))
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    assert f"{path}: the array holds pickled objects, which could run code" in refusal_of(
        lambda: NpySource({"a": path})
    )
    np.save(path, np.array(1))
    assert f"{path}: the array is a single value and has no rows." in refusal_of(lambda: NpySource({"a": path}))
    np.save(path, np.arange(4))
    np.save(tmp_path / "b.npy", np.arange(5))
    said = refusal_of(lambda: NpySource({"a": path, "b": tmp_path / "b.npy"}))
    assert said == "expected files with equally many rows, got a: 4, b: 5."
    path.write_bytes(path.read_bytes()[:-3])
    said = refusal_of(lambda: NpySource({"a": path}).read(["a"]))
    assert said == f"{path}: expected 32 bytes of values of shape [4], got 29."


def test_idx(tmp_path: Path) -> None:
    path = tmp_path / "i.gz"
    content = b"\0\0\x08\x01\0\0\0\x04abcd"
    for bad, text in (
        (gzip.compress(b"hello there", mtime=0), "this is no idx file: it begins with b'hell'."),
        (gzip.compress(content[:6], mtime=0), "this is no whole idx file: it ends within the header."),
        (b"hello", "Not a gzipped file (b'he')."),
        (b"", "this is no idx file: it begins with b''."),
    ):
        path.write_bytes(bad)
        assert refusal_of(lambda: IdxSource({"a": path})) == f"{path}: {text}"
    path.write_bytes(gzip.compress(content[:-1]))
    said = refusal_of(lambda: IdxSource({"a": path}).read(["a"]))
    assert said == f"{path}: expected 4 bytes of values of shape [4], got 3."
    path.write_bytes(gzip.compress(content * 999)[:-30])
    assert f"{path}: the file cannot be read: Compressed file" in refusal_of(lambda: IdxSource({"a": path}).read(["a"]))


def test_folders(tmp_path: Path) -> None:
    def images(path: Path, pattern: str | None = None) -> FilesSource:
        told = None if pattern is None else PathPattern(pattern)
        return FilesSource(path, content="image", suffixes=IMAGE_SUFFIXES, pattern=told)

    said = refusal_of(lambda: images(tmp_path))
    assert said.startswith(f"{tmp_path}: expected files that end in .bmp, .gif") and said.endswith("it holds no files.")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / ".hidden.png").write_text("")
    assert refusal_of(lambda: images(tmp_path)).endswith("none of the 1 files there does.")
    (tmp_path / "a_1.PNG").write_text("x")
    assert images(tmp_path).findings == (f"{tmp_path}: files not read, as their names end otherwise: 1 (notes.txt)",)
    (tmp_path / "a1.png").write_text("x")
    said = refusal_of(lambda: images(tmp_path, "{word}_{number}.png"))
    assert said == f"{tmp_path}: the file 'a1.png' does not fit the pattern '{{word}}_{{number}}.png'."
    said = refusal_of(lambda: images(tmp_path, "{path}.png"))
    assert said == "the pattern makes the column 'path', which is there already; use another name."
    assert "the folder cannot be read: " in refusal_of(lambda: images(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("x.png", "'x.png' is no pattern: expected names in braces, such as '{digit}_{speaker}.wav'."),
        ("{}.png", "'{}.png' is no pattern: expected names in braces"),
        ("{a-b}.png", "'{a-b}.png' is no pattern: expected names in braces"),
        ("{a", "'{a' is no pattern: expected '}' before end of string."),
        ("{a}_{a}", "'{a}_{a}' is no pattern: each name may stand once."),
    ],
)
def test_patterns(pattern: str, text: str) -> None:
    assert text in refusal_of(lambda: PathPattern(pattern))


def test_zip(tmp_path: Path) -> None:
    def sounds() -> FilesSource:
        return FilesSource(path, content="audio", suffixes=AUDIO_SUFFIXES)

    path = tmp_path / "t.zip"
    for outside in ("../a.wav", "/a.wav", "a/../../b.wav", "..\\a.wav", "c:a.wav"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(outside, b"x")
        said = refusal_of(sounds)
        assert said == f"{path}: the member {outside!r} leads out of the archive's folder; the archive is refused."
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.wav", b"x")
    assert refusal_of(sounds) == (
        f"{path}: the member 'a.wav' is packed by the method 14; pack it by deflate, or unpack the archive."
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.wav", bytes(range(256)) * 9)
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(content)
    blob = sounds().read(["audio"])["audio"][0]
    assert refusal_of(blob.read).startswith("a.wav in t.zip: the member is damaged: ")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.wav", b"x" * 99)
    content = path.read_bytes().replace(b"x" * 99, b"y" * 99)
    path.write_bytes(content)
    blob = sounds().read(["audio"])["audio"][0]
    assert refusal_of(blob.read) == "a.wav in t.zip: the member is damaged: its checksum is wrong."
    path.write_bytes(content[:-60])
    assert refusal_of(sounds) == f"{path}: this is no whole zip archive: File is not a zip file."


def write_tar(path: Path, members: list[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            told = tarfile.TarInfo(name)
            told.size = len(content)
            archive.addfile(told, BytesIO(content))


def test_webdataset(tmp_path: Path) -> None:
    path = tmp_path / "t.tar"
    for members, text in (
        ([("../a.png", b"")], "the member '../a.png' leads out of the archive's folder; the archive is refused."),
        ([("a", b"")], "the member 'a' has no name such as '0001.jpg', which makes a column."),
        ([("a.png", b""), ("a.png", b"")], "the row 'a' holds 'png' twice."),
        ([], "there are no members; expected files such as '0001.jpg'."),
    ):
        write_tar(path, members)
        assert refusal_of(lambda: WebDatasetSource([path])) == f"{path}: {text}"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("a.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    said = refusal_of(lambda: WebDatasetSource([path]))
    assert said == f"{path}: the member 'a.png' is a link or a device; expected a file."
    path.write_bytes(gzip.compress(b"x" * 2000))
    assert f"{path}: this is no whole, plain tar archive: " in refusal_of(lambda: WebDatasetSource([path]))
    write_tar(path, [("a.txt", b"x" * 2000)])
    path.write_bytes(path.read_bytes()[:1000])
    said = refusal_of(lambda: WebDatasetSource([path]))
    assert said == f"{path}: the archive ends in the middle of the member 'a.txt'."
    write_tar(path, [("a.txt", b"\xff")])
    said = refusal_of(lambda: WebDatasetSource([path]).read(["txt"]))
    assert said.startswith("row 0 (a.txt in t.tar): a.txt in t.tar is no UTF-8 text: 'utf-8' codec can't decode")


def test_texts(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(b"one\ntw\xe9\n")
    said = refusal_of(lambda: TextSource(path, "line"))
    assert said.startswith(f"{path}, line 2: this is no text in utf-8: 'utf-8' codec can't decode byte 0xe9: ")
    assert said.endswith("If it is in another encoding, say so, such as `encoding: latin-1`.")
    assert TextSource(path, "line", "latin-1").read(["text"])["text"].tolist() == ["one", "twé"]
    path.write_text("\n\n")
    assert refusal_of(lambda: TextSource(path, "line")) == f"{path}: the file is empty; expected some text."
    (tmp_path / "t.gz").write_bytes(b"x")
    assert "t.gz: the file cannot be read: Not a gzipped" in refusal_of(lambda: TextSource(tmp_path / "t.gz", "line"))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    connection = sqlite3.connect(tmp_path / "t.db")
    connection.execute("CREATE TABLE rows (number INTEGER, day TEXT)")
    connection.executemany("INSERT INTO rows VALUES (?, ?)", [(1, "x"), (2, None), ("two", "y")])
    connection.execute("CREATE VIEW some AS SELECT * FROM rows")
    connection.commit()
    connection.close()
    return tmp_path / "t.db"


def test_databases(database: Path) -> None:
    for options, text in (
        ({"table": "row"}, "there is no table 'row'. Did you mean 'rows'?"),
        (
            {"table": "some"},
            "'some' has no primary key, so that its rows have no order. Write a `query` with ORDER BY.",
        ),
        ({"query": "SELECT lacking FROM rows"}, "no such column: lacking."),
        ({"query": "WITH a AS (SELECT 1) DELETE FROM rows"}, "attempt to write a readonly database."),
        ({"query": "SELECT 1 AS a, 2 AS a"}, "the query names the column 'a' more than once; rename one by AS."),
    ):
        assert refusal_of(lambda options=options: SqlSource(path=database, **options)) == f"{database}: {text}"
    said = refusal_of(lambda: SqlSource(path=database, table="rows").read(["number", "day"], 1))
    assert said == (
        f"{database}: row 2, column 'number': expected a number as in the rows before, got 'two', which is a str."
    )
    said = refusal_of(lambda: SqlSource(f"sqlite:///{database}", query="WITH a AS (SELECT 1) DELETE FROM rows"))
    assert said.endswith("the query returns no rows; expected a SELECT.")
    for query in ("DROP TABLE rows", "-- SELECT\nDELETE FROM rows RETURNING *", "", "selected"):  # SQLite drops at once
        said = refusal_of(lambda query=query: SqlSource(f"sqlite:///{database}", query=query))
        assert said == f"expected a query that only reads, a SELECT, got {query!r}."
    commented = SqlSource(f"sqlite:///{database}", query="/* all */ -- of them\n select * FROM rows")
    assert "number" in commented.schema
    assert refusal_of(lambda: SqlSource(path=database)).startswith("expected one of `url` and `path`, and one of")


def test_addresses_of_databases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD_OF_TEST", "secret")
    said = refusal_of(lambda: SqlSource("nothing://me:$PASSWORD_OF_TEST@host/name", table="t"))
    assert said == "nothing://me:***@host/name: Can't load plugin: sqlalchemy.dialects:nothing."
    assert "the database's url: " in refusal_of(lambda: SqlSource("no address", table="t"))
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    said = refusal_of(lambda: SqlSource("postgresql+psycopg2://me:$PASSWORD_OF_TEST@host/name", table="t"))
    assert said.startswith("postgresql+psycopg2://me:***@host/name: the driver of this database is not installed: ")


def test_huggingface(tmp_path: Path) -> None:
    import datasets

    made = datasets.Dataset.from_dict({"a": [1]})
    made.save_to_disk(tmp_path / "one")
    both = datasets.DatasetDict({"train": made, "test": made})
    both.save_to_disk(tmp_path / "both")
    assert "expected a datasets.Dataset, got DatasetDict; of a DatasetDict choose" in refusal_of(
        lambda: HuggingFaceSource(both)
    )
    for name, split, text in (
        ("one", "train", "the data set has no splits, so that `split: train` chooses nothing."),
        ("both", None, "say which `split`. There is: test, train."),
        ("both", "tran", "there is no split 'tran'. Did you mean 'train'?"),
        ("none", None, "the data set cannot be loaded: FileNotFoundError: "),
    ):
        said = refusal_of(lambda name=name, split=split: HuggingFaceSource.from_disk(tmp_path / name, split=split))
        assert said.startswith(f"{tmp_path / name}: {text}")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "train.csv").write_text("a\n1\n")
    assert HuggingFaceSource.load(str(tmp_path / "files"), split="train").length == 1


@pytest.mark.parametrize(
    ("returned", "text"),
    [
        ({"a": [1], "b": [1, 2]}, "f: expected columns with equally many rows, got a: 1, b: 2."),
        ({}, "f: expected columns with equally many rows, got no column."),
        ({"a": np.array(1)}, "f: the column 'a' is a single value and has no rows."),
        ([{"a": 1}, 2], "f: row 1: expected a dict of values by column, got int."),
        ([], "f: expected rows as dicts of values by column, got none."),
        (3, "f: expected a mapping of columns to arrays, rows as dicts, or a Source, got int."),
        ("ab", "f: expected a mapping of columns to arrays, rows as dicts, or a Source, got str."),
    ],
)
def test_what_functions_return(returned: Any, text: str) -> None:
    assert refusal_of(lambda: source_of(returned, "f")) == text


def test_functions_that_may_be_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "made_for_a_test.py").write_text("from shutil import rmtree\ndef load(): return {'a': [1]}\nx = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert resolve_function("made_for_a_test:load", ["made_for_a_test"])() == {"a": [1]}
    for name, trust, text in (
        (
            "made_for_a_test:load",
            (),
            r"outside the trusted packages \(none\). If you trust .* trust=\['made_for_a_test'\]",
        ),
        ("jumpml:create_dataloader", (), r"outside the trusted packages \(none\)"),
        ("made_for_a_test:rmtree", ["made_for_a_test"], "leads to shutil.rmtree, which is outside the trusted"),
        ("made_for_a_test:lod", ["made_for_a_test"], "'made_for_a_test' has no 'lod'. Did you mean 'load'"),
        ("made_for_a_test:x", ["made_for_a_test"], "is a int; expected a function"),
        ("made_for_a_test.load", ["made_for_a_test"], "names no function; write it as module:function"),
        ("not_there:load", ["not_there"], "there is no package 'not_there'; is it installed"),
    ):
        with pytest.raises(UntrustedNameError, match=text):
            resolve_function(name, trust)


def test_parts_with_other_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n")
    (tmp_path / "b.csv").write_text("a\n")
    for first, second in (("a.csv", "b.csv"), ("b.csv", "a.csv")):
        parts = {name: CsvSource(tmp_path / name) for name in (first, second)}
        assert refusal_of(lambda parts=parts: ConcatSource(parts)) == (
            "b.csv: the file has no column 'b', which a.csv has."
        )


def test_parts_of_other_types(tmp_path: Path) -> None:
    for name, values in (("a", [1, 2]), ("b", ["x", "y"]), ("c", pa.nulls(2))):
        parquet.write_table(pa.table({"v": values}), tmp_path / f"{name}.parquet")
    a, b, c = (ParquetSource(tmp_path / f"{name}.parquet") for name in "abc")
    said = refusal_of(lambda: ConcatSource({"a": a, "b": b}).read(["v"]))
    assert said == "b: the column 'v' is text here and int64 in a."
    assert ConcatSource({"a": a, "b": b}).read([]) == {}  # nobody reads it
    assert ConcatSource({"b": b, "c": c}).read(["v"])["v"].tolist() == ["x", "y", None, None]


def test_a_line_that_is_too_long_to_be_counted(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n" + "x" * 140_000 + "\nb\n")  # Python's csv reads up to 131072 letters
    source = CsvSource(tmp_path / "t.csv")
    assert [len(text) for text in source.read(["a"])["a"]] == [140_000, 1]
    assert source.place(1) == "row 1"


def test_paths_of_encoded_files_stay_in_their_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for place in ("secret.png", "in/1.png"):
        (tmp_path / place).write_bytes(b"x")
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = tmp_path / "in" / "t.parquet"

    def read(path: str) -> Any:
        parquet.write_table(pa.table({"image": pa.array([{"bytes": None, "path": path}], kind)}), table)
        return ParquetSource(table).read(["image"])["image"][0]

    assert read("1.png").read() == b"x"
    for path in ("../secret.png", str(tmp_path / "secret.png")):
        said = refusal_of(lambda path=path: read(path))
        assert said == f"{table}, row 0: the path {path!r} leads out of the folder {str(table.parent)!r}."
    assert refusal_of(lambda: read("http://localhost/x.png")).endswith("there is no such file.")


def test_members_that_unpack_to_more_than_they_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.wav", b"\0" * 100_000)
    blob = FilesSource(path, content="audio", suffixes=AUDIO_SUFFIXES).read(["audio"])["audio"][0]
    assert refusal_of(replace(blob, size=10).read) == "a.wav in t.zip: the member is damaged: its checksum is wrong."
    monkeypatch.setattr("jumpml.data.sources._blob._LARGEST", 1000)
    assert refusal_of(blob.read) == "a.wav in t.zip: the member unpacks to 0.0 GB; unpack the archive yourself."


def test_paths_in_tables_stay_in_their_folder(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "1.png").write_bytes(b"x")
    (tmp_path / "secret.png").write_bytes(b"y")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    blob = file_blob(folder, "a/1.png")
    assert blob.read() == b"x"
    assert blob == pickle.loads(pickle.dumps(blob)) == FileBlob(DataFile(str(folder / "a" / "1.png")), "a/1.png")
    for text in ("../secret.png", str(tmp_path / "secret.png"), "link.png", "a\0"):
        said = refusal_of(lambda text=text: file_blob(folder, text))
        assert said == f"the path {text!r} leads out of the folder {str(folder)!r}."
    assert refusal_of(lambda: file_blob(folder, "b.png")) == f"{folder / 'b.png'}: there is no such file."
    assert refusal_of(lambda: file_blob(folder, "a")) == f"{folder / 'a'}: expected a file, got a folder."


def changed(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def test_files_that_change(tmp_path: Path, database: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n2\n")
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n')
    parquet.write_table(pa.table({"a": [1]}), tmp_path / "t.parquet")
    np.save(tmp_path / "t.npy", np.arange(3))
    np.savez(tmp_path / "t.npz", a=np.arange(3))
    with pa.OSFile(str(tmp_path / "t.arrow"), "wb") as file, pa.ipc.new_file(file, pa.schema({"a": "int8"})) as writer:
        writer.write_table(pa.table({"a": pa.array([1], pa.int8())}))
    sources = {
        "t.csv": CsvSource(tmp_path / "t.csv"),
        "t.jsonl": JsonSource(tmp_path / "t.jsonl"),
        "t.parquet": ParquetSource(tmp_path / "t.parquet"),
        "t.npy": NpySource({"a": tmp_path / "t.npy"}),
        "t.npz": NpzSource(tmp_path / "t.npz"),
        "t.arrow": ArrowSource(tmp_path / "t.arrow"),
        "t.db": SqlSource(path=database, query="SELECT 1 AS a"),
    }
    for name, source in sources.items():
        source.read(["a"], 0, 1)
        changed(tmp_path / name)
        said = refusal_of(lambda source=source: source.read(["a"], 0, 1))
        assert said.startswith(f"{tmp_path / name}: the file has changed since it was opened (")
        assert said.endswith(" now). Start again, so that all rows come from one state of it.")
    (tmp_path / "t.csv").unlink()
    assert refusal_of(lambda: sources["t.csv"].read(["a"])) == f"{tmp_path / 't.csv'}: there is no such file."


def test_contents_that_change(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.png").write_bytes(b"x")
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("a.png", b"x")
    write_tar(tmp_path / "t.tar", [("a.png", b"x")])
    blobs = {
        "p/a.png": FilesSource(tmp_path / "p", content="image", suffixes=IMAGE_SUFFIXES).read(["image"])["image"][0],
        "t.zip": FilesSource(tmp_path / "t.zip", content="image", suffixes=IMAGE_SUFFIXES).read(["image"])["image"][0],
        "t.tar": WebDatasetSource([tmp_path / "t.tar"]).read(["png"])["png"][0],
    }
    for name, blob in blobs.items():
        assert blob.read() == b"x"
        changed(tmp_path / name)
        assert refusal_of(blob.read).startswith(f"{tmp_path / name}: the file has changed since it was opened (")
    (tmp_path / "p" / "a.png").unlink()
    assert refusal_of(blobs["p/a.png"].read) == f"{tmp_path / 'p' / 'a.png'}: there is no such file."


@pytest.mark.parametrize(
    ("package", "extra", "read"),
    [
        ("fsspec", "hub", lambda: CsvSource("memory://t.csv")),
        ("sqlalchemy", "hub", lambda: SqlSource("sqlite://", query="SELECT 1")),
        ("datasets", "hub", lambda: HuggingFaceSource.load("a")),
    ],
)
def test_missing_packages(monkeypatch: pytest.MonkeyPatch, package: str, extra: str, read: Callable[[], Any]) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"needs the package '{package}'.*pip install 'jumpml\[{extra}\]'"):
        read()


def test_addresses() -> None:
    import fsspec

    with fsspec.open("memory://folder/t.csv", "wb") as file:
        file.write(b"a\n1\n")  # type: ignore[attr-defined]
    source = CsvSource("memory://folder/t.csv")
    assert source.read(["a"])["a"].tolist() == ["1"]
    assert refusal_of(lambda: CsvSource("memory://folder/u.csv")) == "memory://folder/u.csv: there is no such file."
    assert refusal_of(lambda: CsvSource("memory://folder")) == "memory://folder: expected a file, got a folder."
    said = refusal_of(lambda: CsvSource("nothing://folder/t.csv"))
    assert said == "nothing://folder/t.csv: this address cannot be reached: Protocol not known: nothing"
    with fsspec.open("memory://folder/t.csv", "wb") as file:
        file.write(b"a\n1\n2\n")  # type: ignore[attr-defined]
    assert "memory://folder/t.csv: the file has changed" in refusal_of(lambda: source.read(["a"]))
    assert ArraySource({"a": [1]}).length == 1
