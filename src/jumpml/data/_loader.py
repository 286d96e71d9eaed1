"""Batches of one split."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, final

import torch

from jumpml.core import CheckpointError, DataError, derive_seed, did_you_mean
from jumpml.data.augment._policies import PLAIN, Policies

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from torch import Tensor

    from jumpml.data.features._feature_map import FeatureMap
    from jumpml.data.features._features import Feature
    from jumpml.data.kinds._column import Column

Batch = dict[str, "Tensor"]
BLOCK_BYTES = 1 << 27  # of rows that are gathered at once, so that an epoch of pictures is not held twice
PRESENT = ".present"


@dataclass
class _Position:
    epoch: int
    batch: int


class _Drawn(NamedTuple):
    key: str
    draw: str
    field: str


@final
class Loader:
    """The batches of one split, over and over: ``iter(loader)`` serves the epoch ``loader.epoch`` and then advances it.

    An iteration that is left before its end is not taken up again: the next ``iter`` serves the next epoch. Only
    `load_state_dict` starts within an epoch. The last batch is as long as rows are left.

    Made by `DataLoaders`. With policies the rows are shuffled and augmented each epoch; without, they come in order.

    Attributes:
        rows: int64 ``[rows]``, the split's row numbers in the data set, in plain order.
        seed: What order and augmentation are drawn from.

    Example:
        >>> from jumpml.data import Column, DataLoaders, random_split
        >>> data = DataLoaders({"x": Column(torch.rand(20, 1), "number")}, random_split(20), batch_size=4)
        >>> [len(batch["x"]) for batch in data.train], data.train.epoch
        ([4, 4, 4, 2], 1)
    """

    def __init__(
        self,
        columns: Mapping[str, Column],
        rows: Tensor,
        *,
        features: FeatureMap,
        batch_size: int,
        seed: int = 0,
        policies: Policies | None = None,
    ) -> None:
        self.rows = rows
        self.seed = seed
        self._batch_size = batch_size
        self._policies = policies
        self._decoded = {name: column.values[rows] for name, column in columns.items()}
        present = {name: column.present() for name, column in columns.items()}
        self._present = {name: mask[rows] for name, mask in present.items() if mask is not None}
        self._features = features
        self._featurised: dict[str, tuple[tuple[Feature, ...], Tensor]] = {}
        self._fields: tuple[str, ...] = tuple(columns)
        self._drawn: tuple[_Drawn, ...] = self._draws(self._fields, ())
        self._next = self._position = _Position(0, 0)

    def __len__(self) -> int:
        return math.ceil(len(self.rows) / self._batch_size)

    @property
    def batch_size(self) -> int:
        """Rows a batch."""
        return self._batch_size

    @property
    def epoch(self) -> int:
        """The epoch that the next ``iter`` serves; setting it goes to that epoch's first batch."""
        return self._next.epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._next = self._position = _Position(epoch, 0)

    def order(self, epoch: int) -> Tensor:
        """Positions into `rows`, int64 ``[rows]``, in the order of that epoch's batches."""
        if self._policies is None:
            return torch.arange(len(self.rows))
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", epoch))
        return torch.randperm(len(self.rows), generator=generator)

    def serve(self, fields: Collection[str] | None, views: Collection[str]) -> None:
        """Choose what batches hold, from the next ``iter`` on.

        Args:
            fields: The plain fields; None for all. A field with missing values comes with ``<field>.present``.
            views: Draws of views, such as ``strong.0``: the batch holds ``<field>@strong.0`` for each field that the
                view touches, drawn anew each batch, and ``<field>.present`` likewise.

        Raises:
            DataError: There is no such field or view, or the loader draws none.
        """
        unknown = next((name for name in fields or () if name not in self._decoded), None)
        if unknown is not None:
            raise DataError(f"the data has no field {unknown!r}. {did_you_mean(unknown, self._decoded)}")
        if views and self._policies is None:
            raise DataError(
                f"views are drawn from train rows only; this loader cannot draw {', '.join(sorted(views))}."
            )
        plain = tuple(name for name in self._decoded if fields is None or name in fields)
        self._drawn = self._draws(plain, views)
        self._fields = plain

    def __iter__(self) -> Iterator[Batch]:
        position = self._position = _Position(self._next.epoch, self._next.batch)
        self._next = _Position(position.epoch + 1, 0)
        return self._serve(position)

    def plain(self) -> Iterator[Batch]:
        """All fields of all rows in order, without augmentation and views."""
        tensors = self._tensors(self._decoded)
        for block in self._blocks(torch.arange(len(self.rows))):
            yield from self._batches(tensors, block)

    def decoded(self, field: str) -> Tensor:
        """One field's decoded values before features, ``[rows, ...]`` in plain order."""
        return self._decoded[field]

    def to(self, device: torch.device | str) -> Loader:
        """Hold and serve the values on another device."""
        self._decoded = {name: values.to(device) for name, values in self._decoded.items()}
        self._present = {name: mask.to(device) for name, mask in self._present.items()}
        self._featurised.clear()
        return self

    def state_dict(self) -> dict[str, int]:
        """Where the loader stands: ``batch`` batches of ``epoch`` have been served."""
        return {"epoch": self._position.epoch, "batch": self._position.batch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there: the next ``iter`` serves what is left of the epoch.

        Raises:
            CheckpointError: The state is not one of a loader of this length.
        """
        epoch, batch = state.get("epoch"), state.get("batch")
        if not (isinstance(epoch, int) and isinstance(batch, int) and epoch >= 0 and 0 <= batch <= len(self)):
            problem = f"expected an epoch from 0 and a batch from 0 to {len(self)}, got {dict(state)}"
            raise CheckpointError(
                f"this is no state of this loader: {problem}. Was the data or the batch size another?"
            )
        self._next = self._position = _Position(epoch, batch)

    def _serve(self, position: _Position) -> Iterator[Batch]:
        drawn = self._drawn
        augmented = {item.field for item in drawn if item.draw == PLAIN}
        ready = self._tensors([name for name in self._fields if name not in augmented])
        raw = {item.field: self._decoded[item.field] for item in drawn}
        ready |= {name + PRESENT: self._present[name] for name in raw if name in self._present}
        rest = self.order(position.epoch)[position.batch * self._batch_size :]
        for block in self._blocks(rest):
            undrawn = self._batches(raw, block)
            for batch in self._batches(ready, block):
                if drawn:
                    values = next(undrawn)
                    for item in drawn:
                        batch[item.key] = self._draw(item, values[item.field], position)
                position.batch += 1
                yield batch
        position.epoch, position.batch = position.epoch + 1, 0

    def _draw(self, item: _Drawn, values: Tensor, position: _Position) -> Tensor:
        if self._policies is not None:
            at = {"seed": self.seed, "epoch": position.epoch, "batch": position.batch}
            values = self._policies.apply(item.draw, item.field, values, **at)
        return self._features.apply_to(item.field, values)

    def _draws(self, plain: Collection[str], views: Collection[str]) -> tuple[_Drawn, ...]:
        """What has to be drawn for each batch: the augmented ones of the plain fields, and all of the views."""
        if self._policies is None:
            return ()
        augmented = [_Drawn(name, PLAIN, name) for name in self._policies.fields(PLAIN) if name in plain]
        return (
            *augmented,
            *(_Drawn(f"{name}@{draw}", draw, name) for draw in sorted(views) for name in self._policies.fields(draw)),
        )

    def _tensors(self, names: Collection[str]) -> Batch:
        """The split's featurised values of some fields, with who is present."""
        tensors = {name: self._ready(name) for name in names}
        return tensors | {name + PRESENT: self._present[name] for name in names if name in self._present}

    def _ready(self, name: str) -> Tensor:
        steps = self._features.steps(name)
        known = self._featurised.get(name)
        if known is None or known[0] != steps:
            known = self._featurised[name] = (steps, self._features.apply_to(name, self._decoded[name]))
        return known[1]

    def _blocks(self, positions: Tensor) -> tuple[Tensor, ...]:
        """Positions in pieces of whole batches, on the values' device."""
        row_bytes = sum(values[:1].nbytes for values in self._decoded.values())
        batches = max(1, BLOCK_BYTES // max(1, row_bytes * self._batch_size))
        device = next(iter(self._decoded.values())).device
        return tuple(positions.to(device).split(batches * self._batch_size))

    def _batches(self, tensors: Batch, block: Tensor) -> Iterator[Batch]:
        """Batches of the rows at some positions: one gather a tensor, then slices, which no caller's write can harm."""
        parts = {key: values.index_select(0, block).split(self._batch_size) for key, values in tensors.items()}
        for index in range(math.ceil(len(block) / self._batch_size)):
            yield {key: part[index] for key, part in parts.items()}
