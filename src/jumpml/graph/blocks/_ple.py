"""Experts of which some are shared and some are one task's, in one layer or in several."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from torch import Tensor, nn

from jumpml.graph.blocks._experts import experts, gates, mixed
from jumpml.graph.blocks._sizes import check_sizes
from jumpml.graph.blocks._task_names import task_names

if TYPE_CHECKING:
    from collections.abc import Sequence

SHARED = "shared"


@final
class CGC(nn.Module):
    """Customized gate control: each task weighs experts of its own and shared ones by a gate of its own.

    Tang et al. 2020, https://doi.org/10.1145/3383313.3412236. Each task's head reads its part: ``mix.digit``. A gate
    is a softmax, of a linear layer of the task's value without bias. Several of them in a row are a `PLE`: then each
    but the last has a part ``shared`` too, of a gate over all experts, and each but the first reads what the one before
    gives: by task in their order, and at last ``shared``.

    Shapes: ``[batch, *, any]`` to ``[batch, *, widths[-1]]`` by task. Initialisation: that of ``torch.nn.Linear``.

    Args:
        tasks: Their names.
        widths: Of each expert's layers, which all have ReLU behind them.
        own: How many experts each task has.
        shared: How many experts all have.
        passes_on: Whether it gives ``shared``.

    Raises:
        ValueError: There is no task, a name is not one of a part, is ``shared`` or stands twice, ``widths`` is empty,
            or a size is no whole number of 1 or more. In a call: there is neither one value, nor one for each task
            and one more.

    Example:
        >>> import torch
        >>> first, second = CGC(["a", "b"], [16], passes_on=True), CGC(["a", "b"], [8])
        >>> second(*first(torch.zeros(4, 32)).values())["b"].shape
        torch.Size([4, 8])
    """

    def __init__(
        self, tasks: Sequence[str], widths: Sequence[int], own: int = 2, shared: int = 2, *, passes_on: bool = False
    ) -> None:
        super().__init__()
        self.tasks, self.passes_on = task_names(tasks), passes_on
        if SHARED in self.tasks:
            raise ValueError(f"no task can be named {SHARED!r}, which is what all tasks share.")
        check_sizes(own=own, shared=shared)
        self.own = nn.ModuleList(experts(widths, own) for _ in self.tasks)
        self.shared = experts(widths, shared)
        every = own * len(self.tasks) + shared
        self.gates = gates([own + shared] * len(self.tasks) + [every] * passes_on)

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        """By task, what its gate makes of its experts and the shared ones; and perhaps ``shared``."""
        needed = len(self.tasks) + 1
        if len(inputs) not in {1, needed}:
            told = f"one value, or one for each task ({', '.join(self.tasks)}) and one for what they share"
            raise ValueError(f"expected {told}; got {len(inputs)}.")
        *by_task, common = inputs * needed if len(inputs) == 1 else inputs
        own = [[expert(value) for expert in group.children()] for value, group in zip(by_task, self.own, strict=True)]
        shared = [expert(common) for expert in self.shared]
        seen = [[*group, *shared] for group in own]
        if self.passes_on:
            seen.append([*(value for group in own for value in group), *shared])
        names = (*self.tasks, SHARED) if self.passes_on else self.tasks
        values = (*by_task, common)[: len(names)]
        return {
            name: mixed(gate(value), outputs)
            for name, gate, value, outputs in zip(names, self.gates, values, seen, strict=True)
        }


@final
class PLE(nn.Module):
    """Progressive layered extraction: layers of shared and of own experts, which come apart step by step.

    Tang et al. 2020, https://doi.org/10.1145/3383313.3412236: `CGC` layers in a row. Each task's head reads its part:
    ``mix.digit``.

    Shapes: ``[batch, *, any]`` to ``[batch, *, widths[-1]]`` by task. Initialisation: that of ``torch.nn.Linear``.

    Args:
        tasks: Their names.
        widths: Of the layers of each expert, in each layer.
        layers: How many layers of experts follow each other.
        own: How many experts each task has in each layer.
        shared: How many experts all have in each layer.

    Raises:
        ValueError: See `CGC`; or ``layers`` is no whole number of 1 or more.

    Example:
        >>> import torch
        >>> sorted(PLE(["digit", "parity"], [16], layers=2)(torch.zeros(8, 64)))
        ['digit', 'parity']
    """

    def __init__(
        self, tasks: Sequence[str], widths: Sequence[int], layers: int = 2, own: int = 2, shared: int = 2
    ) -> None:
        super().__init__()
        check_sizes(layers=layers)
        self.layers = nn.ModuleList(
            CGC(tasks, widths, own, shared, passes_on=place < layers - 1) for place in range(layers)
        )

    def forward(self, input: Tensor) -> dict[str, Tensor]:
        """By task, what the last layer gives."""
        values = {"": input}
        for layer in self.layers:
            values = layer(*values.values())
        return values
