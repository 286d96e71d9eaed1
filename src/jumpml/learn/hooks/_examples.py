"""What training saw of every example, kept without a second run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from jumpml.core import POSITION, TASK_KINDS, ExampleHistory, Loss
from jumpml.graph import decide, scores
from jumpml.learn._hook import Hook, Step
from jumpml.learn.hooks._seen import KEPT, Seen
from jumpml.learn.processes._processes import ALONE
from jumpml.learn.steps._window import rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from jumpml.core import EpochRecord, Task
    from jumpml.learn._learner import Learner


class ExampleRecorder(Hook):
    """Keeps loss, margin and decision of every train row at every epoch, from the training step's own forward pass.

    A step appends references only; the arithmetic is done once an epoch or checkpoint, on all rows together.
    Where several processes learn, each is told then what the others have seen, so that all have the whole of it.

    Args:
        tasks: By name.
    """

    name = "record_examples"

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        self._learner: Learner | None = None
        self._tasks = dict(tasks)
        self.positions = bool(tasks)
        self._raw: dict[str, list[tuple[Loss, Tensor, Tensor]]] = {}
        self._processes = ALONE
        self._own = self._seen = Seen()  # of the open epoch: what others do not know of yet, and what all know
        self._done: dict[str, dict[str, list[Tensor]]] = {}

    def attach(self, learner: Learner) -> None:
        """Its loaders say how many rows there are."""
        self._learner, self._processes = learner, learner.processes
        self._begin(self._seen)

    def closed(self, record: EpochRecord) -> None:
        """Close the epoch that was under way."""
        if self._learner is not None:
            train = self._learner.loaders.train
            # a batch that was made by hand does not tell: such are taken for those of the loader
            self._agree()
            places = self._seen.places
            told = torch.cat(places) if places else train.order(self._learner.progress.epoch - 1)
            self._close(told, len(train.rows))

    def learned(self, step: Step) -> None:
        """Note one batch of a learner, and which rows it has."""
        if POSITION in step.batch:
            self._own.places.append(step.batch[POSITION])
        self.step(step.losses, step.values, step.batch)

    def step(self, losses: Mapping[str, Loss], values: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> None:
        """Note one training step.

        Args:
            losses: By objective; a task's own has the task's name.
            values: By node, the outputs of the tasks among them.
            batch: By field, the targets of the tasks among them.
        """
        seen, rows = self._own, rows_of(batch)
        start, seen.rows = seen.rows, seen.rows + rows
        seen.sizes.append(rows)
        for name, task in self._tasks.items():
            loss = losses.get(name)
            if loss is None or not loss.value.dim() or task.brings.decides == "embedding":  # which has no margin
                continue
            seen.tasks[name].ran(start, seen.rows)
            kept = Loss(loss.value.detach(), loss.present)  # not the graph behind it
            if task.brings.at == "row":
                self._raw.setdefault(name, []).append((kept, values[task.output].detach(), batch[task.truth]))
            else:  # outputs of every position of an epoch would not fit in memory
                margin = _mean_margin(task.kind, values[task.output].detach(), batch[task.truth])
                self._note(name, _with_nan(kept), margin, torch.full_like(margin, -1, dtype=torch.int64))

    def end_epoch(self, order: Tensor, rows: int) -> None:
        """Close an epoch.

        Args:
            order: int64 ``[served]``, the position in plain order of each row in the order of the batches. What was
                served twice is kept as it was seen last; what was not served, or the task did not learn from, is NaN,
                and -1 where a class stands.
            rows: How many rows there are.
        """
        self._agree()
        self._close(order, rows)

    def _close(self, order: Tensor, rows: int) -> None:
        for name, shown in self._seen.tasks.items():
            own = shown.of_spans(order)
            place = torch.arange(len(own), device=order.device)
            last = order.new_full((rows,), -1).scatter_reduce_(0, own, place, "amax")
            done = self._done.setdefault(name, {key: [] for key in KEPT})
            for key, kept in done.items():
                if kept and len(kept[0]) != rows:  # a run that went on with other rows
                    kept.clear()
                ordered = shown.ordered(key)
                kept.append(_by_row(ordered, last.to(ordered.device)).cpu())
        self._begin(Seen())

    def history(self, rows: Tensor) -> dict[str, ExampleHistory]:
        """All closed epochs, by task.

        Args:
            rows: int64 ``[rows]``, row numbers in the data set, in plain order.
        """
        return {
            name: ExampleHistory(
                rows=rows.cpu().numpy(), **{key: torch.stack(kept).numpy() for key, kept in done.items()}
            )
            for name, done in self._done.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """Closed epochs and the open one."""
        self._agree()
        return {
            **self._seen.state_dict(),
            "done": {name: {k: torch.stack(v) for k, v in done.items()} for name, done in self._done.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._raw = {}
        self._begin(Seen())
        self._done = {n: {k: list(v.unbind()) for k, v in parts.items()} for n, parts in state["done"].items()}
        if "places" not in state:  # an earlier version did not keep them: the open epoch is recorded from here on
            return
        if self._learner is not None and not self._learner.progress.batch:  # an epoch of other batches begins anew
            return
        self._begin(Seen.of(state))

    def _begin(self, seen: Seen) -> None:
        """Go on from what all know."""
        self._seen = seen
        self._own = seen if self._processes.alone else Seen()

    def _agree(self) -> None:
        """Let all know what each has seen."""
        self._digest()
        if not self._processes.alone:
            self._seen.take_in(self._processes.gather(self._own.told()))
            self._own = Seen()

    def _digest(self) -> None:
        for name, steps in self._raw.items():
            task = self._tasks[name]
            output = torch.cat([output for _, output, _ in steps])
            target = torch.cat([target for _, _, target in steps])
            loss = torch.cat([_with_nan(loss) for loss, _, _ in steps])
            margin, predicted = _margin(task, output, target)
            self._note(name, loss, margin, predicted)
        self._raw = {}

    def _note(self, name: str, loss: Tensor, margin: Tensor, predicted: Tensor) -> None:
        shown = self._own.tasks[name]
        shown.loss.append(loss)
        shown.margin.append(torch.where(loss.isnan(), loss, margin).float())
        shown.predicted.append(predicted)


def _by_row(ordered: Tensor, last: Tensor) -> Tensor:
    """Values by row, of values in the order of the batches; ``last`` is each row's place in it, or -1."""
    absent = torch.nan if ordered.is_floating_point() else -1
    return torch.where(last < 0, absent, ordered[last])


