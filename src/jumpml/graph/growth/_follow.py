"""Following units through a model: what torch is called with in a pass shows on which axes they lie."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from jumpml.graph._node import class_name
from jumpml.graph.growth._units import Fill, Labels, Member, Units, count_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


Part = tuple[Units, Labels]


class Place(NamedTuple):
    """Where units lie in a value, or in a parameter.

    Attributes:
        axis: The axis.
        parts: The units that lie there, each with the unit of each index; those of others are -1.
    """

    axis: int
    parts: tuple[Part, ...]

    def block(self, why: str) -> None:
        """Note an obstacle to all of them."""
        for units, _ in self.parts:
            units.block(why)


class Follower(TorchFunctionMode):
    """While it is entered, notes of every value on which of its axes units lie.

    Args:
        owners: By parameter or buffer (its id), the module that it belongs to, by its name.
        labels: By weight (its id), the unit of each of its outputs, where that is not one an output.
        rule_of: By the name of a function, what to note at a call of it.
    """

    def __init__(
        self,
        owners: Mapping[int, str],
        labels: Mapping[int, Labels],
        rule_of: Callable[[str], Callable[[Call], None]],
    ) -> None:
        super().__init__()
        self.owners = owners
        self.all: list[Units] = []
        self.within: list[tuple[str, nn.Module]] = []  # the modules that are being called, the outermost first
        self._declared, self._rule_of = labels, rule_of
        self._made: dict[int, Units] = {}
        self._read: dict[tuple[int, int], tuple[tuple[Part, ...], Fill]] = {}
        self._places: dict[int, tuple[Tensor, Place]] = {}  # the tensor too, lest another gets its id

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Torch calls this in the place of each of its functions."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        given = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        made = [value for value in tree_leaves(result) if isinstance(value, Tensor)]
        if made:
            name = getattr(func, "__name__", str(func))
            call = Call(self, name, func, args, kwargs, result, [v for v in given if self.place(v) is not None])
            self._rule_of(name)(call)
        return result

    def place(self, value: Any) -> Place | None:
        """Where units lie in a value."""
        found = self._places.get(id(value))
        return found[1] if found else None

    def put(self, value: Tensor, place: Place) -> None:
        """Note where units lie in a value."""
        self._places[id(value)] = value, place

    def made_by(self, weight: Tensor, axis: int, labels: Labels | None = None) -> Place | None:
        """The units that a weight makes, where they lie in it; None for what is no parameter.

        Args:
            weight: The weight.
            axis: The axis of it along which they lie.
            labels: The unit of each index, where that is not one an index.
        """
        owner = self.owners.get(id(weight))
        if owner is None:
            return None
        labels = labels or self._declared.get(id(weight), tuple(range(weight.shape[axis])))
        units = self._made.get(id(weight))
        if units is None:
            units = self._made[id(weight)] = Units(count_of(labels), [owner])
            self.all.append(units)
        place = Place(axis, ((units, labels),))
        self.use(weight, axis, place, "drawn", weight)
        return place

    def use(self, tensor: Tensor, axis: int, place: Place | None, fill: Fill, weight: Tensor | None = None) -> None:
        """Note that units lie along an axis of a parameter or buffer, or that none do."""
        parts = place.parts if place else ()
        if id(tensor) not in self.owners:
            if place is not None:
                place.block(f"{self.where()} uses weights on them that are computed")
            return
        known = self._read.setdefault((id(tensor), axis), (parts, fill))
        if known[1] != fill or [labels for _, labels in known[0]] != [labels for _, labels in parts]:
            for units, _ in (*known[0], *parts):
                units.block(f"{self.where()} uses its weights on something else too")
            return
        for (units, labels), (other, _) in zip(parts, known[0], strict=True):
            units.join(other)
            units.add(Member(tensor, axis, labels, fill, weight))

    def where(self) -> str:
        """The module that is being called, for an obstacle."""
        if not self.within:
            return "the graph"
        path, module = self.within[-1]
        return f"{path!r} ({class_name(type(module))})"


class Call(NamedTuple):
    """One call of a function of torch.

    Attributes:
        follower: Who notes it.
        name: The function's.
        func: The function.
        args: Its positional arguments.
        kwargs: Its named ones.
        result: What it gave.
        tracked: Those of the tensors that it was given on which units lie.
    """

    follower: Follower
    name: str
    func: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    result: Any
    tracked: list[Tensor]

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """An argument, by whichever way it came."""
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)

    def places(self) -> list[Place]:
        """Where units lie in what it was given."""
        return [place for value in self.tracked if (place := self.follower.place(value)) is not None]

    def block(self, why: str) -> None:
        """Note an obstacle to all units that it was given."""
        for place in self.places():
            place.block(f"{self.follower.where()} {why}")

    def put(self, place: Place, axis: int, value: Any = None) -> None:
        """Note where units lie in what it gave."""
        self.follower.put(self.result if value is None else value, place._replace(axis=axis))


@contextmanager
def watching(follower: Follower, names: Mapping[nn.Module, str]) -> Iterator[None]:
    """Inside, the follower is asked at each call, and knows which module is being called."""

    def enter(module: nn.Module, _: Any) -> None:
        follower.within.append((names[module], module))

    def leave(*_: Any) -> None:
        follower.within.pop()

    handles = [module.register_forward_pre_hook(enter, prepend=True) for module in names]
    handles += [module.register_forward_hook(leave, always_call=True) for module in names]
    try:
        with follower, torch.no_grad():
            yield
    finally:
        for handle in handles:
            handle.remove()
