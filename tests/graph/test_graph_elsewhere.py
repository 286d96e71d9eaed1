"""Nodes that were made elsewhere: weights from files and runs, models of hubs, ONNX files."""

from __future__ import annotations

import copy
import logging
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor, nn

import jumpml
from jumpml.core import FieldInfo, GraphError, JumpMLError, ModelSpec, PretrainedError, SpecError, ValueInfo, load_spec
from jumpml.graph import Model, Node
from jumpml.pretrained import OnnxModel

if TYPE_CHECKING:
    from collections.abc import Iterator

ENCODER = {"module": "torch.nn.LazyLinear", "inputs": "x", "args": {"out_features": 3}}


def spec(**encoder: Any) -> dict[str, Any]:
    """A model of an encoder and a head."""
    nodes = {
        "encoder": {**ENCODER, **encoder},
        "out": {"module": "torch.nn.LazyLinear", "inputs": "encoder", "args": {"out_features": 2}},
    }
    tasks = {"y": {"kind": "multiclass", "output": "out", "target": "y"}}
    return {"seed": 0, "inputs": {"x": {"shape": [4]}}, "nodes": nodes, "tasks": tasks}


def written(folder: Path, name: str = "m", **encoder: Any) -> Path:
    path = folder / f"{name}.model.yaml"
    path.write_text(yaml.safe_dump(spec(**encoder), sort_keys=False, width=200))
    return path


def refused(path: Path) -> str:
    with pytest.raises(JumpMLError) as error:
        jumpml.load_model(path)
    return str(error.value)


def run_of(folder: Path, **encoder: Any) -> Model:
    """A run's folder, as far as nodes can be taken from it."""
    made = jumpml.load_model(spec(**encoder), seed=5)
    (folder / "specs").mkdir(parents=True)
    written(folder / "specs", "old", **encoder)
    checkpoint = folder / "checkpoints" / "step-00000007"
    checkpoint.mkdir(parents=True)
    save_file(made.state_dict(), checkpoint / "model.safetensors")
    (checkpoint / "state.json").write_text('{"$dict": [["progress", {"$dict": [["best", null]]}]]}')
    return made


# --- weights ----------------------------------------------------------------------------------------------------------


def test_a_node_begins_with_weights_from_a_file(tmp_path: Path) -> None:
    source = nn.Linear(4, 3)
    torch.save({f"module.{name}": value for name, value in source.state_dict().items()}, tmp_path / "w.pt")
    model = jumpml.load_model(written(tmp_path, weights={"file": "w.pt", "strip": "module."}))
    x = torch.randn(5, 4)
    assert model({"x": x}, outputs=["encoder"])["encoder"].equal(source(x))
    record = model.loaded["encoder"]
    assert (record.matched, record.whole, list(model.loaded)) == (("weight", "bias"), True, ["encoder"])
    assert f"encoder begins with 2 of 2 weights from {tmp_path / 'w.pt'}" in str(model)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.loaded == model.loaded
    plain = jumpml.load_model(written(tmp_path))
    assert plain.node("out").state_dict()["weight"].equal(model.node("out").state_dict()["weight"])
    assert not plain.loaded


@pytest.mark.parametrize("told", [{"weights": {"file": "run"}, **ENCODER}, {"pretrained": {"run": "run"}}])
def test_a_run_in_which_a_node_shares_what_stands_behind_it_gives_that(tmp_path: Path, told: dict[str, Any]) -> None:
    first = {"shares": "encoder", "inputs": "x"}
    whole = spec(module="torch.nn.Linear", args={"in_features": 4, "out_features": 4}, inputs="first")
    whole["nodes"] = {"first": first, **whole["nodes"]}
    made = jumpml.load_model(whole, seed=5)
    assert made.node_names[0] == "first"
    checkpoint = tmp_path / "run" / "checkpoints" / "step-00000007"
    checkpoint.mkdir(parents=True)
    (tmp_path / "run" / "specs").mkdir()
    (tmp_path / "run" / "specs" / "old.model.yaml").write_text(yaml.safe_dump(whole, sort_keys=False))
    save_file(made.state_dict(), checkpoint / "model.safetensors")
    (checkpoint / "state.json").write_text('{"$dict": [["progress", {"$dict": [["best", null]]}]]}')
    new = spec()
    new["nodes"]["encoder"] = {**told, "inputs": "x"}
    if "module" in told:
        new["nodes"]["encoder"]["args"] = {"out_features": 4}
    (tmp_path / "m.model.yaml").write_text(yaml.safe_dump(new, sort_keys=False))
    model = jumpml.load_model(tmp_path / "m.model.yaml")
    assert model.node("encoder").state_dict()["weight"].equal(made.node("first").state_dict()["weight"])


