"""Losses that others wrote."""

from __future__ import annotations

from typing import Any, Literal

from jumpml.core._objective_base import ObjectiveBase


class BroughtLossSpec(ObjectiveBase):
    """A loss that a node's module brings itself, such as a `VariationalBottleneck`'s divergence.

    Without it such a loss has the weight 1 wherever its node runs.
    """

    kind: Literal["brought"]
    """The objective's kind."""
    inputs: str
    """The loss, as `node.loss`."""
    when: tuple[str, ...] | Literal["all"] = "all"
    """The phases in which it is active; none (`[]`) switch it off. With `all` those in which another objective makes
    its node run."""


class LossModuleSpec(ObjectiveBase):
    """Any loss of `torch.nn`, or of a package that you trust by name.

    One with the argument `reduction` gives one loss a row; any other is a loss of the whole batch.
    """

    kind: Literal["module"]
    """The objective's kind."""
    module: str
    """The dotted name of a class, such as `torch.nn.SmoothL1Loss`."""
    inputs: str | tuple[str, ...]
    """What it reads, in the order of its arguments."""
    args: dict[str, Any] = {}
    """The class's own arguments."""


class FunctionSpec(ObjectiveBase):
    """Any function of tensors, of a package that you trust by name."""

    kind: Literal["function"]
    """The objective's kind."""
    function: str
    """Such as `my_package.losses:log_cosh`."""
    inputs: str | tuple[str, ...]
    """What it reads, in the order of its arguments."""
    args: dict[str, Any] = {}
    """Further arguments by name."""
    per_example: bool = True
    """Whether it returns one loss a row, `[batch]` or `[batch, *]`, or one of the whole batch."""
