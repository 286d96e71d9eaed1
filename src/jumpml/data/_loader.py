"""Batches of one split, over and over."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import torch

from jumpml.core import COVERED, POSITION, PRESENT, CheckpointError, DataError, derive_seed, did_you_mean
from jumpml.data._first_batches import FirstBatches
from jumpml.data._order import Epoch, InOrder, Round

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from torch import Tensor

    from jumpml.data._batches import Batch, BatchMaker, Plan
    from jumpml.data._order import Order
    from jumpml.data._share import Share


@dataclass
class _Position:
    epoch: int
    batch: int


@final
class Loader:
    """The batches of one split, over and over: ``iter(loader)`` serves the epoch ``loader.epoch`` and then advances it.

    An iteration that is left before its end is not taken up again: the next ``iter`` serves the next epoch. Only
    `load_state_dict` starts within an epoch. The last batch is as long as rows are left.

    Made by `DataLoaders`. Its order says which rows an epoch has; those that are trained on are augmented.

    Attributes:
        rows: int64 ``[rows]``, the split's row numbers in the data set, in plain order.
        seed: What order and augmentation are drawn from.
        share: The rows of each batch that `iter` serves, where several processes share them; all where None.

    Example:
        >>> import torch
        >>> from jumpml.data import Column, DataLoaders, random_split
        >>> data = DataLoaders({"x": Column(torch.rand(20, 1), "number")}, random_split(20), batch_size=4)
        >>> [len(batch["x"]) for batch in data.train], data.train.epoch
        ([4, 4, 4, 2], 1)
    """

    def __init__(self, maker: BatchMaker, order: Order, *, batch_size: int, seed: int = 0, training: bool) -> None:
        self.rows = maker.rows
        self.seed = seed
        self.share: Share | None = None
        self.maker = maker
        self._order = self._whole = order
        self._batch_size = batch_size
        self._training = training
        self._chosen: tuple[tuple[str, ...], Order | None] = ((), None)
        self._fingerprint: str | None = None
        self._served: tuple[Collection[str] | None, Collection[str]] = (None, ())
        self._plan: Plan | None = None
        self._next = self._position = _Position(0, 0)

    def __len__(self) -> int:
        return self._order.batches(self._batch_size)

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
        """Positions into `rows`, int64 ``[served]``, in the order of that epoch's batches."""
        return self._order.epoch(self.seed, epoch, self._batch_size).positions

    def count(self, datasets: Collection[str] = ()) -> int:
        """How many rows an epoch of some data sets serves; of all where empty."""
        return sum(self.drawing(datasets).epoch(self.seed, 0, self._batch_size).sizes)

    def fingerprint(self) -> str:
        """Tells one way of drawing rows from another: what the first epoch of seed 0 serves, as a short checksum."""
        if self._fingerprint is None:
            positions, sizes = self._whole.epoch(0, 0, self._batch_size)
            self._fingerprint = hashlib.sha256(positions.numpy().tobytes() + repr(sizes).encode()).hexdigest()[:12]
        return self._fingerprint

    def drawing(self, datasets: Collection[str] = ()) -> Order:
        """What says which rows an epoch serves; of some data sets alone where any is named."""
        return self._whole.only(datasets) if datasets else self._whole

    @property
    def datasets(self) -> tuple[str, ...]:
        """The data sets that rows can be drawn from; none where the order does not tell them apart."""
        return self._whole.datasets

    def serve(
        self,
        fields: Collection[str] | None,
        views: Collection[str],
        datasets: Collection[str] = (),
        order: Order | None = None,
    ) -> None:
        """Choose what batches hold, from the next ``iter`` on.

        Args:
            fields: The plain fields, and the masks of texts that `DataLoaders.bind` names; None for all. A field with
                missing values comes with ``<field>.present``. ``@position`` is each row's place in `rows`, int64
                ``[batch]``, which comes only where it is named.
            views: Draws of views, such as ``strong.0``: the batch holds ``<field>@strong.0`` for each field that the
                view touches, drawn anew each batch, and ``<field>.present`` likewise; of a text whose mask was bound
                also ``<field>.mask@strong.0``.
            datasets: The data sets whose rows they are of; all where empty. An epoch is then as long as these are.
            order: What says which rows come, in the place of the loader's own for these data sets.

        Raises:
            DataError: There is no such field, view or data set.
        """
        if (tuple(datasets), order) != self._chosen:
            self._order = order or self.drawing(datasets)
            self._chosen = tuple(datasets), order
        served = (None if fields is None else tuple(fields), tuple(views))
        if self._plan is not None and self._served == served:
            return
        names = (*self.maker.table.names, POSITION)
        unknown = next((name for name in fields or () if name not in names), None)
        if unknown is not None:
            raise DataError(f"the data has no field {unknown!r}. {did_you_mean(unknown, names)}")
        self._plan, self._served = self._planned(*served), served

    def replan(self) -> None:
        """Decide anew on what way each field takes to a batch: nodes have come to read more."""
        self._plan = None

    def __iter__(self) -> Iterator[Batch]:
        position = self._position = _Position(self._next.epoch, self._next.batch)
        self._next = _Position(position.epoch + 1, 0)
        return self._serve(position)

    def plain(self, views: Collection[str] = (), *, number: int = 0, positions: bool = False) -> Iterator[Batch]:
        """All fields of all rows in order, without augmentation.

        Args:
            views: Draws of views that the batches hold beside them, such as ``strong.0``; see `serve`.
            number: Another one draws others: a draw is a function of the seed, this number and the batch.
            positions: Whether the batches hold ``@position``, each row's place.

        Raises:
            DataError: There is no such view.
        """
        order = InOrder(len(self.rows)).epoch(self.seed, 0, self._batch_size)
        names = (*self.maker.table.names, *([POSITION] if positions else []))
        plan = self.maker.plan(names, sorted(views), training=False)
        return self.maker.make([Round(order)], plan, seed=derive_seed(self.seed, "plain"), number=number)

    def batch(
        self, positions: Tensor, fields: Collection[str], views: Collection[str] = (), *, number: int = 0
    ) -> Batch:
        """Some rows as one batch, without augmentation.

        Args:
            positions: int64 ``[batch]``, positions in the split.
            fields: The plain fields; see `serve`.
            views: Draws of views beside them; see `plain`.
            number: Another one draws others.
        """
        names = [name for name in self.maker.table.names if name in fields]
        plan = self.maker.plan(names, sorted(views), training=False)
        one = Round(Epoch(positions, (len(positions),)))
        return next(self.maker.make([one], plan, seed=derive_seed(self.seed, "batch"), number=number))

    def there(self) -> Batch:
        """Which rows have what some lack: ``<field>.present`` and ``<field>.covered``, bool ``[rows]`` each."""
        table, rows = self.maker.table, self.rows
        present = {name + PRESENT: table.gather(mask, rows) for name, mask in table.present.items()}
        return present | {name + COVERED: table.gather(mask, rows) for name, mask in table.covered.items()}

    def decoded(self, field: str) -> Tensor:
        """One field's decoded values before features, ``[rows, ...]`` in plain order; of a mask, its text's."""
        return self.maker.table.take(field, self.rows)

    def take(self, field: str, positions: Tensor) -> Tensor:
        """Some rows of that, ``[positions, ...]``."""
        return self.maker.table.take(field, self.rows[positions])

    def few(self, batches: int) -> Loader:
        """A loader of so many batches an epoch: the first ones of each; of a plain one rows that are evenly apart."""
        if self._training:
            return self._like(self.maker, FirstBatches(self._whole, batches), self._batch_size)
        count = min(len(self.rows), batches * self._batch_size)
        chosen = torch.linspace(0, len(self.rows) - 1, count).round().long()
        return self._like(self.maker.part(chosen), InOrder(count), self._batch_size)

    def resized(self, batch_size: int) -> Loader:
        """A loader of the same rows in batches of another size."""
        return self._like(self.maker, self._whole, batch_size)

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Inside, serve what you like; afterwards the loader stands where it stood, and serves what it served.

        Batches are whole inside, also where several processes share them.
        """
        before = dict(vars(self))
        self.share = None
        try:
            yield
        finally:
            vars(self).update(before)

    def _like(self, maker: BatchMaker, order: Order, batch_size: int) -> Loader:
        return Loader(maker, order, batch_size=batch_size, seed=self.seed, training=self._training)

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

    def _planned(self, fields: Collection[str] | None, views: Collection[str]) -> Plan:
        plain = [name for name in self.maker.table.names if fields is None or name in fields]
        plain += [POSITION] if fields is not None and POSITION in fields else []
        return self.maker.plan(plain, sorted(views), training=self._training)

    def _serve(self, position: _Position) -> Iterator[Batch]:
        number, seed = position.epoch, self.seed
        rounds = self._order.rounds(seed, number, self._batch_size, position.batch)
        plan = self._plan = self._plan or self._planned(*self._served)
        batches = self.maker.make(rounds, plan, first=position.batch, seed=seed, number=number, share=self.share)
        for served, batch in enumerate(batches, position.batch + 1):
            position.batch = served
            yield batch
        position.epoch, position.batch = number + 1, 0
