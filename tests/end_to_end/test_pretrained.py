"""One run learns an encoder; another takes it, beside an ONNX file, through every layer to a bundle."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from safetensors.torch import load_file
from sklearn.datasets import load_iris

from jumpml import Project, resume
from jumpml.core import DeploymentRecord, DiagnosisRecord, RunRecord
from jumpml.deploy import Predictor

if TYPE_CHECKING:
    from pathlib import Path

DATA = {
    "datasets": {
        "iris": {
            "source": {"kind": "sklearn", "name": "iris"},
            "fields": {
                "size": {"kind": "tensor", "column": "data", "shape": [4]},
                "again": {"kind": "tensor", "column": "data", "shape": [4]},
                "species": {"kind": "category", "column": "target"},
            },
            "split": {"stratify": "species", "duplicates": "together"},
        }
    },
    "features": {"size": [{"standardize": {}}], "again": [{"pretrained": {"file": "scale.onnx"}}]},
    "views": {"noisy": {"size": [{"noise": {"std": 0.1}}]}},
}
ENCODER = {"module": "jumpml.blocks.MLP", "inputs": "size", "args": {"widths": [16, 8]}}
TASK = {"species": {"kind": "multiclass", "output": "out", "target": "species"}}
FIRST = {
    "nodes": {"encoder": ENCODER, "out": {"module": "jumpml.blocks.Head", "inputs": "encoder"}},
    "tasks": TASK,
    "objectives": {
        "agree": {
            "kind": "vicreg",
            "inputs": "encoder",
            "views": "noisy",
            "projector": [8],
            "when": ["self_supervised"],
        }
    },
}
SECOND = {
    "seed": 1,
    "nodes": {
        "encoder": {"pretrained": {"run": "{run}"}, "inputs": "size"},
        "twin": {**ENCODER, "weights": {"file": "{run}", "node": "encoder", "part": "average"}},
        "old": {"pretrained": {"onnx": "scale.onnx"}, "inputs": {"a": "again"}},
        "both": {"module": "jumpml.blocks.Concat", "inputs": ["encoder", "twin", "old"]},
        "out": {"module": "jumpml.blocks.Head", "inputs": "both"},
    },
    "tasks": TASK,
}
LEARNER = {
    "phases": {"self_supervised": {"epochs": 1}, "supervised": {"epochs": 2}},
    "optimizer": {"kind": "adam", "lr": 0.02},
    "ema": {"decay": 0.9},
    "checkpoint": {"best": {"metric": "val/species/accuracy"}},
    "record_examples": False,
    "log": ["jsonl"],
}


def scale(path: Path) -> None:
    """An ONNX file that takes a tenth."""
    onnx: Any = pytest.importorskip("onnx")
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 4]) for name in "ab"]
    tenth = onnx.helper.make_tensor("tenth", onnx.TensorProto.FLOAT, [1], [0.1])
    node = onnx.helper.make_node("Mul", ["a", "tenth"], ["b"])
    graph = onnx.helper.make_graph([node], "g", values[:1], values[1:], [tenth])
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(made.SerializeToString())


def write(folder: Path, model: dict[str, Any], learner: dict[str, Any]) -> Path:
    folder.mkdir()
    scale(folder / "scale.onnx")
    for name, value in {"data": DATA, "model": model, "learner": learner}.items():
        (folder / f"iris.{name}.yaml").write_text(yaml.safe_dump(value))
    return folder


def test_an_encoder_moves_from_run_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JUMPML_CACHE", str(tmp_path / "cache"))
    first = Project.find(write(tmp_path / "a", FIRST, LEARNER)).run(tmp_path / "runs")
    model = json.loads(json.dumps(SECOND).replace("{run}", f"../{first.relative_to(tmp_path).as_posix()}"))
    frozen = {**LEARNER, "phases": {"supervised": {"epochs": 2, "freeze": ["encoder", "twin"]}}}
    run = Project.find(write(tmp_path / "b", model, frozen)).run(tmp_path / "runs")

    said = " ".join(capsys.readouterr().err.split())
    assert "weights encoder begins with 4 of 4 weights from" in said

    record = RunRecord.model_validate_json((run / "run.json").read_text())
    assert {name: told.whole for name, told in record.weights.items()} == {"encoder": True, "twin": True}
    (newest,) = sorted((run / "checkpoints").iterdir())[-1:]
    kept, begun = load_file(newest / "model.safetensors"), load_file(_best(first) / "model.safetensors")
    names = [name for name in begun if name.startswith("node_encoder.")]
    assert names
    assert all(kept[name].equal(begun[name]) for name in names)  # frozen, it is what the first run's best was
    assert not all(kept[name.replace("encoder", "twin")].equal(begun[name]) for name in names)  # an average is another

    card = (run / "card.html").read_text(encoding="utf-8")
    assert "What nodes began with, where it was made elsewhere:" in card
    deployment = DeploymentRecord.model_validate_json((run / "deployment.json").read_text())
    assert deployment.variants["float32"].bundled
    assert deployment.variants["float32"].max_difference < 1e-4
    rows = [{"size": list(row), "again": list(row)} for row in load_iris().data[[0, 75, 140]].tolist()]  # type: ignore
    answers = Predictor(run / "bundles" / "model").predict(rows)
    assert len(answers) == 3
    diagnosis = DiagnosisRecord.model_validate_json((run / "diagnosis.json").read_text())
    assert "species: no gradient reaches 'again'; it has no attribution and is held fixed." in diagnosis.notes

    (tmp_path / "b" / "scale.onnx").rename(tmp_path / "scale.onnx")  # the run's files say where it lay
    with pytest.raises(Exception, match=r"there is no file .*scale\.onnx"):
        resume(run)


def _best(run: Path) -> Path:
    from jumpml.pretrained import read_weights

    sums = read_weights(run).sha256
    for folder in (run / "checkpoints").iterdir():
        if read_weights(folder).sha256 == sums:
            return folder
    pytest.fail("no checkpoint is the one that the run stands for")
