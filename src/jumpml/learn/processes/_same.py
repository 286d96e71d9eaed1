"""Whether several processes are about to learn the same, asked before the first step."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

from jumpml.core import LearnerError
from jumpml.learn._loop_state import identity_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch.optim import Optimizer

    from jumpml.data import DataLoaders
    from jumpml.graph import Model
    from jumpml.learn._loop import Loop
    from jumpml.learn._progress import Saving
    from jumpml.learn.processes._processes import Processes

_LOOKED_AT = 16  # rows of each split
_MOST = 8  # differences that a text names


def check_same_model(processes: Processes, model: Model) -> None:
    """Look whether all processes have models of the same shapes.

    Raises:
        LearnerError: They have not; in all of them.
    """
    if not processes.alone:
        _compare(processes, _told_of_model(model))


def check_same_run(loop: Loop, saving: Saving | None) -> None:
    """Look whether all processes have the same data, and are about to do the same.

    Args:
        loop: This one's.
        saving: When it writes checkpoints.

    Raises:
        LearnerError: They do not; in all of them.
    """
    if not loop.processes.alone:
        told = {**_told_of_saving(saving), **_told_of_data(loop.loaders), **_told_of_rates(loop.optimizer)}
        _compare(loop.processes, {**told, **identity_of(loop)})


def _compare(processes: Processes, told: Mapping[str, str]) -> None:
    """Refuse what all processes do not tell alike, by what it is called."""
    first, *others = processes.gather(dict(told))
    found: dict[str, str] = {}
    for rank, other in enumerate(others, 1):
        for name in {**first, **other}:
            has = first.get(name, "none"), other.get(name, "none")
            if has[0] != has[1]:
                found.setdefault(name, f"{has[0]} in process 0, {has[1]} in process {rank}")
    if found:
        lines = [f"  {name}: {text}" for name, text in found.items()][:_MOST]
        more = [f"  and {len(found) - _MOST} more"] if len(found) > _MOST else []
        text = "\n".join(["distribute: the processes are not about to learn the same:", *lines, *more])
        text += "\nGive all of them the same files and seed, and let no code depend on the process."
        raise processes.agreed(LearnerError(text))


def _told_of_saving(saving: Saving | None) -> dict[str, str]:
    """When checkpoints are written, which all processes do together; where is the first one's alone."""
    if saving is None:
        return {}
    return {f"checkpoint.{name}": str(getattr(saving, name)) for name in ("epochs", "steps", "best", "mode")}


def _told_of_rates(optimizer: Optimizer) -> dict[str, str]:
    """The learning rates that it begins with, by group."""
    return {f"learning rate of group {place}": str(g["lr"]) for place, g in enumerate(optimizer.param_groups)}


def _told_of_model(model: Model) -> dict[str, str]:
    """The shapes of its weights and buffers, by name."""
    return {
        f"weight {name}": f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
        for name, value in model.state_dict().items()
    }


def _told_of_data(loaders: DataLoaders) -> dict[str, str]:
    """By split which rows it has, and by field what stands in some of them, as checksums."""
    told = {}
    for split, loader in {"train": loaders.train, "val": loaders.val, "test": loaders.test}.items():
        rows = loader.rows
        told[f"{split} rows"] = f"{len(rows)} ({_checksum(rows)})"
        some = torch.linspace(0, len(rows) - 1, min(len(rows), _LOOKED_AT)).long()
        for field in loaders.fields if len(rows) else ():
            told[f"{split} field {field}"] = _checksum(loader.take(field, some))
    return told


def _checksum(values: torch.Tensor) -> str:
    flat = values.detach().cpu().contiguous().flatten()
    return hashlib.sha256(flat.view(torch.uint8).numpy().tobytes()).hexdigest()[:12]
