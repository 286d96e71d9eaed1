"""Work for several processes: learners that balance, whose targets are rare, and what they learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from several import weights_of
from torch import nn
from torch.optim import SGD

from jumpml.balance import build_balancer
from jumpml.core import LearnerSpec, Task, WeightSchedule, load_spec
from jumpml.data import Column, DataLoaders
from jumpml.graph import Model, Node
from jumpml.learn import Balancing, Cosines, Hook, Learner, Log, Phase
from jumpml.objectives import L2, CrossEntropy, Huber, MeanSquaredError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jumpml.core import EpochRecord
    from jumpml.learn import Step, StepRecord

    Case = Mapping[str, Any]


class Figures(Log):
    """What the log is told of steps."""

    def __init__(self) -> None:
        self.told: list[dict[str, float]] = []

    def steps(self, records: Sequence[StepRecord]) -> None:
        self.told += [{**record.losses, **record.figures} for record in records]

    def epoch(self, record: EpochRecord) -> None:
        pass


class Present(Hook):
    """How many rows of this process count for each objective, step by step; after some of them a task is stopped."""

    name = "present"

    def __init__(self, stop_after: int | None) -> None:
        self.stop_after = stop_after
        self.seen: list[dict[str, int]] = []

    def attach(self, learner: Learner) -> None:
        self.learner = learner

    def learned(self, step: Step) -> None:
        told = {name: present for name, (_, present) in step.losses.items() if present is not None}
        self.seen.append({name: int(present.sum()) for name, present in told.items()})

    def closed(self, record: EpochRecord) -> None:
        if record.epoch == self.stop_after:
            self.learner.stop_task("tone", "enough")


def make_loaders() -> DataLoaders:
    """A class that all rows have, a number that one in eight has, and one that half have; the last batch is short."""
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(84, 4, generator=generator)
    size, tone = x.sum(1, keepdim=True), x.square().mean(1, keepdim=True)
    size[torch.rand(84, generator=generator) > 1 / 8] = torch.nan
    tone[torch.rand(84, generator=generator) > 1 / 2] = torch.nan
    rows = torch.arange(84)
    return DataLoaders(
        {
            "x": Column(x, "tensor"),
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
        case: ``balance``, as a learner file has it; ``cosines``, the options of that look; ``moving``, whether a weight
            moves; ``stop_after``, an epoch, and ``epochs``; options of the learner.
        hooks: What else joins.
        log: What is told.
    """
    loaders = make_loaders()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        trunk = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 6), nn.Tanh())
        heads = {"kind": nn.Linear(6, 3), "size": nn.Linear(6, 1), "tone": nn.Linear(6, 1)}
    loaders.bind(["x"])
    weight = WeightSchedule(start=0.5, end=2.0) if case.get("moving") else 2.0
    model = Model(
        inputs={"x": loaders.info("x")},
        nodes={"trunk": Node(trunk, "x"), **{f"to_{name}": Node(head, "trunk") for name, head in heads.items()}},
        tasks={
            "kind": Task(kind="multiclass", output="to_kind", target="kind"),
            "size": Task(kind="regression", output="to_size", target="size"),
            "tone": Task(kind="regression", output="to_tone", target="tone"),
        },
        objectives={
            "kind": CrossEntropy(("to_kind", "kind"), weight=weight),
            "size": Huber(("to_size", "size")),
            "tone": MeanSquaredError(("to_tone", "tone")),
            "small": L2(parameters_of="trunk", weight=0.01),
        },
        fields=loaders.fields,
        seed=0,
    )
    joining = [*hooks]
    if case.get("balance"):
        balancer = build_balancer(load_spec(LearnerSpec, {"balance": case["balance"]}).balance, seed=4)
        assert balancer is not None
        joining.append(Balancing(balancer))
    if "cosines" in case:
        joining.append(Cosines(**case["cosines"]))
    optimizer = SGD(model.parameters(), lr=0.02, momentum=0.9)
    options = {"phases": {"supervised": Phase(epochs=case.get("epochs", 2))}, **case.get("options", {})}
    return Learner(loaders, model, optimizer, hooks=joining, distribute="ddp", log=log, **options)


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
        "update": learner._loop._update.state_dict(),
    }
