"""``jumpml new``."""

import shlex
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from jumpml.cli._schema import Kind


def new(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to make; it may exist if it is empty.")],
) -> None:
    """Make a working project to start from.

    The folder gets the four files of a small project on handwritten digits, with comments that explain their keys, a
    README that leads through the first run, and the JSON Schemas that let an editor help. It runs as it is; then
    change the data file to yours.

    \b
    Examples:
      jumpml new digits
      jumpml check digits
      jumpml run digits
    """
    from jumpml.core import json_schema, write_file, write_json

    _refuse_what_stands(folder)
    for source in files("jumpml.cli").joinpath("template").iterdir():
        write_file(folder / source.name, source.read_bytes())
    for kind in Kind:
        write_json(folder / "schemas" / f"{kind}.json", json_schema(kind.value))
    name = shlex.quote(str(folder))
    typer.echo(f"{folder}: a project that runs as it is. Next:\n  jumpml check {name}\n  jumpml run {name}")


def _refuse_what_stands(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()):
        raise typer.BadParameter(
            f"{folder} holds files already; name a new folder or an empty one.", param_hint="'FOLDER'"
        )
    if folder.exists() and not folder.is_dir():
        raise typer.BadParameter(f"{folder} is a file; name a new folder or an empty one.", param_hint="'FOLDER'")