def _with_nan(loss: Loss) -> Tensor:
    value = loss.value.detach().float()
    return value if loss.present is None else torch.where(loss.present, value, torch.nan)


def _margin(task: Task, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Margin and decision of each row, as `core.ExampleHistory` has them."""
    kind = task.kind
    if TASK_KINDS[kind].decides == "numbers":
        margin = -(decide(kind, output, task.quantiles).flatten(1) - target.flatten(1)).abs().nanmean(1)
        return margin, torch.full_like(margin, -1, dtype=torch.int64)
    score, decided = scores(kind, output), decide(kind, output)
    if TASK_KINDS[kind].one_logit:
        return torch.where(target.flatten() > 0, score, -score), decided
    if TASK_KINDS[kind].decides == "labels":
        margin, worst = torch.where(target > 0, score, -score).min(1)
        return margin, torch.where((decided == target).all(1), -1, worst)
    return _margin_of_class(score, target), decided


def _margin_of_class(score: Tensor, target: Tensor) -> Tensor:
    """The target's score less the best other one, of scores ``[*, classes]``."""
    code = target.clamp(min=0).unsqueeze(-1)
    own = score.gather(-1, code).squeeze(-1)
    return own - score.scatter(-1, code, -torch.inf).amax(-1)


def _mean_margin(kind: str, output: Tensor, target: Tensor) -> Tensor:
    """The margin of each row's known positions, on average."""
    known = (target >= 0).flatten(1)
    margins = _margin_of_class(scores(kind, output), target).flatten(1)
    return torch.where(known, margins, 0.0).sum(1) / known.sum(1).clamp(min=1)
