"""What is known of a named value before any batch exists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue


MASK = ".mask"  # behind a text's name: where it has tokens
NEXT = ".next"  # behind a text's name: at each token the one that follows
PRESENT = ".present"  # behind a field's name: which rows have a value
COVERED = ".covered"  # behind a field's name: which rows are of a data set that has the field


@dataclass(frozen=True, kw_only=True)
class ValueInfo:
    """The shape and type of a value, as a model sees it.

    Attributes:
        shape: One row's shape, without the batch.
        dtype: ``float32``, ``int64`` or, of a text's mask, ``bool``.
        classes: How many there are, where the values are codes of classes or ids of tokens and that is known.
        cardinalities: By element of a row that is a vector, how many codes it may hold, 0 where it holds any number;
            empty where all do, or nothing is known. So a table's vector says which elements are to be embedded.
        gaps: Whether single elements of a row may be missing, as of a table.
        class_counts: How many train rows, or their positions, each class has, by name in the order of the codes, where
            that is known; a row may have several classes of a multilabel.
        counted: Of how many rows or positions that is; of a multilabel more or less than the sum.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    classes: int | None = field(default=None, compare=False)
    cardinalities: tuple[int, ...] = field(default=(), compare=False)
    class_counts: Mapping[str, int] | None = field(default=None, compare=False)
    counted: int | None = field(default=None, compare=False)
    gaps: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return f"[{', '.join(['batch', *map(str, self.shape)])}] {self.dtype}"


@dataclass(frozen=True, kw_only=True)
class FieldInfo:
    """A field of the data as it is decoded, before features.

    Attributes:
        name: The field's name.
        kind: ``number``, ``category``, ``image``, ... as in a data file.
        value: Shape and type after decoding.
        classes: The names behind the codes of a category or a mask, or behind the places of a multilabel; else empty.
        range: The raw values that an image's 0 and 1 stand for, else None.
        missing: Rows in which the value is absent.
        lacking: Those of them whose data set has no such field.
        columns: What each column of a table is, else empty.
        options: What else decoding needs, by the kind; it stands verbatim in a bundle's manifest.
        notes: What people should know of how it was decoded, such as how many texts were cut.
        alphabetical: Whether the order of the classes is that of their letters only: they are no numbers, and nobody
            gave them in an order.
    """

    name: str
    kind: str
    value: ValueInfo
    classes: tuple[str, ...] = ()
    range: tuple[float, float] | None = None
    missing: int = 0
    lacking: int = 0
    columns: tuple[FieldInfo, ...] = ()
    options: Mapping[str, JsonValue] = field(default_factory=dict, hash=False)
    notes: tuple[str, ...] = ()
    alphabetical: bool = False


def masks_of(fields: Mapping[str, FieldInfo]) -> tuple[str, ...]:
    """The masks that nodes can read beside the fields: a text's, which tells its tokens from padding.

    Args:
        fields: The data's.
    """
    return tuple(name + MASK for name, info in fields.items() if info.kind == "text")


def derived_of(fields: Mapping[str, FieldInfo]) -> tuple[str, ...]:
    """What nodes can read beside the fields: texts' masks, and of each field which rows have a value.

    Args:
        fields: The data's.
    """
    return (*masks_of(fields), *(name + PRESENT for name in fields))


def nexts_of(fields: Mapping[str, FieldInfo]) -> dict[str, ValueInfo]:
    """What objectives can read beside the fields and no node can: at each token of a text the one that follows it.

    Args:
        fields: The data's.
    """
    return {name + NEXT: info.value for name, info in fields.items() if info.kind == "text"}


def field_of(name: str) -> str:
    """The field that a value of a batch is made of.

    Example:
        >>> field_of("message.mask"), field_of("message.next"), field_of("age.present"), field_of("message")
        ('message', 'message', 'age', 'message')
    """
    return name.removesuffix(MASK).removesuffix(NEXT).removesuffix(PRESENT)
