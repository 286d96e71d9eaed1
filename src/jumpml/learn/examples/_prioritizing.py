"""Rows of a high loss come more often, and count as much less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import torch

from jumpml.core import POSITION, LearnerError, Problem
from jumpml.data import Preferred
from jumpml.learn.examples._row_hook import RowHook
from jumpml.learn.examples._row_losses import RowLosses, by_row, find_row_problems
from jumpml.learn.examples._weighing import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from jumpml.core import EpochRecord, Loss
    from jumpml.data import Order
    from jumpml.learn._hook import Step
    from jumpml.learn._learner import Learner
    from jumpml.learn._stage import Stage

LEAST = 1e-6  # what a loss of 0 is taken for, so that no row is lost for ever (the paper's epsilon)


@final
class Prioritizing(RowHook):
    """Draws rows in proportion to a power of their last loss, and weighs them by what makes up for it.

    A row's probability is ``loss ** alpha`` over the sum of its group's: of its data set, or of its class where these
    come equally often. Its gradient is multiplied by ``(rows * probability) ** -beta``, over the largest such weight;
    ``beta`` rises to 1 over the phase, at which the mean gradient points where that of plain draws does. Losses are
    those that stood when the epoch began; a row of which none is known has the highest of all (Schaul et al. 2016,
    https://arxiv.org/abs/1511.05952).

    Args:
        alpha: The power; with 0 rows come alike.
        beta: How far the weights make up for it at first, from 0 to 1.
        of: The objectives whose losses count and whose rows are weighed; all that have a loss a row where None.
        when: The phases in which it is so, or ``"all"``; each begins afresh.

    Raises:
        LearnerError: A number is out of range.

    Example:
        ``Learner(loaders, model, optimizer, hooks=[Prioritizing(alpha=0.6)])``
    """

    name = kind = "prioritized"
    positions = True

    def __init__(
        self,
        alpha: float = 0.6,
        beta: float = 0.4,
        of: Sequence[str] | None = None,
        *,
        when: str | Sequence[str] = "all",
    ) -> None:
        if not 0 <= alpha < float("inf"):
            raise LearnerError(f"prioritized: expected alpha of 0 or more, got {alpha!r}.")
        if not 0 <= beta <= 1:
            raise LearnerError(f"prioritized: expected beta from 0 to 1, got {beta!r}.")
        super().__init__(of, when)
        self.alpha, self.beta = alpha, beta
        self._names: tuple[str, ...] = ()

    def _problems(self, learner: Learner, phases: Sequence[str]) -> Iterator[Problem]:
        yield from find_row_problems(EXAMPLES, learner, phases, self.of, self.kind)
        if any(hook.name == "curriculum" for hook in learner.hooks):
            text = "prioritized says how often rows come, and so does the teacher that chooses arms."
            yield Problem(EXAMPLES, text, "Leave one of the two out.")

    def enter(self, stage: Stage) -> None:
        """Put the order in place; no loss is known yet."""
        learner = self._learner
        self._names = by_row(learner.model, stage.name, self.of) if self._is_on(stage.name) else ()
        if not self._names:
            return
        rows, device = len(learner.loaders.train.rows), learner.loaders.device
        self._phase, self._losses = stage.name, RowLosses(rows, device, learner.processes)
        self._held = torch.ones(rows, dtype=torch.float64)
        self._order: Preferred | None = None
        stage.rearrange(self._preferred)
        self._count()

    def _preferred(self, order: Order, steady: bool) -> Order:
        self._order = Preferred(order, lambda: self._held)
        return self._order

    def _count(self) -> None:
        """What rows count in the epoch that begins."""
        if self._order is None:
            return
        progress, phase = self._learner.progress, self._learner.phases[self._phase]
        over = min(1.0, progress.closed(self._phase) / max(1, phase.epochs - 1))
        beta = self.beta + (1 - self.beta) * over
        often = self._order.often()
        weights = torch.where(often > 0, often, torch.inf) ** -beta
        self._counts = (weights / weights.max()).float().to(self._learner.loaders.device)

    def weigh(self, losses: Mapping[str, Loss], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """By what makes up for how often rows come."""
        if not self._names:
            return {}
        counts = self._counts[batch[POSITION]]
        return {name: counts for name in self._names if name in losses}

    def learned(self, step: Step) -> None:
        """Note the rows' losses."""
        if self._names:
            self._losses.note(step, self._names, self._learner.weights)

    def closed(self, record: EpochRecord) -> None:
        """Draw the next epoch by the losses that are known now."""
        if self._names:
            self._losses.agree()
            self._held = self._priorities()
            self._count()

    def _priorities(self) -> Tensor:
        last = self._losses.last.double().cpu()
        known = last[~last.isnan()]
        most = known.max() if len(known) else torch.ones((), dtype=torch.float64)
        return (last.where(~last.isnan(), most).clamp(min=0) + LEAST) ** self.alpha

    def state_dict(self) -> dict[str, Any]:
        """The losses of the open epoch, and what it is drawn by."""
        return {"losses": self._losses.state_dict(), "held": self._held} if self._names else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; one of another kind, or of other rows, is of no use."""
        if self._names and "held" in state and len(state["held"]) == len(self._held):
            self._losses.load_state_dict(state["losses"])
            self._held = state["held"].cpu()
            self._count()

    def identity(self) -> str:
        """All of its options."""
        return f"prioritized, alpha {self.alpha:g}, beta {self.beta:g}{self._whose()}"
