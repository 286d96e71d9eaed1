"""``jumpml run``, ``jumpml check`` and ``jumpml resume``."""

# No `from __future__ import annotations` in the modules of commands: typer reads the annotations while it runs.

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from jumpml.cli._project import Overrides, ProjectFolder, Trust, hint_if_stopped, project_of


def run(  # noqa: PLR0917 (typer calls it by name)
    folder: ProjectFolder,
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where runs are kept.")] = Path("runs"),
    dry: Annotated[
        bool,
        typer.Option("--dry-run", help="Do all of it on two batches of each split, and keep nothing."),
    ] = False,
    without: Annotated[
        str | None,
        typer.Option(
            "--ablate",
            metavar="KEYS",
            help="Then learn again without each of these parts of the learner file, such as curriculum,balance, and "
            "let the card compare.",
        ),
    ] = None,
    trust: Trust = None,
) -> None:
    """Learn, evaluate, diagnose, deploy, and write the report card.

    The folder holds NAME.data.yaml and NAME.model.yaml, and where you want them NAME.learner.yaml and NAME.deploy.yaml.
    Everything is checked first. What the run makes lands in one new folder, runs/NAME/TIME: the resolved files, the
    figures, the checkpoints, the card (card.html) and the bundle. That folder is printed at the end.

    --dry-run finds in seconds what would fail after hours, in the last phase, the diagnosis or the export. What needs
    more rows than two batches have may fail there alone.

    Several processes learn together where the learner file says `distribute: ddp` and torchrun starts the command; the
    first of them does the rest, and tells.

    --ablate tells what a part of the learner file is worth. For each key that it names, a twin learns with the same
    seed, rows and files but for that part: without balance objectives are added up, without curriculum the same arms
    are chosen uniformly and all rows count alike, without ema or phases.self_supervised there is none. Each twin is a
    run's folder below the run's, ablations/KEY, and the card sets figures, differences with the interval of paired
    rows, and learning curves side by side.

    \b
    Examples:
      jumpml run examples/digits
      jumpml run examples/digits --dry-run
      jumpml run . --ablate curriculum,balance
      jumpml run . --set learner.phases.supervised.epochs=3 --set data.batch_size=128
      jumpml run . --trust timm
      torchrun --nproc-per-node 2 -m jumpml run . --set learner.distribute=ddp
    """
    from jumpml import ablate
    from jumpml._ablate import twins_of

    project = project_of(folder, overrides, trust)
    keys = None if without is None else [key.strip() for key in without.split(",") if key.strip()]
    if dry:
        for one in (project, *(twins_of(project, keys).values() if keys is not None else ())):
            one.dry_run()
        typer.echo(f"{project.name}: the dry run came to its end; nothing was kept")
        return
    go = partial(project.run, out) if keys is None else partial(ablate, project, keys, out=out)
    before = set((out / project.name).glob("*"))
    started = hint_if_stopped(go, lambda: set((out / project.name).glob("*")) - before, trust)
    typer.echo(f"{started}")


def check(
    folder: ProjectFolder,
    overrides: Overrides = None,
    overfit: Annotated[
        int,
        typer.Option(
            "--overfit",
            metavar="STEPS",
            min=0,
            help="Also let a copy learn one batch by heart, in so many steps of each phase; 200 are often enough.",
        ),
    ] = 0,
    trust: Trust = None,
) -> None:
    """Find what is wrong, without training.

    Reads the files and the data, builds the model, and sends one batch through every objective: unknown keys, missing
    columns, shapes that do not fit, empty splits, rows that stand in both train and test. It takes a few seconds. The
    exit code is 0 where the project can run, though there may be something worth knowing, and 2 where it cannot.

    With --overfit, a copy of the model learns the first batch by heart, without dropout: each objective is said to be
    learned, still falling, or not learned, and nodes are named that no gradient reaches. What cannot learn one batch
    will learn nothing.

    \b
    Examples:
      jumpml check examples/digits
      jumpml check examples/digits --overfit 200
      jumpml check . --set 'model.nodes.encoder.args.widths=[16, 32]'
    """
    project = project_of(folder, overrides, trust)
    summary = project.check().summary()
    typer.echo(f"{project.name}: no mistakes found\n\n{summary}")
    if overfit:
        learner = project.make_learner()
        for name, phase in learner.phases.items():
            if phase.epochs and learner.model.active(name):
                typer.echo(f"\n{learner.overfit_batch(overfit, phase=name)}")


def resume(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder, such as runs/digits/TIME.")],
    overrides: Overrides = None,
    allow_changes: Annotated[
        bool, typer.Option("--allow-changes", help="Go on though the files are not those of the newest checkpoint.")
    ] = False,
    trust: Trust = None,
) -> None:
    """Go on with a run that was stopped.

    After Ctrl-C, SIGTERM, a crash or a power cut: starts at the last whole checkpoint and goes on to the end of the
    run. On a CPU with the same number of threads the final weights are the same, bit for bit, as without the stop. A
    run that had finished learning is evaluated and reported again.

    The files of a run are in its folder, in specs. Where they, or --set, say something that changes what is learned,
    the run is refused with the list of what was changed; --allow-changes goes on with it, and the card tells. What only
    says how often to save, where to log and how to read the data may always be changed.

    A search, runs/NAME/tune/TIME, goes on as it was begun, with the trial that was under way.

    \b
    Examples:
      jumpml resume runs/digits/20260131-120000
      jumpml resume runs/digits/20260131-120000 --set learner.phases.supervised.epochs=50 --allow-changes
    """
    from jumpml import resume as go_on
    from jumpml import resume_tuning
    from jumpml._tune import is_search
    from jumpml.core import parse_override

    if is_search(run_folder):
        if overrides or allow_changes:
            raise typer.BadParameter("a search goes on as it was begun.", param_hint="'--set'")
        found = hint_if_stopped(lambda: resume_tuning(run_folder, trust or ()), lambda: {run_folder}, trust)
        typer.echo(f"{found}\n\nwrote {found.folder}/tune.svg and tune.json")
        return

    changes = dict(parse_override(text) for text in overrides or ())
    ended = hint_if_stopped(
        lambda: go_on(run_folder, trust or (), overrides=changes, allow_changes=allow_changes),
        lambda: {run_folder},
        trust,
    )
    typer.echo(f"{ended}")
