"""``jumpml report``."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder, such as runs/digits/TIME.")],
) -> None:
    """Write a run's report card anew, from the records in its folder.

    Reads run.json, history.jsonl, steps.jsonl, evaluation.json, diagnosis.json, deployment.json and, of a run with
    twins, ablations.json, and writes card.html, README.md and card.json beside them. Neither the data nor the model is
    read. Open card.html in any browser.

    \b
    Example:
      jumpml report runs/digits/20260131-120000
    """
    from jumpml.report import card_from_run

    card = card_from_run(run_folder).save(run_folder)
    typer.echo(f"wrote {card}, README.md and card.json")
