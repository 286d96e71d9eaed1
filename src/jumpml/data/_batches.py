"""From the rows of an epoch to batches: gathered, read from files, augmented, featurised."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple, final

import torch

from jumpml.core import COVERED, POSITION, PRESENT, derive_seed, field_of
from jumpml.data._files import FileReader
from jumpml.data.features._pretrained import Pretrained

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from torch import Tensor

    from jumpml.data._bucket import Cut
    from jumpml.data._order import Epoch, Round
    from jumpml.data._share import Share
    from jumpml.data._table import Table
    from jumpml.data.augment._policies import Policies
    from jumpml.data.features._feature import Feature
    from jumpml.data.features._feature_map import FeatureMap

Batch = dict[str, "Tensor"]
BLOCK_BYTES = 1 << 25  # of rows that are gathered at once, so that an epoch of pictures is not held twice
MOST_KEPT = 1 << 28  # bytes that features may make of a field and a split, to be kept; more where it was more before


class Plan(NamedTuple):
    """Which way each field takes to a batch.

    Attributes:
        ready: Featurised once, kept, and gathered.
        fresh: Featurised for each batch: what is augmented, read from files, or too much to keep.
        draws: Draws of views, such as ``strong.0``.
        training: Whether a step gives what it gives to rows that are trained on.
        places: Whether batches hold the place of each row in the split.
        changes: The draw that changes the plain fields; None changes nothing.
    """

    ready: tuple[str, ...]
    fresh: tuple[str, ...]
    draws: tuple[str, ...]
    training: bool
    places: bool = False
    changes: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What batches hold beside draws."""
        return (*self.ready, *self.fresh, *([POSITION] if self.places else []))


class Ways(NamedTuple):
    """What a plan's batches are gathered from; see `BatchMaker.make`.

    Attributes:
        kept: This split's featurised values.
        shared: All rows' values that serve as they are.
        decoded: All rows' values of which something is made for each batch.
        raw: The fields of which something is made for each batch, read from files or decoded.
        row_bytes: Bytes that are gathered for each row.
    """

    kept: Batch
    shared: Batch
    decoded: Batch
    raw: frozenset[str]
    row_bytes: int


