"""What stands in a drawing of a graph: boxes for fields and nodes, and tags for what is asked of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jumpml.drawing._layers import Size
from jumpml.drawing._text import clean, count, shortened, width_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jumpml.core import GraphRecord, ObjectiveNote

TITLE, SMALL = 13.0, 11.0  # font sizes
LINE = 16.0
PAD = 10.0
HOOK = 14.0  # from a box to its tags
BETWEEN = 6.0  # from a tag to the next
_MOST = 260.0


@dataclass(frozen=True)
class Tag:
    """A task or an objective, on a box that it reads.

    Attributes:
        kind: ``task`` or ``objective``.
        lines: Its name, and what it is.
    """

    kind: str
    lines: tuple[str, ...]

    @property
    def height(self) -> float:
        """In pixels."""
        return PAD + LINE * len(self.lines)

    @property
    def width(self) -> float:
        """In pixels."""
        return _widest(self.lines) + 2.6 * PAD


@dataclass(frozen=True)
class Box:
    """A field or a node.

    Attributes:
        kind: ``field`` or ``node``.
        lines: Its name, and what it is.
        tags: What reads it.
        about: The whole of it, for those who point at it.
    """

    kind: str
    lines: tuple[str, ...]
    tags: tuple[Tag, ...]
    about: str

    @property
    def height(self) -> float:
        """In pixels, without tags."""
        return PAD + LINE * len(self.lines)

    @property
    def width(self) -> float:
        """In pixels, without tags."""
        return max(72.0, _widest(self.lines) + 2 * PAD)

    @property
    def size(self) -> Size:
        """With tags."""
        tags = sum(tag.height for tag in self.tags) + BETWEEN * max(0, len(self.tags) - 1)
        beside = HOOK + max(tag.width for tag in self.tags) if self.tags else 0.0
        return Size(self.width / 2, self.width / 2 + beside, max(self.height, tags))


def _widest(lines: Sequence[str]) -> float:
    return max(width_of(line, SMALL if place else TITLE * 1.05) for place, line in enumerate(lines))


def boxes_of(graph: GraphRecord) -> dict[str, Box]:
    """The boxes by name, fields first, each after all that it reads."""
    tags = _tags(graph)
    boxes = {
        name: Box("field", _lines(name, shape), tuple(tags.get(name, ())), clean(f"field {name}, {shape}"))
        for name, shape in graph.inputs.items()
    }
    for row in graph.nodes:
        name = str(row["node"])
        boxes.pop(name, None)  # in a record from elsewhere two may have one name; the last stands in its place
        boxes[name] = _node(row, tags.get(name, ()))
    return boxes


def _node(row: Mapping[str, Any], tags: Sequence[Tag]) -> Box:
    name, module, shape = str(row["node"]), str(row["module"]), str(row["shape"])
    numbers = [f"{count(row['parameters'])} parameters"] if row.get("parameters") else []
    numbers += [f"{count(row['flops'])} FLOPs"] if row.get("flops") else []
    short = f"{module.rpartition('.')[2]}" + (f", shared with {row['shares']}" if row.get("shares") else "")
    about = clean(f"node {name}: {module}, {shape}, {', '.join(numbers)}".rstrip(", "))
    return Box("node", _lines(name, short, *shape.split("; "), ", ".join(numbers)), tuple(tags), about)


def _lines(name: str, *others: str) -> tuple[str, ...]:
    small = [_cut(line.removesuffix(" float32")) for line in others if line]
    return (shortened(clean(name), TITLE, _MOST), *small[:5])


def _tags(graph: GraphRecord) -> dict[str, list[Tag]]:
    """By box, its tags: a task with its own objective first."""
    tags: dict[str, list[Tag]] = {}
    for name, task in graph.tasks.items():
        own = graph.objectives.get(name)
        lines = [f"{task.kind} → {task.target}", *(_said(own) if own else ())]
        tags.setdefault(_box(graph, task.output), []).append(Tag("task", _lines(name, *lines)))
    for name, objective in graph.objectives.items():
        if name in graph.tasks:
            continue
        read = dict.fromkeys(_box(graph, reference) for reference in objective.inputs)
        for box in read:
            others = [clean(reference) for reference in objective.inputs if _box(graph, reference) != box]
            beside = [f"with {', '.join(others)}"] if others else []
            parts = [reference for reference in objective.inputs if _box(graph, reference) == box != reference]
            inside = [f"on {', '.join(parts)}"] if parts else []
            tags.setdefault(box, []).append(Tag("objective", _lines(name, *_said(objective), *inside, *beside)))
    return tags


def _said(objective: ObjectiveNote) -> list[str]:
    weight = "" if objective.weight == "1" else f", weight {objective.weight}"
    views = [f"views: {', '.join(objective.views)}"] if objective.views else []
    return [f"{objective.kind}{weight}", *views, f"when: {', '.join(objective.when)}"]


def _box(graph: GraphRecord, reference: str) -> str:
    """The box of a value: that of the node it comes from, or of the field."""
    return graph.sources.get(reference, reference)


def notes_of(graph: GraphRecord) -> list[str]:
    """What reads no box: objectives on parameters."""
    return [
        f"{_cut(name)}: {_cut(_said(objective)[0])}, on the parameters of {_cut(', '.join(objective.parameters))}, "
        f"{_cut(_said(objective)[-1])}"
        for name, objective in graph.objectives.items()
        if objective.parameters
    ]


def _cut(text: str) -> str:
    return shortened(clean(text), SMALL, _MOST)
