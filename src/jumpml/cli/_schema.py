"""``jumpml schema``."""

# No `from __future__ import annotations` in the modules of commands: typer reads the annotations while it runs.

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Kind(StrEnum):
    """The four files."""

    data = "data"
    model = "model"
    learner = "learner"
    deploy = "deploy"


def schema(
    kind: Annotated[Kind, typer.Argument(help="Which file.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file instead of the terminal.")
    ] = None,
) -> None:
    """Print the JSON Schema of one of the four files, for an editor.

    An editor that knows the schema completes keys, shows what each one means, and marks mistakes while you type. Write
    it beside your file, and name it in the file's first line; editors with the YAML language server (VS Code's YAML
    extension, Neovim, Emacs, ...) read that line. `jumpml new` has done both.

    \b
    Examples:
      jumpml schema model --output schemas/model.json
      # and as the first line of digits.model.yaml:
      # yaml-language-server: $schema=schemas/model.json
    """
    from jumpml.core import json_schema, write_json

    if output is None:
        sys.stdout.write(json.dumps(json_schema(kind.value), indent=2, ensure_ascii=False) + "\n")
    else:
        write_json(output, json_schema(kind.value))
        typer.echo(f"wrote {output}")
