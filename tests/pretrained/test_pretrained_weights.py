"""Weights from files into modules: what fits, what does not, and what is refused."""

from __future__ import annotations

import json
import os
import pickle
import re
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from jumpml.core import PretrainedError, sha256_of
from jumpml.pretrained import Weights, fill, load_weights, read_weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def rows(count: int = 10) -> Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(1))


def weights(**tensors: Tensor) -> Weights:
    return Weights(source="w", sha256="", tensors={name.replace("__", "."): value for name, value in tensors.items()})


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.pth", "w.bin", "w.ckpt"])
def test_a_file_of_weights_fills_a_module(tmp_path: Path, name: str) -> None:
    module, other = nn.Linear(3, 2), nn.Linear(3, 2)
    write: Callable[[Any, Path], None] = save_file if name.endswith("safetensors") else torch.save  # type: ignore[assignment]
    write(module.state_dict(), tmp_path / name)
    record = load_weights(other, tmp_path / name)
    assert other(rows()).equal(module(rows()))
    assert (record.matched, record.whole) == (("weight", "bias"), True)
    assert record.sha256 == sha256_of(tmp_path / name)
    assert str(record) == f"2 of 2 weights from {tmp_path / name}"


def test_the_one_state_dict_inside_a_larger_file_is_found(tmp_path: Path) -> None:
    module = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(module.parameters())
    module(rows()).sum().backward()
    optimizer.step()
    torch.save({"epoch": 3, "optimizer": optimizer.state_dict(), "model": module.state_dict()}, tmp_path / "c.pt")
    assert load_weights(nn.Linear(3, 2), tmp_path / "c.pt").whole
    torch.save({"model": module.state_dict(), "ema": nn.Linear(3, 2).state_dict()}, tmp_path / "c.pt")
    with pytest.raises(PretrainedError, match=r"c\.pt holds several state_dicts; say which `part`: model, ema\.$"):
        read_weights(tmp_path / "c.pt")
    other = nn.Linear(3, 2)
    load_weights(other, tmp_path / "c.pt", part="model")
    assert other.weight.equal(module.weight)
    with pytest.raises(PretrainedError, match=r"c\.pt has no state_dict 'modle'\. Did you mean 'model'\?$"):
        read_weights(tmp_path / "c.pt", part="modle")


def test_a_model_folder_of_the_hub_is_read(tmp_path: Path) -> None:
    module = nn.Linear(3, 2)
    save_file(module.state_dict(), tmp_path / "model.safetensors")
    assert load_weights(nn.Linear(3, 2), tmp_path).matched == ("weight", "bias")


