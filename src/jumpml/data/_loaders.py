"""The three loaders of a data set, with everything that a model has to know of it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, final

import torch

from jumpml.core import DataError, FieldInfo, ValueInfo, did_you_mean
from jumpml.data._findings import find
from jumpml.data._loader import Loader
from jumpml.data._summary import record, summary
from jumpml.data.augment._policies import Policies
from jumpml.data.features._feature_map import DEFAULTS, FeatureMap, fit_steps, steps_problem
from jumpml.data.kinds._raw import decoding, raw_rows
from jumpml.data.splits._random import SPLITS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pydantic import JsonValue
    from torch import Tensor

    from jumpml.data.augment._augmentations import Augmentation
    from jumpml.data.features._features import Feature
    from jumpml.data.kinds._column import Column


@final
class DataLoaders:
    """Loaders of the train, validation and test rows of one data set, in memory.

    Args:
        columns: The decoded fields by name; all have the same number of rows.
        splits: Row numbers of ``train``, ``val`` and ``test``; no row in two of them.
        features: Feature steps by field, fitted on the train rows. A field that is not named here gets the default of
            its kind once `bind` says that a node reads it; an empty list means none.
        augment: Random changes by field, for train batches.
        views: Random changes by view and field, which objectives ask for.
        batch_size: Rows a batch.
        seed: What order and augmentation are drawn from.
        name: The data set's name.

    Attributes:
        train, val, test: The loaders. Train batches are shuffled and augmented.
        fields: What each field is, as decoded.
        features: The fitted feature steps.
        name: The data set's name.
        view_fields: The fields that each view touches.

    Raises:
        DataError: A column, a split or a step does not fit.

    Example:
        >>> from jumpml.data import Column, DataLoaders, Standardize, random_split
        >>> x, y = torch.randn(20, 3), torch.arange(20) % 2
        >>> columns = {"x": Column(x, "tensor"), "y": Column(y, "category", classes=("no", "yes"))}
        >>> loaders = DataLoaders(columns, random_split(20), features={"x": [Standardize]}, batch_size=8)
        >>> {key: tuple(values.shape) for key, values in next(iter(loaders.train)).items()}
        {'x': (8, 3), 'y': (8,)}
    """

    def __init__(
        self,
        columns: Mapping[str, Column],
        splits: Mapping[str, Tensor],
        *,
        features: Mapping[str, Sequence[type[Feature]]] | None = None,
        augment: Mapping[str, Sequence[Augmentation]] | None = None,
        views: Mapping[str, Mapping[str, Sequence[Augmentation]]] | None = None,
        batch_size: int = 64,
        seed: int = 0,
        name: str = "data",
    ) -> None:
        features, augment, views = features or {}, augment or {}, views or {}
        fields = {key: column.info(key) for key, column in columns.items()}
        if batch_size < 1:
            raise DataError(f"expected a batch size of at least 1, got {batch_size}.")
        _validate_rows(columns, splits)
        _validate_steps(fields, features, augment, views)
        policies = Policies(augment, views)
        self.name = name
        self.fields: Mapping[str, FieldInfo] = MappingProxyType(fields)
        self.view_fields: Mapping[str, frozenset[str]] = MappingProxyType(policies.view_fields)
        self.features = FeatureMap({})
        loaders = {
            split: Loader(
                columns,
                splits[split],
                features=self.features,
                batch_size=batch_size,
                seed=seed,
                policies=policies if split == "train" else None,
            )
            for split in SPLITS
        }
        self.train, self.val, self.test = (loaders[split] for split in SPLITS)
        self._findings: list[str] | None = None
        self._explicit = {field: tuple(steps) for field, steps in features.items()}
        for field, steps in self._explicit.items():
            self._fit(field, steps)

    @property
    def batch_size(self) -> int:
        """Rows a batch; the last one of an epoch may have fewer."""
        return self.train.batch_size

    @property
    def seed(self) -> int:
        """What order and augmentation are drawn from."""
        return self.train.seed

    @seed.setter
    def seed(self, seed: int) -> None:
        self.train.seed = seed

    def bind(self, inputs: Collection[str]) -> None:
        """Say that nodes read these fields.

        From now on a number among them is standardized and a category one-hot, where `features` says nothing. Fields
        that were bound before stay bound.

        Raises:
            DataError: There is no such field, or its missing values would reach a node.
        """
        for name in inputs:
            info = self._field(name)
            if info.missing and self._explicit.get(name) == ():
                raise DataError(
                    f"field {name!r}: {info.missing} values are missing, and its empty list of features leaves them "
                    f"so, but a node reads it. Give it {DEFAULTS[info.kind].name}, or leave {name!r} out of `features`."
                )
        for name in inputs:
            kind = self.fields[name].kind
            if kind in DEFAULTS and name not in self._explicit and not self.features.steps(name):
                self._fit(name, (DEFAULTS[kind],))

    def info(self, name: str) -> ValueInfo:
        """A field's shape and type in a batch: after its features, where it has some or is bound.

        Raises:
            DataError: There is no such field.
        """
        self._field(name)
        row = self.features.apply_to(name, self.train.decoded(name)[:1])
        return ValueInfo(shape=tuple(row.shape[1:]), dtype=str(row.dtype).removeprefix("torch."))

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
        return self.train.decoded(next(iter(self.fields))).device

    def to(self, device: torch.device | str) -> DataLoaders:
        """Hold and serve everything on another device."""
        self.features.to(device)
        for loader in (self.train, self.val, self.test):
            loader.to(device)
        return self

    def summary(self) -> str:
        """The data set as a table for people."""
        return summary(self.record())

    def record(self) -> dict[str, JsonValue]:
        """The data set as plain values: rows by split, fields, features and findings."""
        return record(self)

    def findings(self) -> list[str]:
        """What is suspicious in the data, without being an error; looked for once."""
        if self._findings is None:
            self._findings = find(self)
        return list(self._findings)

    def decoding(self) -> dict[str, dict[str, JsonValue]]:
        """How each field's raw value becomes the decoded tensor, as plain values for a bundle."""
        return {name: decoding(info) for name, info in self.fields.items()}

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
        loader: Loader = getattr(self, split)
        return raw_rows({name: (info, loader.decoded(name)) for name, info in self.fields.items()}, rows)

    def _field(self, name: str) -> FieldInfo:
        if name not in self.fields:
            raise DataError(f"the data set {self.name!r} has no field {name!r}. {did_you_mean(name, self.fields)}")
        return self.fields[name]

    def _fit(self, name: str, steps: Sequence[type[Feature]]) -> None:
        values = self.train.decoded(name)
        # On the CPU: the same statistics wherever the data lies, and not every device has float64.
        self.features.set(name, fit_steps(steps, values.cpu(), self.fields[name]))
        self.features.to(values.device)


