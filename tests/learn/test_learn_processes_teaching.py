"""Teachers, pacing and what single rows count, in several processes: all choose and weigh as one process does."""

from __future__ import annotations

from typing import Any

import pytest
import several_taught
from several_cases import beside, learn_as_one

OWN = {"views and noise"}  # noise and batch normalization are each process's own, and so its losses


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    return beside("several_taught", tmp_path_factory.mktemp("taught"))


@pytest.mark.parametrize("name", several_taught.CASES)
def test_several_processes_choose_and_weigh_as_one(name: str, found: Any) -> None:
    learn_as_one(name, found, own=OWN)
