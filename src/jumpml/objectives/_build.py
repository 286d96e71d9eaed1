"""From a model file to its objectives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml.core import TASK_KINDS, SpecError
from jumpml.objectives._binary_cross_entropy import BinaryCrossEntropy
from jumpml.objectives._contrastive import Contrastive, SupervisedContrastive
from jumpml.objectives._cross_entropy import CrossEntropy
from jumpml.objectives._distances import MeanSquaredError
from jumpml.objectives._ewc import EWC
from jumpml.objectives._penalties import L1, L2
from jumpml.objectives._quantile import Quantile
from jumpml.objectives._vicreg import VICReg

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.core import ModelSpec, Objective
    from jumpml.objectives._module import ObjectiveModule

KINDS: Mapping[str, type[ObjectiveModule]] = {
    "cross_entropy": CrossEntropy,
    "binary_cross_entropy": BinaryCrossEntropy,
    "mse": MeanSquaredError,
    "quantile": Quantile,
    "contrastive": Contrastive,
    "supervised_contrastive": SupervisedContrastive,
    "vicreg": VICReg,
    "l1": L1,
    "l2": L2,
    "ewc": EWC,
}


def build_objectives(spec: ModelSpec) -> dict[str, Objective]:
    """The objectives that a model file asks for, not yet connected.

    Args:
        spec: The model file.

    Returns:
        By name: first the tasks' own, under the tasks' names, then the others.

    Raises:
        SpecError: A task and an objective share a name.

    Example:
        >>> from jumpml.core import ModelSpec, load_spec
        >>> nodes = {"age": {"module": "torch.nn.Linear", "inputs": "x", "args": {"in_features": 3, "out_features": 1}}}
        >>> tasks = {"age": {"kind": "regression", "output": "age", "target": "years"}}
        >>> build_objectives(load_spec(ModelSpec, {"nodes": nodes, "tasks": tasks}))["age"].inputs
        ('age', 'years')
    """
    _validate_names(spec)
    objectives: dict[str, Objective] = {}
    for name, task in spec.tasks.items():
        if task.objective is not None:
            changes = task.objective
            made = KINDS[changes.kind or TASK_KINDS[task.kind].objective]
            shared: dict[str, Any] = {"weight": changes.weight, "when": changes.when}
            if TASK_KINDS[task.kind].at == "tokens":
                shared["classes_last"] = True
            inputs = (task.output, task.target + TASK_KINDS[task.kind].truth)
            objectives[name] = made(inputs, **shared, **changes.options())
    for name, objective in spec.objectives.items():
        options: dict[str, Any] = objective.model_dump(exclude={"kind"}, exclude_none=True)
        if "parameters" in options:
            options["parameters_of"] = options.pop("parameters")
        objectives[name] = KINDS[objective.kind](**options)
    return objectives


def _validate_names(spec: ModelSpec) -> None:
    fix = "Tasks and objectives have one set of names: rename it, or change the task's own under its key `objective`."
    mistakes = [
        spec.mistake(("objectives", name), f"{name!r} is a task already, whose own objective has its name.", fix)
        for name in spec.objectives
        if name in spec.tasks
    ]
    if mistakes:
        raise SpecError(spec.source, mistakes)
