"""Rows from easy to hard, as an order that is kept within those that may come yet."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, final

import torch

from jumpml.core import PACING, Problem
from jumpml.curriculum import Pacing, difficulty_problem, ranked
from jumpml.data import Paced
from jumpml.learn.examples._row_hook import RowHook
from jumpml.learn.examples._row_losses import RowLosses, by_row, find_row_problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from jumpml.core import EpochRecord
    from jumpml.data import Order
    from jumpml.learn._hook import Step
    from jumpml.learn._learner import Learner
    from jumpml.learn._stage import Stage

DIFFICULTY = ("curriculum", "difficulty")


@final
class Pace(RowHook):
    """Lets a pacing say which rows may be drawn yet, by how hard they are.

    An epoch has as many batches as ever; what is drawn comes from the rows that may come yet, in the shares that data
    sets and balanced classes have, and once all may it is what it would have been, to the bit.

    With ``own``, difficulty is the model's own last loss of each row, as it stood when the epoch began. Rows of which
    no loss is known yet have the median of the known ones; so the first epoch's rows are chosen by chance. Phases in
    which no objective has a loss a row, as with most self-supervised methods, are left as they are.

    Args:
        pacing: How large a share of the rows may come.
        difficulty: How hard each train row is, float ``[train rows]`` in plain order; ``data``, what the loaders say;
            or ``own``. With a ``random`` order nothing is asked.
        when: The phases in which rows are paced, or ``"all"``; each begins afresh.
        seed: What decides between rows that are equally hard.

    Example:
        ``Learner(loaders, model, optimizer, hooks=[Pace(RootPacing(start=0.2, over=0.5))])``
    """

    name = "pacing"

    def __init__(
        self,
        pacing: Pacing,
        difficulty: Tensor | Literal["data", "own"] = "data",
        *,
        when: str | Sequence[str] = "all",
        seed: int = 0,
    ) -> None:
        super().__init__(None, when)
        self.pacing, self.difficulty = pacing, difficulty
        self._seed = seed
        self._own = isinstance(difficulty, str) and difficulty == "own" and pacing.order != "random"
        self.positions = self._own
        self._on, self._checksum = False, ""

    def attach(self, learner: Learner) -> None:
        """Rank the rows.

        Raises:
            LearnerError: There is no such phase, none that is meant has epochs, or rows cannot be ranked.
        """
        super().attach(learner)
        train = learner.loaders.train
        self._losses = RowLosses(len(train.rows), learner.loaders.device, learner.processes)
        self._hard = torch.full((len(train.rows),), torch.nan, dtype=torch.float64)
        self._rank()
        if not self._own:
            self._checksum = sha256(self._ranked.numpy().tobytes()).hexdigest()[:12]

    def _problems(self, learner: Learner, phases: Sequence[str]) -> Iterator[Problem]:
        if self.pacing.order == "random":
            return
        if self._own:
            yield from find_row_problems(DIFFICULTY, learner, phases, None, "difficulty: own")
            return
        known = self._known(learner)
        if known is None:
            text = "the data file says of no data set how hard rows are."
            fix = "Give one `difficulty: {column: ...}`, say `own` or `{run: FOLDER}` here, or take `order: random`."
            yield Problem(DIFFICULTY, text, fix)
        elif problem := difficulty_problem(known, len(learner.loaders.train.rows)):
            yield Problem(DIFFICULTY, problem)

    def _known(self, learner: Learner) -> Tensor | None:
        return learner.loaders.difficulty if isinstance(self.difficulty, str) else self.difficulty

    def paces(self, phase: str) -> bool:
        """Whether it limits which rows come in a phase.

        Args:
            phase: Its name.
        """
        return self._is_on(phase) and not (self._own and not by_row(self._learner.model, phase, None))

    def enter(self, stage: Stage) -> None:
        """Put the order in place; what a phase before has moved begins afresh."""
        self._on = self.paces(stage.name)
        if not self._on:
            return
        progress = self._learner.progress
        self._began, self._phase = progress.epoch - progress.closed(stage.name), stage.name
        self._of = by_row(self._learner.model, stage.name, None)
        self.pacing.begin()
        stage.rearrange(self._paced)

    def _paced(self, order: Order, steady: bool) -> Order:
        return Paced(order, lambda: self._ranked, self._shares, steady=steady)

    def _shares(self, epoch: int, batches: Tensor) -> Tensor:
        count, phase = len(self._learner.loaders.train), self._learner.phases[self._phase]
        over = (epoch - self._began + batches.double() / count) / max(1, phase.epochs)
        return self.pacing.shares(over.clamp(0, 1))

    def learned(self, step: Step) -> None:
        """Note the rows' losses, where difficulty is the model's own."""
        if self._on and self._own:
            self._losses.note(step, self._of, self._learner.weights)

    def closed(self, record: EpochRecord) -> None:
        """Let the pacing hear of the epoch, and rank by what was noted in it."""
        if not self._on:
            return
        self.pacing.closed(record.losses["total"])
        if self._own:
            self._losses.agree()
            self._hard = self._losses.last.double().cpu()
            self._rank()

    def read(self) -> dict[str, float]:
        """The share of the rows that may come, as ``pacing``."""
        if not self._on:
            return {}
        progress = self._learner.progress
        batch = torch.tensor([max(0, progress.batch - 1)])
        return {PACING: float(self._shares(progress.epoch, batch))}

    def _rank(self) -> None:
        known = self._known(self._learner)
        hard = self._hard if self._own or known is None else known
        if self._own:
            middle = hard.nanmedian()
            hard = hard.where(~hard.isnan(), 0.0 if middle.isnan() else middle)
        self._ranked = ranked(hard, self.pacing.order, self._seed)

    def state_dict(self) -> dict[str, Any]:
        """The pacing's, and with ``own`` the losses of the open epoch and those that rows are ranked by."""
        own = {"losses": self._losses.state_dict(), "hard": self._hard} if self._own else {}
        return {"kind": self.pacing.kind, "pacing": self.pacing.state_dict(), **own}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; what is of another kind, or of other rows, is of no use."""
        if self._on and state["kind"] == self.pacing.kind:
            self.pacing.load_state_dict(state["pacing"])
        if self._own and "hard" in state and len(state["hard"]) == len(self._hard):
            self._losses.load_state_dict(state["losses"])
            self._hard = state["hard"].cpu()
            self._rank()

    def identity(self) -> str:
        """The pacing's, and by what rows are ranked."""
        by = self.difficulty if isinstance(self.difficulty, str) else "given"
        told = f"{by} {self._checksum}" if self._checksum else by
        return f"{self.pacing.identity()}, by {told}{self._whose()}"
