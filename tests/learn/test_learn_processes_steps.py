"""A step of several processes: its precision, its clipping, what lies in memory how, and what it sends and reads."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from several import in_processes
from several_balanced import added_up, by_hand, learned

from jumpml.learn import Compile

HALF = {"precision": "float16"}
LEARNED: dict[str, dict[str, Any]] = {
    "clip_norm": {"options": {"clip_norm": 0.1, "accumulate": 2}},
    "compiled": {"options": {"compile": Compile(backend="eager")}, "balance": {"kind": "uncertainty"}},
    "clip_value": {"options": {"clip_value": 0.01}},
    "images": {"images": True, "options": {"channels_last": True}},
    "images, upgrad": {"images": True, "options": {"channels_last": True}, "balance": {"kind": "upgrad"}},
    "images, mgda at": {"images": True, "options": {"channels_last": True}, "balance": {"kind": "mgda", "at": "trunk"}},
    "bfloat16": {"options": {"precision": "bfloat16", "accumulate": 2}},
    "bfloat16, upgrad": {"options": {"precision": "bfloat16", "clip_norm": 1.0}, "balance": {"kind": "upgrad"}},
    "bfloat16, famo": {"options": {"precision": "bfloat16", "accumulate": 2}, "balance": {"kind": "famo"}},
    "full": {"full": True, "later": True, "options": {"clip_norm": 0.1, "accumulate": 2}},
    "full, uncertainty": {"full": True, "later": True, "balance": {"kind": "uncertainty"}},
    "full, famo": {"full": True, "balance": {"kind": "famo"}, "options": {"accumulate": 2}},
    "full, gradnorm": {"full": True, "balance": {"kind": "gradnorm", "at": "trunk"}},
    "full, upgrad": {"full": True, "later": True, "balance": {"kind": "upgrad"}, "options": {"accumulate": 3}},
    "full, mgda at": {
        "full": True,
        "balance": {"kind": "mgda", "at": "trunk"},
        "later": True,
        "options": {"accumulate": 2},
    },
    "full, float16": {"full": True, "options": HALF, "huge": 900.0, "epochs": 2, "scale": 1024.0},
    "float16": {"options": HALF, "huge": 500.0, "epochs": 2, "scale": 1024.0},
    "float16, clip_norm": {"options": {**HALF, "clip_norm": 0.5}, "scale": 1024.0},
    "float16, gradnorm": {"options": HALF, "scale": 1024.0, "balance": {"kind": "gradnorm", "at": "trunk"}},
    "float16, upgrad": {"options": HALF, "huge": 500.0, "epochs": 2, "scale": 1024.0, "balance": {"kind": "upgrad"}},
    "float16, mgda at": {
        "options": HALF,
        "huge": 500.0,
        "epochs": 2,
        "scale": 1024.0,
        "balance": {"kind": "mgda", "at": "trunk"},
    },
}
TOLD: dict[str, tuple[dict[str, Any], int]] = {  # counts and gradients, and what balancers need of each other
    "full": ({"full": True}, 1),  # with the gradients goes how many rows there are
    "full, accumulated": ({"full": True, "options": {"accumulate": 2, "clip_norm": 1.0}}, 1),
    "full, float16": ({"full": True, "options": HALF}, 1),
    "full, cosines": ({"full": True, "cosines": {"every": 1}}, 2),
    "full, cosines at": ({"full": True, "cosines": {"every": 1, "at": "trunk"}}, 2),
    "full, famo": ({"full": True, "balance": {"kind": "famo"}}, 2),
    "full, gradnorm": ({"full": True, "balance": {"kind": "gradnorm", "at": "trunk"}}, 4),
    "full, upgrad": ({"full": True, "balance": {"kind": "upgrad"}}, 2),
    "full, upgrad at": ({"full": True, "balance": {"kind": "upgrad", "at": "trunk"}}, 3),
    "sum": ({}, 2),
    "accumulated": ({"options": {"accumulate": 2, "clip_norm": 1.0}}, 2),
    "float16": ({"options": HALF}, 2),
    "cosines, of others": ({"cosines": {"every": 50}}, 2),
    "cosines": ({"cosines": {"every": 1}}, 3),
    "cosines at": ({"cosines": {"every": 1, "at": "trunk"}}, 3),
    "dwa": ({"balance": {"kind": "dwa"}}, 2),
    "uncertainty": ({"balance": {"kind": "uncertainty"}}, 3),
    "famo": ({"balance": {"kind": "famo"}}, 3),
    "famo, accumulated": ({"balance": {"kind": "famo"}, "options": {"accumulate": 2}}, 3),
    "gradnorm": ({"balance": {"kind": "gradnorm", "at": "trunk"}}, 4),
    "upgrad": ({"balance": {"kind": "upgrad"}}, 3),
    "upgrad at": ({"balance": {"kind": "upgrad", "at": "trunk"}}, 3),
    "upgrad at, accumulated": ({"balance": {"kind": "upgrad", "at": "trunk"}, "options": {"accumulate": 2}}, 4),
}

RESUMED: list[dict[str, Any]] = [
    {"balance": {"kind": "pcgrad", "at": "trunk"}, "epochs": 2},
    {"balance": {"kind": "famo"}, "epochs": 2, "options": {"accumulate": 2}},
    {"balance": {"kind": "dwa"}, "epochs": 3},
]
BY_HAND: list[dict[str, Any]] = [{}, {"full": True, "later": True}, {"full": True, "balance": {"kind": "upgrad"}}]


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    tell, folder = [case for case, _ in TOLD.values()], tmp_path_factory.mktemp("several")
    return in_processes(2, added_up, folder, [*LEARNED.values()], tell, RESUMED, BY_HAND, folder / "runs")


@pytest.fixture(scope="module")
def alone() -> dict[str, dict[str, Any]]:
    return dict(zip(LEARNED, learned([*LEARNED.values()]), strict=True))


@pytest.mark.parametrize("name", LEARNED)
def test_in_any_precision_and_layout(
    name: str, several: list[dict[str, Any]], alone: dict[str, dict[str, Any]]
) -> None:
    first, second = (found["learned"][[*LEARNED].index(name)] for found in several)
    relative, absolute = (0.02, 0.01) if "16" in name else (1e-5, 1e-6)
    for key, value in first["weights"].items():
        assert torch.equal(value, second["weights"][key])
        torch.testing.assert_close(value, alone[name]["weights"][key], rtol=relative, atol=absolute)
    assert first["update"] == second["update"] == alone[name]["update"]


def test_steps_by_hand_may_have_other_rows_in_each(several: list[dict[str, Any]]) -> None:
    first, second = (found["by hand"] for found in several)
    for own, other, alone in zip(first, second, by_hand(BY_HAND), strict=True):
        for key, value in own.items():
            assert torch.equal(value, other[key])
            torch.testing.assert_close(value, alone[key], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["float16", "full, float16", "float16, upgrad", "float16, mgda at"])
def test_an_overflow_in_one_process_skips_the_update_in_all(name: str, several: list[dict[str, Any]]) -> None:
    found = [each["learned"][[*LEARNED].index(name)] for each in several]
    if name.endswith("float16"):  # otherwise gradients wait apart
        finite = list(zip(*(each["finite"] for each in found), strict=True))
        assert sum(own != other for own, other in finite) == 2  # an epoch's one row
        assert (False, False) not in finite
    assert [each["update"]["scale"] for each in found] == [256.0, 256.0]  # half of it twice
    assert all(bool(value.isfinite().all()) for each in found for value in each["weights"].values())


def test_what_balancers_know_goes_on_in_all(several: list[dict[str, Any]]) -> None:
    for found in several:
        assert found["resumed"] == [(True, False)] * len(RESUMED)


@pytest.mark.parametrize("name", TOLD)
def test_what_a_step_sends_and_reads(name: str, several: list[dict[str, Any]]) -> None:
    for found in several:
        sent, read = found["told"][[*TOLD].index(name)]
        assert sent == {"all_reduce": TOLD[name][1]}
        if not any(kind in name for kind in ("upgrad", "float16")):  # these ask the host, as in one process
            assert not read


def test_sums_of_whatever_type_and_layout(several: list[dict[str, Any]]) -> None:
    for found in several:
        for (_, total), own in zip(found["sums"], found["own"], strict=True):
            assert torch.equal(torch.tensor(total), 2 * torch.tensor(own))
        kinds = [kind.removeprefix("torch.") for kind, _ in found["sums"]]
        assert kinds == ["bfloat16", "int64", "float32", "int32", "float16", "float32", "float32"]
        assert found["laid out"] == (True, True, None)
        assert found["new"].startswith("distribute: a gradient reaches what none reached in the first step")
        assert found["sparse"].startswith("distribute: a gradient is sparse")
        assert found["sparse"].endswith("Make the module with sparse=False.")
