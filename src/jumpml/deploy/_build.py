"""From a deploy file to a deployment."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from jumpml.core import DeploymentError, GraphError, Mistake, ObjectiveError, SpecError, did_you_mean
from jumpml.deploy._changes import Change, Distill, Factorize, Lessons, Quantize
from jumpml.deploy._deploy import ORIGINAL, deploy
from jumpml.deploy._extra import require_onnx
from jumpml.deploy._factorize import thin_ranks
from jumpml.deploy._gate import Gate
from jumpml.deploy._study import study
from jumpml.evaluate import figure_names, higher_is_better, own_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.core import DeploySpec, Trainer
    from jumpml.deploy._deployment import Deployment
    from jumpml.evaluate import EvalResults
    from jumpml.graph import Model

LoadModel = Callable[[Path], "Model"]
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def build_deployment(
    spec: DeploySpec, results: EvalResults, model: Model, *, folder: Path, trainer: Trainer, load_model: LoadModel
) -> Deployment:
    """Make the variants that a file asks for, run each in its real runtime, and bundle those that hold.

    Args:
        spec: The deploy file.
        results: The model's evaluation: says what is measured, on which data.
        model: It stays as it is; copies are changed.
        folder: Where the bundle's path starts.
        trainer: Trains copies, where a variant asks for it.
        load_model: Builds a model from its file, untrained.

    Raises:
        SpecError: The file does not fit the model; nothing has been trained yet.
        MissingExtraError: ``jumpml[deploy]`` is not installed.
        DeploymentError: A variant cannot be made or does not compute what it should, or the bundle not be written.
    """
    directions = {
        f"{name}/{metric}": better
        for name, task in results.record.tasks.items()
        for metric, better in task.higher_is_better.items()
    }
    changes, gate = _read(spec, model, load_model, directions)
    return deploy(results, model, changes=changes, gate=gate, folder=folder, bundle=spec.bundle, trainer=trainer)


def check_deployment(spec: DeploySpec, model: Model, load_model: LoadModel) -> None:
    """Find what is wrong with a deploy file before its model is trained.

    Args:
        spec: The deploy file.
        model: Untrained, as it will be deployed.
        load_model: Builds a model from its file.

    Raises:
        SpecError: The file does not fit the model.
        MissingExtraError: ``jumpml[deploy]`` is not installed.
    """
    directions = {
        f"{name}/{figure}": higher_is_better(metric)
        for name, task in model.tasks.items()
        for metric in own_metrics(task, model.fields.get(task.target))
        for figure in figure_names(metric, model.fields.get(task.target))
    }
    _read(spec, model, load_model, directions)


def _read(
    spec: DeploySpec, model: Model, load_model: LoadModel, directions: Mapping[str, bool | None]
) -> tuple[dict[str, Change], Gate | None]:
    """The file as plain values; all mistakes at once."""
    require_onnx()
    mistakes = [*_name_mistakes(spec), *_gate_mistakes(spec, directions)]
    changes: dict[str, Change] = {}
    for name in spec.variants:
        found = _change(spec, name, model, load_model)
        if isinstance(found, Change):
            changes[name] = found
        else:
            mistakes += found
    if mistakes:
        raise SpecError(spec.source, mistakes)
    if spec.gate is None:
        return changes, None
    better = directions[spec.gate.metric]
    return changes, Gate(higher_is_better=better is not False, **spec.gate.model_dump())


def _name_mistakes(spec: DeploySpec) -> list[Mistake]:
    mistakes = []
    for name in spec.variants:
        if name == ORIGINAL:
            problem, fix = (
                "this is the unchanged model's name, which is always there.",
                "Call the variant something else.",
            )
            mistakes.append(spec.mistake(("variants", name), problem, fix))
        elif not _FILE_NAME.fullmatch(name):
            problem = "a variant's name names its file: expected letters, digits, - and _."
            mistakes.append(spec.mistake(("variants", name), problem))
    return mistakes


def _gate_mistakes(spec: DeploySpec, directions: Mapping[str, bool | None]) -> list[Mistake]:
    if spec.gate is None:
        return []
    path, metric = ("gate", "metric"), spec.gate.metric
    if metric not in directions:
        problem = f"expected a figure that is measured, as task/metric; got {metric!r}."
        return [spec.mistake(path, problem, did_you_mean(metric, directions))]
    if directions[metric] is None:
        fix = "Gate on another figure; of your own metric say it: jumpml.evaluate.metric(f, higher_is_better=True)."
        return [spec.mistake(path, f"nothing says whether more of {metric!r} is better or worse.", fix)]
    return []


def _change(spec: DeploySpec, name: str, model: Model, load_model: LoadModel) -> Change | list[Mistake]:
    variant, path = spec.variants[name], ("variants", name)
    if variant.quantize:
        return Quantize(calibration_rows=variant.quantize.calibration_rows)
    if variant.distill:
        return _distill(spec, name, model, load_model)
    if variant.factorize is None:  # the spec makes sure of one of the three
        return []
    tune = variant.fine_tune
    mistakes = []
    try:
        thin_ranks(map(model.node, model.node_names), variant.factorize.rank)
    except DeploymentError as error:
        mistakes.append(spec.mistake((*path, "factorize", "rank"), str(error)))
    try:
        if tune:
            study(copy.deepcopy(model), model.fields)
    except DeploymentError as error:
        mistakes.append(spec.mistake((*path, "fine_tune"), str(error)))
    lessons = Lessons(epochs=tune.epochs, lr=tune.lr) if tune else None
    return mistakes or Factorize(rank=variant.factorize.rank, fine_tune=lessons)


def _distill(spec: DeploySpec, name: str, model: Model, load_model: LoadModel) -> Distill | list[Mistake]:
    options, key = spec.variants[name].distill, ("variants", name, "distill", "into")
    if options is None:
        return []
    if mistakes := spec.code_mistakes(key, options.into):
        return mistakes
    path = spec.folder / options.into
    if not path.is_file():
        near = did_you_mean(path.name, [p.name for p in path.parent.glob("*.model.*")])
        return [spec.mistake(key, f"there is no file {path}.", near)]
    student = load_model(path)
    problem = _unlike(student, model)
    if problem:
        return [spec.mistake(key, f"{options.into}: {problem}")]
    try:
        if model.fields:
            student.check_fields(model.fields, model.inputs)
        study(copy.deepcopy(student), model.fields, copy.deepcopy(model), options.temperature)
    except (GraphError, ObjectiveError) as error:
        return [spec.mistake(key, f"{options.into}: {problem}") for problem in error.problems or (error,)]
    lessons = Lessons(epochs=options.epochs, lr=options.lr)
    return Distill(student=student, source=path.name, temperature=options.temperature, lessons=lessons)


def _unlike(student: Model, source: Model) -> str:
    """What a student's tasks lack to be the source's; empty where they are the same."""
    for name, task in source.tasks.items():
        if name not in student.tasks:
            near = did_you_mean(name, student.tasks)
            return f"expected the same tasks as the model's; there is no task {name!r}. {near}"
        own = student.tasks[name]
        if own.quantiles != task.quantiles:
            return f"expected the same tasks as the model's; {name!r} predicts other quantiles."
        if (own.kind, own.target) != (task.kind, task.target):
            told = f"a {own.kind} task for {own.target!r}; the model's is {task.kind} for {task.target!r}"
            return f"expected the same tasks as the model's; {name!r} is {told}."
    extra = [name for name in student.tasks if name not in source.tasks]
    if extra:
        return f"expected the same tasks as the model's; it also has {', '.join(extra)}, which the model cannot teach."
    return ""