def _validate_rows(columns: Mapping[str, Column], splits: Mapping[str, Tensor]) -> None:
    lengths = {name: len(column) for name, column in columns.items()}
    if not lengths or len(set(lengths.values())) > 1:
        told = ", ".join(f"{name}: {length}" for name, length in lengths.items()) or "no column"
        raise DataError(f"expected columns with equally many rows, got {told}.")
    if set(splits) != set(SPLITS):
        raise DataError(f"expected the splits train, val and test, got {', '.join(splits) or 'none'}.")
    for name in SPLITS:
        if not len(splits[name]):
            raise DataError(f"the {name} split is empty.")
    rows = torch.cat([splits[name] for name in SPLITS])
    low, high, last = int(rows.amin()), int(rows.amax()), next(iter(lengths.values())) - 1
    if rows.dtype != torch.int64 or low < 0 or high > last:
        raise DataError(f"expected row numbers from 0 to {last} as int64, got {low} to {high} as {rows.dtype}.")
    if len(rows.unique()) < len(rows):
        raise DataError("expected every row in one split, got a row that stands twice.")


def _validate_steps(
    fields: Mapping[str, FieldInfo],
    features: Mapping[str, Sequence[type[Feature]]],
    augment: Mapping[str, Sequence[Augmentation]],
    views: Mapping[str, Mapping[str, Sequence[Augmentation]]],
) -> None:
    for field, steps in features.items():
        found = steps_problem(steps, _known(field, fields, "features"))
        if found:
            raise DataError(f"features, {field!r}: {found[1]}")
    changes = {"augment": augment, **{f"view {view!r}": by_field for view, by_field in views.items()}}
    for where, by_field in changes.items():
        for field, steps in by_field.items():
            info = _known(field, fields, where)
            problem = next((problem for step in steps if (problem := step.problem(info))), "")
            if problem:
                raise DataError(f"{where}, {field!r}: {problem}")


def _known(field: str, fields: Mapping[str, FieldInfo], where: str) -> FieldInfo:
    if field not in fields:
        raise DataError(f"{where}: there is no field {field!r}. {did_you_mean(field, fields)}")
    return fields[field]
