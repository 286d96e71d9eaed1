"""No dead option: every key of the four files changes what a run does, or is refused with a text.

The schema is walked, and each of its keys must stand in the table below with a change and the observable that answers
to it. A key that is added to a file without an entry here fails; so does one whose change alters nothing.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import sqlite3
import tarfile
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union, get_args, get_origin
from zlib import crc32

import datasets
import numpy as np
import onnx
import pyarrow as pa
import pytest
import soundfile
import torch
from PIL import Image
from pyarrow import feather, parquet
from pydantic import BaseModel
from safetensors.torch import save_file

import jumpml
from jumpml.core import (
    SPECS,
    DataSpec,
    DeploySpec,
    EvaluationRecord,
    JumpMLError,
    LearnerSpec,
    ModelSpec,
    RunRecord,
    SplitSources,
    load_spec,
)
from jumpml.data import build_dataloader
from jumpml.deploy import NamedModule, export_onnx
from jumpml.objectives import EWC

# --- the schema's keys ------------------------------------------------------------------------------------------------


def keys_of(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Every key that a spec knows, as ``data.datasets.*.source[csv].path``."""
    for name, info in model.model_fields.items():
        yield f"{prefix}.{name}"
        yield from _inner(info.annotation, f"{prefix}.{name}")


def _inner(annotation: Any, path: str) -> Iterator[str]:
    if annotation is SplitSources:
        # One function opens any source; the keys of each kind have their cases where a data set has a single source.
        yield from (f"{path}.{name}" for name in annotation.model_fields)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        kinds = get_args(annotation.model_fields["kind"].annotation) if "kind" in annotation.model_fields else ()
        yield from keys_of(annotation, f"{path}[{kinds[0]}]" if len(kinds) == 1 else path)
    elif hasattr(annotation, "__metadata__"):
        yield from _inner(get_args(annotation)[0], path)
    elif get_origin(annotation) in {Union, types.UnionType}:
        for member in get_args(annotation):
            yield from _inner(member, path)
    elif get_origin(annotation) is dict:
        yield from _inner(get_args(annotation)[1], f"{path}.*")
    elif get_origin(annotation) is tuple:
        yield from _inner(get_args(annotation)[0], path)


def _repeated(key: str) -> bool:
    """Keys of what one function builds wherever it stands: they have their cases in one place."""
    schedule, _, warmup = key.partition(".warmup.")
    if key.startswith("learner.initialize.nodes.*["):
        return True
    return key.startswith("learner.phases.*.schedule[") or bool(warmup and schedule != "learner.schedule[cosine]")


KEYS = list(dict.fromkeys(key for kind, spec in SPECS.items() for key in keys_of(spec, kind) if not _repeated(key)))

# --- the files that are changed -------------------------------------------------------------------------------------

DIGITS: dict[str, Any] = {
    "datasets": {
        "d": {
            "source": {"kind": "sklearn", "name": "digits"},
            "fields": {
                "image": {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]},
                "label": {"kind": "category", "column": "target"},
            },
            "split": {"train": 0.08, "val": 0.1, "test": 0.82, "stratify": "label"},
        }
    },
    "features": {"image": [{"standardize": {}}]},
    "views": {"one": {"image": [{"noise": {"std": 0.1}}]}, "two": {"image": [{"rotate": {"degrees": 20}}]}},
    "batch_size": 32,
}
TABLE: dict[str, Any] = {
    "datasets": {
        "d": {
            "source": {"kind": "csv", "path": "{folder}/table.csv"},
            "fields": {
                "a": {"kind": "number"},
                "c": {"kind": "category"},
                "y": {"kind": "number"},
                "yes": {"kind": "category"},
            },
        }
    },
    "batch_size": 16,
}
ARRAYS: dict[str, Any] = {
    "datasets": {
        "d": {
            "source": {"kind": "npz", "path": "{folder}/arrays.npz"},
            "fields": {"t": {"kind": "tensor", "shape": [4]}, "y": {"kind": "number"}},
        }
    },
}
NET: dict[str, Any] = {
    "seed": 0,
    "nodes": {
        "flat": {"module": "torch.nn.Flatten", "inputs": "image"},
        "encoder": {"module": "jumpml.blocks.MLP", "inputs": "flat", "args": {"widths": [16, 8]}},
        "digit": {"module": "jumpml.blocks.Head", "inputs": "encoder"},
    },
    "tasks": {"digit": {"kind": "multiclass", "output": "digit", "target": "label"}},
    "objectives": {
        "agree": {"kind": "vicreg", "inputs": "encoder", "views": "one", "projector": [8], "when": ["self_supervised"]},
        "l1": {"kind": "l1", "inputs": "encoder", "weight": 0.1},
        "l2": {"kind": "l2", "inputs": "encoder", "weight": 0.1},
        "ce": {"kind": "cross_entropy", "inputs": ["digit", "label"], "weight": 0.1},
        "ewc": {"kind": "ewc", "weight": 0.1, "when": ["all"]},
    },
}
REGRESSOR: dict[str, Any] = {
    "seed": 0,
    "nodes": {
        "join": {"module": "jumpml.blocks.Concat", "inputs": ["a", "c"]},
        "body": {"module": "torch.nn.LazyLinear", "inputs": "join", "args": {"out_features": 4}},
        "out": {"module": "jumpml.blocks.Head", "inputs": "body"},
        "flag": {"module": "jumpml.blocks.Head", "inputs": "body", "args": {"out_features": 1}},
    },
    "tasks": {
        "y": {"kind": "regression", "output": "out", "target": "y"},
        "yes": {"kind": "binary", "output": "flag", "target": "yes"},
    },
    "objectives": {
        "mse": {"kind": "mse", "inputs": ["out", "y"], "weight": 0.5},
        "bce": {"kind": "binary_cross_entropy", "inputs": ["flag", "yes"], "weight": 0.5},
    },
}
LEARN: dict[str, Any] = {
    "optimizer": {"kind": "adam", "lr": 0.01},
    "phases": {"self_supervised": {"epochs": 1}, "supervised": {"epochs": 2, "consolidate": True}},
    "checkpoint": {"every": {"epochs": 1}, "best": {"metric": "val/digit/accuracy"}},
    "log": ["jsonl"],
}
REPLAY: dict[str, Any] = {"rows": 60, "batch": 6, "when": ["supervised"]}
LAYERS: dict[str, Any] = copy.deepcopy(NET)
LAYERS["nodes"]["flat"] = {"layers": ["torch.nn.Flatten", {"module": "torch.nn.LeakyReLU"}], "inputs": "image"}
LAYERS["nodes"]["pick"] = {"module": "torch.nn.Flatten", "inputs": "image"}
LAYERS["nodes"]["join"] = {"module": "jumpml.blocks.Concat", "inputs": ["flat", "pick"]}
LAYERS["nodes"]["encoder"]["inputs"] = "join"
INITIAL: dict[str, Any] = {"nodes.encoder.weights": {"file": "{folder}/net.safetensors"}}
IN_PARTS: dict[str, Any] = {"nodes.encoder.weights": {"file": "{folder}/parts.pt", "part": "one", "strict": False}}
AHEAD: dict[str, Any] = {
    "seed": 0,
    "nodes": {
        "flat": {"module": "torch.nn.Flatten", "inputs": "past"},
        "ahead": {"module": "jumpml.blocks.Head", "inputs": "flat"},
    },
    "tasks": {"t": {"kind": "forecasting", "output": "ahead", "target": "future", "history": "past", "season": 2}},
}
EMBEDDER = {"tasks.digit.kind": "retrieval", "nodes.digit.args": {"out_features": 10}}
NESTED: dict[str, Any] = copy.deepcopy(NET)
NESTED["nodes"]["flat"] = {"graph": "{folder}/one.model.yaml", "inputs": "image"}
DEPLOY: dict[str, Any] = {"variants": {}, "bundle": "b"}
SMALL = copy.deepcopy(NET) | {"objectives": {}}


# --- what can be observed ---------------------------------------------------------------------------------------------


