"""The train order that a data file asks for: how each data set's rows are drawn, and how the data sets are mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.core import DataError, SpecError
from jumpml.data._order import Mixture
from jumpml.data._pools import Balanced, Shuffled, Streamed, Weighted
from jumpml.data.kinds import Column

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.core import DataSpec
    from jumpml.data._files import FileColumn
    from jumpml.data._order import Order
    from jumpml.data._pools import Pool


def train_order(
    spec: DataSpec, fields: Mapping[str, Column | FileColumn], rows: Tensor, shards: Mapping[str, Sequence[range]]
) -> Order:
    """Pools by data set, mixed as the file says.

    Args:
        spec: The file.
        fields: The decoded tensors of all data sets' rows, one after the other.
        rows: int64 ``[train rows]``, ascending.
        shards: By data set, the row numbers that lie together in its source.

    Raises:
        SpecError: Rows cannot be drawn so: a class is missing, or a weight is.
    """
    pools: dict[str, Pool] = {}
    for name, parts in shards.items():
        positions = [_between(rows, part) for part in parts]
        try:
            pools[name] = _pool(spec, name, fields, rows, [part for part in positions if len(part)])
        except DataError as error:
            raise SpecError(spec.source, [spec.mistake(("datasets", name, "sample"), str(error))]) from None
    mix = spec.mix
    if mix is None:
        return Mixture(pools)
    batches = "alternate" if mix.by == "round_robin" else mix.batches
    return Mixture(pools, _weights(spec, pools), batches)


def _weights(spec: DataSpec, pools: Mapping[str, Pool]) -> dict[str, float] | None:
    mix = spec.mix
    if mix is None or mix.by == "proportional":
        return None
    if mix.temperature is not None:
        return {name: len(pool) ** (1 / mix.temperature) for name, pool in pools.items()}
    return dict(mix.weights) if mix.weights is not None else dict.fromkeys(pools, 1.0)


def _between(rows: Tensor, part: range) -> Tensor:
    """Positions of the rows that lie in a range."""
    start, stop = torch.searchsorted(rows, torch.tensor([part.start, part.stop])).tolist()
    return torch.arange(start, stop)


def _pool(
    spec: DataSpec, name: str, fields: Mapping[str, Column | FileColumn], rows: Tensor, shards: Sequence[Tensor]
) -> Pool:
    sample = spec.datasets[name].sample
    positions = torch.cat(list(shards)) if shards else torch.arange(0)
    if sample is None:
        return Shuffled(positions)
    if sample.buffer is not None:
        return Streamed(shards, sample.buffer)
    if sample.weight is not None:
        return Weighted(positions, _values(fields, sample.weight)[rows[positions], 0])
    codes = _values(fields, str(sample.balance))[rows[positions]]
    if int(codes.min()) < 0:
        missing = int((codes < 0).sum())
        raise DataError(f"{sample.balance!r} is missing in {missing} train rows, which belong to no class to balance.")
    return Balanced([positions[codes == code] for code in codes.unique()])


def _values(fields: Mapping[str, Column | FileColumn], name: str) -> Tensor:
    column = fields[name]
    return column.values if isinstance(column, Column) else torch.empty(0)
