"""Boxes in layers, from top to bottom, so that arrows point down and few of them cross.

The way of Sugiyama, Tagawa and Toda (1981): longest paths give the layers, an arrow over several layers gets a waypoint
in each, sorting by the neighbours' mean place undoes crossings, and each layer is then moved as near to its neighbours
as its order and the boxes' widths allow.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Waypoint = tuple[str, int]  # of a box's arrows, in a layer below it
Item = str | Waypoint
Point = tuple[float, float]

_SWEEPS = 12
_MOVES = 61  # the last one goes down: what hangs on one box alone hangs straight
_STRAIGHT = 16.0  # times as strongly as others
_BETWEEN = 28.0  # pixels between neighbours
_DOWN = 44.0  # pixels from a layer to the next
_LANE = 16.0  # a waypoint's width


@dataclass(frozen=True)
class Size:
    """How far a box reaches from its arrows' axis, and down.

    Attributes:
        left: To the left of the axis.
        right: To the right of it.
        height: From top to bottom.
    """

    left: float
    right: float
    height: float


@dataclass(frozen=True)
class Layout:
    """Where everything stands, in pixels from the upper left.

    Attributes:
        places: By box, the upper end of its axis.
        lanes: By box and by layer below it, the waypoint of its long arrows: its upper and its lower end.
        bottoms: By layer, where it ends.
        layers: By box, its layer.
        width: Of all.
        height: Of all.
    """

    places: dict[str, Point]
    lanes: dict[Waypoint, tuple[Point, Point]]
    bottoms: list[float]
    layers: dict[str, int]
    width: float
    height: float


def arrange(reads: Mapping[str, Sequence[str]], sizes: Mapping[str, Size]) -> Layout:
    """Give every box a place.

    Args:
        reads: By box, those that it reads; boxes come after what they read.
        sizes: By box.
    """
    layers = _layers(reads)
    rows, above = _rows(reads, layers)
    rows = _untangled(rows, above)
    extents = {item: _extent(item, sizes) for row in rows for item in row}
    centres = _centres(rows, above, extents)
    tops: list[float] = []
    y = 0.0
    for row in rows:
        tops.append(y)
        y += max((sizes[item].height for item in row if isinstance(item, str)), default=0.0) + _DOWN
    bottoms = [top - _DOWN for top in (*tops[1:], y)]
    left = min((centres[item] - extents[item].left for item in centres), default=0.0)
    right = max((centres[item] + extents[item].right for item in centres), default=0.0)
    lanes = {
        item: ((centres[item] - left, tops[item[1]]), (centres[item] - left, bottoms[item[1]]))
        for item in centres
        if not isinstance(item, str)
    }
    places = {item: (centres[item] - left, tops[layers[item]]) for item in centres if isinstance(item, str)}
    return Layout(places, lanes, bottoms, layers, right - left, max(0.0, y - _DOWN))


def _layers(reads: Mapping[str, Sequence[str]]) -> dict[str, int]:
    layers: dict[str, int] = {}
    for name, sources in reads.items():
        layers[name] = max((layers[source] + 1 for source in sources), default=0)
    return layers


def _rows(
    reads: Mapping[str, Sequence[str]], layers: Mapping[str, int]
) -> tuple[list[list[Item]], dict[Item, list[Item]]]:
    """The layers with their waypoints, and by item what it hangs on in the layer above."""
    rows: list[list[Item]] = [[] for _ in range(max(layers.values(), default=-1) + 1)]
    above: dict[Item, list[Item]] = {}
    for name, layer in layers.items():
        rows[layer].append(name)
    for name, sources in reads.items():
        above[name] = []
        for source in dict.fromkeys(sources):
            hook: Item = source
            for layer in range(layers[source] + 1, layers[name]):
                lane: Item = (source, layer)
                if lane not in above:
                    above[lane] = [hook]
                    rows[layer].append(lane)
                hook = lane
            above[name].append(hook)
    return rows, above


def _untangled(rows: list[list[Item]], above: Mapping[Item, Sequence[Item]]) -> list[list[Item]]:
    """The order with the fewest crossings that sweeping up and down comes by."""
    below: dict[Item, list[Item]] = {}
    for item, hooks in above.items():
        for hook in hooks:
            below.setdefault(hook, []).append(item)
    best, fewest = rows, _crossings(rows, above)
    current = [list(row) for row in rows]
    for sweep in range(_SWEEPS):
        downward = sweep % 2 == 0
        order = range(1, len(rows)) if downward else range(len(rows) - 2, -1, -1)
        for layer in order:
            fixed = {item: place for place, item in enumerate(current[layer + (-1 if downward else 1)])}
            neighbours = above if downward else below
            current[layer] = _sorted(current[layer], neighbours, fixed)
        count = _crossings(current, above)
        if count < fewest:
            best, fewest = [list(row) for row in current], count
    return best


def _sorted(row: Sequence[Item], neighbours: Mapping[Item, Sequence[Item]], fixed: Mapping[Item, int]) -> list[Item]:
    def place(entry: tuple[int, Item]) -> float:
        position, item = entry
        places = [fixed[other] for other in neighbours.get(item, ()) if other in fixed]
        return sum(places) / len(places) if places else position

    return [item for _, item in sorted(enumerate(row), key=place)]


def _crossings(rows: Sequence[Sequence[Item]], above: Mapping[Item, Sequence[Item]]) -> int:
    count = 0
    for upper, lower in pairwise(rows):
        places = {item: place for place, item in enumerate(upper)}
        ends = [places[hook] for item in lower for hook in sorted(above[item], key=places.__getitem__)]
        count += sum(first > second for at, second in enumerate(ends) for first in ends[:at])
    return count


def _extent(item: Item, sizes: Mapping[str, Size]) -> Size:
    return sizes[item] if isinstance(item, str) else Size(_LANE / 2, _LANE / 2, 0.0)


def _centres(
    rows: Sequence[Sequence[Item]], above: Mapping[Item, Sequence[Item]], extents: Mapping[Item, Size]
) -> dict[Item, float]:
    below: dict[Item, list[Item]] = {}
    for item, hooks in above.items():
        for hook in hooks:
            below.setdefault(hook, []).append(item)
    near: dict[Item, list[tuple[Item, float]]] = {item: [] for item in above}
    for item, hooks in above.items():
        for hook in hooks:
            alone = len(hooks) == 1 == len(below[hook])  # nothing else holds the two: their arrow should be straight
            near[item].append((hook, _STRAIGHT if alone else 1.0))
            near[hook].append((item, _STRAIGHT if alone else 1.0))
    centres: dict[Item, float] = dict.fromkeys(extents, 0.0)
    for sweep in range(_MOVES):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = [_mean([(centres[other], pull) for other, pull in near[item]], centres[item]) for item in row]
            centres |= zip(row, _spread(wanted, [extents[item] for item in row]), strict=True)
    return centres


def _mean(values: Sequence[tuple[float, float]], otherwise: float) -> float:
    pulls = sum(pull for _, pull in values)
    return sum(value * pull for value, pull in values) / pulls if pulls else otherwise


def _spread(wanted: Sequence[float], extents: Sequence[Size]) -> list[float]:
    """Places as near to the wanted ones as possible (in squares) where none may overlap: pool adjacent violators."""
    shifts = [0.0]
    for first, second in pairwise(extents):
        shifts.append(shifts[-1] + first.right + _BETWEEN + second.left)
    blocks: list[tuple[float, int]] = []  # the mean of a block, and how many are in it
    for value, shift in zip(wanted, shifts, strict=False):
        mean, count = value - shift, 1
        while blocks and blocks[-1][0] > mean:
            before, number = blocks.pop()
            mean, count = (before * number + mean * count) / (number + count), number + count
        blocks.append((mean, count))
    flat = [mean for mean, count in blocks for _ in range(count)]
    return [mean + shift for mean, shift in zip(flat, shifts, strict=False)]
