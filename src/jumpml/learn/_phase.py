"""A stretch of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

if TYPE_CHECKING:
    from torch.optim import Optimizer


@dataclass(frozen=True, kw_only=True)
class OneCycle:
    """Warm up to ``max_lr``, then anneal to nearly zero (Smith & Topin 2018, https://arxiv.org/abs/1708.07120).

    Attributes:
        max_lr: The highest learning rate.
        warmup: The share of the steps that warm up.
    """

    max_lr: float
    warmup: float = 0.3

    def build(self, optimizer: Optimizer, steps: int) -> LRScheduler:
        """The scheduler for a phase of so many steps."""
        return OneCycleLR(
            optimizer, max_lr=self.max_lr, total_steps=max(steps, 2), pct_start=self.warmup, cycle_momentum=False
        )


@dataclass(frozen=True, kw_only=True)
class Cosine:
    """Half a cosine down to ``min_lr`` (Loshchilov & Hutter 2017, https://arxiv.org/abs/1608.03983).

    Attributes:
        min_lr: The last learning rate.
    """

    min_lr: float = 0.0

    def build(self, optimizer: Optimizer, steps: int) -> LRScheduler:
        """The scheduler for a phase of so many steps."""
        return CosineAnnealingLR(optimizer, T_max=max(steps - 1, 1), eta_min=self.min_lr)


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Which nodes train, for how long, and how fast.

    Attributes:
        epochs: Passes over the train rows.
        train: Patterns of the nodes that train; every other node is frozen: no gradient, evaluation mode.
        freeze: Patterns of nodes that stay frozen though ``train`` names them.
        lr: A learning rate for this phase; the optimizer's own where None.
        schedule: How the learning rate moves over the phase's steps; past them it holds its last value.
        data: The data sets whose rows it learns from; all where empty.
        consolidate: Whether EWC objectives take the weights as their anchor at the end.
    """

    epochs: int = 10
    train: tuple[str, ...] = ("all",)
    freeze: tuple[str, ...] = ()
    lr: float | None = None
    schedule: OneCycle | Cosine | None = None
    data: tuple[str, ...] = ()
    consolidate: bool = False
