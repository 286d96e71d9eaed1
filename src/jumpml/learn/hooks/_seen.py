"""What some batches have shown of single rows, in one process or put together of several."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from torch import Tensor

KEPT = ("loss", "margin", "predicted")


@dataclass
class Shown:
    """What batches have shown of a task, in their order, and of which of the rows served."""

    loss: list[Tensor] = field(default_factory=list)
    margin: list[Tensor] = field(default_factory=list)
    predicted: list[Tensor] = field(default_factory=list)
    spans: list[list[int]] = field(default_factory=list)

    def ran(self, start: int, stop: int) -> None:
        """The task was learned from some rows."""
        if self.spans and self.spans[-1][1] == start:
            self.spans[-1][1] = stop
        else:
            self.spans.append([start, stop])

    def ordered(self, key: str) -> Tensor:
        """One of the three, of all rows."""
        return torch.cat(getattr(self, key))

    def of_spans(self, rows: Tensor) -> Tensor:
        """Of something that all rows served have, what is of those that the task was learned from."""
        return torch.cat([rows[start:stop] for start, stop in self.spans])


@dataclass
class Seen:
    """What batches have shown of all tasks.

    Attributes:
        places: Each row's place among the train rows, where batches tell it.
        sizes: The rows of each batch.
        rows: Of all batches.
        tasks: By name.
    """

    places: list[Tensor] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    rows: int = 0
    tasks: defaultdict[str, Shown] = field(default_factory=lambda: defaultdict(Shown))

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values."""
        tasks = {
            name: {**{key: shown.ordered(key) for key in KEPT}, "spans": [[*span] for span in shown.spans]}
            for name, shown in self.tasks.items()
        }
        return {"places": [torch.cat(self.places)] if self.places else [], "epoch": tasks, "rows": self.rows}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Self:
        """From a state."""
        seen = cls(places=[*state["places"]], rows=state["rows"])
        for name, parts in state["epoch"].items():
            seen.tasks[name] = Shown(**{key: [parts[key]] for key in KEPT}, spans=[[*s] for s in parts["spans"]])
        return seen

    def told(self) -> tuple[list[int], dict[str, Any]]:
        """What other processes are told of it: the batches' sizes, and all of it on the CPU."""
        state = self.state_dict()
        for part in state["epoch"].values():
            part.update({key: part[key].cpu() for key in KEPT})
        return self.sizes, state | {"places": [places.cpu() for places in state["places"]]}

    def take_in(self, told: Sequence[tuple[list[int], dict[str, Any]]]) -> None:
        """Go on with what processes have seen, each of its rows of the same batches.

        Args:
            told: What each has told, by rank.
        """
        at = _places_in_whole([sizes for sizes, _ in told])
        parts = [Seen.of(state) for _, state in told]
        if parts[0].places:
            places = torch.cat([torch.cat(part.places) for part in parts])
            self.places.append(places[torch.cat(at).argsort()])
        for name in parts[0].tasks:
            shown = [part.tasks[name] for part in parts]
            rows = torch.cat([of_one.of_spans(places) for of_one, places in zip(shown, at, strict=True)])
            order = rows.argsort()
            for key in KEPT:
                getattr(self.tasks[name], key).append(torch.cat([of_one.ordered(key) for of_one in shown])[order])
            for start, stop in _runs(rows[order] + self.rows):
                self.tasks[name].ran(start, stop)
        self.rows += sum(part.rows for part in parts)


def _places_in_whole(sizes: Sequence[Sequence[int]]) -> list[Tensor]:
    """By process, where its rows stand among those of all: batch by batch, the first of each, then the second."""
    keys, most = [], max((size for of_one in sizes for size in of_one), default=0)
    for rank, of_one in enumerate(sizes):
        each = torch.tensor(of_one, dtype=torch.int64)
        batch = torch.arange(len(each)).repeat_interleave(each)
        row = torch.arange(len(batch)) - (each.cumsum(0) - each).repeat_interleave(each)
        keys.append((batch * most + row) * len(sizes) + rank)
    return [*torch.cat(keys).argsort().argsort().split([len(own) for own in keys])]


def _runs(places: Tensor) -> list[list[int]]:
    """Ascending places as spans of those that follow each other."""
    cuts = ((places.diff() != 1).nonzero().flatten() + 1).tolist()
    parts = places.tensor_split(cuts)
    return [[int(part[0]), int(part[-1]) + 1] for part in parts]
