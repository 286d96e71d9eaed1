"""What a kind of field is: how a raw value becomes a tensor, and back."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from pydantic import JsonValue
    from torch import Tensor

    from jumpml.core import FieldInfo, ValueInfo
    from jumpml.data.kinds._column import Column
    from jumpml.data.kinds._raw_column import RawColumn


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """What decoding gives; the attributes are those of `Column`."""

    values: Tensor
    classes: tuple[str, ...] = ()
    range: tuple[float, float] | None = None
    columns: tuple[FieldInfo, ...] = ()
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    usable: Tensor | None = None
    originals: Sequence[JsonValue] | None = None
    alphabetical: bool = False


class Kind(ABC):
    """One kind of field. An instance holds nothing; what a field is stands in its `Column` and `FieldInfo`.

    Attributes:
        name: What files call it.
        gives: What features and tasks find in a batch: ``numbers``, ``codes``, ``dates``, ``tokens``, ``table``,
            ``labels`` or ``codes map``.
        dtype: Of the decoded values.
        form: Their shape, for people.
        learns: Whether decoding learns from the train rows, so that the splits come first.
        absent: What stands in each place of a row that has no value.
    """

    name: ClassVar[str]
    gives: ClassVar[str]
    dtype: ClassVar[torch.dtype] = torch.float32
    form: ClassVar[str]
    learns: ClassVar[bool] = False
    absent: ClassVar[float] = math.nan

    @abstractmethod
    def decode(self, raws: Sequence[RawColumn], told: Any, train: NDArray[np.int64] | None = None) -> Decoded:
        """The values of all rows.

        Args:
            raws: The columns that the field reads, in the order of ``told.reads``.
            told: What the data file says of the field.
            train: The train rows, for kinds that learn from them.

        Raises:
            DataError: A value is not what the file says; the text names the row.
        """

    @abstractmethod
    def expected(self, told: Any) -> ValueInfo:
        """Shape and type as far as the data file alone tells; 0 is a size that only the data tells."""

    @abstractmethod
    def problem(self, values: Tensor, column: Column) -> str:
        """Why some rows of a column cannot be of this kind, their type set aside; empty where they can.

        A column may be larger than memory: ``column.values`` is there to be told of, not to be looked through.
        """

    @abstractmethod
    def present(self, values: Tensor) -> Tensor:
        """Which rows have a value, bool ``[rows]``."""

    @abstractmethod
    def raw(self, info: FieldInfo, values: NDArray) -> list[JsonValue]:
        """What a user would send for each row; decoding it gives the same values, bit for bit."""

    def mistakes(self, told: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """What is wrong in the data file's entry: the key, the problem and the repair."""
        yield from ()

    def examined(self, raws: Sequence[RawColumn]) -> list[RawColumn]:
        """The same columns, whose bad rows are rejected by now where decoding itself comes after the splits.

        Raises:
            DataError: There is such a row, and such rows are not skipped.
        """
        return list(raws)

    def by_blocks(self, told: Any) -> bool:
        """Whether some rows decode to the same values alone as among all others."""
        return not self.learns

    def num_codes(self, column: Column) -> int | None:
        """How many different codes the values may hold; None where they are no codes."""
        return None

    def findings(self, info: FieldInfo, train: Iterable[Tensor], count: int) -> Iterator[str]:
        """What is suspicious in the values of the train rows that have one, of ``count`` rows in all splits."""
        yield from ()


def is_missing(value: object) -> bool:
    """Whether a raw value stands for none."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def rows_without_nan(values: Tensor) -> Tensor:
    """Which rows of ``[rows, ...]`` hold no NaN, bool ``[rows]``."""
    return ~values.isnan().flatten(1).any(dim=1)


def known_whole(values: Tensor) -> str:
    """Why rows are neither finite nor missing as a whole; empty where they are."""
    if bool(values.isinf().any()):
        return "expected finite values, got infinity."
    absent = values.isnan().flatten(1)
    if bool((absent.any(dim=1) != absent.all(dim=1)).any()):
        return "expected rows that are known or missing as a whole, got NaN beside a number."
    return ""


def shape_problem(form: str, values: Tensor) -> str:
    """The complaint about a column's shape."""
    return f"expected values of shape {form}, got {list(values.shape)}."
