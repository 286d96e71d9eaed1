"""Penalties on nodes and on parameters."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import ConfigDict, NonNegativeInt, model_validator

from jumpml.core._objective_base import ObjectiveBase
from jumpml.core._spec import NodePattern, exactly_one


class _PenaltySpec(ObjectiveBase):
    model_config = ConfigDict(json_schema_extra=exactly_one("inputs", "parameters"))

    inputs: str | None = None
    """The node whose output it is a penalty on."""
    parameters: NodePattern | tuple[NodePattern, ...] | None = None
    """Or the nodes whose parameters it is a penalty on."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.inputs is None) == (self.parameters is None):
            raise ValueError("expected either inputs, a node's output, or parameters, those of nodes")
        return self


class L1Spec(_PenaltySpec):
    """Mean absolute value of a node's output, or of its parameters."""

    kind: Literal["l1"]
    """The objective's kind."""


class L2Spec(_PenaltySpec):
    """Mean square of a node's output, or of its parameters."""

    kind: Literal["l2"]
    """The objective's kind."""


class OrthogonalitySpec(_PenaltySpec):
    """How far vectors are from being of length 1 and orthogonal to each other.

    They are those of each row `[vectors, width]`, or the rows of each weight of two axes or more; Brock et al. 2017, https://arxiv.org/abs/1609.07093.
    """

    kind: Literal["orthogonality"]
    """The objective's kind."""


class TotalVariationSpec(_PenaltySpec):
    """How much neighbours differ: the mean absolute difference along each axis of space, summed over these.

    Rudin et al. 1992, https://doi.org/10.1016/0167-2789(92)90242-F. Of parameters it is on kernels of three axes or
    more, the mean over all but the first two.
    """

    kind: Literal["total_variation"]
    """The objective's kind."""
    axes: tuple[NonNegativeInt, ...] | None = None
    """The axes of a row of the node's output along which neighbours lie, 0 for its first; all but the first where left
    out, so that channels of a picture are not compared."""
