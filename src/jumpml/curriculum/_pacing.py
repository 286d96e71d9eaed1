"""How large a share of the rows, those that come first, may be learned from yet."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, final

import torch

from jumpml.core import LearnerError, did_you_mean
from jumpml.curriculum._ranks import ORDERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

STEEPNESS = 10.0  # of the exponential way, as Wu et al. have it


class Pacing(ABC):
    """Says how large a share of the rows may be learned from, by how much of the phase is over.

    Args:
        order: Which rows come first: ``easy_first``; ``hard_first``, the anti-curriculum; or ``random``, which has as
            few rows at first and asks for no difficulty. The last two are what a curriculum is to be compared with.

    Raises:
        LearnerError: There is no such order.
    """

    kind: ClassVar[str]

    def __init__(self, order: str = "easy_first") -> None:
        if order not in ORDERS:
            raise LearnerError(
                f"pacing: expected an order that is {', '.join(ORDERS)}; got {order!r}. {did_you_mean(order, ORDERS)}"
            )
        self.order = order

    @abstractmethod
    def shares(self, over: Tensor) -> Tensor:
        """The share of the rows that may come.

        Args:
            over: How much of the phase is over, float64 from 0 to 1.

        Returns:
            Of the same shape, above 0 and at most 1.
        """

    def begin(self) -> None:  # noqa: B027 (most remember nothing)
        """A phase begins."""

    def closed(self, loss: float) -> None:  # noqa: B027
        """An epoch is over.

        Args:
            loss: The mean loss of the rows that came in it.
        """

    def state_dict(self) -> dict[str, Any]:
        """What it remembers, as plain values; nothing where it is a function of the place alone."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Go on from a state."""

    @abstractmethod
    def identity(self) -> str:
        """In words, what must be the same for a resumed run to be the same run."""


class PacingFunction(Pacing):
    """A function of the place, which rises from ``start`` to 1 and stays there; one of your own says its `rising`.

    Args:
        start: The share of the rows that may come at first.
        over: The share of the phase after which all may.
        order: See `Pacing`.

    Raises:
        LearnerError: A share is not above 0 and at most 1.
    """

    def __init__(self, start: float = 0.2, over: float = 0.5, order: str = "easy_first") -> None:
        super().__init__(order)
        if not 0 < start <= 1:
            raise LearnerError(f"pacing {self.kind}: expected start above 0 and at most 1, got {start!r}.")
        if not 0 < over <= 1:
            raise LearnerError(f"pacing {self.kind}: expected over above 0 and at most 1, got {over!r}.")
        self.start, self.over = start, over

    def shares(self, over: Tensor) -> Tensor:
        """Between ``start`` and 1; exactly 1 from ``over`` on."""
        way = over.double() / self.over
        return torch.where(way >= 1, 1.0, self.rising(way.clamp(max=1)).clamp(min=self.start, max=1))

    @abstractmethod
    def rising(self, way: Tensor) -> Tensor:
        """The share at a part of the way; what is below ``start`` or above 1 is cut off.

        Args:
            way: How far the way is from ``start`` to 1, float64 from 0 to 1.

        Returns:
            Of the same shape.
        """

    def identity(self) -> str:
        """All of its options."""
        return f"{self.kind} from {self.start:g} over {self.over:g}, {self.order}"


@final
class LinearPacing(PacingFunction):
    """As many rows more in each batch (Wu et al. 2021, https://arxiv.org/abs/2012.03107).

    Example:
        >>> LinearPacing(start=0.25, over=0.5).shares(torch.tensor([0.0, 0.25, 0.5])).tolist()
        [0.25, 0.625, 1.0]
    """

    kind = "linear"

    def rising(self, way: Tensor) -> Tensor:
        """In proportion to the way."""
        return self.start + (1 - self.start) * way


@final
class RootPacing(PacingFunction):
    """The more rows there are, the slower they grow (Platanios et al. 2019, https://arxiv.org/abs/1903.09848).

    Args:
        degree: The root's; the others are those of `PacingFunction`.

    Raises:
        LearnerError: The degree is below 1.

    Example:
        >>> RootPacing(start=0.6, over=1.0).shares(torch.tensor([0.0, 0.4375, 1.0])).tolist()
        [0.6, 0.8, 1.0]
    """

    kind = "root"

    def __init__(self, start: float = 0.2, over: float = 0.5, order: str = "easy_first", degree: float = 2.0) -> None:
        super().__init__(start, over, order)
        if not 1 <= degree < math.inf:
            raise LearnerError(f"pacing root: expected a degree of 1 or more, got {degree!r}.")
        self.degree = degree

    def rising(self, way: Tensor) -> Tensor:
        """By the root of the way."""
        power = self.start**self.degree
        return (power + (1 - power) * way) ** (1 / self.degree)

    def identity(self) -> str:
        """All of its options."""
        return f"{super().identity()}, degree {self.degree:g}"


