"""Whether an adaptation makes things worse, told without the labels of the rows that are adapted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from jumpml.core import TASK_KINDS, LearnerError, Loss
from jumpml.graph import decide
from jumpml.learn.adapting._certainty import variety
from jumpml.learn.adapting._label_shift import Classes, RowMoments
from jumpml.learn.adapting._normalization import norms_of
from jumpml.learn.steps._window import rows_of
from jumpml.objectives import reduce

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torch import Tensor

    from jumpml.core import Task
    from jumpml.graph import Model

    Batch = Mapping[str, Tensor]

HALF = 0.5  # of the variety of decisions that has to be left


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What an adaptation is undone for.

    Attributes:
        tolerance: By how much more of the known rows may be decided wrongly than before adaptation, as a share of them;
            of a task that decides numbers, by how much more its error may be, as a share of what it was.
        rows: How many rows of the validation split a learner has for it.

    Raises:
        LearnerError: A number makes no sense.
    """

    tolerance: float = 0.05
    rows: int = 256

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.tolerance < 0 or self.rows < 0:
            text = f"got tolerance {self.tolerance:g} and rows {self.rows}"
            raise LearnerError(f"probe: expected tolerance and rows of 0 or more, {text}.")


class KnownRows:
    """Rows with targets that the model was made for, and how it does on them before it is adapted.

    Args:
        model: Unadapted, in evaluation mode.
        batches: The rows, with what the tasks' outputs and targets are read from; none will do.
        outputs: What gives raw outputs by task as an adapted model of unmoved weights does.
    """

    def __init__(
        self, model: Model, batches: Iterable[Batch], outputs: Callable[[Batch], Mapping[str, Tensor]]
    ) -> None:
        # one row alone, left over, has no statistics to be normalized by
        self._model, self._batches = model, [batch for batch in batches if rows_of(batch) > 1]
        self.errors = self.measure(outputs)
        self._classes = Classes(model, _joined(self._batches)) if self._batches and norms_of(model) else None

    def measure(self, outputs: Callable[[Batch], Mapping[str, Tensor]]) -> dict[str, float]:
        """By task, the share of rows that are decided wrongly, or the mean absolute error; nothing without rows.

        Args:
            outputs: What gives raw outputs by task.
        """
        found: dict[str, list[tuple[float, int]]] = {}
        for batch in self._batches:
            given = outputs(batch)
            for name, task in self._model.tasks.items():
                error = _error(self._model, task, given[name], batch)
                if error is not None:
                    found.setdefault(name, []).append(error)
        return {name: sum(e * n for e, n in parts) / sum(n for _, n in parts) for name, parts in found.items()}

    def explains(self, seen: RowMoments) -> bool:
        """Whether the classes of a batch's rows explain what its statistics are; without known rows nobody knows."""
        return self._classes is not None and self._classes.explain(seen)


def worsened(
    model: Model,
    probe: Probe,
    *,
    before: Mapping[str, Tensor],
    after: Mapping[str, Tensor],
    known: Mapping[str, float],
    now: Mapping[str, float],
) -> str:
    """What has become worse, in words; empty where nothing has.

    Args:
        model: Its tasks.
        probe: What is put up with.
        before: The batch's raw outputs by task, of the unadapted model.
        after: Of the adapted one.
        known: By task, the error on known rows before any adaptation.
        now: The same now.
    """
    for name, output in after.items():
        if not torch.isfinite(output).all() and torch.isfinite(before[name]).all():
            return f"outputs of {name!r} are no finite numbers any more"
    had = variety(model, before)
    for name, has in variety(model, after).items():
        if has < HALF * had[name]:
            return f"decisions of {name!r} collapse onto fewer than half as many classes"
    for name, error in now.items():
        share = TASK_KINDS[model.tasks[name].kind].decides in {"class", "labels"}
        if error > (known[name] + probe.tolerance if share else known[name] * (1 + probe.tolerance)):
            what = "more of the known rows are decided wrongly" if share else "the error on the known rows grows"
            return f"{what} by {name!r} than the probe puts up with"
    return ""


def _error(model: Model, task: Task, output: Tensor, batch: Batch) -> tuple[float, int] | None:
    """The share of wrong decisions, or the mean absolute error, and of how many rows; None where nothing is decided."""
    kind = TASK_KINDS[task.kind]
    if kind.decides == "embedding" or task.truth not in batch:
        return None
    truth = batch[task.truth]
    decided = decide(task.kind, output, task.quantiles).reshape(truth.shape)
    if kind.decides == "numbers":
        wrong = (decided - truth).abs()
        known = torch.isfinite(truth)
    else:
        wrong = (decided != truth).float()
        known = truth >= 0
    rows = model.rows([task.output, task.target] if kind.at == "row" else [task.output], batch)
    known = known if rows is None else known & rows.view(-1, *[1] * (known.ndim - 1))
    count = int(known.sum())
    return (float(reduce(Loss(wrong.flatten(), known.flatten()))), count) if count else None


def _joined(batches: Sequence[Batch]) -> dict[str, Tensor]:
    """All rows as one batch; texts that batches cut are not of one length, and come as the first batch alone."""
    keys = batches[0].keys()
    alike = [b for b in batches if all(b[key].shape[1:] == batches[0][key].shape[1:] for key in keys)]
    return {key: torch.cat([batch[key] for batch in alike]) for key in keys}
