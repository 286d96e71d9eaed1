"""Whole-number weights and activations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

OPERATORS = ("Conv", "ConvTranspose", "MatMul", "Gemm")
"""What is quantized: what holds weights and does the work. Features must not be: they read NaN for missing."""
BATCH = 64


def quantize_static(source: Path, target: Path, rows: Mapping[str, NDArray]) -> None:
    """Write a file's int8 form: weights with a scale a channel, activations with a scale a tensor.

    The scales of activations are set so that the smallest and largest value on some rows fit.

    Args:
        source: A float32 ONNX file.
        target: The file to write.
        rows: Decoded values by field, ``[rows, ...]``.

    Raises:
        DeploymentError: The file has nothing that can be quantized.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._batches = _batches(rows)

        def get_next(self) -> dict[str, NDArray] | None:  # type: ignore[override]  # ONNX Runtime ends on None
            return next(self._batches, None)

    if not {node.op_type for node in onnx.load(source).graph.node} & set(OPERATORS):
        raise DeploymentError(
            f"int8_static: the model has none of {', '.join(OPERATORS)}, so there is nothing to quantize."
        )
    prepared = target.with_suffix(".prepared.onnx")
    try:
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            target,
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(OPERATORS),
            per_channel=True,
        )
    finally:
        prepared.unlink(missing_ok=True)


def _batches(rows: Mapping[str, NDArray]) -> Iterator[dict[str, NDArray]]:
    for start in range(0, len(next(iter(rows.values()))), BATCH):
        yield {field: values[start : start + BATCH] for field, values in rows.items()}
