"""What is known of a named value before any batch exists."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class ValueInfo:
    """The shape and type of a value, as a model sees it.

    Attributes:
        shape: One row's shape, without the batch.
        dtype: ``float32`` or ``int64``.
        classes: How many classes there are, where the values are class codes and that is known.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    classes: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"[{', '.join(['batch', *map(str, self.shape)])}] {self.dtype}"


@dataclass(frozen=True, kw_only=True)
class FieldInfo:
    """A field of the data as it is decoded, before features.

    Attributes:
        name: The field's name.
        kind: ``number``, ``category``, ``image`` or ``tensor``.
        value: Shape and type after decoding.
        classes: The names behind the codes of a category, else empty.
        range: The raw values that an image's 0 and 1 stand for, else None.
        missing: Rows in which the value is absent.
    """

    name: str
    kind: str
    value: ValueInfo
    classes: tuple[str, ...] = ()
    range: tuple[float, float] | None = None
    missing: int = 0
