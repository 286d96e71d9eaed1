"""What is known of a named value before any batch exists."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import JsonValue


MASK = ".mask"  # behind a text's name: where it has tokens
NEXT = ".next"  # behind a text's name: at each token the one that follows
PRESENT = ".present"  # behind a field's name: which rows have a value
COVERED = ".covered"  # behind a field's name: which rows are of a data set that has the field
HIDDEN = ".hidden"  # behind a field's name, on a draw: bool of its shape, what a view's step `hide` hid
WHOLE = ".whole"  # behind a field's name, on a draw: what the field's features gave before that
ANSWER = ".answer"  # behind a field's name, on a draw: int64, which of several things a step of the view did
TOLD = (HIDDEN, WHOLE, ANSWER)
POSITION = "@position"  # int64 [batch]: the place of each row in its split, in plain order


class Element(NamedTuple):
    """What an element of a row is that features made of a table.

    Attributes:
        column: The place of the table's column that it tells of.
        role: ``number``; ``missing``, 1 where the column's number is not there; ``class``, 1 where the row is of that
            class of the column; or ``index``, which class it is of.
    """

    column: int
    role: str


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
        elements: What the elements of a row are that features made of a table; else empty.
        axes: The axes of a row along which a view's step `hide` cuts it into parts; known of what that tells alone.
        timed: Whether the last of several axes is time, as a spectrogram's; likewise.
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
    elements: tuple[Element, ...] = field(default=(), compare=False)
    axes: tuple[int, ...] = field(default=(), compare=False)
    timed: bool = field(default=False, compare=False)

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
        hides: The views that hide parts of it and tell which.
        answers: By view that tells which of several things it did to it, how many these are.
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
    hides: frozenset[str] = field(default=frozenset(), compare=False)
    answers: Mapping[str, int] = field(default_factory=dict, compare=False)


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


def axes_of(kind: str, dims: int) -> tuple[int, ...]:
    """The axes of a row along which it can be cut into parts; none where the kind has no such rows.

    Args:
        kind: The field's.
        dims: How many axes a row has.

    Example:
        >>> axes_of("image", 3), axes_of("series", 2), axes_of("audio", 2), axes_of("audio", 3)
        ((-2, -1), (0,), (-1,), (-2, -1))
    """
    if kind in {"text", "table"} or (kind == "tensor" and dims == 1):
        return (0,) if dims == 1 else ()
    if kind == "series":
        return (0,) if dims == 2 else ()
    if kind == "audio" and dims == 2:
        return (-1,)
    return (-2, -1) if dims >= 2 else ()


def told_of(
    fields: Mapping[str, FieldInfo], values: Mapping[str, ValueInfo], views: Sequence[str]
) -> dict[str, ValueInfo]:
    """What objectives can read on a draw and no node can: what the steps of all of some views tell of their doing.

    Args:
        fields: The data's; where they are not known, anything may be told.
        values: What fields are after features, as far as that is known.
        views: An objective's.
    """
    told: dict[str, ValueInfo] = {}
    for name, value in {**{name: info.value for name, info in fields.items()}, **values}.items():
        info = fields.get(name)
        if field_of(name) != name:
            continue
        if info is None or {*views} <= info.hides:
            axes = axes_of(info.kind, len(value.shape)) if info else ()
            told[name + HIDDEN] = ValueInfo(shape=value.shape, dtype="bool", axes=axes)
            told[name + WHOLE] = replace(value, axes=axes, timed=info is not None and info.kind == "audio")
        if info is None or {*views} <= info.answers.keys():
            counts = {info.answers[view] for view in views} if info else set()
            told[name + ANSWER] = ValueInfo(shape=(), dtype="int64", classes=counts.pop() if len(counts) == 1 else None)
    return told


def field_of(name: str) -> str:
    """The field that a value of a batch is made of.

    Example:
        >>> field_of("message.mask"), field_of("message.next"), field_of("age.present"), field_of("message")
        ('message', 'message', 'age', 'message')
        >>> field_of("image.hidden"), field_of("image.whole"), field_of("image.answer")
        ('image', 'image', 'image')
    """
    for suffix in (MASK, NEXT, PRESENT, *TOLD):
        name = name.removesuffix(suffix)
    return name
