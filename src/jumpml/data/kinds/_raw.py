"""From decoded tensors back to what a user of the deployed model would send."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from pydantic import JsonValue
    from torch import Tensor

    from jumpml.core import FieldInfo


def decoding(info: FieldInfo) -> dict[str, JsonValue]:
    """How a raw value becomes the decoded tensor.

    An image is ``(raw - low) / (high - low)``, computed in float64 and then made float32; a category's code is its
    class's place in ``classes``, -1 for null or another name; a number's null is NaN.
    """
    told: dict[str, JsonValue] = {"kind": info.kind, "shape": list(info.value.shape), "dtype": info.value.dtype}
    if info.kind == "category":
        told["classes"] = list(info.classes)
    if info.range is not None:
        told["range"] = list(info.range)
    return told


def raw_rows(columns: Mapping[str, tuple[FieldInfo, Tensor]], rows: Sequence[int]) -> list[dict[str, JsonValue]]:
    """Some rows of decoded columns as raw values by field."""
    by_field = {name: _raw(info, values[list(rows)].cpu().numpy()) for name, (info, values) in columns.items()}
    return [{name: values[index] for name, values in by_field.items()} for index in range(len(rows))]


def _raw(info: FieldInfo, values: NDArray) -> list[JsonValue]:
    if info.kind == "category":
        return [info.classes[code] if code >= 0 else None for code in values.tolist()]
    if info.kind == "number":
        return [None if np.isnan(value) else value for value in _shortest(values[:, 0]).tolist()]
    if info.range is None:
        return _shortest(values).tolist()
    low, high = info.range
    exact = (values.astype(np.float64) * (high - low) + low).clip(low, high)
    whole = np.rint(exact)
    # A whole number is what the picture held, where it decodes to the same value.
    same = ((whole - low) / (high - low)).astype(np.float32) == values
    return np.where(same, whole, exact).tolist()


def _shortest(values: NDArray) -> NDArray:
    """Float64 of the shortest decimals that read back as the same float32: 39.1 and not 39.099998."""
    return values.astype(np.float32).astype(str).astype(np.float64)