@final
class ExponentialPacing(PacingFunction):
    """Hardly more rows for long, and then all (Wu et al. 2021, https://arxiv.org/abs/2012.03107, by their exponent)."""

    kind = "exponential"

    def rising(self, way: Tensor) -> Tensor:
        """By an exponential of the way."""
        return self.start + (1 - self.start) * torch.expm1(STEEPNESS * way) / math.expm1(STEEPNESS)


@final
class StepPacing(PacingFunction):
    """More rows in steps of one size: in one step all at once, as Wu et al. have it, or in several.

    After https://arxiv.org/abs/2012.03107 (2021).

    Args:
        steps: How many; the others are those of `PacingFunction`.

    Raises:
        LearnerError: There is no step.

    Example:
        >>> StepPacing(start=0.25, over=1.0, steps=2).shares(torch.tensor([0.0, 0.4, 0.5, 0.9, 1.0])).tolist()
        [0.25, 0.25, 0.625, 0.625, 1.0]
    """

    kind = "step"

    def __init__(self, start: float = 0.2, over: float = 0.5, order: str = "easy_first", steps: int = 1) -> None:
        super().__init__(start, over, order)
        if steps < 1:
            raise LearnerError(f"pacing step: expected a step or more, got {steps!r}.")
        self.steps = steps

    def rising(self, way: Tensor) -> Tensor:
        """As many steps as are behind."""
        return self.start + (1 - self.start) * (way * self.steps).floor() / self.steps

    def identity(self) -> str:
        """All of its options."""
        return f"{super().identity()}, {self.steps} steps"


@final
class BabyStep(Pacing):
    """Buckets of equal size, the easiest first; the next joins when those so far are learned, and none leaves.

    They are learned when the loss of what came has not fallen for some epochs, or after so many epochs (Spitkovsky et
    al. 2010, https://aclanthology.org/N10-1116; Cirik et al. 2016, https://arxiv.org/abs/1611.06204).

    Args:
        buckets: How many.
        patience: Epochs in which the loss may fail to fall before the next bucket joins.
        epochs: After so many epochs it joins in any case.
        order: See `Pacing`.

    Raises:
        LearnerError: There is no bucket, or a number of epochs is below 1.

    Example:
        >>> pacing = BabyStep(buckets=4, patience=1)
        >>> for loss in (1.0, 0.5, 0.6):
        ...     pacing.closed(loss)
        >>> pacing.shares(torch.tensor(0.0)).item()
        0.5
    """

    kind = "baby_step"

    def __init__(self, buckets: int = 5, patience: int = 1, epochs: int = 3, order: str = "easy_first") -> None:
        super().__init__(order)
        for name, value in (("buckets", buckets), ("patience", patience), ("epochs", epochs)):
            if value < 1:
                raise LearnerError(f"pacing baby_step: expected {name} of 1 or more, got {value!r}.")
        self.buckets, self.patience, self.epochs = buckets, patience, epochs
        self.begin()

    def begin(self) -> None:
        """One bucket is open."""
        self._open, self._gone, self._waited, self._best = 1, 0, 0, math.inf

    def shares(self, over: Tensor) -> Tensor:
        """The buckets that are open, of all."""
        return torch.full_like(over, self._open / self.buckets, dtype=torch.float64)

    def closed(self, loss: float) -> None:
        """Open the next bucket, where it is time."""
        self._gone += 1
        self._waited = 0 if loss < self._best else self._waited + 1
        self._best = min(self._best, loss)
        if self._waited >= self.patience or self._gone >= self.epochs:
            self._open = min(self._open + 1, self.buckets)
            self._gone, self._waited, self._best = 0, 0, math.inf

    def state_dict(self) -> dict[str, Any]:
        """How many are open, and how the loss went since the last one was opened."""
        return {"open": self._open, "gone": self._gone, "waited": self._waited, "best": self._best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._open, self._gone = state["open"], state["gone"]
        self._waited, self._best = state["waited"], state["best"]

    def identity(self) -> str:
        """All of its options."""
        return f"baby_step, {self.buckets} buckets, patience {self.patience}, {self.epochs} epochs, {self.order}"
