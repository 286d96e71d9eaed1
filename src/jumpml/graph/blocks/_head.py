"""The linear layer that a task ends in."""

from __future__ import annotations

from typing import ClassVar, final

from torch import nn

from jumpml.graph.blocks._lazy import lazy_layers_are_meant
from jumpml.graph.blocks._sizes import check_sizes


@final
class Head(nn.LazyLinear):
    """A linear layer that takes its input's width from the graph; in a model file also its output's, from its task.

    In a model file ``out_features`` may be left out: it is then the number of classes for a multiclass, multilabel or
    token labelling task, the size of the vocabulary for language modelling, 1 for a binary task, and the size of the
    target for regression: of a target ``[steps, channels]`` all steps times all channels. Once the graph is built the
    module is a plain ``torch.nn.Linear``. A task at pixels ends in a `PixelHead`.

    Shapes: ``[batch, *rest, width]`` to ``[batch, *rest, out_features]``. Initialisation: that of ``torch.nn.Linear``.

    Args:
        out_features: The width of the output.

    Raises:
        ValueError: ``out_features`` is no whole number of 1 or more.

    Example:
        >>> import torch
        >>> Head(10)(torch.zeros(4, 64)).shape
        torch.Size([4, 10])
    """

    width_of_task: ClassVar[str] = "out_features"

    def __init__(self, out_features: int) -> None:
        check_sizes(out_features=out_features)
        with lazy_layers_are_meant():
            super().__init__(out_features)
