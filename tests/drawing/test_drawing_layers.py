"""Where boxes stand: below what they read, apart from each other, and with few crossings."""

from __future__ import annotations

import math
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from jumpml.drawing._layers import Layout, Size, arrange

Reads = dict[str, list[str]]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Reads, dict[str, Size]]:
    """A graph of up to twelve boxes, each of which reads some before it."""
    count = draw(st.integers(1, 12))
    reads: Reads = {}
    for name in map(str, range(count)):
        reads[name] = draw(st.lists(st.sampled_from([*reads]), max_size=3, unique=True)) if reads else []
    length = st.floats(5, 200)
    return reads, {name: Size(draw(length), draw(length), draw(length)) for name in reads}


def overlap(layout: Layout, sizes: dict[str, Size]) -> list[tuple[str, str]]:
    """Pairs of boxes that share an inner point."""
    found = []
    for first, second in combinations(sizes, 2):
        (x, y), (u, v) = layout.places[first], layout.places[second]
        apart = x + sizes[first].right <= u - sizes[second].left or u + sizes[second].right <= x - sizes[first].left
        if not apart and y < v + sizes[second].height and v < y + sizes[first].height:
            found.append((first, second))
    return found


def test_overlap_can_fail():
    size = Size(5, 5, 5)
    layout = Layout({"a": (5.0, 0.0), "b": (6.0, 1.0)}, {}, [5.0], {"a": 0, "b": 0}, 11, 6)
    assert overlap(layout, {"a": size, "b": size}) == [("a", "b")]


@given(graphs())
def test_boxes_stand_apart_below_what_they_read_and_within_the_drawing(graph):
    reads, sizes = graph
    layout = arrange(reads, sizes)
    assert overlap(layout, sizes) == []
    for name, sources in reads.items():
        x, y = layout.places[name]
        assert x - sizes[name].left >= -1e-6
        assert x + sizes[name].right <= layout.width + 1e-6
        assert y + sizes[name].height <= layout.height + 1e-6
        for source in sources:
            assert layout.places[source][1] + sizes[source].height < y
            assert all(
                (source, layer) in layout.lanes for layer in range(layout.layers[source] + 1, layout.layers[name])
            )


def test_a_chain_is_straight():
    reads: Reads = {str(i): [str(i - 1)] if i else [] for i in range(12)}
    sizes = {name: Size(20 + 7 * (int(name) % 3), 20 + 40 * (int(name) % 2), 30) for name in reads}
    layout = arrange(reads, sizes)
    assert max(x for x, _ in layout.places.values()) - min(x for x, _ in layout.places.values()) < 1e-6


def test_a_diamond_stands_even():
    layout = arrange({"a": [], "l": ["a"], "r": ["a"], "b": ["l", "r"]}, dict.fromkeys("alrb", Size(40, 40, 30)))
    left, right = layout.places["l"][0], layout.places["r"][0]
    assert left < right
    for name in "ab":
        assert math.isclose(layout.places[name][0], (left + right) / 2, abs_tol=0.5)


def test_crossings_are_undone():
    reads = {"a": [], "b": [], "c": [], "x": ["c"], "y": ["b"], "z": ["a"]}
    layout = arrange(reads, dict.fromkeys(reads, Size(10, 10, 10)))
    upper = sorted("abc", key=lambda name: layout.places[name][0])
    lower = sorted("xyz", key=lambda name: layout.places[name][0])
    assert [reads[name][0] for name in lower] == upper


def test_nothing_is_a_drawing_too():
    layout = arrange({}, {})
    assert (layout.width, layout.height) == (0.0, 0.0)