@final
class BatchMaker:
    """Makes the batches of one split.

    Args:
        table: The decoded fields of all rows.
        rows: int64 ``[rows]``, the split's.
        features: The fitted steps.
        policies: What is drawn at random: views, and of rows that are trained on augmentation.
        keep: Whether featurised values are kept, where they are the same for every epoch.
        workers: Processes that decode files.
        cut: Which text is cut to the longest row of each batch; none where None.
    """

    def __init__(
        self,
        table: Table,
        rows: Tensor,
        *,
        features: FeatureMap,
        policies: Policies,
        keep: bool,
        workers: int,
        cut: Cut | None = None,
    ) -> None:
        self.table, self.rows = table, rows
        self._cut = cut
        self._features, self._policies = features, policies
        self._keep = keep
        self._workers = workers
        self._idle: dict[frozenset[str], FileReader] = {}  # each with its workers
        self._kept: dict[tuple[str, bool], tuple[tuple[Feature, ...], Tensor]] = {}
        self._swelling: dict[str, tuple[tuple[Feature, ...], bool]] = {}
        self._last: Plan | None = None  # most epochs go the ways of the one before
        self._variants: dict[tuple[tuple[str, ...] | None, str | None], tuple[Plan, Ways]] = {}

    def plan(
        self, names: Collection[str], draws: Sequence[str] = (), *, training: bool, augment: str | None = None
    ) -> Plan:
        """Decide the ways of some fields and draws.

        Args:
            names: The plain fields.
            draws: Draws of views, such as ``strong.0``.
            training: Whether rows are trained on, and so augmented.
            augment: The view that takes the place of augmentation; ``plain`` for none.

        Raises:
            DataError: There is no such view.
        """
        changes = self._policies.instead(augment) if training else None
        augmented = () if changes is None else self._policies.fields(changes)
        for draw in draws:
            self._policies.fields(draw)
        places, names = POSITION in names, [name for name in names if name != POSITION]
        never_kept = {*self.table.files, *self.table.windows} if self._keep else {*names}
        fresh = tuple(n for n in names if field_of(n) in augmented or n in never_kept or self._swells(n))
        return Plan(tuple(n for n in names if n not in fresh), fresh, tuple(draws), training, places, changes)

    def make(
        self,
        rounds: Iterable[Round],
        plan: Plan,
        *,
        first: int = 0,
        seed: int = 0,
        number: int = 0,
        share: Share | None = None,
    ) -> Iterator[Batch]:
        """The batches of an epoch.

        Args:
            rounds: Its rows and sizes, or what is left of it, some batches at a time; the next are asked for when all
                before have been used.
            plan: What batches hold.
            first: The number of the first batch, which augmentation is drawn from.
            seed: Likewise.
            number: The epoch's, likewise.
            share: The rows of each batch that are made; all where None.
        """
        if share is not None:
            seed = derive_seed(seed, "share", share.rank)
        for one in rounds:
            way = self._ways(plan, one.draws, one.augment)
            epoch = one.epoch if share is None else share.of(one.epoch)
            yield from self._round(epoch, *way, first=first, seed=seed, number=number)
            first += len(one.epoch.sizes)

    def _round(self, epoch: Epoch, plan: Plan, ways: Ways, *, first: int, seed: int, number: int) -> Iterator[Batch]:
        files = self._read_files(epoch, ways.raw)
        for positions, sizes in _blocks(epoch, ways.row_bytes):
            rows = self.rows.index_select(0, positions)
            ready = self._gather(ways.kept, positions, sizes) | self._gather(ways.shared, rows, sizes)
            if plan.places:
                places = positions.to(self.table.device, copy=True)
                ready[POSITION] = torch.unsafe_split_with_sizes(places, sizes)
            decoded = self._gather(ways.decoded, rows, sizes)
            parts = positions.split(sizes) if ways.raw else ()
            widths = self._widths(rows, sizes)
            batches = _side_by_side(ready, len(sizes))
            if not (widths or parts):
                yield from batches
                continue
            for place, plain in enumerate(batches):
                batch = self._trimmed(plain, widths[place]) if widths else plain
                if parts:
                    undecided = {name: part[place] for name, part in decoded.items()} | next(files)
                    if widths:  # before the draws, so that none loses what it adds
                        undecided = self._trimmed(undecided, widths[place])
                    batch |= self._freshly(plan, undecided, parts[place], seed=seed, epoch=number, batch=first)
                first += 1
                yield batch

    def part(self, positions: Tensor) -> BatchMaker:
        """A maker of some of the rows.

        Args:
            positions: int64, of the rows.
        """
        return BatchMaker(
            self.table,
            self.rows[positions],
            features=self._features,
            policies=self._policies,
            keep=self._keep,
            workers=self._workers,
            cut=self._cut,
        )

    def forget(self) -> None:
        """Drop what was kept: the table has moved."""
        self._kept.clear()
        self._last = None

    def _augments(self, plan: Plan) -> str | None:
        """The draw that changes plain fields, where one of them is served."""
        fresh = {field_of(name) for name in plan.fresh}
        return plan.changes if plan.changes is not None and {*self._policies.fields(plan.changes)} & fresh else None

    def _raw_fields(self, plan: Plan) -> frozenset[str]:
        """What has to be decoded for each batch: a draw for several fields needs all of them."""
        augments = self._augments(plan)
        draws = [*plan.draws, *([] if augments is None else [augments])]
        return frozenset(field_of(name) for name in plan.fresh).union(*(self._policies.fields(draw) for draw in draws))

    def _ways(self, plan: Plan, draws: tuple[str, ...] | None, augment: str | None) -> tuple[Plan, Ways]:
        """The plan, or what becomes of it with other draws and changes; and its ways."""
        if self._last is not plan:
            self._last, self._variants = plan, {}
        if (draws, augment) not in self._variants:
            if draws is not None or augment is not None:
                drawn = plan.draws if draws is None else draws
                plan = self.plan(plan.names, drawn, training=plan.training, augment=augment)
            self._variants[draws, augment] = plan, self._found(plan)
        return self._variants[draws, augment]

    def _found(self, plan: Plan) -> Ways:
        table, raw = self.table, self._raw_fields(plan)
        plain = [name for name in plan.ready if not self._features.steps(name)]
        kept = {name: self._featurised(name, plan.training) for name in plan.ready if name not in plain}
        present = {name + PRESENT: table.present[name] for name in table.present if name in raw or name in plan.ready}
        covered = {name + COVERED: table.covered[name] for name in table.covered if name in raw or name in plan.ready}
        shared = {name: table.values[name] for name in plain} | present | covered
        decoded = {name: table.values[name] for name in table.values if name in raw}
        row_bytes = sum(values[:1].nbytes for tensors in (kept, shared, decoded) for values in tensors.values())
        return Ways(kept, shared, decoded, raw, row_bytes)

    def _featurised(self, name: str, training: bool) -> Tensor:
        """The split's values after features, ``[rows, ...]``."""
        steps = self._features.steps(name)
        known = self._kept.get((name, training))
        if known is None or known[0] != steps:
            decoded = self.table.take(name, self.rows)
            rows = torch.arange(len(decoded), device=decoded.device) if training else None
            known = self._kept[name, training] = (steps, self._features.apply_to(name, decoded, rows, keep=True))
        return known[1]

    def _swells(self, name: str) -> bool:
        """Whether features make too much of the split's values to keep: a word's id into a place for every word."""
        steps = self._features.steps(name)
        if not steps or any(isinstance(step, Pretrained) for step in steps):  # whose answers are dear
            return False
        known = self._swelling.get(name)
        if known is None or known[0] != steps:
            one = self.table.take(name, self.rows[:1])
            most = max(MOST_KEPT, one.nbytes * len(self.rows))
            swells = self._features.apply_to(name, one).nbytes * len(self.rows) > most
            known = self._swelling[name] = (steps, swells)
        return known[1]

    def _gather(self, tensors: Batch, index: Tensor, sizes: Sequence[int]) -> dict[str, Sequence[Tensor]]:
        """One gather a tensor, then slices, which no caller's write can harm.

        What is unsafe of them is that gradients do not know them as slices; data has none, and half the time is saved.
        """
        split = torch.unsafe_split_with_sizes
        return {key: split(self.table.gather(values, index), sizes) for key, values in tensors.items()}

    def _freshly(self, plan: Plan, values: Batch, positions: Tensor, **at: int) -> Batch:
        """The fields that are featurised for each batch, and the views' draws."""
        rows = positions.to(self.table.device) if plan.training else None
        augments = self._augments(plan)
        plain = values if augments is None else values | self._draw(augments, values, at)
        batch = self._changed({name: plain[field_of(name)] for name in plan.fresh}, augments, rows, at)
        for draw in plan.draws:
            drawn = self._draw(draw, values, at)
            names = [name for name in (*self._policies.fields(draw), *self.table.derived) if field_of(name) in drawn]
            told = drawn | self._changed({name: drawn[field_of(name)] for name in names}, draw, rows, at)
            batch |= {f"{name}@{draw}": told[name] for name in (*names, *self.table.asked) if name in told}
        return batch

    def _changed(self, decoded: Batch, draw: str | None, rows: Tensor | None, at: Mapping[str, int]) -> Batch:
        """Featurise, and make the changes that come after features; what their steps tell stands beside."""
        batch: Batch = {}
        late = () if draw is None else self._policies.after_features(draw)
        for name, content in decoded.items():
            if draw is not None and name in late:
                batch |= self._policies.apply_after(draw, name, self._features.made(name, content, rows), **at)
            else:
                batch[name] = self._features.apply_to(name, content, rows)
        return batch

    def _draw(self, draw: str, values: Batch, at: Mapping[str, int]) -> Batch:
        return self._policies.apply(draw, {name: values[name] for name in self._policies.fields(draw)}, **at)

    def _widths(self, rows: Tensor, sizes: Sequence[int]) -> list[int]:
        """How long the text that is cut is in each batch; nothing where none is."""
        if self._cut is None or self._features.steps(self._cut.field):
            return []
        return [self._cut.width(part) for part in rows.split(sizes)]

    def _trimmed(self, values: Batch, width: int) -> Batch:
        """The same values, but for the text that is cut, its mask and its labels."""
        return {
            name: content[:, :width].contiguous() if self._cut and field_of(name) in self._cut.fields else content
            for name, content in values.items()
        }

    def _read_files(self, epoch: Epoch, raw: frozenset[str]) -> Iterator[Batch]:
        """For each batch what is decoded for it alone; nothing where no field is."""
        wanted = raw.intersection(self.table.files)
        if not wanted:
            yield from repeat({})
        reader = self._idle.pop(wanted, None)  # one that another iteration is using serves that one alone
        if reader is None:
            reader = FileReader({name: self.table.files[name] for name in sorted(wanted)}, self._workers)
        rows = (self.rows[part] for part in epoch.positions.split(epoch.sizes))
        try:
            for batch in reader.read(rows):
                yield {name: values.to(self.table.device) for name, values in batch.items()}
        finally:
            self._idle[wanted] = reader


def _side_by_side(slices: Mapping[str, Sequence[Tensor]], count: int) -> Iterator[Batch]:
    """Batches of slices; made by the interpreter's own loops, as in small epochs a line of Python a batch is felt."""
    if not slices:
        return ({} for _ in range(count))
    return map(dict, map(zip, repeat(tuple(slices)), zip(*slices.values(), strict=True)))


def _blocks(epoch: Epoch, row_bytes: int) -> Iterator[tuple[Tensor, tuple[int, ...]]]:
    """Positions and sizes of some whole batches at a time."""
    rows, first, start = max(1, BLOCK_BYTES // max(1, row_bytes)), 0, 0
    while first < len(epoch.sizes):
        last = first + max(1, rows // epoch.sizes[first])
        sizes = epoch.sizes[first:last]
        end = start + sum(sizes)
        yield epoch.positions[start:end], sizes
        first, start = last, end
