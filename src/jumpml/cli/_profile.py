"""``jumpml profile``."""

# No `from __future__ import annotations` in the modules of commands: typer reads the annotations while it runs.

import os
from typing import Annotated

import typer

from jumpml.cli._project import Overrides, PhaseName, Pictures, ProjectFolder, Trust, project_of, save_found


def profile(  # noqa: PLR0917 (typer calls it by name)
    folder: ProjectFolder,
    phase: PhaseName = None,
    steps: Annotated[int, typer.Option("--steps", help="Steps that are timed.")] = 10,
    sizes: Annotated[
        bool, typer.Option("--batch-sizes", help="Time and memory by batch size instead, and how many rows fit.")
    ] = False,
    memory: Annotated[
        str | None,
        typer.Option("--memory", metavar="AMOUNT", help="With --batch-sizes: what training may hold, such as 4GB."),
    ] = None,
    overrides: Overrides = None,
    out: Pictures = None,
    trust: Trust = None,
) -> None:
    """Say where the time and the memory of a training step go, by node.

    A table has for each node and objective the time forward and backward, its parameters, and the memory that it keeps
    for the backward pass; beside them the wait for data, the optimizer, and all else. The last line says what to look
    at first. Steps are timed without the profiler; it then says how that time is shared, a little too much of it to
    small operations.

    With --batch-sizes, time and memory are measured at sizes that double: on a GPU until its memory is full. A CPU's
    memory cannot be filled to try it out: with --memory, a straight line through what was measured says how many rows
    fit. Memory is that of weights, gradients, moments and activations, without the data.

    \b
    Examples:
      jumpml profile examples/digits
      jumpml profile examples/digits --batch-sizes --memory 4GB --out looks
    """
    if memory is not None and not sizes:
        raise typer.BadParameter("it says nothing without --batch-sizes.", param_hint="'--memory'")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # before torch is loaded: its profiler tells of itself
    learner = project_of(folder, overrides, trust).make_learner()
    if sizes:
        measured = learner.batch_sizes(memory=memory, phase=phase)
        typer.echo(f"{measured}")
        save_found(measured, out, "batch-sizes")
    else:
        found = learner.profile(steps, phase=phase)
        typer.echo(f"{found}")
        save_found(found, out, "profile")
