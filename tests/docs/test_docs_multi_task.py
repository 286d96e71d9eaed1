"""The page on several tasks: each model that it shows is loaded with the example's data, and learns."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import jumpml
from jumpml.core import DataSpec, load_spec
from jumpml.learn import Learner, Phase

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "multi-task.md").read_text(encoding="utf-8")
FILES = [
    yaml.safe_load(block) for block in re.findall(r"^```yaml\n(?!--8<--)(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
]
PATTERNS = [file for file in FILES if {"nodes", "tasks"} <= file.keys() and "datasets" not in file]


def test_each_pattern_is_there() -> None:
    modules = {node.get("module") for file in PATTERNS for node in file["nodes"].values()}
    names = ("CrossStitch", "MMoE", "PLE", "TaskAdapter", "Head")
    assert {f"jumpml.blocks.{name}" for name in names} <= modules
    assert len(PATTERNS) >= 5


@pytest.mark.parametrize("file", PATTERNS)
def test_a_pattern_learns(file: dict[str, Any]) -> None:
    data = load_spec(DataSpec, ROOT / "examples" / "multi_task" / "multi_task.data.yaml")
    loaders = jumpml.create_dataloader(data)
    model = jumpml.load_model({"seed": 0, **file}, loaders)
    before = {name: value.clone() for name, value in model.named_parameters()}
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    learner = Learner(loaders, model, optimizer, phases={"supervised": Phase(epochs=2)})
    first, last = learner.fit().epochs
    assert {*last.losses} == {"digit", "parity", "total"}
    assert all(last.losses[name] < first.losses[name] for name in last.losses)
    assert not [name for name, value in model.named_parameters() if torch.equal(value, before[name])]
