"""A search over keys of the files, by optuna, on the validation rows."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jumpml._search import space_of
from jumpml._study import Study, fixed
from jumpml._together import refuse_several
from jumpml._verbs import new_run_folder
from jumpml.core import SPECS, JumpMLError, MissingExtraError, Mistake, RunError, SpecError, load_spec, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jumpml._project import Project
    from jumpml._search import Space
    from jumpml._tune_record import TuningRecord
    from jumpml.core import FileSpec
    from jumpml.data import DataLoaders

_PLAN = "study.json"
_UNREAD = ("deploy", "learner.adapt", "learner.checkpoint.best")  # by trials: `by` stands in the last one's place
_COMBINATIONS = 16  # of values that are checked where none of the first ones passes


def tune(
    project: Project,
    search: Mapping[str, str],
    *,
    trials: int = 20,
    by: str | None = None,
    prune: bool = True,
    seed: int = 0,
    out: str | Path = "runs",
) -> TuningRecord:
    """Search keys of the data, model and learner files for the values with the best figure on the validation rows.

    Each trial is a run's folder that has learned and is not evaluated; `resume` finishes one. The first trial is the
    project as its files say, where that lies within the search. All is a function of the seed.

    Args:
        project: The project.
        search: By dotted key that begins with the file, a range or choices: ``log:1e-4..1e-1``, ``16..64``, ``16,32``.
        trials: How many are tried.
        by: The figure that decides: ``val/<task>/<metric>`` or ``val/loss``. Where None, the one that chooses the best
            checkpoint, else ``val/loss``.
        prune: Whether a trial ends early whose best figure is worse than the median of the others' at that epoch.
        seed: Of the search; what is learned has the learner file's.
        out: The folder of all runs.

    Raises:
        MissingExtraError: optuna is not installed.
        SpecError: A key or what it may be is wrong, or the project passes its check with no value that is tried
            before the first trial.
        JumpMLError: The project cannot run, or no trial came to its end.

    Example:
        ``tune(Project.find("examples/digits"), {"learner.optimizer.lr": "log:1e-3..1"}, trials=30)``
    """
    _require_optuna()
    refuse_several("A search learns one trial after the other,")
    if trials < 1 or not search:
        problem = f"expected at least one key to search and one trial, got {len(search)} and {trials}."
        raise SpecError("--search", [Mistake(key="", problem=problem)])
    spaces = {key: space_of(key, said) for key, said in search.items()}
    for key, space in spaces.items():
        _refuse_unfit(project, key, space)
    best = project.learner.checkpoint.best if project.learner.checkpoint else None
    by = by or (best.metric if best else "val/loss")
    mode = best.mode if best and best.metric == by else "auto"
    plan = {"search": dict(search), "by": by, "mode": mode, "prune": prune, "seed": seed}
    project = fixed(project, plan)
    _refuse_failing(project, spaces)
    folder = new_run_folder(f"{project.name}/tune", out)
    project.save_specs(folder / "specs")
    write_json(folder / _PLAN, {**plan, "trials": trials})
    return Study(folder, plan, project.trust).run(trials)


def resume_tuning(folder: str | Path, trust: Sequence[str] = (), *, trials: int | None = None) -> TuningRecord:
    """Go on with a search that was stopped, exactly; the trial that was under way goes on where it was.

    Args:
        folder: The search's folder.
        trust: Packages that the files may name code of.
        trials: How many there shall be in all; as many as were asked for where None.

    Raises:
        RunError: The folder is no search's.
    """
    _require_optuna()
    refuse_several("A search learns one trial after the other,")
    folder = Path(folder)
    if not is_search(folder):
        raise RunError(f"{folder} is no search's folder: it has no {_PLAN}. A search is made by `jumpml tune`.")
    plan = json.loads((folder / _PLAN).read_text(encoding="utf-8"))
    return Study(folder, plan, trust).run(trials or plan["trials"])


def is_search(folder: Path) -> bool:
    """Whether a folder is a search's."""
    return (folder / _PLAN).is_file()


def _refuse_unfit(project: Project, key: str, space: Space) -> None:
    """Refuse a key that a file does not know or no trial reads, and values that the file cannot hold."""
    kind, _, rest = key.partition(".")
    if kind not in SPECS or not rest:
        problem = f"expected a key that begins with data., model. or learner., got {key!r}."
        raise SpecError("--search", [Mistake(key="", problem=problem)])
    if any(f"{key}.".startswith(f"{one}.") for one in _UNREAD):
        problem = (
            f"{key}: no trial reads it. A trial learns, and is measured on the validation rows by one figure (`--by`): "
            "it reads the data, model and learner files, but for learner.adapt and learner.checkpoint.best."
        )
        raise SpecError("--search", [Mistake(key="", problem=problem)])
    for value in space.samples():
        _with(project, {key: value})


def _refuse_failing(project: Project, spaces: Mapping[str, Space]) -> None:
    """Refuse a search of which nothing that is tried passes the project's check, by the key that is to blame.

    What a file says may be right by itself and mean nothing to what it is for: an argument that the optimizer, or a
    node's module, does not take.
    """
    loaders, _ = project.checked()
    samples = {key: space.samples() for key, space in spaces.items()}
    count = max(map(len, samples.values()))
    alongside = [[some[place % len(some)] for some in samples.values()] for place in range(count)]
    several = islice(product(*samples.values()), _COMBINATIONS)
    first = None
    for values in (*alongside, *several):
        error = _failure(project, dict(zip(samples, values, strict=True)), loaders)
        if error is None:
            return
        first = first or error
    for key, some in samples.items():
        if all(blamed := [_failure(project, {key: value}, loaders) for value in some]) and blamed[0]:
            raise blamed[0]
    if first:
        raise first


def _failure(project: Project, values: Mapping[str, Any], loaders: DataLoaders) -> JumpMLError | None:
    """What the project's check says of values by key, if it refuses them."""
    try:
        own = any(key.startswith("data.") for key in values)
        replace(project, **_with(project, values)).checked(None if own else loaders)
    except JumpMLError as error:
        return error
    return None


def _with(project: Project, values: Mapping[str, Any]) -> dict[str, FileSpec]:
    """The files with values by dotted key."""
    by_kind: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        kind, _, rest = key.partition(".")
        by_kind.setdefault(kind, {})[rest] = value
    return {kind: load_spec(SPECS[kind], getattr(project, kind), told) for kind, told in by_kind.items()}


def _require_optuna() -> None:
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise MissingExtraError("optuna", "tune", "a search over keys") from None