def digest(value: Any) -> Any:
    """Anything as something that can be compared and printed."""
    if isinstance(value, torch.Tensor):
        content = value.detach().cpu().contiguous().numpy().tobytes()
        return (tuple(value.shape), str(value.dtype), hashlib.sha256(content).hexdigest()[:12])
    if isinstance(value, Mapping):
        return {str(key): digest(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [digest(item) for item in value]
    return repr(value)


def see_data(spec: DataSpec, _: Path) -> Any:
    """What the loaders serve: fields, splits, batches, views; and how hard rows are."""
    loaders = jumpml.create_dataloader(spec)
    targets = {"label", "y", "yes"}
    loaders.bind([name for name in loaders.fields if name not in targets])
    loaders.train.serve(None, [f"{view}.{draw}" for view in loaders.view_fields for draw in (0, 1)])
    batches = [next(iter(loaders.train)), next(iter(loaders.train)), next(loaders.val.plain())]
    sizes = [len(loader.rows) for loader in (loaders.train, loaders.val, loaders.test)]
    return digest([dict(loaders.fields), batches, sizes, loaders.difficulty])


def see_model(spec: ModelSpec, folder: Path) -> Any:
    """What the model is: nodes, weights, outputs, losses by phase, and what is measured."""
    digits = "image" in str(spec.nodes)
    loaders = jumpml.create_dataloader(_filled(DIGITS if digits else TABLE, folder))
    model = jumpml.load_model(spec, loaders)
    loaders.train.serve(None, [f"{view}.{draw}" for view in loaders.view_fields for draw in (0, 1)])
    batch = next(iter(loaders.train))
    for objective in model.objectives.values():
        if isinstance(objective, EWC):
            parameters = dict(model.named_parameters())
            objective.consolidate({key: torch.ones_like(value) for key, value in parameters.items()})
            with torch.no_grad():
                for value in parameters.values():
                    value.add_(0.01)
    losses = {
        phase: model.losses(batch, phase) for phase in ("self_supervised", "supervised", "other") if model.active(phase)
    }
    weights = {name: objective.weight for name, objective in model.objectives.items()}
    figures = list(jumpml.eval_model(loaders, model)) if model.tasks else []
    return digest([str(model), model.state_dict(), model.eval()(batch), losses, weights, figures])


def see_forecast(spec: ModelSpec, folder: Path) -> Any:
    """What a model gives that foretells a column of the table, and its figures."""
    windows = copy.deepcopy(TABLE)
    windows["datasets"]["d"]["fields"] = {
        "past": {"kind": "series", "columns": ["a"], "window": [-6, 0]},
        "future": {"kind": "series", "columns": ["a"], "window": [0, 2]},
    }
    loaders = jumpml.create_dataloader(_filled(windows, folder))
    model = jumpml.load_model(spec, loaders)
    figures = {name: figure.value for name, figure in jumpml.eval_model(loaders, model).items()}
    return digest([str(model), model.state_dict(), figures])


def see_learning(spec: LearnerSpec, folder: Path) -> Any:
    """What learning leaves: weights, figures, files."""
    loaders = jumpml.create_dataloader(DIGITS)
    net = copy.deepcopy(NET)
    if "third" in spec.phases:
        net["objectives"]["third"] = {"kind": "l2", "inputs": "digit", "when": ["third"]}
    model = jumpml.load_model(net, loaders)
    learner = jumpml.create_learner(loaders, model, None, spec, run=folder)
    learner.fit()
    figures = [record.model_copy(update={"seconds": 0.0}) for record in learner.history.epochs]
    learner.restore_best()
    average = learner.ema_model.state_dict() if learner.ema_model else None
    files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if "tfevents" not in p.name)
    course = [str(point) for point in learner.history.course]
    return digest([model.state_dict(), average, figures, files, course, sorted(learner.history.examples)])


EXPORTED: dict[str, bytes] = {}


def exported_once(module: NamedModule, rows: Mapping[str, Any], path: Path) -> None:
    """A net's export, kept: most keys of a deployment leave the nets as they are."""
    same = repr((str(module), digest(module.state_dict()), digest(rows)))
    if same not in EXPORTED:
        export_onnx(module, rows, path)
        EXPORTED[same] = path.read_bytes()
    path.write_bytes(EXPORTED[same])


def see_deployment(spec: DeploySpec, folder: Path) -> Any:
    """What deployment makes: variants, their figures, what is bundled, and where."""
    (folder / "small.model.yaml").write_text(str(SMALL).replace("'", '"'))
    (folder / "tiny.model.yaml").write_text(str(SMALL).replace("'", '"').replace("[16, 8]", "[4]"))
    few = copy.deepcopy(DIGITS)
    few["datasets"]["d"]["split"] = {"train": 0.15, "val": 0.75, "test": 0.1, "stratify": "label"}
    loaders = jumpml.create_dataloader(few)
    model = jumpml.load_model(SMALL, loaders)
    jumpml.create_learner(
        loaders,
        model,
        None,
        {"optimizer": {"lr": 0.02}, "phases": {"supervised": {"epochs": 3}}, "log": [], "checkpoint": None},
        run=folder,
    ).fit()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jumpml.deploy._changes.export_onnx", exported_once)
        deployment = jumpml.deploy_model(jumpml.eval_model(loaders, model), model, spec, folder=folder)
    record = deployment.record.model_dump()
    for variant in record["variants"].values():
        variant["milliseconds"] = 0.0
    record["bundle"] = Path(record["bundle"]).name
    return digest(record)


def see_rows(spec: DataSpec, _: Path) -> Any:
    """Whether the data can be read, and which rows it keeps."""
    try:
        return jumpml.create_dataloader(spec).record()["rows"]
    except JumpMLError as error:
        return str(error)


def see_memory(spec: DataSpec, _: Path) -> Any:
    """Whether values lie in memory of the process's own, or in a file that is mapped into it."""
    loaders = jumpml.create_dataloader(spec)
    maps = Path("/proc/self/maps").read_text()
    return len(loaders.train.rows), maps.count("(deleted)")


def see_card(spec: DataSpec | ModelSpec, _: Path) -> Any:
    """What people read."""
    kind = "data" if isinstance(spec, DataSpec) else "model"
    specs = {kind: spec.model_dump(mode="json")}
    run = RunRecord(name="x", created="2026-01-01T00:00:00+00:00", specs=specs, environment={})
    card = jumpml.report_card(EvaluationRecord(split="test", tasks={}), run=run)  # type: ignore[arg-type]
    # the resolved spec stands in the card in any case; what is asked is whether it is told to people too
    return card.markdown


# --- the table --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A change of one key.

    Attributes:
        base: The file that is changed.
        change: Values by dotted key.
        before: Values that are set on both sides, so that the key has something to act on.
        see: The observable.
        refused: What the refusal says, for a key that has no second legal value here.
    """

    base: dict[str, Any]
    change: dict[str, Any]
    before: dict[str, Any] = field(default_factory=dict)
    see: Callable[[Any, Path], Any] | None = None
    refused: str | None = None


D = "datasets.d"
F = f"{D}.fields"
SLIM = {"variants": {"v": {"factorize": {"rank": 0.25}}}}
CASES: dict[str, Case] = {
    "data.datasets": Case(DIGITS, {"datasets.e": DIGITS["datasets"]["d"]}),
    "data.datasets.*.source": Case(
        DIGITS, {f"{D}.source": {"kind": "sklearn", "name": "iris"}}, refused="has no column 'images'"
    ),
    "data.datasets.*.source[sklearn].kind": Case(
        DIGITS, {f"{D}.source.kind": "csv"}, refused="name: this key is unknown"
    ),
    "data.datasets.*.source[sklearn].name": Case(
        DIGITS, {f"{D}.source.name": "wine"}, refused="has no column 'images'"
    ),
    "data.datasets.*.source[csv].kind": Case(TABLE, {f"{D}.source.kind": "npz"}, refused="npz|zip"),
    "data.datasets.*.source[csv].path": Case(TABLE, {f"{D}.source.path": "{folder}/other.csv"}),
    "data.datasets.*.source[csv].delimiter": Case(TABLE, {f"{D}.source.delimiter": ";"}, refused="column 'a'"),
    "data.datasets.*.source[csv].missing": Case(
        TABLE, {f"{D}.source.missing": ["-"]}, {f"{D}.source.path": "{folder}/dash.csv", f"{F}.a": {"kind": "category"}}
    ),
    "data.datasets.*.source[npz].kind": Case(
        ARRAYS, {f"{D}.source.kind": "csv"}, refused="this is no table of UTF-8 text"
    ),
    "data.datasets.*.source[npz].path": Case(ARRAYS, {f"{D}.source.path": "{folder}/other.npz"}),
    "data.datasets.*.fields": Case(TABLE, {f"{F}.b": {"kind": "number"}}),
    "data.datasets.*.fields.*[number].kind": Case(TABLE, {f"{F}.b.kind": "category"}, {f"{F}.b": {"kind": "number"}}),
    "data.datasets.*.fields.*[number].column": Case(TABLE, {f"{F}.a.column": "b"}),
    "data.datasets.*.fields.*[category].kind": Case(TABLE, {f"{F}.c.kind": "number"}, refused="number"),
    "data.datasets.*.fields.*[category].column": Case(TABLE, {f"{F}.c.column": "yes"}),
    "data.datasets.*.fields.*[category].classes": Case(TABLE, {f"{F}.c.classes": ["v", "u", "w"]}),
    "data.datasets.*.fields.*[category].rename": Case(TABLE, {f"{F}.c.rename": {"u": "w"}}),
    "data.datasets.*.fields.*[image].kind": Case(
        DIGITS, {f"{F}.image": {"kind": "tensor", "column": "images", "shape": [8, 8]}, "views": {}}, {"views": {}}
    ),
    "data.datasets.*.fields.*[image].column": Case(DIGITS, {f"{F}.image.column": "target"}, refused="shape"),
    "data.datasets.*.fields.*[image].shape": Case(DIGITS, {f"{F}.image.shape": [1, 4, 4]}, refused="shape"),
    "data.datasets.*.fields.*[image].range": Case(DIGITS, {f"{F}.image.range": [0, 32]}, {"features": {}}),
    "data.datasets.*.fields.*[tensor].kind": Case(
        ARRAYS, {f"{F}.t": {"kind": "number"}}, refused=r"expected rows of shape \[1\], got \[4\]"
    ),
    "data.datasets.*.fields.*[tensor].column": Case(ARRAYS, {f"{F}.t.column": "s"}),
    "data.datasets.*.fields.*[tensor].shape": Case(ARRAYS, {f"{F}.t.shape": [5]}, refused="shape|5"),
    "data.datasets.*.split": Case(TABLE, {f"{D}.split": {"seed": 3}}),
    "data.datasets.*.split.train": Case(TABLE, {f"{D}.split.train": 0.6}, refused="sum|1"),
    "data.datasets.*.split.val": Case(TABLE, {f"{D}.split.val": 0.25}, refused="sum|1"),
    "data.datasets.*.split.test": Case(TABLE, {f"{D}.split.test": 0.25}, refused="sum|1"),
    "data.datasets.*.split.stratify": Case(TABLE, {f"{D}.split.stratify": "yes"}),
    "data.datasets.*.split.seed": Case(TABLE, {f"{D}.split.seed": 1}),
    "data.datasets.*.split.column": Case(TABLE, {f"{D}.split.column": "part"}),
    "data.datasets.*.split.values": Case(
        TABLE, {f"{D}.split.values": {"train": ["val"], "val": ["train"]}}, {f"{D}.split.column": "part"}
    ),
    "data.datasets.*.split.values.train": Case(
        TABLE,
        {f"{D}.split.values.train": ["test"]},
        {f"{D}.split": {"column": "part", "values": {"train": ["train"], "val": ["val"]}}},
    ),
    **{
        f"data.datasets.*.split.values.{split}": Case(
            TABLE,
            {f"{D}.split.values.{split}": [other]},
            {f"{D}.split": {"column": "part", "values": {"val": ["val"], "test": ["test"]}}},
        )
        for split, other in (("val", "train"), ("test", "train"))
    },
    "data.datasets.*.split.duplicates": Case(
        TABLE,
        {f"{D}.split.duplicates": "allow"},
        {f"{D}.split.duplicates": "together", f"{D}.source.path": "{folder}/twice.csv"},
    ),
    "data.features": Case(DIGITS, {"features": {}}),
    "data.augment": Case(DIGITS, {"augment": {"image": [{"noise": {"std": 0.1}}]}}),
    "data.views": Case(DIGITS, {"views": {"one": {"image": [{"noise": {"std": 0.2}}]}}}),
    "data.batch_size": Case(DIGITS, {"batch_size": 31}),
    "data.root": Case(
        TABLE,
        {"root": "{folder}/elsewhere", "datasets.d.source.path": "table.csv"},
        refused="there is no file 'table.csv' in the folder '.*elsewhere'",
    ),
    "data.about": Case(DIGITS, {"about": {"description": "something told"}}, see=see_card),
    **{
        f"data.about.{key}": Case(
            DIGITS, {f"about.{key}": "mit" if key == "license" else "something told"}, see=see_card
        )
        for key in ("description", "license", "source", "collected")
    },
    # the model file
    "model.seed": Case(NET, {"seed": 1}),
    "model.data": Case(
        NET, {"data": "nothing.data.yaml"}, refused="there is no such file", see=lambda spec, _: jumpml.load_model(spec)
    ),
    "model.inputs": Case(NET, {"inputs": {"image": {"shape": [3, 8, 8]}}}, refused=r"the file says \[batch, 3, 8, 8\]"),
    "model.inputs.*.shape": Case(
        NET, {"inputs.image.shape": [1, 9, 9]}, {"inputs": {"image": {"shape": [1, 8, 8]}}}, refused="the data has"
    ),
    "model.inputs.*.dtype": Case(
        NET, {"inputs.image.dtype": "int64"}, {"inputs": {"image": {"shape": [1, 8, 8]}}}, refused="int64"
    ),
    "model.nodes": Case(
        NET,
        {"nodes.more": {"module": "torch.nn.ReLU", "inputs": "encoder"}, "tasks.digit.output": "digit"},
        refused="no task and no objective reads its output",
    ),
    "model.nodes.*.module": Case(NET, {"nodes.flat.module": "torch.nn.ReLU"}),
    "model.nodes.*.layers": Case(LAYERS, {"nodes.flat.layers": ["torch.nn.Flatten", "torch.nn.Tanh"]}),
    "model.nodes.*.layers.module": Case(LAYERS, {"nodes.flat.layers.1.module": "torch.nn.ReLU"}),
    "model.nodes.*.layers.args": Case(LAYERS, {"nodes.flat.layers.1.args": {"negative_slope": 0.5}}),
    "model.nodes.*.graph": Case(NESTED, {"nodes.flat.graph": "{folder}/other.model.yaml"}),
    "model.nodes.*.shares": Case(LAYERS, {"nodes.flat": {"shares": "pick", "inputs": "image"}}),
    "model.nodes.*.repeat": Case(NET, {"nodes.flat.repeat": 2}),
    "model.nodes.*.weights": Case(NET, INITIAL),
    "model.nodes.*.weights.file": Case(NET, {"nodes.encoder.weights.file": "{folder}/other.safetensors"}, INITIAL),
    "model.nodes.*.weights.node": Case(
        NET, {**INITIAL, "nodes.encoder.weights.node": "digit"}, refused="these are not the weights of MLP"
    ),
    "model.nodes.*.weights.part": Case(NET, {"nodes.encoder.weights.part": "two"}, IN_PARTS),
    "model.nodes.*.weights.strip": Case(
        NET, {**IN_PARTS, "nodes.encoder.weights.strip": "x."}, refused=r"no weight whose name begins with 'x\.'"
    ),
    "model.nodes.*.weights.prefix": Case(
        NET, {**INITIAL, "nodes.encoder.weights.prefix": "net."}, refused="nothing fits"
    ),
    "model.nodes.*.weights.strict": Case(
        NET, {**IN_PARTS, "nodes.encoder.weights.strict": True}, refused="`strict: false` takes what fits"
    ),
    "model.nodes.*.pretrained": Case(NET, {"nodes.encoder": {"pretrained": {"run": "{folder}/run"}, "inputs": "flat"}}),
    "model.nodes.*.pretrained.run": Case(
        NET,
        {"nodes.encoder.pretrained.run": "{folder}/nothing"},
        {"nodes.encoder": {"pretrained": {"run": "{folder}/run"}, "inputs": "flat"}},
        refused="is no run",
    ),
    "model.nodes.*.pretrained.onnx": Case(
        NET, {"nodes.flat": {"pretrained": {"onnx": "{folder}/double.onnx"}, "inputs": "image"}}
    ),
    **{
        f"model.nodes.*.pretrained.{key}": Case(
            NET, {"nodes.encoder": {"pretrained": told, "inputs": "flat"}}, refused=refused
        )
        for key, told, refused in (
            ("node", {"run": "{folder}/run", "node": "nothing"}, "the model of that run has no node 'nothing'"),
            ("transformers", {"transformers": "./nothing"}, "transformers"),
            ("pool", {"timm": "nothing", "pool": False}, "pool goes with transformers"),
            ("sentences", {"sentences": "./nothing"}, "transformers"),
            ("timm", {"timm": "nothing"}, "`timm` cannot be imported|timm cannot make"),
            ("args", {"timm": "x", "args": {"checkpoint_path": "w.pt"}}, "would read a file on a way of its own"),
        )
    },
    "model.nodes.*.inputs": Case(NET, {"nodes.digit.inputs": "flat"}),
    "model.nodes.*.args": Case(NET, {"nodes.encoder.args.widths": [16, 9]}),
    "model.tasks": Case(NET, {"tasks": {}}, refused="no task has this node as its output"),
    "model.tasks.*.kind": Case(NET, {"tasks.digit.kind": "regression"}, refused="regression"),
    "model.tasks.*.output": Case(NET, {"tasks.digit.output": "encoder"}, refused="no task has this node as its output"),
    "model.tasks.*.target": Case(REGRESSOR, {"tasks.y.target": "a"}),
    "model.tasks.*.metrics": Case(NET, {"tasks.digit.metrics": ["accuracy"]}),
    "model.tasks.*.objective": Case(NET, {"tasks.digit.objective": None}),
    "model.tasks.*.objective.weight": Case(NET, {"tasks.digit.objective": {"weight": 2}}),
    "model.tasks.*.objective.when": Case(NET, {"tasks.digit.objective": {"when": ["other"]}}),
    "model.tasks.*.objective.label_smoothing": Case(NET, {"tasks.digit.objective": {"label_smoothing": 0.2}}),
    "model.tasks.*.objective.kind": Case(NET, {"tasks.digit.objective": {"kind": "mse"}}, refused="does not fit"),
    "model.tasks.*.objective.class_weights": Case(
        NET, {"tasks.digit.objective": {"class_weights": [1, 2, 1, 1, 1, 1, 1, 1, 1, 1]}}
    ),
    "model.tasks.*.objective.focal": Case(NET, {"tasks.digit.objective": {"focal": 2}}),
    "model.tasks.*.objective.delta": Case(
        REGRESSOR, {"tasks.y.objective.delta": 0.1}, {"tasks.y.objective": {"kind": "huber"}}
    ),
    "model.tasks.*.objective.module": Case(
        REGRESSOR, {"tasks.y.objective": {"kind": "module", "module": "torch.nn.SmoothL1Loss"}}
    ),
    "model.tasks.*.objective.args": Case(
        REGRESSOR,
        {"tasks.y.objective.args": {"beta": 0.1}},
        {"tasks.y.objective": {"kind": "module", "module": "torch.nn.SmoothL1Loss"}},
    ),
    "model.tasks.*.objective.function": Case(
        REGRESSOR,
        {"tasks.y.objective": {"kind": "function", "function": "my_losses:ours"}},
        refused="outside the trusted packages",
    ),
    "model.tasks.*.objective.smooth": Case(
        REGRESSOR, {"tasks.y.objective": {"smooth": 2}}, refused="smooth is an option of dice"
    ),
    "model.tasks.*.objective.per_example": Case(
        REGRESSOR, {"tasks.y.objective": {"per_example": False}}, refused="per_example is an option of function"
    ),
    "model.tasks.*.objective.positive_weight": Case(REGRESSOR, {"tasks.yes.objective": {"positive_weight": 3}}),
    "model.tasks.*.objective.temperature": Case(NET, {"tasks.digit.objective": {"temperature": 0.5}}, EMBEDDER),
    "model.tasks.*.objective.margin": Case(
        NET, {"tasks.digit.objective.margin": 3}, {**EMBEDDER, "tasks.digit.objective": {"kind": "batch_hard_triplet"}}
    ),
    "model.tasks.*.quantiles": Case(AHEAD, {"tasks.t.quantiles": [0.1, 0.5, 0.9]}, see=see_forecast),
    "model.tasks.*.history": Case(
        AHEAD, {"tasks.t.history": "before"}, refused="the data has no field 'before'", see=see_forecast
    ),
    "model.tasks.*.season": Case(AHEAD, {"tasks.t.season": 3}, see=see_forecast),
    "model.objectives": Case(NET, {"objectives": {"l1": {"kind": "l1", "inputs": "digit"}}}),
    "model.about": Case(NET, {"about": {"limits": "something told"}}, see=see_card),
    **{
        f"model.about.{key}": Case(NET, {f"about.{key}": "mit" if key == "license" else "something told"}, see=see_card)
        for key in ("description", "license", "intended_use", "limits", "owner")
    },
    # the learner file
    "learner.optimizer": Case(LEARN, {"optimizer": {"kind": "sgd", "lr": 0.001}}),
    "learner.optimizer.kind": Case(LEARN, {"optimizer.kind": "adamw"}),
    "learner.optimizer.lr": Case(LEARN, {"optimizer.lr": 0.02}),
    "learner.seed": Case(LEARN, {"seed": 1}),
    "learner.device": Case(LEARN, {"device": "cuda:99"}, refused="this machine has no device 'cuda:99'"),
    "learner.clip_norm": Case(LEARN, {"clip_norm": 0.01}, {"optimizer": {"kind": "sgd", "lr": 0.001}}),
    "learner.schedule": Case(LEARN, {"schedule": {"kind": "cosine"}}),
    "learner.phases": Case(LEARN, {"phases.third": {"epochs": 1}}),
    "learner.phases.*.epochs": Case(LEARN, {"phases.supervised.epochs": 1}),
    "learner.phases.*.data": Case(LEARN, {"phases.supervised.data": "e"}, refused="there is no data set 'e'"),
    "learner.phases.*.train": Case(LEARN, {"phases.supervised.train": "digit"}),
    "learner.phases.*.freeze": Case(LEARN, {"phases.supervised.freeze": ["encoder"]}),
    "learner.phases.*.lr": Case(LEARN, {"phases.supervised.lr": 0.001}),
    "learner.phases.*.schedule": Case(LEARN, {"phases.supervised.schedule": {"kind": "cosine"}}),
    "learner.phases.*.consolidate": Case(LEARN, {"phases.supervised.consolidate": False}),
    "learner.replay": Case(LEARN, {"replay": {**REPLAY, "kind": "reservoir"}}),
    **{
        f"learner.replay[{kind}].{key}": Case(LEARN, {f"replay.{key}": value}, {"replay": {**REPLAY, "kind": kind}})
        for kind in ("reservoir", "der++")
        for key, value in (("rows", 30), ("batch", 9), ("beta", 0.5))
    },
    **{
        f"learner.replay[{kind}].when": Case(
            LEARN,
            {"replay.when": "all"},
            {"replay": {**REPLAY, "kind": kind}},
            refused="the rows that were kept and phase 'supervised' do not learn from the same",
        )
        for kind in ("reservoir", "der++")
    },
    "learner.replay[der++].alpha": Case(LEARN, {"replay.alpha": 0.2}, {"replay": {**REPLAY, "kind": "der++"}}),
    "learner.replay[reservoir].kind": Case(
        LEARN, {"replay.kind": "der++"}, {"replay": {**REPLAY, "kind": "reservoir"}}
    ),
    "learner.replay[der++].kind": Case(LEARN, {"replay.kind": "reservoir"}, {"replay": {**REPLAY, "kind": "der++"}}),
    "learner.ema": Case(LEARN, {"ema": {}}),
    "learner.ema.decay": Case(LEARN, {"ema.decay": 0.5}, {"ema": {"decay": 0.9}}),
    "learner.checkpoint": Case(LEARN, {"checkpoint": None}),
    "learner.checkpoint.every": Case(LEARN, {"checkpoint.every": {"steps": 2}}),
    "learner.checkpoint.every.epochs": Case(
        LEARN, {"checkpoint.every.epochs": 3}, {"checkpoint.keep": 9, "checkpoint.best": None}
    ),
    "learner.checkpoint.every.steps": Case(
        LEARN, {"checkpoint.every.steps": 2}, {"checkpoint.every": {"steps": 4}, "checkpoint.keep": 9}
    ),
    "learner.checkpoint.keep": Case(LEARN, {"checkpoint.keep": 1}),
    "learner.checkpoint.best": Case(LEARN, {"checkpoint.best": None}),
    "learner.checkpoint.best.metric": Case(LEARN, {"checkpoint.best.metric": "val/digit/auroc"}),
    "learner.checkpoint.best.mode": Case(LEARN, {"checkpoint.best.mode": "min"}),
    "learner.record_examples": Case(LEARN, {"record_examples": False}),
    "learner.log": Case(LEARN, {"log": ["tensorboard"]}),
    # the deploy file
    "deploy.variants": Case(DEPLOY, {"variants": {"slim": {"factorize": {"rank": 0.5}}}}),
    "deploy.variants.*.quantize": Case(DEPLOY, {"variants": {"v": {"quantize": {}}}}),
    "deploy.variants.*.quantize.scheme": Case(
        DEPLOY, {"variants": {"v": {"quantize": {"scheme": "int4"}}}}, refused="expected .*int8_static"
    ),
    "deploy.variants.*.quantize.calibration_rows": Case(
        DEPLOY, {"variants.v.quantize.calibration_rows": 2}, {"variants": {"v": {"quantize": {}}}}
    ),
    "deploy.variants.*.factorize": Case(DEPLOY, {"variants": {"v": {"factorize": {"rank": 0.5}}}}),
    "deploy.variants.*.factorize.rank": Case(
        DEPLOY, {"variants.v.factorize.rank": 0.25}, {"variants": {"v": {"factorize": {"rank": 0.5}}}}
    ),
    "deploy.gate": Case(DEPLOY, {"gate": {"metric": "digit/accuracy"}}, SLIM),
    "deploy.gate.metric": Case(
        DEPLOY, {"gate.metric": "digit/log_loss"}, {**SLIM, "gate": {"metric": "digit/accuracy"}}
    ),
    "deploy.gate.max_drop": Case(DEPLOY, {"gate.max_drop": 0.9}, {**SLIM, "gate": {"metric": "digit/accuracy"}}),
    "deploy.gate.accept_undecided": Case(
        DEPLOY,
        {"gate.accept_undecided": True},
        {"variants": {"v": {"factorize": {"rank": 0.5}}}, "gate": {"metric": "digit/accuracy", "max_drop": 0.16}},
    ),
    "deploy.bundle": Case(DEPLOY, {"bundle": "elsewhere"}),
}
DISTILL = {"into": "{folder}/small.model.yaml", "epochs": 1}
CASES |= {
    "deploy.variants.*.distill": Case(DEPLOY, {"variants": {"v": {"distill": DISTILL}}}),
    "deploy.variants.*.distill.into": Case(
        DEPLOY, {"variants.v.distill.into": "{folder}/tiny.model.yaml"}, {"variants": {"v": {"distill": DISTILL}}}
    ),
    **{
        f"deploy.variants.*.distill.{key}": Case(
            DEPLOY, {f"variants.v.distill.{key}": value}, {"variants": {"v": {"distill": DISTILL}}}
        )
        for key, value in (("epochs", 2), ("temperature", 1.0), ("lr", 0.01))
    },
    "deploy.variants.*.fine_tune": Case(
        DEPLOY, {"variants.v.fine_tune": {"epochs": 1}}, {"variants": {"v": {"factorize": {"rank": 0.5}}}}
    ),
    **{
        f"deploy.variants.*.fine_tune.{key}": Case(
            DEPLOY,
            {f"variants.v.fine_tune.{key}": value},
            {"variants": {"v": {"factorize": {"rank": 0.5}, "fine_tune": {"epochs": 1}}}},
        )
        for key, value in (("epochs", 2), ("lr", 0.01))
    },
}


# --- how a step is made ---
def see_compiling(spec: LearnerSpec, folder: Path) -> Any:
    """Whether torch compiles something."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    see_learning(spec, folder)
    return bool(torch._dynamo.utils.counters["frames"]["ok"])


def see_order(spec: LearnerSpec, folder: Path) -> Any:
    """How a convolution's weights lie in memory."""
    loaders = jumpml.create_dataloader(DIGITS)
    net = copy.deepcopy(NET)
    args = {"in_channels": 1, "out_channels": 2, "kernel_size": 3}
    net["nodes"]["flat"] = {
        "layers": [{"module": "torch.nn.Conv2d", "args": args}, "torch.nn.Flatten"],
        "inputs": "image",
    }
    model = jumpml.load_model(net, loaders)
    jumpml.create_learner(loaders, model, None, spec, run=folder).train_epoch()
    return [value.stride() for value in model.parameters()]


def see_steps(spec: LearnerSpec, folder: Path) -> Any:
    """What is told of steps."""
    see_learning(spec, folder)
    return (folder / "steps.jsonl").read_text()


def see_started(spec: LearnerSpec, folder: Path) -> Any:
    """What one of two processes says that were started; the other is not there to be joined."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"RANK": "0", "WORLD_SIZE": "2"}.items():
            patch.setenv(name, value)
        try:
            return see_learning(spec, folder)
        except JumpMLError as error:
            return str(error)


CASES |= {
    "learner.distribute": Case(LEARN, {"distribute": "ddp"}, see=see_started),
    "learner.distribute[none].kind": Case(
        LEARN, {"distribute.kind": "ddp"}, {"distribute": {"kind": "none"}}, see=see_started
    ),
    "learner.distribute[ddp].kind": Case(
        LEARN, {"distribute.kind": "none"}, {"distribute": {"kind": "ddp"}}, see=see_started
    ),
}
FOUR = {"phases.self_supervised.epochs": 0, "phases.supervised.epochs": 4, "checkpoint": None}
STOP = {"metric": "val/loss", "patience": 0, "min_delta": 9.0}
TASK_STOP = {"metric": "accuracy", "patience": 0, "min_delta": 9.0}
CASES |= {
    "learner.swa": Case(LEARN, {"swa": {}}, FOUR),
    "learner.swa.start": Case(LEARN, {"swa.start": 0.25}, {**FOUR, "swa": {}}),
    "learner.swa.lr": Case(LEARN, {"swa.lr": 0.002}, {**FOUR, "swa": {"lr": 0.05}}),
    "learner.swa.anneal": Case(LEARN, {"swa.anneal": 0}, {**FOUR, "swa": {"lr": 0.05, "start": 0.25}}),
    "learner.swa.phase": Case(LEARN, {"swa.phase": "self_supervised"}, {"swa": {}}),
    "learner.early_stop": Case(LEARN, {"early_stop": STOP}, FOUR),
    "learner.early_stop.metric": Case(
        LEARN, {"early_stop.metric": "val/digit/accuracy"}, {**FOUR, "early_stop": {"patience": 0, "mode": "max"}}
    ),
    "learner.early_stop.patience": Case(LEARN, {"early_stop.patience": 1}, {**FOUR, "early_stop": STOP}),
    "learner.early_stop.min_delta": Case(LEARN, {"early_stop.min_delta": 0.0}, {**FOUR, "early_stop": STOP}),
    "learner.early_stop.mode": Case(
        LEARN, {"early_stop.mode": "max"}, {**FOUR, "early_stop": {"metric": "val/loss", "patience": 0}}
    ),
    "learner.early_stop.tasks": Case(LEARN, {"early_stop.tasks": {"digit": TASK_STOP}}, FOUR),
    "learner.early_stop.tasks.*.metric": Case(
        LEARN, {"early_stop.tasks.digit.metric": "log_loss"}, {**FOUR, "early_stop": {"tasks": {"digit": TASK_STOP}}}
    ),
    "learner.early_stop.tasks.*.patience": Case(
        LEARN, {"early_stop.tasks.digit.patience": 1}, {**FOUR, "early_stop": {"tasks": {"digit": TASK_STOP}}}
    ),
    "learner.early_stop.tasks.*.min_delta": Case(
        LEARN, {"early_stop.tasks.digit.min_delta": 0.0}, {**FOUR, "early_stop": {"tasks": {"digit": TASK_STOP}}}
    ),
    "learner.early_stop.tasks.*.mode": Case(
        LEARN,
        {"early_stop.tasks.digit.mode": "max"},
        {**FOUR, "early_stop": {"tasks": {"digit": {"metric": "log_loss", "patience": 0}}}},
    ),
    "learner.statistics": Case(LEARN, {"statistics": True}, see=see_steps),
}


# --- test time ---
def see_adapting(spec: LearnerSpec, folder: Path) -> Any:
    """What an adapting copy makes of the test rows."""
    loaders = jumpml.create_dataloader(DIGITS)
    net = copy.deepcopy(NET)
    wide = {"module": "torch.nn.LazyLinear", "args": {"out_features": 16}}
    net["nodes"]["norm"] = {"layers": [wide, "torch.nn.LazyBatchNorm1d", "torch.nn.ReLU"], "inputs": "flat"}
    last = {"module": "torch.nn.LayerNorm", "args": {"normalized_shape": 16}}
    net["nodes"]["encoder"] = {"layers": [wide, last], "inputs": "norm"}
    net["objectives"] = {"agree": {**net["objectives"]["agree"], "when": ["supervised", "test_time"]}}
    model = jumpml.load_model(net, loaders)
    learner = jumpml.create_learner(loaders, model, None, spec, run=folder)
    learner.fit()
    adapted = None if learner.adaptation is None else learner.adapt()
    outputs = learner.predict("test", adapt=adapted)["digit"].output
    return digest([outputs, adapted and adapted.told])


ADAPT: dict[str, dict[str, Any]] = {
    "statistics": {"kind": "statistics"},
    "entropy": {"kind": "entropy", "lr": 0.1, "steps": 2, "reliable": 1.0},
    "ttt": {"kind": "ttt", "lr": 0.1},
    "memo": {"kind": "memo", "lr": 0.1, "view": "one", "copies": 3},
}
ONCE: dict[str, Any] = {
    **LEARN,
    "phases": {"self_supervised": {"epochs": 0}, "supervised": {"epochs": 2}},
    "checkpoint": None,
    "log": [],
}


def adapting(kind: str, key: str, value: Any, **before: Any) -> Case:
    """A change of a key of `adapt`."""
    return Case(ONCE, {f"adapt.{key}": value}, {"adapt": {**ADAPT[kind], **before}}, see=see_adapting)


CASES["learner.adapt"] = Case(ONCE, {"adapt": ADAPT["statistics"]}, see=see_adapting)
for each, said in ADAPT.items():
    key = f"learner.adapt[{each}]"
    other = {"adapt": ADAPT["entropy" if each != "entropy" else "statistics"]}
    spoilt = {"statistics": {}, "entropy": {"lr": 3.0}, "ttt": {"lr": 0.5}, "memo": {"lr": 3.0}}[each]
    CASES[f"{key}.kind"] = Case(ONCE, other, {"adapt": said}, see=see_adapting)
    CASES[f"{key}.probe"] = adapting(each, "probe", None, **spoilt)
    CASES[f"{key}.probe.rows"] = adapting(each, "probe", {"rows": 0}, **spoilt)
    if each != "memo":
        CASES[f"{key}.episodic"] = adapting(each, "episodic", True, probe=None)
    if each != "statistics":
        CASES[f"{key}.probe.tolerance"] = adapting(each, "probe", {"tolerance": 9.0}, **spoilt)
        CASES[f"{key}.lr"] = adapting(each, "lr", 0.05, probe=None)
        CASES[f"{key}.steps"] = adapting(each, "steps", 3, probe=None)
TENT = {"kind": "entropy", "lr": 0.1, "probe": None}
CASES |= {
    "learner.adapt[statistics].prior": adapting("statistics", "prior", 16, probe=None),
    "learner.adapt[statistics].memory": adapting("statistics", "memory", 32, probe=None),
    "learner.adapt[entropy].guarded": Case(ONCE, {"adapt.guarded": False}, {"adapt": TENT}, see=see_adapting),
    "learner.adapt[entropy].reliable": adapting("entropy", "reliable", 0.3, probe=None),
    "learner.adapt[entropy].nodes": adapting("entropy", "nodes", "norm", probe=None),
    "learner.adapt[ttt].nodes": adapting("ttt", "nodes", "norm", probe=None),
    "learner.adapt[memo].nodes": adapting("memo", "nodes", "encoder", probe=None),
    "learner.adapt[entropy].prior": adapting("entropy", "prior", None, probe=None),
    "learner.adapt[entropy].memory": adapting("entropy", "memory", None, probe=None),
    "learner.adapt[memo].view": adapting("memo", "view", "two", probe=None),
    "learner.adapt[memo].copies": adapting("memo", "copies", 5, probe=None),
}
PROBED = {"embeddings": [{"node": "encoder", "label": "label"}]}


def probed(**changes: Any) -> dict[str, Any]:
    return {"embeddings": [{**PROBED["embeddings"][0], **changes}]}


CASES |= {
    "learner.embeddings": Case(LEARN, PROBED),
    "learner.embeddings.node": Case(LEARN, probed(node="flat"), PROBED),
    "learner.embeddings.label": Case(LEARN, {"embeddings": [{"node": "encoder"}]}, PROBED),
    "learner.embeddings.view": Case(LEARN, probed(view="two"), PROBED),
    "learner.embeddings.every": Case(LEARN, probed(every=2), PROBED),
    "learner.embeddings.rows": Case(LEARN, probed(rows=20), PROBED),
    "learner.embeddings.map": Case(
        LEARN, probed(map="umap"), PROBED, refused="the package 'umap-learn' is not installed"
    ),
    "learner.embeddings.figures": Case(LEARN, probed(figures=["knn"]), PROBED),
}
EAGER = {"compile": {"backend": "eager"}}
CASES |= {
    "learner.accumulate": Case(LEARN, {"accumulate": 2}),
    "learner.clip_value": Case(LEARN, {"clip_value": 0.001}, {"optimizer": {"kind": "sgd", "lr": 0.001}}),
    "learner.precision": Case(LEARN, {"precision": "bfloat16"}),
    "learner.compile": Case(LEARN, EAGER, see=see_compiling),
    "learner.compile.backend": Case(LEARN, {"compile.backend": "none"}, EAGER, refused="torch has no backend 'none'"),
    "learner.compile.mode": Case(LEARN, {"compile.mode": "max-autotune"}, EAGER, refused="'eager' has no modes"),
    "learner.channels_last": Case(LEARN, {"channels_last": True}, see=see_order),
}
# --- optimizers and schedules ---
DECAYED = {"optimizer": {"kind": "adamw", "lr": 0.01, "weight_decay": 0.5}}
GROUPED = {"optimizer.groups": [{"nodes": "digit", "lr": 0.1}]}
CASES |= {
    "learner.optimizer.groups": Case(LEARN, GROUPED),
    "learner.optimizer.groups.nodes": Case(LEARN, {"optimizer.groups": [{"nodes": "encoder", "lr": 0.1}]}, GROUPED),
    "learner.optimizer.groups.kind": Case(
        LEARN, {"optimizer.groups": [{"nodes": "digit", "lr": 0.1, "kind": "sgd"}]}, GROUPED
    ),
    "learner.optimizer.groups.lr": Case(LEARN, {"optimizer.groups": [{"nodes": "digit", "lr": 0.2}]}, GROUPED),
    "learner.optimizer.layer_decay": Case(LEARN, {"optimizer.layer_decay": 0.5}),
    "learner.optimizer.no_decay": Case(LEARN, {"optimizer.no_decay": ["biases"]}, DECAYED),
}
STEP_LR = {"kind": "torch", "name": "StepLR", "args": {"step_size": 1}}
PLATEAU = {"kind": "plateau", "metric": "val/digit/accuracy", "mode": "min", "patience": 0, "factor": 0.5}
LEARNED = {"phases.self_supervised.epochs": 0, "phases.supervised.epochs": 5, "checkpoint": None}
CONSTANT = {"kind": "constant"}
SCHEDULES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [  # the schedule, and what of it is changed
    ("one_cycle", {"kind": "one_cycle", "max_lr": 0.02}, {"max_lr": 0.03}),
    ("one_cycle", {"kind": "one_cycle", "max_lr": 0.02}, {"warmup": 0.6}),
    ("one_cycle", {"kind": "one_cycle", "max_lr": 0.02}, {"by": "epoch"}),
    ("cosine", {"kind": "cosine"}, {"min_lr": 0.005}),
    ("cosine", {"kind": "cosine"}, {"by": "epoch"}),
    ("cosine", {"kind": "cosine"}, {"warmup": 0.5}),
    ("constant", CONSTANT, {"lr": 0.02}),
    ("constant", CONSTANT, {"warmup": 0.5}),
    ("linear", {"kind": "linear"}, {"start_lr": 0.02}),
    ("linear", {"kind": "linear"}, {"end_lr": 0.005}),
    ("linear", {"kind": "linear"}, {"by": "epoch"}),
    ("linear", {"kind": "linear"}, {"warmup": 0.5}),
    ("plateau", PLATEAU, {"metric": "val/loss"}),
    ("plateau", PLATEAU, {"factor": 0.2}),
    ("plateau", PLATEAU, {"patience": 1}),
    ("plateau", PLATEAU, {"min_delta": 1.0, "patience": 0}),
    ("plateau", PLATEAU, {"cooldown": 1}),
    ("plateau", PLATEAU, {"min_lr": 0.009}),
    ("plateau", PLATEAU, {"mode": "max"}),
    ("plateau", PLATEAU, {"warmup": 0.2}),
    ("torch", STEP_LR, {"name": "ExponentialLR", "args": {"gamma": 0.9}}),
    ("torch", STEP_LR, {"args": {"step_size": 2}}),
    ("torch", STEP_LR, {"by": "epoch"}),
    ("torch", STEP_LR, {"warmup": 0.5}),
]
for kind, told, change in SCHEDULES:
    key = next(iter(change))
    before = {**(LEARNED if kind == "plateau" else {}), "schedule": told}
    if key == "min_delta":  # with `max` every epoch is better, but for so great a difference
        before["schedule"] = {**told, "mode": "max"}
    CASES[f"learner.schedule[{kind}].{key}"] = Case(LEARN, {"schedule": {**before["schedule"], **change}}, before)
for kind, told in {kind: told for kind, told, _ in SCHEDULES}.items():
    other = "cosine" if kind == "constant" else "constant"
    refused = None if kind in {"constant", "linear", "cosine"} else "this key is unknown"
    before = {**(LEARNED if kind == "plateau" else {}), "schedule": told}
    CASES[f"learner.schedule[{kind}].kind"] = Case(LEARN, {"schedule.kind": other}, before, refused=refused)
    for length in ("epochs", "steps"):
        chain = [{**told, length: 1}, {"kind": "constant", "lr": 0.05}]
        longer = [{**told, length: 2}, {"kind": "constant", "lr": 0.05}]
        CASES[f"learner.schedule[{kind}].{length}"] = Case(LEARN, {"schedule": longer}, {**before, "schedule": chain})
CASES |= {
    f"learner.schedule[cosine].warmup.{key}": Case(
        LEARN, {"schedule.warmup": warmup}, {"schedule": {"kind": "cosine", "warmup": {"steps": 3}}}
    )
    for key, warmup in (("epochs", {"epochs": 1}), ("steps", {"steps": 2}), ("start", {"steps": 3, "start": 0.5}))
}
# --- initialization ---
SCHEMES: dict[str, dict[str, Any]] = {
    "default": {},
    "kaiming": {"biases": "keep", "distribution": "uniform", "mode": "fan_out", "nonlinearity": "tanh"},
    "xavier": {"biases": "keep", "distribution": "normal", "gain": 2},
    "orthogonal": {"biases": "keep", "gain": 2},
    "normal": {"biases": "keep", "std": 0.2},
    "trunc_normal": {"biases": "keep", "std": 0.2},
    "zeros": {"biases": "keep"},
    "lsuv": {"biases": "keep", "tolerance": 0.9, "tries": 1},
}
START = {"initialize": {"checkpoint": {"file": "{folder}/states.pt", "part": "net"}}}
for kind, options in SCHEMES.items():
    told: dict[str, Any] = {"kind": kind, **({"tolerance": 1e-7} if kind == "lsuv" else {})}
    other = "zeros" if kind == "default" else "default"
    CASES[f"learner.initialize.scheme[{kind}].kind"] = Case(
        LEARN, {"initialize.scheme": {"kind": other}}, {"initialize": {"scheme": told}}
    )
    for key, value in options.items():
        before = {**told, "biases": "keep"} if key == "tries" else told  # without biases one try is enough
        CASES[f"learner.initialize.scheme[{kind}].{key}"] = Case(
            LEARN, {f"initialize.scheme.{key}": value}, {"initialize": {"scheme": before}}
        )
CASES |= {
    "learner.initialize": Case(LEARN, {"initialize": {"scheme": "zeros"}}),
    "learner.initialize.scheme": Case(LEARN, {"initialize.scheme": "orthogonal"}),
    "learner.initialize.nodes": Case(LEARN, {"initialize.nodes": {"digit": "zeros"}}),
    "learner.initialize.checkpoint": Case(LEARN, START),
    "learner.initialize.checkpoint.file": Case(
        LEARN, {"initialize.checkpoint": {"file": "{folder}/other.safetensors"}}, START
    ),
    "learner.initialize.checkpoint.part": Case(LEARN, {"initialize.checkpoint.part": "other"}, START),
    "learner.initialize.checkpoint.nodes": Case(LEARN, {"initialize.checkpoint.nodes": "encoder"}, START),
    "learner.initialize.checkpoint.strict": Case(
        LEARN,
        {"initialize.checkpoint.strict": True},
        {"initialize": {"checkpoint": {"file": "{folder}/encoder.safetensors", "strict": False}}},
        refused="has no weights of a node 'digit'",
    ),
}
# --- growth ---
GROWS = {"trigger": {"epoch": 1}, "node": "encoder", "widen": 1.5}
BESIDE = {"name": "beside", "module": "torch.nn.LazyLinear", "inputs": "flat", "args": {"out_features": 10}}
ADAPTED = {"trigger": {"epoch": 1, "phase": "self_supervised"}, "node": "encoder", "low_rank": 2}
MERGED = {"trigger": {"epoch": 1}, "node": "encoder", "merge": True}
STAYS = {"metric": "val/digit/accuracy", "mode": "max", "patience": 0, "min_delta": 1.0}  # no epoch is so much better
GROWTH: dict[str, dict[str, Any]] = {
    "grow": {"widen": 2.0},
    "grow.trigger": {"trigger": {"epoch": 2}},
    "grow.trigger.epoch": {"trigger": {"epoch": 2}},
    "grow.trigger.phase": {"trigger": {"epoch": 1, "phase": "self_supervised"}},
    "grow.node": {"node": "encoder.layers.1"},
    "grow.widen": {"widen": 2.0},
    "grow.shrink": {"widen": None, "shrink": 0.5},
    "grow.deepen": {"widen": None, "deepen": 1},
    "grow.low_rank": {"widen": None, "low_rank": 2},
    "grow.branch": {"node": "digit", "widen": None, "branch": BESIDE},
}
CASES |= {
    f"learner.{key}": Case(LEARN, {"grow": [{**GROWS, **change}]}, {"grow": [GROWS]}) for key, change in GROWTH.items()
}
CASES["learner.grow.merge"] = Case(LEARN, {"grow": [ADAPTED, MERGED]}, {"grow": [ADAPTED]})
CASES |= {
    f"learner.grow.branch.{key}": Case(
        LEARN,
        {"grow": [{**GROWS, "node": "digit", "widen": None, "branch": {**BESIDE, **change}}]},
        {"grow": [{**GROWS, "node": "digit", "widen": None, "branch": BESIDE}]},
    )
    for key, change in (
        ("name", {"name": "side"}),
        ("module", {"module": "jumpml.blocks.ResidualMLP", "args": {"width": 10, "depth": 1}}),
        ("inputs", {"inputs": "encoder"}),
        ("args", {"args": {"out_features": 10, "bias": False}}),
    )
}
CASES |= {
    f"learner.grow.trigger.{key}": Case(
        LEARN,
        {"grow": [{**GROWS, "trigger": {"plateau": {**STAYS, **before, **change}}}]},
        {**LEARNED, "grow": [{**GROWS, "trigger": {"plateau": {**STAYS, **before}}}]},
    )
    for key, before, change in (
        ("plateau", {}, {"patience": 2}),
        ("plateau.metric", {"min_delta": 0.0}, {"metric": "val/loss"}),
        ("plateau.patience", {}, {"patience": 1}),
        ("plateau.min_delta", {}, {"min_delta": 0.0}),
        ("plateau.mode", {"min_delta": 0.0}, {"mode": "min"}),
        ("plateau.times", {}, {"times": 2}),
    )
}
# --- splits ---
S = f"{D}.split"
ONE, OTHER = ({"kind": "csv", "path": f"{{folder}}/{name}.csv"} for name in ("table", "other"))
BY_SPLIT = {f"{D}.source": {"train": ONE, "test": ONE}, f"{S}.duplicates": "allow"}
CASES |= {
    "data.datasets.*.split.bins": Case(TABLE, {f"{S}.bins": 3}, {f"{S}.stratify": "y"}),
    "data.datasets.*.split.group": Case(TABLE, {f"{S}.group": "b"}),
    "data.datasets.*.split.time": Case(TABLE, {f"{S}.time": "b"}),
    "data.datasets.*.split.gap": Case(TABLE, {f"{S}.gap": 0.1}, {f"{S}.time": "b"}),
    "data.datasets.*.split.stable": Case(TABLE, {f"{S}.stable": "b"}),
    "data.datasets.*.split.fold": Case(TABLE, {f"{S}.fold": {"of": 5, "use": 0}}),
    "data.datasets.*.split.fold.of": Case(TABLE, {f"{S}.fold.of": 4}, {f"{S}.fold": {"of": 5, "use": 0}}),
    "data.datasets.*.source.train": Case(TABLE, {f"{D}.source.train": OTHER}, BY_SPLIT),
    "data.datasets.*.source.val": Case(TABLE, {f"{D}.source.val": OTHER}, BY_SPLIT),
    "data.datasets.*.source.test": Case(TABLE, {f"{D}.source.test.path": "{folder}/twice.csv"}, BY_SPLIT),
    "data.datasets.*.split.fold.use": Case(TABLE, {f"{S}.fold.use": 1}, {f"{S}.fold": {"of": 5, "use": 0}}),
}
# --- augment ---
# A field of each kind that can be changed, and every step with its options and another value for each of its keys.
CHANGED: dict[str, Any] = {
    "datasets": {
        "d": {
            "source": {"kind": "npz", "path": "{folder}/changes.npz"},
            "fields": {
                "image": {"kind": "image", "shape": [3, 8, 8], "range": [0, 1]},
                "label": {"kind": "category"},
                "number": {"kind": "number"},
                "series": {"kind": "series"},
                "spectrogram": {"kind": "tensor", "shape": [6, 10]},
                "audio": {"kind": "audio", "rate": 100, "samples": 50},
                "text": {"kind": "text", "length": 6, "tokenizer": {"kind": "words"}},
            },
        }
    },
    "views": {"one": {"image": []}},
    "batch_size": 32,
}
STEPS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "shift": ("image", {"pixels": 1}, {"pixels": 3}),
    "rotate": ("image", {"degrees": 5}, {"degrees": 90}),
    "flip": ("image", {"horizontal": 0.3, "vertical": 0.3}, {"horizontal": 0.9, "vertical": 0.9}),
    "crop": ("image", {"scale": [0.5, 1]}, {"scale": [0.1, 0.5], "ratio": [1, 2]}),
    "affine": (
        "image",
        {"degrees": 5},
        {"degrees": 50, "translate": 0.2, "scale": [0.5, 2], "shear": 20},
    ),
    "colour": (
        "image",
        {"brightness": 0.2},
        {"brightness": 0.5, "contrast": 0.5, "saturation": 0.5, "hue": 0.2, "probability": 0.2},
    ),
    "blur": ("image", {"sigma": [0.5, 1]}, {"sigma": [1, 2], "probability": 0.2}),
    "erase": ("image", {"area": 0.3, "probability": 1.0}, {"area": 0.6, "probability": 0.3}),
    "rand_augment": ("image", {}, {"number": 1, "magnitude": 20}),
    "mixup": ("image, label", {}, {"alpha": 2, "probability": 0.5}),
    "cutmix": ("image, label", {}, {"alpha": 0.2, "probability": 0.5}),
    "noise": ("image", {"std": 0.1}, {"std": 0.3, "relative": True}),
    "swap_noise": ("number", {"probability": 0.2}, {"probability": 0.9}),
    "time_shift": ("audio", {"share": 0.1}, {"share": 0.5}),
    "gain": ("audio", {"decibels": 3}, {"decibels": 9}),
    "mask_time": ("spectrogram", {"share": 0.5}, {"share": 1, "number": 3}),
    "mask_frequency": ("spectrogram", {"share": 0.5}, {"share": 1, "number": 3}),
    "scale": ("series", {"std": 0.1}, {"std": 0.3}),
    "permute": ("series", {"segments": 2}, {"segments": 4}),
    "mask_steps": ("series", {"share": 0.5}, {"share": 1, "number": 3}),
    "crop_steps": ("series", {"scale": [0.5, 1]}, {"scale": [0.1, 0.5]}),
    "mask_tokens": ("text", {"probability": 0.2}, {"probability": 0.9}),
    "drop_tokens": ("text", {"probability": 0.2}, {"probability": 0.9}),
}
TELLING: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "hide": ("image", {"share": 0.2}, {"share": 0.9, "patch": [2, "all"], "fill": "noise"}),
    "quarter_turn": ("image", {}, {}),
    "jigsaw": ("image", {"pieces": 2}, {"pieces": 4, "permutations": 3}),
    "order": ("series", {"segments": 2}, {"segments": 4}),
}
for step, (changed, options, others) in TELLING.items():
    one = {f"views.one.{changed}": [{step: options}]}
    CASES[f"data.views.*.*.{step}"] = Case(CHANGED, one)
    asked = Case(CHANGED, {f"augment.{changed}": [{step: options}]}, refused=f"{step} is for views")
    CASES |= {f"data.augment.*.{step}{key}": asked for key in ("", *(f".{key}" for key in others))}
    CASES |= {
        f"data.views.*.*.{step}.{key}": Case(CHANGED, {f"views.one.{changed}": [{step: {**options, key: value}}]}, one)
        for key, value in others.items()
    }
for place, where in (("augment.*", "augment"), ("views.*.*", "views.one")):
    for step, (changed, options, others) in STEPS.items():
        one = {f"{where}.{changed}": [{step: options}]}
        CASES[f"data.{place}.{step}"] = Case(CHANGED, one)
        CASES |= {
            f"data.{place}.{step}.{key}": Case(CHANGED, {f"{where}.{changed}": [{step: {**options, key: value}}]}, one)
            for key, value in others.items()
        }


# --- sources ---
def write_sources(folder: Path) -> None:
    """Sources of every kind, and another of each with other rows."""
    (folder / "quoted.csv").write_text("c\n" + "".join(f'"word {row % 3}"\n' for row in range(40)))
    for name, first in (("one", 0), ("other", 50)):
        numbers = np.arange(first, first + 40)
        words = [f"word {number % 3}" for number in numbers]
        table = pa.table({"a": numbers / 2, "c": words})
        parquet.write_table(table, folder / f"{name}.parquet")
        feather.write_feather(table, str(folder / f"{name}.arrow"))
        rows = [{"a": number / 2, "c": word} for number, word in zip(numbers.tolist(), words, strict=True)]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        np.save(folder / f"{name}.npy", numbers)
        (folder / f"{name}.idx").write_bytes(b"\0\0\x08\x01\0\0\0\x28" + bytes(numbers.tolist()))
        (folder / f"{name}.txt").write_bytes("\n\n".join(f"{n}\nä{n}" for n in numbers).encode("latin-1"))
        with sqlite3.connect(folder / f"{name}.db") as connection:
            for order, title in (("", "t"), ("DESC", "u")):
                connection.execute(f"CREATE TABLE {title} (a REAL, c TEXT)")
                told = sorted(zip(numbers.tolist(), words, strict=True), reverse=bool(order))
                connection.executemany(f"INSERT INTO {title} VALUES (?, ?)", told)
        connection.close()
        made = datasets.Dataset.from_dict(table.to_pydict())
        datasets.DatasetDict({"train": made, "test": made.select(range(39, -1, -1))}).save_to_disk(
            folder / f"{name}.hf"
        )
        with tarfile.open(folder / f"{name}.tar", "w") as archive:
            for number in numbers.tolist():
                told = tarfile.TarInfo(f"{number:03}.cls")
                told.size = len(str(number))
                archive.addfile(told, io.BytesIO(str(number).encode()))
        for number in numbers.tolist():
            for suffix in ("png", "wav"):
                path = folder / f"{name}_{suffix}" / f"class {number % 3}" / f"{number}_{number**2}.{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"")


def from_source(source: dict[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """A data file on a source; fields are columns with their kinds."""
    told = {f"field {index}": {"kind": kind, "column": name} for index, (name, kind) in enumerate(fields.items())}
    return {"datasets": {"d": {"source": source, "fields": told, "split": {"duplicates": "allow"}}}}


def see_answers(spec: DataSpec, _: Path) -> Any:
    """What a hub's answers to these questions make of the data, without a hub."""

    def answer(*asked: Any, **also: Any) -> Any:
        numbers = [float(crc32(f"{asked}{also}{row}".encode()) % 1000) for row in range(40)]
        made = datasets.Dataset.from_dict({"a": numbers})
        return datasets.DatasetDict({"train": made, "test": made.select(range(39, -1, -1))})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "load_dataset", answer)
        return see_data(spec, _)


