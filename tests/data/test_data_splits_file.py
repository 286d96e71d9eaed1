"""The data file's `split`: each way to say which rows are for what, and every text about one that cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from jumpml.core import DataError, DataSpec, SpecError
from jumpml.data import build_dataloader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jumpml.data import DataLoaders

ROWS = 120


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of 120 rows whose first column numbers them."""
    generator = np.random.default_rng(0)
    hours = np.datetime64("2024-01-01T00:00:00") + generator.permutation(ROWS) * np.timedelta64(3600, "s")
    price = generator.normal(size=ROWS).round(4) + 10
    lines = ["row,kind,tags,price,patient,visited,gone"]
    for row in range(ROWS):
        tags = ";".join(tag for tag in "pqr" if generator.random() < 0.3)
        gone = "" if row in {17, 40} else f"g{row % 30}"
        lines.append(f"{row},{'xyz'[row % 3]},{tags},{price[row]},p{row // 4},{hours[row]},{gone}")
    path = tmp_path / "t.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


Build = "Callable[[str], DataLoaders]"


@pytest.fixture
def build(data_spec: Callable[[str], DataSpec], table: Path) -> Callable[[str], DataLoaders]:
    """Reads the table with a `split`."""

    def read(split: str) -> DataLoaders:
        return build_dataloader(
            data_spec(f"""
                datasets:
                  d:
                    source: {{kind: csv, path: {table.name}}}
                    fields:
                      row: {{kind: number}}
                      kind: {{kind: category}}
                      price: {{kind: number}}
                      patient: {{kind: category}}
                      tags: {{kind: multilabel, separator: ";"}}
                    split: {split}
            """)
        )

    return read


def parts(loaders: DataLoaders) -> list[list[int]]:
    return [loader.rows.tolist() for loader in (loaders.train, loaders.val, loaders.test)]


def sizes(loaders: DataLoaders) -> list[int]:
    return list(map(len, parts(loaders)))


def column(table: Path, name: str) -> np.ndarray:
    lines = [line.split(",") for line in table.read_text().splitlines()]
    return np.array([line[lines[0].index(name)] for line in lines[1:]])


# --- ways to split ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["patient", "gone"])
def test_groups_by_a_field_or_by_a_column(build: Callable[[str], DataLoaders], table: Path, key: str) -> None:
    table.write_text(table.read_text().replace(",\n", ",g0\n"))
    groups = column(table, key)
    loaders = build(f"{{group: {key}}}")
    assert all(abs(size - wanted) <= 3 for size, wanted in zip(sizes(loaders), (84, 18, 18), strict=True))
    members = [set(groups[rows]) for rows in parts(loaders)]
    assert sum(map(len, members)) == len(set(groups)) == 30
    kinds = build(f"{{group: {key}, stratify: kind}}").test.decoded("kind").bincount(minlength=3)
    assert kinds.amax() - kinds.amin() <= 4  # one group: those of `gone` are all of one kind


