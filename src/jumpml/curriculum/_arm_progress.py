"""What a policy sees of how each arm is getting on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.curriculum._teacher import Array

_FAST, _SLOW = 0.3, 0.1  # how much of a moving mean one reward is


@final
class ArmProgress:
    """Of each arm: its share lately beside an even one, its mean reward, and where that is heading.

    Args:
        count: How many arms.

    Example:
        >>> progress = ArmProgress(2)
        >>> progress.observe(0, 1.0)
        >>> progress.features().round(2)
        array([[ 0.05,  0.3 ,  0.2 ],
               [-0.05,  0.  ,  0.  ]])
    """

    def __init__(self, count: int) -> None:
        self._shares = np.full(count, 1 / count)
        self._fast, self._slow = np.zeros(count), np.zeros(count)

    def observe(self, arm: int, reward: float) -> None:
        """Take in a reward.

        Args:
            arm: Its arm.
            reward: In [-1, 1].
        """
        self._shares = (1 - _SLOW) * self._shares
        self._shares[arm] += _SLOW
        self._fast[arm] += _FAST * (reward - self._fast[arm])
        self._slow[arm] += _SLOW * (reward - self._slow[arm])

    def features(self) -> Array:
        """Share, mean reward and slope, each about from -1 to 1: float64 ``[arms, 3]``."""
        even = self._shares * len(self._shares)
        return np.stack([(even - 1) / (even + 1), self._fast, self._fast - self._slow], axis=1)

    def state_dict(self) -> dict[str, Any]:
        """The moving means."""
        return {"shares": self._shares.tolist(), "fast": self._fast.tolist(), "slow": self._slow.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._shares, self._fast, self._slow = (np.array(state[name]) for name in ("shares", "fast", "slow"))
