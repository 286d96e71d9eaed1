"""Work for several processes: learners that balance, whose targets are rare, and what they learned."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import torch
from readings import counting_readings
from several import weights_of
from torch import distributed, nn

from jumpml.balance import build_balancer
from jumpml.core import LearnerError, LearnerSpec, Loss, Task, WeightSchedule, load_spec
from jumpml.curriculum import Uniform
from jumpml.data import Column, DataLoaders
from jumpml.graph import Model, Node
from jumpml.learn import Balancing, Cosines, Hook, Learner, Log, Phase, Saving, Teaching, make_optimizer
from jumpml.learn.processes._processes import Processes
from jumpml.learn.processes._sums import Sums
from jumpml.objectives import L2, CrossEntropy, Huber, MeanSquaredError, ObjectiveModule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from jumpml.core import EpochRecord, ValueInfo
    from jumpml.learn import Step, StepRecord
    from jumpml.learn._stage import Stage

    Case = Mapping[str, Any]


class Figures(Log):
    """What the log is told of steps."""

    def __init__(self) -> None:
        self.told: list[dict[str, float]] = []

    def steps(self, records: Sequence[StepRecord]) -> None:
        self.told += [{**record.losses, **record.figures} for record in records]

    def epoch(self, record: EpochRecord) -> None:
        pass


class Later(Hook):
    """Joins a gradient of its own on all weights from the third update on."""

    name = "later"

    def attach(self, learner: Learner) -> None:
        self.progress = learner.progress

    def join(self, stage: Stage) -> Tensor | None:
        if self.progress.step < 2:
            return None
        return 0.01 * torch.stack([parameter.square().sum() for parameter in stage.trained]).sum()


class Loose(ObjectiveModule):
    """Squares; where no row counts, something that depends on no weight, but not in the first batch."""

    roles = ("prediction", "target")
    began = False

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Whatever there is."""

    def counted(self, *inputs: Tensor | None, present: Tensor | None = None) -> Tensor | None:
        return present

    def forward(self, prediction: Tensor, target: Tensor, present: Tensor) -> Loss:
        value = torch.where(present, (prediction - target).squeeze(1), 0.0).square()
        if self.began and not present.any():
            value = torch.zeros_like(value.detach())
        self.began = self.began or self.training
        return Loss(value, present)


class Present(Hook):
    """What this process sees: rows that count, gradients that are finite. After some epochs a task is stopped."""

    name = "present"

    def __init__(self, stop_after: int | None) -> None:
        self.stop_after = stop_after
        self.seen: list[dict[str, int]] = []
        self.finite: list[bool] = []

    def attach(self, learner: Learner) -> None:
        self.learner = learner

    def learned(self, step: Step) -> None:
        told = {name: present for name, (_, present) in step.losses.items() if present is not None}
        self.seen.append({name: int(present.sum()) for name, present in told.items()})

    def join(self, stage: Stage) -> None:
        """This process's own gradients are there."""
        own = [parameter.grad for parameter in stage.trained if parameter.grad is not None]
        self.finite.append(all(bool(gradient.isfinite().all()) for gradient in own))

    def closed(self, record: EpochRecord) -> None:
        if record.epoch == self.stop_after:
            self.learner.stop_task("tone", "enough")


def make_loaders(huge: float = 0.0, *, full: bool = False) -> DataLoaders:
    """A class that all rows have, a number that one in eight has, and one that half have; the last batch is short.

    Args:
        huge: Added to the latter number of one row.
        full: Whether all rows have these numbers too.
    """
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(84, 4, generator=generator)
    size, tone = x.sum(1, keepdim=True), x.square().mean(1, keepdim=True)
    if not full:
        size[torch.rand(84, generator=generator) > 1 / 8] = torch.nan
        tone[torch.rand(84, generator=generator) > 1 / 2] = torch.nan
    tone[int((~tone[:, 0].isnan()).nonzero()[0])] += huge
    rows = torch.arange(84)
    return DataLoaders(
        {
            "x": Column(x, "tensor"),
            "image": Column(x.repeat(1, 8).view(84, 2, 4, 4), "tensor"),
            "kind": Column(x[:, :3].argmax(1), "category", classes=("red", "green", "blue")),
            "size": Column(size, "number"),
            "tone": Column(tone, "number"),
        },
        {"train": rows[:65], "val": rows[65:79], "test": rows[79:]},
        batch_size=10,
    )