def see_trusted(spec: DataSpec, _: Path) -> Any:
    """The data that a trusted function gives."""
    loaders = build_dataloader(spec, trust=["json"])
    return digest([next(iter(loaders.val.plain()))])


FROM = f"{D}.source"
NUMBER_AND_WORD = {"a": "number", "c": "category"}
FILE_COLUMNS = {"label": "category", "name": "category"}
OF_TEXT = from_source(
    {"kind": "text", "path": "{folder}/one.txt", "unit": "line", "encoding": "latin-1"}, {"text": "category"}
)
OF_DATABASE = from_source({"kind": "sql", "path": "{folder}/one.db", "table": "t"}, NUMBER_AND_WORD)
OF_SAVED = from_source({"kind": "huggingface", "path": "{folder}/one.hf", "split": "train"}, NUMBER_AND_WORD)
OF_HUB = from_source({"kind": "huggingface", "name": "some/set", "split": "train"}, {"a": "number"})
OF_PYTHON = from_source(
    {"kind": "python", "function": "json:loads", "args": {"s": f'{{"a": {[*range(40)]}}}'}}, {"a": "number"}
)
CASES |= {
    "data.datasets.*.source[csv].header": Case(
        TABLE, {f"{FROM}.header": ["b", "a", "c", "y", "yes", "part"]}, refused=r"expected a number, got 'b'|number"
    ),
    "data.datasets.*.source[csv].quote": Case(
        from_source({"kind": "csv", "path": "{folder}/quoted.csv"}, {"c": "category"}), {f"{FROM}.quote": None}
    ),
    "data.datasets.*.source[csv].encoding": Case(TABLE, {f"{FROM}.encoding": "utf-16"}, refused="no table of UTF-16"),
    **{
        f"data.datasets.*.source[{kind}].path": Case(
            from_source({"kind": kind, "path": f"{{folder}}/one{suffix}"}, fields),
            {f"{FROM}.path": f"{{folder}}/other{suffix}"},
        )
        for kind, suffix, fields in (
            ("parquet", ".parquet", NUMBER_AND_WORD),
            ("json", ".jsonl", NUMBER_AND_WORD),
            ("arrow", ".arrow", NUMBER_AND_WORD),
            ("webdataset", ".tar", {"cls": "category"}),
            ("images", "_png", FILE_COLUMNS),
            ("audio", "_wav", FILE_COLUMNS),
        )
    },
    **{
        f"data.datasets.*.source[{kind}].pattern": Case(
            from_source({"kind": kind, "path": f"{{folder}}/one_{suffix}"}, {"x": "number"}),
            {f"{FROM}.pattern": f"{{x}}_{{y}}.{suffix}"},
            {f"{FROM}.pattern": f"{{y}}_{{x}}.{suffix}"},
        )
        for kind, suffix in (("images", "png"), ("audio", "wav"))
    },
    **{
        f"data.datasets.*.source[{kind}].columns": Case(
            from_source({"kind": kind, "columns": {"a": f"{{folder}}/one.{kind}"}}, {"a": "number"}),
            {f"{FROM}.columns": {"a": f"{{folder}}/other.{kind}"}},
        )
        for kind in ("npy", "idx")
    },
    **{
        f"data.datasets.*.source[{kind}].kind": Case(
            from_source({"kind": kind, "path": f"{{folder}}/one{suffix}"}, fields),
            {f"{FROM}.kind": other},
            refused=text,
        )
        for kind, suffix, fields, other, text in (
            ("parquet", ".parquet", NUMBER_AND_WORD, "json", "this is no"),
            ("json", ".jsonl", NUMBER_AND_WORD, "parquet", "this is no parquet file"),
            ("arrow", ".arrow", NUMBER_AND_WORD, "parquet", "this is no parquet file"),
            ("webdataset", ".tar", {"cls": "category"}, "arrow", "this is no whole Arrow file"),
            ("images", "_png", FILE_COLUMNS, "audio", "expected files that end in .aif"),
            ("audio", "_wav", FILE_COLUMNS, "images", "expected files that end in .bmp"),
        )
    },
    **{
        f"data.datasets.*.source[{kind}].kind": Case(
            from_source({"kind": kind, "columns": {"a": f"{{folder}}/one.{kind}"}}, {"a": "number"}),
            {f"{FROM}.kind": other},
            refused=f"this is no .?{other} file",
        )
        for kind, other in (("npy", "idx"), ("idx", "npy"))
    },
    "data.datasets.*.source[text].kind": Case(OF_TEXT, {f"{FROM}.kind": "npz"}, refused="this key is unknown"),
    "data.datasets.*.source[text].path": Case(OF_TEXT, {f"{FROM}.path": "{folder}/other.txt"}),
    "data.datasets.*.source[text].unit": Case(OF_TEXT, {f"{FROM}.unit": "paragraph"}),
    "data.datasets.*.source[text].encoding": Case(OF_TEXT, {f"{FROM}.encoding": "cp1251"}),
    "data.datasets.*.source[sql].kind": Case(OF_DATABASE, {f"{FROM}.kind": "csv"}, refused="this key is unknown"),
    "data.datasets.*.source[sql].path": Case(OF_DATABASE, {f"{FROM}.path": "{folder}/other.db"}),
    "data.datasets.*.source[sql].table": Case(OF_DATABASE, {f"{FROM}.table": "u"}),
    "data.datasets.*.source[sql].query": Case(
        OF_DATABASE, {f"{FROM}.query": "SELECT a * a AS a, c FROM t", f"{FROM}.table": None}
    ),
    "data.datasets.*.source[sql].url": Case(
        OF_DATABASE, {f"{FROM}.url": "sqlite:///{folder}/other.db", f"{FROM}.path": None}
    ),
    "data.datasets.*.source[huggingface].kind": Case(OF_SAVED, {f"{FROM}.kind": "csv"}, refused="this key is unknown"),
    "data.datasets.*.source[huggingface].path": Case(OF_SAVED, {f"{FROM}.path": "{folder}/other.hf"}),
    "data.datasets.*.source[huggingface].split": Case(OF_SAVED, {f"{FROM}.split": "test"}),
    **{
        f"data.datasets.*.source[huggingface].{key}": Case(OF_HUB, {f"{FROM}.{key}": "other"}, see=see_answers)
        for key in ("name", "config", "revision")
    },
    "data.datasets.*.source[python].kind": Case(OF_PYTHON, {f"{FROM}.kind": "npz"}, refused="this key is unknown"),
    "data.datasets.*.source[python].function": Case(
        OF_PYTHON, {f"{FROM}.function": "json:dumps"}, see=see_trusted, refused="json:dumps: TypeError: "
    ),
    "data.datasets.*.source[python].args": Case(
        OF_PYTHON, {f"{FROM}.args": {"s": f'{{"a": {[*range(40, 80)]}}}'}}, see=see_trusted
    ),
}
# --- kinds ---
# A field of each kind, and another value for each of its keys, or the refusal of it.
FIELDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "multilabel": (
        {"column": "labels"},
        {"column": "g", "classes": ["u+v", "v", "u"], "separator": "+", "rename": {"u": "w"}},
    ),
    "date": ({"column": "day"}, {"column": "other_day", "format": "%Y-%d-%m"}),
    "image": ({"column": "file", "folder": "one", "shape": [1, 4, 4]}, {"folder": "two"}),
    "mask": (
        {"column": "file", "folder": "masks", "shape": [4, 4], "classes": ["a", "b", "c"]},
        {"column": "again", "folder": "masks_too", "shape": [2, 4], "classes": ["a", "b", "c", "d"], "ignore": 9},
    ),
    "audio": (
        {"column": "sound", "folder": "one", "rate": 1000, "samples": 20},
        {"column": "late", "folder": "two", "rate": 500, "samples": 30, "channels": 2},
    ),
    "series": (
        {"columns": ["a", "b"], "window": [-2, 0]},
        {"columns": ["b"], "window": [-1, 2], "group": "g"},
    ),
    "text": (
        {"column": "words", "length": 6, "tokenizer": {"kind": "words"}},
        {"column": "labels", "length": 2, "tokenizer": {"kind": "characters"}},
    ),
    "table": ({"columns": {"a": "number"}}, {"columns": "infer"}),
}
TOKENIZERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "[characters]": ({"kind": "characters"}, {"lowercase": True, "size": 5, "kind": "words"}),
    "[words]": ({"kind": "words"}, {"lowercase": True, "pattern": "[a-z]+", "size": 4, "kind": "characters"}),
    "": ({"kind": "bpe", "size": 20}, {"lowercase": True, "pattern": "[a-z]+", "size": 12, "kind": "wordpiece"}),
    "[file]": ({"kind": "file", "path": "one.json"}, {"path": "two.json"}),
}


