"""The verbs: each takes a path, a dict or a spec object, and joins the rooms that do the work."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jumpml.core import (
    DataSpec,
    DeploySpec,
    GraphError,
    JumpMLError,
    LearnerSpec,
    ModelSpec,
    ObjectiveError,
    SpecError,
    ValueInfo,
    did_you_mean,
    join_errors,
    load_spec,
    with_lines,
)
from jumpml.data import build_dataloader
from jumpml.graph import Model, build_nodes, build_tasks, fields_read, fill_nodes
from jumpml.objectives import build_objectives

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch.optim import Optimizer

    from jumpml.core import CoursePoint, EpochRecord, FieldInfo, History, Mistake, RunRecord
    from jumpml.core import SpecSource as Source
    from jumpml.data import DataLoaders
    from jumpml.deploy import Deployment
    from jumpml.diagnose import Diagnosis, MappedNode
    from jumpml.evaluate import EvalResults
    from jumpml.learn import Hook, Learner
    from jumpml.report import Card


def create_dataloader(data: Source, *, trust: Sequence[str] = ()) -> DataLoaders:
    """Read the data that a file describes: sources, splits, features fitted on the train rows.

    Args:
        data: The data file's path, a dict, or a `DataSpec`.
        trust: Packages beside ``torch.nn`` and ``jumpml`` that the file may name functions and modules of.

    Returns:
        Loaders with ``.train``, ``.val`` and ``.test``.

    Raises:
        SpecError: The file is wrong, or does not fit its source; all mistakes with their lines.
        DataError: A value in the source cannot be what its field says.

    Example:
        >>> loaders = create_dataloader({"datasets": {"digits": {
        ...     "source": {"kind": "sklearn", "name": "digits"},
        ...     "fields": {"image": {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]},
        ...                "label": {"kind": "category", "column": "target"}}}}})
        >>> next(iter(loaders.train))["image"].shape
        torch.Size([64, 1, 8, 8])
    """
    return build_dataloader(load_spec(DataSpec, data), trust)


def load_model(
    model: Source, dataloader: DataLoaders | None = None, seed: int | None = None, *, trust: Sequence[str] = ()
) -> Model:
    """Build the model that a file describes; its parameters exist when this returns.

    Args:
        model: The model file's path, a dict, or a `ModelSpec`.
        dataloader: Gives shapes and classes, so that the file need not; it may name a data file instead (``data:``).
        seed: Of the initial weights; wins over the file's.
        trust: Packages beside ``torch.nn`` and ``jumpml`` that the file may name classes of.

    Raises:
        SpecError: The file is wrong, or its parts do not fit together; all mistakes with their lines.

    Example:
        >>> model = load_model({"inputs": {"x": {"shape": [4]}},
        ...                     "nodes": {"y": {"module": "torch.nn.Linear", "inputs": "x",
        ...                                     "args": {"in_features": 4, "out_features": 2}}},
        ...                     "tasks": {"sort": {"kind": "multiclass", "output": "y", "target": "z"}}}, seed=0)
        >>> model.values["y"].shape
        (2,)
    """
    spec = load_spec(ModelSpec, model)
    if seed is not None:
        spec = spec.model_copy(update={"seed": seed})
    if dataloader is None and spec.data is not None:
        if mistakes := spec.code_mistakes(("data",), spec.data):
            raise SpecError(spec.source, mistakes)
        dataloader = create_dataloader(spec.folder / spec.data, trust=trust)
    fields = dict(dataloader.fields) if dataloader else {}
    inputs, mistakes = _inputs(spec, dataloader)
    parts = _parts(spec, inputs, fields, trust, mistakes)
    try:
        built = Model(inputs=inputs, fields=fields, seed=spec.seed, **parts)
        built.spec = spec
        fill_nodes(spec, built)
        if dataloader is not None:
            undoable = dataloader.features.undoable()
            built.check_fields(fields, {name: dataloader.info(name) for name in undoable}, undoable)
        return built
    except (GraphError, ObjectiveError) as error:
        raise with_lines(error, spec) from None


def create_learner(
    dataloader: DataLoaders,
    model: Model,
    optimizer: Optimizer | None = None,
    options: Source | None = None,
    *,
    run: str | Path | None = None,
    hooks: Sequence[Hook] = (),
    allow_changes: bool = False,
) -> Learner:
    """Join data, model, optimizer and options to a learner.

    Args:
        dataloader: The data.
        model: The model.
        optimizer: Of the model's parameters; the options' own where None.
        options: The learner file's path, a dict, or a `LearnerSpec`; all defaults where None.
        run: The run's folder. Where it holds checkpoints, the learner goes on from the newest: a program that names
            its folder can be killed and started again. A new one below ``runs`` where None.
        hooks: What joins the loop beside what the options ask for; see `jumpml.learn.Hook`.
        allow_changes: Go on from the folder's checkpoints though data, model or options are not those that they were
            made with.

    Raises:
        SpecError: The options are wrong, or do not fit the model; all mistakes with their lines.
        LearnerError: Data, model and optimizer do not fit.
        CheckpointError: The folder's checkpoints are damaged, or were made with something else; the text says what.
        JumpMLError: Several of these.
    """
    from jumpml.learn import build_learner

    spec = load_spec(LearnerSpec, {} if options is None else options)
    folder = new_run_folder(spec.stem or "run") if run is None else Path(run)
    learner = build_learner(spec, dataloader, model, optimizer, folder, hooks=hooks)
    if run is not None:
        learner.resume(allow_changes=allow_changes)
    return learner


def eval_model(
    dataloader: DataLoaders,
    model: Model,
    metrics: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
    split: str = "test",
) -> EvalResults:
    """Measure a model, with intervals.

    Args:
        dataloader: The data.
        model: The object to measure: with an average, ``learner.ema_model`` is another one than the raw model.
        metrics: Names, `torchmetrics` objects or functions ``f(predictions, targets)``: a list where there is one
            task, a dict by task, or None for each task's own.
        split: ``train``, ``val`` or ``test``.

    Returns:
        A mapping from ``task/metric`` to `Figure`.

    Raises:
        EvaluationError: A metric is unknown, fails, or does not fit the task.
    """
    from jumpml.evaluate import evaluate
    from jumpml.learn import has_average, is_average

    notes = []
    if has_average(model):
        notes.append("These are the raw weights; the learner keeps an average of them too: learner.ema_model.")
    return evaluate(dataloader, model, metrics, split, averaged=is_average(model), notes=notes)


def diagnose(
    dataloader: DataLoaders, model: Model, history: History | None = None, *, maps: Sequence[MappedNode] = ()
) -> Diagnosis:
    """Ask why the model answers as it does, where it struggles, and what is foreign to it.

    Args:
        dataloader: The data.
        model: The model.
        history: The learner's (``learner.history``); without it hard examples and training health are left out.
        maps: Nodes whose values are laid flat in the card (`jumpml.diagnose.MappedNode`), beside those that the outputs
            of tasks of classes read.
    """
    from jumpml.diagnose import diagnose as engine

    return engine(dataloader, model, history, maps=maps)


def report_card(
    results: EvalResults,
    diagnosis: Diagnosis | None = None,
    deployment: Deployment | None = None,
    *,
    epochs: Sequence[EpochRecord] = (),
    course: Sequence[CoursePoint] = (),
    run: RunRecord | None = None,
) -> Card:
    """One page for people: what the model is, how good, why, where not, and how to repeat it.

    Args:
        results: Of `eval_model`.
        diagnosis: Of `diagnose`.
        deployment: Of `deploy_model`.
        epochs: ``learner.history.epochs``, for the curves.
        course: ``learner.history.course``: what a teacher chose, and what objectives counted.
        run: What was run.
    """
    from jumpml.report import report_card as engine

    return engine(results, diagnosis, deployment, epochs=epochs, course=course, run=run)


def deploy_model(
    results: EvalResults,
    model: Model,
    config: Source | None = None,
    *,
    folder: str | Path = ".",
    trust: Sequence[str] = (),
) -> Deployment:
    """Make the variants that a file asks for, run each in its real runtime, and bundle those that hold.

    Args:
        results: Of `eval_model` on this very model; it remembers the data and the metrics.
        model: The model.
        config: The deploy file's path, a dict, or a `DeploySpec`; the unchanged model alone where None.
        folder: Where the bundle's relative path starts.
        trust: As in `load_model`, for the smaller models that the file names.

    Raises:
        SpecError: The file is wrong, or does not fit the model.
        DeploymentError: A variant cannot be made, or the bundle not written.
    """
    from jumpml.deploy import build_deployment

    spec = load_spec(DeploySpec, {} if config is None else config)
    load = partial(load_model, dataloader=results.loaders, trust=trust)
    return build_deployment(spec, results, model, folder=Path(folder), trainer=train, load_model=load)


def train(model: Model, loaders: DataLoaders, training: Any) -> None:
    """The `core.Trainer` that deployment is handed: Adam on the supervised phase, on the loaders' device."""
    import torch

    from jumpml.learn import Learner, Phase, ProgressLog

    Learner(
        loaders,
        model,
        torch.optim.Adam(model.parameters(), lr=training.lr),
        phases={"supervised": Phase(epochs=training.epochs, freeze=training.freeze)},
        seed=training.seed,
        device=loaders.device,
        record_examples=False,
        log=[ProgressLog(training.purpose)],
    ).fit()


