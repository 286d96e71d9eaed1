"""``jumpml tune``."""

# No `from __future__ import annotations` in the modules of commands: typer reads the annotations while it runs.

from pathlib import Path
from typing import Annotated

import typer

from jumpml.cli._project import Overrides, ProjectFolder, Trust, hint_if_stopped, project_of


def tune(  # noqa: PLR0917 (typer calls it by name)
    folder: ProjectFolder,
    search: Annotated[
        list[str],
        typer.Option(
            "--search",
            metavar="KEY=SPACE",
            help="A key of the data, model or learner file and what it may be: log:1e-4..1e-1, 0.0..0.5, 16..64, or "
            "values with commas, 16,32,64. May be given several times.",
        ),
    ],
    trials: Annotated[int, typer.Option("--trials", min=1, help="How many are tried.")] = 20,
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="FIGURE",
            help="The figure that decides, such as val/digit/accuracy; that which chooses the best checkpoint if left "
            "out, else val/loss.",
        ),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune/--no-prune", help="End trials early that are worse than the median by then.")
    ] = True,
    seed: Annotated[int, typer.Option("--seed", help="Of the search; learning has the learner file's.")] = 0,
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where runs are kept.")] = Path("runs"),
    trust: Trust = None,
) -> None:
    """Search keys of the files for the values that do best.

    By optuna, on the validation rows; the test rows take no part. The first trial is the project as it is, where that
    lies within the search. Each trial is a run's folder below runs/NAME/tune/TIME that has learned and is not
    evaluated: `jumpml resume` finishes one, `jumpml compare` sets them side by side.

    Prints the trials, the share of each key in the outcome, and the best values as arguments for `jumpml run`.
    tune.json and tune.svg, in the folder, say the same. After Ctrl-C or a crash, `jumpml resume runs/NAME/tune/TIME`
    goes on, and ends as if there had been no stop.

    \b
    Examples:
      jumpml tune examples/digits --search learner.optimizer.lr=log:1e-3..1 --trials 30
      jumpml tune . --search model.nodes.encoder.args.dropout=0.0..0.5 --search data.batch_size=32,64,128
    """
    from jumpml import tune as begin
    from jumpml._search import parse_search_texts

    project = project_of(folder, overrides, trust)
    root = out / project.name / "tune"
    before = set(root.glob("*"))
    found = hint_if_stopped(
        lambda: begin(project, parse_search_texts(search), trials=trials, by=by, prune=prune, seed=seed, out=out),
        lambda: set(root.glob("*")) - before,
        trust,
    )
    typer.echo(f"{found}\n\nwrote {found.folder}/tune.svg and tune.json")
