"""Logits over temperatures that are learned for each row and each class."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, final

import torch

from jumpml.core import POSITION, LearnerError, Problem, did_you_mean
from jumpml.learn.examples._row_hook import RowHook
from jumpml.learn.examples._weighing import EXAMPLES, classes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import Loss
    from jumpml.graph import Growth, Model
    from jumpml.learn._hook import Step
    from jumpml.learn._learner import Learner
    from jumpml.learn._stage import Stage

    _Tables = dict[str, dict[str, Tensor]]

KINDS = ("multiclass", "binary")
ROWS, CLASSES = "rows", "classes"
MOST = math.log(20)  # how far a logarithm may be from 0: beyond, a row would be lost to the gradient or rule it


@final
class Tempering(RowHook):
    """Divides logits by a temperature, the sum of one of the row and one of its class, before the loss sees them.

    The temperatures are learned by gradient descent on the logarithm of each, beside the weights, a row's by its own
    loss and a class's by the mean of the batch: what does not fit becomes warm, and counts less (Saxena et al. 2019,
    https://proceedings.neurips.cc/paper/2019/hash/926ffc0ca56636b9e73c565cf994ea5a-Abstract.html). The sum begins at 1.
    Only training is tempered: validation, the test and the deployed model see logits as they are. The losses that are
    logged are the tempered ones.

    Args:
        of: The tasks of classes that are tempered; all where None.
        rows: Whether each train row has a temperature.
        classes: Whether each class has one.
        lr: The learning rate of the logarithms.
        weight_decay: What pulls them back to where they began.
        when: The phases in which it is so, or ``"all"``; each begins afresh.

    Raises:
        LearnerError: Neither rows nor classes have temperatures, or a number is out of range.

    Example:
        ``Learner(loaders, model, optimizer, hooks=[Tempering(classes=False)])``
    """

    name = "examples"
    kind = "data_parameters"
    positions = True

    def __init__(
        self,
        of: Sequence[str] | None = None,
        *,
        rows: bool = True,
        classes: bool = True,
        lr: float = 0.1,
        weight_decay: float = 0.0001,
        when: str | Sequence[str] = "all",
    ) -> None:
        if not (rows or classes):
            raise LearnerError("data_parameters: neither rows nor classes have temperatures: let one of them be true.")
        if not (0 < lr < float("inf") and 0 <= weight_decay < float("inf")):
            told = f"got {lr!r} and {weight_decay!r}"
            raise LearnerError(f"data_parameters: expected lr above 0 and weight_decay of 0 or more, {told}.")
        super().__init__(of, when)
        self.rows, self.classes = rows, classes
        self.lr, self.weight_decay = lr, weight_decay
        self._tables: _Tables = {}
        self._places: _Tables = {}
        self._parts: _Tables = {}
        self._waiting: list[tuple[Mapping[str, Tensor], _Tables, _Tables]] = []
        self._handles: list[Any] = []

    def _problems(self, learner: Learner, phases: Sequence[str]) -> Iterator[Problem]:
        model = learner.model
        for name in self.of or ():
            if name not in model.tasks:
                yield Problem((*EXAMPLES, "of"), f"there is no task {name!r}.", did_you_mean(name, model.tasks))
            elif model.tasks[name].kind not in KINDS:
                text = f"expected a task of kind {' or '.join(KINDS)}, got {name!r}, which is {model.tasks[name].kind}."
                yield Problem((*EXAMPLES, "of"), text)
        if phases and not any(self._names(model, phase) for phase in phases):
            text = f"data_parameters temper logits of classes, and no active task is {' or '.join(KINDS)}."
            yield Problem(EXAMPLES, text, "Leave it out.")
        for name in dict.fromkeys(name for phase in phases for name in self._names(model, phase)):
            if self.classes and (count := classes_of(model, name)) < 2:
                text = f"task {name!r} has {count} classes, and temperatures of classes need two."
                yield Problem((*EXAMPLES, "classes"), text, "Set it to false.")
        if learner.loaders.mixes_rows:
            text = "data_parameters are of single rows and classes, and augmentation mixes rows."
            yield Problem(EXAMPLES, text, "Leave mixup and cutmix out, or this.")
        if learner.compiled:
            text = "data_parameters stand before the losses, which code that torch.compile makes does not allow."
            yield Problem(("compile",), text, "Leave one of the two out.")

    def _names(self, model: Model, phase: str) -> tuple[str, ...]:
        """The tasks that are tempered in a phase, whose own objectives have their names."""
        meant = (name for name in model.active(phase) if name in model.tasks and (self.of is None or name in self.of))
        return tuple(name for name in meant if model.tasks[name].kind in KINDS)

    def enter(self, stage: Stage) -> None:
        """All temperatures are 1."""
        model, loaders = self._learner.model, self._learner.loaders
        self._began = math.log(0.5) if self.rows and self.classes else 0.0
        self._tables = {}
        for name in self._names(model, stage.name) if self._is_on(stage.name) else ():
            sizes = {ROWS: len(loaders.train.rows) if self.rows else 0, CLASSES: self._classes_of(model, name)}
            self._tables[name] = {
                key: torch.full((size,), self._began, device=loaders.device) for key, size in sizes.items() if size
            }

    def _classes_of(self, model: Model, name: str) -> int:
        return classes_of(model, name) if self.classes else 0

    def arrived(self, batch: Mapping[str, Tensor]) -> None:
        """Stand before the losses while the batch passes."""
        self._stand_aside()
        for name, tables in self._tables.items():
            task = self._learner.model.tasks[name]
            places = {ROWS: batch[POSITION], CLASSES: batch[task.truth].long().flatten().clamp(min=0)}
            parts = {key: table[places[key]].exp() for key, table in tables.items()}
            self._places[name], self._parts[name] = places, parts
            temper = _Temper(torch.stack([*parts.values()]).sum(0))
            objective: Any = self._learner.model.objectives[name]
            self._handles.append(objective.register_forward_pre_hook(temper))

    def weigh(self, losses: Mapping[str, Loss], batch: Mapping[str, Tensor]) -> None:
        """The losses are there: stand aside, and remember by what they were tempered."""
        self._stand_aside()
        self._waiting.append((batch, dict(self._places), dict(self._parts)))

    def _stand_aside(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def learned(self, step: Step) -> None:
        """Move the temperatures."""
        while self._waiting[0][0] is not step.batch:  # of an update that failed
            self._waiting.pop(0)
        _, places, parts = self._waiting.pop(0)
        every = self._rows_of_all(step.rows)
        for name, tables in self._tables.items():
            if name not in step.losses or name not in parts:
                continue
            slope = self._slope(name, step, torch.stack([*parts[name].values()]).sum(0))
            for key, table in tables.items():
                place, rows = places[name][key], 1 if key == ROWS else every
                own = slope * parts[name][key] / rows  # by the logarithm
                pull = self.weight_decay * (table[place] - self._began) / rows
                self._add(table, place, -self.lr * (own + pull))
                table.clamp_(-MOST, MOST)

    def _rows_of_all(self, rows: int) -> int | Tensor:
        """How many rows a batch has, in all processes that share it."""
        processes = self._learner.processes
        if processes.alone:
            return max(1, rows)
        return processes.sum([torch.tensor(rows, device=self._learner.loaders.device)])[0]

    def _add(self, table: Tensor, place: Tensor, moves: Tensor) -> None:
        """Move a table by what a batch's rows ask for; where several processes share the batch, by those of all."""
        if self._learner.processes.alone:
            table.index_put_((place,), moves, accumulate=True)
        else:
            moved = torch.zeros_like(table).index_put_((place,), moves, accumulate=True)
            table.add_(self._learner.processes.sum([moved])[0])

    def _slope(self, name: str, step: Step, temperature: Tensor) -> Tensor:
        """The derivative of each row's loss by its temperature."""
        objective: Any = self._learner.model.objectives[name]
        known = {**step.batch, **step.values}
        first, *others = (known[value] for value in objective.inputs)
        present = step.losses[name].present
        with torch.enable_grad():
            free = temperature.detach().clone().requires_grad_()
            loss = objective.forward(_over(first.float(), free), *others, present=present)
            (slope,) = torch.autograd.grad(loss.value.sum(), free)
        return slope if present is None else torch.where(present, slope, 0.0)

    def grew(self, growth: Growth) -> None:
        """New classes begin as all did; a growth that is taken back takes theirs along."""
        for name, tables in self._tables.items():
            if CLASSES in tables:
                table, count = tables[CLASSES], self._classes_of(self._learner.model, name)
                new = table.new_full((max(0, count - len(table)),), self._began)
                tables[CLASSES] = torch.cat([table[:count], new])

    def temperatures(self, task: str) -> dict[str, Tensor]:
        """What was learned of a task: ``rows`` in plain order, and ``classes`` in the order of their codes.

        Args:
            task: Its name.
        """
        return {key: table.exp() for key, table in self._tables[task].items()}

    def state_dict(self) -> dict[str, Any]:
        """The logarithms of the temperatures, by task."""
        return {"kind": self.kind, "tables": {name: dict(tables) for name, tables in self._tables.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; one of another kind, or of other rows, is of no use."""
        if state.get("kind") != self.kind:
            return
        for name, tables in self._tables.items():
            for key, value in state["tables"].get(name, {}).items():
                if key in tables and len(value) == len(tables[key]):
                    tables[key] = value.to(tables[key]).clone()

    def identity(self) -> str:
        """All of its options."""
        what = " and ".join(key for key, there in ((ROWS, self.rows), (CLASSES, self.classes)) if there)
        told = f"{what}, lr {self.lr:g}, weight_decay {self.weight_decay:g}"
        return f"data_parameters of {told}{self._whose()}"


class _Temper:
    """Divides what an objective is given first."""

    def __init__(self, temperature: Tensor) -> None:
        self._temperature = temperature

    def __call__(self, objective: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (_over(inputs[0], self._temperature), *inputs[1:])


def _over(logits: Tensor, temperature: Tensor) -> Tensor:
    return logits / temperature.view(-1, *[1] * (logits.dim() - 1)).to(logits)
