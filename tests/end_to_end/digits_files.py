"""What the tests of curricula through files share: the digits, a small net that reads them, and the shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from jumpml.cli import app

if TYPE_CHECKING:
    from pathlib import Path

DATA = """\
datasets:
  digits:
    source: {kind: sklearn, name: digits}
    fields:
      image: {kind: image, column: images, shape: [1, 8, 8], range: [0, 16]}
      label: {kind: category, column: target}
    split: {train: 0.2, val: 0.1, test: 0.7, stratify: label}
batch_size: 32
"""
MODEL = """\
seed: 0
nodes:
  flat: {module: torch.nn.Flatten, inputs: image}
  body: {module: jumpml.blocks.MLP, inputs: flat, args: {widths: [16]}}
  out: {module: jumpml.blocks.Head, inputs: body}
tasks:
  label: {kind: multiclass, output: out, target: label, metrics: [accuracy]}
"""


def written(folder: Path, learner: str, data: str = DATA) -> Path:
    """A new project folder `digits`, with this learner file."""
    path = folder / "digits"
    path.mkdir(parents=True)
    for kind, text in {"data": data, "model": MODEL, "learner": learner}.items():
        (path / f"digits.{kind}.yaml").write_text(text, encoding="utf-8")
    return path


def shell(*arguments: str) -> Any:
    """What `jumpml` with these arguments does."""
    return CliRunner().invoke(app, [*arguments], prog_name="jumpml")