def test_the_same_without_files(tmp_path: Path) -> None:
    source = nn.Linear(4, 3)
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes={"encoder": Node(nn.LazyLinear(3), "x")})
    assert model.load_weights("encoder", tmp_path / "w.safetensors").whole
    assert model.loaded["encoder"].source == str(tmp_path / "w.safetensors")
    with pytest.raises(JumpMLError, match=r"^there is no node 'encodr'\. Did you mean 'encoder'\?$"):
        model.load_weights("encodr", tmp_path / "w.safetensors")
    with pytest.raises(PretrainedError, match=r"is no JumpML model's, so that it has no node 'encoder'\.$"):
        model.load_weights("encoder", tmp_path / "w.safetensors", node="encoder")


def test_what_fits_is_taken_and_the_rest_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_file({"weight": torch.ones(3, 4), "bias": torch.ones(5)}, tmp_path / "w.safetensors")
    text = refused(written(tmp_path, weights={"file": "w.safetensors"}))
    assert "line 13, column 7: nodes.encoder.weights.file: " in text
    assert text.endswith(
        "w.safetensors: these are not the weights of Linear: 1 of 2 fit. Of another shape or type: bias (the file's is "
        "[5] float32, the module's [3] float32). `strict: false` takes what fits."
    )
    with caplog.at_level(logging.WARNING, logger="jumpml"):
        model = jumpml.load_model(written(tmp_path, weights={"file": "w.safetensors", "strict": False}))
    assert "Node 'encoder' begins with 1 of 2 weights from" in caplog.text
    assert model.node("encoder").state_dict()["weight"].equal(torch.ones(3, 4))
    assert list(model.loaded["encoder"].unlike) == ["bias"]


@pytest.mark.parametrize(
    "form", [{"layers": ["torch.nn.Tanh", {"module": "torch.nn.LazyLinear", "args": {"out_features": 3}}]}]
)
def test_other_forms_take_weights_too(tmp_path: Path, form: dict[str, Any]) -> None:
    save_file({"1.weight": torch.ones(3, 4), "1.bias": torch.ones(3)}, tmp_path / "w.safetensors")
    told = spec(weights={"file": str(tmp_path / "w.safetensors")})
    told["nodes"]["encoder"] = {**form, "inputs": "x", "weights": told["nodes"]["encoder"]["weights"]}
    assert jumpml.load_model(told).node("encoder").state_dict()["1.weight"].equal(torch.ones(3, 4))


def test_a_run_gives_weights_by_node(tmp_path: Path) -> None:
    old = run_of(tmp_path / "runs" / "a")
    for weights in (
        {"file": "runs/a"},
        {"file": "runs/a/checkpoints/step-00000007"},
        {"file": "runs/a/checkpoints/step-00000007/model.safetensors", "node": "encoder"},
    ):
        model = jumpml.load_model(written(tmp_path, weights=weights))
        assert model.node("encoder").state_dict()["weight"].equal(old.node("encoder").state_dict()["weight"])
        assert not model.node("out").state_dict()["weight"].equal(old.node("out").state_dict()["weight"])
    text = refused(written(tmp_path, weights={"file": "runs/a", "node": "encodr"}))
    assert "nodes.encoder.weights.file: " in text
    assert text.endswith("runs/a has no weights of a node 'encodr'. Did you mean 'encoder'?")
    text = refused(written(tmp_path, weights={"file": "runs/b"}))
    assert text.endswith(f"there is no file {tmp_path / 'runs' / 'b'}. There is: a.")