def test_equal_rows_join_groups(data_spec: Callable[[str], DataSpec], tmp_path: Path) -> None:
    lines = [f"{row % 20},{row // 2}" for row in range(40)]  # each value in two groups
    (tmp_path / "t.csv").write_text("\n".join(["a,g", *lines]))
    loaders = build_dataloader(
        data_spec("""
            datasets:
              d:
                source: {kind: csv, path: t.csv}
                fields: {a: {kind: number}}
                split: {train: 0.5, val: 0.2, test: 0.3, group: g, duplicates: together}
        """)
    )
    assert sizes(loaders) == [20, 8, 12]
    for of_row in (np.arange(40) % 20, np.arange(40) // 2):
        members = [set(of_row[rows]) for rows in parts(loaders)]
        assert sum(map(len, members)) == 20


def test_the_earliest_rows_train(build: Callable[[str], DataLoaders], table: Path) -> None:
    times = column(table, "visited").astype("datetime64[s]")
    loaders = build("{time: visited}")
    assert sizes(loaders) == [84, 18, 18]
    train, val, test = (times[rows] for rows in parts(loaders))
    assert train.max() < val.min() <= val.max() < test.min()
    by_number = build("{time: row, gap: 2, train: 0.5, val: 0.25, test: 0.25}")
    assert parts(by_number) == [list(range(60)), list(range(62, 90)), list(range(92, 120))]


@pytest.mark.parametrize(
    "written",
    ["2024-01-{:02}", "2024-01-{:02}T00:00:00+02:00", "{}.5"],
    ids=["dates", "zones", "numbers"],
)
def test_times_are_dates_moments_or_numbers(build: Callable[[str], DataLoaders], table: Path, written: str) -> None:
    days = 1 + np.arange(ROWS) // 4
    moments = column(table, "visited")
    text = table.read_text()
    for day, moment in zip(days, moments, strict=True):
        text = text.replace(f",{moment},", f",{written.format(day)},")
    table.write_text(text)
    assert parts(build("{time: visited}")) == [list(range(84)), list(range(84, 100)), list(range(100, 120))] or parts(
        build("{time: visited}")
    ) == [list(range(84)), list(range(84, 104)), list(range(104, 120))]


def test_folds(build: Callable[[str], DataLoaders]) -> None:
    folds = [build(f"{{fold: {{of: 4, use: {use}}}, val: 0.2, stratify: kind}}") for use in range(4)]
    assert [sizes(loaders) for loaders in folds] == [[72, 18, 30]] * 4
    assert sorted(row for loaders in folds for row in loaders.test.rows.tolist()) == list(range(ROWS))
    assert all(loaders.test.decoded("kind").bincount().tolist() == [10, 10, 10] for loaders in folds)


@pytest.mark.parametrize("key", ["row", "patient", "gone"])
def test_a_key_decides(build: Callable[[str], DataLoaders], table: Path, key: str) -> None:
    table.write_text(table.read_text().replace(",\n", ",g0\n"))
    split = f"{{stable: {key}, train: 0.5, val: 0.25, test: 0.25}}"
    ids = column(table, "row")
    before = {ids[row]: split for split, rows in enumerate(parts(build(split))) for row in rows}
    head, *lines = table.read_text().splitlines()
    table.write_text("\n".join([head, *lines[::-1], lines[5].replace("5,", "500,", 1)]))
    ids = column(table, "row")
    after = {ids[row]: split for split, rows in enumerate(parts(build(split))) for row in rows}
    assert {row: after[row] for row in before} == before


def test_several_fields_and_labels_keep_their_shares(build: Callable[[str], DataLoaders]) -> None:
    def off(loaders: DataLoaders, field: str) -> float:
        """How far the shares of a field's values in the test are from those of all rows, at most."""
        test = loaders.test.decoded(field)
        rest = [loader.decoded(field) for loader in (loaders.train, loaders.val)]
        if field == "kind":
            counts = [values.bincount(minlength=3) for values in (test, *rest)]
        else:
            counts = [(values > 0).sum(0) for values in (test, *rest)]
        return float((counts[0] / sum(counts) - 0.15).abs().max())

    loaders = build("{stratify: [kind, tags, price], bins: 4}")
    assert sizes(loaders) == [84, 18, 18]
    assert off(loaders, "kind") <= 1.5 / 40
    assert off(loaders, "tags") <= 0.05
    assert off(build("{stratify: tags}"), "tags") <= 0.05


def test_a_number_keeps_its_distribution(build: Callable[[str], DataLoaders]) -> None:
    loaders = build("{stratify: price, bins: 6}")
    every = np.concatenate(
        [loader.decoded("price")[:, 0].numpy() for loader in (loaders.train, loaders.val, loaders.test)]
    )
    inner = np.quantile(every, np.arange(1, 6) / 6)
    assert np.bincount(np.searchsorted(inner, loaders.test.decoded("price")[:, 0].numpy())).tolist() == [3] * 6


# --- what people are told ---------------------------------------------------------------------------------------------


def test_shares_that_cannot_be_reached_are_told(build: Callable[[str], DataLoaders], table: Path) -> None:
    table.write_text(table.read_text().replace(",\n", ",g0\n"))
    assert not any("were asked for" in finding for finding in build("{group: patient}").findings())
    lines = table.read_text().splitlines()
    table.write_text(
        "\n".join(
            [lines[0], *(line.rpartition(",")[0] + f",{min(row // 30, 2)}" for row, line in enumerate(lines[1:]))]
        )
    )
    findings = build("{group: gone}").findings()
    assert "train has 50.0% of the rows that are in a split; 70.0% were asked for." in findings
    assert "val has 25.0% of the rows that are in a split; 15.0% were asked for." in findings


def test_rows_in_no_split_are_told(build: Callable[[str], DataLoaders]) -> None:
    loaders = build("{time: row, gap: 2}")
    assert loaders.record()["left_out"] == {"lie in the gap between two splits": 4}
    assert "in no split: 4 rows lie in the gap between two splits" in loaders.summary()


# --- files that are wrong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("split", "texts"),
    [
        ("{group: pateint}", ["split.group: there is no field and no column 'pateint'. Did you mean 'patient'?"]),
        (
            "{time: tags}",
            [
                "split.time: expected a field of kind category, number or date, or a column of "
                "the source; got 'tags' of kind multilabel."
            ],
        ),
        ("{stratify: [kind, prise]}", ["split.stratify[1]: there is no field 'prise'. Did you mean 'price'?"]),
        (
            "{stratify: kind, bins: 4}",
            ["split.bins: only a number is put into bins, and no number stands in `stratify`. Leave `bins` out."],
        ),
        ("{gap: 3}", ["split.gap: the gap lies between splits by time, and this one is by chance. Name the `time`."]),
        (
            "{time: visited, stratify: kind, group: patient}",
            [
                "split.stratify: `time: visited` says which rows are for what, so that this "
                "key would change nothing. Leave one of the two out.",
                "split.group: `time: visited` says which rows are for what, so that this key "
                "would change nothing. Leave one of the two out.",
            ],
        ),
        (
            "{stable: row, column: kind, duplicates: together}",
            [
                "split.stable: `column: kind` says which rows are for what, so that this key "
                "would change nothing. Leave one of the two out.",
                "split.duplicates: `column: kind` says which rows are for what, so that equal "
                "rows cannot be put together. Mend the column, or write `allow`.",
            ],
        ),
        (
            "{stable: row, duplicates: together}",
            [
                "split.duplicates: `stable: row` says which rows are for what, so that equal "
                "rows cannot be put together. Mend the source, or write `allow`."
            ],
        ),
        (
            "{fold: {of: 3, use: 3}, test: 0.3}",
            [
                "split.fold.use: expected a fold from 0 to 2, got 3.",
                "split.test: `fold` says which rows the test has, so that this key would "
                "change nothing. Leave one of the two out.",
            ],
        ),
        (
            "{time: visited, train: 0.5}",
            ["split: expected shares of train, val and test that sum to 1, got 0.5 + 0.15 + 0.15 = 0.8."],
        ),
        ("{fold: {of: 1, use: 0}}", ["split.fold.of: expected a number of at least 2, got 1."]),
        ("{stratify: []}", ["split.stratify"]),
        # found once the rows are read
        (
            "{stratify: price, bins: 30}",
            [
                "split: to keep every class's share, each class needs a few rows for each "
                "split and each split a row a class; the smallest class, "
            ],
        ),
        (
            "{fold: {of: 60, use: 0}, stratify: kind}",
            ["split: 60 folds need at least 60 rows of each class; the smallest, 'x', has 40."],
        ),
        ("{group: kind, fold: {of: 4, use: 0}}", ["split: 4 splits need at least as many groups, got 3."]),
        ("{time: row, gap: 40}", ["split: the val split is empty: the gap and the windows leave out all of its rows."]),
    ],
)
def test_splits_that_cannot_be_made(build: Callable[[str], DataLoaders], split: str, texts: list[str]) -> None:
    with pytest.raises(SpecError) as error:
        build(split)
    told = [str(mistake).partition("datasets.d.")[2] for mistake in error.value.mistakes]
    assert len(told) == len(texts)
    for text in texts:
        assert any(each.startswith(text) for each in told), told


