"""``jumpml find-lr``."""

# No `from __future__ import annotations` in the modules of commands: typer reads the annotations while it runs.

from typing import TYPE_CHECKING, Annotated

import typer

from jumpml.cli._project import Overrides, PhaseName, Pictures, ProjectFolder, Trust, project_of, save_found

if TYPE_CHECKING:
    from jumpml.core import LearnerSpec


def find_lr(  # noqa: PLR0917 (typer calls it by name)
    folder: ProjectFolder,
    phase: PhaseName = None,
    low: Annotated[float, typer.Option("--low", metavar="LR", help="The first learning rate.")] = 1e-7,
    high: Annotated[float, typer.Option("--high", metavar="LR", help="The last one.")] = 10.0,
    steps: Annotated[int, typer.Option("--steps", help="How many are tried, a batch each.")] = 100,
    overrides: Overrides = None,
    out: Pictures = None,
    trust: Trust = None,
) -> None:
    """Find a learning rate by trying many, a step each.

    The learning-rate range test (Smith 2015), from far too low to far too high. Prints the middle of the stretch over
    which the loss falls, where it falls fastest, and the argument that sets it. The test ends where the loss runs away.
    Parameter groups keep their relation, and the phase's schedule is left out; a one-cycle schedule takes the rate as
    its max_lr.

    It is a suggestion, of one pass over a few batches: try a third and three times of it too.

    \b
    Examples:
      jumpml find-lr examples/digits
      jumpml find-lr examples/digits --phase supervised --out looks
    """
    project = project_of(folder, overrides, trust)
    learner = project.make_learner()
    found = learner.find_lr(phase=phase, low=low, high=high, steps=steps)
    typer.echo(f"{found}")
    if found.suggestion is not None:
        first = learner.optimizer.param_groups[0]["lr"]  # whose rate was found; a layer's is a share of the file's
        rate = found.suggestion * project.learner.optimizer.lr / first
        typer.echo(f"\nwith it: --set learner.{_key(project.learner, found.phase)}={rate:.2g}")
    save_found(found, out, "find-lr")


def _key(spec: "LearnerSpec", name: str) -> str:
    """Where the file says the rate of a phase, so that groups with rates of their own keep their ratio to it."""
    phase = spec.phases.get(name)
    own = phase.schedule if phase else None
    if getattr(spec.schedule if own is None else own, "kind", None) == "one_cycle":
        return "schedule.max_lr" if own is None else f"phases.{name}.schedule.max_lr"
    several = any(group.lr is not None for group in spec.optimizer.groups)
    return f"phases.{name}.lr" if several or (phase and phase.lr is not None) else "optimizer.lr"
