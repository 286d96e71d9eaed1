"""Train rows that stayed hard, from the margins that were recorded while the model learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from jumpml.core import TASK_KINDS, DiagnosisError, HardExample, field_of
from jumpml.diagnose._elements import value_grid
from jumpml.diagnose._examples import in_words
from jumpml.evaluate import inputs_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from jumpml.core import ExampleHistory
    from jumpml.data import DataLoaders
    from jumpml.graph import Model

LISTED = 12  # of a task
UNKNOWN = 0.1  # share of rows alike; a label that is decided wrongly for more of them is not one that the model knows


@dataclass(frozen=True, kw_only=True)
class Hardness:
    """How hard each of some train rows was, hardest first.

    Attributes:
        position: int64 ``[n]``, places in the history's rows.
        margin: float64 ``[n]``, mean over the epochs.
        loss: float64 ``[n]``, mean over the epochs.
        preferred: int64 ``[n]``, the class that was decided most often in the later epochs; of several labels the one
            that was decided wrongly most often, -1 where that is none; -1 for regression.
        suspicious: bool ``[n]``, whether the label itself is doubtful.
    """

    position: NDArray[np.int64]
    margin: NDArray[np.float64]
    loss: NDArray[np.float64]
    preferred: NDArray[np.int64]
    suspicious: NDArray[np.bool_]


def rank_hardness(examples: ExampleHistory, targets: NDArray[np.int64] | None) -> Hardness:
    """Rank train rows by their margin, averaged over the epochs.

    That mean is the area under the margin of Pleiss et al. 2020 (https://arxiv.org/abs/2001.10528): the gradients of
    other rows that look alike pull a wrongly labelled row's margin down for as long as training lasts, so its mean says
    more than its last value. The paper sets its threshold by rows with labels made wrong on purpose, which would need
    another training. Instead a row is suspicious where, over the later half of the epochs, when most of what other rows
    teach is learned, its mean margin is negative and more than half of the decisions are one and the same other class.
    Of several labels it is one and the same label that must be decided wrongly, and one that is decided rightly for
    nine in ten rows alike: a rare label that was never learned would make every row that has it suspicious. Rows
    without a target are left out.

    Args:
        examples: What training recorded.
        targets: int64, each row's class ``[rows]``, or 0 and 1 of each label ``[rows, labels]``; None for regression,
            in which no row is suspicious: an error in a number's value has no other class that would speak for it.
    """
    known = np.flatnonzero(~np.isnan(examples.margin).all(axis=0))
    margins = examples.margin[:, known].astype(np.float64)
    margin = np.nanmean(margins, axis=0)
    preferred = np.full(len(known), -1, dtype=np.int64)
    suspicious = np.zeros(len(known), dtype=np.bool_)
    if targets is not None:
        late = slice(len(margins) // 2, None)
        preferred, share = _most_frequent(examples.predicted[late, known])
        against = np.nan_to_num(margins[late]).mean(axis=0) < 0
        suspicious = against & (share > 0.5) & _doubted(targets[known], preferred)
    order = np.argsort(margin, kind="stable")
    return Hardness(
        position=known[order],
        margin=margin[order],
        loss=np.nanmean(examples.loss[:, known].astype(np.float64), axis=0)[order],
        preferred=preferred[order],
        suspicious=suspicious[order],
    )


def hard_examples(
    loaders: DataLoaders, model: Model, task: str, examples: ExampleHistory
) -> tuple[list[HardExample], list[str]]:
    """The hardest train rows of a task, and a warning where labels are doubtful.

    Args:
        loaders: The data that the model learned from.
        model: The model.
        task: The task's name.
        examples: What training recorded of it.

    Raises:
        DiagnosisError: The history has rows that are not among the train rows.
    """
    kind, target = model.tasks[task].kind, loaders.fields[model.tasks[task].target]
    places = _places(loaders.train.rows.cpu().numpy(), examples.rows, task)
    targets = loaders.train.take(target.name, places).cpu()
    found = rank_hardness(examples, _codes(kind, targets).numpy() if _one_answer(kind) else None)
    read = map(field_of, inputs_of(model, model.tasks[task].output))
    image = next((name for name in read if loaders.fields[name].kind == "image"), None)
    listed = []
    for rank, position in enumerate(found.position[:LISTED].tolist()):
        preferred = int(found.preferred[rank])
        other = None if preferred < 0 else _other(kind, _codes(kind, targets[position : position + 1])[0], preferred)
        listed.append(
            HardExample(
                task=task,
                row=int(examples.rows[position]),
                target=in_words(kind, target, targets[position]),
                suggestion="" if other is None else in_words(kind, target, other),
                margin=float(found.margin[rank]),
                loss=float(found.loss[rank]),
                suspicious=bool(found.suspicious[rank]),
                picture=value_grid("image", loaders.train.take(image, places[position : position + 1])[0])
                if image
                else None,
            )
        )
    return listed, _doubts(task, found)


def _one_answer(kind: str) -> bool:
    """Whether a row has classes of its own, one of which may be doubted; not so for numbers, and at positions."""
    return TASK_KINDS[kind].decides != "numbers" and TASK_KINDS[kind].at == "row"


def _codes(kind: str, targets: Tensor) -> Tensor:
    """Decoded targets as int64: class codes ``[rows]``, or 0 and 1 of each label ``[rows, labels]``."""
    return (targets if TASK_KINDS[kind].decides == "labels" else targets.flatten()).nan_to_num().long()


def _other(kind: str, target: Tensor, preferred: int) -> Tensor | None:
    """What the model prefers to a row's target; None where that is nothing."""
    if TASK_KINDS[kind].decides != "labels":
        return None if preferred == int(target) else torch.tensor(preferred)
    changed = target.clone()
    changed[preferred] = 1 - changed[preferred]
    return changed


def _doubts(task: str, found: Hardness) -> list[str]:
    count = int(found.suspicious.sum())
    if not count:
        return []
    return [
        f"{task}: {count} of {len(found.position)} train rows are suspicious: the model never learned their label and "
        "kept preferring another. Look at them under hard examples; correct a wrong label, or leave the row out."
    ]


def _places(train: NDArray[np.int64], rows: NDArray[np.int64], task: str) -> Tensor:
    """Where a history's rows stand among the train rows."""
    order = np.argsort(train)
    at = np.searchsorted(train, rows, sorter=order).clip(max=len(train) - 1)
    places = order[at]
    foreign = rows[train[places] != rows]
    if len(foreign):
        raise DiagnosisError(
            f"the history of task {task!r} has {len(foreign)} rows that are not among the train rows, such as row "
            f"{foreign[0]}: it belongs to other data or another split. Give the history of the learner that trained on "
            "these loaders."
        )
    return torch.from_numpy(places)


def _most_frequent(decisions: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The class that stands most often in each column, -1 for none, and its share of the column."""
    counts = np.stack([(decisions == code).sum(axis=0) for code in range(-1, int(decisions.max(initial=0)) + 1)])
    return counts.argmax(axis=0) - 1, counts.max(axis=0) / len(decisions)


def _doubted(targets: NDArray[np.int64], preferred: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether another class than a row's own was preferred, or a label was doubted as it is for few rows alike."""
    if targets.ndim == 1:
        return preferred != targets
    truth = targets[np.arange(len(targets)), preferred]  # of the last label where none was doubted
    doubts = np.zeros((targets.shape[1], 2))
    np.add.at(doubts, (preferred[preferred >= 0], truth[preferred >= 0]), 1)
    alike = np.stack([(targets == 0).sum(axis=0), (targets == 1).sum(axis=0)], axis=1)
    return (preferred >= 0) & (doubts[preferred, truth] <= UNKNOWN * alike[preferred, truth])
