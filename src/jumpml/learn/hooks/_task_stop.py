"""An end to each task that no longer gets better, while others go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from jumpml.core import LearnerError, Problem, did_you_mean, refusal
from jumpml.learn._hook import Hook
from jumpml.learn.continual._replay import Replay

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from jumpml.core import EpochRecord
    from jumpml.graph import Model
    from jumpml.learn._learner import Learner
    from jumpml.learn._stage import Stage
    from jumpml.learn.hooks._early_stop import EarlyStop

REPLAYED = Problem(
    ("early_stop", "tasks"),
    "rows that are replayed have the targets of all tasks, and none can be left out.",
    "Leave one of the two out.",
)


@final
class TaskStop(Hook):
    """Leaves a task out of what remains of a phase when its figure has not become better for a while.

    See `Learner.stop_task` for what that means. Each phase has its own best figures, and begins with all its tasks;
    where none of them is left, it is over.

    Args:
        tasks: By task, what says that it is over.

    Raises:
        LearnerError: No task is named; or, with a learner, there is no such task, or it replays rows.

    Example:
        ``Learner(loaders, model, optimizer, hooks=[TaskStop({"digit": EarlyStop("val/digit/accuracy", patience=3)})])``
    """

    name = "task_stop"

    def __init__(self, tasks: Mapping[str, EarlyStop]) -> None:
        if not tasks:
            raise LearnerError("task_stop: expected a task or more, got none.")
        self._tasks = dict(tasks)
        self.figures = tuple(figure for stop in self._tasks.values() for figure in stop.figures)

    def attach(self, learner: Learner) -> None:
        """Its tasks are left out.

        Raises:
            LearnerError: There is no such task, or rows are replayed.
        """
        problems = [*find_stop_problems(self._tasks, learner.model)]
        if any(isinstance(hook, Replay) for hook in learner.hooks):
            problems.append(REPLAYED)
        if problems:
            raise refusal(LearnerError, problems)
        self._learner = learner

    def enter(self, stage: Stage) -> None:
        """Each phase has its own best."""
        for stop in self._tasks.values():
            stop.enter(stage)

    def closed(self, record: EpochRecord) -> None:
        """Look at the figures, and leave out whose has not become better."""
        stage = self._learner.stage
        learning = [name for name in self._learner.model.tasks if stage is not None and name in stage.active]
        over = {name: told for name in learning if name in self._tasks and (told := self._tasks[name].judge(record))}
        if over and len(over) == len(learning):
            self._learner.end_phase("; ".join(over.values()))
            return
        for name, told in over.items():
            self._learner.stop_task(name, f"task {name!r} is left out: {told}")

    def state_dict(self) -> dict[str, Any]:
        """By task, its best figure and the epochs since; which are left out is `Progress`'s."""
        return {name: stop.state_dict() for name, stop in self._tasks.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        for name, stop in self._tasks.items():
            if name in state:
                stop.load_state_dict(state[name])

    def identity(self) -> str:
        """All of its options."""
        return "; ".join(f"{name}: {stop.identity()}" for name, stop in self._tasks.items())


def find_stop_problems(tasks: Iterable[str], model: Model) -> Iterator[Problem]:
    """Tasks that there are not.

    Args:
        tasks: Their names.
        model: Whose they should be.
    """
    for name in tasks:
        if name not in model.tasks:
            near = did_you_mean(name, model.tasks) if model.tasks else "The model has none."
            yield Problem(("early_stop", "tasks", name), f"there is no task {name!r}.", near)
