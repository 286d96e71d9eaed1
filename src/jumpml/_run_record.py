"""``run.json``: what was run, on which machine, and what became of it."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

from jumpml.core import SPECS, Launched, RunRecord, write_file

if TYPE_CHECKING:
    from pathlib import Path

    from jumpml._project import Project
    from jumpml.data import DataLoaders
    from jumpml.graph import Model
    from jumpml.learn import Learner, RunHistory

RUN_FILE = "run.json"
_PACKAGES = ("jumpml", "torch", "numpy", "scikit-learn", "torchmetrics", "captum", "onnx", "onnxruntime")


def begin_record(folder: Path, project: Project, loaders: DataLoaders, learner: Learner) -> None:
    """Write down what is run."""
    model = learner.model
    record = RunRecord(
        name=project.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        specs=_specs(project),
        environment=environment(),
        data=loaders.record(),
        graph=model.record(),
        weights=dict(model.loaded),
        initialized=dict(learner.initialized),
        command=Launched.here().command(project.command),
    )
    save_record(folder / RUN_FILE, record)


def amend_record(folder: Path, project: Project, loaders: DataLoaders, model: Model) -> None:
    """Let it say what is run from now on; when and by which command it began stays."""
    _update(folder, {"specs": _specs(project), "data": loaders.record(), "graph": model.record()})


def end_record(folder: Path, model: Model, history: RunHistory) -> RunRecord:
    """Let it say what was learned."""
    learned: dict[str, Any] = {"tasks": tuple(history.by_task())}
    if model.lineage:  # it is another model than at the beginning
        grown = tuple(surgery["text"] for surgery in model.lineage)
        learned |= {"graph": model.record(), "growth": grown}
    return _update(folder, learned)


def save_record(path: Path, record: Any) -> None:
    """Write a record of any kind."""
    write_file(path, record.model_dump_json(indent=2) + "\n")


def environment() -> dict[str, str]:
    """Versions and machine."""
    import torch

    return {
        "python": platform.python_version(),
        **{package: _version_of(package) for package in _PACKAGES},
        "platform": platform.platform(),
        "threads": str(torch.get_num_threads()),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }


def _version_of(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _specs(project: Project) -> dict[str, Any]:
    return {kind: getattr(project, kind).model_dump(mode="json") for kind in SPECS}


def _update(folder: Path, told: dict[str, Any]) -> RunRecord:
    record = RunRecord.model_validate_json((folder / RUN_FILE).read_text(encoding="utf-8")).model_copy(update=told)
    save_record(folder / RUN_FILE, record)
    return record
