"""Checkpoints that are whole or not there, with checksums; a damaged one is noticed and the one before it used."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import threading
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file

from jumpml.core import CheckpointError, sha256_of, sync_folder, write_json
from jumpml.learn.saving._snapshot import Snapshot, restored

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jumpml.learn.saving._snapshot import Packed

_LOG = logging.getLogger("jumpml")
_MANIFEST = "manifest.json"
_ONE_AT_A_TIME = threading.Lock()  # two learners of a process may have the same folder: what one writes is not torn


class Checkpoints:
    """The checkpoints of one run.

    Each is a folder ``step-00000120``: ``model.safetensors`` (the weights alone, for anyone), ``state.safetensors`` and
    ``state.json`` (all else), and ``manifest.json`` with the checksums of the others. It is written under a temporary
    name, synced, and then renamed.

    Args:
        folder: Where they are.
        keep: How many of the newest stay; one that was saved as protected stays too until another is.
    """

    def __init__(self, folder: Path, keep: int = 3) -> None:
        self.folder = folder
        self.keep = keep

    def steps(self) -> list[int]:
        """The steps of all checkpoints, oldest first, whole or not."""
        if not self.folder.is_dir():
            return []
        names = (path.name.removeprefix("step-") for path in self.folder.glob("step-*") if path.is_dir())
        return sorted(int(name) for name in names if name.isdecimal())

    def path(self, step: int) -> Path:
        """The folder of one."""
        return self.folder / f"step-{step:08d}"

    def save(self, step: int, state: Mapping[str, Any], protect: int | None = None) -> Path:
        """Write a checkpoint, then remove the ones that are too many.

        Args:
            step: Its number. One of the same number is replaced.
            state: Nested dicts and lists of tensors and plain values; ``state["model"]`` maps names to tensors.
            protect: The step of a checkpoint that stays in any case (the best).

        Raises:
            CheckpointError: It cannot be written: a full disk, a read-only folder. The ones before are untouched.
        """
        return self.write(step, Snapshot.take(state), protect)

    def write(self, step: int, snapshot: Snapshot, protect: int | None = None) -> Path:
        """The same for a state that was copied before.

        Args:
            step: Its number. One of the same number is replaced.
            snapshot: The state.
            protect: The step of a checkpoint that stays in any case (the best).

        Raises:
            CheckpointError: It cannot be written. The ones before are untouched.
        """
        with _ONE_AT_A_TIME:
            final = self._write(step, snapshot)
            self._prune(step, protect)
        return final

    def _write(self, step: int, snapshot: Snapshot) -> Path:
        final = self.path(step)
        temporary, old = self.folder / f".{final.name}.tmp", self.folder / f".{final.name}.old"
        try:
            self._tidy()
            temporary.mkdir(parents=True)
            _write_files(temporary, snapshot)
            if final.exists():
                final.rename(old)
            temporary.rename(final)
            sync_folder(self.folder)
            shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            shutil.rmtree(temporary, ignore_errors=True)
            raise CheckpointError(
                f"the checkpoint of step {step} could not be written to {self.folder}: {error}. "
                "Those before it are untouched."
            ) from error
        return final

    def _prune(self, step: int, protect: int | None) -> None:
        steps = self.steps()
        if protect is not None and protect not in steps:
            return  # the best is not written yet: what was the best before is among these
        for old in steps[: -self.keep]:
            if old not in (protect, step):
                shutil.rmtree(self.path(old), ignore_errors=True)

    def load(self, step: int) -> dict[str, Any]:
        """Read one checkpoint whole.

        Raises:
            CheckpointError: It is missing or damaged; the text names the file.
        """
        folder = self.path(step)
        _verify(folder)
        tree = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "state.safetensors")
        state = restored(tree, tensors)
        state["model"] = load_file(folder / "model.safetensors")
        return state

    def latest(self) -> dict[str, Any] | None:
        """The newest checkpoint that is whole; each damaged one is named in a warning. None where there is none at all.

        Raises:
            CheckpointError: There are checkpoints, and all are damaged.
        """
        with _ONE_AT_A_TIME:
            self._tidy()
        problems = []
        for step in reversed(self.steps()):
            try:
                state = self.load(step)
            except CheckpointError as error:
                problems.append(str(error))
                _LOG.warning("%s The checkpoint before it is used.", error)
                continue
            return state
        if problems:
            raise CheckpointError(f"no checkpoint in {self.folder} is whole:\n  " + "\n  ".join(problems))
        return None

    def _tidy(self) -> None:
        """Put right what a process left that was killed while saving."""
        for torn in self.folder.glob(".step-*.tmp"):
            shutil.rmtree(torn, ignore_errors=True)  # or it is read-only, and then only read
        for old in self.folder.glob(".step-*.old"):
            final = self.folder / old.name.removeprefix(".").removesuffix(".old")
            if final.exists():
                shutil.rmtree(old)
            else:
                old.rename(final)

    def forget_after(self, step: int) -> None:
        """Remove the checkpoints after a step: they belong to a future that will be lived again."""
        for later in self.steps():
            if later > step:
                shutil.rmtree(self.path(later), ignore_errors=True)


def _write_files(folder: Path, snapshot: Snapshot) -> None:
    checksums = {name: write_packed(folder / name, packed) for name, packed in snapshot.tensors.items()}
    write_json(folder / "state.json", snapshot.tree)
    checksums["state.json"] = sha256_of(folder / "state.json")
    write_json(folder / _MANIFEST, checksums)


def write_packed(path: Path, packed: Packed) -> str:
    """Write a safetensors file through to the disk.

    Returns:
        Its SHA-256 checksum, taken on the way.
    """
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for block in packed.blocks():
            file.write(block)
            digest.update(block)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _verify(folder: Path) -> None:
    try:
        checksums = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        for name in ("model.safetensors", "state.safetensors", "state.json"):
            if checksums[name] != sha256_of(folder / name):
                raise CheckpointError(f"{folder / name} is damaged: its checksum is not the one that was written.")
    except OSError as error:
        raise CheckpointError(f"{folder} is not whole: {error}.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / _MANIFEST} is damaged: {error}.") from None
