"""What hooks of single rows have in common: some phases, some objectives, and what is wrong with them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from jumpml.core import LearnerError, Problem, did_you_mean, refusal
from jumpml.learn._hook import Hook

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jumpml.learn._learner import Learner

WHEN = ("curriculum", "when")


class RowHook(Hook, ABC):
    """Does something to single rows, in some phases.

    Args:
        of: The objectives or tasks that are meant; all where None.
        when: The phases that are meant, or ``"all"``.
    """

    def __init__(self, of: Sequence[str] | None, when: str | Sequence[str]) -> None:
        self.of = None if of is None else tuple(of)
        self.when = (when,) if isinstance(when, str) else tuple(when)

    def attach(self, learner: Learner) -> None:
        """Look at what there is to do it to.

        Raises:
            LearnerError: There is no such phase, or `_problems` finds something.
        """
        self._learner = learner
        phases, problems = _chosen_phases(self.when, learner)
        if problems := [*problems, *self._problems(learner, phases)]:
            raise refusal(LearnerError, problems)

    @abstractmethod
    def _problems(self, learner: Learner, phases: Sequence[str]) -> Iterator[Problem]:
        """What is wrong with it, in the phases that are meant and learn something."""

    def _is_on(self, phase: str) -> bool:
        return "all" in self.when or phase in self.when

    def _whose(self) -> str:
        """In words, for `identity`."""
        of = "" if self.of is None else f", of {', '.join(self.of)}"
        return f"{of}, when {', '.join(self.when)}"


def _chosen_phases(when: Sequence[str], learner: Learner) -> tuple[list[str], list[Problem]]:
    """The phases that are meant and learn something, and what is wrong with their names."""
    unknown = [name for name in when if name not in {*learner.phases, "all"}]
    problems = [Problem(WHEN, f"there is no phase {name!r}.", did_you_mean(name, learner.phases)) for name in unknown]
    meant = [name for name in learner.phases if "all" in when or name in when]
    found = [name for name in meant if learner.phases[name].epochs and learner.model.active(name)]
    if not found and not problems:
        text = f"no phase that is meant ({', '.join(meant)}) has epochs and an objective."
        problems.append(Problem(WHEN, text, "Name one that learns, or leave it out."))
    return found, problems
