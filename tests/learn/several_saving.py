"""What each of several processes does in tests of checkpoints, stops and errors; `all_of` does most in one start."""

from __future__ import annotations

import errno
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import several
import taught
import torch
from torch import distributed

from jumpml.balance import GradNorm
from jumpml.core import DataError, JumpMLError
from jumpml.curriculum import Exp3S
from jumpml.learn import Balancing, Checkpoints, Cosine, Hook, Learner, Phase, Saving, Teaching
from jumpml.learn._loop_state import state_of
from jumpml.learn.saving import _states

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from jumpml.learn import Step
    from jumpml.learn._loop import Loop
    from jumpml.learn.saving._identity import Changes


class At(Hook):
    """Does something once, in the update of one step."""

    name = "at"

    def __init__(self, step: int, act: Callable[[Learner], object]) -> None:
        self.step, self.act = step, act

    def attach(self, learner: Learner) -> None:
        self.learner = learner

    def updated(self, step: Step) -> None:
        if step.number == self.step:
            self.act(self.learner)


class Measures(Hook):
    """A figure that differs between processes, as by the rounding of two devices."""

    name = "measures"

    def validated(self, phase: str, epoch: int) -> dict[str, float]:
        return {"own": 1.0 + rank()}


class Killed(BaseException):
    """What stands in for a killed process."""


def die(learner: Learner) -> None:
    raise Killed


def make(folder: Path | None, at: At | None = None, *hooks: Hook, steps: int = 3, **options: Any) -> Learner:
    """A learner with dropout, batch normalization, augmentation and momentum that saves every few steps."""
    torch.rand(7)  # another process stands elsewhere in its global stream
    saving = Saving(folder=folder, steps=steps) if folder else None
    options = {"distribute": "ddp", "epochs": 2, "loaders": taught.make_loaders(6), **options}
    return taught.make_learner([at or At(0, die), *hooks], saving=saving, **options)


def with_all(folder: Path, at: At | None = None) -> Learner:
    """The same with more state: an average, a schedule, a teacher and a balancer, and batches that are accumulated."""
    phases = {"supervised": Phase(epochs=3, schedule=Cosine(epochs=3))}
    more = [Teaching(Exp3S(), "datasets"), Balancing(GradNorm(at="trunk"))]
    return make(folder, at, *more, phases=phases, ema=0.9, accumulate=2)


def outcome(call: Callable[[], Any]) -> str:
    """What an error says, with its kind; empty where there is none."""
    try:
        call()
    except (JumpMLError, KeyboardInterrupt, SystemExit) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def end_of(folder: Path) -> dict[str, bytes | str]:
    """By name, all that the last checkpoint holds, but what clocks said."""
    checkpoints = Checkpoints(folder)
    state = checkpoints.load(checkpoints.steps()[-1])
    for record in state["records"]:
        record["seconds"] = 0.0
    return dict(_leaves(state, ""))


def _leaves(value: Any, name: str) -> Iterator[tuple[str, bytes | str]]:
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(inner, f"{name}/{key}")
    else:
        yield name, value.numpy().tobytes() if isinstance(value, torch.Tensor) else repr(value)


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Names that only one has, or whose values are not the same bytes."""
    return [name for name in {**one, **other} if one.get(name) != other.get(name)]


def last(learner: Learner) -> dict[str, bytes | str]:
    """The end of a run, once it is written."""
    learner.save()
    assert learner._run.states.saving is not None
    return end_of(learner._run.states.saving.folder)


@contextmanager
def without_others_generators() -> Iterator[None]:
    """Inside a state that is loaded has not the generators of the second process."""
    load = _states.load_state

    def load_without(loop: Loop, state: Any, changes: Changes) -> None:
        first, *others = state["random"]["processes"]
        state["random"]["processes"] = [first, *(loop.random.state_dict() for _ in others)]
        load(loop, state, changes)

    _states.load_state = load_without
    try:
        yield
    finally:
        _states.load_state = load


def resumed(folder: Path, make: Callable[..., Learner], stops: tuple[int, ...]) -> dict[str, Any]:
    """A run without a stop, one with some, and one that lacks the others' generators when it goes on."""
    whole = make(folder / "whole")
    whole.fit()
    for stop in stops:
        learner = make(folder / "stopped", At(stop, die))
        learner.resume()
        killed(learner)
    killed(make(folder / "without", At(stops[-1], die)))
    stopped, without = make(folder / "stopped"), make(folder / "without")
    stopped.resume()
    with without_others_generators():
        without.resume()
    stopped.fit()
    without.fit()
    ends = [last(one) for one in (whole, stopped, without)]
    return {
        "steps": whole.progress.step,
        "stopped": differing(ends[0], ends[1]),
        "without": differing(ends[0], ends[2]),
    }


