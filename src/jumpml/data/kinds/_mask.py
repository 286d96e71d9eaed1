"""A class for every pixel of a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

from jumpml.core import ValueInfo
from jumpml.data.kinds._category import codes_problem, rows_of_classes, twice_named, unseen
from jumpml.data.kinds._encoded import blobs_of, decode_blobs
from jumpml.data.kinds._kind import Decoded, Kind, shape_problem
from jumpml.data.kinds._numbers import rows_of_numbers
from jumpml.data.kinds._picture import MaskDecoder, codes_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from pydantic import JsonValue
    from torch import Tensor

    from jumpml.core import FieldInfo
    from jumpml.data.kinds._column import Column
    from jumpml.data.kinds._raw_column import RawColumn


@final
class MaskKind(Kind):
    """A class for every pixel: int64 codes ``[rows, height, width]``, -1 where it is not known."""

    name = "mask"
    gives = "codes map"
    dtype = torch.int64
    form = "[rows, height, width]"
    absent = -1

    def decode(self, raws: Sequence[RawColumn], told: Any, train: NDArray[np.int64] | None = None) -> Decoded:
        """Arrays of codes, or pictures whose pixels are codes."""
        raw, classes = raws[0], len(told.classes)
        blobs = blobs_of(raw, told.folder)
        nothing = np.full(told.shape, -1, dtype=np.int64)
        if blobs is None:
            values = _of_arrays(raw, nothing, classes, told.ignore)
        else:
            values = decode_blobs(raw, blobs, MaskDecoder(told.shape, classes, told.ignore), nothing)
        options: dict[str, JsonValue] = {} if told.ignore is None else {"ignore": told.ignore}
        return Decoded(values=torch.from_numpy(values), classes=told.classes, options=options)

    def expected(self, told: Any) -> ValueInfo:
        """As the file says."""
        return ValueInfo(shape=told.shape, dtype="int64", classes=len(told.classes))

    def mistakes(self, told: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """Two classes of one name; a class whose code is to be ignored."""
        yield from twice_named(told.classes)
        if told.ignore is not None and told.ignore < len(told.classes):
            yield ("ignore",), f"{told.ignore} is the code of the class {told.classes[told.ignore]!r}.", ""

    def problem(self, values: Tensor, column: Column) -> str:
        """Codes of the classes, or -1."""
        if values.ndim != 3:
            return shape_problem(self.form, column.values)
        return codes_problem(values, column.classes)

    def present(self, values: Tensor) -> Tensor:
        """Where any pixel's class is known."""
        return (values >= 0).flatten(1).any(dim=1)

    def raw(self, info: FieldInfo, values: NDArray) -> list[JsonValue]:
        """Codes, null where the class is not known."""
        codes = values.astype(object)
        codes[values < 0] = None
        return codes.tolist()

    def num_codes(self, column: Column) -> int | None:
        """One a class."""
        return len(column.classes) or None

    def findings(self, info: FieldInfo, train: Iterable[Tensor], count: int) -> Iterator[str]:
        """Classes that no train row has."""
        yield from unseen(info.classes, rows_of_classes((codes[codes >= 0] for codes in train), len(info.classes)))


def _of_arrays(raw: RawColumn, nothing: NDArray[np.int64], classes: int, ignore: int | None) -> NDArray[np.int64]:
    numbers = rows_of_numbers(raw, nothing.shape)
    values = np.empty(numbers.shape, dtype=np.int64)
    for row, pixels in enumerate(numbers):
        values[row] = nothing
        if not np.isnan(pixels).all():
            try:
                values[row] = codes_of(pixels, classes, ignore)
            except ValueError as error:
                raw.reject(row, str(error))
    return values
