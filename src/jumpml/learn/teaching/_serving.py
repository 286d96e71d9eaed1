"""What an arm serves, batch after batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from jumpml.core import derive_seed
from jumpml.data import Stream

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.data import DataLoaders
    from jumpml.learn.teaching._arms import TaughtArm
    from jumpml.learn.teaching._choices import Choices

_OTHERS = "@others"  # behind an arm's name, which cannot hold it: the stream of its company


@final
class Serving:
    """Reads an arm's own rows, and the others of its batches, each from a stream that goes on where it stopped.

    Args:
        arm: The arm.
        phase: The phase's name.
        loaders: The data.
        choices: Where the streams stand.
    """

    def __init__(self, arm: TaughtArm, phase: str, loaders: DataLoaders, choices: Choices) -> None:
        self._name, self._choices, batch_size = arm.facts.name, choices, loaders.batch_size
        own = max(1, round(arm.share * batch_size))
        self._own = Stream(arm.order, own, derive_seed(loaders.seed, "arm", phase, self._name))
        self._others = None
        if arm.company is not None and own < batch_size:
            seed = derive_seed(loaders.seed, "company", phase, self._name)
            self._others = Stream(arm.company, batch_size - own, seed)

    def own(self) -> Tensor:
        """The next rows of the arm, int64 ``[rows]``, positions in the split."""
        return self._read(self._own, self._name)

    def others(self) -> Tensor | None:
        """The rows beside them; None where a batch has none."""
        return None if self._others is None else self._read(self._others, self._name + _OTHERS)

    def _read(self, stream: Stream, name: str) -> Tensor:
        places = self._choices.places
        positions, places[name] = stream.read(places.get(name, 0))
        return positions
