"""What a run says of where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jumpml.core import DeploymentRecord, EvaluationRecord


class Stages:
    """Tells a terminal which stage a run is in.

    Args:
        silent: Whether nobody watches: of several processes the first one tells.
    """

    def __init__(self, *, silent: bool = False) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False, quiet=silent)

    def __call__(self, stage: str, text: str) -> None:
        from rich.markup import escape

        self._console.print(f"[bold]{stage}[/bold]  {escape(text)}", soft_wrap=True)

    def reached(self, record: EvaluationRecord) -> None:
        """Tell the first figure of each task."""
        for name, task in record.tasks.items():
            for metric, figure in [*task.figures.items()][:1]:
                told = f"{figure.value:.4g} ({figure.low:.4g} to {figure.high:.4g}) on {figure.n} {record.split} rows"
                self("reached", f"{name}/{metric} {told}")

    def bundled(self, record: DeploymentRecord) -> None:
        """Tell which variants were bundled, and why others were not."""
        self("bundled", ", ".join(name for name, variant in record.variants.items() if variant.bundled) or "nothing")
        for name, variant in record.variants.items():
            if not variant.bundled:
                self("left out", f"{name}: {variant.gate.reason if variant.gate else variant.change}")
        for name, what in record.failed.items():
            self("left out", f"{name}: {what}")
