"""The file that a command is to read."""

from pathlib import Path

import typer

_SUFFIXES = ("yaml", "yml", "json", "py")


def spec_file(path: Path, kind: str) -> Path:
    """The file itself, or the only one of its kind in a folder; of several model files that with the data file's name.

    Args:
        path: A file or a folder.
        kind: ``data`` or ``model``.

    Raises:
        BadParameter: The folder holds none, or several.
    """
    if not path.is_dir():
        return path
    found = spec_files(path, kind)
    if kind != "data" and len(found) > 1:
        names = {name_of(file) for file in spec_files(path, "data")}
        found = [file for file in found if name_of(file) in names] or found
    if len(found) != 1:
        told = ", ".join(file.name for file in found) or "none"
        raise typer.BadParameter(f"expected one *.{kind}.yaml in {path}, found {told}.", param_hint=f"'{kind.upper()}'")
    return found[0]


def name_of(file: Path) -> str:
    """A file's name up to the first dot."""
    return file.name.partition(".")[0]


def spec_files(folder: Path, kind: str) -> list[Path]:
    """All files of a kind in a folder, by name."""
    return sorted(file for suffix in _SUFFIXES for file in folder.glob(f"*.{kind}.{suffix}"))
