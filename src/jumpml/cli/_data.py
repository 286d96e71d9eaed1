"""``jumpml data``."""

# No `from __future__ import annotations` in the modules of commands: typer reads the annotations while it runs.

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jumpml.cli._files import spec_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.core import FieldInfo


def data(
    source: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="The data file, or the folder that holds one; `.` for the current one."),
    ],
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="FIELD",
            help="A category or number field that is to be predicted; that of the model file beside the data file's "
            "if left out.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Also write profile.html, profile.png and profile.json there."),
    ] = None,
    trust: Annotated[
        list[str] | None,
        typer.Option(
            "--trust",
            metavar="PACKAGE",
            help="Let the data file name code of this installed package; importing it runs its code. May be given "
            "several times.",
        ),
    ] = None,
) -> None:
    """Look at the data: its values, its splits, and what is suspicious.

    Prints a line for each field and each column of a table: kind, missing values, how many different ones, a small
    histogram, the classes or the least, middle and greatest value; then how the rows are split, and the first ones.
    Pictures, sounds and texts are measured by their mean, spread and length.

    \b
    Alarming, for figures will mislead:
      a column that gives the target away, alone and on held-out rows
      an identifier: row numbers, or a name that almost every row has for itself
      test rows that differ from the train rows, or miss other values

    Worth knowing: constant columns, rows in two splits and rows almost equal, classes that are rare or never learned
    from, values far outside.

    At most 100,000 rows are looked at, and 500 pictures or sounds; where that is not all, the first lines say so.

    \b
    Examples:
      jumpml data examples/digits
      jumpml data houses.data.yaml --target price --out looks
    """
    from rich.console import Console

    from jumpml import create_dataloader
    from jumpml.data import profile

    path = spec_file(source, "data")
    loaders = create_dataloader(path, trust=trust or ())
    found = profile(loaders, target or _target_of_model(path, loaders.fields))
    if Console().is_terminal:
        Console(highlight=False, soft_wrap=True).print(found)
    else:
        typer.echo(found.summary())
    if out is not None:
        typer.echo(f"\nwrote {found.save(out)}, profile.png and profile.json")


def _target_of_model(path: Path, fields: "Mapping[str, FieldInfo]") -> str | None:
    """The first category or number that a model file beside the data file predicts."""
    from jumpml.core import ModelSpec, SpecError, load_spec

    stem = path.name.partition(".")[0]
    beside = sorted(file for kind in ("yaml", "yml", "json") for file in path.parent.glob(f"*.model.{kind}"))
    own = [file for file in beside if file.name.partition(".")[0] == stem] or beside
    for file in own:
        try:
            spec = load_spec(ModelSpec, file)
        except SpecError as error:
            typer.echo(f"no target: {error}\n", err=True)
            continue
        for task in spec.tasks.values():
            if task.target in fields and fields[task.target].kind in {"category", "number"}:
                return task.target
    return None
