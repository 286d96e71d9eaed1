"""The reference pages say every key of the four files and every command, as the program itself knows them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jumpml.cli import app
from jumpml.core import SPECS, json_schema

if TYPE_CHECKING:
    from types import ModuleType

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    specification = importlib.util.spec_from_file_location("docs_hooks", DOCS / "hooks.py")
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def _keys(node: Any) -> set[str]:
    """Every key that a schema knows, but for the kinds, which stand in the sections' titles."""
    found = set()
    if isinstance(node, dict):
        properties = node.get("properties", {})
        found = {key for key, value in properties.items() if not (key == "kind" and "const" in value)}
        found |= {key for value in node.values() for key in _keys(value)}
    if isinstance(node, list):
        found = {key for value in node for key in _keys(value)}
    return found - {"upto", "only"}  # a pattern's, told in the value's words


@pytest.mark.parametrize("kind", SPECS)
def test_each_key_has_a_row_with_a_meaning(kind: str, hooks: ModuleType) -> None:
    page = hooks.on_page_markdown((DOCS / "files" / f"{kind}.md").read_text(encoding="utf-8"), page=None)
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \| (.*) \|$", page, flags=re.MULTILINE)
    assert {row[0] for row in rows} == _keys(json_schema(kind))
    without = [row for row in rows if not row[3]]
    assert not without


@pytest.mark.parametrize("kind", SPECS)
def test_each_link_has_its_section(kind: str, hooks: ModuleType) -> None:
    page = hooks.file_keys(kind)
    anchors = re.findall(r"\{#(\w+)\}", page)
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r"\]\(#(\w+)\)", page)) <= set(anchors)


def test_bounds_choices_and_kinds_are_told_in_words(hooks: ModuleType) -> None:
    data = hooks.file_keys("data")
    assert "| `degrees` | number above 0 and at most 180 | *required* | The most that it turns, either way. |" in data
    assert "### `datasets.NAME.source` of kind `csv` {#csvsource}" in data
    assert '| `delimiter` | one character | `","` |' in data
    assert '| `duplicates` | `refuse`, `together`, `allow` | `"refuse"` |' in data
    assert "| `kind` | mapping" not in data
    assert "mapping of kind [`arrow`](#arrowsource), [`audio`](#audiosource), [`csv`](#csvsource)" in data
    assert "[`webdataset`](#webdatasetsource), or [mapping](#splitsources) | *required*" in data


def test_the_command_page_has_the_help_of_every_command(hooks: ModuleType) -> None:
    source = (DOCS / "command-line.md").read_text(encoding="utf-8")
    names = [command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands]
    assert re.findall(r"^<!-- help: ([\w-]+) -->$", source, flags=re.MULTILINE) == names
    page = hooks.on_page_markdown(source)
    assert all(f"Usage: jumpml {name} [OPTIONS]" in page for name in names)


def test_a_command_that_does_not_exist_fails_the_build(hooks: ModuleType) -> None:
    with pytest.raises(ValueError, match="jumpml has no command 'runn'"):
        hooks.command_help("runn")
