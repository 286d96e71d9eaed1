"""Where a non-finite loss began: the run is lived again from its last checkpoint up to that step, and looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.core import NonFiniteLossError
from jumpml.learn.steps._relived import save_step
from jumpml.learn.steps._reliving import look_ahead

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from torch import Tensor

    from jumpml.learn._loop import Loop
    from jumpml.learn.saving._snapshot import Snapshot
    from jumpml.learn.saving._states import States
    from jumpml.learn.steps._meter import NonFinite
    from jumpml.learn.steps._relived import RelivedStep

_ADVICE = "Lower the learning rate, set clip_norm, or look at the rows of that batch."
_GONE = "a step that did not come again: something in the model or the data is not repeatable"


def explain(states: States, loop: Loop, signal: NonFinite, folder: Path | None) -> NonFiniteLossError:
    """The error for a non-finite loss, with the node where it began if a checkpoint lets us go back.

    The run is left as that checkpoint has it.

    Args:
        states: What the run has kept.
        loop: Its loop.
        signal: When it was seen.
        folder: Where the step is saved, to be looked at again.
    """
    head = f"the loss of objective {signal.objective!r} became non-finite at step {signal.step}"
    if signal.objective is None:
        head = f"the weights became non-finite by the update of step {signal.step - 1}"
    if not states.resume():
        kept = states.restore_last_good()
        left = "" if kept is None else f" The weights are those after step {kept}, and the optimizer begins afresh."
        more = "With checkpoints on, the node where it began would be named."
        return NonFiniteLossError(f"{head}.{left} {_ADVICE} {more}")
    good = loop.progress.step
    bad = _first_bad(loop, signal.step)
    states.resume()
    relived = _relive(loop, bad)
    states.resume()
    if relived is None:
        return NonFiniteLossError(f"{head}; it began in {_GONE}. The checkpoint of step {good} is good. {_ADVICE}")
    seen, kept = relived
    origins = loop.processes.gather(seen.origin)  # each has looked at its own rows
    whose = next((rank for rank, origin in enumerate(origins) if origin), 0)
    origin = origins[whose] or f"the update of step {bad}: its losses and gradients are finite"
    at = f" at step {bad}" if bad != signal.step else ""
    saved = _save(folder, bad, kept) if folder and loop.processes.rank == whose else ""
    saved = loop.processes.gather(saved)[whose]
    return NonFiniteLossError(
        f"{head}; it began{at} in {origin}. The checkpoint of step {good} is good. {_ADVICE}{saved}"
    )


def _save(folder: Path, step: int, kept: Snapshot) -> str:
    try:
        path = save_step(folder, step, kept)
    except OSError as error:
        return f" The step could not be saved to be looked at again: {error}."
    return f" The step is saved: `jumpml replay {path}`, or learner.relive({str(path)!r}), shows it again."


def _windows(loop: Loop, step: int) -> Iterator[list[dict[str, Tensor]]]:
    """The batches of each step up to this one, epoch after epoch."""
    while loop.progress.step < step:
        before = loop.progress.step
        for batches in loop.windows():
            yield batches
            if loop.progress.step >= step:
                return
        loop.close_epoch(loop.progress.phase or "")
        if loop.progress.step == before:
            return


def _first_bad(loop: Loop, step: int) -> int:
    """The first step up to this one whose update makes a weight non-finite; this one where none before does."""
    for batches in _windows(loop, step - 1):
        if loop.stage is None:
            break
        loop.step(loop.stage, batches)
        if not all_finite(loop.model.parameters()):
            return loop.progress.step
    return step


def _relive(loop: Loop, step: int) -> tuple[RelivedStep, Snapshot] | None:
    """A step as it was, and what is needed to live it again."""
    for batches in _windows(loop, step):
        if loop.stage is None:
            break
        if loop.progress.step == step - 1:
            return look_ahead(loop, loop.stage, batches)
        loop.step(loop.stage, batches)
    return None


def all_finite(values: Iterable[Tensor]) -> bool:
    """Whether no value is NaN or infinite, with one reading of the device."""
    floats = [value.detach() for value in values if value.is_floating_point()]
    if not floats:
        return True
    # A sum that is finite is of finite values alone, and quicker than asking each; one that is not may have run over.
    sums = torch.stack([value.sum(dtype=torch.float32) for value in floats])
    return bool(sums.isfinite().all()) or bool(torch.stack([value.isfinite().all() for value in floats]).all())
