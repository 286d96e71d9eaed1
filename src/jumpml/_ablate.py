"""A run beside twins that learn without one part of the learner file, and what that part was worth."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, final

from jumpml._project import Project
from jumpml._removable import OPTION, removed
from jumpml._stages import Stages
from jumpml._together import refuse_several
from jumpml._verbs import eval_model, new_run_folder
from jumpml.core import (
    AblationRecord,
    AblationsRecord,
    DeploymentRecord,
    EvaluationError,
    JumpMLError,
    LearnerSpec,
    Mistake,
    RunError,
    RunRecord,
    SpecError,
    load_spec,
    write_file,
    write_json,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jumpml._removable import Removal
    from jumpml.core import Figure
    from jumpml.data import DataLoaders
    from jumpml.evaluate import EvalResults
    from jumpml.graph import Model
    from jumpml.learn import Learner

_FOLDER = "ablations"
_PLAN = "plan.json"
_FOUND = "ablations.json"


def ablate(project: Project, keys: Sequence[str], *, out: str | Path = "runs") -> Path:
    """Run a project, and a twin for each of some parts of its learner file that learns without it, all else equal.

    A twin has the same files, seed and rows but for its part: without ``balance`` objectives are added up; without
    ``curriculum`` the same arms are chosen uniformly, and neither pacing nor weights of rows remain; any other key that
    can be switched off is. Twins are ordinary run folders below the run's, ``ablations/<key>``, and the run's card sets
    them beside it. `resume` goes on with all of it.

    Args:
        project: The project.
        keys: Dotted keys of the learner file: ``balance``, ``curriculum``, ``curriculum.pacing``, ``ema``,
            ``phases.self_supervised``.
        out: The folder of all runs.

    Returns:
        The run's folder.

    Raises:
        SpecError: A key is none that the learner file has and can do without, or is named twice.
        RunError: Without a part the project cannot run, known before anything is learned; or several processes were
            started.
        JumpMLError: Something else is wrong.

    Example:
        ``ablate(Project.find("examples/digits"), ["ema"])``
    """
    refuse_several(f"{OPTION} learns one run after the other,")
    twins = twins_of(project, keys)
    loaders, _ = project.checked()
    for key, twin in twins.items():
        try:
            twin.checked(loaders)
        except JumpMLError as error:
            raise RunError(f"{OPTION} {key}: without it the project cannot run: {error}") from None
    folder = new_run_folder(project.name, out)
    kept = project.begin(folder)
    write_json(folder / _FOLDER / _PLAN, {"keys": [*keys]})
    begun = Twins(folder, kept)
    begun.announce()
    project.go_on(folder, kept, loaders=loaders)
    return begun.run()


def twins_of(project: Project, keys: Sequence[str]) -> dict[str, Project]:
    """By key, the project without that part.

    Args:
        project: The project.
        keys: Dotted keys of the learner file.

    Raises:
        SpecError: There is no learner file, it keeps no checkpoint, or it does not have a key or cannot do without it.
    """
    if project.learner == LearnerSpec():
        problem = "the project has no learner file, or one that says nothing: there is nothing to take out."
        raise SpecError(OPTION, [Mistake(key="", problem=problem)])
    taken = removed(project.learner, keys)
    if project.learner.checkpoint is None:
        problem = "checkpoint: null keeps nothing that twins could be compared with."
        raise SpecError(OPTION, [Mistake(key="", problem=problem, fix="Leave it out.")])
    return {
        key: replace(project, learner=load_spec(LearnerSpec, project.learner, removal.values))
        for key, removal in taken.items()
    }


@final
@dataclass(frozen=True)
class Twins:
    """The twins of a run.

    Attributes:
        folder: The run's.
        project: That of the files in it.
        allow_changes: Whether twins go on though the run's files were changed.
    """

    folder: Path
    project: Project
    allow_changes: bool = False

    @cached_property
    def removals(self) -> dict[str, Removal]:
        """By key, how each twin comes about; none where nobody asked for twins.

        Raises:
            SpecError: The run's files no longer have a part.
            RunError: The plan is damaged.
        """
        path = self.folder / _FOLDER / _PLAN
        if not path.is_file():
            return {}
        try:
            keys = json.loads(path.read_text(encoding="utf-8"))["keys"]
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise RunError(f"{path}: damaged: expected the keys that are taken out, got {error}.") from error
        return removed(self.project.learner, keys)

    def announce(self) -> None:
        """Say which of the runs comes first."""
        if self.removals:
            self._say(0, "as the files say")

    def run(self) -> Path:
        """Learn what is not learned yet, compare, and write the run's card anew.

        Returns:
            The run's folder.

        Raises:
            JumpMLError: Something is wrong.
        """
        if not self.removals:
            return self.folder
        twins: list[AblationRecord] = []
        for place, (key, removal) in enumerate(self.removals.items(), start=1):
            self._say(place, f"without {key}{f', {removal.instead}' if removal.instead else ''}")
            twins.append(self._twin(key, removal))
            record = AblationsRecord(twins=tuple(twins))
            write_file(self.folder / _FOUND, record.model_dump_json(indent=2) + "\n")
        self._write_card()
        return self.folder

    def _say(self, place: int, text: str) -> None:
        Stages()("run", f"{place + 1} of {len(self.removals) + 1}: {text}")

    def _twin(self, key: str, removal: Removal) -> AblationRecord:
        """Let a twin learn, and compare it with the run on the same rows."""
        values = {f"learner.{name}": value for name, value in removal.values.items()}
        project = Project.find(self.folder / "specs", values, self.project.trust)
        folder = self.folder / _FOLDER / key
        kept = project if (folder / "specs").is_dir() else project.begin(folder)
        loaders, learner = project.learn(folder, kept, Stages(), allow_changes=self.allow_changes)
        Stages()("evaluate", "on the test rows, beside the run")
        results = eval_model(loaders, learner.ema_model or learner.model)
        self._save_twin(folder, results, learner)
        return AblationRecord(
            key=key,
            instead=removal.instead,
            folder=f"{_FOLDER}/{key}",
            figures={task: dict(measured.figures) for task, measured in results.record.tasks.items()},
            changes=_changes(results, learner.ema_model or learner.model, self._model(loaders)),
            epochs=tuple(learner.history.epochs),
        )

    def _save_twin(self, folder: Path, results: EvalResults, learner: Learner) -> None:
        """What any run leaves that is evaluated, and not diagnosed and deployed yet."""
        from jumpml.report import report_card

        write_file(folder / "evaluation.json", results.record.model_dump_json(indent=2) + "\n")
        run = RunRecord.model_validate_json((folder / "run.json").read_text(encoding="utf-8"))
        history = learner.history
        report_card(results, epochs=history.epochs, course=history.course, run=run).save(folder)

    def _model(self, loaders: DataLoaders) -> Model:
        """The run's model, with its weights, on a twin's loaders."""
        from jumpml.learn import build_learner, told_by

        _, model = self.project.build(loaders)
        silent = self.project.learner.model_copy(update={"log": ()})
        learner = build_learner(silent, loaders, model, None, self.folder, alone=True)
        learner.files = told_by(self.project.learner, self.project.model, self.project.data)
        learner.resume()
        learner.restore_best()
        return learner.ema_model or learner.model

    def _write_card(self) -> None:
        """The run's card with its twins, in the bundle too."""
        from jumpml.deploy import Deployment
        from jumpml.report import card_from_run

        card = card_from_run(self.folder)
        card.save(self.folder)
        deployment: DeploymentRecord | None = card.record.deployment
        if deployment is not None:
            Deployment(deployment, self.folder / deployment.bundle).add_card(card.html)
        Stages()("report", f"card.html sets the run beside {', '.join(f'{_FOLDER}/{key}' for key in self.removals)}")


def _changes(results: EvalResults, twin: Model, run: Model) -> dict[str, dict[str, Figure]]:
    """By task and metric, the run's figure less the twin's; a figure that has none on some rows is left out."""
    from jumpml.evaluate import compare, predict

    split = results.record.split
    before, after = predict(results.loaders, twin, split), predict(results.loaders, run, split)
    changes: dict[str, dict[str, Figure]] = {}
    for task, measured in results.record.tasks.items():
        own = changes.setdefault(task, {})
        for metric in measured.figures:
            try:
                own[metric] = compare(measured.kind, results.metrics[task], metric, before[task], after[task])
            except EvaluationError:
                continue
    return changes
