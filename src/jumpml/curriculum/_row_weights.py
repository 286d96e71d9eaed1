"""What single rows count, by their losses."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

import torch

from jumpml.core import LearnerError, positive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

STEPS = 12  # of Halley's method, which triples the right digits each; two are enough but at the branch point
_LEAST = -2 / math.e  # what makes the argument of Lambert's W the branch point


class RowWeights(ABC):
    """Says what each row of a batch counts in the gradient, by its loss. One objective has one of its own.

    Attributes:
        kind: Its name in a learner file.
        remembers: Whether it goes by the last losses of all rows, which `closed` tells.
        added_up: Makes sums over a batch those over the whole batch, where it is shared out.
    """

    kind: ClassVar[str]
    remembers: ClassVar[bool] = False
    added_up: Callable[[Sequence[Tensor]], list[Tensor]] = list

    def begin(self, classes: int) -> None:  # noqa: B027 (not all need it)
        """A phase begins: what was learned in another is forgotten.

        Args:
            classes: Among how many the objective chooses by cross entropy, so that a guess has the logarithm of that as
                its loss; 0 where it does not.

        Raises:
            LearnerError: It cannot be without classes.
        """

    @abstractmethod
    def weigh(self, losses: Tensor, present: Tensor | None = None) -> Tensor:
        """What rows count.

        Args:
            losses: ``[batch]``, without a graph.
            present: bool ``[batch]``, the rows that count for something; None where all do.

        Returns:
            Of the same shape, not negative; anything at rows that do not count.
        """

    def closed(self, last: Tensor, over: float) -> None:  # noqa: B027 (not all need it)
        """An epoch is over.

        Args:
            last: The last loss of each train row, ``[rows]``, NaN where none is known.
            over: How much of the phase is over, from 0 to 1.
        """

    def state_dict(self) -> dict[str, Any]:
        """What it has learned; tensors and plain values."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027 (not all need it)
        """Go on from a state."""

    @abstractmethod
    def identity(self) -> str:
        """In words, what must be the same for a resumed run to be the same run."""


@final
class SelfPaced(RowWeights):
    """Rows count whose loss is below a limit, which rises: what a share of all rows had as their last loss.

    ``hard`` rows count or do not (Kumar et al. 2010,
    https://proceedings.neurips.cc/paper/2010/hash/e57c6b956a6521b28495f2886ca0977a-Abstract.html); ``linear`` ones
    count one minus their loss over the limit (Jiang et al. 2014, https://doi.org/10.1145/2647868.2654918). In the first
    epoch nothing is known of the losses, and all rows count.

    Args:
        form: ``hard`` or ``linear``.
        start: The share of the rows below the limit at first.
        end: The share in the end; with 1 there is no limit then.
        over: The share of the phase over which the one becomes the other, evenly.

    Raises:
        LearnerError: A share is not above 0 and at most 1, or there is no such form.

    Example:
        >>> rule = SelfPaced(start=0.5)
        >>> rule.begin(0)
        >>> rule.closed(torch.tensor([0.1, 0.2, 0.3, 0.4]), over=0.0)
        >>> rule.weigh(torch.tensor([0.15, 0.2, 0.25])).tolist()
        [1.0, 1.0, 0.0]
    """

    kind = "self_paced"
    remembers = True

    def __init__(
        self, form: Literal["hard", "linear"] = "hard", start: float = 0.5, end: float = 1.0, over: float = 0.5
    ) -> None:
        if form not in {"hard", "linear"}:
            raise LearnerError(f"self_paced: expected a form that is hard or linear, got {form!r}.")
        for name, share in (("start", start), ("end", end), ("over", over)):
            if not 0 < share <= 1:
                raise LearnerError(f"self_paced: expected {name} above 0 and at most 1, got {share!r}.")
        self.form, self.start, self.end, self.over = form, start, end, over
        self._limit = torch.tensor(torch.inf)

    def begin(self, classes: int) -> None:
        """All rows count."""
        self._limit = torch.full_like(self._limit, torch.inf)

    def weigh(self, losses: Tensor, present: Tensor | None = None) -> Tensor:
        """1 and 0, or less the nearer a loss is to the limit."""
        limit = self._limit.to(losses)
        if self.form == "hard":
            return (losses <= limit).to(losses)
        return (1 - losses / limit.clamp(min=torch.finfo(losses.dtype).tiny)).clamp(0, 1)

    def closed(self, last: Tensor, over: float) -> None:
        """Set the limit for the next epoch."""
        share = self.start + (self.end - self.start) * min(over / self.over, 1.0)
        known = last[~last.isnan()].sort().values
        if share >= 1 or not len(known):
            self._limit = torch.full_like(self._limit, torch.inf)
        else:
            self._limit = known[max(0, math.ceil(share * len(known) - 1e-9) - 1)].clone()

    def state_dict(self) -> dict[str, Any]:
        """The limit."""
        return {"limit": self._limit}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._limit = state["limit"]

    def identity(self) -> str:
        """All of its options."""
        return f"self_paced, {self.form}, from {self.start:g} to {self.end:g} over {self.over:g}"


