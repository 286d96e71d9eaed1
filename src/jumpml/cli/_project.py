"""What the commands on a project share: its folder, changes of keys, and where pictures go."""

# No `from __future__ import annotations` in the modules of commands: typer reads the annotations while it runs.

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from jumpml import Project

T = TypeVar("T")
ProjectFolder = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="The folder that holds the project's files; `.` for the current one.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one key for this command, such as learner.phases.supervised.epochs=3; the value is YAML. May be "
        "given several times.",
    ),
]
Trust = Annotated[
    list[str] | None,
    typer.Option(
        "--trust",
        metavar="PACKAGE",
        help="Let the model file name classes of this installed package; importing it runs its code. May be given "
        "several times.",
    ),
]
PhaseName = Annotated[
    str | None,
    typer.Option("--phase", metavar="NAME", help="Which phase of the learner file; the first that runs if left out."),
]
Pictures = Annotated[
    Path | None,
    typer.Option("--out", metavar="FOLDER", help="Also write what was found there, as an SVG and as JSON."),
]


def project_of(folder: Path, overrides: Sequence[str] | None, trust: Sequence[str] | None) -> "Project":
    """The project of a folder, with some keys changed."""
    from jumpml import Project
    from jumpml.core import parse_override

    return Project.find(folder, dict(parse_override(text) for text in overrides or ()), trust or ())


def save_found(found: Any, out: Path | None, name: str) -> None:
    """Write a record that draws itself, where a folder is given.

    Args:
        found: The record.
        out: The folder; it is made if need be.
        name: The files' name.
    """
    if out is None:
        return
    from jumpml.core import write_file

    write_file(out / f"{name}.svg", found.draw())
    write_file(out / f"{name}.json", found.model_dump_json(indent=2) + "\n")
    typer.echo(f"\nwrote {out / name}.svg and {name}.json")


def hint_if_stopped(go: Callable[[], T], started: Callable[[], set[Path]], trust: Sequence[str] | None) -> T:
    """Run; where a signal or the machine stops it, let the exception say how to go on with the folder that it began."""
    from jumpml.core import Launched

    trusted = "".join(f" --trust {shlex.quote(package)}" for package in trust or ())
    try:
        return go()
    except (KeyboardInterrupt, SystemExit, OSError) as stop:
        begun = [folder for folder in started() if (folder / "specs").is_dir()]
        commands = (f"jumpml resume {shlex.quote(str(folder))}{trusted}" for folder in begun)
        stop.__notes__ = [f"Go on with: {Launched.here().command(command)}" for command in commands]
        raise
