"""A source of its own for each split: what they must share, and who is named where they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from jumpml.core import DataError, DataSpec, SpecError
from jumpml.data import build_dataloader
from jumpml.data.sources import SPLIT_COLUMN, ArraySource, SplitSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jumpml.data import DataLoaders


@pytest.fixture
def build(data_spec: Callable[[str], DataSpec], tmp_path: Path) -> Callable[..., DataLoaders]:
    """Reads tables of a number, a category and a patient from one file a split."""
    for at, split in enumerate(("train", "val", "test")):
        rows = [f"{100 * at + row}.5,{'xyz'[row % 3]},p{at}-{row // 2}" for row in range(60 if at == 0 else 18)]
        (tmp_path / f"{split}.csv").write_text("\n".join(["a,kind,patient", *rows]))

    def read(
        splits: str = "train, val, test",
        split: str = "{}",
        fields: str = "{a: {kind: number}, kind: {kind: category}}",
    ) -> DataLoaders:
        sources = ", ".join(f"{name}: {{kind: csv, path: {name}.csv}}" for name in splits.split(", "))
        return build_dataloader(
            data_spec(f"""
                datasets:
                  d:
                    source: {{{sources}}}
                    fields: {fields}
                    split: {split}
            """)
        )

    return read


def parts(loaders: DataLoaders) -> list[list[int]]:
    return [loader.rows.tolist() for loader in (loaders.train, loaders.val, loaders.test)]


def refused(build: Callable[..., DataLoaders], *arguments: str, **named: str) -> list[str]:
    with pytest.raises(SpecError) as error:
        build(*arguments, **named)
    return [str(mistake) for mistake in error.value.mistakes]


def test_every_split_has_the_rows_of_its_source(build: Callable[..., DataLoaders]) -> None:
    loaders = build()
    assert parts(loaders) == [list(range(60)), list(range(60, 78)), list(range(78, 96))]
    assert loaders.val.decoded("a")[0].item() == 100.5
    assert loaders.test.decoded("a")[-1].item() == 217.5
    assert not any("asked for" in finding for finding in loaders.findings())


def test_val_is_cut_from_train_where_it_has_no_source(build: Callable[..., DataLoaders]) -> None:
    loaders = build("train, test", "{val: 0.2, stratify: kind}")
    assert [len(rows) for rows in parts(loaders)] == [48, 12, 18]
    assert sorted(parts(loaders)[0] + parts(loaders)[1]) == list(range(60))
    assert loaders.val.decoded("kind").bincount().tolist() == [4, 4, 4]
    grouped = build("train, test", "{val: 0.2, group: patient}")
    assert {row // 2 for row in parts(grouped)[0]}.isdisjoint({row // 2 for row in parts(grouped)[1]})
    assert parts(build("train, test", "{seed: 1}"))[1] != parts(build("train, test"))[1]


def test_a_class_that_train_lacks_is_told_with_its_file(build: Callable[..., DataLoaders], tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    path.write_text(path.read_text().replace(",y,", ",y.,"))
    text = (
        "line 5, column 33: datasets.d.fields.kind: 6 rows of the test source have a class that no row of the train "
        "source has; the first is row 79 (line 3 of test.csv) with 'y.'. Did you mean 'y'? Mend the source, or name "
        "all `classes`."
    )
    assert refused(build) == [text]
    assert refused(build, "train, test") == [text.replace("row 79", "row 61")]
    fields = "{{a: {{kind: number}}, kind: {{kind: category, classes: [{}]}}}}"
    assert build(fields=fields.format("x, y, z, y.")).fields["kind"].classes == ("x", "y", "z", "y.")
    with pytest.raises(DataError, match=r"field 'kind', row 79 \(line 3 of test.csv\): expected one of the 3 classes"):
        build(fields=fields.format("x, y, z"))


def test_columns_must_agree(build: Callable[..., DataLoaders], tmp_path: Path) -> None:
    path = tmp_path / "val.csv"
    path.write_text(path.read_text().replace("kind", "knid"))
    assert refused(build) == [
        "line 4, column 51: datasets.d.source.val: this source has no column 'kind', which that of train has. "
        "Did you mean 'knid'?"
    ]
    assert refused(build, fields="{b: {kind: number}}") == [
        "line 5, column 14: datasets.d.fields.b.column: the source has no column 'b'. There is: (split), a, patient."
    ]
    path.write_text(path.read_text().replace("knid", "kind").replace("100.5", "a hundred"))
    with pytest.raises(DataError, match=r"field 'a', row 60 \(line 2 of val.csv\): expected a number, got 'a hundred'"):
        build()


def test_types_must_agree(data_spec: Callable[[str], DataSpec], tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", a=np.arange(9.0))
    np.savez(tmp_path / "test.npz", a=np.array(["1", "2"]))
    text = """
        datasets:
          d:
            source:
              train: {kind: npz, path: train.npz}
              test: {kind: npz, path: test.npz}
            fields: {a: {kind: number}}
    """
    with pytest.raises(SpecError) as error:
        build_dataloader(data_spec(text))
    assert [str(mistake) for mistake in error.value.mistakes] == [
        "line 6, column 7: datasets.d.source.test: the column 'a' is text here and float64 in the source of train."
    ]
    np.savez(tmp_path / "test.npz", a=np.arange(20, 23))
    assert parts(build_dataloader(data_spec(text)))[2] == [9, 10, 11]


def test_what_cannot_be(build: Callable[..., DataLoaders], tmp_path: Path) -> None:
    told = "each split has a source of its own, so that"
    assert [
        mistake.partition("d.split.")[2] for mistake in refused(build, split="{val: 0.2, duplicates: together}")
    ] == [
        f"val: {told} this key would change nothing. Leave one of the two out.",
        f"duplicates: {told} equal rows cannot be put together. Mend the source, or write `allow`.",
    ]
    assert refused(build, "train, test", "{time: a}") == [
        f"line 6, column 13: datasets.d.split.time: {told} this key would change nothing. Leave one of the two out."
    ]
    (mistake,) = refused(build, "train, test", "{val: 0.001}")
    assert mistake.endswith("datasets.d.split: the val split is empty: a share of 0.001 of 60 rows.")
    (tmp_path / "val.csv").write_text("a,kind,patient\n")
    assert refused(build) == ["line 4, column 51: datasets.d.source.val: the val split is empty."]
    (tmp_path / "test.csv").unlink()
    (mistake,) = refused(build)
    assert "datasets.d.source.test.path: there is no file 'test.csv'" in mistake


def test_rows_know_their_split() -> None:
    source = SplitSource(ArraySource({"a": np.arange(5), "b": np.arange(5)}), "val", ["a"])
    assert dict(source.schema) == {"a": "int64", SPLIT_COLUMN: "text"}
    assert source.length == 5
    assert source.shards == (range(5),)
    assert source.place(3) == "row 3"
    assert source.read([SPLIT_COLUMN], 1, 4)[SPLIT_COLUMN].tolist() == ["val"] * 3
    assert source.read(["a", SPLIT_COLUMN], 3)["a"].tolist() == [3, 4]
    with pytest.raises(DataError, match="the source has no column 'b'"):
        source.read(["b"])


def test_adult_comes_in_two_files(data_spec: Callable[[str], DataSpec], shared_data: Path, tmp_path: Path) -> None:
    head = "age,work,c,d,education,e,f,g,h,sex,i,j,hours,k,income"
    for split in ("train", "test"):
        lines = (shared_data / "adult" / f"adult-{split}.csv").read_text().splitlines()[:6000]
        (tmp_path / f"adult-{split}.csv").write_text("\n".join([head, *lines]))
    text = """
        datasets:
          adult:
            source:
              train: {kind: csv, path: adult-train.csv}
              test: {kind: csv, path: adult-test.csv}
            fields:
              age: {kind: number}
              work: {kind: category}
              sex: {kind: category}
              income: {kind: category}
            split: {val: 0.2, stratify: income, duplicates: allow}
    """
    with pytest.raises(SpecError) as error:
        build_dataloader(data_spec(text))
    (mistake,) = error.value.mistakes
    assert mistake.key == "datasets.adult.fields.income"  # the test file writes its classes with a full stop
    assert "6000 rows of the test source have a class that no row of the train source has" in mistake.problem
    assert "(line 2 of adult-test.csv) with '<=50K.'" in mistake.problem
    assert mistake.fix == "Did you mean '<=50K' or '>50K'? Mend the source, or name all `classes`."
    path = tmp_path / "adult-test.csv"
    path.write_text(path.read_text().replace("50K.", "50K"))
    loaders = build_dataloader(data_spec(text))
    assert [len(loader.rows) for loader in (loaders.train, loaders.val, loaders.test)] == [4800, 1200, 6000]
    share = [float(loader.decoded("income").double().mean()) for loader in (loaders.train, loaders.val)]
    assert abs(share[0] - share[1]) < 0.001


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        (
            "{train: {kind: csv, path: a.csv}, tset: {kind: csv, path: b.csv}}",
            ["source.test: this key is missing.", "source.tset: this key is unknown. Did you mean 'test'?"],
        ),
        (
            "{train: {kind: cvs, path: a.csv}, test: {kind: csv, pth: b.csv}}",
            ["source.train.kind: expected one of ", "source.test.path: this key is missing.", "source.test.pth: "],
        ),
        ("{kind: csv, pth: a.csv}", ["source.path: this key is missing.", "source.pth: this key is unknown."]),
        ("{path: a.csv}", ["source.kind: this key is missing; expected one of arrow, "]),
        ("a.csv", ["source: expected a mapping, got 'a.csv'."]),
    ],
)
def test_mistakes_in_sources_are_told_where_they_stand(
    data_spec: Callable[[str], DataSpec], source: str, texts: list[str]
) -> None:
    with pytest.raises(SpecError) as error:
        data_spec(f"""
            datasets:
              d:
                source: {source}
                fields: {{a: {{kind: number}}}}
        """)
    told = [str(mistake).partition("datasets.d.")[2] for mistake in error.value.mistakes]
    assert len(told) == len(texts)
    assert all(any(each.startswith(text) for each in told) for text in texts), told
