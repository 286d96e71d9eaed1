"""The data file to loaders: every mistake in the file is told with its line, all of them at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from jumpml.core import DataError, DataSpec, JumpMLError, SpecError
from jumpml.data import build_dataloader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Read = "Callable[[str], DataSpec]"


def told(spec: DataSpec) -> list[str]:
    """The mistakes of a file, as people read them."""
    with pytest.raises(SpecError) as error:
        build_dataloader(spec)
    return [str(mistake) for mistake in error.value.mistakes]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of 40 different rows, its last column saying which split they are for."""
    lines = ["a,kind,fold,none"]
    lines += [f"{row}.5,{'xyz'[row % 3]},{('train', 'val', 'test', 'train')[row % 4]}," for row in range(40)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


# --- files that are right -------------------------------------------------------------------------------------------


def test_every_key_of_a_file_arrives(data_spec: Callable[[str], DataSpec], tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    np.savez(
        tmp_path / "t.npz",
        pictures=generator.integers(0, 9, (60, 3, 4, 4)),
        age=generator.normal(size=60),
        label=np.arange(60) % 2,
        code=generator.normal(size=(60, 4)),
    )
    loaders = build_dataloader(
        data_spec("""
            datasets:
              mine:
                source: {kind: npz, path: t.npz}
                fields:
                  image: {kind: image, column: pictures, shape: [3, 4, 4], range: [0, 8]}
                  age: {kind: number}
                  label: {kind: category, classes: ["1", "0"]}
                  code: {kind: tensor, shape: [2, 2]}
                split: {train: 0.5, val: 0.2, test: 0.3, stratify: label, seed: 3}
            features:
              image: [{standardize: {}}]
              label: [{index: {}}]
            augment:
              image: [{shift: {pixels: 1}}]
              age: [{noise: {std: 0.1}}]
            views:
              weak: {image: [{rotate: {degrees: 5}}]}
              strong: {image: [{erase: {area: 0.5, probability: 1}}], code: [{noise: {std: 2.0}}]}
            batch_size: 7
        """)
    )
    assert loaders.name == "mine"
    assert loaders.batch_size == 7
    assert [len(loader.rows) for loader in (loaders.train, loaders.val, loaders.test)] == [30, 12, 18]
    assert loaders.fields["label"].classes == ("1", "0")
    assert loaders.test.decoded("label").bincount().tolist() == [9, 9]
    assert loaders.view_fields == {"weak": frozenset({"image"}), "strong": frozenset({"image", "code"})}
    assert loaders.record()["features"] == {"image": ["standardize"], "age": [], "label": ["index"], "code": []}
    loaders.train.serve(None, {"weak.0", "strong.0", "strong.1"})
    assert {key: tuple(values.shape) for key, values in next(iter(loaders.train)).items()} == {
        "label": (7,),
        "code": (7, 2, 2),
        "image": (7, 3, 4, 4),
        "age": (7, 1),
        "image@strong.0": (7, 3, 4, 4),
        "code@strong.0": (7, 2, 2),
        "image@strong.1": (7, 3, 4, 4),
        "code@strong.1": (7, 2, 2),
        "image@weak.0": (7, 3, 4, 4),
    }


def test_a_column_may_say_which_rows_are_for_what(data_spec: Callable[[str], DataSpec], table: Path) -> None:
    loaders = build_dataloader(
        data_spec(f"""
            datasets:
              mine:
                source: {{kind: csv, path: {table.name}}}
                fields: {{a: {{kind: number}}, b: {{kind: category, column: kind}}}}
                split: {{column: fold}}
        """)
    )
    assert torch.equal(loaders.val.rows, torch.arange(1, 40, 4))
    assert torch.equal(loaders.test.rows, torch.arange(2, 40, 4))
    assert loaders.val.decoded("a")[0].item() == 1.5
    assert loaders.fields["b"].classes == ("x", "y", "z")


def test_equal_rows_can_be_refused_kept_together_or_allowed(
    data_spec: Callable[[str], DataSpec], tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("a\n" + "\n".join(str(row % 20) for row in range(40)) + "\n")
    text = """
        datasets:
          mine:
            source: {kind: csv, path: t.csv}
            fields: {a: {kind: number}}
            split: {train: 0.5, val: 0.25, test: 0.25, duplicates: %s}
    """
    mistake = next(each for each in told(data_spec(text % "refuse")) if "test rows that also stand in train: " in each)
    assert mistake.startswith("line 6, column 48: datasets.mine.split.duplicates: ")
    assert " of t.csv), equal to row " in mistake
    assert mistake.endswith(
        " of train. Write `duplicates: together` to keep equal rows in one split, or `allow` to let them be."
    )
    together = build_dataloader(data_spec(text % "together"))
    parts = [set((loader.rows % 20).tolist()) for loader in (together.train, together.val, together.test)]
    assert [len(part) for part in parts] == [10, 5, 5]  # different values, each in two rows
    assert set.union(*parts) == set(range(20))
    assert together.findings() == []
    allowed = build_dataloader(data_spec(text % "allow"))
    assert sum(len(loader.rows) for loader in (allowed.train, allowed.val, allowed.test)) == 40
    assert any("test rows that also stand in train: " in finding for finding in allowed.findings())


# --- files that are wrong -------------------------------------------------------------------------------------------


def test_all_mistakes_of_a_file_are_told_at_once(data_spec: Callable[[str], DataSpec], table: Path) -> None:
    mistakes = told(
        data_spec(f"""
            datasets:
              mine:
                source: {{kind: csv, path: {table.name}}}
                fields:
                  a: {{kind: number}}
                  b: {{kind: category, column: knid}}
                  c: {{kind: category, column: kind, classes: [x, y, x]}}
                  image: {{kind: image, shape: [1, 4, 4], range: [0, 9]}}
                split:
                  train: 0.5
                  stratify: image
            features:
              imgae: [{{standardize: {{}}}}]
              image:
                - standardize: {{}}
                - one_hot: {{}}
              a: [{{index: {{}}}}]
            augment:
              a: [{{noise: {{std: 1}}}}, {{shift: {{pixels: 1}}}}]
              image: [{{shift: {{pixels: 4}}}}, {{erase: {{area: 0.01}}}}]
            views:
              weak: {{}}
              strong:
                lable: []
                c: [{{noise: {{std: 1}}}}]
        """)
    )
    assert mistakes == [
        "line 7, column 27: datasets.mine.fields.b.column: the source has no column 'knid'. Did you mean 'kind'?",
        "line 8, column 41: datasets.mine.fields.c.classes: the class 'x' stands twice.",
        "line 9, column 7: datasets.mine.fields.image.column: the source has no column 'image'. "
        "There is: a, fold, kind, none.",
        "line 10, column 5: datasets.mine.split: "
        "expected shares of train, val and test that sum to 1, got 0.5 + 0.15 + 0.15 = 0.8.",
        "line 12, column 7: datasets.mine.split.stratify: expected a field of kind category, multilabel or number; "
        "got 'image' of kind image.",
        "line 14, column 3: features.imgae: there is no field 'imgae'. Did you mean 'image'?",
        "line 17, column 7: features.image[1]: one_hot reads the codes of a category or those of a mask; standardize "
        "gives numbers.",
        "line 18, column 7: features.a[0]: index reads the codes of a category; a field of kind number has numbers.",
        "line 20, column 26: augment.a[1]: shift is for images; this field is a number.",
        "line 21, column 11: augment.image[0]: expected fewer pixels than the picture's shorter side, 4; got 4.",
        "line 21, column 33: augment.image[1]: "
        "expected an area of at least one of the picture's 16 pixels, got 0.01 of them.",
        "line 23, column 3: views.weak: the view names no field. Name the fields that it changes.",
        "line 25, column 5: views.strong.lable: there is no field 'lable'. There is: a, b, c, image.",
        "line 26, column 9: views.strong.c[0]: noise is for numbers; this field is a category.",
    ]


def with_split(table: Path, split: str, field: str = "b: {kind: category, column: kind}") -> str:
    return f"""
        datasets:
          mine:
            source: {{kind: csv, path: {table.name}}}
            fields: {{a: {{kind: number}}, {field}}}
            split: {split}
    """


@pytest.mark.parametrize(
    ("split", "text"),
    [
        ("{stratify: c}", "line 6, column 13: datasets.mine.split.stratify: there is no field 'c'. There is: a, b."),
        (
            "{train: 0.98, val: 0.01, test: 0.01}",
            "line 6, column 5: datasets.mine.split: the val split is empty: a share of 0.01 of 40 rows.",
        ),
        (
            "{train: 0.9, val: 0.05, test: 0.05, stratify: b}",
            "line 6, column 5: datasets.mine.split: to keep every class's share, each class needs a few rows for each "
            "split and each split a row a class; the smallest class, 'y', has 13, and the val split has 2 for 3 "
            "classes.",
        ),
        (
            "{column: flod}",
            "line 6, column 13: datasets.mine.split.column: the source has no column 'flod'. Did you mean 'fold'?",
        ),
        (
            "{column: fold, seed: 3}",
            "line 6, column 27: datasets.mine.split.seed: `column: fold` says which rows are for what, so that this "
            "key would change nothing. Leave one of the two out.",
        ),
        (
            "{values: {val: [x], test: [y]}}",
            "line 6, column 13: datasets.mine.split.values: they are the values of a column, and none is named. Name "
            "the `column`.",
        ),
        (
            "{column: kind, values: {val: [x], test: [yy]}}",
            "line 6, column 53: datasets.mine.split.values.test[0]: no row has 'yy'. Did you mean 'y'?",
        ),
        (
            "{column: fold, duplicates: together}",
            "line 6, column 27: datasets.mine.split.duplicates: `column: fold` says which rows are for what, so that "
            "equal rows cannot be put together. Mend the column, or write `allow`.",
        ),
    ],
)
def test_splits_that_cannot_be_made(data_spec: Callable[[str], DataSpec], table: Path, split: str, text: str) -> None:
    assert told(data_spec(with_split(table, split))) == [text]


def test_a_split_column_holds_nothing_else(data_spec: Callable[[str], DataSpec], table: Path) -> None:
    where = r"data set 'mine', split column 'kind', row 0 \(line 2 of t.csv\): expected one of the 3 classes, got 'x'"
    with pytest.raises(DataError, match=where):
        build_dataloader(data_spec(with_split(table, "{column: kind}")))
    with pytest.raises(DataError, match=r"split column 'none', row 0 .*: expected train, val or test, got nothing\."):
        build_dataloader(data_spec(with_split(table, "{column: none}")))
    table.write_text(table.read_text().replace(",test,", ",val,"))
    text = "line 6, column 13: datasets.mine.split.column: the test split is empty."
    assert told(data_spec(with_split(table, "{column: fold}"))) == [text]


def test_a_split_column_with_words_of_its_own(data_spec: Callable[[str], DataSpec], table: Path) -> None:
    rows = [line.split(",")[1] for line in table.read_text().splitlines()[1:]]
    for values in ("{val: [x], test: [y]}", "{train: [z], val: [x], test: [y]}"):
        loaders = build_dataloader(data_spec(with_split(table, f"{{column: kind, values: {values}}}")))
        for loader, value in ((loaders.train, "z"), (loaders.val, "x"), (loaders.test, "y")):
            assert loader.rows.tolist() == [row for row, other in enumerate(rows) if other == value]


@pytest.mark.parametrize(
    ("split", "text"),
    [
        (
            "{column: kind, values: {train: [zz, z2], val: [x], test: [y]}}",
            r"data set 'mine', split column 'kind', row 2 \(line 4 of t.csv\): expected one of the 4 values that the "
            r"file gives to a split, got 'z'\. Did you mean 'zz' or 'z2'\?",
        ),
        (
            "{column: kind, values: {val: [x]}}",
            "expected the values of two of train, val and test at least; the third may",
        ),
        ("{column: kind, values: {val: [x, x], test: [y]}}", "'x' stands twice; a value belongs to one split"),
        (
            "{column: kind, values: {val: [x], test: [y, x]}}",
            "'x' stands in val and in test; a value belongs to one split",
        ),
        ("{column: kind, values: {val: [], test: [y]}}", r"split\.values\.val: expected a list of at least 1"),
    ],
)
def test_words_that_give_no_split(data_spec: Callable[[str], DataSpec], table: Path, split: str, text: str) -> None:
    with pytest.raises(JumpMLError, match=text):
        build_dataloader(data_spec(with_split(table, split)))


def test_a_row_without_a_word_is_for_no_split(data_spec: Callable[[str], DataSpec], table: Path) -> None:
    table.write_text(table.read_text().replace("3.5,x,", "3.5,,", 1))
    text = r"split column 'kind', row 3 .*: expected a value that says its split, got nothing\."
    with pytest.raises(DataError, match=text):
        build_dataloader(data_spec(with_split(table, "{column: kind, values: {val: [x], test: [y]}}")))


@pytest.mark.parametrize("field", ["b: {kind: number, column: none}", "b: {kind: category, column: none}"])
def test_a_field_that_is_all_missing_is_refused(data_spec: Callable[[str], DataSpec], table: Path, field: str) -> None:
    text = (
        "line 5, column 33: datasets.mine.fields.b: the field is missing in all 28 train rows. "
        "Leave it out, or mend its column."
    )
    assert told(data_spec(with_split(table, "{seed: 0}", field))) == [text]


def test_a_missing_file_is_told_with_a_near_miss(
    data_spec: Callable[[str], DataSpec], table: Path, tmp_path: Path
) -> None:
    text = with_split(table, "{seed: 0}").replace("path: t.csv", "path: tt.csv")
    assert told(data_spec(text)) == [
        f"line 4, column 25: datasets.mine.source.path: there is no file 'tt.csv' in the folder {str(tmp_path)!r}. "
        "Did you mean 't.csv'?"
    ]
    (mistake,) = told(data_spec(text.replace("tt.csv", "nowhere/else.csv")))
    assert mistake.endswith(f"there is no file 'nowhere/else.csv' in the folder {str(tmp_path)!r}.")


def test_a_bad_value_names_data_set_field_row_and_line(data_spec: Callable[[str], DataSpec], table: Path) -> None:
    table.write_text(table.read_text().replace("\n7.5,", "\nseven,"))
    text = r"data set 'mine', field 'a', row 7 \(line 9 of t.csv\): expected a number, got 'seven'\."
    with pytest.raises(DataError, match=text):
        build_dataloader(data_spec(with_split(table, "{seed: 0}")))
    table.write_text("a,kind\n")
    with pytest.raises(DataError, match=r"data set 'mine': the source has no rows\."):
        build_dataloader(data_spec(with_split(table, "{seed: 0}")))


@pytest.mark.parametrize("delimiter", ["§", '"', "\n", "\0"])
def test_not_every_character_separates_values(
    data_spec: Callable[[str], DataSpec], table: Path, delimiter: str
) -> None:
    text = with_split(table, "{seed: 0}").replace("path: t.csv", f"path: t.csv, delimiter: {json.dumps(delimiter)}")
    assert told(data_spec(text)) == [
        "line 4, column 38: datasets.mine.source.delimiter: expected one printable ASCII character or a tab, and no "
        f"quote, got {delimiter!r}."
    ]


def test_a_delimiter_and_missing_texts_are_the_files(data_spec: Callable[[str], DataSpec], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a;b\n" + "".join(f"{row};{'none' if row == 5 else row}\n" for row in range(30)))
    loaders = build_dataloader(
        data_spec("""
            datasets:
              mine:
                source: {kind: csv, path: t.csv, delimiter: ";", missing: [none]}
                fields: {a: {kind: number}, b: {kind: number}}
        """)
    )
    assert loaders.fields["b"].missing == 1


def test_what_stands_for_a_missing_value_is_remembered(data_spec: Callable[[str], DataSpec], table: Path) -> None:
    text = """\
        datasets:
          d:
            source: SOURCE
            fields: {a: {kind: number}}
            split: {train: 0.6, val: 0.2, test: 0.2}
        """
    usual = ("", "NA", "NaN", "nan", "null", "?")
    csv = "kind: csv, path: t.csv"
    for source, words in (
        (f"{{{csv}}}", usual),
        (f"{{{csv}, missing: ['-', none]}}", ("-", "none")),
        (f"{{{csv}, missing: []}}", ()),
    ):
        assert build_dataloader(data_spec(text.replace("SOURCE", source))).missing_texts == words
    other = table.with_name("u.csv")
    other.write_text(table.read_text().replace(".5", ".25"))
    both = f"{{train: {{{csv}, missing: ['-']}}, test: {{kind: csv, path: u.csv, missing: ['', '-']}}}}"
    part = text.replace("split: {train: 0.6, val: 0.2, test: 0.2}", "split: {val: 0.2}")
    assert build_dataloader(data_spec(part.replace("SOURCE", both))).missing_texts == ("-", "")
    iris = text.replace("SOURCE", "{kind: sklearn, name: iris}").replace("a: {", "'petal length (cm)': {")
    assert build_dataloader(data_spec(iris.replace("0.2}", "0.2, duplicates: together}"))).missing_texts == usual


def test_a_mask_with_pixels_of_no_class_is_not_for_nodes(data_spec: Callable[[str], DataSpec], tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    masks = generator.integers(0, 3, size=(30, 2, 2))
    np.savez(tmp_path / "m.npz", m=np.where(masks == 2, 255, masks))
    text = """\
        datasets:
          d:
            source: {kind: npz, path: m.npz}
            fields: {m: {kind: mask, shape: [2, 2], classes: [a, b], ignore: 255}}
            split: {duplicates: allow}
        """
    with pytest.raises(DataError) as error:
        build_dataloader(data_spec(text)).bind(["m"])
    told = "`ignore` makes pixels of no class, -1, which no feature fills, but a node reads it. Give it one_hot."
    assert str(error.value) == f"field 'm': {told}"
    featured = build_dataloader(data_spec(f"{text}features: {{m: [{{one_hot: {{}}}}]}}"))
    featured.bind(["m"])
    assert featured.info("m").shape == (2, 2, 2)


@pytest.mark.parametrize(("change", "opens"), [("rotate: {degrees: 10}", True), ("flip: {horizontal: 0.5}", False)])
def test_a_mask_into_which_augmentation_lets_nothing_is_for_nodes(
    data_spec: Callable[[str], DataSpec], tmp_path: Path, change: str, opens: bool
) -> None:
    np.savez(tmp_path / "m.npz", m=np.random.default_rng(0).integers(0, 2, size=(30, 4, 4)))
    text = f"""\
        datasets:
          d:
            source: {{kind: npz, path: m.npz}}
            fields: {{m: {{kind: mask, shape: [4, 4], classes: [a, b]}}}}
            split: {{duplicates: allow}}
        augment: {{m: [{{{change}}}]}}
        """
    loaders = build_dataloader(data_spec(text))
    if opens:
        with pytest.raises(
            DataError, match="augmentation lets in pixels of no class, -1, which no feature fills, but a"
        ):
            loaders.bind(["m"])
    else:
        loaders.bind(["m"])
        assert all(bool((batch["m"] >= 0).all()) for batch in loaders.train)
