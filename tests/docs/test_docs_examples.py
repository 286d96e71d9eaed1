"""What the pages show runs as it stands, or is what the example says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[2]


def _blocks(page: str, language: str) -> list[str]:
    """A page's blocks of code, but for those that are files of the project, which have tests of their own."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [block for block in blocks if "--8<--" not in block]


def test_python_without_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    programs = _blocks("docs/python.md", "python")
    assert len(programs) >= 20
    for program in programs:
        exec(compile(program, "python.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "torch.Size([64, 16])" in printed
    assert len(re.findall(r"^\S+ \[\S+, \S+\]$", printed, flags=re.MULTILINE)) == 5, "five figures with their intervals"


def test_the_files_in_the_readme_are_those_of_the_example() -> None:
    for kind, shown in zip(["data", "model"], _blocks("README.md", "yaml"), strict=True):
        file = (ROOT / "examples" / "digits" / f"digits.{kind}.yaml").read_text(encoding="utf-8")
        assert shown == file.partition("about:")[0]