def test_each_node_of_a_nested_graph_takes_its_own(tmp_path: Path) -> None:
    inner = {"nodes": {"body": {**ENCODER}, "code": {"module": "torch.nn.Tanh", "inputs": "body"}}}
    (tmp_path / "inner.model.yaml").write_text(yaml.safe_dump(inner))
    graph = {"graph": "inner.model.yaml", "inputs": {"x": "x"}}
    save_file({"node_body.weight": torch.ones(3, 4), "node_body.bias": torch.ones(3)}, tmp_path / "w.safetensors")
    told = spec()
    told["nodes"]["encoder"] = {**graph, "weights": {"file": "w.safetensors"}}
    (tmp_path / "m.model.yaml").write_text(yaml.safe_dump(told))
    model = jumpml.load_model(tmp_path / "m.model.yaml")
    assert model.node("encoder.body").state_dict()["weight"].equal(torch.ones(3, 4))
    assert list(model.loaded) == ["encoder.body"]
    save_file(model.state_dict(), tmp_path / "whole.safetensors")
    told["nodes"]["encoder"] = {**graph, "weights": {"file": "whole.safetensors", "node": "encoder"}}
    (tmp_path / "m.model.yaml").write_text(yaml.safe_dump(told))
    assert jumpml.load_model(tmp_path / "m.model.yaml").node("encoder.body").state_dict()["bias"].equal(torch.ones(3))
    told["nodes"]["encoder"]["weights"] = {"file": "whole.safetensors"}
    (tmp_path / "m.model.yaml").write_text(yaml.safe_dump(told))
    text = refused(tmp_path / "m.model.yaml")
    assert "m.model.yaml: 1 mistake" in text
    assert text.endswith("whole.safetensors has no weights of a node 'body'. There is: encoder.body, out.")


def test_a_graph_in_a_graph_takes_weights_too(tmp_path: Path) -> None:
    leaf = {"nodes": {"body": {**ENCODER}}}
    middle = {"nodes": {"net": {"graph": "leaf.model.yaml", "inputs": "x", "weights": {"file": "w.safetensors"}}}}
    told = spec()
    told["nodes"]["encoder"] = {"graph": "middle.model.yaml", "inputs": "x"}
    for name, value in (("leaf", leaf), ("middle", middle), ("m", told)):
        (tmp_path / f"{name}.model.yaml").write_text(yaml.safe_dump(value))
    save_file({"node_body.weight": torch.ones(3, 4), "node_body.bias": torch.ones(3)}, tmp_path / "w.safetensors")
    model = jumpml.load_model(tmp_path / "m.model.yaml")
    assert model.node("encoder.net.body").state_dict()["bias"].equal(torch.ones(3))
    save_file({"node_bodi.bias": torch.ones(3)}, tmp_path / "w.safetensors")
    text = refused(tmp_path / "m.model.yaml")
    assert "middle.model.yaml: 1 mistake" in text
    assert "nodes.net.weights.file: " in text
    assert text.endswith("has no weights of a node 'body'. Did you mean 'bodi'?")


def test_a_nested_file_names_weights_beside_itself(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    inner = {"nodes": {"body": {**ENCODER, "weights": {"file": "w.safetensors"}}}}
    (tmp_path / "sub" / "inner.model.yaml").write_text(yaml.safe_dump(inner))
    save_file({"weight": torch.ones(3, 4), "bias": torch.ones(3)}, tmp_path / "sub" / "w.safetensors")
    told = spec()
    told["nodes"]["encoder"] = {"graph": "sub/inner.model.yaml", "inputs": "x"}
    (tmp_path / "m.model.yaml").write_text(yaml.safe_dump(told))
    assert jumpml.load_model(tmp_path / "m.model.yaml").loaded["encoder.body"].whole
    (tmp_path / "sub" / "w.safetensors").unlink()
    text = refused(tmp_path / "m.model.yaml")
    assert "inner.model.yaml: 1 mistake" in text
    assert "nodes.body.weights.file: there is no file" in text


def test_a_hostile_file_is_refused_with_its_line(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"weight": Trap()}, tmp_path / "w.pt")
    text = refused(written(tmp_path, weights={"file": "w.pt"}))
    assert "line 13, column 7: nodes.encoder.weights.file: " in text
    assert "is refused, and nothing of it was run: it asks for " in text
    assert not (tmp_path / "ran").exists()


