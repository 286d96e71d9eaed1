"""What opens a source of a data file is given, and how it finds the files that are named there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from jumpml.core import did_you_mean
from jumpml.data.sources._data_file import COMPRESSIONS, file_system, is_remote

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from jumpml.core import DataSpec, Mistake

KeyPath = tuple[str | int, ...]


class WrongKeyError(Exception):
    """A mistake in the data file, on its way to the others."""

    def __init__(self, mistake: Mistake) -> None:
        super().__init__(str(mistake))
        self.mistake = mistake


@final
@dataclass(frozen=True, kw_only=True)
class Opening:
    """What an opener is given.

    Attributes:
        spec: The data file.
        told: What it says of this source.
        at: The key's path.
        trust: Packages whose functions may be called.
    """

    spec: DataSpec
    told: Any
    at: KeyPath
    trust: Collection[str] = ()

    @property
    def skip(self) -> bool:
        """Whether what cannot be read is to be left out."""
        return self.spec.datasets[str(self.at[1])].on_error == "skip"

    def wrong(self, key: str | tuple[str, ...], problem: str, fix: str = "") -> WrongKeyError:
        """To raise where a key's value cannot be what it is."""
        path = (key,) if isinstance(key, str) else key
        return WrongKeyError(self.spec.mistake((*self.at, *path), problem, fix))

    def file(self, path: str, key: str | tuple[str, ...] = "path") -> str:
        """A file's path from the data file's folder; an address stays as it is."""
        if is_remote(path):
            return path
        found = self.spec.folder / path
        if not found.is_file():
            raise self._missing(path, key, (other for other in _beside(found) if other.is_file()))
        return str(found)

    def folder(self, path: str, key: str = "path") -> str:
        """The path of a folder or a file, which may be an archive."""
        if is_remote(path):
            return path
        found = self.spec.folder / path
        if not found.exists():
            raise self._missing(path, key, _beside(found))
        return str(found)

    def files(self, suffixes: tuple[str, ...], key: str = "path") -> list[str]:
        """All files that a path, a pattern, a folder or a list of such means.

        Args:
            suffixes: What names end in, of files that are taken from a folder.
            key: Where it stands.
        """
        told = self.told.path
        endings = tuple(f"{suffix}{packed}" for suffix in suffixes for packed in ("", *COMPRESSIONS))
        paths = (told,) if isinstance(told, str) else told
        return [file for path in paths for file in self._expanded(path, endings, key)]

    def _expanded(self, path: str, endings: tuple[str, ...], key: str) -> list[str]:
        found = _far_files(path, endings) if is_remote(path) else _near_files(self.spec.folder / path, endings)
        if found is None:
            return [self.file(path, key)]
        if not found:
            what = f"fits the pattern {path!r}" if _is_pattern(path) else f"in {path!r} ends in {', '.join(endings)}"
            raise self.wrong(key, f"no file {what}, in the folder {str(self.spec.folder)!r}.")
        return found

    def _missing(self, path: str, key: str | tuple[str, ...], beside: Iterable[Path]) -> WrongKeyError:
        near = did_you_mean(Path(path).name, [other.name for other in beside])
        problem = f"there is no file {path!r} in the folder {str(self.spec.folder)!r}."
        return self.wrong(key, problem, near if near.startswith("Did") else "")


def _is_pattern(path: str) -> bool:
    return any(mark in path for mark in "*?[")


def _near_files(path: Path, endings: tuple[str, ...]) -> list[str] | None:
    """The files that are meant, in order; None where it is a single one."""
    if path.is_dir():
        inside = (found for found in path.rglob("*") if not _is_hidden(found.relative_to(path)))
        return sorted(str(found) for found in inside if found.is_file() and found.name.lower().endswith(endings))
    if not _is_pattern(str(path)) or path.is_file():
        return None
    anchor = next(parent for parent in path.parents if not _is_pattern(str(parent)))
    return sorted(str(found) for found in anchor.glob(str(path.relative_to(anchor))) if found.is_file())


def _far_files(path: str, endings: tuple[str, ...]) -> list[str] | None:
    system, inner = file_system(path)
    if _is_pattern(inner):
        found = sorted(system.glob(inner))
    elif system.isdir(inner):
        found = sorted(name for name in system.find(inner) if name.lower().endswith(endings))
    else:
        return None
    return [system.unstrip_protocol(name) for name in found]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _beside(path: Path) -> Iterable[Path]:
    return path.parent.iterdir() if path.parent.is_dir() else ()
