"""A file in its real runtime."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, cast, final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

BATCH = 256  # rows at a time
RUNS = 100  # of one row, for the median


@final
class Session:
    """An ONNX file in ONNX Runtime, on one thread of the CPU.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._inputs = [value.name for value in self._session.get_inputs()]
        self._outputs = [value.name for value in self._session.get_outputs()]

    def run(self, rows: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """All outputs by name, ``[rows, ...]``.

        Args:
            rows: Decoded values by field, ``[rows, ...]`` with at least one row.
        """
        count = len(rows[self._inputs[0]])
        batches = [self._batch(rows, slice(start, start + BATCH)) for start in range(0, count, BATCH)]
        return {
            name: np.concatenate(parts) for name, parts in zip(self._outputs, zip(*batches, strict=True), strict=True)
        }

    def milliseconds(self, rows: Mapping[str, NDArray]) -> float:
        """The median time of one row."""
        seconds = []
        for _ in range(RUNS):
            start = time.perf_counter()
            self._batch(rows, slice(0, 1))
            seconds.append(time.perf_counter() - start)
        return 1000 * statistics.median(seconds)

    def _batch(self, rows: Mapping[str, NDArray], which: slice) -> list[NDArray]:
        return cast(
            "list[NDArray]", self._session.run(self._outputs, {name: rows[name][which] for name in self._inputs})
        )
