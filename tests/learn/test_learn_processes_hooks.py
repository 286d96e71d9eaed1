"""What joins the loop, in several processes: all know the same, and what one process would know."""

from __future__ import annotations

from typing import Any

import pytest
import several_hooks
from several_cases import agree, beside, learn_as_one

# noise, batch normalization and what compares the rows of a batch are each process's own: its losses are others
STOPPED = {name for name in several_hooks.CASES if name.endswith("stopped")}
OWN = STOPPED | {
    "ema and normalization",
    "swa and normalization",
    "lwf and l2_sp",
    "moco of several batches",
    "contrast",
    "adapt",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    return beside("several_hooks", tmp_path_factory.mktemp("hooks"))


@pytest.mark.parametrize("name", several_hooks.CASES)
def test_several_processes_know_what_one_knows(name: str, found: Any) -> None:
    learn_as_one(name, found, own=OWN)


@pytest.mark.parametrize("name", sorted(STOPPED))
def test_a_run_that_was_stopped_ends_as_one_that_was_not(name: str, found: Any) -> None:
    for runs in (found[0], *found[1]):
        agree(runs[name]["whole"], runs[name]["parts"], rel=0)
