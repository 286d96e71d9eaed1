"""What a balancer is: it says what each of several objectives counts in an update."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from torch import Tensor

Array = NDArray[np.float64]


class Balancer(ABC):
    """Says what each objective's mean counts, beside its own weight: its *multiplier*.

    It is told when the objectives that it balances become active. What it learns of them begins afresh then, and stands
    in ``state_dict``.

    Attributes:
        kind: Its name in a learner file.
        at: A node; what that is to it, its class says. None where it needs none.
        names: The objectives that it balances now.
        alone: Whether it also says what an objective counts that no other one is beside in an update.
    """

    kind: ClassVar[str]
    alone: bool = False
    at: str | None = None
    names: tuple[str, ...] = ()

    def begin(self, names: Sequence[str], device: torch.device) -> None:
        """These objectives are balanced from now on.

        Args:
            names: In their order; multipliers, means and gradients come in it.
            device: Where means will be.
        """
        self.names = tuple(names)

    def closed(self, means: Mapping[str, float]) -> None:  # noqa: B027 (most have no use for it)
        """An epoch is over.

        Args:
            means: By objective, over its rows.
        """

    def state_dict(self) -> dict[str, Any]:
        """What it has learned: tensors and plain values."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027 (most learn nothing)
        """Go on from a state, of the same kind and for the same objectives."""

    @abstractmethod
    def identity(self) -> str:
        """In words, what must be the same for a resumed run to be the same run."""


class LossBalancer(Balancer):
    """One that multiplies losses before one backward pass from their sum.

    Nothing here may read the device.

    Attributes:
        at: The node on whose parameters gradients are taken for `look`; None where losses say enough.
        foresees: Whether the multipliers of an update depend on its own losses.
    """

    foresees: ClassVar[bool] = False

    @abstractmethod
    def multipliers(self, means: Tensor | None, there: Tensor | None) -> Tensor:
        """The multipliers of the coming update, ``[objectives]`` on the device.

        Args:
            means: Each objective's mean in the update, its own weight included; None where it does not foresee.
            there: bool ``[objectives]``, those of which a row is present; None where all are.
        """

    def look(self, norms: Tensor) -> None:
        """Be told how long gradients are, before `observe`; never in a phase in which the node does not train.

        Args:
            norms: Of each loss's gradient on the node's parameters, not yet multiplied, ``[objectives]``. Where float16
                has run over, one is not finite.
        """

    def observe(self, means: Tensor, there: Tensor | None) -> None:
        """Learn from an update's losses, once its gradients are there.

        Args:
            means: Each objective's mean, its own weight included, ``[objectives]``.
            there: As for `multipliers`.
        """


class GradientBalancer(Balancer):
    """One that looks at each objective's gradient, on the parameters that they share or on a node's value.

    Attributes:
        at: The node on whose value gradients are taken; on the shared parameters where None.
    """

    @abstractmethod
    def multipliers(self, gramian: Array, means: Array) -> Array:
        """What each gradient is multiplied by before they are added up, float64 ``[objectives]``.

        Args:
            gramian: The inner products of the objectives' gradients, float64 ``[objectives, objectives]``, none zero:
                an objective that has no gradient in an update (no row of it is present) is left out.
            means: Each objective's mean, its own weight included, float64 ``[objectives]``.
        """

    def own(self, means: Array) -> Array:
        """What the gradient of parameters that an objective shares with no other is multiplied by; 1 as a rule.

        Args:
            means: As for `multipliers`.
        """
        return np.ones_like(means)

    def __init__(self, at: str | None = None) -> None:
        self.at = at

    def identity(self) -> str:
        """Where its gradients are taken."""
        return self.kind if self.at is None else f"{self.kind}, at {self.at}"
