"""``jumpml data`` prints what the data is, and what is suspicious in it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from jumpml.cli import app

if TYPE_CHECKING:
    from pathlib import Path

DATA = """\
datasets:
  shop:
    source: {kind: csv, path: shop.csv}
    fields:
      sold: {kind: category}
      body: {kind: table, columns: {id: number, size: number, invoice: number, unit: number, colour: category}}
      tags: {kind: multilabel}
"""
MODEL = """\
data: my.data.yaml
nodes:
  answer: {module: jumpml.blocks.MLP, inputs: body, args: {widths: [1]}}
  other: {module: jumpml.blocks.MLP, inputs: body, args: {widths: [2]}}
tasks:
  tagging: {kind: multilabel, output: other, target: tags}
  sale: {kind: binary, output: answer, target: sold}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    lines = [
        f"{'yes' if row % 3 == 0 else 'no'},{row},{row * 37 % 101},{row % 3 == 0:d},1,{'rgb'[row * 7 % 11 % 3]},a"
        + (";b" if row % 2 else "")
        for row in range(300)
    ]
    (tmp_path / "shop.csv").write_text("sold,id,size,invoice,unit,colour,tags\n" + "\n".join(lines) + "\n")
    (tmp_path / "my.data.yaml").write_text(DATA.replace("multilabel}", 'multilabel, separator: ";"}'))
    return tmp_path


def _said(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["data", *arguments], prog_name="jumpml")
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_helper_fails_where_the_command_does(folder: Path) -> None:
    with pytest.raises(AssertionError):
        _said("nothing")


def test_traps_are_told(folder: Path) -> None:
    said = _said(".", "--target", "sold")
    alarms = said.partition("alarming:\n")[2].partition("\n\n")[0]
    assert re.findall(r"^  ([\w.]+):", alarms, flags=re.MULTILINE) == ["body.invoice", "body.id"]
    assert "  body: all train rows have the same value of unit.\n" in said.partition("worth knowing:")[2]
    assert "\x1b" not in said


@pytest.mark.parametrize("name", ["my.model.yaml", "other.model.yaml"])
def test_the_target_is_the_model_files_where_none_is_given(name: str, folder: Path) -> None:
    assert "target:" not in _said("my.data.yaml")
    (folder / name).write_text(MODEL)
    assert "\n  target: sold;" in _said("my.data.yaml")
    assert "\n  target: sold;" in _said(".")
    (folder / name).write_text(MODEL.partition("  sale")[0])
    assert "target:" not in _said(".")


def test_a_model_file_with_mistakes_is_told_and_the_data_shown(folder: Path) -> None:
    (folder / "my.model.yaml").write_text(MODEL.replace("tasks", "taskss"))
    result = CliRunner().invoke(app, ["data", "."], prog_name="jumpml")
    assert result.exit_code == 0
    assert "taskss: this key is unknown. Did you mean 'tasks'?" in result.stderr
    assert result.stderr.startswith("no target: ")
    assert "shop: 300 rows" in result.stdout


def test_out_writes_page_picture_and_record(folder: Path) -> None:
    said = _said(".", "--out", "looks/at")
    assert said.endswith("\nwrote looks/at/profile.html, profile.png and profile.json\n")
    assert sorted(path.name for path in (folder / "looks" / "at").iterdir()) == [
        "profile.html",
        "profile.json",
        "profile.png",
    ]
    assert json.loads((folder / "looks" / "at" / "profile.json").read_text())["rows"]["train"] == 210


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nothing.data.yaml"], "nothing.data.yaml"),
        (["empty"], "'DATA': expected one *.data.yaml in empty, found none."),
        ([".", "--target", "sald"], "the target: there is no field 'sald'. Did you mean 'sold'?"),
        ([".", "--target", "tags"], "the target: expected a field of kind category or number, got 'tags', which is"),
    ],
)
def test_what_cannot_be_is_told(arguments: list[str], text: str, folder: Path) -> None:
    (folder / "empty").mkdir()
    result = CliRunner().invoke(app, ["data", *arguments], prog_name="jumpml")
    assert result.exit_code == 2
    assert text in re.sub(r"[\s│]+", " ", result.stderr)


def test_code_of_a_package_runs_only_where_it_is_trusted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "my_rows_for_profiles.py").write_text("def rows():\n    return {'x': list(range(50))}\n")
    monkeypatch.syspath_prepend(str(folder))
    source = "{kind: python, function: 'my_rows_for_profiles:rows'}"
    (folder / "code.data.yaml").write_text(f"datasets: {{d: {{source: {source}, fields: {{x: {{kind: number}}}}}}}}")
    assert CliRunner().invoke(app, ["data", "code.data.yaml"]).exit_code == 2
    assert "d: 50 rows" in _said("code.data.yaml", "--trust", "my_rows_for_profiles")


def test_a_terminal_gets_colours(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    said = _said(".", "--target", "sold")
    assert "\x1b[31m  body.invoice" in said
    monkeypatch.delenv("FORCE_COLOR")
    plain = re.sub(r"\x1b\[[\d;]*m", "", said)
    assert [line.rstrip() for line in plain.splitlines()] == _said(".", "--target", "sold").splitlines()
