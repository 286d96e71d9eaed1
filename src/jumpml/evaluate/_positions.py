"""What a task decided at each position of its rows, reduced to what metrics need."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F

from jumpml.core import TASK_KINDS, DecidedMap, EvaluationError
from jumpml.evaluate._calibration import BINS
from jumpml.graph import scores

if TYPE_CHECKING:
    from torch import Tensor


UNKNOWN = -1
SHOWN = 3  # of the worst pictures, and as many of the best
WIDEST = 64  # of a side that is shown


@final
@dataclass(frozen=True, kw_only=True)
class Positions:
    """One task's decisions at the positions of a split's rows, in the split's order, on the CPU.

    Logits of every class at every position of a split would not fit in memory, so each batch is reduced at once: to
    the decided codes, and to sums a row over the positions whose class is known.

    Attributes:
        kind: The task's kind.
        codes: What was decided, ``[rows, *positions]``, in the smallest type of whole numbers that holds it.
        truths: Likewise what is true, -1 where that is not known.
        loss: float64 ``[rows]``, the sum of the negative log likelihoods, in nats.
        right: int64 ``[rows]``, how many positions were decided rightly.
        count: int64 ``[rows]``, how many positions are known.
        classes: int64 ``[rows, 3, classes]``: by class the positions that were decided rightly, those that are of it,
            and those that were taken for it; no classes where these are the tokens of a vocabulary.
        finite: bool ``[rows]``, whether all outputs are numbers.
        bins: float64 ``[4, bins]`` of all rows, by stated confidence: the known positions, the sums of the confidences,
            of right answers, and of the variances that answers would have if confidences were true.
        along: float64 ``[2, positions]`` of all rows of a text: the sum of the losses at each position, and how many
            are known there; no positions elsewhere.
        rows: int64 ``[rows]``, which of the rows of ``codes`` and ``truths`` these are; all in order where None. A
            resample of rows is then a matter of the sums, and copies no codes.
    """

    kind: str
    codes: Tensor
    truths: Tensor
    loss: Tensor
    right: Tensor
    count: Tensor
    classes: Tensor
    finite: Tensor
    bins: Tensor
    along: Tensor
    rows: Tensor | None = None

    def __len__(self) -> int:
        return len(self.count)

    @property
    def block(self) -> int:
        """How many neighbouring rows overlap; see `Sample`."""
        return 1

    @property
    def present(self) -> Tensor:
        """The rows in which any position is known, bool ``[rows]``."""
        return self.count > 0

    @property
    def target(self) -> Tensor:
        """Class codes, int64 ``[rows, *positions]``; -1 where not known."""
        return self._of_rows(self.truths)

    @property
    def decided(self) -> Tensor:
        """Of the target's shape and type."""
        return self._of_rows(self.codes)

    @property
    def size(self) -> int:
        """How many numbers the figures of a resample are computed from."""
        return len(self) * (3 + self.classes[0].numel())

    @property
    def class_counts(self) -> Tensor:
        """Known positions of each class, int64 ``[classes]``."""
        return self.classes[:, 1].sum(0)

    def confusion(self) -> Tensor:
        """Positions by true and by decided class, int64 ``[classes, classes]``."""
        size, known = self.classes.shape[2], self.target >= 0
        return (self.target[known] * size + self.decided[known]).bincount(minlength=size**2).view(size, size)

    def take(self, rows: Tensor) -> Positions:
        """Some of the rows, in the order given, as often as given."""
        sums = {name: getattr(self, name)[rows] for name in _SUMS}
        return replace(self, **sums, rows=rows if self.rows is None else self.rows[rows])

    def maps(self, numbers: Tensor) -> tuple[DecidedMap, ...]:
        """The rows that were decided worst, and as many of the best, of pictures alone.

        Args:
            numbers: int64 ``[rows]``, their numbers in the data set.
        """
        if TASK_KINDS[self.kind].at != "pixels":
            return ()
        return tuple(
            DecidedMap(row=int(numbers[row]), true=self._grid(true), decided=self._grid(decided), right=right)
            for row, place, right in self.extremes()
            for true, decided in [(self.truths[place], self.codes[place])]
        )

    def extremes(self) -> list[tuple[int, int, float]]:
        """The rows that were decided worst, and as many of the best: each with its place in ``codes`` and its share."""
        shares = self.right / self.count
        order = shares.argsort(stable=True).tolist()
        shown = dict.fromkeys([*order[:SHOWN], *order[SHOWN:][-SHOWN:]])
        places = [row if self.rows is None else int(self.rows[row]) for row in shown]
        return [(row, place, float(shares[row])) for row, place in zip(shown, places, strict=True)]

    def _grid(self, codes: Tensor) -> tuple[tuple[float, ...], ...]:
        """Codes of one picture as shades, every so many of them where there are many."""
        codes = codes[:: max(1, -(-codes.shape[0] // WIDEST)), :: max(1, -(-codes.shape[1] // WIDEST))]
        last = max(self.classes.shape[2] - 1, 1)
        shades = [[round(code / last, 4) if code >= 0 else math.nan for code in row] for row in codes.tolist()]
        return tuple(map(tuple, shades))

    def known(self) -> Positions:
        """The rows that count.

        Raises:
            EvaluationError: There are none, or an output is not finite.
        """
        if not self.present.any():
            raise EvaluationError("no position of any row of the split has a class: there is nothing to measure.")
        wrong = int((~self.finite).sum())
        if wrong:
            fix = "Look at the losses: training may have diverged."
            raise EvaluationError(f"the model's output is NaN or infinite in {wrong} of {len(self)} rows. {fix}")
        return self if self.present.all() else self.take(self.present.nonzero().squeeze(1))

    def _of_rows(self, codes: Tensor) -> Tensor:
        return (codes if self.rows is None else codes[self.rows]).long()


_SUMS = ("loss", "right", "count", "classes", "finite")


@final
class PositionCounter:
    """Reduces batches of raw outputs to `Positions`.

    Args:
        kind: The task's kind.
        positions: The shape of a row's positions; batches may be shorter.
        num_classes: How many classes there are.
        by_class: Whether to count by class.
    """

    def __init__(self, kind: str, positions: tuple[int, ...], num_classes: int, *, by_class: bool) -> None:
        self._kind, self._positions, self._num_classes, self._by_class = kind, positions, num_classes, by_class
        self._dtype = next(t for t in (torch.int8, torch.int16, torch.int32) if num_classes <= torch.iinfo(t).max)
        self._parts: list[dict[str, Tensor]] = []
        self._bins = torch.zeros(4, BINS, dtype=torch.float64)
        self._along = torch.zeros(2, positions[0] if len(positions) == 1 else 0, dtype=torch.float64)

    def add(self, output: Tensor, truth: Tensor) -> None:
        """Reduce a batch.

        Args:
            output: Raw, ``[batch, classes, *positions]`` or ``[batch, *positions, classes]`` as the kind has it.
            truth: Class codes ``[batch, *positions]``, -1 where not known.
        """
        logits = scores(self._kind, output)
        decided, known = logits.argmax(-1), truth >= 0
        losses = F.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), truth.reshape(-1).long(), ignore_index=UNKNOWN, reduction="none"
        )
        right = known & (decided == truth)
        part = {
            "codes": self._whole(decided),
            "truths": self._whole(truth),
            "loss": losses.view(len(truth), -1).sum(1, dtype=torch.float64),
            "right": right.flatten(1).sum(1),
            "count": known.flatten(1).sum(1),
            "classes": self._counted(decided, truth, known, right),
            "finite": output.flatten(1).isfinite().all(1),
        }
        self._parts.append({name: values.cpu() for name, values in part.items()})
        self._bins += _binned(logits, right, known).cpu()
        if self._along.numel():
            told = torch.stack([losses.view(len(truth), -1).double(), known.double()])
            self._along[:, : truth.shape[1]] += told.sum(1).cpu()

    def positions(self) -> Positions:
        """All batches together."""
        named = {name: torch.cat([part[name] for part in self._parts]) for name in self._parts[0]}
        return Positions(kind=self._kind, bins=self._bins, along=self._along, **named)

    def _whole(self, codes: Tensor) -> Tensor:
        """As long as the longest batch may be, in few bytes."""
        missing = [size - given for size, given in zip(self._positions, codes.shape[1:], strict=True)]
        padding = [side for size in reversed(missing) for side in (0, size)]
        return F.pad(codes.to(self._dtype), padding, value=UNKNOWN)

    def _counted(self, decided: Tensor, truth: Tensor, known: Tensor, right: Tensor) -> Tensor:
        rows = len(truth)
        if not self._by_class:
            return torch.zeros(rows, 3, 0, dtype=torch.int64)
        start = torch.arange(rows, device=truth.device).view(-1, *[1] * (truth.dim() - 1)) * self._num_classes
        counts = [
            (start + codes)[which].bincount(minlength=rows * self._num_classes).view(rows, -1)
            for codes, which in ((truth, right), (truth, known), (decided, known))
        ]
        return torch.stack(counts, dim=1)


def _binned(logits: Tensor, right: Tensor, known: Tensor) -> Tensor:
    """What `Positions.bins` holds, of one batch."""
    stated = (logits.amax(-1) - logits.logsumexp(-1))[known].double().exp().nan_to_num()
    bins = (stated * BINS).long().clamp(max=BINS - 1)
    sums = (torch.ones_like(stated), stated, right[known].double(), stated * (1 - stated))
    return torch.stack([bins.bincount(values, minlength=BINS) for values in sums])
