"""No dead option: every key of the four files changes what a run does, or is refused with a text.

The schema is walked, and each of its keys must stand in the table below with a change and the observable that answers
to it. A key that is added to a file without an entry here fails; so does one whose change alters nothing.
"""

from __future__ import annotations

import copy
import hashlib
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import numpy as np
import pytest
import torch
from pydantic import BaseModel

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
    load_spec,
)
from jumpml.objectives import EWC

# --- the schema's keys ------------------------------------------------------------------------------------------------


def keys_of(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Every key that a spec knows, as ``data.datasets.*.source[csv].path``."""
    for name, info in model.model_fields.items():
        yield f"{prefix}.{name}"
        yield from _inner(info.annotation, f"{prefix}.{name}")


def _inner(annotation: Any, path: str) -> Iterator[str]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
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


KEYS = list(dict.fromkeys(key for kind, spec in SPECS.items() for key in keys_of(spec, kind)))

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
    """What the loaders serve: fields, splits, batches, views."""
    loaders = jumpml.create_dataloader(spec)
    targets = {"label", "y", "yes"}
    loaders.bind([name for name in loaders.fields if name not in targets])
    loaders.train.serve(None, [f"{view}.{draw}" for view in loaders.view_fields for draw in (0, 1)])
    batches = [next(iter(loaders.train)), next(iter(loaders.train)), next(loaders.val.plain())]
    sizes = [len(loader.rows) for loader in (loaders.train, loaders.val, loaders.test)]
    return digest([dict(loaders.fields), batches, sizes])


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
    return digest([model.state_dict(), average, figures, files, sorted(learner.history.examples)])


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
    deployment = jumpml.deploy_model(jumpml.eval_model(loaders, model), model, spec, folder=folder)
    record = deployment.record.model_dump()
    for variant in record["variants"].values():
        variant["milliseconds"] = 0.0
    record["bundle"] = Path(record["bundle"]).name
    return digest(record)


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
AUGMENT = {
    "shift": ({"shift": {"pixels": 1}}, "pixels", 3),
    "rotate": ({"rotate": {"degrees": 5}}, "degrees", 90),
    "noise": ({"noise": {"std": 0.1}}, "std", 0.3),
    "erase": ({"erase": {"area": 0.3, "probability": 1.0}}, "area", 0.6),
}
SLIM = {"variants": {"v": {"factorize": {"rank": 0.25}}}}
CASES: dict[str, Case] = {
    "data.datasets": Case(
        DIGITS, {"datasets": {"e": DIGITS["datasets"]["d"], "d": DIGITS["datasets"]["d"]}}, refused="at most 1|one"
    ),
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
    "data.datasets.*.split.duplicates": Case(
        TABLE,
        {f"{D}.split.duplicates": "allow"},
        {f"{D}.split.duplicates": "together", f"{D}.source.path": "{folder}/twice.csv"},
    ),
    "data.features": Case(DIGITS, {"features": {}}),
    "data.features.*.standardize": Case(TABLE, {"features": {"a": [{"standardize": {}}]}}, {"features": {"a": []}}),
    "data.features.*.one_hot": Case(
        TABLE, {"features": {"c": [{"one_hot": {}}]}}, {"features": {"c": [{"index": {}}]}}
    ),
    "data.features.*.index": Case(TABLE, {"features": {"c": [{"index": {}}]}}),
    "data.augment": Case(DIGITS, {"augment": {"image": [{"noise": {"std": 0.1}}]}}),
    "data.views": Case(DIGITS, {"views": {"one": {"image": [{"noise": {"std": 0.2}}]}}}),
    "data.batch_size": Case(DIGITS, {"batch_size": 31}),
    "data.about": Case(DIGITS, {"about": {"description": "something told"}}, see=see_card),
    **{
        f"data.about.{key}": Case(
            DIGITS, {f"about.{key}": "mit" if key == "license" else "something told"}, see=see_card
        )
        for key in ("description", "license", "source", "collected")
    },
    **{
        f"data.augment.*.{step}": Case(DIGITS, {"augment": {"image": [options]}})
        for step, (options, _, _) in AUGMENT.items()
    },
    **{
        f"data.augment.*.{step}.{key}": Case(
            DIGITS, {f"augment.image.0.{step}.{key}": value}, {"augment": {"image": [options]}}
        )
        for step, (options, key, value) in AUGMENT.items()
    },
    "data.augment.*.erase.probability": Case(
        DIGITS, {"augment.image.0.erase.probability": 0.3}, {"augment": {"image": [AUGMENT["erase"][0]]}}
    ),
    **{
        f"data.views.*.*.{step}": Case(DIGITS, {"views.one.image": [options]}, {"views.one.image": []})
        for step, (options, _, _) in AUGMENT.items()
    },
    **{
        f"data.views.*.*.{step}.{key}": Case(
            DIGITS, {f"views.one.image.0.{step}.{key}": value}, {"views.one.image": [options]}
        )
        for step, (options, key, value) in AUGMENT.items()
    },
    "data.views.*.*.erase.probability": Case(
        DIGITS, {"views.one.image.0.erase.probability": 0.3}, {"views.one.image": [AUGMENT["erase"][0]]}
    ),
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
    "model.tasks.*.objective.positive_weight": Case(REGRESSOR, {"tasks.yes.objective": {"positive_weight": 3}}),
    "model.objectives": Case(NET, {"objectives": {"l1": {"kind": "l1", "inputs": "digit"}}}),
    "model.objectives.*[cross_entropy].inputs": Case(
        NET, {"objectives.ce.inputs": ["encoder", "label"]}, refused="has 10 classes"
    ),
    "model.objectives.*[cross_entropy].label_smoothing": Case(NET, {"objectives.ce.label_smoothing": 0.2}),
    "model.objectives.*[binary_cross_entropy].inputs": Case(REGRESSOR, {"objectives.bce.inputs": ["out", "yes"]}),
    "model.objectives.*[binary_cross_entropy].positive_weight": Case(REGRESSOR, {"objectives.bce.positive_weight": 3}),
    "model.objectives.*[mse].inputs": Case(REGRESSOR, {"objectives.mse.inputs": ["flag", "y"]}),
    "model.objectives.*[vicreg].inputs": Case(NET, {"objectives.agree.inputs": "digit"}),
    "model.objectives.*[vicreg].views": Case(NET, {"objectives.agree.views": ["one", "two"]}),
    "model.objectives.*[vicreg].projector": Case(NET, {"objectives.agree.projector": [9]}),
    "model.objectives.*[vicreg].invariance": Case(NET, {"objectives.agree.invariance": 1}),
    "model.objectives.*[vicreg].variance": Case(NET, {"objectives.agree.variance": 1}),
    "model.objectives.*[vicreg].covariance": Case(NET, {"objectives.agree.covariance": 5}),
    "model.objectives.*[l1].inputs": Case(NET, {"objectives.l1.inputs": "digit"}),
    "model.objectives.*[l2].inputs": Case(NET, {"objectives.l2.inputs": "digit"}),
    "model.objectives.*[ewc].parameters": Case(NET, {"objectives.ewc.parameters": ["enc*"]}),
    "model.about": Case(NET, {"about": {"limits": "something told"}}, see=see_card),
    **{
        f"model.about.{key}": Case(NET, {f"about.{key}": "mit" if key == "license" else "something told"}, see=see_card)
        for key in ("description", "license", "intended_use", "limits", "owner")
    },
    **{
        f"model.objectives.*[{kind}].{key}": Case(base, {f"objectives.{name}.{key}": value})
        for kind, name, base in (
            ("cross_entropy", "ce", NET),
            ("binary_cross_entropy", "bce", REGRESSOR),
            ("mse", "mse", REGRESSOR),
            ("vicreg", "agree", NET),
            ("l1", "l1", NET),
            ("l2", "l2", NET),
            ("ewc", "ewc", NET),
        )
        for key, value in (("weight", 0.7), ("when", ["other"]))
    },
    "model.objectives.*[cross_entropy].kind": Case(
        NET, {"objectives.ce.kind": "binary_cross_entropy"}, refused="digit"
    ),
    "model.objectives.*[binary_cross_entropy].kind": Case(
        REGRESSOR, {"objectives.bce.kind": "cross_entropy"}, refused="flag"
    ),
    "model.objectives.*[mse].kind": Case(REGRESSOR, {"objectives.mse.kind": "binary_cross_entropy"}),
    "model.objectives.*[vicreg].kind": Case(NET, {"objectives.agree.kind": "l1"}, refused="views: this key is unknown"),
    "model.objectives.*[l1].kind": Case(NET, {"objectives.l1.kind": "l2"}),
    "model.objectives.*[l2].kind": Case(NET, {"objectives.l2.kind": "l1"}),
    "model.objectives.*[ewc].kind": Case(NET, {"objectives.ewc.kind": "l1"}, refused="inputs: this key is missing"),
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
    "learner.phases.*.train": Case(LEARN, {"phases.supervised.train": "digit"}),
    "learner.phases.*.freeze": Case(LEARN, {"phases.supervised.freeze": ["encoder"]}),
    "learner.phases.*.lr": Case(LEARN, {"phases.supervised.lr": 0.001}),
    "learner.phases.*.schedule": Case(LEARN, {"phases.supervised.schedule": {"kind": "cosine"}}),
    "learner.phases.*.consolidate": Case(LEARN, {"phases.supervised.consolidate": False}),
    **{
        f"learner.{path}schedule[{kind}].{key}": Case(
            LEARN, {f"{where}schedule.{key}": value}, {f"{where}schedule": options}
        )
        for path, where in (("", ""), ("phases.*.", "phases.supervised."))
        for kind, options, key, value in (
            ("one_cycle", {"kind": "one_cycle", "max_lr": 0.02}, "max_lr", 0.03),
            ("one_cycle", {"kind": "one_cycle", "max_lr": 0.02}, "warmup", 0.6),
            ("cosine", {"kind": "cosine"}, "min_lr", 0.005),
        )
    },
    **{
        f"learner.{path}schedule[{kind}].kind": Case(
            LEARN, {f"{where}schedule.kind": other}, {f"{where}schedule": options}, refused=text
        )
        for path, where in (("", ""), ("phases.*.", "phases.supervised."))
        for kind, options, other, text in (
            ("one_cycle", {"kind": "one_cycle", "max_lr": 0.02}, "cosine", "max_lr: this key is unknown"),
            ("cosine", {"kind": "cosine"}, "one_cycle", "max_lr: this key is missing"),
        )
    },
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
    (folder / "dash.csv").write_text(
        "\n".join([head, *lines[:-6], *(f"-{line[line.index(',') :]}" for line in lines[-6:])])
    )
    (folder / "twice.csv").write_text("\n".join([head, *lines, *lines[:40]]))
    t, s = generator.normal(size=(rows, 4)), generator.normal(size=(rows, 4))
    np.savez(folder / "arrays.npz", t=t, s=s, y=a)
    np.savez(folder / "other.npz", t=s, s=t, y=a)
    return folder


def _filled(value: Any, folder: Path) -> Any:
    if isinstance(value, str):
        return value.replace("{folder}", str(folder))
    if isinstance(value, dict):
        return {key: _filled(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, folder) for item in value]
    return value


def test_every_key_of_the_four_files_has_a_case() -> None:
    assert set(CASES) == set(KEYS)


def test_a_change_that_nobody_reads_is_noticed(folder: Path) -> None:
    """The comparison can fail: two readings of one file are equal."""
    spec = load_spec(DataSpec, DIGITS)
    assert see_data(spec, folder) == see_data(spec, folder)


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
    assert look(case.before, tmp_path / "before") != look(after, tmp_path / "after")
