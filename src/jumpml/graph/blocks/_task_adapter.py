"""What each task adds to a value that all share."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

from jumpml.graph.blocks._lazy import SizedByInput
from jumpml.graph.blocks._residual import zero
from jumpml.graph.blocks._sizes import check_sizes
from jumpml.graph.blocks._task_names import size_along, task_names

if TYPE_CHECKING:
    from collections.abc import Sequence


@final
class TaskAdapter(SizedByInput):
    """A small network for each task, whose output is added to the value; the value stays all tasks' own.

    Bottleneck adapters (Houlsby et al. 2019, https://arxiv.org/abs/1902.00751, with ReLU); with the channels of
    pictures, residual adapters of one by one convolutions (Rebuffi et al. 2017, https://arxiv.org/abs/1705.08045).
    They are read by task, ``adapter.digit``, and begin as identity: a trunk that is frozen, or has learned before, is
    left as it was.

    Shapes: ``[batch, *, width]``, or with ``dim=1`` ``[batch, width, *]``, to the same by task. Initialisation: the
    second layer of each network is zero, the first that of ``torch.nn.Linear``.

    Args:
        tasks: Their names.
        width: Of the networks' inner layer.
        dim: The axis of the width, counting the batch as 0.

    Raises:
        ValueError: There is no task, a name is not one of a part or stands twice, ``width`` is no whole number of 1 or
            more, or ``dim`` is 0, which are the rows. In a call: ``dim`` is none of the value's axes.

    Example:
        >>> adapter, value = TaskAdapter(["digit", "parity"], 4), torch.randn(8, 32)
        >>> torch.equal(adapter(value)["digit"], value)
        True
    """

    inward: nn.ModuleList
    outward: nn.ModuleList

    def __init__(self, tasks: Sequence[str], width: int, dim: int = -1) -> None:
        super().__init__()
        self.tasks = task_names(tasks)
        check_sizes(width=width)
        if dim == 0:
            raise ValueError("dim=0 is the batch: its rows are no width. Use dim=1 for pictures, or -1 for the last.")
        self.width, self.dim = width, dim

    def build(self, values: Tensor) -> None:
        """Two layers for each task."""
        count = size_along(values, self.dim)
        self.inward = nn.ModuleList(nn.Linear(count, self.width) for _ in self.tasks)
        self.outward = nn.ModuleList(nn.Linear(self.width, count) for _ in self.tasks)
        for layer in self.outward:
            zero(layer)

    def forward(self, input: Tensor) -> dict[str, Tensor]:
        """By task, the value and what is added to it."""
        value = input.movedim(self.dim, -1)
        pairs = zip(self.tasks, self.inward, self.outward, strict=True)
        return {
            task: input + outward(torch.relu(inward(value))).movedim(-1, self.dim) for task, inward, outward in pairs
        }

    def extra_repr(self) -> str:
        """What `print` shows between the brackets."""
        return f"{', '.join(self.tasks)}, dim={self.dim}"
