"""The sources that a data file names are found, opened, and its mistakes told with their lines."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from jumpml.core import DataError, DataSpec, SpecError, load_spec
from jumpml.data.sources import open_dataset

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jumpml.data.sources import Source

FIELDS = "{a: {kind: number}}"


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Source]:
    """Opens what a source of a data file says; raises its mistakes."""

    def open_told(source: str, fields: str = FIELDS, trust: tuple[str, ...] = ()) -> Source:
        path = tmp_path / "my.data.yaml"
        path.write_text(f"datasets:\n  d:\n    source: {source}\n    fields: {fields}\n", encoding="utf-8")
        spec = load_spec(DataSpec, path)
        found, mistakes = open_dataset(spec, "d", trust)
        if mistakes or found is None:
            raise SpecError(spec.source, mistakes)
        return found

    return open_told


def write_table(path: Path, first: int) -> None:
    parquet.write_table(pa.table({"a": [first, first + 1]}), path)


@pytest.mark.parametrize(
    ("told", "rows"),
    [
        ("parts/b.parquet", [2, 3]),
        ("parts", [0, 1, 2, 3, 4, 5]),
        ("parts/*.parquet", [0, 1, 2, 3]),
        ("parts/**/*.parquet", [0, 1, 2, 3, 4, 5]),
        ("[parts/inner, parts/a.parquet]", [4, 5, 0, 1]),
        ("[1].parquet", [6, 7]),
    ],
)
def test_one_file_a_pattern_a_folder_or_a_list(
    tmp_path: Path, opened: Callable[..., Source], told: str, rows: list[int]
) -> None:
    (tmp_path / "parts" / "inner").mkdir(parents=True)
    for first, name in ((0, "parts/a"), (2, "parts/b"), (4, "parts/inner/c"), (6, "[1]"), (8, "parts/_temporary")):
        write_table(tmp_path / f"{name}.parquet", first)
    if told == "parts/*.parquet" or "**" in told:
        (tmp_path / "parts" / "_temporary.parquet").unlink()
    (tmp_path / "parts" / "notes.txt").write_text("")
    told = told if told.startswith("[parts") else f'"{told}"'
    assert opened(f"{{kind: parquet, path: {told}}}").read(["a"])["a"].tolist() == rows


@pytest.mark.parametrize("where", ["memory://far/t{}.csv", "file"])
def test_addresses(tmp_path: Path, opened: Callable[..., Source], where: str) -> None:
    import fsspec

    where = (tmp_path / "t{}.csv").as_uri().replace("%7B%7D", "{}") if where == "file" else where
    for part in (0, 1):
        with fsspec.open(where.format(part), "wb") as file:
            file.write(f"a\n{part}\n".encode())  # type: ignore[attr-defined]
    for told, rows in (
        (where.format(1), ["1"]),
        (where.format("*"), ["0", "1"]),
        (where.rpartition("/")[0], ["0", "1"]),
    ):
        assert opened(f'{{kind: csv, path: "{told}"}}').read(["a"])["a"].tolist() == rows
    fields = "{a: {kind: category, column: name}}"
    with fsspec.open(f"{where.rpartition('/')[0]}/pictures/7.png", "wb") as file:
        file.write(b"x")  # type: ignore[attr-defined]
    found = opened(f'{{kind: images, path: "{where.rpartition("/")[0]}/pictures"}}', fields).read(["image", "name"])
    assert (found["image"][0].read(), found["name"].tolist()) == (b"x", ["7"])
    said = f"no file in '{where.rpartition('/')[0]}' ends in .parquet, .parquet.gz"
    with pytest.raises(SpecError) as error:
        opened(f'{{kind: parquet, path: "{where.rpartition("/")[0]}"}}')
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            "{kind: csv, path: tabel.csv}",
            "source.path: there is no file 'tabel.csv' in the folder '{folder}'. Did you mean",
        ),
        ("{kind: csv, path: nothing}", "source.path: there is no file 'nothing' in the folder '{folder}'."),
        ("{kind: csv, path: no-*.csv}", "source.path: no file fits the pattern 'no-*.csv', in the folder '{folder}'."),
        ("{kind: parquet, path: .}", "source.path: no file in '.' ends in .parquet, .parquet.gz"),
        ('{kind: csv, path: table.csv, delimiter: "\\""}', "source.delimiter: expected one printable ASCII character"),
        ("{kind: csv, path: table.csv, quote: ','}", "source.quote: expected a printable ASCII character other than"),
        ("{kind: csv, path: table.csv, quote: ä}", "other than the delimiter, got 'ä'."),
        (
            "{kind: csv, path: table.csv, encoding: latin-l}",
            "there is no encoding 'latin-l' of text. Did you mean 'latin-1'",
        ),
        ("{kind: csv, path: table.csv, encoding: base64}", "source.encoding: there is no encoding 'base64' of text."),
        ("{kind: csv, path: []}", "source.path: expected text or a list of at least 1, got a list of 0."),
        ("{kind: text, path: table.csv, unit: word}", "source.unit: expected one of file, line, paragraph"),
        (
            "{kind: text, path: table.csv, unit: 0}",
            "source.unit: expected one of file, line, paragraph or a number above 0",
        ),
        ("{kind: text, path: tabel.csv, unit: line}", "source.path: there is no file 'tabel.csv'"),
        (
            "{kind: text, path: table.csv, unit: line, encoding: x}",
            "source.encoding: there is no encoding 'x' of text.",
        ),
        (
            "{kind: npy, columns: {a: b.npy}}",
            "source.columns.a: there is no file 'b.npy' in the folder '{folder}'. Did you",
        ),
        ("{kind: npy, columns: {}}", "source.columns: expected at least 1 entry"),
        (
            "{kind: images, path: picture}",
            "source.path: there is no file 'picture' in the folder '{folder}'. Did you mean",
        ),
        ("{kind: images, path: pictures, pattern: x}", "source.pattern: 'x' is no pattern: expected names in braces"),
        ("{kind: images, path: pictures, pattern: '{image}'}", "source.pattern: the pattern makes the column 'image'"),
        ("{kind: sql, path: t.db, query: x, table: y}", "source: expected either `table` or `query`."),
        ("{kind: sql, table: y}", "source: expected either `url` or `path`."),
        ("{kind: huggingface}", "source: expected either `name` or `path`."),
        ("{kind: huggingface, path: x, config: y}", "source: `config` does nothing with a `path`."),
        ("{kind: huggingface, path: x}", "source.path: there is no file 'x' in the folder"),
        (
            "{kind: python, function: 'my_data:load'}",
            "source.function: 'my_data:load' is outside the trusted packages (none)",
        ),
        ("{kind: csv, path: table.csv}", "fields.a.column: the source has no column 'a'. Did you mean 'A'?"),
    ],
)
def test_mistakes(tmp_path: Path, opened: Callable[..., Source], source: str, text: str) -> None:
    (tmp_path / "table.csv").write_text("A\n1\n")
    (tmp_path / "a.npy").write_text("")
    (tmp_path / "pictures").mkdir()
    with pytest.raises(SpecError) as error:
        opened(source)
    assert text.replace("{folder}", str(tmp_path)) in str(error.value)
    assert "line 3" in str(error.value) or "line 4" in str(error.value)


def test_other_kinds_from_a_file(tmp_path: Path, opened: Callable[..., Source]) -> None:
    np.save(tmp_path / "a.npy", np.arange(3))
    assert opened("{kind: npy, columns: {a: a.npy}}").read(["a"])["a"].tolist() == [0, 1, 2]
    (tmp_path / "a.idx").write_bytes(b"\0\0\x08\x01\0\0\0\x02\x05\x06")
    assert opened("{kind: idx, columns: {a: a.idx}}").read(["a"])["a"].tolist() == [5, 6]
    with sqlite3.connect(tmp_path / "t.db") as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a")
    connection.close()
    assert opened("{kind: sql, path: t.db, table: t}").read(["a"])["a"].tolist() == [1]
    (tmp_path / "t.txt").write_text("one\ntwo\n")
    text = opened("{kind: text, path: t.txt, unit: line}", "{a: {kind: category, column: text}}")
    assert text.read(["text"])["text"].tolist() == ["one", "two"]
    (tmp_path / "t.csv").write_text("a;1\nb;2\n")
    csv = opened("{kind: csv, path: t.csv, delimiter: ;, header: [x, a]}")
    assert csv.read(["x"])["x"].tolist() == ["a", "b"]


def test_functions(tmp_path: Path, opened: Callable[..., Source], monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "def rows(count):",
        "    return ({'a': row} for row in range(count))",
        "def fails():",
        "    raise KeyError('x')",
    ]
    (tmp_path / "functions_of_a_test.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)

    def call(told: str) -> Any:
        return opened(f"{{kind: python, {told}}}", trust=("functions_of_a_test",))

    assert call("function: 'functions_of_a_test:rows', args: {count: 3}").read(["a"])["a"].tolist() == [0, 1, 2]
    with pytest.raises(DataError, match=r"^functions_of_a_test:rows: TypeError: rows\(\) missing 1 required"):
        call("function: 'functions_of_a_test:rows'")
    with pytest.raises(DataError, match=r"^functions_of_a_test:fails: KeyError: 'x'$"):
        call("function: 'functions_of_a_test:fails'")
