"""``jumpml new``."""

# No `from __future__ import annotations` in the modules of commands: typer reads the annotations while it runs.

import shlex
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jumpml.cli._schema import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jumpml.data import TableGuess


def new(  # noqa: PLR0917 (typer gives them by name)
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to make; it may exist if it is empty.")],
    table: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Begin with this table: a .csv, .tsv, .parquet, .jsonl, .arrow or .npz file, or an address with ://.",
        ),
    ] = None,
    targets: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar="COLUMN",
            help="With --from: the column that is to be predicted. May be given several times.",
        ),
    ] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="COLUMN=KIND",
            help="With --from: what a column is, where the guess is wrong: number, category, date, text, multilabel, "
            "tensor, or ignore to leave it out. May be given several times.",
        ),
    ] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            metavar="COLUMN=TASK",
            help="With --from: how a target is to be predicted, where the guess is wrong: binary, multiclass, ordinal, "
            "multilabel, regression or forecasting. May be given several times.",
        ),
    ] = None,
    header: Annotated[
        str | None,
        typer.Option(
            "--header",
            metavar="A,B,...",
            help="With --from: the columns' names, where a csv file has no line with them.",
        ),
    ] = None,
) -> None:
    """Make a working project to start from.

    Without --from, the folder gets the four files of a small project on handwritten digits, with comments that explain
    their keys, a README that leads through the first run, and the JSON Schemas that let an editor help. It runs as it
    is; then change the data file to yours.

    With --from and --target, it gets a project on your table. What each column is (a number, a category, a date, a
    text, labels), whether it is left out (constant, an identifier), and which task a target makes is guessed from the
    first 100,000 rows. Every guess is printed with its reason, and stands in the files with it, to be changed there.

    \b
    Examples:
      jumpml new digits
      jumpml new houses --from data.csv --target price
      jumpml new houses --from data.csv --target price --kind zip_code=category --kind remarks=ignore
      jumpml new houses --from data.csv --target price --target sold --task condition=ordinal --target condition
      jumpml new load --from hourly.csv --target load --task load=forecasting

    \b
    Next:
      jumpml check digits
      jumpml run digits
    """
    if table is None:
        given = {"--target": targets, "--kind": kinds, "--task": tasks, "--header": header}
        alone = next((option for option, value in given.items() if value), None)
        if alone is not None:
            raise typer.BadParameter("it says nothing without --from.", param_hint=f"'{alone}'")
        _refuse_what_stands(folder)
        _write(folder, {each.name: each.read_bytes() for each in _template()})
        told = f"{folder}: a project that runs as it is."
    else:
        if not targets:
            raise typer.BadParameter("--from needs it: the column that is to be predicted.", param_hint="'--target'")
        _refuse_what_stands(folder, table)
        told = _from_table(folder, table, targets, {"kinds": kinds or [], "tasks": tasks or []}, header)
    name = shlex.quote(str(folder))
    typer.echo(f"{told} Next:\n  jumpml check {name}\n  jumpml run {name}")


def _from_table(folder: Path, table: str, targets: list[str], told: dict[str, list[str]], header: str | None) -> str:
    """Write a project on a table, print the guesses, and say what was made."""
    from jumpml.cli._new_from import NewProject
    from jumpml.cli._yaml_text import path_in
    from jumpml.data import infer_table

    names = None if header is None else [name.strip() for name in header.split(",")]
    kinds = _pairs(told["kinds"], "--kind", "KIND", "category")
    tasks = _pairs(told["tasks"], "--task", "TASK", "ordinal")
    guess = infer_table(table, targets, kinds=kinds, tasks=tasks, header=names)
    project = NewProject(name=_name_of(folder), path=path_in(folder, table), guess=guess)
    _write(folder, {name: text.encode() for name, text in project.files()})
    typer.echo("\n".join(_guess_lines(guess)))
    return f"{folder}: a project that predicts {', '.join(target.column for target in guess.targets)}."


def _name_of(folder: Path) -> str:
    """A folder's name, as one that data sets and bundles can bear."""
    from jumpml.cli._new_from import RESERVED

    return RESERVED.sub("_", folder.resolve().name) or "project"


def _template() -> list[Traversable]:
    return list(files("jumpml.cli").joinpath("template").iterdir())


def _write(folder: Path, contents: dict[str, bytes]) -> None:
    """Write the files and the schemas that the first lines of them name."""
    from jumpml.core import json_schema, write_file, write_json

    for name, content in contents.items():
        write_file(folder / name, content)
    for kind in Kind:
        write_json(folder / "schemas" / f"{kind}.json", json_schema(kind.value))


def _refuse_what_stands(folder: Path, table: str | None = None) -> None:
    """Refuse a folder that holds anything but the table that the project begins with."""
    own = None if table is None else Path(table).resolve()
    if folder.is_dir() and any(own is None or not own.is_relative_to(each.resolve()) for each in folder.iterdir()):
        raise typer.BadParameter(
            f"{folder} holds files already; name a new folder or an empty one.", param_hint="'FOLDER'"
        )
    if folder.exists() and not folder.is_dir():
        raise typer.BadParameter(f"{folder} is a file; name a new folder or an empty one.", param_hint="'FOLDER'")


def _guess_lines(guess: "TableGuess") -> "Iterator[str]":
    """What was guessed, for a terminal."""
    rows = [(column.column, column.kind or "left out", column.reason) for column in guess.columns]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for name, kind, reason in rows:
        mark = "target: " if name in guess.tasks else ""
        yield f"  {name.ljust(widths[0])}  {kind.ljust(widths[1])}  {mark}{reason}"
    looked = f"the first {guess.rows:,} rows" if guess.more_rows else f"{guess.rows:,} rows"
    yield f"guessed from {looked}; {', '.join(f'{_a(task)} task on {name}' for name, task in guess.tasks.items())}."
    yield from (f"{note}." for note in (*guess.notes, *guess.hints))


def _a(task: str) -> str:
    return f"{'an' if task[0] in 'aeiou' else 'a'} {task}"


def _pairs(texts: "Iterable[str]", option: str, what: str, example: str) -> dict[str, str]:
    """``column=kind`` as a mapping."""
    told = {}
    for text in texts:
        column, mark, kind = text.rpartition("=")
        if not (mark and column and kind):
            problem = f"expected COLUMN={what}, such as zip_code={example}, got {text!r}."
            raise typer.BadParameter(problem, param_hint=f"'{option}'")
        told[column] = kind
    return told
