"""Teachers, pacing and what single rows count, in several processes: all choose and weigh as one process does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import several_taught
from several_cases import agree, beside

if TYPE_CHECKING:
    from pathlib import Path

OWN = {"views and noise"}  # noise and batch normalization are each process's own, and so its losses


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    folder: Path = tmp_path_factory.mktemp("taught")
    return beside("several_taught", folder)


@pytest.mark.parametrize("name", several_taught.CASES)
def test_several_processes_choose_and_weigh_as_one(name: str, found: Any) -> None:
    alone, (first, second) = found
    assert isinstance(alone[name], dict), alone[name]  # no error
    agree(first[name], second[name], rel=0)
    if name not in OWN:
        agree(first[name], alone[name])
