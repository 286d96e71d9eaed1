"""Whether a batch's statistics are others than those of training because its rows are of other classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from jumpml.core import TASK_KINDS
from jumpml.learn.adapting._normalization import norms_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.graph import Model

STEPS = 200  # to the mixture of classes that is most like the batch
EXPLAINED = 0.5  # of the distance from training that the mixture leaves at most, where classes explain it
TINY = 1e-5  # beside a variance that may be zero


class Moments(tuple["tuple[Tensor, Tensor]", ...]):
    """At each layer that normalizes, the mean and the mean square of each channel, ``[channels]``."""

    __slots__ = ()

    def distance(self, other: Moments) -> float:
        """The Kullback-Leibler divergence from another's, as of normal distributions, in nats.

        A mean over channels, and then over layers.
        """
        layers = []
        for (mean, square), (mean_other, square_other) in zip(self, other, strict=True):
            variance = (square - mean.square()).clamp(min=0) + TINY
            variance_other = (square_other - mean_other.square()).clamp(min=0) + TINY
            ratio = variance / variance_other
            apart = (mean - mean_other).square() / variance_other
            layers.append((0.5 * (ratio + apart - 1 - ratio.log())).mean())
        return float(torch.stack(layers).mean())

    def beside(self, other: Moments) -> Tensor:
        """As one vector, in units of another's mean and deviation."""
        parts = []
        for (mean, square), (centre, square_other) in zip(self, other, strict=True):
            variance = (square_other - centre.square()).clamp(min=0) + TINY
            parts += [(mean - centre) / variance.sqrt(), (square - 2 * mean * centre + centre.square()) / variance - 1]
        return torch.cat(parts)


class RowMoments:
    """What every row's values are like at each layer that normalizes, and the model's outputs.

    Args:
        model: A model, in evaluation mode: what passes through it is normalized by the statistics of training.
        batch: The rows.

    Attributes:
        outputs: Raw, by task.
    """

    def __init__(self, model: Model, batch: Mapping[str, Tensor]) -> None:
        layers = norms_of(model)
        self._found: dict[str, tuple[Tensor, Tensor]] = {}
        hooks = [layer.register_forward_pre_hook(self._taking(name)) for name, layer in layers.items()]
        try:
            with torch.no_grad():
                self.outputs: dict[str, Tensor] = model(batch)
        finally:
            for hook in hooks:
                hook.remove()

    def _taking(self, name: str) -> Any:
        def take(layer: nn.Module, args: tuple[Tensor, ...]) -> None:
            value = args[0].unsqueeze(2).flatten(2)
            self._found[name] = value.mean(2), value.square().mean(2)

        return take

    def of(self, rows: Tensor | None = None) -> Moments:
        """The moments of some rows; of all where None."""
        chosen = (
            (mean, square) if rows is None else (mean[rows], square[rows]) for mean, square in self._found.values()
        )
        return Moments((mean.mean(0), square.mean(0)) for mean, square in chosen)


class Classes:
    """What statistics known rows of each class have, and so what those of a batch of some classes would be.

    A batch of rows of the world of training has the statistics of a mixture of classes. Those of a batch from elsewhere
    are far from any mixture.

    Args:
        model: Unadapted, in evaluation mode.
        known: Rows with targets.
    """

    def __init__(self, model: Model, known: Mapping[str, Tensor]) -> None:
        seen = RowMoments(model, known)
        self._classes = [seen.of(rows) for rows in _by_class(model, known)]
        self._training = Moments(_of_training(layer) for layer in norms_of(model).values())
        if self._classes:
            self._table = torch.stack([one.beside(self._training) for one in self._classes])

    def explain(self, seen: RowMoments) -> bool:
        """Whether the mixture of classes that is most like a batch leaves little of its distance from training.

        Args:
            seen: The batch's.
        """
        if len(self._classes) < 2:
            return False
        batch = seen.of()
        shares = self._mixture(batch.beside(self._training))
        mixed = Moments(
            (_mean([mean for mean, _ in layer], shares), _mean([square for _, square in layer], shares))
            for layer in zip(*self._classes, strict=True)
        )
        return batch.distance(mixed) < EXPLAINED * batch.distance(self._training)

    def _mixture(self, batch: Tensor) -> Tensor:
        """The shares of the classes, ``[classes]``, by exponentiated gradients (Kivinen & Warmuth 1997)."""
        products, wanted = self._table @ self._table.T, self._table @ batch
        rate = 1 / products.abs().max().clamp(min=TINY)
        shares = torch.full_like(wanted, 1 / len(wanted))
        for _ in range(STEPS):
            shares = (shares.log() - rate * (products @ shares - wanted)).softmax(0)
        return shares


def _by_class(model: Model, known: Mapping[str, Tensor]) -> Sequence[Tensor]:
    """The rows of each class of each task that decides one."""
    groups: list[Tensor] = []
    for task in model.tasks.values():
        kind = TASK_KINDS[task.kind]
        if kind.at == "row" and kind.decides == "class" and task.target in known:
            codes = known[task.target].flatten()
            groups += [(codes == code).nonzero().flatten() for code in codes.unique().tolist() if code >= 0]
    return groups


def _mean(parts: Sequence[Tensor], shares: Tensor) -> Tensor:
    return torch.stack(list(parts), 1) @ shares


def _of_training(layer: Any) -> tuple[Tensor, Tensor]:
    mean, variance = layer.running_mean, layer.running_var
    return mean.clone(), variance + mean.square()
