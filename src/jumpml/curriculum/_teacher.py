"""What a teacher is: it says which of several arms the next update learns from, and hears what came of it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from jumpml.core import LearnerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Array = NDArray[np.float64]
LEAST_SHARE = 1e-12  # what is divided by for an arm that was never to be drawn, and was
_MOST = 1e100  # a reward's size: the squares and sums that teachers make of it are finite


@dataclass(frozen=True)
class Arm:
    """What a teacher knows of something that can be learned from.

    Attributes:
        name: Its name; of a product, that of each axis: ``digit/2``.
        rows: How many train rows it has.
        coordinates: Its place on each axis, where arms are a product of several (task and difficulty); else empty.
    """

    name: str
    rows: int
    coordinates: tuple[int, ...] = ()


class Teacher(ABC):
    """Chooses an arm for each update, by the rewards that it is told.

    It begins afresh with each phase that has arms. One of your own says its `shares`, and where it learns, how
    (`learn`) and what it keeps (`state_dict`, `load_state_dict`, both with what this class keeps); arms, floor and the
    refusal of bad rewards are seen to here. `jumpml.testing.check_teacher` says whether it keeps the rules.

    Attributes:
        kind: Its name in a learner file.
        learns: Whether rewards change anything; where not, none is measured.
        arms: Those that it chooses from now.
        floor: The share that all arms have between them, evenly.
        progress: How much of the phase is over, from 0 to 1.
    """

    kind: ClassVar[str]
    learns: ClassVar[bool] = True
    arms: tuple[Arm, ...] = ()
    floor: float = 0.0
    progress: float = 0.0

    def begin(self, arms: Sequence[Arm], floor: float = 0.0) -> None:
        """Choose from these arms from now on; what was learned of others is forgotten.

        Args:
            arms: In their order.
            floor: The share that all arms have between them, evenly, so that none dies; 1 leaves nothing to choose.

        Raises:
            LearnerError: There is no arm, two have one name, one has no rows, their coordinates are of several
                lengths, or the floor is not a share.
        """
        self._validate(arms, floor)
        self.arms, self.floor, self.progress = tuple(arms), floor, 0.0
        self._drawn: Array | None = None

    def _validate(self, arms: Sequence[Arm], floor: float) -> None:
        if not arms:
            raise LearnerError(f"{self.kind}: expected arms to choose from, got none.")
        names = [arm.name for arm in arms]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise LearnerError(f"{self.kind}: expected arms of different names, got {twice[0]!r} twice.")
        if empty := [arm.name for arm in arms if arm.rows < 1]:
            raise LearnerError(f"{self.kind}: arm {empty[0]!r} has no rows to learn from. Leave it out.")
        if len({len(arm.coordinates) for arm in arms}) > 1:
            raise LearnerError(f"{self.kind}: expected as many coordinates of each arm, got several lengths.")
        if not 0 <= floor <= 1:
            raise LearnerError(f"{self.kind}: expected a floor from 0 to 1, got {floor!r}.")

    @abstractmethod
    def shares(self) -> Array:
        """How often each arm should be chosen, before the floor: float64 ``[arms]``, not negative, not all zero."""

    def learn(self, arm: int, reward: float, drawn: Array) -> None:  # noqa: B027 (some do not learn)
        """Take in what an update on an arm brought.

        Args:
            arm: Its place.
            reward: A finite number; more is better.
            drawn: The probabilities ``[arms]`` by which it was drawn.
        """

    @final
    def probabilities(self) -> Array:
        """How likely each arm is to be proposed next: float64 ``[arms]``, at least ``floor / arms`` each, 1 together.

        Raises:
            LearnerError: `shares` gives something else than shares.
        """
        shares, count = np.asarray(self.shares(), dtype=np.float64), len(self.arms)
        total = shares.sum()
        if shares.shape != (count,) or not np.isfinite(total) or (shares < 0).any() or total <= 0:
            found = np.array2string(shares, precision=4, threshold=8)
            raise LearnerError(
                f"{self.kind}: expected {count} shares that are not negative and sum to something, got {found}."
            )
        found = (1 - self.floor) * (shares / total) + self.floor / count
        return found / found.sum()

    @final
    def propose(self, generator: np.random.Generator) -> int:
        """The place of the arm that the next update learns from; draws one number.

        Args:
            generator: What is drawn from.
        """
        self._drawn = self.probabilities()
        bounds = self._drawn.cumsum()
        place = int(np.searchsorted(bounds, generator.random() * bounds[-1], side="right"))
        self.proposed()
        return min(place, int(np.flatnonzero(self._drawn)[-1]))  # the product above may round up

    def proposed(self) -> None:  # noqa: B027 (most keep nothing of it)
        """Hear that an arm was just drawn by `probabilities`, for what must be kept of then until its reward comes."""

    @final
    def observe(self, arm: int, reward: float) -> None:
        """Hear what an update on an arm brought. Several proposals may come before their rewards do.

        Args:
            arm: Its place.
            reward: More is better.

        Raises:
            LearnerError: There is no such arm, or the reward is NaN or infinite.
        """
        if not 0 <= arm < len(self.arms):
            raise LearnerError(f"{self.kind}: expected the place of one of {len(self.arms)} arms, got {arm!r}.")
        if not math.isfinite(reward):
            raise LearnerError(
                f"{self.kind}: the reward of arm {self.arms[arm].name!r} is {reward}; expected a finite number. "
                "Leave out a reward that could not be measured, and look for the cause in that arm's losses."
            )
        drawn = self.probabilities() if self._drawn is None else self._drawn
        self.learn(arm, min(max(float(reward), -_MOST), _MOST), drawn)

    def advance(self, progress: float) -> None:
        """Hear how much of the phase is over.

        Args:
            progress: From 0 to 1.

        Raises:
            LearnerError: It is not.
        """
        if not 0 <= progress <= 1:
            raise LearnerError(f"{self.kind}: expected a progress from 0 to 1, got {progress!r}.")
        self.progress = float(progress)

    def state_dict(self) -> dict[str, Any]:
        """What it has learned, and the names of its arms: plain values."""
        drawn = None if self._drawn is None else self._drawn.tolist()
        return {"arms": [arm.name for arm in self.arms], "progress": self.progress, "drawn": drawn}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state, of the same kind and the same arms; `begin` comes before.

        Args:
            state: What `state_dict` gave.

        Raises:
            LearnerError: It is of other arms.
        """
        names = [arm.name for arm in self.arms]
        if state["arms"] != names:
            raise LearnerError(
                f"{self.kind}: expected a state of the arms {', '.join(names)}; got one of {', '.join(state['arms'])}."
            )
        self.progress = state["progress"]
        self._drawn = None if state["drawn"] is None else np.array(state["drawn"])

    @abstractmethod
    def identity(self) -> str:
        """In words, what must be the same for a resumed run to be the same run."""
