"""The three loaders of a data set, with everything that a model has to know of it."""

from __future__ import annotations

from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, final

import torch

from jumpml.core import (
    MASK,
    MISSING_TEXTS,
    PRESENT,
    TOLD,
    DataError,
    FieldInfo,
    ValueInfo,
    derived_of,
    did_you_mean,
    field_of,
    masks_of,
    nexts_of,
    told_of,
)
from jumpml.data._batches import BatchMaker
from jumpml.data._bucket import Bucketed, Cut, padding_of
from jumpml.data._findings import find
from jumpml.data._loader import Loader
from jumpml.data._order import InOrder, Mixture
from jumpml.data._pools import Shuffled
from jumpml.data._summary import record, summary
from jumpml.data._table import Table
from jumpml.data._validate import by_row, validate_rows, validate_steps
from jumpml.data.augment._policies import PLAIN, Policies
from jumpml.data.features._absent import Presence, Zeros
from jumpml.data.features._custom import as_features
from jumpml.data.features._feature_map import DEFAULTS, FeatureMap, fit_steps, missing_problem
from jumpml.data.features._tokens import NextToken, PaddingMask
from jumpml.data.features._train_rows import TrainRows
from jumpml.data.kinds import KINDS, Column, decoding, raw_rows
from jumpml.data.splits._splits import SPLITS, Splits

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from pydantic import JsonValue
    from torch import Tensor, nn

    from jumpml.core import DataSpec
    from jumpml.data._files import FileColumn
    from jumpml.data._order import Order
    from jumpml.data.augment._augmentation import Change
    from jumpml.data.features._feature import Feature

_TELLERS = "hide, which tells .hidden and .whole, and quarter_turn, jigsaw and order, which tell .answer"


