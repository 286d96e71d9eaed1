"""``jumpml show model``."""

# No `from __future__ import annotations` in the modules of commands: typer reads the annotations while it runs.

from pathlib import Path
from typing import Annotated

import typer

from jumpml.cli._files import name_of, spec_file, spec_files


def show_model(
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="The model file, or the folder that holds one; `.` for the current one."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="SVG", help="Write the drawing to this file; NAME.graph.svg if left out."),
    ] = None,
    trust: Annotated[
        list[str] | None,
        typer.Option(
            "--trust",
            metavar="PACKAGE",
            help="Let the files name code of this installed package; importing it runs its code. May be given "
            "several times.",
        ),
    ] = None,
) -> None:
    """Show the model: a table of its nodes, and a drawing of the graph.

    The table has a line for each node: its module, what it reads, the shape of its output, its parameters, what a
    forward pass computes a row (FLOPs; a multiplication and an addition are two), and the objectives that read it with
    the phases in which they are active. The drawing, an SVG that every browser shows, has the fields at the top, each
    node below what it reads, and tasks and objectives beside what they read.

    Shapes come from the data file that stands beside the model file or that it names; where there is none, the model
    file says them itself under `inputs`.

    \b
    Examples:
      jumpml show model examples/digits
      jumpml show model digits.model.yaml --out graph.svg
    """
    from jumpml import create_dataloader, load_model
    from jumpml.core import ModelSpec, load_spec, write_file

    path = spec_file(model, "model")
    spec = load_spec(ModelSpec, path)
    data = None if spec.data else _data_beside(path)
    loaders = create_dataloader(data, trust=trust or ()) if data else None
    built = load_model(spec, loaders, trust=trust or ())
    typer.echo(f"{built}\n")
    out = out or Path(f"{name_of(path)}.graph.svg")
    write_file(out, built.draw().encode())
    typer.echo(f"wrote {out}")


def _data_beside(path: Path) -> Path | None:
    """The data file that bears the model file's name, or the only one beside it."""
    beside = spec_files(path.parent, "data")
    own = [file for file in beside if name_of(file) == name_of(path)]
    found = own or beside
    return found[0] if len(found) == 1 else None
