"""Arms by how many rows they have: in proportion, or nearer to evenly by a temperature."""

from __future__ import annotations

from typing import final

import numpy as np

from jumpml.core import positive
from jumpml.curriculum._teacher import Array, Teacher


@final
class Proportional(Teacher):
    """Every arm as often as it has rows, so that every row comes equally often.

    Example:
        >>> from jumpml.curriculum import Arm
        >>> teacher = Proportional()
        >>> teacher.begin([Arm("digit", rows=900), Arm("ink", rows=100)])
        >>> teacher.probabilities()
        array([0.9, 0.1])
    """

    kind = "proportional"
    learns = False

    def shares(self) -> Array:
        """The rows of each."""
        return _by_rows(self, 1.0)

    def identity(self) -> str:
        """Its kind."""
        return self.kind


@final
class Temperature(Teacher):
    """Shares by the rows of arms to the power of 1 over a temperature: small arms come more often than by their rows.

    Temperature-scaled mixing (Arivazhagan et al. 2019, https://arxiv.org/abs/1907.05019): at 1 it is `Proportional`,
    and the higher, the nearer to `Uniform`.

    Args:
        temperature: The temperature.

    Raises:
        LearnerError: It is not above 0.

    Example:
        >>> from jumpml.curriculum import Arm
        >>> teacher = Temperature(2.0)
        >>> teacher.begin([Arm("digit", rows=900), Arm("ink", rows=100)])
        >>> teacher.probabilities()
        array([0.75, 0.25])
    """

    kind = "temperature"
    learns = False

    def __init__(self, temperature: float = 5.0) -> None:
        self._temperature = positive(self.kind, "a temperature", temperature)

    def shares(self) -> Array:
        """The rows of each, to the power."""
        return _by_rows(self, 1 / self._temperature)

    def identity(self) -> str:
        """Its kind and temperature."""
        return f"{self.kind} {self._temperature:g}"


@final
class Annealed(Teacher):
    """A temperature that moves with the phase, from the rows' own shares to nearly even ones.

    Annealed sampling (Stickland & Murray 2019, https://arxiv.org/abs/1902.02671): the power to which rows are taken, 1
    over the temperature, moves in a straight line; the paper's goes from 1 to .2.

    Args:
        start: The temperature at the phase's start.
        end: At its end.

    Raises:
        LearnerError: One is not above 0.

    Example:
        >>> from jumpml.curriculum import Arm
        >>> teacher = Annealed(start=1.0, end=2.0)
        >>> teacher.begin([Arm("digit", rows=900), Arm("ink", rows=100)])
        >>> teacher.advance(1.0)
        >>> teacher.probabilities()
        array([0.75, 0.25])
    """

    kind = "annealed"
    learns = False

    def __init__(self, start: float = 1.0, end: float = 5.0) -> None:
        self._start, self._end = positive(self.kind, "start", start), positive(self.kind, "end", end)

    def shares(self) -> Array:
        """The rows of each, to the power of now."""
        return _by_rows(self, (1 - self.progress) / self._start + self.progress / self._end)

    def identity(self) -> str:
        """Its kind and temperatures."""
        return f"{self.kind} from {self._start:g} to {self._end:g}"


def _by_rows(teacher: Teacher, power: float) -> Array:
    logarithms = np.log([arm.rows for arm in teacher.arms])
    return np.exp(power * (logarithms - logarithms.max()))  # a high power of many rows is no number
