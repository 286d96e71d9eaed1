"""Checkpoints: whole or not there; a damaged one is noticed, named, and the one before it used."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jumpml.core import CheckpointError
from jumpml.learn import Checkpoints

if TYPE_CHECKING:
    from pathlib import Path


def state_of(step: int) -> dict[str, Any]:
    """A state with everything that an optimizer's or a generator's may hold."""
    return {
        "model": {"weight": torch.full((3, 2), float(step)), "tied": torch.arange(4)},
        "optimizer": {"state": {0: {"step": torch.tensor(3.0), "momentum": None}}, "param_groups": [{"lr": 0.1}]},
        "progress": {"step": step, "ended": ["a"], "best": None},
    }


def equal(a: Any, b: Any) -> bool:
    """Whether two nested states are the same, types of keys included."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and a == b


def test_equal_can_fail() -> None:
    assert not equal({"a": torch.ones(2)}, {"a": torch.zeros(2)})
    assert not equal({1: 0}, {"1": 0})
    assert not equal([1], [1.0])
    assert not equal({"a": 1}, {})


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(7, state_of(7))
    loaded = checkpoints.load(7)
    assert equal({key: loaded[key] for key in state_of(7)}, state_of(7))


def test_tied_weights_can_be_saved(tmp_path: Path) -> None:
    weight = torch.arange(6.0)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"model": {"a": weight, "b": weight.view(2, 3)}})
    assert torch.equal(checkpoints.load(1)["model"]["b"].flatten(), weight)


def test_the_newest_stay_and_the_protected_one(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in range(1, 6):
        checkpoints.save(step, state_of(step), protect=2)
    assert checkpoints.steps() == [2, 4, 5]


def test_latest_is_none_where_nothing_was_saved(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "none").latest() is None


@pytest.mark.parametrize("name", ["model.safetensors", "state.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, damage: str
) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, state_of(1))
    file = checkpoints.save(2, state_of(2)) / name
    content = bytearray(file.read_bytes())
    if damage == "remove":
        file.unlink()
    else:
        content[len(content) // 2] ^= 1
        file.write_bytes(content if damage == "flip" else content[: len(content) // 2])
    with caplog.at_level(logging.WARNING, logger="jumpml"):
        state = checkpoints.latest()
    assert state is not None
    assert state["progress"]["step"] == 1
    assert "step-00000002" in caplog.text
    assert "The checkpoint before it is used." in caplog.text


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Checkpoints:
    checkpoints = Checkpoints(tmp_path_factory.mktemp("pair"))
    checkpoints.save(1, state_of(1))
    checkpoints.save(2, state_of(2))
    return checkpoints


@given(
    name=st.sampled_from(["model.safetensors", "state.safetensors", "state.json", "manifest.json"]),
    place=st.floats(0, 1, exclude_max=True),
    flip=st.integers(0, 255),
)
def test_any_byte_that_is_flipped_or_cut_off_is_noticed(pair: Checkpoints, name: str, place: float, flip: int) -> None:
    file = pair.path(2) / name
    content = file.read_bytes()
    at = int(place * len(content))
    file.write_bytes(content[:at] + bytes([content[at] ^ flip]) + content[at + 1 :] if flip else content[:at])
    try:
        state = pair.latest()
    finally:
        file.write_bytes(content)
    assert state is not None
    # a manifest may lose what means nothing: a space, or the end of its last line
    whole = name == "manifest.json" and state["progress"]["step"] == 2
    assert equal({key: state[key] for key in state_of(1)}, state_of(2 if whole else 1))


def test_all_damaged_is_an_error_and_never_a_fresh_start(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    path = checkpoints.save(1, state_of(1))
    (path / "state.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"no checkpoint in .* is whole:\n.*state\.json is damaged: its checksum"):
        checkpoints.latest()


def test_a_manifest_that_lacks_a_file_is_damage(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    path = checkpoints.save(1, state_of(1))
    (path / "manifest.json").write_text(json.dumps({}))
    with pytest.raises(CheckpointError, match=r"manifest\.json is damaged"):
        checkpoints.load(1)


def test_a_full_disk_is_reported_and_the_old_checkpoints_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, state_of(1))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(
        CheckpointError, match=r"the checkpoint of step 2 could not be written .*No space left.*untouched"
    ):
        checkpoints.save(2, state_of(2))
    monkeypatch.undo()
    assert checkpoints.steps() == [1]
    assert not list(tmp_path.glob(".*"))


def test_a_torn_write_is_not_taken_for_a_checkpoint(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, state_of(1))
    (tmp_path / ".step-00000002.99.tmp").mkdir()
    assert checkpoints.steps() == [1]


def test_forgetting_removes_only_what_came_after(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=5)
    for step in (1, 2, 3):
        checkpoints.save(step, state_of(step))
    checkpoints.forget_after(2)
    assert checkpoints.steps() == [1, 2]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.integers(0, 9) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(value=values)
def test_any_plain_value_survives(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    checkpoints = Checkpoints(tmp_path_factory.mktemp("any"))
    checkpoints.save(1, {"model": {}, "value": value})
    assert equal(checkpoints.load(1)["value"], value)


def test_what_a_kill_left_is_put_right(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=1)
    whole = checkpoints.save(1, state_of(1))
    whole.rename(tmp_path / ".step-00000001.old")  # killed after the old one was set aside, before the new had its name
    (tmp_path / ".step-00000001.tmp").mkdir()
    state = checkpoints.latest()
    assert state is not None
    assert state["progress"]["step"] == 1
    checkpoints.save(1, state_of(1))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
