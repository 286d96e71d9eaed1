"""From the learner file to a learner."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING

import torch

from jumpml.core import LearnerError, PhaseSpec, Problem, SpecError, did_you_mean, refusal, with_lines
from jumpml.learn._csv_log import CsvLog
from jumpml.learn._learner import Learner
from jumpml.learn._logs import JsonlLog, Log, TensorBoardLog
from jumpml.learn._misfits import find_misfits, idle
from jumpml.learn._phase import Cosine, OneCycle, Phase
from jumpml.learn._progress import Saving
from jumpml.learn._progress_log import ProgressLog
from jumpml.learn._trackers import MLflowLog, WandbLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from torch.optim import Optimizer

    from jumpml.core import LearnerSpec
    from jumpml.data import DataLoaders
    from jumpml.graph import Model
    from jumpml.learn._hook import Hook

_LOG = logging.getLogger("jumpml")


def build_learner(
    spec: LearnerSpec,
    loaders: DataLoaders,
    model: Model,
    optimizer: Optimizer | None,
    folder: Path,
    *,
    hooks: Sequence[Hook] = (),
) -> Learner:
    """Make a learner as the file says.

    Args:
        spec: The learner file.
        loaders: The data.
        model: The model.
        optimizer: One made in code, which wins over the file's; None takes the file's.
        folder: The run's folder; it is made when something is first written.
        hooks: What joins the loop beside what the file asks for.

    Raises:
        SpecError: The file asks for what there is not.
        JumpMLError: Data and model do not fit it; the text has the file's own mistakes too.
    """
    phases = build_phases(spec)
    problems = [*_problems(spec, model, own_optimizer=optimizer is None), *find_misfits(model, loaders, phases)]
    if problems:
        raise with_lines(refusal(LearnerError, problems), spec)
    if optimizer is None:
        optimizer = build_optimizer(spec, model)
    elif "optimizer" in spec.model_fields_set:
        given = f"{type(optimizer).__name__}, lr {optimizer.param_groups[0]['lr']:g}"
        _LOG.warning("The optimizer given in code (%s) is used, not the one of %s.", given, spec.source)
    return Learner(
        loaders,
        model,
        optimizer,
        phases=phases,
        seed=spec.seed,
        device=_device(spec),
        clip_norm=spec.clip_norm,
        ema=spec.ema.decay if spec.ema else None,
        saving=_saving(spec, folder),
        record_examples=spec.record_examples,
        log=_logs(spec, model, folder),
        hooks=hooks,
    )


def build_phases(spec: LearnerSpec) -> dict[str, Phase]:
    """The phases in their order: the file's, with the two that are always there before and after where it is silent."""
    named = dict(spec.phases)
    first = {} if "self_supervised" in named else {"self_supervised": PhaseSpec()}
    last = {} if "supervised" in named else {"supervised": PhaseSpec()}
    phases = {}
    for name, phase in {**first, **named, **last}.items():
        phases[name] = Phase(
            epochs=10 if phase.epochs is None else phase.epochs,
            train=(phase.train,) if isinstance(phase.train, str) else phase.train,
            freeze=phase.freeze,
            lr=phase.lr,
            schedule=_schedule(phase.schedule or spec.schedule),
            data=(phase.data,) if isinstance(phase.data, str) else phase.data or (),
            consolidate=phase.consolidate,
        )
    return phases


def build_optimizer(spec: LearnerSpec, model: Model) -> Optimizer:
    """The optimizer that the file names, which `torch.optim` has, fused where torch has that.

    Raises:
        SpecError: It does not take these arguments.
    """
    options = spec.optimizer
    cls = _optimizers()[options.kind.lower()]
    arguments = {"lr": options.lr, **(options.model_extra or {})}
    fused = "fused" in inspect.signature(cls).parameters and not {"fused", "foreach", "dampening"} & arguments.keys()
    try:
        return _make(cls, model, {**arguments, "fused": True}) if fused else _make(cls, model, arguments)
    except RuntimeError:  # this torch or device has no fused form
        return _make(cls, model, arguments)
    except (TypeError, ValueError) as error:
        raise SpecError(
            spec.source, [spec.mistake(("optimizer",), f"{cls.__name__} refuses its arguments: {error}.")]
        ) from None


