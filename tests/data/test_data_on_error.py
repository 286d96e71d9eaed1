"""``on_error: skip``: what cannot be read is left out, counted and told of; without it, it stops the program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet as pq

import jumpml
from jumpml.core import DataError
from jumpml.data.sources import CsvSource, JsonSource, TextSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jumpml.data import DataLoaders

FIELDS = {"a": {"kind": "number"}, "y": {"kind": "category"}}
STORAGES = ("memory", "disk")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUMPML_CACHE", str(tmp_path / "cache"))
    return tmp_path


def load(source: Any, storage: str = "memory", on_error: str = "skip") -> DataLoaders:
    dataset = {"source": source, "fields": FIELDS, "on_error": on_error, "split": {"duplicates": "allow"}}
    return jumpml.create_dataloader({"datasets": {"d": dataset}, "batch_size": 8, "storage": storage})


def numbers(loaders: DataLoaders) -> list[float]:
    """The field `a` of all rows that are in a split, ascending."""
    parts = [loader.decoded("a")[:, 0] for loader in (loaders.train, loaders.val, loaders.test)]
    return torch.cat(parts).sort().values.tolist()


def told(loaders: DataLoaders) -> str:
    return "\n".join(loaders.findings())


def write_parquet(path: str, damaged: bool = True) -> None:
    """4,000 rows in four groups, of which the second has a damaged page of `a`."""
    table = pa.table({"a": np.arange(4000.0), "y": ["u", "v"] * 2000})
    options: Any = {"compression": "none", "use_dictionary": False, "write_page_checksum": True}
    pq.write_table(table, path, row_group_size=1000, **options)
    content = bytearray(Path(path).read_bytes())
    at = content.index(np.float64(1500).tobytes())
    content[at : at + 8] = b"\1" * 8
    if damaged:
        Path(path).write_bytes(content)


@pytest.mark.parametrize("storage", STORAGES)
def test_the_rows_of_a_damaged_group_are_left_out(storage: str) -> None:
    write_parquet("t.parquet")
    source = {"kind": "parquet", "path": "t.parquet"}
    problem = r"t\.parquet: row group 1 \(rows 1000 to 1999\) is damaged: "
    with pytest.raises(DataError, match=problem):
        load(source, storage, "stop")
    loaders = load(source, storage)
    assert numbers(loaders) == [*range(1000), *range(2000, 4000)]
    assert {reason: len(rows) for reason, rows in loaders.left_out.items()} == {"cannot be used": 1000}
    assert "1000 rows cannot be decoded and are skipped (on_error: skip)." in loaders.findings()
    assert "data set 'd', row 1000 to row 1999: " in told(loaders)


def test_a_file_without_damage_is_read_whole() -> None:
    write_parquet("t.parquet", damaged=False)
    loaders = load({"kind": "parquet", "path": "t.parquet"})
    assert numbers(loaders) == [*range(4000)]
    assert "skip" not in told(loaders)


@pytest.mark.parametrize("storage", STORAGES)
def test_groups_of_several_files_and_of_a_file_a_split(storage: str) -> None:
    write_parquet("a.parquet")
    write_parquet("b.parquet", damaged=False)
    loaders = load({"kind": "parquet", "path": ["b.parquet", "a.parquet"]}, storage)
    assert "data set 'd', row 5000 (row 1000 of a.parquet) to row 5999: " in told(loaders)
    assert len(numbers(loaders)) == 7000
    files = {split: {"kind": "parquet", "path": f"{name}.parquet"} for split, name in (("train", "b"), ("test", "a"))}
    assert len(load(files, storage).test.rows) == 3000


def write_csv(path: str, odd: Sequence[int] = (7, 30)) -> None:
    rows = [f"{row},{'uv'[row % 2]}" + (",more" if row in odd else "") for row in range(60)]
    Path(path).write_text("a,y\n" + "\n".join(rows) + "\n")


@pytest.mark.parametrize("storage", STORAGES)
def test_lines_with_other_values_than_the_header_are_left_out(storage: str) -> None:
    write_csv("t.csv")
    with pytest.raises(DataError, match=r"t\.csv, line 9: expected 2 values as in the header, got 3\."):
        load({"kind": "csv", "path": "t.csv"}, storage, "stop")
    loaders = load({"kind": "csv", "path": "t.csv"}, storage)
    assert numbers(loaders) == [row for row in range(60) if row not in {7, 30}]
    text = "2 lines of t.csv do not have 2 values as the header has and are left out (on_error: skip): 9, 32."
    assert text in loaders.findings()
    write_csv("whole.csv", odd=())
    assert "left out" not in told(load({"kind": "csv", "path": "whole.csv"}, storage))
    both = load({"kind": "csv", "path": ["whole.csv", "t.csv"]}, storage)
    assert text in both.findings()
    assert len(numbers(both)) == 118


def test_rows_behind_a_line_that_was_left_out_are_named_by_their_own_line() -> None:
    write_csv("t.csv")
    source = CsvSource("t.csv", skip=True)
    assert source.read(["a"])["a"][10] == "11"
    assert source.place(10) == "row 10 (line 13 of t.csv)"
    write_csv("many.csv", odd=range(5, 25))
    many = CsvSource("many.csv", skip=True)
    many.read(["a"])
    assert many.findings[0].endswith(": 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, ....")


ODD = {
    10: b"{broken",
    11: b"[1]",
    12: b'{"a": 1, "y": "\xe4"}',
    13: b'{"a": "x", "y": "u"}',
    14: b"null",
}


def write_json(path: str, odd: dict[int, bytes] = ODD) -> None:
    lines = [odd.get(row, json.dumps({"a": row, "y": "uv"[row % 2]}).encode()) for row in range(60)]
    Path(path).write_bytes(b"\n".join(lines))


@pytest.mark.parametrize("block", [64, 200, 1 << 20])
@pytest.mark.parametrize("storage", STORAGES)
def test_lines_that_do_not_fit_the_others_are_left_out(
    storage: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jumpml.data.sources._json.BLOCK_SIZE", block)
    write_json("t.jsonl")
    with pytest.raises(DataError, match=r"t\.jsonl, line 1[13]: this is no "):
        load({"kind": "json", "path": "t.jsonl"}, storage, "stop")
    loaders = load({"kind": "json", "path": "t.jsonl"}, storage)
    assert numbers(loaders) == [row for row in range(60) if row not in ODD]
    text = "5 lines of t.jsonl do not fit the others and are left out (on_error: skip): 11, 12, 13, 14, 15; line 11: "
    assert text in told(loaders)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{broken", "this is no JSON object: Expecting property name"),
        (b"[1]", "expected a JSON object, got a list."),
        (b"null", "expected a JSON object, got null."),
        (b'{"a": "x"}', "'a' is a text here, and a number in most lines."),
    ],
)
def test_what_does_not_fit_is_told_by_the_first_line(line: bytes, problem: str) -> None:
    write_json("t.jsonl", {0: line})  # even where it is what the others could be measured by
    source = JsonSource("t.jsonl", skip=True)
    assert source.findings[0].startswith(
        f"1 lines of t.jsonl do not fit the others and are left out (on_error: skip): 1; line 1: {problem}"
    )
    assert source.read(["a"])["a"].tolist() == [*range(1, 60)]
    assert source.place(0) == "row 0 (line 2 of t.jsonl)"


@pytest.mark.parametrize("skip", [False, True])
def test_a_mark_of_utf8_at_the_beginning_is_no_letter(skip: bool) -> None:
    write_json("t.jsonl", {})
    Path("t.jsonl").write_bytes(b"\xef\xbb\xbf" + Path("t.jsonl").read_bytes())
    source = JsonSource("t.jsonl", skip=skip)
    assert source.read(["a"])["a"].tolist() == [*range(60)]
    assert not source.findings


def test_a_line_that_is_null_is_named() -> None:
    write_json("t.jsonl", {0: b"null"})
    with pytest.raises(DataError, match=r"t\.jsonl, line 1: expected a JSON object, got null\."):
        JsonSource("t.jsonl")


def test_a_file_of_nothing_that_fits_is_refused() -> None:
    Path("t.jsonl").write_text("[1]\n[2]\n")
    with pytest.raises(DataError, match="the file is empty; expected a JSON object a line"):
        JsonSource("t.jsonl", skip=True)
    Path("t.jsonl").write_text("")
    with pytest.raises(DataError, match="the file is empty; expected a JSON object a line"):
        JsonSource("t.jsonl", skip=True)


def test_text_files_that_cannot_be_read_are_left_out() -> None:
    for row in range(12):
        path = Path("texts", "ab"[row % 2], f"{row:02}.txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"Käse {row}".encode("cp1252" if row < 7 else "utf-8"))
    with pytest.raises(DataError, match=r"a/00\.txt, line 1: this is no text in utf-8"):
        TextSource("texts", "file")
    source = TextSource("texts", "file", skip=True)
    assert source.read(["text"])["text"].tolist() == [f"Käse {row}" for row in (8, 10, 7, 9, 11)]
    assert source.findings[0] == "7 files cannot be read and are left out (on_error: skip)."
    assert source.findings[1].startswith("a/00.txt, line 1: this is no text in utf-8")
    assert source.findings[-1] == "... and 2 more."
    assert len(source.findings) == 7
