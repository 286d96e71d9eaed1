"""Stochastic weight averaging: the mean of the weights at the ends of a phase's last epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, final

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel, get_swa_multi_avg_fn

from jumpml.core import LearnerError, Problem, did_you_mean, refusal
from jumpml.learn._hook import Hook
from jumpml.learn.hooks._averaging import HAS_AVERAGE, IS_AVERAGE
from jumpml.learn.schedules._schedules import Chain, Constant, Schedule, Settle, schedules_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from torch import Tensor

    from jumpml.graph import Model
    from jumpml.learn._hook import Step
    from jumpml.learn._learner import Learner


@final
class SWA(Hook):
    """Averages a model's weights as they are at the end of each of a phase's last epochs (Izmailov et al. 2018).

    Until the first of these, there is no average. The means and variances of batch normalization belong to no average
    of weights: they are computed anew on the train rows, without augmentation, when the average is asked for. Those in
    nodes that do not train stay what they are. See https://arxiv.org/abs/1803.05407.

    In a loop of your own, call `begin` once and `take` at the ends of epochs, and `renew` before you measure.

    Args:
        start: The share of the phase's epochs that are over before the first is averaged.
        phase: The phase.

    Raises:
        LearnerError: ``start`` is not from 0 to below 1, or the learner has no such phase.
    """

    name = "swa"

    def __init__(self, *, start: float = 0.75, phase: str = "supervised") -> None:
        if not 0 <= start < 1:
            raise LearnerError(f"swa: expected start from 0 to below 1, got {start:g}.")
        self._start, self._phase = start, phase
        self._learner: Learner | None = None
        self._count, self._stale = 0, False

    def begin(self, model: Model) -> None:
        """Average this model's weights from now on."""
        self._learning = model

    def _copy(self) -> None:
        """Make what is averaged into: as late as can be, since until then the model may get another shape."""
        self._averaged = AveragedModel(self._learning, multi_avg_fn=get_swa_multi_avg_fn())
        self._averaged.module.requires_grad_(False).eval()
        IS_AVERAGE.add(cast("Model", self._averaged.module))

    def take(self) -> None:
        """Take in the weights as they are."""
        if not self._count:
            self._copy()
        self._averaged.update_parameters(self._learning)
        self._count, self._stale = self._count + 1, True
        HAS_AVERAGE.add(self._learning)

    def renew(self, batches: Iterable[Mapping[str, Tensor]]) -> None:
        """Compute the means and variances of batch normalization anew, each batch counting alike.

        Args:
            batches: Of the train rows.
        """
        pairs = zip(self._averaged.module.modules(), self._learning.modules(), strict=True)
        layers = [own for own, other in pairs if isinstance(own, _BatchNorm) and _learns(other)]
        layers = [layer for layer in layers if layer.track_running_stats]
        momenta = [layer.momentum for layer in layers]
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # the mean over all batches
            layer.train()
        with torch.no_grad():
            for batch in batches if layers else ():
                self._averaged.module(batch)
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
            layer.eval()
        self._stale = False

    @property
    def model(self) -> Model | None:
        """The averaged model, in evaluation mode; None before the first epoch that is averaged."""
        if not self._count:
            return None
        if self._stale and self._learner is not None:
            self.renew(self._learner.loaders.train.plain())
        return cast("Model", self._averaged.module)

    def attach(self, learner: Learner) -> None:
        """Average the learner's model.

        Raises:
            LearnerError: There is no such phase.
        """
        if self._phase not in learner.phases:
            near = did_you_mean(self._phase, learner.phases)
            problem = Problem(("swa", "phase"), f"there is no phase {self._phase!r}.", near)
            raise refusal(LearnerError, [problem])
        self._learner = learner
        self.begin(learner.model)

    def updated(self, step: Step) -> None:
        """At the end of an epoch that counts, take in the weights."""
        learner = self._learner
        if learner is None or learner.progress.phase != self._phase:
            return
        progress, epochs = learner.progress, learner.phases[self._phase].epochs
        ends = progress.batch == len(learner.loaders.train)
        if ends and progress.closed(self._phase) >= first_epoch(self._start, epochs):
            self.take()

    def buffers(self) -> Iterator[Tensor]:
        """As `EMA.buffers`; nothing before the first epoch that is averaged."""
        return self._averaged.buffers() if self._count else iter(())

    def check_growth(self) -> None:
        """Weights of another shape have no mean with those before.

        Raises:
            LearnerError: Some have been averaged already.
        """
        if self._count:
            raise LearnerError("swa: the model grew while its weights were averaged. Grow before, or start later.")

    def state_dict(self) -> dict[str, Any]:
        """The averaged weights, and how many they are the mean of."""
        average = self._averaged.state_dict() if self._count else {}
        return {"average": average, "count": self._count, "stale": self._stale}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; the model has its own already."""
        self._count, self._stale = state["count"], state["stale"]
        if self._count:
            self._copy()
            self._averaged.load_state_dict(dict(state["average"]))
            HAS_AVERAGE.add(self._learning)

    def identity(self) -> str:
        """When it averages."""
        return f"from {self._start:g} of {self._phase} on"


def first_epoch(start: float, epochs: int) -> int:
    """The epochs that are over before the first is averaged; the last one always is."""
    return min(round(start * epochs), max(epochs - 1, 0))


def with_swa(
    schedule: Schedule | Sequence[Schedule] | None, epochs: int, *, start: float, lr: float, anneal: float
) -> tuple[Schedule, ...]:
    """A phase's schedule up to where averaging starts, then the way to one rate, then that.

    Args:
        schedule: The phase's; it is as long as what comes before the averaging.
        epochs: The phase's.
        start: As `SWA` has it.
        lr: The rate at which weights are averaged.
        anneal: Epochs that the way there takes.
    """
    before = first_epoch(start, epochs)
    given = tuple(schedules_of(schedule)) or (Constant(),)
    chain = (Chain(schedules=given, epochs=before),) if before else ()
    settle = (Settle(end_lr=lr, epochs=anneal),) if anneal else ()
    return (*chain, *settle, Constant(lr=lr))


def _learns(layer: torch.nn.Module) -> bool:
    """Whether a layer's node trains; one without weights of its own is taken to."""
    return all(parameter.requires_grad for parameter in layer.parameters(recurse=False))
