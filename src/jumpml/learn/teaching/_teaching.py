"""Lets a teacher choose what a learner learns from next."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, final

import torch

from jumpml.core import LearnerError, Problem, derive_seed, refusal
from jumpml.learn._hook import Hook
from jumpml.learn.continual._replay import Replay
from jumpml.learn.teaching._arms import find_arms
from jumpml.learn.teaching._axes import axes_of
from jumpml.learn.teaching._choices import Choice, Choices
from jumpml.learn.teaching._rewards import SPG
from jumpml.learn.teaching._serving import Serving
from jumpml.learn.teaching._sight import Sight
from jumpml.learn.teaching._taught import TaughtOrder, TaughtPlan
from jumpml.learn.teaching._wrong_teaching import find_teaching_problems

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from torch import Tensor

    from jumpml.core import EpochRecord
    from jumpml.curriculum import Teacher
    from jumpml.learn._hook import Step
    from jumpml.learn._learner import Learner
    from jumpml.learn._stage import Stage
    from jumpml.learn.teaching._arms import TaughtArm
    from jumpml.learn.teaching._axes import Axis
    from jumpml.learn.teaching._rewards import Reward


class _Lesson(NamedTuple):
    """What is made for a phase; all that is remembered stands beside it."""

    arms: Sequence[TaughtArm]
    serving: Sequence[Serving]
    accumulate: int


class _Bad(NamedTuple):
    arm: str
    value: float


@final
class Teaching(Hook):
    """Lets a teacher choose, for each update, which arm its batches are of, in each phase that has two arms or more.

    An arm is some rows, drawn as the data file says, each once before any comes twice; and where arms are tasks or
    objectives, those that run on them. An epoch has as many batches as without a teacher. With each phase the teacher
    begins afresh. The log has ``share/<arm>``, of the updates since the last reading, and ``reward/<arm>``, their mean.
    Where several processes learn, all choose alike, by rewards of all rows.

    Args:
        teacher: What chooses.
        arms: What it chooses from: ``datasets``, ``tasks``, ``objectives``, an `Axis`, or several of these, whose
            combinations are arms.
        reward: What an update is rewarded by; `SPG` where None.
        floor: The share that all arms have between them, evenly.
        every: Updates after which rewards are read from the device, and told.
        when: The phases in which it chooses, or ``"all"``.

    Attributes:
        teacher: The same.
        axes: What arms differ in.
        reward: The same.
        when: The same.

    Raises:
        LearnerError: There are no such arms, or a number makes no sense.

    Example:
        ``Learner(loaders, model, optimizer, hooks=[Teaching(Exp3S(), "datasets")])``
    """

    name = "curriculum"

    def __init__(
        self,
        teacher: Teacher,
        arms: str | Axis | Sequence[str | Axis],
        reward: Reward | None = None,
        *,
        floor: float = 0.05,
        every: int = 1,
        when: str | Sequence[str] = "all",
    ) -> None:
        if not 0 <= floor <= 1 or every < 1:
            told = f"expected a floor from 0 to 1 and `every` from 1, got {floor!r} and {every!r}"
            raise LearnerError(f"curriculum: {told}.")
        self.teacher, self.axes, self.reward = teacher, axes_of(arms), SPG() if reward is None else reward
        self.when = (when,) if isinstance(when, str) else tuple(when)
        self._floor, self._every = floor, every
        self._forget()

    def _forget(self) -> None:
        self._phase = ""
        self._lesson: _Lesson | None = None
        self._choices = Choices(0)
        self._now: Choice | None = None
        self._steps: list[Step] = []
        self._unread: list[tuple[int, Tensor]] = []
        self._bad: _Bad | None = None
        self._counts: dict[str, int] = {}
        self._told: dict[str, list[float]] = {}

    def attach(self, learner: Learner) -> None:
        """Look at what there is to choose from.

        Raises:
            LearnerError: There is nothing, an arm has no rows, or nothing tells a reward.
        """
        self._forget()  # another learner's phase has taught it nothing of this one's
        self._learner = learner
        count = learner.processes.count
        if problems := [*find_teaching_problems(self, learner.model, learner.loaders, learner.phases, count)]:
            raise refusal(LearnerError, problems)
        told = any(axis.of(learner.model, phase) for axis in self.axes for phase in learner.phases)
        if told and any(isinstance(hook, Replay) for hook in learner.hooks):
            text = "replay learns kept rows by all objectives of a phase, and here an update has those of an arm."
            fix = "Leave one of the two out, or choose from datasets, classes or views."
            raise refusal(LearnerError, [Problem(("curriculum", "arms"), text, fix)])

    def on(self, stage: Stage, *, accumulate: int) -> None:
        """Put what the teacher says in the place of what a phase serves and runs.

        Args:
            stage: The phase, as it is set up; it is changed.
            accumulate: Batches of an update.
        """
        arms, self._lesson, self.figures = self.arms(stage.name, stage.active), None, ()
        if len(arms) < 2:
            return
        loaders, facts = self._learner.loaders, tuple(arm.facts for arm in arms)
        again = (stage.name, facts) == (self._phase, self.teacher.arms)
        if not again:
            self._begin(stage.name, arms)
        serving = [Serving(arm, stage.name, loaders, self._choices) for arm in arms]
        if self.teacher.learns:
            kept = self.reward.state_dict() if again else None
            self.reward.begin(Sight(self._learner, stage, arms, self._choices))
            self.figures = self.reward.figures
            if kept is not None:
                self.reward.load_state_dict(kept)
        plain = loaders.train.drawing(self._learner.phases[stage.name].data)
        stage.order = TaughtOrder(plain, arms, self._choices, self._choose)
        self._lesson = _Lesson(arms, serving, accumulate)
        if any(arm.runs is not None for arm in arms):
            plans = {arm.runs: stage.plan if arm.runs is None else stage.executed(arm.runs) for arm in arms}
            stage.plan = TaughtPlan(stage.plan, [plans[arm.runs] for arm in arms], self._choices)
            stage.untold = False  # what one arm's update leaves without a gradient is another's

    def arms(self, phase: str, active: Collection[str] | None = None) -> list[TaughtArm]:
        """What there is to choose from in a phase; nothing where the teacher does not choose in it.

        Args:
            phase: The phase.
            active: The objectives that are learned; those of the phase where None.
        """
        if "all" not in self.when and phase not in self.when:
            return []
        learner = self._learner
        data = learner.phases[phase].data
        return find_arms(self.axes, learner.model, learner.loaders, phase, data, active=active)

    def differentiated(self, stage: Stage) -> None:
        """Look at what the reward asks for before weights move."""
        self._now = self._choices.next if self._lesson else None
        if self._now and self.teacher.learns:
            self.reward.differentiated(self._now)

    def learned(self, step: Step) -> None:
        """A batch has gone by."""
        if self._now:
            self._steps.append(step)
            self._choices.learned()

    def updated(self, step: Step) -> None:
        """Measure the reward, and tell the teacher of those that are due."""
        steps, self._steps = self._steps, []
        now, self._now = self._now, None
        if self._lesson is None or now is None:
            return
        name = self._lesson.arms[now.arm].facts.name
        self._counts[name] = self._counts.get(name, 0) + 1
        reward = self.reward.updated(now, steps) if self.teacher.learns else None
        if reward is not None:
            self._unread.append((now.arm, reward))
        if len(self._unread) >= self._every:
            self._tell()

    def closed(self, record: EpochRecord) -> None:
        """Tell the teacher what the epoch's validation says."""
        if self._lesson and self.teacher.learns:
            for arm, value in self.reward.closed(record.val):
                self._hear(arm, value)

    def check(self) -> None:
        """Losses were read, and all are finite.

        Raises:
            LearnerError: A reward is not.
        """
        if self._bad:
            arm, value = self._bad
            raise LearnerError(
                f"curriculum: the reward {self.reward.kind!r} of arm {arm!r} is {value}, though the losses that were "
                "learned from are finite. Lower the learning rate, set clip_norm, or look at the rows of that arm."
            )

    def read(self) -> dict[str, float]:
        """What was chosen since the last reading, and what it brought."""
        if self._lesson is None or not self._counts:
            return {}
        names, every = [arm.facts.name for arm in self._lesson.arms], sum(self._counts.values())
        shares = {f"share/{name}": self._counts.get(name, 0) / every for name in names}
        rewards = {f"reward/{name}": sum(t) / len(t) for name in names if (t := self._told.get(name))}
        self._counts, self._told = {}, {}
        return shares | rewards

    def state_dict(self) -> dict[str, Any]:
        """What was chosen and is chosen by, and the rewards that nobody was told of yet."""
        if self._lesson is None:
            return {}
        if self._unread:
            self._unread = [(arm, reward) for (arm, _), reward in zip(self._unread, self._agreed(), strict=True)]
        return {
            **self._whose(),
            "teacher": self.teacher.state_dict(),
            "choices": self._choices.state_dict(),
            "reward": self.reward.state_dict() if self.teacher.learns else {},
            "unread": [{"arm": arm, "reward": float(reward)} for arm, reward in self._unread],
            "counts": dict(self._counts),
            "told": {name: [*told] for name, told in self._told.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; one of another teacher, or of other arms, is of no use."""
        if self._lesson is None or any(state.get(key) != value for key, value in self._whose().items()):
            return
        self.teacher.load_state_dict(state["teacher"])
        self._choices.load_state_dict(state["choices"])
        if self.teacher.learns:
            self.reward.load_state_dict(state["reward"])
        self._unread = [(told["arm"], torch.tensor(told["reward"])) for told in state["unread"]]
        self._counts = dict(state["counts"])
        self._told = {name: [*told] for name, told in state["told"].items()}
        self._now, self._steps, self._bad = None, [], None

    def begin_anew(self) -> None:
        """The open epoch begins anew, with other batches."""
        self._choices.forget(self._learner.progress.epoch)

    def identity(self) -> str:
        """The teacher, its arms and its reward."""
        arms = " x ".join(axis.identity() for axis in self.axes)
        told = f"arms {arms}, reward {self.reward.identity()}, floor {self._floor:g}, every {self._every}"
        return f"{self.teacher.identity()}, {told}, when {', '.join(self.when)}"

    def _whose(self) -> dict[str, Any]:
        names = [arm.name for arm in self.teacher.arms]
        return {"kind": self.teacher.kind, "phase": self._phase, "names": names, "rewarded": self.reward.identity()}

    def _begin(self, phase: str, arms: Sequence[TaughtArm]) -> None:
        before = self._choices
        self._phase, self._unread, self._counts, self._told = phase, [], {}, {}
        self._choices = Choices(derive_seed(self._learner.loaders.seed, "teacher", phase))
        self._choices.remember(before)
        self.teacher.begin([arm.facts for arm in arms], self._floor)

    def _choose(self, epoch: int, first: int, left: int) -> tuple[Choice, Sequence[Tensor]]:
        """Ask the teacher, and take the batches of an update: the arm's rows, and those beside them."""
        lesson, choices = self._lesson, self._choices
        if lesson is None:
            raise LearnerError("curriculum: the phase of these batches is over; iterate over the loader anew.")
        self.teacher.advance(self._progress(first, left))
        arm = self.teacher.propose(choices.generator)
        serving, batches = lesson.serving[arm], range(min(lesson.accumulate, left))
        choice = Choice(arm, epoch, first, [serving.own() for _ in batches])
        choices.waiting.append(choice)
        return choice, [others for _ in batches if (others := serving.others()) is not None]

    def _progress(self, first: int, left: int) -> float:
        """How much of the phase is over."""
        closed, epochs = self._learner.progress.closed(self._phase), self._learner.phases[self._phase].epochs
        return min(1.0, (closed + first / (first + left)) / max(1, epochs))

    def _tell(self) -> None:
        values = self._agreed().tolist()
        unread, self._unread = self._unread, []
        for (arm, _), value in zip(unread, values, strict=True):
            if math.isfinite(value):
                self._hear(arm, value)
            elif not self._learner.skips_updates:
                self._bad = self._bad or _Bad(self.teacher.arms[arm].name, value)

    def _agreed(self) -> Tensor:
        """The rewards that wait, ``[updates]``; those of the first of several processes, so that all choose alike."""
        measured = torch.stack([reward for _, reward in self._unread])
        self._learner.processes.give([measured])
        return measured

    def _hear(self, arm: int, value: float) -> None:
        self.teacher.observe(arm, value)
        self._told.setdefault(self.teacher.arms[arm].name, []).append(value)

    def __getstate__(self) -> dict[str, Any]:
        # Plans hold the model's modules; a copy of the learner makes its own when it enters the phase.
        return {**vars(self), "_lesson": None, "_now": None, "_steps": []}
