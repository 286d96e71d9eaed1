"""Whether tasks pull against each other, told while they are added up."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from jumpml.core import LearnerError, Problem, refusal
from jumpml.learn._hook import Hook
from jumpml.learn.hooks._balancing import balanced, find_balance_problems, given_by
from jumpml.learn.steps._watched import Watched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jumpml.learn._learner import Learner
    from jumpml.learn._stage import Stage
    from jumpml.learn.steps._descent import Descends, Descent


@final
class Cosines(Hook):
    """Takes gradients objective by objective before some updates, and logs the cosines between them.

    The log has ``cosine/<objective>/<objective>``, the means since it was written last: below 0 two tasks pull against
    each other. What is learned is the plain sum, to the bit. Balancers that look at gradients log the same of every
    update by themselves.

    Args:
        every: After so many updates it looks at one.
        at: A node, by whose value gradients are taken; by the parameters that objectives share where None.
        over: The objectives, by name. All but penalties on parameters where None.

    Raises:
        LearnerError: ``every`` is below 1, or fewer than two objectives are named.

    Example:
        ``Learner(loaders, model, optimizer, hooks=[Cosines(every=50)])``
    """

    name = "balance"  # there is one sum, which is looked at or balanced
    kind: ClassVar[str] = "the cosine between gradients"

    def __init__(self, every: int = 50, *, at: str | None = None, over: Sequence[str] | None = None) -> None:
        if every < 1:
            raise LearnerError(f"cosines: expected every 1 update or more, got {every}.")
        if isinstance(over, str) or (over is not None and len(over) < 2):
            raise LearnerError(f"cosines: expected `over` as two objectives' names or more, got {over!r}.")
        self.every, self.over = every, None if over is None else tuple(over)
        self.at: str | None = at
        self._watched: Watched | None = None

    def attach(self, learner: Learner) -> None:
        """Look at what there is to compare.

        Raises:
            LearnerError: There is no such objective or node, or there are no two objectives.
        """
        self._model, self._progress, self._watched = learner.model, learner.progress, None
        if problems := [*find_balance_problems(self, self.over, learner.model, learner.phases)]:
            raise refusal(LearnerError, problems)

    def check_compiled(self) -> None:
        """The losses will be computed by code that `torch.compile` makes.

        Raises:
            LearnerError: Of that no gradients can be taken objective by objective.
        """
        text = "cosines need gradients objective by objective, which code that torch.compile makes does not allow."
        raise refusal(LearnerError, [Problem(("compile",), text, "Leave one of the two out.")])

    def on(self, stage: Stage, plain: Descent) -> Descends:
        """What makes gradients in a phase: the sum, looked at where there are two objectives or more.

        Args:
            stage: The phase, as it is set up.
            plain: The sum.
        """
        names = balanced(self.over, self._model, stage.name, stage.active)
        at = frozenset[str]() if self.at is None else given_by(self._model, self.at)
        self._watched = Watched(plain, names, stage.trained, at, self._is_due) if len(names) > 1 else None
        return plain if self._watched is None else self._watched

    def read(self) -> dict[str, float]:
        """How gradients lay to each other since the last time."""
        return self._watched.figures() if self._watched else {}

    def identity(self) -> str:
        """All of its options."""
        at, over = f", at {self.at}" if self.at else "", f", over {', '.join(self.over)}" if self.over else ""
        return f"sum, cosines every {self.every}{at}{over}"

    def _is_due(self) -> bool:
        return (self._progress.step + 1) % self.every == 0
