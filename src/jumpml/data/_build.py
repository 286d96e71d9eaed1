"""The data file to loaders."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, cast

from jumpml.core import MISSING_TEXTS, CsvSource, SpecError, SplitSources, TokenLabelsField
from jumpml.data._check import Checker
from jumpml.data._difficulty import difficulty_mistakes, read_difficulty
from jumpml.data._disk import column_on_disk
from jumpml.data._join import covered_rows, join_columns, join_raws
from jumpml.data._loaders import DataLoaders
from jumpml.data._mix import train_order
from jumpml.data._part import join_splits, read_part
from jumpml.data._steps import augment_steps
from jumpml.data.kinds import KINDS, decode
from jumpml.data.kinds._token_labels import align
from jumpml.data.sources import open_dataset
from jumpml.data.splits._rules import unknown_names

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from torch import Tensor

    from jumpml.core import DataSpec
    from jumpml.data._files import FileColumn
    from jumpml.data._part import Part
    from jumpml.data.kinds import Column


def build_dataloader(spec: DataSpec, trust: Collection[str] = ()) -> DataLoaders:
    """Read, decode and split the data that a file describes.

    Args:
        spec: From `jumpml.core.load_spec`.
        trust: Packages beside ``torch.nn`` and ``jumpml`` that the file may name functions and modules of.

    Returns:
        The loaders, with the features that the file names already fitted.

    Raises:
        SpecError: The file asks for something that is not there or does not fit; all such mistakes at once.
        DataError: A value cannot be decoded; the text names data set, field and row.

    Example:
        >>> from jumpml.core import DataSpec, load_spec
        >>> source = {"kind": "sklearn", "name": "wine"}
        >>> fields = {"data": {"kind": "tensor", "shape": [13]}, "target": {"kind": "category"}}
        >>> spec = load_spec(DataSpec, {"datasets": {"wine": {"source": source, "fields": fields}}})
        >>> loaders = build_dataloader(spec)
        >>> len(loaders.train.rows), loaders.fields["target"].classes
        (124, ('class_0', 'class_1', 'class_2'))
    """
    opened = {name: open_dataset(spec, name, trust) for name in spec.datasets}
    sources = {name: source for name, (source, _) in opened.items() if source is not None}
    unknown = [unknown_names(spec, name, source.schema) for name, source in sources.items()]
    checker = Checker(spec, trust)
    schemas = {name: source.schema if source else None for name, (source, _) in opened.items()}
    unknown += [[*difficulty_mistakes(spec, name, columns, trust)] for name, columns in schemas.items()]
    mistakes = [*checker.check(), *chain(*(missing for _, missing in opened.values()), *unknown)]
    if mistakes:
        raise SpecError(spec.source, mistakes)
    parts = {name: read_part(spec, name, source) for name, source in sources.items()}
    splits = join_splits(parts)
    columns = _columns(spec, parts, splits["train"])
    loaders = DataLoaders(
        columns,
        splits,
        covered=_covered(spec, parts),
        features=checker.features,
        augment={name: augment_steps(steps) for name, steps in spec.augment.items()},
        views={
            view: {name: augment_steps(steps) for name, steps in by_field.items()}
            for view, by_field in spec.views.items()
        },
        batch_size=spec.batch_size,
        order=train_order(spec, columns, splits["train"], _shards(parts)),
        bucket=spec.bucket,
        keep=spec.storage == "memory",
        workers=spec.workers,
        name=", ".join(spec.datasets),
        missing_texts=_missing_texts(spec),
        difficulty=read_difficulty(spec, parts, columns, trust),
    )
    loaders.spec = spec
    return loaders


def _missing_texts(spec: DataSpec) -> tuple[str, ...]:
    """What the tables of text say where a value is missing; the usual texts where there is no such table."""
    told = [dataset.source for dataset in spec.datasets.values()]
    sources = chain(*((t.train, t.val, t.test) if isinstance(t, SplitSources) else (t,) for t in told))
    texts = [source.missing for source in sources if isinstance(source, CsvSource)]
    return tuple(dict.fromkeys(chain(*texts))) if texts else MISSING_TEXTS


def _columns(spec: DataSpec, parts: Mapping[str, Part], train: Tensor) -> dict[str, Column | FileColumn]:
    """The fields of all data sets; those come last that learn from the train rows how to decode."""
    counts = {name: part.count for name, part in parts.items()}
    told = {field: how for dataset in spec.datasets.values() for field, how in dataset.fields.items()}
    columns: dict[str, Column | FileColumn] = {}
    for field, how in sorted(told.items(), key=lambda item: isinstance(item[1], TokenLabelsField)):  # after their texts
        if KINDS[how.kind].learns:
            raws = join_raws({name: part.raws[field] for name, part in parts.items() if field in part.raws}, counts)
            decoded = decode(raws, how, train.numpy())
            if isinstance(how, TokenLabelsField):
                decoded = align(decoded, raws[0], cast("Column", columns[how.text]), repr(how.text))
            columns[field] = column_on_disk(decoded) if spec.storage == "disk" else decoded
        else:
            pieces = {name: part.columns[field] for name, part in parts.items() if field in part.columns}
            columns[field] = join_columns(field, pieces, counts, on_disk=spec.storage == "disk")
    return {field: columns[field] for field in told}


def _covered(spec: DataSpec, parts: Mapping[str, Part]) -> dict[str, Tensor]:
    """By field that some data sets do not have, the rows of those that do."""
    counts = {name: part.count for name, part in parts.items()}
    fields = dict.fromkeys(field for dataset in spec.datasets.values() for field in dataset.fields)
    found = {
        field: covered_rows([name for name, dataset in spec.datasets.items() if field in dataset.fields], counts)
        for field in fields
    }
    return {field: rows for field, rows in found.items() if rows is not None}


def _shards(parts: Mapping[str, Part]) -> dict[str, list[range]]:
    """Each data set's shards, with row numbers that go on from one data set to the next."""
    shards, start = {}, 0
    for name, part in parts.items():
        shards[name] = [range(start + shard.start, start + shard.stop) for shard in part.shards]
        start += part.count
    return shards