@final
class SuperLoss(RowWeights):
    """Rows of a loss above a threshold count less, those below more; no row counts more than e times.

    The loss ``l`` becomes the least of ``(l - t) s + r log(s)**2`` over the confidence ``s``, which then is
    ``exp(-W(max(-2 / e, (l - t) / r) / 2))`` with Lambert's W. By the envelope theorem its gradient is that of ``l``
    times ``s`` (Castells et al. 2020,
    https://proceedings.neurips.cc/paper/2020/hash/2cfa8f9e50e0f510ede9d12338a5f564-Abstract.html).

    Args:
        threshold: ``classes``, the logarithm of how many classes there are, which is the loss of a guess; ``average``,
            the running mean of the batches' losses; or a number. Where None it is ``classes`` for a cross entropy and
            ``average`` elsewhere: with the average what is not learned yet counts less from the start, and classes that
            a net finds hard wait for the others.
        decay: The share of the old average that stays at each batch.
        regularization: ``r``; the lower, the further weights are from 1.

    Raises:
        LearnerError: A number is out of range, or there is no such threshold.

    Example:
        >>> rule = SuperLoss(threshold=1.0)
        >>> [round(weight, 3) for weight in rule.weigh(torch.tensor([0.0, 1.0, 5.0])).tolist()]
        [2.718, 1.0, 0.426]
    """

    kind = "super_loss"

    def __init__(
        self,
        threshold: Literal["average", "classes"] | float | None = None,
        decay: float = 0.9,
        regularization: float = 1.0,
    ) -> None:
        if isinstance(threshold, str) and threshold not in {"average", "classes"}:
            raise LearnerError(
                f"super_loss: expected a threshold that is average, classes or a number, got {threshold!r}."
            )
        if not 0 < decay < 1:
            raise LearnerError(f"super_loss: expected decay between 0 and 1, got {decay!r}.")
        self.threshold, self.decay, self._averages = threshold, decay, threshold in {None, "average"}
        self.regularization = positive("super_loss", "regularization", regularization)
        self._usual = torch.tensor(float(threshold) if isinstance(threshold, int | float) else torch.nan)

    def begin(self, classes: int) -> None:
        """Nothing is known of the losses.

        Raises:
            LearnerError: The threshold is of classes, and there are fewer than two.
        """
        if self.threshold == "classes" and classes < 2:
            raise LearnerError(
                "super_loss: `threshold: classes` is the loss of a guess by a cross entropy of two classes or more "
                f"without `focal`, and there are {classes}. Take `average`, or a number."
            )
        self._averages = self.threshold == "average" or (self.threshold is None and classes < 2)
        if self._averages:
            self._usual = torch.full_like(self._usual, torch.nan)
        elif not isinstance(self.threshold, int | float):
            self._usual = torch.full_like(self._usual, math.log(classes))

    def weigh(self, losses: Tensor, present: Tensor | None = None) -> Tensor:
        """The confidence of each row; an average takes in the batch first."""
        losses = losses.float()
        if self._averages:
            self._take_in(losses, present)
        beta = (losses - self._usual.to(losses)) / self.regularization
        return torch.exp(-lambert_w(beta.clamp(min=_LEAST) / 2))

    def _take_in(self, losses: Tensor, present: Tensor | None) -> None:
        there = torch.ones_like(losses) if present is None else present.to(losses)
        total, count = self.added_up([torch.where(there > 0, losses, 0.0).sum(), there.sum()])
        mean = total / count
        usual = self._usual.to(losses)
        moved = torch.where(usual.isnan(), mean, self.decay * usual + (1 - self.decay) * mean)
        self._usual = torch.where(count > 0, moved, usual)

    def state_dict(self) -> dict[str, Any]:
        """The threshold."""
        return {"usual": self._usual}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._usual = state["usual"]

    def identity(self) -> str:
        """All of its options."""
        threshold = "classes or average" if self.threshold is None else self.threshold
        return f"super_loss, threshold {threshold}, decay {self.decay:g}, regularization {self.regularization:g}"


def lambert_w(x: Tensor) -> Tensor:
    """The principal branch of Lambert's W: ``w`` with ``w exp(w) = x``.

    Args:
        x: Floats from ``-1 / e``; what is below is taken as that.

    Returns:
        float32 of the same shape, right to some units of the last place.

    Example:
        >>> lambert_w(torch.tensor([0.0, 2.718281828])).round(decimals=5).tolist()
        [0.0, 1.0]
    """
    wide = x.double() if x.device.type != "mps" else x.float()  # which has no float64
    root = (2 * (1 + math.e * wide)).clamp(min=0).sqrt()
    w = torch.where(wide < 0.5, -1 + root - root**2 / 3 + 11 * root**3 / 72, wide.clamp(min=0).log1p() * 0.8)
    for _ in range(STEPS):
        power = w.exp()
        off = w * power - wide
        slope = power * (w + 1) - (w + 2) * off / (2 * w + 2)
        step = off / slope
        w = torch.where((root < 1e-6) | ~step.isfinite(), w, w - step)  # at the branch point the series is exact
    return w.clamp(min=-1).float()
