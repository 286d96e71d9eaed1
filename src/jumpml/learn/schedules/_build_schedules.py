"""From what a file says of schedules to schedules, and what is wrong with them."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from jumpml.core import Problem, ScheduleSpec, Spec, did_you_mean
from jumpml.learn.schedules._schedules import (
    Constant,
    Cosine,
    Linear,
    OneCycle,
    Plateau,
    Schedule,
    TorchSchedule,
    Warmup,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OTHERWISE = {
    "ReduceLROnPlateau": "Write kind: plateau.",
    "SequentialLR": "Write a list of schedules.",
    "ChainedScheduler": "Write a list of schedules; they follow each other.",
    "LambdaLR": "A file holds no functions: give the schedule in Python.",
    "MultiplicativeLR": "A file holds no functions: give the schedule in Python.",
}


_KINDS = {"constant": Constant, "cosine": Cosine, "linear": Linear, "one_cycle": OneCycle, "plateau": Plateau}


def build_schedule(spec: ScheduleSpec | tuple[ScheduleSpec, ...] | None) -> Schedule | tuple[Schedule, ...] | None:
    """What a file says of a phase's learning rate, without the file."""
    if spec is None:
        return None
    return tuple(map(_build, spec)) if isinstance(spec, tuple) else _build(spec)


def _build(spec: ScheduleSpec) -> Schedule:
    said: dict[str, Any] = {name: getattr(spec, name) for name in type(spec).model_fields if name != "kind"}
    if isinstance(said["warmup"], Spec):
        said["warmup"] = Warmup(**dict(said["warmup"]))
    if spec.kind == "torch":
        return TorchSchedule(scheduler=torch_schedulers()[said.pop("name")], arguments=said.pop("args"), **said)
    return _KINDS[spec.kind](**said)


def torch_schedulers() -> dict[str, type[LRScheduler]]:
    """Those of torch that a file can name."""
    classes = [value for value in vars(lr_scheduler).values() if inspect.isclass(value)]
    named = {cls.__name__: cls for cls in classes if issubclass(cls, LRScheduler)}
    return {name: cls for name, cls in named.items() if name not in {"LRScheduler", "_LRScheduler", *_OTHERWISE}}


def find_schedule_problems(
    path: tuple[str | int, ...], spec: ScheduleSpec | tuple[ScheduleSpec, ...] | None
) -> Iterator[Problem]:
    """What a file says wrongly of a schedule.

    Args:
        path: Where it says it.
        spec: What it says.
    """
    several = spec if isinstance(spec, tuple) else () if spec is None else (spec,)
    for place, one in enumerate(several):
        where = (*path, place) if isinstance(spec, tuple) else path
        yield from _wrong_length(where, one, alone=len(several) == 1, last=place == len(several) - 1)
        if one.kind == "torch":
            yield from _wrong_scheduler(where, one.name, one.args)


def _wrong_length(path: tuple[str | int, ...], spec: ScheduleSpec, *, alone: bool, last: bool) -> Iterator[Problem]:
    lengths = [name for name in ("epochs", "steps") if getattr(spec, name) is not None]
    if len(lengths) == 2:
        yield Problem((*path, "steps"), "expected either epochs or steps, got both.")
    elif lengths and last:
        text = "a schedule alone lasts as long as its phase." if alone else "the last schedule takes what is left."
        yield Problem((*path, lengths[0]), text, "Leave it out.")
    elif not lengths and not last:
        yield Problem(path, "expected epochs or steps: how long it lasts before the next begins.")


def _wrong_scheduler(path: tuple[str | int, ...], name: str, arguments: Mapping[str, Any]) -> Iterator[Problem]:
    known = torch_schedulers()
    if name not in known:
        fix = _OTHERWISE.get(name) or did_you_mean(name, known)
        yield Problem((*path, "name"), f"torch.optim.lr_scheduler has no {name!r} for files.", fix)
        return
    signature = inspect.signature(known[name])
    try:
        signature.bind(None, **arguments)
    except TypeError as error:
        names = ", ".join([*signature.parameters][1:])
        yield Problem((*path, "args"), f"{name}: {error}.", f"It takes {names}.")
