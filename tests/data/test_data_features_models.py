"""Pretrained models as a data file's features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from jumpml.core import DataError, FieldInfo, SpecError, ValueInfo
from jumpml.data import Pretrained, TrainRows, build_dataloader
from jumpml.data.features._kept import fingerprint
from jumpml.pretrained import OnnxModel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jumpml.core import DataSpec


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUMPML_CACHE", str(tmp_path / "cache"))


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


IRIS = """\
datasets:
  d:
    source: {kind: sklearn, name: iris}
    fields:
      x: {kind: tensor, column: data, shape: [4]}
features:
  x: [{pretrained: STEP}]
"""


def add(path: Path, *reads: str) -> Path:
    """An ONNX file that adds what it reads, rows of four numbers each."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 4]) for name in (*reads, "sum")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Sum", list(reads), ["sum"])], "g", values[:-1], values[-1:])
    opset = [onnx.helper.make_opsetid("", 18)]
    path.write_bytes(onnx.helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString())
    return path


def test_a_data_file_names_an_onnx_file(data_spec: Callable[[str], DataSpec], tmp_path: Path) -> None:
    add(tmp_path / "same.onnx", "a")
    loaders = build_dataloader(data_spec(IRIS.replace("STEP", "{file: same.onnx}")))
    batch = next(iter(loaders.test))["x"]
    assert batch.equal(loaders.test.decoded("x")[: len(batch)])
    assert list((tmp_path / "cache").rglob("*.safetensors"))  # its answers are kept
    step = Pretrained(OnnxModel((tmp_path / "same.onnx").read_bytes()))
    other = Pretrained(OnnxModel(add(tmp_path / "b.onnx", "b").read_bytes()))
    assert fingerprint(step.model) != fingerprint(other.model)


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("{file: two.onnx}", r"two\.onnx: an ONNX file as a feature reads one value; this one reads a, b\."),
        ("{file: two.onnx, module: torch.nn.Linear}", "an ONNX file is a whole model, so that `module` would change"),
        ("{file: tow.onnx}", r"there is no file .*tow\.onnx\. Did you mean 'two\.onnx'\?"),
        (
            "{file: w.safetensors}",
            r"w\.safetensors holds weights only\. Name the class that they are of under `module`\.",
        ),
        ("{file: w.safetensors, module: torch.nn.Bilinear}", r"torch\.nn\.Bilinear\(\) fails: TypeError: "),
        (
            "{file: w.safetensors, module: torch.nn.Linear, args: {in_features: 4, out_features: 3}}",
            r"these are not the weights of Linear: nothing fits\. Not in the file: weight \(the file has 'wieght'\)",
        ),
        ("{sentences: ./nothing}", "(transformers cannot load|needs the package 'transformers')"),
        (
            "{timm: a, transformers: b}",
            "expected exactly one of file, transformers, sentences, timm; got transformers and",
        ),
        ("{module: torch.nn.Linear, timm: a}", "`module` is the class of the weights in a `file`, which is missing"),
        ("{transformers: a, args: {b: 1}}", "`args` are those of `module` or of a `timm` model, which are missing"),
        ("{sentences: a, output: 1}", "a model of `sentences` gives one vector a row, so that `output` would choose"),
    ],
)
def test_what_is_wrong_has_its_line(data_spec: Callable[[str], DataSpec], tmp_path: Path, step: str, told: str) -> None:
    add(tmp_path / "two.onnx", "a", "b")
    save_file({"wieght": torch.zeros(3, 4)}, tmp_path / "w.safetensors")
    with pytest.raises(SpecError, match=rf"line 7, column \d+: features\.x\[0\].*: .*{told}"):
        build_dataloader(data_spec(IRIS.replace("STEP", step)))


class Words(nn.Module):
    """A model of token ids that knows its vocabulary."""

    def __init__(self, *vocabulary: str) -> None:
        super().__init__()
        self.vocabulary = vocabulary

    def forward(self, values: Tensor) -> Tensor:
        return values.float()


def test_a_text_must_be_written_in_the_model_s_own_tokens() -> None:
    tokens = torch.tensor([[1, 2], [2, 0]])
    how = {"tokenizer": {"vocabulary": ["", "a", "b"]}}
    field = FieldInfo(name="text", kind="text", value=ValueInfo(shape=(2,), dtype="int64"), options=how)  # type: ignore
    Pretrained(Words("", "a", "b")).fit(TrainRows(tokens), field)
    text = (
        r"^the 3 tokens of field 'text' are not the 2 that the pretrained model knows, so that every id would stand "
        r"for another\. Give the field the model's own: tokenizer: \{kind: file, path: \.\.\./tokenizer\.json\}\.$"
    )
    with pytest.raises(DataError, match=text):
        Pretrained(Words("", "a")).fit(TrainRows(tokens), field)
