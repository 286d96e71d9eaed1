"""What a reward may look at: losses of any rows, in evaluation mode, without a trace in the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from jumpml.core import TOLD, derive_seed
from jumpml.data import Stream
from jumpml.evaluate import evaluation_mode
from jumpml.learn.steps._means import means_of
from jumpml.objectives import reduce

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from torch import Tensor

    from jumpml.core import Loss
    from jumpml.data import DataLoaders
    from jumpml.graph import LossPlan, Model
    from jumpml.learn._hook import Step
    from jumpml.learn._learner import Learner
    from jumpml.learn._stage import Stage
    from jumpml.learn.teaching._arms import TaughtArm
    from jumpml.learn.teaching._choices import Choices

    Batch = Mapping[str, Tensor]


@final
class Sight:
    """A phase as rewards see it.

    Args:
        learner: The learner.
        stage: The phase, as it is set up.
        arms: The arms.
        choices: What was chosen.

    Attributes:
        phase: The phase's name.
        arms: The same.
        trained: The parameters that train.
    """

    def __init__(self, learner: Learner, stage: Stage, arms: Sequence[TaughtArm], choices: Choices) -> None:
        self.phase, self.arms, self.trained = stage.name, arms, stage.trained
        self._learner, self._stage, self._choices = learner, stage, choices
        self._streams: dict[int, Stream] = {}
        self._plans: dict[tuple[str, ...], LossPlan] = {}

    def fresh(self, arm: int) -> tuple[Tensor, int]:
        """Rows of an arm, other than those that are learned from now; and where its stream of them stands.

        Returns:
            Positions among the train rows, int64 ``[batch]``, and a number that differs from call to call.
        """
        name, loaders = self.arms[arm].facts.name, self._learner.loaders
        if arm not in self._streams:
            seed = derive_seed(loaders.seed, "fresh", self.phase, name)
            self._streams[arm] = Stream(self.arms[arm].order, loaders.batch_size, seed)
        place = self._choices.fresh.get(name, 0)
        positions, self._choices.fresh[name] = self._streams[arm].read(place)
        return positions, place

    @property
    def device(self) -> torch.device:
        """Where rewards are."""
        return self._learner.loaders.device

    @property
    def figures(self) -> Mapping[str, str]:
        """By task, its first figure."""
        return {name: (task.metrics or task.brings.metrics)[0] for name, task in self._learner.model.tasks.items()}

    def probe(self, names: Collection[str], most: int) -> Tensor:
        """Some validation rows that count for objectives, always the same ones, int64 ``[rows]``."""
        loaders, model = self._learner.loaders, self._learner.model
        counted = probed(names, model, loaders)
        generator = torch.Generator().manual_seed(derive_seed(loaders.seed, "probe", *names))
        return counted[torch.randperm(len(counted), generator=generator)[:most]].sort().values

    def batch(self, split: str, positions: Tensor, names: Collection[str], number: int = 0) -> Batch:
        """Rows of a split as some objectives read them, without augmentation.

        Args:
            split: ``train`` or ``val``.
            positions: int64 ``[batch]``, positions in the split.
            names: The objectives.
            number: Another one draws other views.
        """
        loaders, model = self._learner.loaders, self._learner.model
        plan = self._plan(names)
        fields = [key for key in plan.fields if "@" not in key and not key.endswith(TOLD)]
        return getattr(loaders, split).batch(positions, fields, model.draws(self.phase, names), number=number)

    def loss(self, names: Collection[str], batch: Batch) -> Tensor:
        """The weighted sum of some objectives' means on a batch, a scalar on the device.

        Args:
            names: The objectives.
            batch: What they read.
        """
        device = self._learner.loaders.device
        devices = [device] if device.type == "cuda" else []
        with torch.no_grad(), torch.random.fork_rng(devices=devices), evaluation_mode(self._learner.model):
            losses, _ = self._plan(names)(batch)
        return self.sum(names, losses)

    def sum(self, names: Collection[str], losses: Mapping[str, Loss]) -> Tensor:
        """The weighted sum of some losses' means; those that did not run are none of it."""
        weights = self._learner.weights
        there = [reduce(losses[name]) * weights[name] for name in names if name in losses]
        return torch.stack([mean.float() for mean in there]).sum()

    def learned(self, names: Collection[str], steps: Sequence[Step]) -> Tensor:
        """The same of batches that were learned from, the mean by rows; of all rows where several processes learn.

        Args:
            names: The objectives.
            steps: An update's batches.
        """
        processes = self._learner.processes
        if processes.alone:
            every = sum(step.rows for step in steps)
            return torch.stack([self.sum(names, step.losses) * (step.rows / every) for step in steps]).sum()
        weights, told = self._learner.weights, [*names]
        means, rows = [], []
        for step in steps:
            own = torch.tensor(step.rows, device=self.device)
            found = means_of(told, step.losses, weights, step.rows, processes, beside=[own])
            means.append(found.values.float().sum())
            rows.append(found.beside[0].float())
        every = torch.stack(rows)
        return (torch.stack(means) * every).sum() / every.sum()

    def _plan(self, names: Collection[str]) -> LossPlan:
        key = tuple(names)
        if key not in self._plans:
            self._plans[key] = self._stage.losses_of(key)
        return self._plans[key]


def probed(names: Collection[str], model: Model, loaders: DataLoaders) -> Tensor:
    """The validation rows that count for some of these objectives, int64 positions in the split."""
    there, every = loaders.val.there(), torch.ones(len(loaders.val.rows), dtype=torch.bool)
    masks = [model.rows(model.objectives[name].inputs, there) for name in names]
    return torch.stack([every if mask is None else mask.cpu() for mask in masks]).any(0).nonzero().flatten()