def _make(cls: Callable[..., Optimizer], model: Model, arguments: Mapping[str, object]) -> Optimizer:
    return cls(model.parameters(), **arguments)


def _optimizers() -> dict[str, type[Optimizer]]:
    classes = [value for value in vars(torch.optim).values() if inspect.isclass(value)]
    # LBFGS evaluates the loss several times a step, which no phase, log or average here is made for
    return {
        cls.__name__.lower(): cls
        for cls in classes
        if issubclass(cls, torch.optim.Optimizer) and cls.__name__ not in {"Optimizer", "LBFGS"}
    }


def _schedule(spec: object) -> OneCycle | Cosine | None:
    match getattr(spec, "kind", None):
        case "one_cycle":
            return OneCycle(max_lr=spec.max_lr, warmup=spec.warmup)  # type: ignore[union-attr]
        case "cosine":
            return Cosine(min_lr=spec.min_lr)  # type: ignore[union-attr]
    return None


def _saving(spec: LearnerSpec, folder: Path) -> Saving | None:
    options = spec.checkpoint
    if options is None:
        return None
    return Saving(
        folder=folder / "checkpoints",
        epochs=options.every.epochs,
        steps=options.every.steps,
        keep=options.keep,
        best=options.best.metric if options.best else None,
        mode=options.best.mode if options.best else "auto",
    )


def _logs(spec: LearnerSpec, model: Model, folder: Path) -> list[Log]:
    settings = {"learner": spec.model_dump(mode="json")}
    if model.spec is not None:
        settings["model"] = model.spec.model_dump(mode="json", exclude_defaults=True)
    made: dict[str, Callable[[], Log]] = {
        "progress": ProgressLog,
        "jsonl": lambda: JsonlLog(folder),
        "csv": lambda: CsvLog(folder),
        "tensorboard": lambda: TensorBoardLog(folder / "tensorboard"),
        "mlflow": lambda: MLflowLog(folder, settings),
        "wandb": lambda: WandbLog(folder, settings),
    }
    return [made[name]() for name in dict.fromkeys(spec.log)]


def _device(spec: LearnerSpec) -> torch.device:
    if spec.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(spec.device)


def _problems(spec: LearnerSpec, model: Model, *, own_optimizer: bool) -> Iterator[Problem]:
    """What the file asks for and there is not."""
    if own_optimizer:
        yield from _wrong_optimizer(spec)
    try:
        torch.empty(0, device=_device(spec))
    except (RuntimeError, AssertionError) as error:  # torch asserts where it was built without CUDA
        text = f"this machine has no device {spec.device!r}: {str(error).splitlines()[0]}"
        yield Problem(("device",), text)
    # the other phases are looked at wherever they come from
    asked = spec.phases.get("self_supervised")
    if asked and asked.epochs != 0 and not model.active("self_supervised"):
        yield idle("self_supervised")
    for name, phase in spec.phases.items():
        if phase.lr is not None and isinstance(_schedule(phase.schedule or spec.schedule), OneCycle):
            fix = "Set the schedule's max_lr instead."
            yield Problem(("phases", name, "lr"), "a one_cycle schedule sets the learning rate itself.", fix)
    if spec.checkpoint and spec.checkpoint.best:
        yield from _wrong_figure(spec.checkpoint.best.metric, model)


def _wrong_optimizer(spec: LearnerSpec) -> Iterator[Problem]:
    kind, known = spec.optimizer.kind, _optimizers()
    cls = known.get(kind.lower())
    if cls is None:
        near = did_you_mean(kind.lower(), known)
        yield Problem(("optimizer", "kind"), f"torch.optim has no optimizer {kind!r}.", near)
        return
    names = list(inspect.signature(cls).parameters)[1:]
    for name in spec.optimizer.model_extra or {}:
        if name not in names:
            yield Problem(("optimizer", name), f"{cls.__name__} takes no such argument.", did_you_mean(name, names))


def _wrong_figure(figure: str, model: Model) -> Iterator[Problem]:
    tasks = model.tasks.items()
    known = ["val/loss", *(f"val/{n}/{metric}" for n, t in tasks for metric in t.metrics or t.brings.metrics)]
    if figure not in known:
        near = did_you_mean(figure, known)
        yield Problem(("checkpoint", "best", "metric"), f"the validation has no figure {figure!r}.", near)
