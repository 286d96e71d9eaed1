"""Where each index of each axis comes from: the one map that all that stands beside parameters follows in growth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import torch

if TYPE_CHECKING:
    from torch import Tensor

FRESH = -1  # the index of what was not there before
Axes = Mapping[int, tuple[int, ...]]


@final
@dataclass(frozen=True)
class IndexMap:
    """What became of a model's parameters and buffers when it grew or shrank.

    Attributes:
        before: By name, the name that the tensor had before; what was not there before is not in it.
        axes: By name, for each axis that has changed, the old index of each new one; -1 where it is fresh.

    Example:
        >>> grown = IndexMap(before={"w": "w"}, axes={"w": {0: (0, 1, -1)}})
        >>> grown.carry("w", torch.tensor([[3.0], [4.0]]), fill=0.0)
        tensor([[3.],
                [4.],
                [0.]])
    """

    before: Mapping[str, str] = field(default_factory=dict)
    axes: Mapping[str, Axes] = field(default_factory=dict)

    def carry(self, name: str, beside: Tensor, fill: Tensor | float = 0.0) -> Tensor:
        """What stood beside a parameter, element by element, as it stands beside the one of now.

        Args:
            name: The parameter's name now.
            beside: Of the shape that it had; along an axis that has changed it may also be 1 wide, as the factors of a
                factored moment are.
            fill: What stands at fresh places: a number, or a tensor of the new shape.

        Returns:
            The very tensor where nothing has changed.
        """
        return carried(beside, self.axes.get(name, {}), fill)


def carried(tensor: Tensor, axes: Axes, fill: Tensor | float = 0.0) -> Tensor:
    """A tensor along axes that have changed; see `IndexMap.carry`."""
    # the factors of a factored moment are 1 wide along one axis, and stay so
    moved = {axis: source for axis, source in axes.items() if tensor.shape[axis] > 1 or max(source) < 1}
    if not moved:
        return tensor
    shape = [len(moved[axis]) if axis in moved else size for axis, size in enumerate(tensor.shape)]
    made = fill.clone() if isinstance(fill, torch.Tensor) else tensor.new_full(shape, fill)
    kept = [_places(moved[axis]) if axis in moved else [*range(size)] for axis, size in enumerate(tensor.shape)]
    old = [[moved[axis][place] for place in places] if axis in moved else places for axis, places in enumerate(kept)]
    made[_grid(kept, tensor)] = tensor[_grid(old, tensor)]
    return made


def _places(source: tuple[int, ...]) -> list[int]:
    return [place for place, index in enumerate(source) if index != FRESH]


def _grid(places: list[list[int]], like: Tensor) -> tuple[Tensor, ...]:
    """Index tensors that pick a block of a tensor, whichever places it has along each axis."""
    count = len(places)
    return tuple(
        torch.tensor(each, device=like.device).view([-1 if axis == at else 1 for at in range(count)])
        for axis, each in enumerate(places)
    )