def kind_case(kind: str, options: dict[str, Any], change: dict[str, Any], refused: str | None = None) -> Case:
    """A change of a field `y` of that kind, which no node reads, beside a number that makes the rows differ."""
    source = {"kind": "csv", "path": "{folder}/kinds/table.csv"}
    fields = {"a": {"kind": "number"}, "y": {"kind": kind, **options}}
    base = {"datasets": {"d": {"source": source, "fields": fields}}, "batch_size": 16}
    return Case(base, {f"{F}.y.{key}": value for key, value in change.items()}, see=see_kind, refused=refused)


def see_kind(spec: DataSpec, folder: Path) -> Any:
    """What the loaders serve, of a data file that lies in the folder of its files."""
    told = spec.model_dump(mode="json", exclude_unset=True)
    path = folder / "kinds" / f"{digest(torch.tensor(list(str(told).encode())))[2]}.data.yaml"
    path.write_text(json.dumps(told))
    return see_data(load_spec(DataSpec, path), folder)


for field_kind, (options, others) in FIELDS.items():
    at = f"data.datasets.*.fields.*[{field_kind}]"
    CASES |= {f"{at}.{key}": kind_case(field_kind, options, {key: value}) for key, value in others.items()}
    if field_kind not in {"image"}:
        CASES[f"{at}.kind"] = kind_case(field_kind, options, {"kind": "tensor"}, "this key is")
