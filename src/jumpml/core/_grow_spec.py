"""What the learner file says of growth."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from jumpml.core._spec import Name, Spec, exactly_one


class GrowPlateauSpec(Spec):
    """When a figure on the validation rows has not become better for a while."""

    metric: str = "val/loss"
    """`val/<task>/<metric>`, `val/embedding/<node>/<figure>` or `val/loss`."""
    patience: Annotated[int, Field(ge=0)] = 3
    """Epochs without a better figure that are put up with."""
    min_delta: Annotated[float, Field(ge=0)] = 0.0
    """What counts as better differs by more than this."""
    mode: Literal["auto", "max", "min"] = "auto"
    """Whether more is better; `auto` asks the metric."""
    times: Annotated[int, Field(ge=1)] = 1
    """How often it may happen; the patience begins anew each time."""


class GrowTriggerSpec(Spec):
    """When a model grows: at the end of an epoch."""

    model_config = ConfigDict(json_schema_extra=exactly_one("epoch", "plateau"))

    epoch: Annotated[int, Field(ge=1)] | None = None
    """At the end of this epoch of the phase."""
    plateau: GrowPlateauSpec | None = None
    """When a figure stays where it is."""
    phase: Name = "supervised"
    """The phase whose epochs are looked at."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.epoch is None) == (self.plateau is None):
            raise ValueError(f"expected either epoch or plateau, got {'neither' if self.epoch is None else 'both'}")
        return self


class BranchSpec(Spec):
    """A new node whose output is added to the node's, times a gate that is zero at first."""

    name: Name
    """The new node's name."""
    module: str
    """The dotted name of its class, of `torch.nn` or `jumpml.blocks`; its output has the shape of the node's."""
    inputs: str | tuple[str, ...]
    """What it reads: fields, also such as no node has read yet, and nodes."""
    args: dict[str, Any] = {}
    """The class's own arguments."""


_SURGERIES = ("widen", "shrink", "deepen", "low_rank", "merge", "branch")


class GrowSpec(Spec):
    """A surgery on the model while it learns: it has more units, or fewer, and goes on."""

    model_config = ConfigDict(json_schema_extra=exactly_one(*_SURGERIES))

    trigger: GrowTriggerSpec
    """When."""
    node: str
    """A node, or a module inside one, such as `encoder.layers.1`."""
    widen: Annotated[float, Field(gt=1)] | None = None
    """How many times more units each layer of it gets. What the model computes stays the same."""
    shrink: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The share of each layer's units that stays: those with the longest weights."""
    deepen: Annotated[int, Field(ge=1)] | None = None
    """How many layers it gets behind those that it has; each adds zeros at first."""
    low_rank: Annotated[int, Field(ge=1)] | None = None
    """The rank of a branch beside each of its linear and convolutional layers, which learns in the place of their
    weights (Hu et al. 2021, https://arxiv.org/abs/2106.09685)."""
    merge: Literal[True] | None = None
    """Add its branches of low rank to the weights, which learn again."""
    branch: BranchSpec | None = None
    """A new node beside it, which may read a field that nothing has read yet: a new modality."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name in _SURGERIES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected one of {', '.join(_SURGERIES)}, got {' and '.join(given) or 'none'}")
        return self
