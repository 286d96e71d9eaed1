"""What columns of several tasks take of each other."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn

from jumpml.graph.blocks._lazy import SizedByInput
from jumpml.graph.blocks._task_names import size_along, task_names

if TYPE_CHECKING:
    from collections.abc import Sequence


@final
class CrossStitch(SizedByInput):
    """Gives each task's column a weighed sum of all columns, channel by channel; the weights learn.

    Misra et al. 2016, https://arxiv.org/abs/1604.03539. It stands between layers of networks that are alike, one a
    task, and is read by task: ``stitch.digit``. The weights are no layer's, and small steps hardly move them: the
    paper lets them learn a hundred to a thousand times as fast (`optimizer.groups`).

    Shapes: of each task, in the order of `tasks`, ``[batch, channels, *]``, all alike; by task the same. With
    ``dim=-1``, ``[batch, *, channels]``. Initialisation: `own` for a task's own column, what remains of 1 for the
    others, in equal parts.

    Args:
        tasks: Their names, two or more.
        own: What each takes of its own column at first.
        dim: The axis of the channels, counting the batch as 0.

    Raises:
        ValueError: There are fewer than two tasks, a name is not one of a part or stands twice, `own` is not between 0
            and 1, or ``dim`` is 0, which are the rows. In a call: there are more or fewer columns than tasks, or they
            are not alike, or ``dim`` is none of their axes.

    Example:
        >>> stitch = CrossStitch(["digit", "parity"])
        >>> out = stitch(torch.ones(4, 8), torch.zeros(4, 8))
        >>> out["digit"][0, 0].item(), out["parity"][0, 0].item()  # doctest: +ELLIPSIS
        (0.899..., 0.100...)
    """

    weight: nn.Parameter

    def __init__(self, tasks: Sequence[str], own: float = 0.9, dim: int = 1) -> None:
        super().__init__()
        self.tasks = task_names(tasks, least=2)
        if not 0 <= own <= 1:
            raise ValueError(f"own must be between 0 and 1; got {own}.")
        if dim == 0:
            raise ValueError("dim=0 is the batch: its rows are no channels. Use dim=1 or more, or -1 for the last.")
        self.own, self.dim = own, dim

    def build(self, values: Tensor) -> None:
        """A weight for each two tasks and each channel, ``[tasks, tasks, channels]``."""
        count = len(self.tasks)
        others = (1 - self.own) / (count - 1)
        weights = torch.full((count, count), others).fill_diagonal_(self.own)
        self.weight = nn.Parameter(weights.unsqueeze(-1).repeat(1, 1, size_along(values, self.dim)))

    def initialize_parameters(self, *columns: Tensor, **named: Any) -> None:
        """What torch calls before the first forward: nothing is made for columns that are refused."""
        self._check(columns)
        super().initialize_parameters(*columns, **named)

    def forward(self, *columns: Tensor) -> dict[str, Tensor]:
        """By task, what it takes of all."""
        self._check(columns)
        first = columns[0]
        behind = [1] * (first.ndim - 1 - self.dim % first.ndim)
        weights = self.weight.view(*self.weight.shape, *behind)
        return {
            task: reduce(torch.add, [column * weight for column, weight in zip(columns, own, strict=True)])
            for task, own in zip(self.tasks, weights, strict=True)
        }

    def _check(self, columns: Sequence[Tensor]) -> None:
        if len(columns) != len(self.tasks):
            raise ValueError(f"expected a column for each task, {', '.join(self.tasks)}; got {len(columns)}.")
        if any(column.shape[1:] != columns[0].shape[1:] for column in columns):
            told = ", ".join(str(list(column.shape)) for column in columns)
            raise ValueError(f"expected columns of one shape; got {told}.")

    def extra_repr(self) -> str:
        """What `print` shows between the brackets."""
        return f"{', '.join(self.tasks)}, own={self.own}, dim={self.dim}"
