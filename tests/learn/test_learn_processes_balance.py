"""Several processes balance as one does: the same weights, multipliers and cosines, whoever has which rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from several import in_processes
from several_balanced import learned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

GRADIENTS = ("upgrad", "pcgrad", "cagrad", "mgda", "nash_mtl", "imtl_g", "aligned_mtl")
EVERY: dict[str, dict[str, Any]] = {
    **{kind: {"kind": kind} for kind in ("uncertainty", "dwa", "famo", *GRADIENTS)},
    **{f"{kind} at": {"kind": kind, "at": "trunk"} for kind in ("gradnorm", "feature_norm", *GRADIENTS)},
}
TWO = {"options": {"accumulate": 2}}  # seven batches an epoch: the last update has one
CASES: dict[str, dict[str, Any]] = {
    "sum": {},
    **{name: {"balance": balance} for name, balance in EVERY.items()},
    "dwa": {"balance": EVERY["dwa"], "epochs": 3},  # of which the third is the first with weights
    **{
        f"{name}, 2 batches": {"balance": EVERY[name], **TWO} for name in ("uncertainty", "famo", "upgrad", "pcgrad at")
    },
    **{
        f"{name}, moved and stopped": {"balance": EVERY[name], "moving": True, "epochs": 2, "stop_after": 1, **TWO}
        for name in ("dwa", "mgda", "gradnorm at", "feature_norm at")
    },
    **{
        f"{name}, taught": {"balance": EVERY[name], "over": ["kind", "size"], "taught": True}
        for name in ("uncertainty", "famo", "cagrad", "nash_mtl at", "gradnorm at")
    },
    **{f"{name}, later": {"balance": EVERY[name], "later": True} for name in ("famo", "imtl_g")},
    "sum, later": {"later": True},
    **{
        f"{name}, loose": {"balance": EVERY[name], "loose": True}
        for name in ("uncertainty", "aligned_mtl", "upgrad at", "gradnorm at")
    },
    "sum, loose": {"loose": True},
    "cosines, loose": {"loose": True, "cosines": {"every": 1}, **TWO},
    "cosines": {"cosines": {"every": 2}},
    "cosines at": {"cosines": {"every": 2, "at": "trunk"}, **TWO},
    "cosines, moved and stopped": {"cosines": {"every": 1}, "moving": True, "epochs": 2, "stop_after": 1},
}
FEWER = ("pcgrad", "famo", "gradnorm at", "pcgrad at, 2 batches")


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """To the bit."""
    return bool(first) and all(torch.equal(value, second[name]) for name, value in first.items())


def agree(found: Mapping[str, Any], alone: Mapping[str, Any], name: str) -> None:
    """Up to rounding."""
    for key, value in alone["weights"].items():
        torch.testing.assert_close(found["weights"][key], value, rtol=1e-5, atol=1e-6, msg=lambda m: f"{name}: {m}")
    for one, other in zip(found["losses"], alone["losses"], strict=True):
        assert one == pytest.approx(other, rel=1e-5), name


def see_who_has_rows(several: Sequence[Mapping[str, Any]]) -> None:
    """There are steps in which one process has rows of an objective and the other none, and some without any."""
    rows = [[step["size"] for step in found["present"]] for found in several]
    had = {tuple(count > 0 for count in step) for step in zip(*rows, strict=True)}
    assert had == {(True, True), (True, False), (False, True), (False, False)}


@pytest.mark.parametrize("count", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_several_balance_as_one(count: int, tmp_path: Path) -> None:
    cases = CASES if count == 2 else {name: CASES[name] for name in CASES if name in FEWER}
    alone = dict(zip(cases, learned([*cases.values()]), strict=True))
    several = in_processes(count, learned, tmp_path, [*cases.values()])
    for name, *found in zip(cases, *several, strict=True):
        first, *others = found
        agree(first, alone[name], name)
        assert all(same(first["weights"], other["weights"]) for other in others), name
        for step, (one, other) in enumerate(zip(first["log"], alone[name]["log"], strict=True), 1):
            told = (
                {key: one[key] for key in other} if "loose" in name else one
            )  # a multiplier more, of what is not there
            assert told == pytest.approx(other, rel=1e-4, abs=1e-5), (name, step)
    if count == 2:
        by_name = dict(zip(cases, several[0], strict=True))
        see_who_has_rows([found[0] for found in several])
        assert same(by_name["sum"]["weights"], by_name["cosines"]["weights"])  # a look changes no bit
        for name in EVERY:
            assert not same(by_name["sum"]["weights"], by_name[name]["weights"]), name
            assert any(key.startswith("balance/") for key in by_name[name]["log"][-1]), name
