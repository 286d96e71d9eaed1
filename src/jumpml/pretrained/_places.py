"""Where weights lie: a file, a checkpoint, a run, or a model's folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from jumpml.core import PretrainedError, did_you_mean, sha256_of

if TYPE_CHECKING:
    from pathlib import Path

ENDINGS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
AVERAGE = "average"
_MODEL, _STATE, _MANIFEST = "model.safetensors", "state.safetensors", "manifest.json"


class Place(NamedTuple):
    """A file, its checksum, and which part of it.

    Attributes:
        file: The file.
        sha256: Its checksum.
        begins: What the names of the part begin with; empty for the whole file.
        part: Which of several state_dicts of a torch file.
    """

    file: Path
    sha256: str
    begins: str = ""
    part: str | None = None


def find_weights(path: Path, part: str | None = None) -> Place:
    """The file of weights behind a path.

    Args:
        path: A file of weights; a folder with ``model.safetensors``, as a checkpoint and a model of the Hugging Face
            hub are; or a run's folder: its best checkpoint where it has one, else its newest.
        part: Of a torch file which of its state_dicts; of a checkpoint ``average``, the averaged weights.

    Raises:
        PretrainedError: There is no such file, or a checkpoint is damaged.
    """
    check_is_there(path)
    if path.is_dir():
        return _in_folder(_checkpoint(path), part)
    if path.suffix not in ENDINGS:
        ending = path.suffix or "no ending"
        raise PretrainedError(f"{path}: expected weights in {', '.join(ENDINGS)}; got {ending}.")
    return Place(path, sha256_of(path), part=part)


def check_is_there(path: Path) -> None:
    """Refuse what does not exist, with what stands beside it under a near name.

    Raises:
        PretrainedError: There is no such file or folder.
    """
    if not path.exists():
        near = did_you_mean(path.name, [p.name for p in path.parent.glob("*")]) if path.parent.is_dir() else ""
        raise PretrainedError(f"there is no file {path}. {near}".rstrip())


def _checkpoint(folder: Path) -> Path:
    """A run's checkpoint; the folder itself where it is no run's."""
    inner = folder / "checkpoints" if (folder / "checkpoints").is_dir() else folder
    steps = {int(p.name.removeprefix("step-")): p for p in inner.glob("step-*") if p.is_dir()}
    if not steps:
        return folder
    newest = steps[max(steps)]
    return steps.get(_best_step(newest), newest)


def _best_step(checkpoint: Path) -> int:
    """The step that a run holds for its best when it writes a checkpoint; -1 where there is none.

    The state is dicts as lists of pairs, see `jumpml.learn`'s checkpoints.
    """
    try:
        state = dict(json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))["$dict"])
        best = dict(state["progress"]["$dict"])["best"]
        return -1 if best is None else int(best[1])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PretrainedError(f"{checkpoint} is no whole checkpoint: {type(error).__name__}: {error}.") from None


def lineage_beside(weights: Path) -> list[dict[str, Any]]:
    """The surgeries that the model of a checkpoint's weights has had; none where these are no checkpoint's."""
    state = weights.parent / "state.json"
    if weights.name not in {_MODEL, _STATE} or not state.is_file():
        return []
    try:
        told = dict(json.loads(state.read_text(encoding="utf-8"))["$dict"])
        return [_plain(entry) for entry in told.get("lineage", [])]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PretrainedError(f"{weights.parent} is no whole checkpoint: {type(error).__name__}: {error}.") from None


def _plain(tree: Any) -> Any:
    """A value of a checkpoint's state, in which dicts are lists of pairs."""
    if isinstance(tree, dict):
        return {key: _plain(value) for key, value in tree["$dict"]}
    return [_plain(value) for value in tree] if isinstance(tree, list) else tree


def _in_folder(folder: Path, part: str | None) -> Place:
    if part not in {None, AVERAGE}:
        raise PretrainedError(f"{folder}: a folder has no part {part!r}; a checkpoint has the part {AVERAGE!r}.")
    file = folder / (_MODEL if part is None else _STATE)
    if not file.is_file():
        what = "neither a checkpoint, nor a run's folder, nor one with a model.safetensors"
        raise PretrainedError(f"{folder} is {what}. Name the file of weights itself.")
    sha256 = sha256_of(file)
    manifest = folder / _MANIFEST
    if manifest.is_file() and _told(manifest).get(file.name) != sha256:
        raise PretrainedError(f"{file} is damaged: its checksum is not the one that was written with it.")
    return Place(file, sha256, begins="" if part is None else f"/hooks/ema/{AVERAGE}/module.")


def _told(manifest: Path) -> dict[str, str]:
    try:
        return dict(json.loads(manifest.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise PretrainedError(f"{manifest} is damaged: {error}.") from None
