"""The data file to loaders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml.core import DataError, SpecError
from jumpml.data._check import Checker
from jumpml.data._loaders import DataLoaders
from jumpml.data._steps import augment_steps, feature_steps
from jumpml.data.kinds._decode import RawColumn, decode_category, decode_image, decode_number, decode_tensor
from jumpml.data.sources._open import column_of, open_source
from jumpml.data.splits._choose import choose_rows

if TYPE_CHECKING:
    from jumpml.core import DataSpec
    from jumpml.data.kinds._column import Column
    from jumpml.data.sources._source import Source


def build_dataloader(spec: DataSpec) -> DataLoaders:
    """Read, decode and split the data that a file describes.

    Args:
        spec: From `jumpml.core.load_spec`.

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
    source, missing = open_source(spec)
    mistakes = Checker(spec).check() + missing
    if mistakes or source is None:
        raise SpecError(spec.source, mistakes)
    columns, told_split = _read(spec, source)
    rows = choose_rows(spec, columns, told_split, source.place)
    return DataLoaders(
        columns,
        rows,
        features={name: feature_steps(steps) for name, steps in spec.features.items()},
        augment={name: augment_steps(steps) for name, steps in spec.augment.items()},
        views={
            view: {name: augment_steps(steps) for name, steps in by_field.items()}
            for view, by_field in spec.views.items()
        },
        batch_size=spec.batch_size,
        name=next(iter(spec.datasets)),
    )


def _read(spec: DataSpec, source: Source) -> tuple[dict[str, Column], RawColumn | None]:
    """The decoded columns, and the column that says which rows are for what."""
    name, dataset = next(iter(spec.datasets.items()))
    wanted = {field: column_of(field, told) for field, told in dataset.fields.items()}
    split_column = dataset.split.column
    arrays = source.read({*wanted.values(), *([split_column] if split_column else [])})
    if not len(next(iter(arrays.values()))):
        raise DataError(f"data set {name!r}: the source has no rows.")
    columns = {}
    for field, told in dataset.fields.items():
        where = f"data set {name!r}, field {field!r}"
        columns[field] = _decode(RawColumn(values=arrays[wanted[field]], where=where, place=source.place), told)
    if split_column is None:
        return columns, None
    where = f"data set {name!r}, split column {split_column!r}"
    return columns, RawColumn(values=arrays[split_column], where=where, place=source.place)


def _decode(raw: RawColumn, told: Any) -> Column:
    if told.kind == "number":
        return decode_number(raw)
    if told.kind == "category":
        return decode_category(raw, told.classes)
    if told.kind == "image":
        return decode_image(raw, told.shape, told.range)
    return decode_tensor(raw, told.shape)