CASES |= {
    "data.datasets.*.fields.*[mask].ignore": kind_case("mask", FIELDS["mask"][0], {"ignore": 9, "folder": "holes"}),
    "data.datasets.*.fields.*[series].column": kind_case(
        "series", FIELDS["series"][0], {"column": "a"}, "windows are made of `columns`, so that this key would change"
    ),
}
LABELLED: dict[str, Any] = {
    "datasets": {
        "d": {
            "source": {"kind": "csv", "path": "{folder}/kinds/table.csv"},
            "fields": {
                "a": {"kind": "number"},
                "t": {"kind": "text", "column": "words", "length": 6, "tokenizer": {"kind": "words"}},
                "y": {"kind": "token_labels", "column": "tags", "text": "t"},
            },
        }
    },
    "batch_size": 16,
}
for key, value, refusal in (
    ("kind", "tensor", "this key is"),
    ("column", "more_tags", None),
    ("text", "a", "expected a text field, got 'a', a number"),
    ("classes", ["y", "x"], None),
):
    CASES[f"data.datasets.*.fields.*[token_labels].{key}"] = Case(
        LABELLED, {f"{F}.y.{key}": value}, see=see_kind, refused=refusal
    )
for tag, (tokenizer, others) in TOKENIZERS.items():
    text = {"column": "words", "length": 6, "tokenizer": tokenizer}
    CASES |= {
        f"data.datasets.*.fields.*[text].tokenizer{tag}.{key}": kind_case("text", text, {f"tokenizer.{key}": value})
        for key, value in others.items()
    }
