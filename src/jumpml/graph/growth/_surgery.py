"""Surgeries: what can be done to a model that is there, and how it is written into its lineage."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, final

from jumpml.graph.growth._index_map import FRESH, Axes, IndexMap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from jumpml.graph._model import Model

Entry = dict[
    str, Any
]  # a surgery in a lineage, in plain values: `kind`, `text`, `seed`, and by module, `at`, what to do


class Surgery(ABC):
    """Something to do to a model. What it computes stays the same, unless the surgery says otherwise.

    A surgery is resolved once, against the model as it then is; what that gave is its entry in the model's lineage, by
    which it is done again to a model that is built anew.
    """

    kind: ClassVar[str]
    """Its name in a lineage."""
    preserves: ClassVar[bool] = True
    """Whether the model computes the same afterwards."""

    @abstractmethod
    def resolve(self, model: Model, seed: int) -> Entry:
        """What there is to do to this model, whatever its weights are: an `Entry`.

        Args:
            model: It is left as it is.
            seed: Of what is drawn.

        Raises:
            GraphError: It cannot be done; the text names what stands in the way.
        """

    def perform(self, model: Model) -> Mapping[Tensor, Moved] | None:
        """Do it where it holds more than an entry can; None where the entry says all."""
        return None

    @staticmethod
    @abstractmethod
    def operate(model: Model, entry: Entry) -> Mapping[Tensor, Moved]:
        """Do what an entry says.

        Returns:
            By new tensor, the one that it took the place of, and where its indices come from.
        """


@dataclass(frozen=True)
class Moved:
    """What took the place of a tensor.

    Attributes:
        before: The tensor.
        axes: By axis that has changed, the old index of each new one.
    """

    before: Tensor
    axes: Axes


@final
@dataclass(frozen=True, kw_only=True)
class Growth:
    """What a surgery did to a model.

    Attributes:
        text: The surgery in words: ``grew encoder.layers.1 6 -> 48``.
        index_map: Where parameters and buffers come from.
        before: The parameters that the model had, by the names that they had; their values are there until the model
            grows again or lets them go.
        after: Those that it has.
    """

    text: str
    index_map: IndexMap
    before: Mapping[str, nn.Parameter] = field(repr=False)
    after: Mapping[str, nn.Parameter] = field(repr=False)


def index_map(before: Mapping[str, Tensor], after: Mapping[str, Tensor], moved: Mapping[Tensor, Moved]) -> IndexMap:
    """The map from what a model held to what it holds.

    Args:
        before: Its parameters and buffers, by name.
        after: Likewise.
        moved: What took whose place.
    """
    names = {id(tensor): name for name, tensor in before.items()}
    origin, axes = {}, {}
    for name, tensor in after.items():
        found = moved.get(tensor)
        old = names.get(id(tensor if found is None else found.before))
        if old is not None:
            origin[name] = old
            if found is not None:
                axes[name] = found.axes
    return IndexMap(before=origin, axes=axes)


def inverse(growth: Growth) -> Growth:
    """What takes a growth back: what was fresh is gone, and what was gone is fresh."""
    known = growth.index_map
    axes: dict[str, Axes] = {}
    for name, moved in known.axes.items():
        tensor = growth.before.get(known.before[name])
        if tensor is not None:
            axes[known.before[name]] = {a: _inverse(source, tensor.shape[a]) for a, source in moved.items()}
    before = {old: new for new, old in known.before.items()}
    return Growth(
        text=f"took back: {growth.text}",
        index_map=IndexMap(before=before, axes=axes),
        before=growth.after,
        after=growth.before,
    )


def _inverse(source: tuple[int, ...], size: int) -> tuple[int, ...]:
    found = {old: new for new, old in enumerate(source) if old != FRESH}
    return tuple(found.get(old, FRESH) for old in range(size))