@pytest.mark.parametrize(
    ("split", "text"),
    [
        (
            "{group: gone}",
            r"data set 'd', split column 'gone', row 17 \(line 19 of t.csv\): the row has "
            r"no group \(and 1 more\), so that it is for no split\.",
        ),
        ("{stable: gone}", r"row 17 \(line 19 of t.csv\): the row has no key \(and 1 more\)"),
        ("{time: gone}", r"row 17 \(line 19 of t.csv\): the row has no time \(and 1 more\)"),
        (
            "{time: kind}",
            r"data set 'd', field 'kind', row 0 \(line 2 of t.csv\): expected a time such "
            r"as 2024-05-31 or 2024-05-31T12:00:00, got 'x'\.",
        ),
        ("{time: patient}", "expected a time such as 2024-05-31 or 2024-05-31T12:00:00, got 'p0'"),
    ],
)
def test_rows_that_cannot_be_placed(build: Callable[[str], DataLoaders], split: str, text: str) -> None:
    with pytest.raises(DataError, match=text):
        build(split)


def test_a_time_that_is_no_number_is_told(build: Callable[[str], DataLoaders], table: Path) -> None:
    table.write_text(
        table.read_text()
        .replace(",g29\n", ",soon\n")
        .replace(",\n", ",1\n")
        .replace(",g", ",")
        .replace(",one", ",gone")
    )
    with pytest.raises(DataError, match=r"row 29 \(line 31 of t.csv\): expected a number, got 'soon'\."):
        build("{time: gone}")