CASES["data.datasets.*.fields.*[text].tokenizer[file].kind"] = kind_case(
    "text",
    {"column": "words", "length": 6, "tokenizer": TOKENIZERS["[file]"][0]},
    {"tokenizer.kind": "words"},
    "path: this key is unknown",
)


def make_kinds(folder: Path) -> None:
    """A table whose columns name dates, words, labels, and files in several folders."""
    rows, generator = 60, np.random.default_rng(1)
    names = [f"{row}.png" for row in range(rows)]
    for place, values in (("one", 256), ("two", 256), ("masks", 3), ("masks_too", 3), ("holes", 3)):
        (folder / place).mkdir(parents=True)
        for name in names:
            Image.fromarray(generator.integers(0, values, (5, 5), dtype=np.uint8)).save(folder / place / name)
            if values == 256:
                sound = generator.uniform(-1, 1, (25, 2))
                soundfile.write(folder / place / name.replace("png", "wav"), sound, 1000)
    lines = ["a,b,g,labels,day,other_day,file,again,sound,late,words,tags,more_tags"]
    for row in range(rows):
        day, word = f"2001-{row % 12 + 1:02}-{row % 11 + 1:02}", f"Ab{row % 7} cd e.f {row % 3}"
        labels = ["u", "v", "u+v"][row % 3]
        numbers = f"{row}.5,{row % 9},{'uvw'[row // 20]}"
        again, tags = names[-row - 1], "x y x x y x,y y x x y x"
        lines.append(
            f"{numbers},{labels},{day},2002{day[4:]},{names[row]},{again},{row}.wav,{rows - 1 - row}.wav,{word},{tags}"
        )
    (folder / "table.csv").write_text("\n".join(lines))
    for name, ids in (("one", {"[PAD]": 0, "[UNK]": 1, "e": 2}), ("two", {"[PAD]": 0, "[UNK]": 1, "cd": 2, "e": 3})):
        model = {"type": "WordLevel", "vocab": ids, "unk_token": "[UNK]"}
        (folder / f"{name}.json").write_text(json.dumps({"model": model, "pre_tokenizer": {"type": "Whitespace"}}))