def make_learner(case: Case, *hooks: Hook, log: Sequence[Log] = ()) -> Learner:
    """A learner of three tasks and a penalty.

    Args:
        case: ``balance``, as a learner file has it, and ``over`` which objectives; ``cosines``, the options of that
            look; ``epochs``, and ``stop_after`` how many a task is stopped; ``scale``, the first of float16; ``huge``,
            and whether rows are ``full``, see `make_loaders`; options of the learner; and whether there is what
            follows: ``images``, a weight that is ``moving``, a teacher (``taught``), a `Later`, a `Loose` objective.
        hooks: What else joins.
        log: What is told.
    """
    loaders = make_loaders(case.get("huge", 0.0), full=case.get("full", False))
    source = "image" if case.get("images") else "x"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        trunk = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 6), nn.Tanh())
        heads = {"kind": nn.Linear(6, 3), "size": nn.Linear(6, 1), "tone": nn.Linear(6, 1)}
        if source == "image":
            pictures = [nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Conv2d(4, 4, 2), nn.Flatten(), nn.Linear(4, 6)]
            trunk = nn.Sequential(*pictures, nn.Tanh())
    loaders.bind([source])
    weight = WeightSchedule(start=0.5, end=2.0) if case.get("moving") else 2.0
    model = Model(
        inputs={source: loaders.info(source)},
        nodes={"trunk": Node(trunk, source), **{f"to_{name}": Node(head, "trunk") for name, head in heads.items()}},
        tasks={
            "kind": Task(kind="multiclass", output="to_kind", target="kind"),
            "size": Task(kind="regression", output="to_size", target="size"),
            "tone": Task(kind="regression", output="to_tone", target="tone"),
        },
        objectives={
            "kind": CrossEntropy(("to_kind", "kind"), weight=weight),
            "size": Huber(("to_size", "size")),
            "tone": MeanSquaredError(("to_tone", "tone")),
            **({"far": Loose(("to_size", "size"))} if case.get("loose") else {}),
            "small": L2(parameters_of="trunk", weight=0.01),
        },
        fields=loaders.fields,
        seed=0,
    )
    joining = [*hooks]
    if case.get("balance"):
        balancer = build_balancer(load_spec(LearnerSpec, {"balance": case["balance"]}).balance, seed=4)
        assert balancer is not None
        joining.append(Balancing(balancer, over=case.get("over")))
    if case.get("taught"):
        joining.append(Teaching(Uniform(), "objectives"))
    if case.get("later"):
        joining.append(Later())
    if "cosines" in case:
        joining.append(Cosines(**case["cosines"]))
    optimizer = make_optimizer(model, "sgd", 0.02, arguments={"momentum": 0.9})
    options = {"phases": {"supervised": Phase(epochs=case.get("epochs", 1))}, **case.get("options", {})}
    learner = Learner(loaders, model, optimizer, hooks=joining, distribute="ddp", log=log, **options)
    if "scale" in case:
        learner._loop.update._scaler = torch.amp.GradScaler("cpu", init_scale=case["scale"])
    return learner


def learned(cases: Sequence[Case]) -> list[dict[str, Any]]:
    """What each case ends with; the log is written after every fourth step."""
    import jumpml.learn._run as run

    run.LOG_EVERY, before = 4, run.LOG_EVERY
    try:
        return [_learned(case) for case in cases]
    finally:
        run.LOG_EVERY = before


def _learned(case: Case) -> dict[str, Any]:
    log, present = Figures(), Present(case.get("stop_after"))
    learner = make_learner(case, present, log=[log])
    learner.fit()
    return {
        "weights": weights_of(learner),
        "losses": [epoch.losses for epoch in learner.history.epochs],
        "log": log.told,
        "present": present.seen,
        "finite": present.finite,
        "update": learner._loop.update.state_dict(),
    }


