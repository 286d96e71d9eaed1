"""What the specs of all objectives share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from jumpml.core._spec import Spec

Strength = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Power = Annotated[float, Field(ge=0)]
ClassWeights = Literal["balanced"] | tuple[Strength, ...] | dict[str, Strength]
PositiveWeight = Literal["balanced"] | Positive


class ObjectiveBase(Spec):
    """What every objective says."""

    weight: Strength = 1.0
    """What the loss is multiplied by in the sum."""
    when: tuple[str, ...] | Literal["all"] = ("supervised",)
    """The phases in which it is active."""