def killed(learner: Learner) -> None:
    try:
        learner.fit()
    except Killed:
        learner._run.states.settle()
        return
    raise AssertionError("it was not killed")


# --- what is asked of the processes -----------------------------------------------------------------------------------


def rank() -> int:
    return distributed.get_rank()


def exact(folder: Path) -> dict[str, Any]:
    return resumed(folder, make, (1, 8, 10))


def exact_with_all(folder: Path) -> dict[str, Any]:
    return resumed(folder, with_all, (1, 5, 8))


def of_other_counts(folder: Path) -> dict[str, Any]:
    """Two processes' run in one, and one's in two."""
    found: dict[str, Any] = {}
    killed(make(folder / "of two", At(5, die)))
    found["notes"] = []
    for name, alone in {"of two": True, "of one": False}.items():
        if name == "of one" and rank() == 0:
            killed(make(folder / name, At(5, die), distribute="none"))
        distributed.barrier()
        if alone and rank():
            continue
        go_on: dict[str, Any] = {"distribute": "none"} if alone else {}
        found[name] = outcome(make(folder / name, **go_on).resume)
        learner = make(folder / name, **go_on)
        learner.resume(allow_changes=True)
        begun = learner.progress.step
        learner.fit()
        found["notes"] += [(begun, learner.history.epochs[0].notes, learner.progress.step)]
        if not alone:
            told = state_of(learner._loop)["random"]["processes"]
            found["their own"] = not torch.equal(told[0]["torch"], told[1]["torch"])
    return found


def drifting(folder: Path) -> list[str]:
    """The second process alone moves a weight between two checkpoints; and where there are none."""

    def move(learner: Learner) -> None:
        if rank() == 1:
            next(learner.model.parameters()).data.view(-1)[0] += 1e-6

    return [outcome(make(place, At(7, move)).fit) for place in (folder, None)]


def unlike(folder: Path) -> dict[str, str]:
    """Processes that are not told the same."""
    wide, rows = taught.make_loaders(6), taught.make_loaders(6)
    if rank() == 1:
        rows.train.maker.table.values["x"] += 1
        wide = taught.make_loaders(9)
    return {
        "seed": outcome(lambda: make(None, seed=rank())),
        "data": outcome(lambda: make(None, loaders=rows)),
        "batches": outcome(lambda: make(None, loaders=wide)),
        "checkpoints": outcome(lambda: make(folder if rank() == 0 else None)),
        "model": outcome(lambda: other(layers=rank())),
        "rates": outcome(lambda: other(lr=0.1 + rank())),
    }


def other(layers: int = 0, lr: float = 0.1) -> Learner:
    """A learner of a trunk with some more layers."""
    loaders = taught.make_loaders(6)
    model = taught.make_model(loaders)
    trunk: Any = model.node("trunk")
    for _ in range(layers):
        trunk.append(torch.nn.Linear(8, 8))
    return Learner(loaders, model, torch.optim.SGD(model.parameters(), lr=lr), distribute="ddp")


