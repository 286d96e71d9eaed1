"""``jumpml show``."""

# No `from __future__ import annotations` in the modules of commands: typer reads the annotations while it runs.

import typer

from jumpml.cli._show_data import show_data
from jumpml.cli._show_model import show_model

show = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
show.command("model")(show_model)
show.command("data")(show_data)


@show.callback()
def _show() -> None:
    """Show the model's graph, or what augmentation does.

    \b
    Examples:
      jumpml show model examples/digits
      jumpml show data examples/digits
    """
