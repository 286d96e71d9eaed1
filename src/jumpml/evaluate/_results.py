"""What an evaluation found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jumpml.core import EvaluationRecord, Figure
    from jumpml.data import DataLoaders


@final
class EvalResults(Mapping[str, "Figure"]):
    """Figures with 95% intervals by ``task/metric``.

    Args:
        record: Everything that was measured; all that a report needs.
        loaders: The data that was measured on, in memory only.
        metrics: What was asked for by task, in memory only: `measure` takes it for other predictions.
    """

    def __init__(self, record: EvaluationRecord, loaders: DataLoaders, metrics: Mapping[str, Sequence[Any]]) -> None:
        self.record, self.loaders, self.metrics = record, loaders, metrics
        self._figures = {
            f"{name}/{metric}": figure for name, task in record.tasks.items() for metric, figure in task.figures.items()
        }

    def __getitem__(self, key: str) -> Figure:
        return self._figures[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._figures)

    def __len__(self) -> int:
        return len(self._figures)

    def __repr__(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """A table for people: each figure with its interval, then what a reader must know."""
        weights = ", averaged weights" if self.record.averaged_weights else ""
        lines = [f"evaluation on the {self.record.split} split{weights}"]
        width = max(map(len, self._figures), default=0)
        for key, figure in self._figures.items():
            lines.append(f"  {key:<{width}}  {figure.value:10.4g}  [{figure.low:.4g}, {figure.high:.4g}]  n={figure.n}")
        for name, task in self.record.tasks.items():
            if task.calibration:
                c = task.calibration
                band = f"a calibrated model's: {c.null_low:.4g} to {c.null_high:.4g}"
                lines.append(f"  {name}: calibration error {c.error:.4g} ({band})")
        lines += [f"  note: {note}" for note in self.record.notes]
        return "\n".join(lines)
