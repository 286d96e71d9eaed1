"""What the learner file says of the optimizer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from jumpml.core._spec import NodePattern, Spec

Positive = Annotated[float, Field(gt=0)]


class GroupSpec(Spec):
    """Nodes with a learning rate, arguments or an optimizer of their own; the arguments stand beside these keys."""

    model_config = ConfigDict(extra="allow")

    nodes: NodePattern | tuple[NodePattern, ...]
    """The nodes; each has at most one group."""
    kind: str | None = None
    """Another optimizer for them, with its own arguments; the same one where nothing is said. `muon`, which takes
    matrices alone, leaves the nodes' other parameters to the first optimizer."""
    lr: Positive | None = None
    """Their learning rate; the optimizer's where nothing is said. A phase's rate and a schedule keep the ratio of the
    two."""


class OptimizerSpec(Spec):
    """Any optimizer of `torch.optim`, with its own arguments beside these keys; fused where torch has that."""

    model_config = ConfigDict(extra="allow")

    kind: str = "adam"
    """The class's name in any case: `sgd`, `adam`, `adamw`, ..."""
    lr: Positive = 1e-3
    """The learning rate."""
    groups: tuple[GroupSpec, ...] = ()
    """Nodes that learn otherwise than the rest."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """What the learning rate is multiplied by with each layer away from the outputs
    (Howard & Ruder 2018, https://arxiv.org/abs/1801.06146)."""
    no_decay: tuple[Literal["norms", "biases"], ...] = ()
    """What weight decay is not for: the weights of normalization layers, biases."""