# --- features ---
# A data set with fields of the kinds that the features need, and every step on one of them: its options, and another
# value for each of its keys.
DATED: dict[str, Any] = {
    "datasets": {
        "d": {
            "source": {"kind": "csv", "path": "{folder}/kinds/table.csv"},
            "fields": {
                "a": {"kind": "number"},
                "day": {"kind": "date"},
                "body": {"kind": "table", "columns": {"b": "number", "g": "category"}},
            },
        }
    },
    "batch_size": 16,
}
HOLEY = copy.deepcopy(TABLE)
HOLEY["datasets"]["d"]["source"] |= {"path": "{folder}/dash.csv", "missing": ["-"]}
BANDS = {"mels": 4, "window": 50, "hop": 20}
FEATURE_STEPS: dict[str, tuple[dict[str, Any], str, dict[str, Any], dict[str, Any]]] = {
    "standardize": (TABLE, "a", {}, {}),
    "robust_scale": (TABLE, "a", {}, {"low": 0.1, "high": 0.9}),
    "quantile": (TABLE, "a", {}, {"to": "normal", "quantiles": 7}),
    "clip": (TABLE, "a", {"low": -0.5, "high": 0.5}, {"low": -0.1, "high": 0.1}),
    "log": (TABLE, "a", {}, {"offset": 9}),
    "impute": (HOLEY, "a", {"strategy": "constant"}, {"strategy": "mean", "value": 7, "indicator": True}),
    "one_hot": (TABLE, "c", {}, {}),
    "index": (TABLE, "c", {}, {"min_count": 18, "unknown": "rare"}),
    "hash": (TABLE, "c", {"buckets": 2}, {"buckets": 9, "seed": 1}),
    "target_encode": (TABLE, "c", {"target": "y"}, {"target": "a", "smoothing": 1, "folds": 2}),
    "cycles": (DATED, "day", {}, {"parts": ["month"]}),
    "elapsed": (DATED, "day", {}, {}),
    "bag": (CHANGED, "text", {}, {"binary": True}),
    "tfidf": (CHANGED, "text", {}, {"sublinear": True}),
    "resize": (CHANGED, "image", {"height": 4, "width": 4}, {"height": 5, "width": 5}),
    "crop": (CHANGED, "image", {"height": 4, "width": 4}, {"height": 5, "width": 5}),
    "normalize": (CHANGED, "image", {"mean": [0, 0, 0], "std": [1, 1, 1]}, {"mean": [0, 0, 1], "std": [1, 1, 2]}),
    "greyscale": (CHANGED, "image", {}, {}),
    "log_mel": (CHANGED, "audio", BANDS, {"mels": 3, "window": 48, "hop": 10, "low": 5, "high": 40, "rate": 90}),
    "mfcc": (
        CHANGED,
        "audio",
        {**BANDS, "coefficients": 2},
        {"mels": 3, "window": 48, "hop": 10, "low": 5, "high": 40, "rate": 90, "coefficients": 3},
    ),
    "lags": (CHANGED, "series", {"lags": [1]}, {"lags": [2]}),
    "difference": (CHANGED, "series", {}, {"lag": 2, "order": 2}),
    "z_norm": (CHANGED, "series", {}, {}),
    "encode": (DATED, "body", {}, {"categories": "index"}),
    "module": (
        CHANGED,
        "image",
        {"name": "torch.nn.Flatten", "args": {"start_dim": 2}},
        {"name": "torch.nn.ReLU", "args": {}},
    ),
}
LINEAR = {"file": "{folder}/w.safetensors", "module": "torch.nn.Linear", "args": {"in_features": 4, "out_features": 2}}


def see_uncached(spec: DataSpec, folder: Path) -> Any:
    """What the loaders serve, with a cache that lies beside the files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUMPML_CACHE", str(folder / "cache"))
        return see_data(spec, folder)


for step, (base, featured, options, others) in FEATURE_STEPS.items():
    plain, named = {f"features.{featured}": []}, {f"features.{featured}": [{step: options}]}
    if base is HOLEY:
        plain = {f"features.{featured}": [{"standardize": {}}]}
    if step == "normalize":
        named = {f"features.{featured}": [{step: {"mean": [0, 0, 1], "std": [1, 1, 1]}}]}
    CASES[f"data.features.*.{step}"] = Case(base, named, plain)
    one = {f"features.{featured}": [{step: options}]}
    for key, value in others.items():
        also = {"args": {}} if key == "name" else {}
        change = {f"features.{featured}": [{step: {**options, key: value, **also}}]}
        CASES[f"data.features.*.{step}.{key}"] = Case(base, change, one)
CASES |= {
    "data.features.*.standardize.fill": Case(
        HOLEY,
        {"features.a": [{"standardize": {"fill": False}}]},
        {"features.a": [{"standardize": {}}]},
        refused="standardize leaves them so, but a node reads it",
    ),
    "data.features.*.index.unknown": Case(
        TABLE,
        {"features.c": [{"index": {"unknown": "rare"}}]},
        {"features.c": [{"index": {}}], f"{S}.column": "part", f"{D}.source.path": "{folder}/late.csv"},
    ),
    "data.features.*.clip.quantiles": Case(
        TABLE, {"features.a": [{"clip": {"quantiles": [0.2, 0.8]}}]}, {"features.a": []}
    ),
    "data.features.*.module": Case(CHANGED, {"features.image": [{"module": {"name": "torch.nn.Flatten"}}]}),
    "data.features.*.pretrained": Case(ARRAYS, {"features.t": [{"pretrained": LINEAR}]}, see=see_uncached),
    "data.features.*.pretrained.file": Case(
        ARRAYS,
        {"features.t": [{"pretrained": {**LINEAR, "file": "{folder}/v.safetensors"}}]},
        {"features.t": [{"pretrained": LINEAR}]},
        see=see_uncached,
    ),
    **{
        f"data.features.*.pretrained.{key}": Case(
            ARRAYS, {"features.t": [{"pretrained": {**LINEAR, key: value}}]}, see=see_uncached, refused=text
        )
        for key, value, text in (
            ("module", "torch.nn.Conv1d", "Conv1d.* fails: TypeError"),
            ("args", {"in_features": 4, "out_features": 3}, "these are not the weights of Linear"),
            ("output", "last", "gives one tensor, and no output 'last'"),
        )
    },
    **{
        f"data.features.*.pretrained.{key}": Case(
            ARRAYS, {"features.t": [{"pretrained": {key: "./nothing"}}]}, refused=refused
        )
        for key, refused in (
            ("transformers", "transformers"),
            ("sentences", "transformers"),
            ("timm", "`timm` cannot be imported|timm cannot make"),
        )
    },
}
# --- loaders ---
TWO = copy.deepcopy(TABLE)
TWO["datasets"]["e"] = {
    "source": {"kind": "csv", "path": "{folder}/other.csv"},
    "fields": {"a": {"kind": "number"}},
    "split": {"train": 0.2, "val": 0.4, "test": 0.4},
}
CASES |= {
    "data.datasets.*.difficulty": Case(TABLE, {f"{D}.difficulty": {"column": "a"}}),
    "data.datasets.*.difficulty.column": Case(
        TABLE, {f"{D}.difficulty.column": "b"}, {f"{D}.difficulty": {"column": "a"}}
    ),
    "data.datasets.*.difficulty.python": Case(
        TABLE, {f"{D}.difficulty": {"python": "my_hardness:hard"}}, refused="outside the trusted packages"
    ),
    "data.datasets.*.sample": Case(TABLE, {f"{D}.sample": {"balance": "c"}}),
    "data.datasets.*.sample.balance": Case(TABLE, {f"{D}.sample.balance": "yes"}, {f"{D}.sample": {"balance": "c"}}),
    "data.datasets.*.sample.weight": Case(
        TABLE,
        {f"{D}.sample.weight": "v"},
        {
            f"{D}.source.path": "{folder}/weights.csv",
            f"{D}.sample": {"weight": "w"},
            f"{F}.w": {"kind": "number", "column": "one"},
            f"{F}.v": {"kind": "number", "column": "two"},
        },
    ),
    "data.datasets.*.sample.buffer": Case(TABLE, {f"{D}.sample.buffer": 3}, {f"{D}.sample": {"buffer": 20}}),
    "data.datasets.*.on_error": Case(
        TABLE,
        {f"{D}.on_error": "skip"},
        {f"{D}.source.path": "{folder}/dash.csv"},
        see=see_rows,
    ),
    "data.mix": Case(TWO, {"mix": {"by": "uniform"}}),
    "data.mix.by": Case(TWO, {"mix.by": "round_robin"}, {"mix": {"by": "uniform"}}),
    "data.mix.temperature": Case(TWO, {"mix.temperature": 9}, {"mix": {"by": "temperature", "temperature": 1.5}}),
    "data.mix.weights": Case(TWO, {"mix.weights.e": 5}, {"mix": {"by": "weights", "weights": {"d": 1, "e": 1}}}),
    "data.mix.batches": Case(TWO, {"mix.batches": "separate"}, {"mix": {"by": "uniform"}}),
    "data.bucket": Case(CHANGED, {"bucket": "text"}),
    "data.storage": Case(TABLE, {"storage": "disk"}, see=see_memory),
    "data.workers": Case(TABLE, {"workers": 1}, refused="nothing is left for them to decode"),
}

BALANCED: dict[str, dict[str, Any]] = {  # by kind: what it needs, and another value for each of its keys
    "uncertainty": {"lr": 0.2},
    "dwa": {"temperature": 0.1},
    "famo": {"lr": 0.2, "decay": 0.9},
    "gradnorm": {"at": "digit", "alpha": 0.0, "lr": 0.2},
    "feature_norm": {"at": "flat", "log": False},
    "upgrad": {"at": "encoder"},
    "pcgrad": {"at": "encoder"},
    "cagrad": {"at": "encoder", "c": 0.1},
    "mgda": {"at": "encoder"},
    "nash_mtl": {"at": "encoder", "max_norm": 0.01},
    "imtl_g": {"at": "encoder"},
    "aligned_mtl": {"at": "encoder"},
}
PLAIN_SGD = {"optimizer": {"kind": "sgd", "lr": 0.05}, "phases.supervised.epochs": 4}
SUMMED = {**PLAIN_SGD, "balance": {"kind": "sum", "cosines": 1}}
CASES |= {
    "learner.balance": Case(LEARN, {"balance": {"kind": "upgrad"}}, PLAIN_SGD),
    "learner.balance[sum].kind": Case(LEARN, {"balance.kind": "famo"}, {**PLAIN_SGD, "balance": {"kind": "sum"}}),
    "learner.balance[sum].cosines": Case(LEARN, {"balance.cosines": 2}, SUMMED),
    "learner.balance[sum].at": Case(LEARN, {"balance.at": "encoder"}, SUMMED),
    "learner.balance[sum].over": Case(LEARN, {"balance.over": ["digit", "ce"]}, SUMMED),
}
for kind, others in BALANCED.items():
    needed = {"kind": kind} | ({"at": "encoder"} if kind in {"gradnorm", "feature_norm"} else {})
    before = {**PLAIN_SGD, "balance": needed}
    own = "mgda" if kind != "mgda" else "upgrad"
    CASES[f"learner.balance[{kind}].kind"] = Case(LEARN, {"balance": {"kind": own}}, before)
    CASES[f"learner.balance[{kind}].over"] = Case(LEARN, {"balance.over": ["digit", "ce"]}, before)
    for key, value in others.items():
        refused = (
            "neither node 'flat' nor one before it has parameters" if kind == "feature_norm" and key == "at" else None
        )
        CASES[f"learner.balance[{kind}].{key}"] = Case(LEARN, {f"balance.{key}": value}, before, refused=refused)

HARD_BY_OWN = {**PLAIN_SGD, "curriculum": {"pacing": {"kind": "linear", "over": 1.0}, "difficulty": "own"}}
CASES |= {
    "learner.curriculum": Case(LEARN, {"curriculum": {"examples": {"kind": "super_loss"}}}, PLAIN_SGD),
    "learner.curriculum.difficulty": Case(LEARN, {"curriculum.difficulty": {"run": "{folder}/run"}}, HARD_BY_OWN),
    "learner.curriculum.difficulty.run": Case(
        LEARN, {"curriculum.difficulty": {"run": "{folder}/nothing"}}, HARD_BY_OWN, refused="nothing is no run"
    ),
    "learner.curriculum.pacing": Case(LEARN, {"curriculum.pacing": {"kind": "root"}}, HARD_BY_OWN),
    "learner.curriculum.examples": Case(LEARN, {"curriculum.examples": {"kind": "prioritized"}}, HARD_BY_OWN),
    "learner.curriculum.when": Case(
        LEARN, {"curriculum.when": ["self_supervised"]}, HARD_BY_OWN, refused="needs a loss for each row"
    ),
}
for kind, others in {
    "linear": {"start": 0.5, "over": 0.5},
    "root": {"start": 0.5, "over": 0.5, "degree": 3},
    "exponential": {"start": 0.5, "over": 0.5},
    "step": {"start": 0.5, "over": 0.5, "steps": 3},
    "baby_step": {"buckets": 2, "epochs": 2},
}.items():
    needed = {"kind": kind} | ({"over": 1.0} if kind != "baby_step" else {"epochs": 9})
    before = {**HARD_BY_OWN, "curriculum.pacing": needed, "optimizer.lr": 1e-9, "phases.supervised.epochs": 7}
    own = "step" if kind != "step" else "root"
    CASES[f"learner.curriculum.pacing[{kind}].kind"] = Case(LEARN, {"curriculum.pacing": {"kind": own}}, before)
    for key, value in {**others, "order": "hard_first"}.items():
        CASES[f"learner.curriculum.pacing[{kind}].{key}"] = Case(LEARN, {f"curriculum.pacing.{key}": value}, before)
# the same rows are drawn as ever, and nothing is learned: in some epoch the loss does not fall
STANDS = {**PLAIN_SGD, "optimizer.lr": 1e-9, "phases.supervised.epochs": 7}
STANDS["curriculum"] = {"pacing": {"kind": "baby_step", "epochs": 9, "order": "random"}}
CASES["learner.curriculum.pacing[baby_step].patience"] = Case(LEARN, {"curriculum.pacing.patience": 7}, STANDS)
for kind, others in {
    "self_paced": {"form": "linear", "start": 0.2, "end": 0.6, "over": 1.0},
    "super_loss": {"threshold": 0.5, "decay": 0.1, "regularization": 3.0},
    "prioritized": {"alpha": 2.0, "beta": 1.0},
    "data_parameters": {"rows": False, "classes": False, "lr": 2.0, "weight_decay": 5.0},
}.items():
    before = {**PLAIN_SGD, "curriculum": {"examples": {"kind": kind}}}
    averages = {**before, "curriculum": {"examples": {"kind": kind, "threshold": "average"}}}
    own = "self_paced" if kind != "self_paced" else "prioritized"
    CASES[f"learner.curriculum.examples[{kind}].kind"] = Case(LEARN, {"curriculum.examples": {"kind": own}}, before)
    for key, value in {**others, "of": ["ce"]}.items():
        refused = "there is no task 'ce'" if kind == "data_parameters" and key == "of" else None
        change = {f"curriculum.examples.{key}": value}
        CASES[f"learner.curriculum.examples[{kind}].{key}"] = Case(
            LEARN, change, averages if key == "decay" else before, refused=refused
        )
TEACHERS: dict[str, dict[str, Any]] = {  # by kind, another value for each of its keys
    "uniform": {},
    "proportional": {},
    "temperature": {"temperature": 0.2},
    "annealed": {"start": 0.1, "end": 0.1},
    "exp3s": {"eta": 2.0},
    "tscl": {"algorithm": "window", "alpha": 0.9, "window": 3, "temperature": 50.0},
    "thompson": {"discount": 0.2},
    "policy_gradient": {"lr": 0.1, "decay": 0.0},
    "ppo": {"lr": 0.01, "clip": 0.001, "horizon": 8, "epochs": 1, "discount": 0.0, "entropy": 5.0},
    "online_mixing": {"alpha": 0.0},
}
BY_CLASS = {"classes": "label"}
REWARDS = ("spg", "prediction_gain", "target_gain", "loss", "loss_drop", "metric_gain", "gradient_norm")


def _taught(**keys: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"teacher": {"kind": "exp3s", "eta": 1.0}, "arms": BY_CLASS, "when": ["supervised"], **keys}
    return {**PLAIN_SGD, "curriculum": told}


CASES |= {
    "learner.curriculum.teacher": Case(LEARN, {"curriculum.teacher": "uniform"}, _taught()),
    "learner.curriculum.arms": Case(LEARN, {"curriculum.arms": "objectives"}, _taught()),
    "learner.curriculum.arms.classes": Case(
        LEARN, {"curriculum.arms.classes": "image"}, _taught(), refused=r"expected a category.*'image' is a image"
    ),
    "learner.curriculum.arms.share": Case(LEARN, {"curriculum.arms.share": 0.25}, _taught()),
    "learner.curriculum.arms.difficulty": Case(
        LEARN,
        {"curriculum.arms.difficulty": 3},
        _taught(arms={"difficulty": 2}, difficulty={"run": "{folder}/run"}),
    ),
    "learner.curriculum.arms.views": Case(
        LEARN, {"curriculum.arms": {"views": ["one", "plain"]}}, _taught(arms={"views": ["plain", "one"]})
    ),
    "learner.curriculum.reward": Case(LEARN, {"curriculum.reward": "loss"}, _taught()),
    "learner.curriculum.floor": Case(LEARN, {"curriculum.floor": 1.0}, _taught()),
    "learner.curriculum.every": Case(LEARN, {"curriculum.every": 7}, _taught()),
}
for kind in REWARDS:
    other = "loss" if kind != "loss" else "spg"
    before = _taught(reward={"kind": kind})
    if kind == "metric_gain":
        refused = "metric_gain goes by the figure of an arm's task, and arm '0' has no task of its own"
        CASES[f"learner.curriculum.reward[{kind}].kind"] = Case(
            LEARN, {"curriculum.reward": {"kind": kind}}, _taught(), refused=refused
        )
        continue
    CASES[f"learner.curriculum.reward[{kind}].kind"] = Case(LEARN, {"curriculum.reward": {"kind": other}}, before)
    if kind == "target_gain":
        CASES[f"learner.curriculum.reward[{kind}].rows"] = Case(LEARN, {"curriculum.reward.rows": 3}, before)
    if kind != "gradient_norm":
        CASES[f"learner.curriculum.reward[{kind}].of"] = Case(LEARN, {"curriculum.reward.of": ["l1"]}, before)
NEEDED: dict[str, dict[str, Any]] = {  # what a kind has on both sides, so that few updates show the rest
    "policy_gradient": {"lr": 3.0},
    "ppo": {"horizon": 4, "lr": 1.0, "clip": 0.5},
    "tscl[alpha]": {"algorithm": "online"},
    "tscl[window]": {"algorithm": "window", "temperature": 1.0},
    "tscl[temperature]": {"algorithm": "online", "alpha": 0.9},
}
for kind, others in TEACHERS.items():
    own = {"kind": "exp3s", "eta": 3.0} if kind != "exp3s" else {"kind": "uniform"}
    few = kind not in {"temperature", "annealed", "tscl"}  # which tell arms apart by their rows, or need many rewards
    many = {"arms": "objectives" if few else BY_CLASS, "reward": "loss"}
    before = _taught(teacher={"kind": kind}, **many)
    CASES[f"learner.curriculum.teacher[{kind}].kind"] = Case(LEARN, {"curriculum.teacher": own}, before)
    for key, value in others.items():
        needed = NEEDED.get(kind, {}) | NEEDED.get(f"{kind}[{key}]", {})
        told = {"arms": "objectives", "reward": "loss"} if key == "window" else many
        before = _taught(teacher={"kind": kind, **needed}, **told) | {"phases.supervised.epochs": 12}
        CASES[f"learner.curriculum.teacher[{kind}].{key}"] = Case(LEARN, {f"curriculum.teacher.{key}": value}, before)

SEEN_BY: dict[str, Callable[[Any, Path], Any]] = {
    "data": see_data,
    "model": see_model,
    "learner": see_learning,
    "deploy": see_deployment,
}


# --- the tests --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few small files with what the cases need."""
    folder = tmp_path_factory.mktemp("files")
    generator = np.random.default_rng(0)
    rows = 80
    a, b = generator.normal(size=rows).round(3), generator.normal(size=rows).round(3)
    c, yes = generator.choice(["u", "v", "w"], rows), generator.choice(["no", "yes"], rows)
    part = ["train"] * 50 + ["val"] * 15 + ["test"] * 15
    head = "a,b,c,y,yes,part"
    lines = [f"{a[i]},{b[i]},{c[i]},{a[i] + b[i]:.3f},{yes[i]},{part[i]}" for i in range(rows)]
    (folder / "table.csv").write_text("\n".join([head, *lines]))
    (folder / "other.csv").write_text("\n".join([head, *lines[::-1]]))
    (folder / "weights.csv").write_text(
        "\n".join([f"{head},one,two", *(f"{line},{i + 1},{rows - i}" for i, line in enumerate(lines))])
    )
    (folder / "dash.csv").write_text(
        "\n".join([head, *lines[:-6], *(f"-{line[line.index(',') :]}" for line in lines[-6:])])
    )
    (folder / "twice.csv").write_text("\n".join([head, *lines, *lines[:40]]))
    t, s = generator.normal(size=(rows, 4)), generator.normal(size=(rows, 4))
    make_kinds(folder / "kinds")
    np.savez(folder / "arrays.npz", t=t, s=s, y=a)
    np.savez(folder / "other.npz", t=s, s=t, y=a)
    for name, high in (("w", 1.0), ("v", 2.0)):
        save_file({"weight": torch.full((2, 4), high), "bias": torch.zeros(2)}, folder / f"{name}.safetensors")
    late = [line.replace(",w,", ",u,") for line in lines[:50]] + lines[50:]
    for name, module in (("one", "Flatten"), ("other", "AdaptiveAvgPool2d, args: {output_size: 2}")):
        inner = f"{{a: {{module: torch.nn.{module}, inputs: image}}, b: {{module: torch.nn.Flatten, inputs: a}}}}"
        (folder / f"{name}.model.yaml").write_text(f"nodes: {inner}")
    (folder / "late.csv").write_text("\n".join([head, *late]))  # classes that no train row has, by the column `part`
    np.savez(
        folder / "changes.npz",
        image=generator.random((rows, 3, 8, 8)),
        label=c,
        number=a,
        series=generator.normal(size=(rows, 12, 2)),
        spectrogram=generator.normal(size=(rows, 6, 10)),
        audio=generator.uniform(-0.4, 0.4, size=(rows, 50)),
        text=np.array([" ".join(generator.choice(["one", "two", "three", "four"], 6)) for _ in range(rows)]),
    )
    write_sources(folder)
    write_models(folder)
    return folder