@final
class DataLoaders:
    """Loaders of the train, validation and test rows of a table of decoded fields.

    Args:
        columns: The decoded fields by name; all have the same number of rows.
        splits: Row numbers of ``train``, ``val`` and ``test``; no row in two of them.
        covered: By field that only some of the joined data sets have, bool ``[rows]``: their rows. Batches hold it as
            ``<field>.covered``; what nodes compute without such a field does not count.
        features: Feature steps by field, of which copies are fitted on the train rows; any other module is a `Custom`
            step. A field that is not named here gets the default of its kind once `bind` says that a node reads it; an
            empty list means none.
        augment: Random changes by field, for train batches.
        views: Random changes by view and field, which objectives ask for.
        batch_size: Rows a batch.
        order: Which train rows an epoch serves, in which batches; all of them, shuffled, where None.
        bucket: A text field: train batches are `Bucketed` by its length, and in every batch it is cut to its longest
            row, rounded up to a multiple of 8, unless it has features.
        keep: Whether featurised values are kept in memory, so that they are computed once.
        workers: Processes that decode what stays in files.
        seed: What order and augmentation are drawn from.
        name: The data set's name.
        missing_texts: What a cell of a table of text says where a value is missing; a bundle reads such tables so.
        difficulty: How hard each row of the columns is, ``[rows]``, NaN where that is not known.

    Attributes:
        train, val, test: The loaders. Train batches are shuffled and augmented.
        fields: What each field is, as decoded; only the rows of the splits count as missing a value.
        features: The fitted feature steps.
        left_out: Row numbers of the rows that are in no split, by the reason.
        name: The data set's name.
        view_fields: The fields that each view touches.
        told: By view, what its steps tell of what they did: ``image.hidden``, ``image.whole``, ``image.answer``.
        policies: What is drawn at random: views, and of train rows augmentation.
        spec: The file that they were built from, where there was one.
        difficulty: How hard each train row is, float64 ``[train rows]`` in plain order, the higher the harder; None
            where nothing is said.

    Raises:
        DataError: A column, a split or a step does not fit.

    Example:
        >>> from jumpml.data import Column, DataLoaders, Standardize, random_split
        >>> x, y = torch.randn(20, 3), torch.arange(20) % 2
        >>> columns = {"x": Column(x, "tensor"), "y": Column(y, "category", classes=("no", "yes"))}
        >>> loaders = DataLoaders(columns, random_split(20), features={"x": [Standardize()]}, batch_size=8)
        >>> {key: tuple(values.shape) for key, values in next(iter(loaders.train)).items()}
        {'x': (8, 3), 'y': (8,)}
    """

    def __init__(
        self,
        columns: Mapping[str, Column | FileColumn],
        splits: Mapping[str, Tensor],
        *,
        covered: Mapping[str, Tensor] | None = None,
        features: Mapping[str, Sequence[nn.Module]] | None = None,
        augment: Mapping[str, Sequence[Change]] | None = None,
        views: Mapping[str, Mapping[str, Sequence[Change]]] | None = None,
        batch_size: int = 64,
        order: Order | None = None,
        bucket: str | None = None,
        keep: bool = True,
        workers: int = 0,
        seed: int = 0,
        name: str = "data",
        missing_texts: Sequence[str] = MISSING_TEXTS,
        difficulty: Tensor | None = None,
    ) -> None:
        features, augment, views = as_features(features or {}), augment or {}, views or {}
        if batch_size < 1:
            raise DataError(f"expected a batch size of at least 1, got {batch_size}.")
        validate_rows(columns, splits)
        served = torch.cat([splits[split] for split in SPLITS])  # what rows in no split lack is missed by nobody
        covered = covered or {}
        lacking = {key: int((~rows[served]).sum()) for key, rows in covered.items()}
        fields = {
            key: replace(column.info(key, served, splits["train"]), lacking=lacking.get(key, 0))
            for key, column in columns.items()
        }
        validate_steps(fields, features, augment, views)
        self.policies = policies = Policies(augment, views, fields)
        fields = {
            key: replace(i, hides=policies.hides(key), answers=policies.answers(key)) for key, i in fields.items()
        }
        self.name = name
        self.missing_texts = tuple(missing_texts)
        self.difficulty = None if difficulty is None else by_row(difficulty, columns)[splits["train"]]
        self.fields: Mapping[str, FieldInfo] = MappingProxyType(fields)
        self.view_fields: Mapping[str, frozenset[str]] = MappingProxyType(policies.view_fields)
        self.told: Mapping[str, frozenset[str]] = MappingProxyType(policies.told)
        self.features = FeatureMap({})
        for mask in masks_of(fields):
            self.features.set(mask, [PaddingMask(padding_of(fields[field_of(mask)]))])
        for following in nexts_of(fields):
            self.features.set(following, [NextToken(padding_of(fields[field_of(following)]))])
        for field, info in fields.items():
            self.features.set(field + PRESENT, [Presence(info.kind)])
        self._table = Table(columns, fields, covered)
        self._cut = None if bucket is None else Cut(bucket, fields, self._table)
        self._originals = {
            name: column.originals
            for name, column in columns.items()
            if isinstance(column, Column) and column.originals is not None
        }
        self._makers = {
            split: BatchMaker(
                self._table,
                splits[split],
                features=self.features,
                policies=policies,
                keep=keep,
                workers=workers,
                cut=self._cut,
            )
            for split in SPLITS
        }
        order = order or Mixture({name: Shuffled(torch.arange(len(splits["train"])))})
        if self._cut:
            order = Bucketed(order, self._cut.lengths[splits["train"]])
        loaders = {
            split: Loader(
                maker,
                order if split == "train" else InOrder(len(maker.rows)),
                batch_size=batch_size,
                seed=seed,
                training=split == "train",
            )
            for split, maker in self._makers.items()
        }
        self.train, self.val, self.test = (loaders[split] for split in SPLITS)
        self.spec: DataSpec | None = None
        self._findings: list[str] | None = None
        self._split_findings = splits.findings if isinstance(splits, Splits) else ()
        self.left_out: Mapping[str, Tensor] = splits.left_out if isinstance(splits, Splits) else {}
        self._explicit = {field: tuple(steps) for field, steps in features.items()}
        for field, steps in self._explicit.items():
            self._fit(field, steps)
        self._refuse_shared([name for name, steps in self._explicit.items() if steps])
        self._check_late([name for name in fields if name in self._explicit or fields[name].kind not in DEFAULTS])

    @property
    def batch_size(self) -> int:
        """Rows a batch; the last one of an epoch may have fewer."""
        return self.train.batch_size

    @property
    def readable(self) -> tuple[str, ...]:
        """What nodes can read: the fields, the masks of texts, and of each field which rows have a value."""
        return (*self.fields, *derived_of(self.fields))

    @property
    def servable(self) -> tuple[str, ...]:
        """What batches can hold: what nodes can read, and what follows each token of a text (``message.next``)."""
        return (*self.readable, *nexts_of(self.fields))

    @property
    def seed(self) -> int:
        """What order and augmentation are drawn from."""
        return self.train.seed

    @seed.setter
    def seed(self, seed: int) -> None:
        self.train.seed = seed

    @property
    def mixes_rows(self) -> bool:
        """Whether train batches mix rows with each other, so that a loss is of several rows."""
        return self.policies.mixes_rows

    def bind(self, inputs: Collection[str]) -> None:
        """Say that nodes read these fields, and what is made of some (``message.mask``, ``age.present``).

        Batches then hold them. What follows each token (``message.next``) can be named too, which only objectives and
        tasks may read; and what views tell (``image.hidden``), which only objectives may: it comes with their draws.

        From now on they have the default features of their kinds, where `features` says nothing. Fields that were bound
        before stay bound.

        Raises:
            DataError: There is no such field, or its missing values would reach a node.
        """
        asked = [name for name in inputs if name.endswith(TOLD)]
        for name in asked:
            self.info(name)
        self._table.asked = tuple(dict.fromkeys([*self._table.asked, *asked]))
        inputs = [name for name in inputs if name not in asked]
        self._refuse_shared(inputs)
        derived = [name for name in inputs if self._field(name).name != name]
        self._table.derived = tuple(dict.fromkeys([*self._table.derived, *derived]))
        inputs = [name for name in inputs if name not in derived]
        for name in inputs:
            info = self._field(name)
            default = DEFAULTS.get(info.kind, ())
            steps = self.features.steps(name) if name in self._explicit else default
            problem = missing_problem(steps, info, opened=name in self.policies.opened)
            if problem:
                raise DataError(problem)
        for name in inputs:
            kind = self.fields[name].kind
            if kind in DEFAULTS and name not in self._explicit and not self.features.steps(name):
                self._fit(name, DEFAULTS[kind])
            steps = self.features.steps(name)
            if name in self._table.covered and KINDS[kind].gives != "tokens" and not any(s.fills for s in steps):
                self.features.set(name, [*steps, Zeros(self.fields[name])])
        self._check_late(inputs)
        for loader in (self.train, self.val, self.test):
            loader.replan()

    def info(self, name: str) -> ValueInfo:
        """What a field is in a batch: after its features, where it has some or is bound; or a text's mask.

        Beside shape and type it says how many codes there are: tokens, or what a node may embed. What views tell is
        known too (``image.hidden``).

        Raises:
            DataError: There is no such field, or no view tells that of it.
        """
        if name.endswith(TOLD):
            return self._told(name)
        field, steps = self._field(name), self.features.steps(name)
        row = self.features.apply_to(name, self._table.take(name, self.train.rows[:1]))
        value = ValueInfo(shape=tuple(row.shape[1:]), dtype=str(row.dtype).removeprefix("torch."))
        return steps[-1].described(value) if steps else replace(value, classes=field.value.classes)

    def shortest(self) -> dict[str, ValueInfo]:
        """The text that ``bucket`` cuts, and its mask, in the shortest batch that may come; nothing where none is."""
        if self._cut is None or self.features.steps(self._cut.field):
            return {}
        names = (self._cut.field, self._cut.field + MASK)
        return {name: replace(self.info(name), shape=(self._cut.shortest,)) for name in names}

    def covered(self, fields: Collection[str], split: str) -> Tensor | None:
        """The rows of a split whose data set has all of some fields, bool ``[rows]`` on the CPU; None where all have.

        Args:
            fields: The fields.
            split: ``train``, ``val`` or ``test``.
        """
        found = [self._table.covered[name].cpu() for name in fields if name in self._table.covered]
        return torch.stack(found).all(0)[getattr(self, split).rows] if found else None

    def to_raw(self, field: str, values: Tensor) -> Tensor:
        """Undo a field's features: a standardized target's predictions in the target's own units.

        Args:
            field: The field.
            values: ``[batch, ...]`` as in a batch, or predictions of them.

        Returns:
            Decoded values: what came in where the field has no features.

        Raises:
            DataError: There is no such field.
        """
        self._field(field)
        return self.features.inverse(field, values)

    @property
    def device(self) -> torch.device:
        """Where everything is held."""
        return self._table.device

    def to(self, device: torch.device | str) -> DataLoaders:
        """Hold and serve everything on another device."""
        self.features.to(device)
        self._table.to(device)
        for maker in self._makers.values():
            maker.forget()
        return self

    def few(self, batches: int) -> DataLoaders:
        """The same data in so many batches a split, to try what would take long: train epochs end early.

        Args:
            batches: How many.
        """
        return self._served_by({split: getattr(self, split).few(batches) for split in SPLITS})

    def resized(self, batch_size: int) -> DataLoaders:
        """The same data in batches of another size.

        Args:
            batch_size: Rows a batch.
        """
        return self._served_by({split: getattr(self, split).resized(batch_size) for split in SPLITS})

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Inside, serve what you like; afterwards each loader stands where it stood, and serves what it served."""
        with self.train.borrowed(), self.val.borrowed(), self.test.borrowed():
            yield

    def _served_by(self, loaders: Mapping[str, Loader]) -> DataLoaders:
        other = copy(self)
        other._makers = {split: loader.maker for split, loader in loaders.items()}
        other.train, other.val, other.test = (loaders[split] for split in SPLITS)
        return other

    def summary(self, *, findings: bool = True) -> str:
        """The data set as a table for people, and below it what is suspicious."""
        return summary(self.record() if findings else {**self.record(), "findings": []})

    def record(self) -> dict[str, JsonValue]:
        """The data set as plain values: rows by split, fields, features and findings."""
        return record(self)

    def findings(self) -> list[str]:
        """What is suspicious in the data, without being an error; looked for once."""
        if self._findings is None:
            rows = {split: maker.rows for split, maker in self._makers.items()}
            self._findings = [*self._split_findings, *find(self.fields, self._table, rows)]
        return list(self._findings)

    def decoding(self) -> dict[str, dict[str, JsonValue]]:
        """How each field's raw value becomes the decoded tensor, as plain values for a bundle."""
        filled = {name: any(step.fills for step in self.features.steps(name)) for name in self.fields}
        return {name: decoding(info, filled=filled[name]) for name, info in self.fields.items()}

    def raw(self, split: str, rows: Sequence[int]) -> list[dict[str, JsonValue]]:
        """Rows as a user of the deployed model would send them; decoding them gives the same tensors, bit for bit.

        Args:
            split: ``train``, ``val`` or ``test``.
            rows: Positions in the split, in plain order.

        Raises:
            DataError: There is no such split.
        """
        if split not in SPLITS:
            raise DataError(f"there is no split {split!r}. {did_you_mean(split, SPLITS)}")
        chosen = getattr(self, split).rows[list(rows)]
        values = {name: (info, self._table.take(name, chosen)) for name, info in self.fields.items()}
        return raw_rows(values, {name: [sent[row] for row in chosen] for name, sent in self._originals.items()})

    def _field(self, name: str) -> FieldInfo:
        """What is known of a field, or of the text behind a mask."""
        if name not in self.servable:
            near = did_you_mean(name, (*self.fields, *masks_of(self.fields)))
            if name.endswith(MASK) and field_of(name) in self.fields:
                near = f"Only a text has a mask, and {field_of(name)!r} is a {self.fields[field_of(name)].kind}."
            raise DataError(f"the data set {self.name!r} has no field {name!r}. {near}")
        return self.fields[field_of(name)]

    def _told(self, name: str) -> ValueInfo:
        field = field_of(name)
        info, views = self._field(field), [view for view, told in self.told.items() if name in told]
        if not views:
            raise DataError(f"no view tells {name!r}: none has a step on {field!r} that would. There are {_TELLERS}.")
        return told_of({field: info}, {field: self.info(field)}, views)[name]

    def _refuse_shared(self, fields: Collection[str]) -> None:
        """Refuse fields that features or nodes read as codes, where a mixture makes shares of classes of them."""
        for name in fields:
            if name in self.policies.shared:
                problem = "a mixture turns its codes into shares of classes, which neither features nor nodes can read."
                raise DataError(f"field {name!r}: {problem} Only a target without features can be mixed.")

    def _check_late(self, fields: Collection[str]) -> None:
        """Refuse steps that come after some fields' features and cannot change what those give."""
        draws = [PLAIN, *(f"{view}.0" for view in self.view_fields)]
        late = {name for draw in draws for name in self.policies.after_features(draw)}
        for name in fields:
            problem = self.policies.problem_after_features(name, self.info(name)) if name in late else ""
            if problem:
                raise DataError(problem)

    def _fit(self, name: str, steps: Sequence[Feature]) -> None:
        # On the CPU: the same statistics wherever the data lies, and not every device has float64.
        rows = self.train.rows

        def blocks() -> Iterator[Tensor]:
            return (block.cpu() for block in self._table.blocks(name, rows))

        train = TrainRows(
            blocks, fields=self.fields, other=lambda field: self._table.take(field, rows).cpu(), count=len(rows)
        )
        self.features.set(name, fit_steps(steps, train, self.fields[name]))
        self.features.to(self.device)
