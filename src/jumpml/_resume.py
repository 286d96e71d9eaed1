"""A run that was stopped: go on with it, or look at the step that stopped it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jumpml._ablate import Twins
from jumpml._project import Project
from jumpml._together import refuse_several
from jumpml.core import Launched, RunError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jumpml.learn import RelivedStep


def resume(
    run: str | Path,
    trust: Sequence[str] = (),
    *,
    overrides: Mapping[str, Any] | None = None,
    allow_changes: bool = False,
) -> Path:
    """Go on with a run after a crash, exactly, and with its twins; what is done is evaluated and reported again.

    Args:
        run: The run's folder.
        trust: Packages that the files may name code of.
        overrides: Values by dotted key that begins with the file, such as ``learner.phases.supervised.epochs``.
        allow_changes: Go on though these, or the files in the run's folder, say other things than those that its newest
            checkpoint was made with. The card tells what was changed.

    Returns:
        The same folder.

    Raises:
        RunError: The folder is no run's, or holds no checkpoint.
        CheckpointError: Something was changed, and the text says what; or all checkpoints are damaged.
    """
    folder = Path(run)
    if not (folder / "specs").is_dir():
        raise RunError(f"{folder} is no run's folder: it has no folder named specs. A run is made by `jumpml run`.")
    if not any((folder / "checkpoints").glob("step-*")):
        begin = "was stopped before its first one, or its learner file says `checkpoint: null`"
        raise RunError(f"{folder} holds no checkpoint to go on from: the run {begin}. Start it anew with `jumpml run`.")
    project = Project.find(folder / "specs", overrides, trust)
    twins = Twins(folder, project, allow_changes)
    if twins.removals:
        refuse_several("A run with twins goes on")
    twins.announce()
    several = Launched.here().count > 1
    loaders = project.agreed()[1] if several else None  # one process finds what is wrong as it goes
    project.go_on(folder, project, loaders=loaders, allow_changes=allow_changes)
    return twins.run()


def replay(path: str | Path, trust: Sequence[str] = ()) -> RelivedStep:
    """Show the step again at which a run stopped because of a value that is not finite.

    Args:
        path: The run's folder, of whose saved steps the last is shown; or one that was saved.
        trust: Packages that the files may name code of.

    Returns:
        What the batch, the nodes, the losses and their gradients were; ``str`` of it is a table.

    Raises:
        RunError: The folder is no run's, or no step was saved.
    """
    from jumpml.learn import build_learner

    path = Path(path)
    run = path if path.is_dir() else path.parents[2]
    if not (run / "specs").is_dir():
        raise RunError(f"{run} is no run's folder: it has no folder named specs. A run is made by `jumpml run`.")
    if path.is_dir():
        saved = sorted(path.glob("checkpoints/replay/step-*.safetensors"))
        if not saved:
            text = "one is saved where a loss, a gradient or a weight becomes NaN or infinite"
            raise RunError(f"{run} holds no step to show again: {text}.")
        path = saved[-1]
    project = Project.find(run / "specs", {"learner.log": []}, trust)
    loaders, model = project.build()
    return build_learner(project.learner, loaders, model, None, run, alone=True).relive(path)