def write_models(folder: Path) -> None:
    """Weights of two nets, a run of one of them, and an ONNX file that flattens and doubles pictures."""
    loaders = jumpml.create_dataloader(DIGITS)
    states = {name: jumpml.load_model(NET, loaders, seed).state_dict() for name, seed in (("net", 5), ("other", 6))}
    for name, state in states.items():
        save_file(state, folder / f"{name}.safetensors")
    torch.save(states, folder / "states.pt")
    inner = "node_encoder."
    save_file({name: value for name, value in states["net"].items() if inner in name}, folder / "encoder.safetensors")
    nodes = [
        {name.removeprefix(inner): value for name, value in state.items() if name.startswith(inner)}
        for state in states.values()
    ]
    torch.save(
        {name: {**node, "more": torch.zeros(1)} for name, node in zip(("one", "two"), nodes, strict=True)},
        folder / "parts.pt",
    )
    checkpoint = folder / "run" / "checkpoints" / "step-00000001"
    checkpoint.mkdir(parents=True)
    save_file(states["net"], checkpoint / "model.safetensors")
    (checkpoint / "state.json").write_text('{"$dict": [["progress", {"$dict": [["best", null]]}]]}')
    (folder / "run" / "specs").mkdir()
    (folder / "run" / "specs" / "net.model.yaml").write_text(json.dumps(NET))
    values = [
        onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s)
        for n, s in (("a", ["n", 1, 8, 8]), ("c", ["n", 64]))
    ]
    made = [onnx.helper.make_node("Flatten", ["a"], ["b"]), onnx.helper.make_node("Add", ["b", "b"], ["c"])]
    graph = onnx.helper.make_graph(made, "g", values[:1], values[1:])
    opset = [onnx.helper.make_opsetid("", 18)]
    (folder / "double.onnx").write_bytes(
        onnx.helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()
    )


def _filled(value: Any, folder: Path) -> Any:
    if isinstance(value, str):
        return value.replace("{folder}", str(folder))
    if isinstance(value, dict):
        return {key: _filled(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, folder) for item in value]
    return value


def test_every_key_of_the_four_files_has_a_case() -> None:
    # those of each kind of objective, and of weights that move, are in test_no_dead_objective.py
    elsewhere = ("model.objectives.*[", "model.tasks.*.objective.weight.")
    assert set(CASES) == {key for key in KEYS if not key.startswith(elsewhere)}


def test_a_change_that_nobody_reads_is_noticed(folder: Path) -> None:
    """The comparison can fail: two readings of one file are equal."""
    spec = load_spec(DataSpec, DIGITS)
    assert see_data(spec, folder) == see_data(spec, folder)


SEEN: dict[str, Any] = {}  # by what is looked at and how, so that files that many keys begin with are seen once


@pytest.mark.parametrize("key", sorted(CASES))
def test_no_key_is_dead(key: str, folder: Path, tmp_path: Path) -> None:
    case = CASES[key]
    kind = key.partition(".")[0]
    see = case.see or SEEN_BY[kind]

    def look(overrides: dict[str, Any], where: Path) -> Any:
        where.mkdir()
        base = folder if kind != "deploy" else where
        spec = load_spec(SPECS[kind], _filled(copy.deepcopy(case.base), base), _filled(copy.deepcopy(overrides), base))
        return see(spec, folder if kind in {"data", "model"} else where)

    after = {**case.before, **case.change}
    if case.refused is not None:
        with pytest.raises(JumpMLError, match=case.refused):
            look(after, tmp_path / "after")
        return
    same = repr((see.__name__, case.base, case.before))  # what a file shows does not depend on where it stands
    if same not in SEEN:
        SEEN[same] = look(case.before, tmp_path / "before")
    assert SEEN[same] != look(after, tmp_path / "after")


@pytest.mark.parametrize("kind", SPECS)
def test_every_key_is_written_and_read_back(kind: str, tmp_path: Path) -> None:
    """Each file of the table, before and after its change, is equal to what is read of what it writes."""
    count = 0
    for key, case in CASES.items():
        if key.partition(".")[0] != kind:
            continue
        for changes in (case.before, {**case.before, **case.change}):
            base, overrides = (_filled(copy.deepcopy(value), tmp_path) for value in (case.base, changes))
            try:
                spec = load_spec(SPECS[kind], base, overrides)
            except JumpMLError:
                continue  # a change that is refused
            (tmp_path / "again.yaml").write_text(spec.to_yaml(), encoding="utf-8")
            assert load_spec(SPECS[kind], tmp_path / "again.yaml") == spec, key
            assert load_spec(SPECS[kind], spec.model_dump(mode="json")) == spec, key
            count += 1
    assert count > 10