def by_hand(cases: Sequence[Case]) -> list[dict[str, Tensor]]:
    """The weights after steps on batches of which the first process has three rows, and the others what is left."""
    found = []
    for case in cases:
        learner = make_learner(case)
        first, alone = learner.processes.first, learner.processes.alone
        own = slice(0, None if alone else 3) if first else slice(3, None)
        for batch in learner.loaders.train.plain():
            learner.step({name: value[own] for name, value in batch.items()})
        found.append(weights_of(learner))
    return found


def resumed(cases: Sequence[Case], folder: Path) -> list[tuple[bool, bool]]:
    """Whether runs that stop after an epoch end with the bits of those that don't; and without what a balancer knew."""
    found = []
    for place, case in enumerate(cases):
        whole = make_learner(case)
        whole.fit()
        kept = {**case, "options": {**case.get("options", {}), "saving": Saving(folder=folder / str(place))}}
        make_learner(kept).train_epoch()
        again, forgetful = make_learner(kept), make_learner(kept)
        assert again.resume()
        assert forgetful.resume()
        balancer = next(hook.balancer for hook in forgetful._loop.hooks if isinstance(hook, Balancing))
        balancer.begin(balancer.names, torch.device("cpu"))
        ends = []
        for learner in (again, forgetful):
            learner.fit()
            ends.append(all(torch.equal(v, weights_of(learner)[name]) for name, v in weights_of(whole).items()))
        found.append((ends[0], ends[1]))
    return found


MESSAGES = ("all_reduce", "all_gather_object", "broadcast", "broadcast_object_list", "all_gather", "barrier")


def told(cases: Sequence[Case]) -> list[tuple[dict[str, int], dict[str, int]]]:
    """What each case sends in one step, and what it reads of the device, once what there is is agreed upon."""
    return [_told(case) for case in cases]


def _told(case: Case) -> tuple[dict[str, int], dict[str, int]]:
    learner = make_learner(case)
    learner._run.enter("supervised")
    windows = learner.windows()
    for _ in range(2):
        learner.step(*next(windows))
    sent: Counter[str] = Counter()
    with pytest.MonkeyPatch.context() as patch:
        for name in MESSAGES:
            patch.setattr(distributed, name, _counting(sent, name))
        readings, window = counting_readings(patch), next(windows)
        readings.found.clear()
        with readings:
            learner.step(*window)
    return dict(sent), dict(readings.found)


def _counting(sent: Counter[str], name: str) -> Any:
    call = getattr(distributed, name)

    def counted(*args: Any, **options: Any) -> Any:
        sent[name] += 1
        return call(*args, **options)

    return counted


def added_up(
    learn: Sequence[Case], tell: Sequence[Case], resume: Sequence[Case], hand: Sequence[Case], folder: Path
) -> dict[str, Any]:
    """All that is asked of processes that add up, in one go."""
    processes = Processes.joined()
    mixed = [
        torch.full((2,), 1.5, dtype=torch.bfloat16),
        torch.tensor(3),
        torch.arange(24.0).view(1, 2, 3, 4).to(memory_format=torch.channels_last),
        torch.tensor([True, False]).int(),
        torch.full((3, 1), 0.25).half(),
        torch.arange(6.0).view(2, 3).T,
        torch.zeros(0, 3),
    ]
    like = nn.Conv2d(2, 3, 2).to(memory_format=torch.channels_last).weight  # pyright: ignore[reportCallIssue]
    gradient = torch.arange(24.0).view(3, 2, 2, 2)
    sums = Sums(processes)
    (laid_out, none) = sums("one", [gradient if processes.first else None, None], [like, like])
    assert laid_out is not None
    return {
        "sums": [(str(total.dtype), total.tolist()) for total in processes.sum(mixed)],
        "own": [value.tolist() for value in mixed],
        "laid out": (laid_out.stride() == like.stride(), bool((laid_out == gradient).all()), none),
        "new": raised(lambda: sums("one", [None, gradient], [like, like])),
        "sparse": raised(lambda: sums("two", [torch.eye(2).to_sparse()], [torch.eye(2)])),
        "learned": learned(learn),
        "told": told(tell),
        "by hand": by_hand(hand),
        "resumed": resumed(resume, folder),
    }


def raised(call: Callable[[], object]) -> str:
    """The text of a refusal."""
    with pytest.raises(LearnerError) as caught:
        call()
    return str(caught.value)
