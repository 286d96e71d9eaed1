"""What a teacher has chosen: the updates that are to come, and what was served; a state in every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor


@final
@dataclass
class Choice:
    """The batches of an update, all of one arm.

    Attributes:
        arm: The arm's place.
        epoch: The epoch.
        first: The number of its first batch in it.
        batches: Positions in the split, int64 ``[batch]`` each.
        learned: How many of them were learned from.
    """

    arm: int
    epoch: int
    first: int
    batches: Sequence[Tensor]
    learned: int = 0

    @property
    def end(self) -> int:
        """The number of the batch after its last."""
        return self.first + len(self.batches)


@final
class Choices:
    """The choices of one phase.

    A choice is there from when its batches are asked for until they were learned from, so that a batch that is asked
    for again is the same batch.

    Args:
        seed: What the teacher draws from.

    Attributes:
        generator: What the teacher draws from.
        places: By arm, where its stream goes on.
        fresh: By arm, where the stream of rows goes on that rewards are measured on.
        waiting: Those that were asked for and not learned from yet, in their order.
    """

    def __init__(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)
        self.places: dict[str, int] = {}
        self.fresh: dict[str, int] = {}
        self.waiting: list[Choice] = []
        self._served: dict[int, list[Tensor]] = {}

    @property
    def next(self) -> Choice | None:
        """Whose batch is learned from next."""
        return self.waiting[0] if self.waiting else None

    def known(self, epoch: int, batch: int) -> Choice | None:
        """The choice that a batch belongs to; None where it is to be made.

        What waits and neither has this batch nor ends before it will not be learned from: it is forgotten. Batches of
        the next epoch may be asked for before the last of this one are learned from.
        """
        for choice in self.waiting:
            if choice.epoch == epoch and choice.first <= batch < choice.end:
                return choice
        if self.waiting:
            last = self.waiting[-1]
            if (epoch, batch) not in {(last.epoch, last.end), (last.epoch + 1, 0)}:
                self.waiting.clear()
        return None

    def learned(self) -> None:
        """A batch was learned from; one that nobody chose is none of these."""
        if not self.waiting:
            return
        choice = self.waiting[0]
        if choice.epoch not in self._served:  # the one before it is closed, and may still be asked for
            self._served = {epoch: kept for epoch, kept in self._served.items() if epoch == choice.epoch - 1}
        self._served.setdefault(choice.epoch, []).append(choice.batches[choice.learned])
        choice.learned += 1
        if choice.learned == len(choice.batches):
            self.waiting.pop(0)

    def served(self, epoch: int) -> Tensor | None:
        """The positions of all batches that an epoch was learned from, int64 ``[served]``; None of others."""
        return torch.cat(self._served[epoch]) if epoch in self._served else None

    def remember(self, before: Choices) -> None:
        """What others have served is known, too."""
        self._served = dict(before._served)

    def forget(self, epoch: int) -> None:
        """An epoch begins anew: what waits will not be learned from, and what it has served is no part of it."""
        self.waiting.clear()
        self._served.pop(epoch, None)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values."""
        state: Any = self.generator.bit_generator.state
        return {
            "generator": {
                "state": str(state["state"]["state"]),  # of 128 bits
                "inc": str(state["state"]["inc"]),
                "has_uint32": state["has_uint32"],
                "uinteger": state["uinteger"],
            },
            "places": dict(self.places),
            "fresh": dict(self.fresh),
            "waiting": [{**vars(choice), "batches": [*choice.batches]} for choice in self.waiting],
            "served": {str(epoch): torch.cat(kept) for epoch, kept in self._served.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        told = state["generator"]
        self.generator.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": {"state": int(told["state"]), "inc": int(told["inc"])},
            "has_uint32": told["has_uint32"],
            "uinteger": told["uinteger"],
        }
        self.places, self.fresh = dict(state["places"]), dict(state["fresh"])
        self.waiting = [Choice(**choice) for choice in state["waiting"]]
        self._served = {int(epoch): [kept] for epoch, kept in state["served"].items()}