def test_equal_rows_of_any_two_splits_are_refused(data_spec: Callable[[str], DataSpec], tmp_path: Path) -> None:
    part = ["train"] * 5 + ["val"] * 3 + ["test"] * 2
    values = [0, 1, 2, 3, 4, 4, 5, 6, 6, 1]
    rows = [f"{value},{name}" for value, name in zip(values, part, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["a,part", *rows]))
    with pytest.raises(SpecError) as error:
        build_dataloader(
            data_spec("""
                datasets:
                  d:
                    source: {kind: csv, path: t.csv}
                    fields: {a: {kind: number}}
                    split: {column: part}
            """)
        )
    fix = "Write `duplicates: allow` to let them be."
    assert [mistake.problem for mistake in error.value.mistakes] == [
        "val rows that also stand in train: 1; the first is row 5 (line 7 of t.csv), "
        "equal to row 4 (line 6 of t.csv) of train.",
        "test rows that also stand in train: 1; the first is row 9 (line 11 of t.csv), "
        "equal to row 1 (line 3 of t.csv) of train.",
        "test rows that also stand in val: 1; the first is row 8 (line 10 of t.csv), "
        "equal to row 7 (line 9 of t.csv) of val.",
    ]
    assert {mistake.fix for mistake in error.value.mistakes} == {fix}


# --- windows ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def windows(data_spec: Callable[[str], DataSpec], tmp_path: Path) -> Callable[[str], DataLoaders]:
    """100 hours, of which each row has the three before it, with a `split`."""
    generator = np.random.default_rng(0)
    rows = [f"{hour},{generator.normal():.5f},{['train', 'val', 'test'][hour // 34]}" for hour in range(100)]
    (tmp_path / "t.csv").write_text("\n".join(["hour,load,part", *rows]))

    def read(split: str) -> DataLoaders:
        return build_dataloader(
            data_spec(f"""
                datasets:
                  d:
                    source: {{kind: csv, path: t.csv}}
                    fields:
                      past: {{kind: series, columns: [load], window: [-3, 0]}}
                      load: {{kind: number}}
                    split: {split}
            """)
        )

    return read


def test_windows_do_not_look_into_another_split(windows: Callable[[str], DataLoaders]) -> None:
    loaders = windows("{time: hour, train: 0.5, val: 0.25, test: 0.25}")
    before = 3
    assert parts(loaders)[1][0] == parts(loaders)[0][-1] + 1 + before
    assert loaders.record()["left_out"] == {
        "cannot be used": before,  # the first rows have no whole window
        "have a window that looks into another split": 2 * before,
    }
    told = windows("{column: part}")
    assert told.record()["left_out"] == loaders.record()["left_out"]
    assert parts(told)[1] == list(range(34 + before, 68))


def test_windows_of_rows_by_chance_are_told(windows: Callable[[str], DataLoaders]) -> None:
    text = "rows hold rows of another split; a split by `time` leaves such rows out."
    assert any(finding.startswith("the windows of ") and finding.endswith(text) for finding in windows("{}").findings())


@pytest.mark.parametrize("key", ["time", "stable", "group"])
def test_rows_that_are_skipped_need_no_time_group_or_key(
    data_spec: Callable[[str], DataSpec], tmp_path: Path, key: str
) -> None:
    days = [f"2024-01-{row % 28 + 1:02}" for row in range(60)]
    days[5] = "today"
    rows = [
        f"{day},{row},{['train', 'val', 'test', 'part'][row % 3 if row != 7 else 3]}" for row, day in enumerate(days)
    ]
    (tmp_path / "d.csv").write_text("\n".join(["day,x,part", *rows]))
    text = """
        datasets:
          d:
            source: {kind: csv, path: d.csv}
            fields: {day: {kind: date}, x: {kind: number}}
            on_error: skip
            split: {%s}
    """
    loaders = build_dataloader(data_spec(text % f"{key}: day"))
    assert sum(sizes(loaders)) == 59
    assert loaders.left_out["cannot be used"].tolist() == [5]
    refused = r"split column 'part', row 7 \(line 9 of d.csv\): expected one of the 3 classes, got 'part'."
    with pytest.raises(DataError, match=refused):  # a row that says nothing about its split is never skipped
        build_dataloader(data_spec(text % "column: part"))


def test_where_skipped_rows_stand_is_looked_up_for_few(
    data_spec: Callable[[str], DataSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "d.csv").write_text("x\n" + "\n".join("bad" if row % 2 else str(row) for row in range(60)))
    asked: list[int] = []
    monkeypatch.setattr("jumpml.data.sources._csv.CsvSource.place", lambda _, row: asked.append(row) or f"row {row}")
    text = "datasets: {d: {source: {kind: csv, path: d.csv}, fields: {x: {kind: number}}, on_error: skip}}"
    assert "... and 25 more." in build_dataloader(data_spec(text)).findings()
    assert asked == [1, 3, 5, 7, 9]
