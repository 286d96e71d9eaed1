"""What the specs of all objectives share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from jumpml.core._spec import Spec

Strength = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Power = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
ClassWeights = Literal["balanced"] | tuple[Strength, ...] | dict[str, Strength]
PositiveWeight = Literal["balanced"] | Positive


class WeightSpec(Spec):
    """A weight that moves over a phase; it is what its last value says in validation."""

    start: Strength
    """The weight at first."""
    end: Strength
    """The weight at last."""
    after: Annotated[float, Field(ge=0)] = 0.0
    """Epochs before it begins to move; fractions count."""
    over: Annotated[float, Field(ge=0)] | None = None
    """Epochs that the way takes: 0 is a step; until the phase ends where left out."""
    shape: Literal["linear", "cosine"] = "linear"
    """A straight line, or slow at first and at last."""


class ObjectiveBase(Spec):
    """What every objective says."""

    weight: Strength | WeightSpec = 1.0
    """What the loss is multiplied by in the sum: a number, or a mapping with its way over the phase."""
    when: tuple[str, ...] | Literal["all"] = ("supervised",)
    """The phases in which it is active."""
