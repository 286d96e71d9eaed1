"""The commands, gathered."""

from typing import Annotated, Any

import typer

from jumpml import __version__
from jumpml.cli._compare import compare
from jumpml.cli._data import data
from jumpml.cli._errors import Shell
from jumpml.cli._find_lr import find_lr
from jumpml.cli._new import new
from jumpml.cli._predict import predict
from jumpml.cli._profile import profile
from jumpml.cli._replay import replay
from jumpml.cli._report import report
from jumpml.cli._run import check, resume, run
from jumpml.cli._schema import schema
from jumpml.cli._several import begin
from jumpml.cli._show import show
from jumpml.cli._tune import tune

_COMMANDS = {"new": new, "data": data, "check": check, "show": show, "find-lr": find_lr, "profile": profile, "run": run}
_COMMANDS |= {"resume": resume, "replay": replay, "compare": compare, "tune": tune, "predict": predict}
_COMMANDS |= {"report": report, "schema": schema}


class _InOrder(Shell):
    """Lists the commands in the order of use; typer would put those that have commands of their own last."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name in _COMMANDS if name in self.commands]


app = typer.Typer(
    name="jumpml",
    cls=_InOrder,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help is quick, and shows brackets and line ends as they are written
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for name, command in _COMMANDS.items():
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name)
    else:
        app.command(name)(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"jumpml {__version__}")
        raise typer.Exit


@app.callback()
def _jumpml(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Two files in; a trained, explained, documented and deployed PyTorch model out.

    A project is a folder with a data file (NAME.data.yaml) and a model file (NAME.model.yaml), and where you want them
    a learner file and a deploy file. One command does the rest.

    \b
    Start here:
      jumpml new digits      a working project to start from
      jumpml check digits    find what is wrong, without training
      jumpml run digits      learn, evaluate, diagnose, deploy, report

    Each command explains itself: jumpml run --help.
    """
    begin(context, context.invoked_subcommand)


def main() -> None:
    """Run the command that the shell asked for; the entry point of ``jumpml``.

    Raises:
        SystemExit: Always at the end: 0, 1 where a run failed, 2 for a mistake in a file or command, 130 after Ctrl-C,
            143 after SIGTERM.
        Exception: What JumpML did not foresee, with a note that asks to report it.
    """
    try:
        app(prog_name="jumpml")
    except Exception as error:
        error.add_note(
            f"jumpml {__version__} did not foresee this. If it does not come from code of yours, please report it with "
            "the lines above."
        )
        raise
