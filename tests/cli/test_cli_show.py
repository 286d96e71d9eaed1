"""``jumpml show data`` draws what augmentation does, in the terminal where it can, else into a file."""

from __future__ import annotations

import base64
import re
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from jumpml.cli import app
from jumpml.cli._show_data import CHUNK, for_iterm2, for_kitty, picture_protocol

if TYPE_CHECKING:
    from pathlib import Path

PNG = b"\x89PNG\r\n"
DATA = """\
datasets:
  digits:
    source: {kind: sklearn, name: digits}
    fields:
      image: {kind: image, column: images, shape: [1, 8, 8], range: [0, 16]}
      label: {kind: category, column: target}
augment: {image: [{shift: {pixels: 1}}]}
views: {strong: {image: [{rotate: {degrees: 20}}]}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.data.yaml").write_text(DATA)
    return tmp_path


def _height(picture: bytes) -> int:
    assert picture.startswith(PNG)
    return int.from_bytes(picture[20:24], "big")


def test_the_picture_is_written_beside_and_its_path_told(folder: Path) -> None:
    result = CliRunner().invoke(app, ["show", "data", "."], prog_name="jumpml")
    assert (result.exit_code, result.stdout) == (0, "wrote my.augment.png\n")
    both = _height((folder / "my.augment.png").read_bytes())
    result = CliRunner().invoke(app, ["show", "data", "my.data.yaml", "--view", "strong", "--out", "a/b.png"])
    assert result.stdout == "wrote a/b.png\n"
    one = _height((folder / "a" / "b.png").read_bytes())
    assert both == 2 * one
    CliRunner().invoke(app, ["show", "data", ".", "--view", "strong", "--rows", "2", "--out", "few.png"])
    assert _height((folder / "few.png").read_bytes()) < one


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["my.data.yaml", "--view", "strng"], "there is no view 'strng'. Did you mean 'strong'?"),
        (["nothing.data.yaml"], "nothing.data.yaml"),
        (["empty"], "'DATA': expected one *.data.yaml in empty, found none."),
        (["plain.data.yaml"], "nothing is drawn at random: the data has neither `augment` nor `views`."),
    ],
)
def test_what_cannot_be_shown_is_told(arguments: list[str], text: str, folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "plain.data.yaml").write_text(DATA.partition("augment")[0])
    result = CliRunner().invoke(app, ["show", "data", *arguments], prog_name="jumpml")
    assert result.exit_code == 2
    assert text in re.sub(r"\s+", " ", result.stderr)
    assert not list(folder.glob("*.png"))


@pytest.mark.parametrize(
    ("environment", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM_PROGRAM": "WezTerm"}, "iterm2"),
        ({"LC_TERMINAL": "iTerm2", "TERM": "xterm-256color"}, "iterm2"),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1"}, None),
        ({"TERM": "screen", "LC_TERMINAL": "iTerm2"}, None),
        ({"TERM": "xterm-256color"}, None),
        ({}, None),
    ],
)
def test_the_terminals_protocol_is_known_by_its_environment(environment: dict[str, str], protocol: str | None) -> None:
    assert picture_protocol(environment) == protocol


def test_a_picture_for_kitty_comes_in_chunks() -> None:
    picture = bytes(range(256)) * 40
    messages = re.findall(r"\x1b_G(.*?);(.*?)\x1b\\", for_kitty(picture))
    assert [head for head, _ in messages] == ["a=T,f=100,m=1", "m=1", "m=1", "m=0"]
    assert all(len(text) <= CHUNK for _, text in messages)
    assert base64.b64decode("".join(text for _, text in messages)) == picture
    assert for_kitty(b"one") == "\x1b_Ga=T,f=100,m=0;b25l\x1b\\"


def test_a_picture_for_iterm2_is_one_message() -> None:
    assert for_iterm2(b"one") == "\x1b]1337;File=inline=1;size=3:b25l\a"


def test_a_terminal_that_can_shows_it_and_writes_no_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from jumpml.cli._show_data import show_data

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-kitty")
    show_data(folder, view="strong", rows=1)
    assert capsys.readouterr().out.startswith("\x1b_Ga=T,f=100,m=1;")
    assert not list(folder.glob("*.png"))
    show_data(folder, view="strong", rows=1, out=folder / "too.png")
    assert capsys.readouterr().out.endswith(f"\nwrote {folder / 'too.png'}\n")
    assert (folder / "too.png").exists()


# --- show model ------------------------------------------------------------------------------------------------------

MODEL = """\
seed: 0
nodes:
  encoder: {module: jumpml.blocks.ConvEncoder, inputs: image, args: {widths: [4, 8]}}
  digit: {module: jumpml.blocks.Head, inputs: encoder}
tasks: {digit: {kind: multiclass, output: digit, target: label}}
objectives: {agree: {kind: vicreg, inputs: encoder, views: strong, when: [self_supervised]}}
"""


def test_a_model_is_a_table_and_a_drawing(folder: Path) -> None:
    (folder / "my.model.yaml").write_text(MODEL)
    result = CliRunner().invoke(app, ["show", "model", "."], prog_name="jumpml")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert re.fullmatch(r"Model with [\d,]+ parameters, [\d.]+k FLOPs a row", lines[0])
    assert lines[2].split() == ["node", "module", "inputs", "output", "parameters", "FLOPs", "objectives"]
    assert lines[3].endswith("agree: self_supervised")
    assert lines[4].endswith("digit: supervised")
    assert lines[-1] == "wrote my.graph.svg"
    svg = (folder / "my.graph.svg").read_text()
    assert svg.startswith("<svg ")
    for text in (">encoder<", ">multiclass → label<", ">views: strong<"):
        assert text in svg


def test_a_model_that_says_its_shapes_needs_no_data(folder: Path) -> None:
    (folder / "my.data.yaml").unlink()
    head = "module: torch.nn.LazyLinear, inputs: encoder, args: {out_features: 10}"
    text = MODEL.replace("module: jumpml.blocks.Head, inputs: encoder", head)
    (folder / "other.model.yaml").write_text("inputs: {image: {shape: [1, 8, 8]}}\n" + text)
    result = CliRunner().invoke(app, ["show", "model", "other.model.yaml", "--out", "a/b.svg"], prog_name="jumpml")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "wrote a/b.svg"), result.output
    assert (folder / "a" / "b.svg").exists()


def test_of_several_model_files_the_one_with_the_datas_name_is_shown(folder: Path) -> None:
    (folder / "my.model.yaml").write_text(MODEL)
    (folder / "small.model.yaml").write_text(MODEL)
    result = CliRunner().invoke(app, ["show", "model", "."], prog_name="jumpml")
    assert result.stdout.splitlines()[-1] == "wrote my.graph.svg"


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({}, "'MODEL': expected one *.model.yaml in ., found none."),
        ({"a": MODEL, "b": MODEL}, "'MODEL': expected one *.model.yaml in ., found a.model.yaml, b.model.yaml."),
        ({"a": MODEL.replace("inputs: image", "inputs: imgae")}, "Did you mean 'image'?"),
    ],
)
def test_what_is_no_model_is_told(files: dict[str, str], text: str, folder: Path) -> None:
    for name, content in files.items():
        (folder / f"{name}.model.yaml").write_text(content)
    result = CliRunner().invoke(app, ["show", "model", "."], prog_name="jumpml")
    assert result.exit_code == 2
    assert text in re.sub(r"\s+", " ", result.stderr)
    assert not list(folder.glob("*.svg"))
