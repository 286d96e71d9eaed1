"""The page on curricula: each learner file that it shows is learned by, on the example's data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import jumpml

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "multi_task"
PAGE = (ROOT / "docs" / "curriculum.md").read_text(encoding="utf-8")
FILES = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)]


def test_teacher_pacing_and_examples_are_shown() -> None:
    assert {"teacher", "arms", "reward", "pacing", "difficulty", "examples"} <= {
        key for file in FILES for key in file["curriculum"]
    }


@pytest.mark.parametrize("file", FILES)
def test_a_file_is_learned_by(file: dict[str, Any]) -> None:
    loaders = jumpml.create_dataloader(EXAMPLE / "multi_task.data.yaml")
    model = jumpml.load_model(EXAMPLE / "multi_task.model.yaml", loaders)
    told = {"optimizer": {"kind": "adam", "lr": 0.003}, **file, "phases": {"supervised": {"epochs": 2}}, "log": []}
    learner = jumpml.create_learner(loaders, model, None, told)
    first, last = learner.fit().epochs
    assert last.losses["total"] < first.losses["total"]