def new_run_folder(name: str, root: str | Path = "runs") -> Path:
    """Make ``runs/<name>/<time>``, with a number behind it where another run began in the same second."""
    time = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    count = 1
    while True:
        folder = Path(root) / name / (time if count == 1 else f"{time}-{count}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            count += 1
        else:
            return folder


def _parts(
    spec: ModelSpec,
    inputs: Mapping[str, ValueInfo],
    fields: Mapping[str, FieldInfo],
    trust: Sequence[str],
    known: Sequence[Mistake],
) -> dict[str, Any]:
    """What the model is made of; raises all mistakes at once, with those that are known already."""
    made: dict[str, Any] = {"tasks": build_tasks(spec)}
    mistakes = [*known, *_metric_mistakes(spec)]
    errors: list[JumpMLError] = [SpecError(spec.source, mistakes)] if mistakes else []
    for part, build in {
        "nodes": lambda: build_nodes(spec, inputs, fields, trust),
        "objectives": lambda: build_objectives(spec, trust),
    }.items():
        try:
            made[part] = build()
        except JumpMLError as error:  # of this file, or of one that it nests
            errors.append(error)
    if errors:
        raise join_errors(errors)
    return made


def _metric_mistakes(spec: ModelSpec) -> list[Mistake]:
    from jumpml.evaluate import metric_names

    return [
        spec.mistake(
            ("tasks", name, "metrics", position),
            f"there is no metric {metric!r} for {task.kind} tasks.",
            did_you_mean(metric, metric_names(task.kind)),
        )
        for name, task in spec.tasks.items()
        for position, metric in enumerate(task.metrics or ())
        if metric not in metric_names(task.kind)
    ]


def _inputs(spec: ModelSpec, dataloader: DataLoaders | None) -> tuple[dict[str, ValueInfo], list[Mistake]]:
    """The shapes of the fields that nodes read: from the data where it is known, else from the file."""
    said = {name: ValueInfo(shape=value.shape, dtype=value.dtype) for name, value in spec.inputs.items()}
    if dataloader is None:
        return said, []
    read = [name for name in fields_read(spec) if name in dataloader.readable]
    dataloader.bind(read)
    known = {name: dataloader.info(name) for name in read}
    mistakes = [
        spec.mistake(("inputs", name), f"the file says {said[name]}, and the data has {known[name]}.", "Leave it out.")
        for name in said
        if name in known and said[name] != known[name]
    ]
    return {**said, **known}, mistakes


createDataloader = create_dataloader  # noqa: N816 (the article's names, kept for ever)
loadModel = load_model  # noqa: N816
createLearner = create_learner  # noqa: N816
evalModel = eval_model  # noqa: N816
deployModel = deploy_model  # noqa: N816