def stopped(folder: Path) -> dict[str, tuple[str, int, bool]]:
    """A signal to the second process, or to both at other moments."""
    cases: dict[str, tuple[int, dict[int, int]]] = {
        "SIGTERM to one": (signal.SIGTERM, {1: 3}),
        "Ctrl-C to both": (signal.SIGINT, {0: 2, 1: 3}),
        "in the last step": (signal.SIGINT, {1: 20}),
    }
    found = {}
    for name, (number, steps) in cases.items():
        place = folder / name.replace(" ", "-")
        learner = make(place, At(steps.get(rank(), 0), lambda _, number=number: os.kill(os.getpid(), number)))
        said = outcome(learner.fit).replace(str(place), "FOLDER")
        again = make(place)
        again.resume()
        again.fit()
        found[name] = said, learner.progress.step, last(again) == end_of(folder.parent / "exact/whole")
    return found


def non_finite(folder: Path) -> dict[str, Any]:
    """A row that is infinite, which one of the processes sees; the step that was saved, seen again by one alone."""
    loaders = taught.make_loaders(6)
    loaders.train.maker.table.values["x"][11] = torch.inf
    said = outcome(make(folder, loaders=loaders, steps=2).fit).replace(str(folder), "FOLDER")
    alone = make(None, distribute="none")
    (path,) = (folder / "replay").glob("*.safetensors")
    seen = alone.relive(path)
    return {"said": said, "seen": (seen.step, seen.origin)}


def far_off(folder: Path) -> tuple[str, int | None]:
    """A row of one process's whose variance has no room in its numbers, where nothing is saved."""
    loaders = taught.make_loaders(6)
    loaders.train.maker.table.values["x"][11] = 1e25
    learner = make(None, loaders=loaders)
    return outcome(learner.fit), learner.restore_last_good()


def measured(folder: Path) -> list[float]:
    learner = make(folder, None, Measures(), epochs=1)
    return [record.val["own"] for record in learner.fit().epochs]


def disks(folder: Path) -> dict[str, Any]:
    """A disk that is full for the first process, checkpoints that are damaged, and a best one that is gone."""
    learner = make(folder / "full", steps=100)
    fsync = os.fsync

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if rank() == 0:
        os.fsync = full
    found: dict[str, Any] = {"full": outcome(learner.save).replace(str(folder), "FOLDER")}
    os.fsync = fsync
    learner.save()

    learner.train_epoch()
    learner.save()
    learner.progress.best = (0.5, 3)
    learner.save()
    distributed.barrier()
    again = make(folder / "full")
    again.resume()
    found["best"] = again.progress.best
    distributed.barrier()
    if rank() == 0:
        for file in (folder / "full").glob("step-*/state.json"):
            file.write_text("{}")
    distributed.barrier()
    found["damaged"] = outcome(make(folder / "full").resume).replace(str(folder), "FOLDER").splitlines()[0]
    return found


def trials(folder: Path) -> dict[str, Any]:
    """What a copy finds out, in all processes together; the learner stays as it is."""
    learner = make(folder / "tried", epochs=1)
    tried, whole = (several.make_learner(distribute=how).try_batch("supervised") for how in ("ddp", "none"))
    rates, report = learner.find_lr(steps=10), learner.overfit_batch(10)
    profile = learner.profile(2)
    found = {
        "tried": {name: bool(torch.isclose(value, whole[name])) for name, value in tried.items()},
        "rates": (rates.rates, rates.losses),
        "overfit": str(report),
        "profiled": profile.rows,
        "dry run": [epoch.losses for epoch in learner.dry_run().epochs],
        "sizes": outcome(learner.batch_sizes),
    }
    learner.fit()
    plain = make(folder / "plain", epochs=1)
    plain.fit()
    found["untouched"] = differing(last(plain), last(learner))
    return found


def failing_alone(folder: Path) -> str:
    """An error in the second process; it leaves, and the first one's sums have nobody to wait for."""

    def fail(learner: Learner) -> None:
        if rank() == 1:
            raise DataError("what only this process met")

    return outcome(make(folder, At(4, fail)).fit)


def all_of(folder: Path) -> dict[str, Any]:
    """Everything that processes come through together, and last what they do not."""
    cases = (
        exact,
        exact_with_all,
        of_other_counts,
        drifting,
        unlike,
        stopped,
        non_finite,
        far_off,
        measured,
        disks,
        trials,
        failing_alone,
    )
    return {case.__name__: case(folder / case.__name__) for case in cases}
