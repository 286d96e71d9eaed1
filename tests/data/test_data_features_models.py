"""Pretrained models from files and hubs."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from jumpml.core import DataError, DataSpec, DeploymentError, MissingExtraError
from jumpml.data import OnnxModel, Pretrained, TransformersModel, build_dataloader, load_weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUMPML_CACHE", str(tmp_path / "cache"))


def rows(count: int = 10) -> Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(1))


def test_weights_from_files(tmp_path: Path) -> None:
    module = nn.Linear(3, 2)
    save_file(module.state_dict(), tmp_path / "w.safetensors")
    torch.save(module.state_dict(), tmp_path / "w.pt")
    for name in ("w.safetensors", "w.pt"):
        assert load_weights(nn.Linear(3, 2), tmp_path / name)(rows()).equal(module(rows()))
        with pytest.raises(DataError, match=rf"{name}: the weights are not those of Linear: .*size mismatch"):
            load_weights(nn.Linear(3, 5), tmp_path / name)
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(DataError, match=r"list\.pt: expected a state_dict, tensors by name; got a list\."):
        load_weights(nn.Linear(3, 2), tmp_path / "list.pt")


def test_a_file_of_code_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (exec, ("raise SystemExit",))

    (tmp_path / "w.pt").write_bytes(pickle.dumps({"weight": Trap()}))
    with pytest.raises(DataError, match=r"w\.pt: no weights can be read"):
        load_weights(nn.Linear(3, 2), tmp_path / "w.pt")


def test_a_data_file_names_weights(data_spec: Callable[[str], DataSpec], tmp_path: Path) -> None:
    module = nn.Linear(4, 2)
    save_file(module.state_dict(), tmp_path / "w.safetensors")
    arguments = "args: {in_features: 4, out_features: 2}"
    spec = data_spec(
        f"""\
        datasets:
          d:
            source: {{kind: sklearn, name: iris}}
            fields:
              x: {{kind: tensor, column: data, shape: [4]}}
        features:
          x: [{{pretrained: {{file: w.safetensors, module: torch.nn.Linear, {arguments}}}}}]
        """
    )
    loaders = build_dataloader(spec)
    batch = next(iter(loaders.test))["x"]
    torch.testing.assert_close(batch, module(loaders.test.decoded("x"))[: len(batch)])


def onnx_file(path: Path, *, rows_fixed: bool = False) -> nn.Module:
    module = nn.Linear(3, 2).eval()
    shapes = None if rows_fixed else ({0: torch.export.Dim.DYNAMIC},)
    program = torch.onnx.export(module, (rows(4),), dynamo=True, dynamic_shapes=shapes, verbose=False)
    if program is None:
        pytest.fail("torch.onnx.export returned nothing")
    path.write_bytes(program.model_proto.SerializeToString())
    return module


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")  # torch.export's own, in torch 2.13
@pytest.mark.parametrize("rows_fixed", [False, True])
def test_an_onnx_file_is_a_module(tmp_path: Path, rows_fixed: bool) -> None:
    pytest.importorskip("onnxruntime")
    module = onnx_file(tmp_path / "m.onnx", rows_fixed=rows_fixed)
    model = OnnxModel((tmp_path / "m.onnx").read_bytes())
    step = Pretrained(model)
    for count in (1, 4, 10):
        torch.testing.assert_close(step(rows(count)), module(rows(count)), rtol=1e-5, atol=1e-6)
    copied = pickle.loads(pickle.dumps(step))
    assert copied(rows()).equal(step(rows()))
    torch.testing.assert_close(step.serve(rows(), keep=True), module(rows()), rtol=1e-5, atol=1e-6)
    with pytest.raises(Exception, match="cannot become a part of an exported model") as error:
        torch.export.export(step, (rows(),))
    assert isinstance(error.value, DeploymentError) or "DeploymentError" in repr(error.value)


def test_what_is_no_onnx_file() -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(DataError, match=r"^ONNX Runtime cannot read the file: "):
        OnnxModel(b"no model")


def test_an_onnx_file_of_two_inputs() -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n"]) for name in "abc"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Add", ["a", "b"], ["c"])], "g", values[:2], values[2:])
    opset = [onnx.helper.make_opsetid("", 18)]
    content = onnx.helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()
    text = r"reads one value of floats or int64; this one reads a: tensor\(float\), b: tensor\(float\)\.$"
    with pytest.raises(DataError, match=text):
        OnnxModel(content)


# --- the hub ----------------------------------------------------------------------------------------------------------


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'jumpml\[hub\]'"):
        TransformersModel("any/name")


@pytest.mark.filterwarnings("ignore")  # transformers' own
def test_a_model_of_transformers_from_a_folder(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(tmp_path / "bert")
    step = Pretrained(TransformersModel(str(tmp_path / "bert")))
    tokens = torch.tensor([[2, 3, 4, 0], [5, 6, 7, 8]])
    out = step(tokens)
    assert out.shape == (2, 8)
    torch.testing.assert_close(out[:1], step(tokens[:1, :3]), rtol=1e-4, atol=1e-5)  # padding changes nothing
    config.pad_token_id = 1  # RoBERTa's
    transformers.BertModel(config).save_pretrained(tmp_path / "other")
    other = Pretrained(TransformersModel(str(tmp_path / "other")))
    padded = other(torch.tensor([[2, 3, 4, 1]]))
    torch.testing.assert_close(padded, other(torch.tensor([[2, 3, 4]])), rtol=1e-4, atol=1e-5)
    with pytest.raises(DataError, match="transformers cannot load"):
        TransformersModel(str(tmp_path / "nothing"))
