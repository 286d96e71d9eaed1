"""What the pages show in Python runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

DOCS = Path(__file__).parents[2] / "docs"


def _programs(page: str) -> list[str]:
    """The Python blocks of a page but for those that are files of the project, which have tests of their own."""
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [block for block in blocks if "--8<--" not in block]


def test_python_without_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    programs = _programs("python.md")
    assert len(programs) == 4
    for program in programs:
        exec(compile(program, "python.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "torch.Size([64, 16])" in printed
    assert len(re.findall(r"^\S+ \[\S+, \S+\]$", printed, flags=re.MULTILINE)) == 2, "two figures with their intervals"
