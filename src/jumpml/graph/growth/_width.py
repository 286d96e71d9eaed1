"""More units, or fewer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import torch

from jumpml.core import GraphError
from jumpml.graph.growth._index_map import FRESH
from jumpml.graph.growth._resize import put, resized
from jumpml.graph.growth._surgery import Entry, Moved, Surgery
from jumpml.graph.growth._survey import chosen, survey
from jumpml.graph.growth._units import SWEEP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.graph._model import Model
    from jumpml.graph.growth._units import Units


@final
@dataclass(frozen=True)
class Widen(Surgery):
    """Give layers more units: outputs of a linear layer, channels, hidden units of a recurrent one, heads of attention.

    New units read with weights that are drawn, and are read with weights of zero, so that nothing is computed
    otherwise. They learn at once: what is read with zero has a gradient there. (Units that are copies of others, as in
    Chen et al. 2016, https://arxiv.org/abs/1511.05641, stay so as long as their gradients and moments are the same, and
    add nothing.)

    Attributes:
        node: A node, whose layers are all widened where nothing stands in the way, or a module inside one.
        factor: How many times more units, above 1; at least one more.

    Raises:
        GraphError: As it is made, the factor is not above 1.
    """

    kind: ClassVar[str] = "widen"
    node: str
    factor: float

    def __post_init__(self) -> None:
        if not self.factor > 1:
            raise GraphError(f"widen: expected a factor above 1, such as 1.5; got {self.factor}.")

    def resolve(self, model: Model, seed: int) -> Entry:
        """The number of units of each layer."""
        free = chosen(model, self.node)
        found = {units.makers[0]: max(units.count + 1, round(units.count * self.factor)) for units in free}
        text = "grew " + ", ".join(f"{u.makers[0]} {u.count} -> {found[u.makers[0]]}" for u in free)
        return {"kind": self.kind, "text": text, "at": found, "seed": seed}

    @staticmethod
    def operate(model: Model, entry: Entry) -> Mapping[Tensor, Moved]:
        """Widen."""
        by_maker = _by_maker(model, entry["at"])
        changes = {
            units: [*range(units.count), *[FRESH] * (entry["at"][maker] - units.count)]
            for maker, units in by_maker.items()
        }
        return _resize(model, changes, entry["seed"])


@final
@dataclass(frozen=True)
class Shrink(Surgery):
    """Take units away, those first that count least.

    A unit counts as much as its incoming weights are long, times its outgoing ones. What the model computes changes,
    unless these are zero.

    Attributes:
        node: A node, or a module inside one, as for `Widen`.
        factor: The share of the units that stays, between 0 and 1; at least one does.

    Raises:
        GraphError: As it is made, the factor is not between 0 and 1.
    """

    kind: ClassVar[str] = "shrink"
    preserves: ClassVar[bool] = False
    node: str
    factor: float

    def __post_init__(self) -> None:
        if not 0 < self.factor < 1:
            raise GraphError(f"shrink: expected a factor between 0 and 1, such as 0.5; got {self.factor}.")

    def resolve(self, model: Model, seed: int) -> Entry:
        """The units of each layer that stay."""
        free, kept = chosen(model, self.node), {}
        for units in free:
            stay = max(1, round(units.count * self.factor))
            kept[units.makers[0]] = sorted(importance(units).topk(stay).indices.tolist())
        text = "shrank " + ", ".join(f"{u.makers[0]} {u.count} -> {len(kept[u.makers[0]])}" for u in free)
        return {"kind": self.kind, "text": text, "at": kept, "seed": seed}

    @staticmethod
    def operate(model: Model, entry: Entry) -> Mapping[Tensor, Moved]:
        """Shrink."""
        by_maker = _by_maker(model, entry["at"])
        return _resize(model, {units: entry["at"][maker] for maker, units in by_maker.items()}, entry["seed"])


def importance(units: Units) -> Tensor:
    """How much each unit counts, ``[units]``: the length of its incoming weights times that of its outgoing ones."""
    sums = {"drawn": torch.zeros(units.count), "zero": torch.zeros(units.count)}
    for member in units.members.values():
        if member.fill in sums and member.tensor.ndim > 1:
            squares = member.tensor.detach().cpu().float().square().movedim(member.axis, 0).flatten(1).sum(1)
            labels = torch.tensor(member.labels)
            sums[member.fill].index_add_(0, labels[labels >= 0] % SWEEP, squares[labels >= 0])
    read = sums["zero"] if bool(sums["zero"].any()) else torch.ones(units.count)
    return (sums["drawn"] * read).sqrt()


def _by_maker(model: Model, named: Mapping[str, object]) -> dict[str, Units]:
    found = {units.makers[0]: units for units in survey(model)}
    missing = [maker for maker in named if maker not in found]
    if missing:
        raise GraphError(f"the lineage names units of {', '.join(map(repr, missing))}, which this model does not have.")
    return {maker: found[maker] for maker in named}


def _resize(model: Model, changes: Mapping[Units, Sequence[int]], seed: int) -> Mapping[Tensor, Moved]:
    names = {id(t): name for name, t in (*model.named_parameters(), *model.named_buffers())}
    return put(model, resized(changes, names, seed))
