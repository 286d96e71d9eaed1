"""From decoded tensors back to what a user of the deployed model would send."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.data.kinds._kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import JsonValue
    from torch import Tensor

    from jumpml.core import FieldInfo


def decoding(info: FieldInfo, *, filled: bool = False) -> dict[str, JsonValue]:
    """How a raw value becomes the decoded tensor.

    Args:
        info: What the field is.
        filled: Whether its features fill what is missing, so that a value may be so even where none of the data is.

    An image is ``(raw - low) / (high - low)``, computed in float64 and then made float32; a category's code is its
    class's place in ``classes``, -1 for null or another name; a number's null is NaN.
    """
    told: dict[str, JsonValue] = {"kind": info.kind, "shape": list(info.value.shape), "dtype": info.value.dtype}
    if info.classes:
        told["classes"] = list(info.classes)
    if info.range is not None:
        told["range"] = list(info.range)
    if info.columns:
        told["columns"] = {column.name: decoding(column, filled=filled) for column in info.columns}
    if info.missing or filled:
        told["missing"] = True
    return told | dict(info.options)


def raw_rows(
    columns: Mapping[str, tuple[FieldInfo, Tensor]], originals: Mapping[str, Sequence[JsonValue]]
) -> list[dict[str, JsonValue]]:
    """Decoded rows as raw values by field.

    Args:
        columns: What each field is, and its values of these rows.
        originals: By field whose values do not tell what was sent, what was, for each of these rows.
    """
    by_field = {name: KINDS[info.kind].raw(info, values.cpu().numpy()) for name, (info, values) in columns.items()}
    by_field |= {name: list(values) for name, values in originals.items()}
    return [dict(zip(by_field, row, strict=True)) for row in zip(*by_field.values(), strict=True)]
