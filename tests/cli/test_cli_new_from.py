"""``jumpml new --from`` writes a project on a table that runs, and says what it guessed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from jumpml import Project
from jumpml.cli import app
from jumpml.cli._yaml_text import path_in, scalar
from jumpml.core import SPECS, DataError, json_schema, load_spec
from jumpml.data import infer_table

if TYPE_CHECKING:
    from jumpml.data import TableGuess

ROWS = 120


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _csv(columns: dict[str, list[Any]], path: str = "table.csv", delimiter: str = ",", *, head: bool = True) -> str:
    rows = [delimiter.join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    Path(path).write_text("\n".join([delimiter.join(columns)] * head + rows) + "\n", encoding="utf-8")
    return path


def _houses(rows: int = ROWS) -> dict[str, list[Any]]:
    """One column of each kind; by arithmetic, so that the same each time."""
    return {
        "id": [1000 + row for row in range(rows)],
        "area": [50 + row * 37 % 101 / 2 for row in range(rows)],
        "heating": [["gas", "oil", "wood"][row * 7 % 11 % 3] for row in range(rows)],
        "garden": [row * 5 % 7 % 2 for row in range(rows)],
        "country": ["de"] * rows,
        "code": [f"k{row * 31 % 997:x}" for row in range(rows)],
        "built": [f"{1950 + row * 13 % 70}-0{1 + row % 9}-1{row % 8}" for row in range(rows)],
        "remark": [f"a {row * 3 % 97} year old house of {row % 41} rooms" for row in range(rows)],
        "gone": [""] * rows,
        "price": [100 + row * 37 % 101 * 3.5 for row in range(rows)],
    }


def _said(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["new", *arguments], prog_name="jumpml")
    assert result.exit_code == 0, result.output
    return result.stdout


def _refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["new", *arguments], prog_name="jumpml")
    assert result.exit_code == 2, result.output
    assert not Path("project").exists()
    return re.sub(r"[\s│]+", " ", result.stderr)


def _kinds(guess: TableGuess) -> dict[str, str | None]:
    return {column.column: column.kind for column in guess.columns}


def _reason(guess: TableGuess, name: str) -> str:
    return next(column.reason for column in guess.columns if column.column == name)


def _data(name: str = "project") -> dict[str, Any]:
    return yaml.safe_load(Path(name, f"{name}.data.yaml").read_text(encoding="utf-8"))


def test_helpers_fail_where_the_command_does_something_else() -> None:
    with pytest.raises(AssertionError):
        _said("project", "--from", "nothing.csv", "--target", "x")
    with pytest.raises(AssertionError):
        _refused("project")


def test_each_column_is_taken_for_what_it_is_and_the_reason_told() -> None:
    said = _said("project", "--from", _csv(_houses()), "--target", "price")
    told = {line.split()[0]: " ".join(line.split()[1:]) for line in said.splitlines() if line.startswith("  ")}
    assert told | {"jumpml": ""} == {
        "id": "left out an identifier: a whole number that rises or falls from each row to the next",
        "area": "number 101 different numbers",
        "heating": "category 3 different texts in 120 rows",
        "garden": "category only 2 different whole numbers",
        "country": "left out constant: every value is 'de'",
        "code": "left out an identifier: 120 different texts in 120 rows, too short to be read",
        "built": "date dates such as 1950-01-10",
        "remark": "text 120 different texts in 120 rows, of 8 words on average",
        "gone": "left out no row has a value",
        "price": "number target: 101 different numbers",
        "jumpml": "",
    }
    assert "guessed from 120 rows; a regression task on price." in said
    assert said.endswith(
        "project: a project that predicts price. Next:\n  jumpml check project\n  jumpml run project\n"
    )


def test_the_files_say_the_guesses_and_are_right() -> None:
    _said("project", "--from", _csv(_houses()), "--target", "price")
    for kind, spec in SPECS.items():
        path = Path("project", f"project.{kind}.yaml")
        load_spec(spec, path)
        assert path.read_text().splitlines()[0] == f"# yaml-language-server: $schema=schemas/{kind}.json"
        assert json.loads(Path("project", "schemas", f"{kind}.json").read_text()) == json_schema(kind)
    assert "predicts `price` from `../table.csv`" in Path("project", "README.md").read_text()
    data = _data()
    fields = data["datasets"]["project"]["fields"]
    assert fields["features"]["columns"] == {"area": "number", "heating": "category", "garden": "category"}
    assert list(fields) == ["price", "features", "built", "remark"]
    assert data["features"] == {"remark": [{"tfidf": {}}], "price": [{"standardize": {}}]}
    text = Path("project", "project.data.yaml").read_text()
    assert re.search(r"garden: category +# only 2 different whole numbers\n", text)
    assert "    #   country: constant: every value is 'de'\n" in text


def test_the_project_passes_check_and_runs() -> None:
    _said("project", "--from", _csv(_houses()), "--target", "price")
    project = Project.find("project", {"learner.phases.supervised.epochs": 1, "learner.log": []})
    assert "task price: regression" in project.check().model
    folder = project.run("runs")
    assert (folder / "card.html").exists()
    assert list((folder / "bundles").iterdir())


@pytest.mark.parametrize(
    ("file", "target", "task", "kept"),
    [
        ("adult/adult-train.csv", "column_15", "binary", 14),
        ("penguins/penguins.csv", "species", "multiclass", 7),
        ("penguins/penguins.csv", "body_mass_g", "regression", 7),
        ("wine_quality/winequality-red.csv", "column_12", "multiclass", 11),
    ],
)
def test_projects_on_real_tables_pass_check(file: str, target: str, task: str, kept: int, shared_data: Path) -> None:
    _said("project", "--from", str(shared_data / file), "--target", target)
    project = Project.find("project")
    report = project.check()
    assert f"task {target}: {task}" in report.model
    assert len(_data()["datasets"]["project"]["fields"]["features"]["columns"]) == kept
    assert not [finding for finding in report.findings if "also stand in" in finding]


def test_a_project_on_real_data_learns(shared_data: Path) -> None:
    _said("project", "--from", str(shared_data / "penguins" / "penguins.csv"), "--target", "species")
    folder = Project.find("project", {"learner.phases.supervised.epochs": 12, "learner.log": []}).run("runs")
    figures = json.loads((folder / "evaluation.json").read_text())["tasks"]["species"]["figures"]
    assert figures["accuracy"]["value"] > 0.9  # three kinds of penguins are told apart easily


def test_real_columns_that_say_nothing_are_left_out(shared_data: Path) -> None:
    guess = infer_table(shared_data / "penguins" / "penguins_raw.csv", "Species")
    assert {column.column for column in guess.columns if column.kind is None} == {"Region", "Stage", "Individual ID"}
    assert _kinds(guess)["Date Egg"] == "date"


@pytest.mark.parametrize(
    ("values", "task", "kind"),
    [
        (["yes", "no"], "binary", "category"),
        (["a", "b", "c"], "multiclass", "category"),
        ([0, 1], "binary", "category"),
        ([3, 4, 5], "multiclass", "category"),
        (list(range(11)), "regression", "number"),
        ([0.5, 1.5, 2.5], "regression", "number"),
        (["True", "False"], "binary", "category"),
    ],
)
def test_the_target_decides_the_task(values: list[Any], task: str, kind: str) -> None:
    columns = {"x": _houses()["area"], "y": [values[row * 7 % 13 % len(values)] for row in range(ROWS)]}
    guess = infer_table(_csv(columns), "y")
    assert (guess.task, guess.target.kind) == (task, kind)


def test_lists_make_a_multilabel_task_and_json_lines_are_read() -> None:
    rows = [
        {"x": row * 37 % 101, "when": None if row % 5 else "2024-01-01", "tags": [["a"], ["a", "b"], []][row % 3]}
        | {"point": [row * 0.5, 1.0], "odd": [1] * (row % 2 + 1)}
        for row in range(ROWS)
    ]
    Path("t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    guess = infer_table("t.jsonl", "tags")
    assert guess.task == "multilabel"
    assert _kinds(guess) == {"x": "number", "when": None, "tags": "multilabel", "point": "tensor", "odd": None}
    assert _reason(guess, "odd") == "rows are lists, neither of names nor of equally many numbers"
    _said("project", "--from", "t.jsonl", "--target", "tags")
    assert "task tags: multilabel" in Project.find("project").check().model


def test_typed_files_are_read() -> None:
    import pyarrow as pa
    from pyarrow import feather, parquet

    stamps = np.datetime64("2024-01-01") + np.arange(ROWS).astype("timedelta64[D]")
    area = np.array(_houses()["area"])
    table = pa.table({"day": stamps, "area": area, "is_new": np.arange(ROWS) % 3 == 0, "y": area * 2})
    parquet.write_table(table, "t.parquet")
    feather.write_feather(table, "t.arrow", compression="uncompressed")
    np.savez("t.npz", area=area, y=area * 2, image=np.zeros((ROWS, 2, 2)))
    for file in ("t.parquet", "t.arrow"):
        guess = infer_table(file, "y")
        assert _kinds(guess) == {"day": "date", "area": "number", "is_new": "category", "y": "number"}
    assert _kinds(infer_table("t.npz", "y")) == {"area": "number", "y": "number", "image": "tensor"}
    _said("project", "--from", "t.parquet", "--target", "y")
    assert _data()["datasets"]["project"]["split"]["time"] == "day"  # the rows stand in its order
    Project.find("project").check()


@pytest.mark.parametrize(("delimiter", "name"), [("\t", "t.tsv"), (";", "t.csv"), ("|", "t.csv"), ("\t", "t.csv")])
def test_the_delimiter_is_found(delimiter: str, name: str) -> None:
    columns = {"x": _houses()["area"], "note": ["a, b"] * 60 + ["c, d"] * 60, "y": _houses()["heating"]}
    guess = infer_table(_csv(columns, name, delimiter), "y")
    assert guess.source == {"kind": "csv", "delimiter": delimiter}
    assert guess.notes == (f"values are separated by {delimiter!r}",)
    assert _kinds(guess) == {"x": "number", "note": "category", "y": "category"}


def test_quotes_that_stand_alone_are_letters() -> None:
    columns = {"x": _houses()["area"], "note": ['5" pipe', "pipe"] * 60, "y": _houses()["heating"]}
    guess = infer_table(_csv(columns, "t.tsv", "\t"), "y")
    assert guess.source["quote"] is None
    assert guess.notes[1] == "a quote is a letter like others: some stand alone in a line"


def test_another_encoding_is_found() -> None:
    path = Path(_csv({"x": _houses()["area"], "y": ["Käse", "Brot"] * 60}))
    path.write_bytes(path.read_text(encoding="utf-8").encode("cp1252"))
    guess = infer_table(path, "y")
    assert guess.source["encoding"] == "cp1252"
    assert guess.notes == ("the text is no UTF-8, so it is read as cp1252",)
    _said("project", "--from", str(path), "--target", "y")
    assert "Brot, Käse" in Project.find("project").check().data


def test_a_first_line_of_values_is_no_header_and_names_can_be_given() -> None:
    path = _csv({"x": _houses()["area"], "y": _houses()["heating"]}, head=False)
    guess = infer_table(path, "column_2")
    assert guess.source["header"] == ["column_1", "column_2"]
    note = "the first line holds values, not names (a number is among them); --header gives names"
    assert guess.notes == (note,)
    assert guess.rows == ROWS
    _said("project", "--from", path, "--target", "fuel", "--header", "area, fuel")
    assert _data()["datasets"]["project"]["source"]["header"] == ["area", "fuel"]
    assert "task fuel: multiclass" in Project.find("project").check().model
    twice = _csv({"a": ["x", "y"] * 60, "b": ["x", "z"] * 60}, "twice.csv", head=False)
    assert "(one stands there twice)" in infer_table(twice, "column_2", kinds={"column_2": "category"}).notes[0]


def test_marks_of_missing_numbers_are_found() -> None:
    columns = _houses()
    columns["area"] = ["n/a" if row % 10 == 0 else value for row, value in enumerate(columns["area"])]
    columns["heating"] = ["?" if row % 10 == 0 else value for row, value in enumerate(columns["heating"])]
    guess = infer_table(_csv(columns), "price")
    assert guess.source["missing"] == ["", "NA", "NaN", "nan", "null", "?", "n/a"]
    assert guess.notes == ("'n/a' among numbers stands for a missing value, in every column",)
    assert _kinds(guess)["area"] == "number"
    assert _reason(guess, "heating") == "3 different texts in 108 rows"
    rows = [{"x": "n/a" if row % 10 == 0 else f"{row * 37 % 101}", "z": row % 7, "y": row % 3} for row in range(ROWS)]
    Path("t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    reason = _reason(infer_table("t.jsonl", "y"), "x")
    assert reason == "numbers, but also 'n/a'; write null in the file where a number is missing"


@pytest.mark.parametrize(
    ("texts", "form", "told"),
    [
        (["13.02.2024", "01.03.2024"], "%d.%m.%Y", ""),
        (["02/13/2024", "03/01/2024"], "%m/%d/%Y", ""),
        (["02/03/2024", "03/01/2024"], "%d/%m/%Y", ", taken for day first; %m/%d/%Y is month first"),
        (["2024-02-13T10:00:00", "2024-03-01T11:30:00"], None, ""),
        (["Feb 13, 2024", "Mar 01, 2024"], "%b %d, %Y", ""),
    ],
)
def test_dates_are_found_however_they_are_written(texts: list[str], form: str | None, told: str) -> None:
    columns = {"day": texts * 60, "y": _houses()["heating"]}
    guess = infer_table(_csv(columns, delimiter=";"), "y")
    (day,) = guess.inputs
    assert (day.kind, day.options) == ("date", {} if form is None else {"format": form})
    assert day.reason == f"dates such as {texts[0]}{told}"


def test_kinds_can_be_given() -> None:
    kinds = ["--kind", "id=number", "--kind", "area=category", "--kind", "remark=ignore", "--kind", "price=category"]
    said = _said("project", "--from", _csv(_houses()), "--target", "price", *kinds)
    assert "a multiclass task on price" in said
    assert re.search(r"area +category +as you said", said)
    fields = _data()["datasets"]["project"]["fields"]
    assert fields["features"]["columns"]["id"] == "number"
    assert "remark" not in fields
    guess = infer_table("table.csv", "price", kinds={"heating": "text", "remark": "multilabel", "built": "date"})
    assert _kinds(guess) | {"heating": "text", "remark": "multilabel", "built": "date"} == _kinds(guess)


def test_the_separator_of_labels_is_found() -> None:
    columns = {"x": _houses()["area"], "tags": ["a|b", "b", "a"] * 40}
    _said("project", "--from", _csv(columns), "--target", "tags", "--kind", "tags=multilabel")
    assert _data()["datasets"]["project"]["fields"]["tags"] == {"kind": "multilabel", "separator": "|"}
    assert "a, b" in Project.find("project").check().data


def test_texts_made_of_few_names_are_labels() -> None:
    tags = [["red; big", "big", "red", "small ;red; old", "old;big", "small"][row % 6] for row in range(ROWS)]
    columns = {"x": _houses()["area"], "tags": tags, "author": ["Smith, Ann", "Lee, Bo", "Ito, Cy"] * 40}
    columns["size"] = [f"{row % 7},{row % 2}" for row in range(ROWS)]
    said = _said("project", "--from", _csv(columns, delimiter="|"), "--target", "tags")
    assert "tags    multilabel  target: 4 different names, in many rows several with ';' between them" in said
    assert _kinds(infer_table("table.csv", "tags")) | {"author": "category", "size": "category"} == {
        **{"x": "number", "tags": "multilabel", "author": "category", "size": "category"}
    }
    report = Project.find("project").check()
    assert "task tags: multilabel" in report.model
    assert "big, old, red, small" in report.data


def test_several_targets_make_a_task_each() -> None:
    houses = _houses()
    houses["grade"] = [row * 7 % 13 % 4 for row in range(ROWS)]
    targets = ["--target", "price", "--target", "garden", "--target", "grade"]
    said = _said("project", "--from", _csv(houses), *targets, "--task", "grade=ordinal")
    told = "a regression task on price, a binary task on garden, an ordinal task on grade."
    assert f"guessed from 120 rows; {told}" in said
    assert "project: a project that predicts price, garden, grade. Next:" in said
    data, model = _data(), yaml.safe_load(Path("project", "project.model.yaml").read_text())
    fields = data["datasets"]["project"]["fields"]
    assert fields["grade"] == {"kind": "category", "classes": [*"0123"]}
    assert "garden" not in fields["features"]["columns"]
    assert data["datasets"]["project"]["split"]["stratify"] == ["garden", "grade"]
    assert {name: task["output"] for name, task in model["tasks"].items()} == {
        name: f"{name}_answer" for name in ("price", "garden", "grade")
    }
    project = Project.find("project", {"learner.phases.supervised.epochs": 1, "learner.log": []})
    assert "task grade: ordinal" in project.check().model
    figures = json.loads((project.run("runs") / "evaluation.json").read_text())["tasks"]
    assert set(figures) == {"price", "garden", "grade"}
    assert infer_table("table.csv", ["grade", "price"]).tasks == {"grade": "multiclass", "price": "regression"}


def _hours(rows: int = 400) -> dict[str, list[Any]]:
    times = np.datetime64("2024-01-01T00") + np.arange(rows).astype("timedelta64[h]")
    load = 10 + 3 * np.sin(np.arange(rows) * 2 * np.pi / 24) + np.arange(rows) * 37 % 101 / 500
    return {"time": times.tolist(), "load": load.round(4).tolist(), "wind": (np.arange(rows) * 53 % 97).tolist()}


def test_a_series_is_forecast_where_it_is_asked_for() -> None:
    path = _csv(_hours())
    said = _said("rows", "--from", path, "--target", "load")
    assert "a regression task on load." in said
    assert "time rises evenly: --task load=forecasting predicts load from its own past." in said
    said = _said("project", "--from", path, "--target", "load", "--task", "load=forecasting")
    assert "a forecasting task on load." in said
    assert "rises evenly" not in said
    dataset = _data()["datasets"]["project"]
    assert dataset["fields"]["past"] == {"kind": "series", "columns": ["load"], "window": [-40, 0]}
    assert dataset["fields"]["load"]["window"] == [0, 10], "a season of 24 hours, but no more than a 40th of the rows"
    assert dataset["split"]["time"] == "time"
    assert "wind" not in dataset["fields"]
    project = Project.find("project", {"learner.phases.supervised.epochs": 1, "learner.log": []})
    assert "task load: forecasting" in project.check().model
    figures = json.loads((project.run("runs") / "evaluation.json").read_text())["tasks"]["load"]["figures"]
    assert "mase" in figures


@pytest.mark.parametrize(
    ("step", "season"), [("s", 60), ("m", 60), ("h", 24), ("D", 7), ("W", 52), ("Y", 4), (None, 4), ("odd", 4)]
)
def test_a_season_goes_by_how_far_the_rows_lie_apart(step: str | None, season: int) -> None:
    from jumpml.cli._new_from import NewProject

    rows = 2400
    whole = np.arange(rows)
    if step == "odd":
        whole = np.cumsum(1 + whole * 7 % 11)
    unit = "D" if step in {"odd", None} else str(step)
    times = np.datetime64("1000-01-01") + whole.astype(f"timedelta64[{'D' if unit == 'Y' else unit}]") * (unit != "Y")
    if unit == "Y":
        times = np.datetime64("1000-01-01") + whole.astype("timedelta64[D]") * 365
    columns = {"when": [str(time) for time in times], "y": (whole * 37 % 101 / 7).round(3).tolist()}
    if step is None:
        columns["when"] = [str(time) for time in times[::-1]]
        with pytest.raises(DataError, match="a forecast needs a column of dates that rise from each row to the next"):
            infer_table(_csv(columns), "y", tasks={"y": "forecasting"})
        return
    guess = infer_table(_csv(columns), "y", tasks={"y": "forecasting"})
    assert NewProject(name="p", path="table.csv", guess=guess)._season == season


def test_classes_that_are_numbers_may_be_a_scale_and_that_is_said() -> None:
    columns = {"x": _houses()["area"], "y": [row * 7 % 13 % 5 for row in range(ROWS)]}
    said = _said("project", "--from", _csv(columns), "--target", "y")
    assert "the classes of y are numbers: if they are steps of a scale, --task y=ordinal uses their order." in said
    assert not infer_table(_csv(_houses()), "heating").hints


def test_equal_rows_go_into_one_split() -> None:
    columns = {"x": [row % 50 for row in range(ROWS)], "y": [row % 50 % 2 for row in range(ROWS)]}
    _said("project", "--from", _csv(columns), "--target", "y")
    assert _data()["datasets"]["project"]["split"]["duplicates"] == "together"
    assert "Some rows are equal:" in Path("project", "project.data.yaml").read_text()
    Project.find("project").check()


def test_classes_with_few_rows_are_not_stratified() -> None:
    heating = ["peat", *_houses()["heating"][1:]]
    _said("project", "--from", _csv({"x": _houses()["area"], "y": heating}), "--target", "y")
    assert "stratify" not in _data()["datasets"]["project"]["split"]
    text = Path("project", "project.data.yaml").read_text()
    assert "    # The class 'peat' has 1 row: too few to `stratify`.\n" in text
    Project.find("project").check()


def test_a_target_with_gaps_and_pictures_beside_numbers_pass_check() -> None:
    codes = np.arange(ROWS) * 7 % 13 % 3
    np.savez("t.npz", picture=np.random.default_rng(0).random((ROWS, 4, 4)), area=_houses()["area"], y=codes)
    _said("project", "--from", "t.npz", "--target", "y")
    assert "picture_flat  torch.nn.Flatten" in Project.find("project").check().model
    gaps = ["" if row % 10 == 0 else value for row, value in enumerate(_houses()["heating"])]
    _said("other", "--from", _csv({"x": _houses()["area"], "y": gaps}), "--target", "y")
    assert "task y: multiclass" in Project.find("other").check().model


def test_only_the_first_rows_are_looked_at_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from jumpml.data.inferring import _infer

    monkeypatch.setattr(_infer, "ROWS", 50)
    said = _said("project", "--from", _csv(_houses()), "--target", "price")
    assert "guessed from the first 50 rows; a regression task on price." in said
    assert _data()["datasets"]["project"]["split"]["duplicates"] == "together"
    assert "Not all rows were looked at, and some may be equal:" in Path("project", "project.data.yaml").read_text()


def test_names_that_files_cannot_bear_are_changed() -> None:
    houses = _houses()
    columns = {
        "Date: built": houses["built"],
        "features": houses["price"],
        "yes": houses["area"],
        "a/b": houses["remark"],
    }
    _said("project", "--from", _csv(columns), "--target", "features")
    fields = _data()["datasets"]["project"]["fields"]
    assert fields["Date_ built"] == {"kind": "date", "column": "Date: built"}
    assert fields["a_b"]["column"] == "a/b"
    assert fields["features_"]["columns"] == {"yes": "number"}
    assert "task features: regression" in Project.find("project").check().model


@pytest.mark.parametrize("text", ["plain", "yes", "null", "1e3", "a b", "ä:ö", "#", "", "-", "'\"", "\t", "1"])
def test_every_text_survives_yaml(text: str) -> None:
    assert yaml.safe_load(scalar(text)) == text
    assert yaml.safe_load(scalar({"key": [text, 1, None, True]})) == {"key": [text, 1, None, True]}


def test_the_path_is_told_from_the_project() -> None:
    Path("project").mkdir()
    inside = _csv(_houses(), "project/table.csv")
    _said("project", "--from", inside, "--target", "price")
    assert _data()["datasets"]["project"]["source"]["path"] == "table.csv"
    Project.find("project").check()
    here = Path.cwd()
    assert path_in(here / "p", str(here / "p" / "data" / "t.csv")) == "data/t.csv"
    assert path_in(here / "p", "t.csv") == "../t.csv"
    assert path_in(here / "p", str(here / "t.csv")) == str(here / "t.csv")
    assert path_in(here / "p", "s3://bucket/t.csv") == "s3://bucket/t.csv"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--from", "tabel.csv", "--target", "price"], "tabel.csv: there is no such file. Did you mean 'table.csv'"),
        (
            ["--from", "table.txt", "--target", "price"],
            "the name's end does not tell what it is; expected one of .csv,",
        ),
        (["--from", "folder", "--target", "price"], "folder: expected a file, got a folder."),
        (
            ["--from", "t.npz", "--target", "x", "--header", "a"],
            "a npz file names its columns itself; `--header` is for",
        ),
        (
            ["--from", "table.csv", "--target", "prise"],
            "table.csv: the target: there is no column 'prise'. Did you mean 'price'?",
        ),
        (["--from", "bare.csv", "--target", "price"], "Its first line holds values; --header gives the columns names."),
        (
            ["--from", "table.csv", "--target", "country"],
            "the target 'country' cannot be predicted: constant: every value is 'de'.",
        ),
        (["--from", "table.csv", "--target", "gone"], "the target 'gone' cannot be predicted: no row has a value."),
        (
            ["--from", "table.csv", "--target", "id"],
            "the target 'id' cannot be predicted: an identifier: a whole number that rises or falls from each row to "
            "the next. If it is something else, say so: --kind id=category, or number.",
        ),
        (
            ["--from", "table.csv", "--target", "remark"],
            "the target 'remark' cannot be predicted: it is a text (120 different texts in 120 rows, of 8 words on "
            "average). If it is something else, say so: --kind remark=category.",
        ),
        (
            ["--from", "alone.csv", "--target", "y"],
            "the target 'y' cannot be predicted: every other column is left out, so that there is nothing to predict "
            "from.",
        ),
        (
            ["--from", "short.csv", "--target", "price"],
            "expected at least 20 rows to learn, choose and measure by, got 19.",
        ),
        (
            ["--from", "table.csv", "--target", "price", "--kind", "area:number"],
            "'--kind': expected COLUMN=KIND, such as zip_code=category, got 'area:number'.",
        ),
        (
            ["--from", "table.csv", "--target", "price", "--kind", "areas=number"],
            "--kind: there is no column 'areas'. Did you mean 'area'?",
        ),
        (
            ["--from", "table.csv", "--target", "price", "--kind", "area=numbr"],
            "--kind: column 'area' cannot be 'numbr'; expected one of number, category, date, text, multilabel, "
            "tensor, ignore. Did you mean 'number'?",
        ),
        (
            ["--from", "table.csv", "--target", "price", "--kind", "area=date"],
            "column 'area': expected dates in ISO 8601 or %d.%m.%Y, %d.%m.%Y %H:%M, %d.%m.%Y %H:%M:%S, %d/%m/%Y, ..., "
            "got '50.0'.",
        ),
        (
            ["--from", "table.csv", "--target", "price", "--kind", "area=tensor"],
            "column 'area': expected rows of equally many numbers for a tensor.",
        ),
        (["--from", "table.csv", "--target", "price", "--task", "price:x"], "'--task': expected COLUMN=TASK, such as"),
        (
            ["--from", "table.csv", "--target", "price", "--task", "area=regression"],
            "--task: 'area' is no target. There is: price.",
        ),
        (
            ["--from", "table.csv", "--target", "price", "--task", "price=regresion"],
            "--task: 'price': expected one of regression, forecasting, multiclass, binary, ordinal, multilabel, got "
            "'regresion'. Did you mean 'regression'?",
        ),
        (
            ["--from", "table.csv", "--target", "heating", "--task", "heating=binary"],
            "--task: 'heating' has 3 classes, and binary needs 2.",
        ),
        (
            ["--from", "table.csv", "--target", "garden", "--task", "garden=ordinal"],
            "--task: 'garden' has 2 classes, and ordinal needs 3 or more.",
        ),
        (
            ["--from", "table.csv", "--target", "price", "--task", "price=ordinal", "--kind", "price=number"],
            "--task: 'price' is a number, which cannot be ordinal; expected regression or forecasting.",
        ),
        (
            ["--from", "table.csv", "--target", "price", "--target", "area", "--task", "price=forecasting"],
            "--task: a forecast is of one target; make a project for each, or name the others in the files.",
        ),
        (
            ["--from", "table.csv", "--target", "price", "--task", "price=forecasting"],
            "table.csv: a forecast needs a column of dates that rise from each row to the next; none does.",
        ),
        (["--task", "price=regression"], "'--task': it says nothing without --from."),
        (["--from", "table.csv"], "'--target': --from needs it: the column that is to be predicted."),
        (["--target", "price"], "'--target': it says nothing without --from."),
        (["--kind", "area=number"], "'--kind': it says nothing without --from."),
        (["--header", "a,b"], "'--header': it says nothing without --from."),
    ],
)
def test_what_cannot_be_is_told_and_nothing_written(arguments: list[str], text: str) -> None:
    houses = _houses()
    _csv(houses)
    _csv(houses, "bare.csv", head=False)
    _csv(houses, "table.txt")
    _csv({"id": houses["id"], "y": houses["heating"]}, "alone.csv")
    _csv(_houses(19), "short.csv")
    np.savez("t.npz", x=np.arange(ROWS))
    Path("folder").mkdir()
    assert text in _refused("project", *arguments)


def test_a_folder_that_holds_something_else_is_left_alone() -> None:
    Path("full").mkdir()
    Path("full", "mine.txt").write_text("mine")
    table = _csv(_houses(), "full/table.csv")
    for arguments in (["full"], ["full", "--from", table, "--target", "price"]):
        assert "full holds files already; name a new folder or an empty one." in _refused(*arguments)
    assert sorted(path.name for path in Path("full").iterdir()) == ["mine.txt", "table.csv"]


def test_an_error_of_the_table_names_the_line() -> None:
    path = Path(_csv(_houses()))
    path.write_text(path.read_text() + "1,2\n")
    with pytest.raises(DataError, match=r"table.csv, line 122: expected 10 values as in the header, got 2."):
        infer_table(path, "price")
