"""From gradients' inner products to what each counts, with one reading of the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from jumpml.balance import Array, GradientBalancer


@dataclass(frozen=True)
class Weights:
    """What the gradients of an update count.

    Attributes:
        names: The objectives.
        together: By objective in this order, where they meet, float64.
        own: By name, where an objective is alone.
        gramian: The inner products.
    """

    names: tuple[str, ...]
    together: Tensor
    own: Mapping[str, float]
    gramian: Array

    def figures(self) -> dict[str, float]:
        """Multipliers, and the cosine between each two gradients where both are there."""
        told = {f"balance/{name}": value for name, value in zip(self.names, self.together.tolist(), strict=True)}
        return told | cosines(self.names, self.gramian)


def cosines(names: Sequence[str], gramian: Array) -> dict[str, float]:
    """``cosine/<one>/<other>`` of each two gradients where both are there.

    Args:
        names: The objectives.
        gramian: Their gradients' inner products.
    """
    sizes, told = np.sqrt(np.diagonal(gramian)), {}
    for second, name in enumerate(names):
        for first in range(second):
            if 0 < (size := sizes[first] * sizes[second]) < float("inf"):
                told[f"cosine/{names[first]}/{name}"] = float(gramian[first, second] / size)
    return told


def weigh(
    balancer: GradientBalancer,
    names: Sequence[str],
    gramian: Tensor,
    means: Tensor,
    scale: Callable[[list[Tensor]], list[Tensor]] | None,
) -> Weights:
    """Ask a balancer, for the objectives that have a gradient.

    Where one is not finite, all count 1: then the loss or float16 has run over, which others notice.

    Args:
        balancer: Whom.
        names: The objectives.
        gramian: ``[objectives, objectives]``, scaled twice.
        means: ``[objectives]``.
        scale: What the gradients were scaled by.
    """
    if scale is not None:
        (factor,) = scale([torch.ones_like(means)])
        gramian = gramian / factor / factor[:, None]
    read = torch.cat([gramian.float(), means[None]]).cpu().double().numpy()
    products, losses = read[:-1], read[-1]
    together, own = np.ones(len(names)), np.ones(len(names))
    there = np.diagonal(products) > 0
    if np.isfinite(read).all() and there.any():
        together[there] = balancer.multipliers(products[np.ix_(there, there)], losses[there])
        own[there] = balancer.own(losses[there])
    return Weights(tuple(names), torch.from_numpy(together), dict(zip(names, own.tolist(), strict=True)), products)
