"""Rows of a stream, each as likely to be kept as any other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import torch

from jumpml.core import LearnerError
from jumpml.learn.processes._processes import ALONE
from jumpml.learn.processes._whole import Whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from jumpml.learn.processes._processes import Processes


@final
class Reservoir:
    """Keeps some rows of a stream of unknown length, so that each has the same chance to be among them.

    The first rows fill it; row ``n`` then takes a place of chance among ``n``, and is passed over where that is none of
    the kept ones (Vitter 1985, https://doi.org/10.1145/3147.3165, algorithm R). Nothing is asked of the device.

    Args:
        rows: How many are kept.
        seed: Of what is drawn.

    Attributes:
        seen: Rows of the stream so far.

    Raises:
        LearnerError: There is no place for a row.

    Example:
        >>> reservoir = Reservoir(rows=3)
        >>> for start in range(0, 100, 10):
        ...     reservoir.add({"x": torch.arange(start, start + 10)})
        >>> len(reservoir), reservoir.seen, reservoir.draw(2)["x"].shape
        (3, 100, torch.Size([2]))
    """

    def __init__(self, rows: int, seed: int = 0) -> None:
        if rows < 1:
            raise LearnerError(f"a reservoir keeps one row or more, got {rows}.")
        self.seen = 0
        self._size = rows
        self._rows: dict[str, Tensor] = {}
        self._generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return min(self.seen, self._size)

    @property
    def names(self) -> tuple[str, ...]:
        """What is kept of each row; nothing before the first."""
        return tuple(self._rows)

    def add(self, batch: Mapping[str, Tensor], processes: Processes = ALONE) -> None:
        """Let rows go by.

        Args:
            batch: ``[batch, *]`` by name, always the same names and shapes.
            processes: Those that each have some rows of the batch; all keep the same ones.

        Raises:
            LearnerError: They are other than those that are kept.
        """
        count = next(iter(batch.values())).shape[0]
        self._validate(batch)
        whole = None if processes.alone else Whole(count, processes)
        count = count if whole is None else whole.rows
        numbers = torch.arange(self.seen, self.seen + count)
        chance = torch.rand(count, generator=self._generator, dtype=torch.float64)
        places = torch.where(numbers < self._size, numbers, (chance * (numbers + 1)).long())
        self.seen += count
        taken = {place: row for row, place in enumerate(places.tolist()) if place < self._size}  # the last one stays
        if not taken:
            return
        for name, given in batch.items():
            values = given.detach()
            if name not in self._rows:
                self._rows[name] = values.new_zeros((self._size, *values.shape[1:]))
            to, of = (torch.tensor([*side], device=values.device) for side in (taken.keys(), taken.values()))
            rows = values.index_select(0, of) if whole is None else whole.pick(values, [*taken.values()])
            self._rows[name].index_copy_(0, to, rows)

    def draw(self, count: int) -> dict[str, Tensor]:
        """Kept rows of chance, with replacement.

        Args:
            count: How many; all that there are where these are fewer.
        """
        kept = len(self)
        places = torch.randint(max(kept, 1), (min(count, kept),), generator=self._generator)
        return {name: values.index_select(0, places.to(values.device)) for name, values in self._rows.items()}

    def change(self, name: str, how: Callable[[Tensor], Tensor]) -> None:
        """Let something of every kept row be another.

        Args:
            name: What.
            how: Makes ``[rows, *]`` of ``[rows, *]``.
        """
        self._rows[name] = how(self._rows[name])

    def to(self, device: torch.device | str) -> Reservoir:
        """Keep the rows on another device."""
        self._rows = {name: values.to(device) for name, values in self._rows.items()}
        return self

    def state_dict(self) -> dict[str, Any]:
        """The rows, how many went by, and what will be drawn."""
        return {"seen": self.seen, "rows": dict(self._rows), "generator": self._generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.seen = state["seen"]
        self._rows = {name: values.clone() for name, values in state["rows"].items()}
        self._generator.set_state(state["generator"])

    def _validate(self, batch: Mapping[str, Tensor]) -> None:
        if self._rows:
            kept = {name: list(values.shape[1:]) for name, values in self._rows.items()}
            given = {name: list(values.shape[1:]) for name, values in batch.items()}
            if kept != given:
                raise LearnerError(f"the rows that are kept are of {kept}, and those that came are of {given}.")
