"""What the learner file says of the teacher."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from jumpml.core._spec import Spec

_Positive = Annotated[float, Field(gt=0)]


class UniformSpec(Spec):
    """Every arm as often as every other."""

    kind: Literal["uniform"]
    """The kind."""


class ProportionalSpec(Spec):
    """Every arm as often as it has rows."""

    kind: Literal["proportional"]
    """The kind."""


class TemperatureSpec(Spec):
    """Shares by rows to the power of 1 over a temperature (Arivazhagan et al. 2019, https://arxiv.org/abs/1907.05019)."""

    kind: Literal["temperature"]
    """The kind."""
    temperature: _Positive = 5.0
    """1 is `proportional`; the higher, the nearer to `uniform`."""


class AnnealedSpec(Spec):
    """A temperature that moves within the phase (Stickland & Murray 2019, https://arxiv.org/abs/1902.02671)."""

    kind: Literal["annealed"]
    """The kind."""
    start: _Positive = 1.0
    """The temperature at the phase's start."""
    end: _Positive = 5.0
    """The temperature at its end; 1 over it moves in a straight line."""


class Exp3SSpec(Spec):
    """Exponential weights for rewards that move (Graves et al. 2017, https://arxiv.org/abs/1704.03003)."""

    kind: Literal["exp3s"]
    """The kind."""
    eta: _Positive = 0.1
    """How far one reward moves a weight; the paper's .001 is for runs of 100 000 updates."""


_Kinds = Annotated[
    UniformSpec | ProportionalSpec | TemperatureSpec | AnnealedSpec | Exp3SSpec, Field(discriminator="kind")
]

TeacherSpec = Literal["uniform", "proportional", "temperature", "annealed", "exp3s"] | _Kinds
"""A kind's name, with its own defaults, or a mapping with its options."""
