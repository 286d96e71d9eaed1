"""Every arm as often as every other."""

from __future__ import annotations

from typing import final

import numpy as np

from jumpml.curriculum._teacher import Array, Teacher


@final
class Uniform(Teacher):
    """Every arm as often as every other: what other teachers are measured by.

    Example:
        >>> from jumpml.curriculum import Arm
        >>> teacher = Uniform()
        >>> teacher.begin([Arm("digit", rows=900), Arm("ink", rows=100)])
        >>> teacher.probabilities()
        array([0.5, 0.5])
    """

    kind = "uniform"
    learns = False

    def shares(self) -> Array:
        """One each."""
        return np.ones(len(self.arms))

    def identity(self) -> str:
        """Its kind."""
        return self.kind
