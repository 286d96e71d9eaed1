"""Make answers more certain by moving what normalization layers scale and shift by."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, final

import torch

from jumpml.core import LearnerError
from jumpml.learn.adapting._certainty import chances_of, no_classes
from jumpml.learn.adapting._method import Descending
from jumpml.learn.adapting._normalization import AFFINE, Normalizer, foreign_rows, norms_of
from jumpml.learn.steps._window import rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor

    from jumpml.graph import Model

CLIMB = 0.05  # SAR's rho: how far the gradient is climbed before the step
KEPT = 0.9  # of the mean of what was certain, at each batch
CERTAIN = 0.2 / 6.908  # SAR goes back below .2 nats of the 6.908 that 1000 classes can have


@final
class Entropy(Descending):
    """Lower the entropy of the answers by the scales and shifts of normalization layers.

    TENT (Wang et al. 2021, https://arxiv.org/abs/2006.10726), with the guards of SAR (Niu et al. 2023,
    https://arxiv.org/abs/2302.12400): rows whose answer is too uncertain are not learned from, each step goes by the
    gradient at the worst place nearby, so that it ends where the entropy is flat, and where answers become so certain
    that the model seems to collapse, all of it is taken back. Without the guards it is TENT. Batch normalization goes
    by the batch's own statistics, as in TENT; see `BatchStatistics`.

    Args:
        nodes: Patterns of the nodes whose normalization layers move.
        lr: The learning rate, with a momentum of .9.
        steps: Steps a batch.
        guarded: Whether SAR's guards are used.
        reliable: With guards, the share of the highest possible entropy below which a row is learned from.
        prior: As `BatchStatistics` has it; None leaves batch normalization with the statistics of training.
        memory: Likewise.

    Raises:
        LearnerError: A number makes no sense.
    """

    name = "entropy"

    def __init__(
        self,
        *,
        nodes: str | Sequence[str] = "all",
        lr: float = 1e-3,
        steps: int = 1,
        guarded: bool = True,
        reliable: float = 0.4,
        prior: float | None = 0.0,
        memory: float | None = 0.0,
    ) -> None:
        super().__init__(nodes=nodes, lr=lr, steps=steps)
        if not 0 < reliable <= 1:
            raise LearnerError(f"entropy: expected reliable above 0 and up to 1, got {reliable:g}.")
        for what, value in (("prior", prior or 0.0), ("memory", memory or 0.0)):
            if value < 0:
                raise LearnerError(f"entropy: expected {what} of 0 or more, got {value:g}.")
        self.guarded, self.reliable, self.prior, self.memory = guarded, reliable, prior, memory

    def problem(self, model: Model) -> str:
        """That no task decides classes, or no layer normalizes."""
        if problem := no_classes(model):
            return problem
        if self.movable(model):
            return foreign_rows(model) if self.prior is not None and norms_of(model) else ""
        where = "the model" if self.nodes == ("all",) else f"of {', '.join(self.nodes)} none"
        return f"{where} has no normalization layer with a scale and a shift to move. Adapt by ttt or memo."

    def movable(self, model: Model) -> list[str]:
        """Scales and shifts of the nodes' normalization layers."""
        own = {id(p): name for name, p in model.named_parameters()}
        layers = [part for node in model.select(self.nodes) for part in model.node(node).modules()]
        found = [own[id(p)] for layer in layers if isinstance(layer, AFFINE) for p in layer.parameters(recurse=False)]
        return list(dict.fromkeys(found))

    def begin(self, model: Model) -> None:
        """Take a model."""
        super().begin(model)
        pooled = self.prior is not None and bool(norms_of(model))
        self.normalizes = pooled
        self._normalizer = Normalizer(model, prior=self.prior or 0.0, memory=self.memory) if pooled else None
        self.moved = [*self.moved, *(self._normalizer.moved if self._normalizer else ())]
        self._first = [parameter.detach().clone() for parameter in self._descent.parameters]
        self._mean: float | None = None

    def adapt(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Step, and give the outputs after the steps."""
        with self._normalized(batch):
            for _ in range(self.steps):
                self._step(batch)
            with torch.no_grad():
                return self._model(batch)

    def outputs(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The outputs of other rows; where batches go by their own statistics, these do."""
        with self._normalized(batch, keep=False), torch.no_grad():
            return self._model(batch)

    def _normalized(self, batch: Mapping[str, Tensor], *, keep: bool = True) -> AbstractContextManager[None]:
        return self._normalizer.batch(rows_of(batch), keep=keep) if self._normalizer else nullcontext()

    def _step(self, batch: Mapping[str, Tensor]) -> None:
        reliable: dict[str, Tensor] = {}
        loss, _ = self._loss(batch, reliable)
        if loss is None:
            return
        self._descent.differentiate(loss)
        if self.guarded:
            before = self._descent.climb(CLIMB)
            loss, share = self._loss(batch, reliable)
            if loss is not None:
                self._descent.differentiate(loss)
            self._descent.put_back(before)
            if loss is None:
                return
            self._mean = share if self._mean is None else KEPT * self._mean + (1 - KEPT) * share
        self._descent.step()
        if self._mean is not None and self._mean < CERTAIN:
            self._recover()

    def _loss(self, batch: Mapping[str, Tensor], reliable: dict[str, Tensor]) -> tuple[Tensor | None, float]:
        """The mean entropy of the rows that are learned from, and the same as a share of the most; None without any.

        Args:
            batch: The rows.
            reliable: With guards, by task which rows are; those that are so no more are taken out.
        """
        losses, shares = [], []
        for name, chances in chances_of(self._model, self._model(batch), batch).items():
            entropy = chances.entropy()
            if self.guarded:
                below = entropy.detach() < self.reliable * chances.most
                reliable[name] = below & reliable.get(name, below)
                entropy = entropy[reliable[name]]
            if len(entropy):
                losses.append(entropy.mean())
                shares.append(float(losses[-1].detach()) / chances.most)
        return (torch.stack(losses).sum(), sum(shares) / len(shares)) if losses else (None, 0.0)

    def _recover(self) -> None:
        """Back to the first weights: so certain are only models that have collapsed, and those with nothing to do."""
        self._descent.put_back(self._first)
        self._descent.restart()
        self._mean = None

    def restart(self) -> None:
        """Forget momentum, certainty, and the rows that were seen."""
        super().restart()
        self._mean = None
        if self._normalizer:
            self._normalizer.restart()

    def state_dict(self) -> dict[str, Any]:
        """Momentum, certainty, and how many rows were seen."""
        seen = self._normalizer.seen if self._normalizer else 0.0
        return {**super().state_dict(), "mean": self._mean, "seen": seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        super().load_state_dict(state)
        self._mean = state["mean"]
        if self._normalizer:
            self._normalizer.seen = state["seen"]