# --- a node of another model ------------------------------------------------------------------------------------------


def pretrained(folder: Path, **told: Any) -> Path:
    whole = spec()
    whole["nodes"]["encoder"] = {"pretrained": told, "inputs": "x"}
    path = folder / "m.model.yaml"
    path.write_text(yaml.safe_dump(whole, sort_keys=False, width=200))
    return path


def test_a_node_of_a_run_comes_with_module_and_weights(tmp_path: Path) -> None:
    old = run_of(tmp_path / "a", args={"out_features": 6})
    x = torch.randn(5, 4)
    for told in ({"run": "a"}, {"run": "a", "node": "encoder"}, {"run": "a/checkpoints/step-00000007"}):
        model = jumpml.load_model(pretrained(tmp_path, **told))
        assert model({"x": x}, outputs=["encoder"])["encoder"].equal(old({"x": x}, outputs=["encoder"])["encoder"])
        assert model.loaded["encoder"].matched == ("weight", "bias")
    assert refused(pretrained(tmp_path, run="a", node="encodr")).endswith(
        "nodes.encoder.pretrained.node: the model of that run has no node 'encodr'. Did you mean 'encoder'?"
    )
    assert refused(pretrained(tmp_path, run="b")).endswith(
        "nodes.encoder.pretrained.run: b is no run: it has no specs/*.model.yaml. There is no such folder."
    )
    (tmp_path / "c").mkdir()
    assert refused(pretrained(tmp_path, run="c")).endswith("A run is a folder that `jumpml run` made.")


def test_a_node_of_a_run_that_does_not_fit_is_told(tmp_path: Path) -> None:
    run_of(tmp_path / "a")
    path = pretrained(tmp_path, run="a")
    path.write_text(path.read_text().replace("- 4", "- 7"))
    text = refused(path)
    assert "nodes.encoder.pretrained.run: " in text
    assert "weight (the file's is [3, 4] float32, the module's [3, 7] float32)" in text


def test_a_graph_of_a_run_is_nested_by_its_file(tmp_path: Path) -> None:
    run_of(tmp_path / "a")
    inner = {"nodes": {"body": {**ENCODER}}}
    (tmp_path / "a" / "specs" / "inner.yaml").write_text(yaml.safe_dump(inner))
    told = spec()
    told["nodes"]["encoder"] = {"graph": "inner.yaml", "inputs": "x"}
    (tmp_path / "a" / "specs" / "old.model.yaml").write_text(yaml.safe_dump(told))
    assert refused(pretrained(tmp_path, run="a")).endswith(
        "in that run 'encoder' is a graph of encoder.body. Nest its file in the place of it (`graph`), and name the "
        "run under `weights`."
    )


def test_a_head_of_a_run_needs_its_width(tmp_path: Path) -> None:
    run_of(tmp_path / "a", module="jumpml.blocks.Head", args={"out_features": 3})
    assert jumpml.load_model(pretrained(tmp_path, run="a")).loaded["encoder"].whole


# --- hubs and ONNX ----------------------------------------------------------------------------------------------------


@pytest.fixture
def onnx_file(tmp_path: Path) -> Iterator[Path]:
    """An ONNX file that adds two values and multiplies them."""
    onnx: Any = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 4]) for name in "abcd"]
    nodes = [onnx.helper.make_node("Add", ["a", "b"], ["c"]), onnx.helper.make_node("Mul", ["a", "b"], ["d"])]
    graph = onnx.helper.make_graph(nodes, "g", values[:2], values[2:])
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    (tmp_path / "old.onnx").write_bytes(made.SerializeToString())
    yield tmp_path / "old.onnx"


def with_onnx(folder: Path, file: str = "old.onnx", **inputs: str) -> Path:
    whole = spec(inputs="old.c")
    whole["nodes"] = {"old": {"pretrained": {"onnx": file}, "inputs": inputs or ["x", "x"]}, **whole["nodes"]}
    path = folder / "m.model.yaml"
    path.write_text(yaml.safe_dump(whole, sort_keys=False, width=200))
    return path


