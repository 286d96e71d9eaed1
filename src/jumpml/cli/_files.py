"""The data file that a command is to read."""

from pathlib import Path

import typer


def data_file(path: Path) -> Path:
    """The file itself, or the only data file of a folder.

    Raises:
        BadParameter: The folder holds none, or several.
    """
    if not path.is_dir():
        return path
    found = sorted(file for kind in ("yaml", "yml", "json", "py") for file in path.glob(f"*.data.{kind}"))
    if len(found) != 1:
        told = ", ".join(file.name for file in found) or "none"
        raise typer.BadParameter(f"expected one *.data.yaml in {path}, found {told}.", param_hint="'DATA'")
    return found[0]
