"""JumpML: two files in; a trained, explained, documented and deployed PyTorch model out.

The verbs::

    dataloader = jumpml.create_dataloader("digits.data.yaml")
    model = jumpml.load_model("digits.model.yaml")
    learner = jumpml.create_learner(dataloader, model, optimizer, "digits.learner.yaml")
    results = jumpml.eval_model(dataloader, model, ["accuracy"])
    deployment = jumpml.deploy_model(results, model, "digits.deploy.yaml")

Names load on first use, so importing this package is cheap and does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jumpml._ablate import ablate
    from jumpml._check import CheckReport
    from jumpml._project import Project
    from jumpml._resume import replay, resume
    from jumpml._tune import resume_tuning, tune
    from jumpml._verbs import (
        create_dataloader,
        create_learner,
        createDataloader,
        createLearner,
        deploy_model,
        deployModel,
        diagnose,
        eval_model,
        evalModel,
        load_model,
        loadModel,
        report_card,
    )
    from jumpml.core import DataSpec, DeploySpec, JumpMLError, LearnerSpec, ModelSpec, SpecError
    from jumpml.data import DataLoaders
    from jumpml.evaluate import EvalResults, metric
    from jumpml.graph import Model, Node
    from jumpml.learn import Learner, Phase

_HOMES = {
    "jumpml._verbs": (
        "create_dataloader",
        "load_model",
        "create_learner",
        "eval_model",
        "diagnose",
        "report_card",
        "deploy_model",
        "createDataloader",
        "loadModel",
        "createLearner",
        "evalModel",
        "deployModel",
    ),
    "jumpml._check": ("CheckReport",),
    "jumpml._project": ("Project",),
    "jumpml._ablate": ("ablate",),
    "jumpml._resume": ("resume", "replay"),
    "jumpml._tune": ("tune", "resume_tuning"),
    "jumpml.core": ("DataSpec", "ModelSpec", "LearnerSpec", "DeploySpec", "JumpMLError", "SpecError"),
    "jumpml.data": ("DataLoaders",),
    "jumpml.evaluate": ("EvalResults", "metric"),
    "jumpml.graph": ("Model", "Node"),
    "jumpml.learn": ("Learner", "Phase"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
__version__ = "0.1.0"

__all__ = [
    "create_dataloader",
    "load_model",
    "create_learner",
    "eval_model",
    "diagnose",
    "report_card",
    "deploy_model",
    "createDataloader",
    "loadModel",
    "createLearner",
    "evalModel",
    "deployModel",
    "metric",
    "Project",
    "CheckReport",
    "ablate",
    "resume",
    "replay",
    "tune",
    "resume_tuning",
    "DataLoaders",
    "Model",
    "Node",
    "Learner",
    "Phase",
    "EvalResults",
    "DataSpec",
    "ModelSpec",
    "LearnerSpec",
    "DeploySpec",
    "JumpMLError",
    "SpecError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'jumpml' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
