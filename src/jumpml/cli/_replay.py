"""``jumpml replay``."""

from pathlib import Path
from typing import Annotated

import typer

from jumpml.cli._run import Trust


def replay(
    saved: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="The run's folder, or a step that was saved in its checkpoints/replay."),
    ],
    trust: Trust = None,
) -> None:
    """Show again the step at which a run met a NaN or an infinity.

    Such a run stops, and saves the batch, the weights and the random generators before that step. This lives it again,
    without an update, and prints by node what came out, what the weights are and what gradient each objective has, with
    the share of values that are finite, and where the first one is that is not.

    \b
    Example:
      jumpml replay runs/digits/20260131-120000
    """
    from jumpml import replay as live_again

    typer.echo(live_again(saved, trust or ()).table())
