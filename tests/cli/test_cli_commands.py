"""The commands that need no learning: help, version, schema, new."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

import jumpml
from jumpml.cli import app
from jumpml.core import SPECS, json_schema, load_spec

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = [
    *("new", "data", "check", "show", "find-lr", "profile", "run", "resume"),
    *("replay", "compare", "tune", "predict", "report", "schema"),
]
HEAVY = ["torch", "torchmetrics", "matplotlib", "sklearn", "captum", "onnx", "pyarrow", "numpy"]


def _said(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), prog_name="jumpml")
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_helper_fails_where_a_command_does() -> None:
    with pytest.raises(AssertionError):
        _said("schema", "nothing")


def test_version() -> None:
    assert _said("--version") == f"jumpml {jumpml.__version__}\n"


def test_help_lists_the_commands_in_the_order_of_use() -> None:
    listed = _said("--help").partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in listed] == COMMANDS
    assert not [line for line in listed if line.endswith("...")], "a summary is cut off"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_help_has_an_example_that_names_the_command(command: str) -> None:
    text = _said(command, "--help")
    examples = text.partition("Example")[2].partition("Arguments:")[0]
    assert f"jumpml {command} " in examples


def test_help_of_compare_says_that_it_takes_several_runs() -> None:
    usage = _said("compare", "--help").splitlines()[0]
    assert usage.endswith("...") and "...}" not in usage


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["schema", "data"], ["--version"]])
def test_help_and_schema_load_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys; sys.argv[0] = 'jumpml'\n"
        "from jumpml.cli import main\n"
        "try: main()\n"
        f"finally: print(*[name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert result.stderr.strip() == ""


@pytest.mark.parametrize("kind", SPECS)
def test_schema_prints_and_writes_the_same(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "schemas" / f"{kind}.json"
    assert _said("schema", kind, "--output", str(target)) == f"wrote {target}\n"
    assert json.loads(target.read_text()) == json.loads(_said("schema", kind)) == json_schema(kind)


def test_schema_of_what_is_no_file_names_the_four() -> None:
    result = CliRunner().invoke(app, ["schema", "dada"], prog_name="jumpml")
    assert result.exit_code == 2
    assert all(f"'{kind}'" in result.stderr for kind in ["dada", *SPECS])


def test_new_makes_a_project_whose_files_are_right(tmp_path: Path) -> None:
    folder = tmp_path / "my project"
    assert _said("new", str(folder)) == (
        f"{folder}: a project that runs as it is. Next:\n  jumpml check '{folder}'\n  jumpml run '{folder}'\n"
    )
    for kind, spec in SPECS.items():
        path = folder / f"digits.{kind}.yaml"
        load_spec(spec, path)
        first = path.read_text().splitlines()[0]
        assert first == f"# yaml-language-server: $schema=schemas/{kind}.json"
        assert json.loads((folder / "schemas" / f"{kind}.json").read_text()) == json_schema(kind)
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "digits.data.yaml",
        "digits.deploy.yaml",
        "digits.learner.yaml",
        "digits.model.yaml",
        "schemas",
    ]


@pytest.mark.parametrize("kind", SPECS)
def test_the_template_shows_every_key_of_the_top(kind: str, tmp_path: Path) -> None:
    _said("new", str(tmp_path))
    text = (tmp_path / f"digits.{kind}.yaml").read_text()
    assert not [key for key in SPECS[kind].model_fields if f"{key}:" not in text]


def test_new_takes_an_empty_folder_and_refuses_a_full_one(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    _said("new", str(folder))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    again = CliRunner().invoke(app, ["new", str(folder)], prog_name="jumpml")
    assert again.exit_code == 2
    assert f"'FOLDER': {folder} holds files already; name a new folder or an empty one." in again.stderr
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_new_refuses_the_name_of_a_file(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    result = CliRunner().invoke(app, ["new", str(taken)], prog_name="jumpml")
    assert result.exit_code == 2
    assert f"'FOLDER': {taken} is a file; name a new folder or an empty one." in result.stderr
    assert taken.read_text() == "mine"