class Trap:
    """Its unpickling would run a program."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.proof}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_would_run_a_program_is_refused(tmp_path: Path, zipped: bool) -> None:
    trap = {"weight": torch.zeros(2, 3), "bias": Trap(tmp_path / "ran")}
    torch.save(trap, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    text = (
        rf"w\.pt is refused, and nothing of it was run: it asks for {os.system.__module__}\.system, which is no "
        r"tensor\. Reading such a file can run any code\. Take a safetensors file; or, if you trust where it comes "
        r"from, load it yourself and save its state_dict\(\) alone\.$"
    )
    with pytest.raises(PretrainedError, match=text):
        read_weights(tmp_path / "w.pt")
    assert not (tmp_path / "ran").exists()


def test_a_trap_is_a_trap(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Trap(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


def test_a_plain_pickle_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(pickle.dumps({"weight": Trap(tmp_path / "ran")}))
    with pytest.raises(
        PretrainedError, match=r"w\.pt is refused, and nothing of it was run: it holds more than tensors\."
    ):
        read_weights(tmp_path / "w.pt")
    assert not (tmp_path / "ran").exists()


def test_a_whole_pickled_module_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(3, 2), tmp_path / "w.pt")
    with pytest.raises(PretrainedError, match=r"it asks for torch\.nn\.modules\.linear\.Linear, which is no tensor\."):
        read_weights(tmp_path / "w.pt")


def test_damaged_files_are_named(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(100)}, tmp_path / "w.safetensors")
    whole = (tmp_path / "w.safetensors").read_bytes()
    for content, told in (
        (whole[:-10], "incomplete metadata, file not fully covered"),
        (whole[:5], "header too small"),
        (b"\xff" * 100, "header too large"),
        (whole[:8] + b"x" * 20 + whole[28:], "invalid JSON in header"),
    ):
        (tmp_path / "w.safetensors").write_bytes(content)
        size = f"{len(content)} bytes"
        text = rf"w\.safetensors: this is no whole safetensors file of {size}: .*{told}.* Fetch or write it again\.$"
        with pytest.raises(PretrainedError, match=text):
            read_weights(tmp_path / "w.safetensors")
    torch.save({"w": torch.zeros(100)}, tmp_path / "w.pt")
    whole = (tmp_path / "w.pt").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"hello"):
        (tmp_path / "w.pt").write_bytes(content)
        text = r"w\.pt: no weights can be read \(.*\)\. It is damaged, cut off, or no file of torch\.save\.$"
        with pytest.raises(PretrainedError, match=text):
            read_weights(tmp_path / "w.pt")


def test_files_that_are_not_there_or_hold_something_else(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(1)}, tmp_path / "encoder.safetensors")
    with pytest.raises(
        PretrainedError, match=r"there is no file .*encodr\.safetensors\. Did you mean 'encoder\.safetensors'\?$"
    ):
        read_weights(tmp_path / "encodr.safetensors")
    (tmp_path / "w.h5").write_bytes(b"")
    text = r"w\.h5: expected weights in \.safetensors, \.pt, \.pth, \.bin, \.ckpt; got \.h5\.$"
    with pytest.raises(PretrainedError, match=text):
        read_weights(tmp_path / "w.h5")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(PretrainedError, match=r"list\.pt: expected a state_dict, tensors by name; got a list\.$"):
        read_weights(tmp_path / "list.pt")
    torch.save({"epoch": 3, "loss": 0.5}, tmp_path / "dict.pt")
    with pytest.raises(PretrainedError, match=r"expected a state_dict, tensors by name; got a dict of epoch, loss\.$"):
        read_weights(tmp_path / "dict.pt")
    save_file({}, tmp_path / "none.safetensors")
    with pytest.raises(PretrainedError, match=r"none\.safetensors holds no weights\.$"):
        read_weights(tmp_path / "none.safetensors")
    with pytest.raises(PretrainedError, match=r"a safetensors file has no parts; leave 'ema' out\.$"):
        read_weights(tmp_path / "encoder.safetensors", part="ema")
    (tmp_path / "empty").mkdir()
    text = r"empty is neither a checkpoint, nor a run's folder, nor one with a model\.safetensors\."
    with pytest.raises(PretrainedError, match=text):
        read_weights(tmp_path / "empty")
    with pytest.raises(PretrainedError, match=r"a folder has no part 'ema'; a checkpoint has the part 'average'\.$"):
        read_weights(tmp_path / "empty", part="ema")


# --- fitting ----------------------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_told_whole() -> None:
    module = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))
    found = weights(
        **{
            "0__weight": torch.zeros(2, 3),
            "0__bais": torch.zeros(2),
            "2__weight": torch.zeros(5, 2),
            "4": torch.zeros(1),
        },
        **{"2__bias": torch.zeros(1, dtype=torch.int64)},
    )
    before = [value.clone() for value in module.state_dict().values()]
    with pytest.raises(PretrainedError) as error:
        fill(module, found)
    assert str(error.value) == (
        "w: these are not the weights of Sequential: 1 of 4 fit. Not in the file: 0.bias (the file has '0.bais'). Not "
        "in the module: 0.bais, 4. Of another shape or type: 2.weight (the file's is [5, 2] float32, the module's "
        "[1, 2] float32), 2.bias (the file's is [1] int64, the module's [1] float32). `strict: false` takes what fits."
    )
    assert all(a.equal(b) for a, b in zip(before, module.state_dict().values(), strict=True))
    record = fill(module, found, strict=False)
    assert (record.matched, record.missing, record.unexpected) == (("0.weight",), ("0.bias",), ("0.bais", "4"))
    assert list(record.unlike) == ["2.weight", "2.bias"]
    assert module[0].weight.count_nonzero() == 0  # pyright: ignore[reportCallIssue, reportArgumentType]
    assert str(record) == (
        "1 of 4 weights from w; not in the file: 0.bias; not in the module: 0.bais, 4; of another shape: 2.weight (the "
        "file's is [5, 2] float32, the module's [1, 2] float32), 2.bias (the file's is [1] int64, the module's [1] "
        "float32)"
    )


def test_nothing_that_fits_is_an_error_even_where_little_is_asked() -> None:
    with pytest.raises(
        PretrainedError, match=r"^w: these are not the weights of Linear: nothing fits\. Not in the file: "
    ):
        fill(nn.Linear(3, 2), weights(a=torch.zeros(1)), strict=False)


@pytest.mark.parametrize(
    ("strip", "prefix", "advice"),
    [("module.", "", "`strip: module.`"), ("", "net.", "`prefix: net.`"), ("a.b.", "", "`strip: a.b.`")],
)
def test_a_common_beginning_is_suggested(strip: str, prefix: str, advice: str) -> None:
    source, inner = nn.Linear(3, 2), nn.Linear(3, 2)
    module = nn.ModuleDict({"net": inner}) if prefix else inner
    found = Weights(source="w", sha256="", tensors={strip + name: value for name, value in source.state_dict().items()})
    with pytest.raises(PretrainedError, match=rf"nothing fits\. .* With {re.escape(advice)} 2 of 2 fit\.$"):
        fill(module, found)
    assert fill(module, found, strip=strip, prefix=prefix).whole
    assert inner.weight.equal(source.weight)


def test_strip_chooses_a_part_of_the_file() -> None:
    found = weights(backbone__weight=torch.ones(2, 3), backbone__bias=torch.ones(2), head__weight=torch.ones(1))
    assert fill(nn.Linear(3, 2), found, strip="backbone.").whole
    text = r"^w has no weight whose name begins with 'bakbone\.'; it begins with backbone\., head\.\.$"
    with pytest.raises(PretrainedError, match=text):
        fill(nn.Linear(3, 2), found, strip="bakbone.")


def test_a_wrong_strip_is_told() -> None:
    found = weights(net__weight=torch.ones(2, 3), net__bias=torch.ones(2))
    with pytest.raises(PretrainedError, match=r"With `strip: net\.` 2 of 2 fit\.$"):
        fill(nn.Linear(3, 2), found, strip="net")
    with pytest.raises(PretrainedError, match=r"With neither strip nor prefix 2 of 2 fit\.$"):
        fill(nn.Linear(3, 2), weights(weight=torch.ones(2, 3), bias=torch.ones(2)), prefix="net.")


def test_tied_weights_are_in_files_once() -> None:
    module = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5, bias=False))
    module[1].weight = module[0].weight
    assert fill(module, weights(**{"0__weight": torch.ones(5, 3)})).whole


def test_older_batch_normalization_and_half_precision() -> None:
    module = nn.BatchNorm1d(2)
    state = {name: value.half() for name, value in module.state_dict().items() if name != "num_batches_tracked"}
    assert fill(module, Weights(source="w", sha256="", tensors=state)).whole
    assert module.weight.dtype == torch.float32


def test_a_lazy_module_takes_the_shapes_of_the_file() -> None:
    source = nn.Linear(3, 2)
    module = nn.LazyLinear(2)
    assert fill(module, Weights(source="w", sha256="", tensors=source.state_dict())).whole
    assert module(rows()).equal(source(rows()))


@settings(max_examples=30, deadline=None)
@given(taken=st.sets(st.sampled_from(range(6))), strip=st.sampled_from(["", "a.", "m.n."]))
def test_a_partial_file_changes_what_it_holds_and_nothing_else(taken: set[int], strip: str) -> None:
    module = nn.Sequential(*(nn.Linear(2, 2, bias=False) for _ in range(6)))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    found = {f"{strip}{place}.weight": torch.full((2, 2), float(place)) for place in taken}
    if not found:
        return
    record = fill(module, Weights(source="w", sha256="", tensors=found), strip=strip, strict=False)
    assert set(record.matched) | set(record.missing) == set(before)
    for name, value in module.state_dict().items():
        place = int(name.split(".")[0])
        assert value.equal(torch.full((2, 2), float(place)) if place in taken else before[name])


# --- JumpML's own -----------------------------------------------------------------------------------------------------


def test_a_node_of_a_model_is_found_by_name() -> None:
    found = weights(
        **{"node_encoder.weight": torch.ones(2, 3), "node_names_.bias": torch.ones(2)},
        **{"objective_agree.bias": torch.zeros(1)},
    )
    assert found.nodes == ("encoder", "names_")
    assert list(found.of_node("encoder").tensors) == ["weight"]
    assert list(found.of_node("names").tensors) == ["bias"]
    with pytest.raises(PretrainedError, match=r"^w has no weights of a node 'encodr'\. Did you mean 'encoder'\?$"):
        found.of_node("encodr")
    with pytest.raises(PretrainedError, match=r"^w is no JumpML model's, so that it has no node 'encoder'\.$"):
        weights(weight=torch.ones(1)).of_node("encoder")


def checkpoint(folder: Path, value: float, best: list[Any] | None = None) -> None:
    folder.mkdir(parents=True)
    save_file({"node_a.weight": torch.full((1,), value)}, folder / "model.safetensors")
    (folder / "state.json").write_text(json.dumps({"$dict": [["progress", {"$dict": [["best", best]]}]]}))
    save_file({"/hooks/ema/average/module.node_a.weight": torch.full((1,), -value)}, folder / "state.safetensors")
    sums = {path.name: sha256_of(path) for path in folder.iterdir()}
    (folder / "manifest.json").write_text(json.dumps(sums))


def test_a_run_stands_for_its_best_checkpoint_or_its_newest(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for step in (10, 20):
        checkpoint(run / "checkpoints" / f"step-{step:08d}", step)
    assert read_weights(run).tensors["node_a.weight"] == 20
    checkpoint(run / "checkpoints" / "step-00000030", 30, best=[0.9, 10])
    assert read_weights(run).tensors["node_a.weight"] == 10
    assert read_weights(run / "checkpoints").tensors["node_a.weight"] == 10
    assert read_weights(run / "checkpoints" / "step-00000020").tensors["node_a.weight"] == 20
    assert read_weights(run, part="average").tensors["node_a.weight"] == -10


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    checkpoint(tmp_path / "step-00000010", 10)
    path = tmp_path / "step-00000010" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(PretrainedError, match=r"model\.safetensors is damaged: its checksum is not the one"):
        read_weights(tmp_path / "step-00000010")
    (tmp_path / "step-00000010" / "manifest.json").write_text("{")
    with pytest.raises(PretrainedError, match=r"manifest\.json is damaged"):
        read_weights(tmp_path / "step-00000010")
    (tmp_path / "step-00000010" / "state.json").write_text("{}")
    with pytest.raises(PretrainedError, match=r"step-00000010 is no whole checkpoint: KeyError"):
        read_weights(tmp_path)
    save_file({"a": torch.zeros(1)}, tmp_path / "step-00000010" / "state.safetensors")
    (tmp_path / "step-00000010" / "manifest.json").unlink()
    with pytest.raises(
        PretrainedError, match=r"the run kept no average of its weights, so that it has no 'average'\.$"
    ):
        read_weights(tmp_path / "step-00000010", part="average")
