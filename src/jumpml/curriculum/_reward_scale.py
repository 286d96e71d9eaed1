"""Rewards of any unit in [-1, 1]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np

from jumpml.core import derive_seed

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROWS = 1000  # rewards that are kept: enough for two quantiles
_LOW, _HIGH = 0.2, 0.8


@final
class RewardScale:
    """Puts a reward where it lies between the 20th and the 80th percentile of those before it, from -1 to 1.

    After Graves et al. 2017 (https://arxiv.org/abs/1704.03003), section 3: what is beyond a percentile is cut off, and
    the percentiles are those of a reservoir, in which each reward so far is as likely as any other. Where the two are
    the same, so that there is nothing to scale by, what equals them is 0.

    Example:
        >>> scale = RewardScale()
        >>> [round(scale(reward), 2) for reward in (5.0, 5.0, 7.0, 6.0, 5.5)]
        [0.0, 0.0, 1.0, 0.43, -0.17]
    """

    def __init__(self) -> None:
        self._kept: list[float] = []
        self._seen = 0

    def __call__(self, reward: float) -> float:
        """Scale a reward, and remember it.

        Args:
            reward: A finite number.
        """
        self._remember(reward)
        low, high = (float(value) for value in np.quantile(self._kept, (_LOW, _HIGH)))
        if low < reward < high:
            return 2 * (reward - low) / (high - low) - 1
        if low == high == reward:
            return 0.0
        return -1.0 if reward <= low else 1.0

    def _remember(self, reward: float) -> None:
        """Vitter's algorithm R; which place the n-th reward takes depends on n alone, so that nothing else is kept."""
        self._seen += 1
        if len(self._kept) < _ROWS:
            self._kept.append(reward)
        elif (place := derive_seed("reward", self._seen) % self._seen) < _ROWS:
            self._kept[place] = reward

    def state_dict(self) -> dict[str, Any]:
        """The rewards that are kept, and how many were seen."""
        return {"kept": list(self._kept), "seen": self._seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._kept, self._seen = list(state["kept"]), state["seen"]
