"""A file in its real runtime."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, cast, final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

BATCH = 64  # rows at a time: outputs at every pixel of more would not fit in memory
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
        batches = [outputs for _, outputs in self.batches(rows)]
        return {name: np.concatenate([batch[name] for batch in batches]) for name in self._outputs}

    def batches(self, rows: Mapping[str, NDArray]) -> Iterator[tuple[slice, dict[str, NDArray]]]:
        """All outputs by name, `BATCH` rows at a time, with the place of those rows.

        Args:
            rows: As `run` takes them.
        """
        count = len(rows[self._inputs[0]])
        for start in range(0, count, BATCH):
            place = slice(start, min(start + BATCH, count))
            yield place, dict(zip(self._outputs, self._batch(rows, place), strict=True))

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
