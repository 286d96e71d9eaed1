"""``jumpml predict``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from jumpml.cli._errors import MISTAKEN, say


def predict(
    bundle: Annotated[
        Path, typer.Argument(metavar="BUNDLE", help="The bundle's folder, such as runs/digits/TIME/bundles/digits.")
    ],
    rows: Annotated[Path, typer.Argument(metavar="INPUT", help="The rows: a .json, .jsonl or .csv file.")],
    variant: Annotated[
        str | None,
        typer.Option("--variant", metavar="NAME", help="Which form of the model answers; float32 if left out."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file, not to the terminal.")
    ] = None,
) -> None:
    """Ask a deployed model: one JSON object a row.

    A row holds the model's input fields as the data file describes them, before any scaling: an image's raw values, a
    category's name, a number or null. A .json file holds one row or a list of rows, a .jsonl file a row a line, a .csv
    file a header line and then rows. The answer holds, by task, the prediction, the probability of each class, and
    whether the row is foreign to the train rows. The bundle's checksums are verified first. Rows of a .jsonl or .csv
    file are read and answered some at a time, so that it may be larger than memory.

    \b
    Examples:
      jumpml predict runs/digits/20260131-120000/bundles/digits rows.json
      jumpml predict bundles/digits rows.csv --variant int8 --output answers.jsonl
    """
    from jumpml.core import write_file
    from jumpml.deploy import BundleError, Predictor, stream_rows

    try:
        predictor = Predictor(bundle, variant, rows.parent)
        answers = predictor.stream(stream_rows(rows, predictor.missing))
        lines = (json.dumps(answer, ensure_ascii=False) + "\n" for answer in answers)
        if output is not None:
            write_file(output, lines)
            typer.echo(f"wrote {output}")
        else:
            for line in lines:
                typer.echo(line, nl=False)
    except BundleError as error:  # the runtime of a bundle stands alone, and so does its error
        say("error", str(error))
        raise typer.Exit(MISTAKEN) from None
