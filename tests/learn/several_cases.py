"""Many runs in one start of several processes, and what they end with beside what one process ends with."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from several import in_processes

from jumpml.core import JumpMLError

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path


def run_all(module: str, folder: Path) -> dict[str, Any]:
    """What each of a module's ``CASES`` gives, by name: a result, or the text of an error."""
    found: dict[str, Any] = {}
    for name, case in import_module(module).CASES.items():
        try:
            found[name] = case(folder / name)
        except JumpMLError as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found


def beside(module: str, folder: Path, count: int = 2) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What a module's cases give in one process, and in each of several."""
    for one in ("alone", "several", "meet"):
        (folder / one).mkdir()
    alone = run_all(module, folder / "alone")
    return alone, in_processes(count, run_all, folder / "meet", module, folder / "several")


def learn_as_one(name: str, found: tuple[dict[str, Any], list[dict[str, Any]]], *, own: Container[str]) -> None:
    """A case ends alike in both processes, to the bit; and as in one, but where something is each process's own."""
    alone, (first, second) = found
    assert isinstance(alone[name], dict), alone[name]  # no error
    agree(first[name], second[name], rel=0)
    if name not in own:
        agree(first[name], alone[name])


def agree(one: Any, other: Any, *, rel: float = 1e-4, at: str = "") -> None:
    """Within rounding, or with 0 to the bit; nested as may be."""
    if isinstance(one, np.ndarray):
        one, other = torch.from_numpy(one), torch.from_numpy(other)
    if isinstance(one, torch.Tensor):
        torch.testing.assert_close(
            one, other, rtol=rel, atol=rel / 10, equal_nan=True, msg=lambda text: f"{at}: {text}"
        )
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), at
        for key in one:
            agree(one[key], other[key], rel=rel, at=f"{at}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), at
        for place, (mine, its) in enumerate(zip(one, other, strict=True)):
            agree(mine, its, rel=rel, at=f"{at}/{place}")
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=rel, abs=rel / 10, nan_ok=True), at
    else:
        assert one == other, at
