"""Functions that only put numbers elsewhere: where they put those of units."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from jumpml.graph.growth._follow import Place
from jumpml.graph.growth._units import SWEEP

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from jumpml.graph.growth._follow import Call
    from jumpml.graph.growth._units import Labels, Units

_MANY = 1 << 40  # more units than there are


def move(call: Call) -> None:
    """Functions that only put numbers elsewhere: they are asked where they put the units' labels."""
    if not call.tracked:
        return
    known = [*dict.fromkeys(units for place in call.places() for units, _ in place.parts)]
    if any(units.count == 1 for units in known) and _move(call, known, beside=True):
        return
    _move(call, known, beside=False)


def _move(call: Call, known: Sequence[Units], *, beside: bool) -> bool:
    """Note where the labels have come to.

    Args:
        call: The call.
        known: All units that it was given.
        beside: Put a second unit beside each that is alone, whose own axis no difference would show.

    Returns:
        Whether the function can be called so: one that names sizes may not take another unit.
    """
    codes = {id(value): _coded(value, call.follower.place(value), known, beside) for value in call.tracked}
    joins = call.name in {"cat", "concat", "stack"}

    def asked(value: Any) -> Any:
        if not isinstance(value, Tensor) or not (joins or id(value) in codes):
            return value
        return codes[id(value)] if id(value) in codes else torch.full(value.shape, -1)

    values, moved = tree_leaves(call.result), []
    try:
        with torch._C.DisableTorchFunction():
            moved = tree_leaves(call.func(*tree_map(asked, call.args), **tree_map(asked, dict(call.kwargs))))
    except (RuntimeError, IndexError):
        if not beside:
            raise
    if beside and [code.ndim for code in moved] != [value.ndim for value in values]:
        return False
    for value, code in zip(values, moved, strict=True):
        if isinstance(value, Tensor):
            _decode(call, value, code, known)
    return True


def _coded(value: Tensor, place: Place | None, known: Sequence[Units], beside: bool) -> Tensor:
    """In the place of each number its unit's, among all units that are known; -1 where it is none's."""
    if place is None:
        return torch.full(value.shape, -1)
    line = torch.full((value.shape[place.axis],), -1)
    for units, labels in place.parts:
        own = torch.tensor(labels)
        line = torch.where(own >= 0, own + known.index(units) * _MANY, line)
    if beside:
        alone = {number for number, units in enumerate(known) if units.count == 1}
        line = torch.tensor(_doubled(line.tolist(), alone))
    shape = [size if axis != place.axis else len(line) for axis, size in enumerate(value.shape)]
    return line.view([-1 if axis == place.axis else 1 for axis in range(value.ndim)]).expand(shape).clone()


def _doubled(line: Sequence[int], alone: Collection[int]) -> list[int]:
    """Codes along an axis, with as many of a second unit behind those of one that is alone, in each sweep."""
    made: list[int] = []
    for code, run in groupby(line):
        own = [*run]
        made += own + ([code + 1] * len(own) if code >= 0 and code // _MANY in alone else [])
    return made


def _decode(call: Call, value: Tensor, codes: Tensor, known: Sequence[Units]) -> None:
    if bool((codes == -1).all()):
        return
    which = torch.where(codes < 0, codes, codes - codes % _MANY + codes % SWEEP)  # whichever sweep it is in
    varies = [axis for axis in range(which.ndim) if bool((which != which.narrow(axis, 0, 1)).any())]
    if len(varies) > 1 or 0 in varies[:1]:
        call.block(f"lays them over several axes ({call.name})")
        return
    axis = varies[0] if varies else min(call.places()[0].axis, codes.ndim - 1)  # a unit alone varies nowhere
    line = codes.movedim(axis, -1).flatten(0, -2)[0].tolist()
    line = [code for code in line if code < 0 or code % SWEEP < known[code // _MANY].count]  # as without those beside
    parts = []
    for number, units in enumerate(known):
        own = [code - number * _MANY if code // _MANY == number else -1 for code in line]
        if max(own) >= 0:
            parts.append((units, _renumbered(own)))
    call.follower.put(value, Place(axis, tuple(parts)))


def _renumbered(labels: Sequence[int]) -> Labels:
    """The same with sweeps counted from the first that is there: a half of two is like the other."""
    sweeps = {sweep: number for number, sweep in enumerate(dict.fromkeys(n // SWEEP for n in labels if n >= 0))}
    return tuple(n if n < 0 else n % SWEEP + sweeps[n // SWEEP] * SWEEP for n in labels)
