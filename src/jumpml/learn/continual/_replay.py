"""Rows of before, learned again beside those of now."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, final

import torch
import torch.nn.functional as F

from jumpml.core import LearnerError, Loss
from jumpml.learn._hook import Hook
from jumpml.learn.continual._reservoir import Reservoir
from jumpml.objectives import reduce

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.graph import Growth, Model
    from jumpml.learn._hook import Step
    from jumpml.learn._learner import Learner
    from jumpml.learn._stage import Stage

_FIELD, _OUTPUT = "field/", "output/"


@final
class Replay(Hook):
    """Keeps rows that were learned from, and in each step learns some of them again.

    The rows are a `Reservoir` of all that the loader serves, as it serves them: featurised and augmented, in each epoch
    anew. At each step, ``beta`` times the phase's losses on ``batch`` of them joins the loss (experience replay). With
    ``alpha`` above 0 the tasks' outputs are kept too, as they were when the row came by, and ``alpha`` times the mean
    squared difference from them joins the loss, on rows drawn apart: dark experience replay, DER++ (Buzzega et al.
    2020, https://arxiv.org/abs/2004.07211).

    The kept rows pass the model on their own, so that what is logged and recorded is of the rows of now. Penalties on
    parameters count once, with these. Where several processes learn, all keep the same rows, of whole batches, and each
    computes all of those that are learned again.

    Handed to the next learner, it goes on with the rows that it has. Where that one's model has new classes, an output
    that was kept is compared on the classes that there were.

    Args:
        rows: How many are kept.
        batch: How many are learned again at each step.
        alpha: What the difference from earlier outputs is multiplied by.
        beta: What the losses of kept rows are multiplied by, beside the objectives' weights.
        when: The phases in which rows are kept and replayed, or ``"all"``. They must learn from the same fields.
        seed: Of what is kept and drawn.

    Raises:
        LearnerError: A number is below what makes sense.

    Example:
        >>> replay = Replay(rows=500, batch=32)
        >>> replay.identity()
        '500 rows, 32 a step, alpha 0, beta 1, when all'
    """

    name = "replay"

    def __init__(
        self,
        rows: int,
        *,
        batch: int = 32,
        alpha: float = 0.0,
        beta: float = 1.0,
        when: str | Sequence[str] = "all",
        seed: int = 0,
    ) -> None:
        if batch < 1:
            raise LearnerError(f"replay: expected a batch of one row or more, got {batch}.")
        if batch > rows > 0:
            raise LearnerError(f"replay: {too_many(batch, rows)}")
        if min(alpha, beta) < 0 or alpha + beta == 0:
            raise LearnerError(f"replay: expected alpha and beta from 0, and not both 0; got {alpha} and {beta}.")
        self._reservoir = Reservoir(rows, seed)
        self._size, self._batch, self._alpha, self._beta = rows, batch, alpha, beta
        self._when = (when,) if isinstance(when, str) else tuple(when)
        self._on = False
        self._kept: tuple[str, ...] = ()
        self._tasks: frozenset[str] = frozenset()
        self._outputs: dict[str, str] = {}
        self._classes: dict[str, tuple[str, ...]] = {}  # by target, those that the kept rows' codes are of
        self._grown = False

    def attach(self, learner: Learner) -> None:
        """Look at what there is to keep.

        Raises:
            LearnerError: There is no such phase, texts are cut to the longest of a batch, there is no output to keep,
                or a class of kept rows is gone.
        """
        unknown = next((name for name in self._when if name not in {*learner.phases, "all"}), None)
        if unknown is not None:
            raise LearnerError(f"replay: there is no phase {unknown!r}. There is: {', '.join(learner.phases)}.")
        if learner.loaders.shortest():
            raise LearnerError(
                "replay keeps rows of one shape, and `bucket` cuts texts to the longest of each batch: leave `bucket` "
                "out of the data file."
            )
        if self._alpha and not learner.model.tasks:
            raise LearnerError("replay with alpha keeps the tasks' outputs, and the model has no task: leave it at 0.")
        self._learner = learner
        self._meet_classes(learner.model)
        self._reservoir.to(learner.loaders.device)

    def enter(self, stage: Stage) -> None:
        """See whether the kept rows are such as the phase learns from.

        Raises:
            LearnerError: They lack something.
        """
        self._on = "all" in self._when or stage.name in self._when
        if not self._on:
            return
        model, active = self._learner.model, self._learner.model.active(stage.name)
        self._kept, self._tasks = tuple(stage.plan.fields), frozenset(model.tasks)
        tasks = {name: task.output for name, task in model.tasks.items() if name in active}
        self._outputs = tasks if self._alpha else {}
        self._refuse_lacking(stage.name)

    def join(self, stage: Stage) -> Tensor | None:
        """The kept rows' losses.

        Raises:
            LearnerError: The model has grown, and reads a field now that the rows lack; or a task was left out.
        """
        if self._on and (left_out := self._learner.progress.stopped.get(stage.name)):
            raise LearnerError(
                f"replay: rows that are replayed have the targets of all tasks, and {left_out[0]!r} is left out of "
                f"phase {stage.name!r}. Name with `when` phases that learn all of them."
            )
        if self._grown:
            self._grown = False
            self._meet_classes(self._learner.model)
        if self._on and self._kept != tuple(stage.plan.fields):
            self.enter(stage)
        if not (self._on and len(self._reservoir)):
            return None
        terms: list[Tensor] = []
        with torch.enable_grad():
            if self._beta:
                losses, _ = stage.plan(self._fields(self._reservoir.draw(self._batch)))
                terms += [self._beta * self._weighted(name, loss) for name, loss in losses.items() if self._reads(name)]
            if self._alpha:
                drawn = self._reservoir.draw(self._batch)
                batch = self._fields(drawn)
                _, values = stage.plan(batch)
                terms += [
                    self._alpha * self._away(values[output], drawn[_OUTPUT + task], output, batch)
                    for task, output in self._outputs.items()
                ]
            moving = [term for term in terms if term.requires_grad]
            return torch.stack(moving).sum() if moving else None

    def learned(self, step: Step) -> None:
        """Let the batch's rows go by."""
        if self._on:
            fields = {_FIELD + name: step.batch[name] for name in self._kept}
            outputs = {_OUTPUT + task: step.values[node] for task, node in self._outputs.items()}
            self._reservoir.add(fields | outputs, self._learner.processes)

    def grew(self, growth: Growth) -> None:
        """There may be new classes; the next step meets them, since a growth may yet be taken back.

        Raises:
            LearnerError: There is a task that was not there when rows were kept.
        """
        self._grown = True
        came = [name for name in self._learner.model.tasks if name not in self._tasks]
        if self._on and came and len(self._reservoir):
            raise LearnerError(
                f"replay: the rows that were kept have no target of the task {came[0]!r}, which is to come. Let it "
                "come before rows are kept, or in a phase that replays none (`when`)."
            )

    def state_dict(self) -> dict[str, Any]:
        """The reservoir."""
        return self._reservoir.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._reservoir.load_state_dict(state)
        self._reservoir.to(self._learner.loaders.device)

    def identity(self) -> str:
        """All of its options."""
        return (
            f"{self._size} rows, {self._batch} a step, alpha {self._alpha:g}, beta {self._beta:g}, "
            f"when {', '.join(self._when)}"
        )

    def _reads(self, name: str) -> bool:
        return bool(self._learner.model.objectives[name].inputs)

    def _weighted(self, name: str, loss: Loss) -> Tensor:
        return self._learner.weights[name] * reduce(loss)

    def _away(self, now: Tensor, before: Tensor, output: str, batch: Mapping[str, Tensor]) -> Tensor:
        """How far outputs are from those of before: the mean square over the rows that have one."""
        wide = torch.promote_types(now.dtype, torch.float32)  # what was multiplied in 16 bits is compared in 32
        new = before.isnan()  # classes that came after the row
        square = F.mse_loss(now.to(wide), before.to(wide).where(~new, now.detach().to(wide)), reduction="none").flatten(
            1
        )
        mean = square.sum(1) / (~new).flatten(1).sum(1)
        return reduce(Loss(mean, self._learner.model.rows([output], batch)))

    def _meet_classes(self, model: Model) -> None:
        """Let kept codes and outputs be of the classes that the model knows now."""
        targets = {name: task.target for name, task in model.tasks.items() if task.target in model.fields}
        now = {target: tuple(model.fields[target].classes) for target in targets.values()}
        for target, classes in now.items():
            before = self._classes.get(target, classes)
            if before == classes or not len(self._reservoir):
                continue
            if gone := [label for label in before if label not in classes]:
                raise LearnerError(
                    f"replay: rows that were kept have the {target!r} {gone[0]!r}, which is no class now."
                )
            places = [classes.index(label) for label in before]
            if _FIELD + target in self._reservoir.names:
                self._reservoir.change(_FIELD + target, partial(_recoded, places=places, count=len(classes)))
            for output in (_OUTPUT + name for name, its in targets.items() if its == target):
                if output in self._reservoir.names:
                    self._reservoir.change(output, partial(_spread, places=places, count=len(classes)))
        self._classes = now

    def _fields(self, drawn: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: drawn[_FIELD + name] for name in self._kept}

    def _refuse_lacking(self, phase: str) -> None:
        if not self._reservoir.names:
            return
        needed = [*(_FIELD + name for name in self._kept), *(_OUTPUT + task for task in self._outputs)]
        odd = {*needed} ^ {*self._reservoir.names}
        if odd:
            told = ", ".join(sorted(repr(name.partition("/")[2]) for name in odd))
            raise LearnerError(
                f"replay: the rows that were kept and phase {phase!r} do not learn from the same: {told} is only in "
                "one of them. Name with `when` the phases that do."
            )


def too_many(batch: int, rows: int) -> str:
    """That more rows are to be learned again at each step than are kept."""
    return (
        f"expected a batch of at most the rows that are kept, got {batch} a step of {rows}. Lower batch, or keep more."
    )


def _recoded(codes: Tensor, places: Sequence[int], count: int) -> Tensor:
    """Targets by other codes; where each row has a number a class, the new classes' are 0."""
    if codes.is_floating_point() or codes.dtype == torch.bool:
        return _spread(codes, places, count, fill=0.0) if codes.shape[1:2] == (len(places),) else codes
    found = torch.tensor(places, device=codes.device, dtype=codes.dtype)[codes.clamp(min=0).long()]
    return torch.where(codes < 0, codes, found)


def _spread(values: Tensor, places: Sequence[int], count: int, fill: float = float("nan")) -> Tensor:
    """Outputs with a column for each class that there is now."""
    if values.ndim < 2 or values.shape[1] != len(places):
        return values
    wide = values.new_full((len(values), count, *values.shape[2:]), fill)
    return wide.index_copy(1, torch.tensor(places, device=values.device), values)