def test_an_onnx_file_is_a_node_with_parts(onnx_file: Path) -> None:
    model = jumpml.load_model(with_onnx(onnx_file.parent))
    x = torch.randn(5, 4)
    found = model({"x": x}, outputs=["old.c", "old.d"])
    torch.testing.assert_close(found, {"old.c": x + x, "old.d": x * x})
    assert isinstance(model.node("old"), OnnxModel)
    assert model.without_gradient == {"old"}
    assert jumpml.load_model(with_onnx(onnx_file.parent, a="x", b="x")).values["old.c"].shape == (4,)
    again = copy.deepcopy(model)
    assert again({"x": x})["y"].equal(model({"x": x})["y"])


def test_an_onnx_file_that_does_not_fit_is_told(onnx_file: Path) -> None:
    text = refused(with_onnx(onnx_file.parent, "odl.onnx"))
    assert "line 9, column 7: nodes.old.pretrained.onnx: there is no file " in text
    assert text.endswith("Did you mean 'old.onnx'?")
    assert "the ONNX file has no input 'A'. Did you mean 'a'?" in refused(with_onnx(onnx_file.parent, A="x", b="x"))
    onnx_file.write_bytes(b"nothing")
    assert "old.onnx: ONNX Runtime cannot read the file: " in refused(with_onnx(onnx_file.parent))


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({}, "expected exactly one of transformers, sentences, timm, onnx, run; got none"),
        ({"onnx": "a", "run": "b"}, "expected exactly one of .*; got onnx and run"),
        ({"onnx": "a", "pool": False}, "pool goes with transformers; this model is of onnx"),
        ({"run": "a", "args": {"b": 1}}, "args goes with timm; this model is of run"),
        ({"timm": "a", "node": "b"}, "node goes with run; this model is of timm"),
        ({"transformers": "./nothing"}, "nodes.encoder.pretrained.transformers: .*transformers"),
        ({"sentences": "./nothing"}, "nodes.encoder.pretrained.sentences: .*transformers"),
        ({"timm": "nothing"}, "nodes.encoder.pretrained.timm: .*timm"),
    ],
)
def test_what_is_wrong_with_an_origin(tmp_path: Path, told: dict[str, Any], text: str) -> None:
    with pytest.raises(SpecError, match=text):
        jumpml.load_model(pretrained(tmp_path, **told))


def test_weights_beside_what_brings_its_own(tmp_path: Path) -> None:
    for node in ({"pretrained": {"onnx": "a"}}, {"pretrained": {"run": "a"}}):
        nodes = {"a": {**node, "inputs": "x", "weights": {"file": "w.pt"}}}
        with pytest.raises(SpecError, match=r"weights would change nothing that (onnx|run) does not bring itself"):
            load_spec(ModelSpec, {"nodes": nodes})
    nodes = {"a": ENCODER, "b": {"shares": "a", "inputs": "x", "weights": {"file": "w.pt"}}}
    with pytest.raises(
        SpecError, match="weights goes with module or layers or graph or pretrained; this node has shares"
    ):
        load_spec(ModelSpec, {"nodes": nodes})


class Words(nn.Module):
    """A model of token ids that knows its vocabulary."""

    vocabulary = ("", "a")

    def forward(self, values: Tensor) -> Tensor:
        return values.float()


def test_a_text_must_be_written_in_the_tokens_that_a_node_knows() -> None:
    model = Model(inputs={"text": ValueInfo(shape=(2,), dtype="int64")}, nodes={"words": Node(Words(), "text")})
    for tokens, fits in ((["", "a"], True), (["", "b"], False)):
        how: Any = {"tokenizer": {"vocabulary": tokens}}
        fields = {"text": FieldInfo(name="text", kind="text", value=ValueInfo(shape=(2,), dtype="int64"), options=how)}
        if fits:
            model.check_fields(fields)
            continue
        with pytest.raises(GraphError) as error:
            model.check_fields(fields)
        assert str(error.value) == (
            "node 'words': the 2 tokens of field 'text' are not the 2 that the pretrained model knows, so that every "
            "id would stand for another. Give the field the model's own: "
            "tokenizer: {kind: file, path: .../tokenizer.json}."
        )
