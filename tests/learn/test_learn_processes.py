"""Several processes learn as one does: each from its share of every batch, to the same weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from several import fitted, in_processes

if TYPE_CHECKING:
    from pathlib import Path


def agree(found: dict[str, Any], alone: dict[str, Any]) -> None:
    for name, value in found["weights"].items():
        torch.testing.assert_close(value, alone["weights"][name])
    for one, other in zip(found["losses"], alone["losses"], strict=True):
        assert one == pytest.approx(other, rel=1e-5)


@pytest.mark.parametrize("count", [2, 3])
def test_several_learn_as_one(count: int, tmp_path: Path) -> None:
    alone = fitted()
    several = in_processes(count, fitted, tmp_path)
    for found in several:
        agree(found, alone)
        assert all(torch.equal(value, found["weights"][name]) for name, value in several[0]["weights"].items())
