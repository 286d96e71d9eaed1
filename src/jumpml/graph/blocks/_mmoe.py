"""Experts that all tasks share, with a gate for each task."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from torch import Tensor, nn

from jumpml.graph.blocks._experts import experts, gates, mixed
from jumpml.graph.blocks._sizes import check_sizes
from jumpml.graph.blocks._task_names import task_names

if TYPE_CHECKING:
    from collections.abc import Sequence


@final
class MMoE(nn.Module):
    """Multi-gate mixture of experts: every task weighs the same networks by a gate of its own.

    Ma et al. 2018, https://doi.org/10.1145/3219819.3220007. Each task's head reads its part: ``mix.digit``. A gate is
    a softmax over the experts, of a linear layer of the value without bias, as in the paper.

    Shapes: ``[batch, *, any]`` to ``[batch, *, widths[-1]]`` by task. Initialisation: that of ``torch.nn.Linear``.

    Args:
        tasks: Their names.
        widths: Of each expert's layers, which all have ReLU behind them.
        count: How many experts there are.

    Raises:
        ValueError: There is no task, a name is not one of a part or stands twice, ``widths`` is empty, or a size is
            no whole number of 1 or more.

    Example:
        >>> import torch
        >>> out = MMoE(["digit", "parity"], [32, 16], count=4)(torch.zeros(8, 64))
        >>> out["parity"].shape
        torch.Size([8, 16])
    """

    def __init__(self, tasks: Sequence[str], widths: Sequence[int], count: int = 4) -> None:
        super().__init__()
        self.tasks = task_names(tasks)
        check_sizes(count=count)
        self.experts = experts(widths, count)
        self.gates = gates([count] * len(self.tasks))

    def forward(self, input: Tensor) -> dict[str, Tensor]:
        """By task, what its gate makes of the experts."""
        outputs = [expert(input) for expert in self.experts]
        return {task: mixed(gate(input), outputs) for task, gate in zip(self.tasks, self.gates, strict=True)}
