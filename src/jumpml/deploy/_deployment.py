"""What deployment gives back."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from jumpml.deploy._bundle import add_file

if TYPE_CHECKING:
    from pathlib import Path

    from jumpml.core import DeploymentRecord, VariantRecord


@final
class Deployment:
    """A bundle on disk, and what was measured on the way.

    Args:
        record: What was exported, verified and bundled.
        bundle: The bundle's folder.
    """

    def __init__(self, record: DeploymentRecord, bundle: Path) -> None:
        self.record, self.bundle = record, bundle

    def __repr__(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """A table for people: a line a variant, then what the gate said of each and why one is not there."""
        variants = self.record.variants
        keys = list(dict.fromkeys(key for variant in variants.values() for key in variant.figures))
        head = ["variant", "bundled", "kB", "parameters", "ms a row", "difference", *keys]
        rows = [head, *(_cells(name, variant, keys) for name, variant in variants.items())]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"bundle {self.bundle}, every variant measured in ONNX Runtime on {self.record.rows} test rows"]
        for row in rows:
            cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
            lines.append("  ".join(["", row[0].ljust(widths[0]), *cells]))
        lines += [f"  {name}: {text}" for name, variant in variants.items() for text in _remarks(variant)]
        return "\n".join([*lines, *(f"  {name} failed: {why}" for name, why in self.record.failed.items())])

    def add_card(self, html: str) -> None:
        """Put the report card into the bundle as ``card.html``, and seal it again.

        Args:
            html: The page.

        Raises:
            DeploymentError: The bundle has been damaged since it was written.
        """
        add_file(self.bundle, "card.html", html)


def _cells(name: str, variant: VariantRecord, keys: list[str]) -> list[str]:
    figures = [f"{variant.figures[key].value:.4g}" if key in variant.figures else "-" for key in keys]
    bundled = "yes" if variant.bundled else "no"
    size, time = f"{variant.bytes / 1000:.1f}", f"{variant.milliseconds:.3f}"
    return [name, bundled, size, f"{variant.parameters:,}", time, f"{variant.max_difference:.2g}", *figures]


def _remarks(variant: VariantRecord) -> list[str]:
    judged = [f"{variant.gate.answer}: {variant.gate.reason}"] if variant.gate else []
    return [variant.change, *judged, *variant.notes]
