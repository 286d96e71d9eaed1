"""Units: what can be added or taken away together, and every axis of every tensor on which they lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from jumpml.graph.growth._index_map import FRESH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

Labels = tuple[int, ...]  # by index along an axis, the unit that it belongs to; -1 where it is no unit's; see `swept`
SWEEP = 1 << 20  # added to a unit's number once for each sweep before; more units than a layer has
Fill = Literal["drawn", "zero", "one", "quarter"]


@dataclass(frozen=True)
class Member:
    """An axis of a parameter or buffer along which units lie.

    Attributes:
        tensor: The parameter or buffer.
        axis: The axis.
        labels: The unit of each index.
        fill: What fresh units have there: numbers that are ``drawn`` where they are made, ``zero`` where they are read.
        weight: The weight whose number of inputs says how wide to draw: the tensor's own, or of a bias the one beside.
    """

    tensor: Tensor
    axis: int
    labels: Labels
    fill: Fill
    weight: Tensor | None = None


@dataclass(eq=False)
class Units:
    """Units that must stay equally many, since something adds them up one by one.

    Attributes:
        count: How many there are.
        makers: The modules that make them, in the order in which they are called.
        members: By tensor, axis and labels, where they lie.
        obstacles: Why another number of them would change what the model computes, or cannot be.
    """

    count: int
    makers: list[str] = field(default_factory=list)
    members: dict[tuple[int, int, Labels], Member] = field(default_factory=dict)
    obstacles: list[str] = field(default_factory=list)
    _same: Units | None = None

    @property
    def root(self) -> Units:
        """The units that these have become one with."""
        return self if self._same is None else self._same.root

    def join(self, other: Units) -> None:
        """Let two stand for the same units from now on."""
        one, two = self.root, other.root
        if one is two:
            return
        one.makers += [maker for maker in two.makers if maker not in one.makers]
        one.members.update(two.members)
        one.obstacles += two.obstacles
        two._same = one

    def block(self, why: str) -> None:
        """Note what stands in the way."""
        if why not in self.root.obstacles:
            self.root.obstacles.append(why)

    def add(self, member: Member) -> None:
        """Note an axis on which they lie."""
        self.root.members[id(member.tensor), member.axis, member.labels] = member


def swept(*sweeps: Sequence[int]) -> Labels:
    """Labels of an axis along which units lie several times, sweep after sweep: in each gate of an LSTM.

    Args:
        sweeps: The unit of each index.

    Example:
        >>> [label % SWEEP for label in swept([0, 1], [0, 1])]
        [0, 1, 0, 1]
    """
    return tuple(unit + number * SWEEP for number, sweep in enumerate(sweeps) for unit in sweep)


def spread(*parts: tuple[Labels, Sequence[int]]) -> tuple[int, ...] | None:
    """Along an axis, the old index of each new one; -1 for a fresh one.

    Fresh units stand behind the others in each sweep over all of them: in each gate of an LSTM, in each of the query,
    the key and the value.

    Args:
        parts: Of units that lie along the axis, the unit of each index (-1 for those of others), and the units that
            there will be, in their order: old ones by number, -1 for a fresh one.

    Returns:
        None where the labels are no whole sweeps, each over all units in order.

    Example:
        >>> spread(((0, 0, 1, 1, -1), (0, 1, -1))), spread((swept((0, 1), (0, 1)), (1, -1))), spread(((1, 0), (0, 1)))
        ((0, 1, 2, 3, -1, -1, 4), (1, -1, 3, -1), None)
    """
    source: list[int] = []
    place, size = 0, len(parts[0][0])
    while place < size:
        labels, units = next((part for part in parts if part[0][place] >= 0), ((), ()))
        if not labels:
            source.append(place)
            place += 1
            continue
        first = labels[place] - labels[place] % SWEEP
        wide = next((n for n, label in enumerate(labels[place:]) if label != first), size - place) or 1
        sweep = [first + unit for unit in range(count_of(labels)) for _ in range(wide)]
        if [*labels[place : place + len(sweep)]] != sweep:
            return None
        for unit in units:
            source += [FRESH if unit == FRESH else place + unit * wide + inner for inner in range(wide)]
        place += len(sweep)
    return tuple(source)


def count_of(labels: Labels) -> int:
    """How many units there are."""
    return max((label % SWEEP for label in labels if label >= 0), default=-1) + 1
