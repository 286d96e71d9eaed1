"""``jumpml compare``."""

from pathlib import Path
from typing import Annotated

import typer


def compare(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Runs' folders, such as runs/digits/TIME, or folders that hold runs."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Also write compare.html there, with the curves by epoch."),
    ] = None,
) -> None:
    """Set runs side by side, and say what tells them apart.

    Prints a table of the runs with epochs, time and parameters, the keys in which their files differ, and every figure
    on the test rows with its interval. A run is called better only where its interval lies apart from all others; where
    intervals overlap, the runs are not told apart. A single run is shown alone.

    The page that --out asks for has the curves of losses and validation figures too, laid over each other. Everything
    comes from the records in the folders; neither data nor models are read.

    \b
    Examples:
      jumpml compare runs/digits/20260131-120000 runs/digits/20260131-130000
      jumpml compare runs/digits --out looks
    """
    from jumpml.report import compare_runs

    found = compare_runs(folders)
    typer.echo(f"{found}")
    if out is not None:
        typer.echo(f"\nwrote {found.save(out)}")
