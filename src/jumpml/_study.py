"""A search under way: trials, one after the other, each a run's folder."""

from __future__ import annotations

import json
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

from jumpml._project import Project
from jumpml._run_record import begin_record
from jumpml._search import space_of
from jumpml._tune_record import TrialRecord, TuningRecord
from jumpml.core import SPECS, JumpMLError, LearnerSpec, derive_seed, load_spec, write_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from jumpml._search import Space
    from jumpml.core import EpochRecord

_JOURNAL = "study.log"
_ENOUGH = 10  # complete trials of which importance can be told


class _Pruned(Exception):  # noqa: N818 (a signal: the trial ends here)
    pass


@final
@dataclass(frozen=True)
class Study:
    """A search under way.

    Attributes:
        folder: The search's.
        plan: What is searched, and how.
        trust: Packages that the files may name code of.
    """

    folder: Path
    plan: Mapping[str, Any]
    trust: Sequence[str]

    def run(self, trials: int) -> TuningRecord:
        """Try until there are so many, and write down what was found."""
        with _quiet():
            study = self._open()
            while (trial := self._next(study, trials)) is not None:
                self._try(study, trial)
                self._say(study.trials[trial.number], trials)
            record = self._record(study)
        write_file(self.folder / "tune.json", record.model_dump_json(indent=2) + "\n")
        write_file(self.folder / "tune.svg", record.draw())
        if record.best is None and all(trial.state == "failed" for trial in record.trials):
            raise JumpMLError(
                f"no trial of {self.folder} came to its end; the first one failed: {record.trials[0].error}"
            )
        return record

    @property
    def spaces(self) -> dict[str, Space]:
        """By key, what it may be."""
        return {key: space_of(key, said) for key, said in self.plan["search"].items()}

    @property
    def upward(self) -> bool:
        """Whether more of the figure is better."""
        from jumpml.evaluate import higher_is_better

        if self.plan["mode"] != "auto":
            return self.plan["mode"] == "max"
        key = self.plan["by"].removeprefix("val/")
        return key != "loss" and bool(higher_is_better(key.rpartition("/")[2]))

    def _open(self) -> Any:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        path = self.folder / _JOURNAL
        begun = path.exists()
        study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(path))),
            study_name=self.folder.name,
            direction="maximize" if self.upward else "minimize",
            pruner=optuna.pruners.MedianPruner(n_warmup_steps=2) if self.plan["prune"] else optuna.pruners.NopPruner(),
            load_if_exists=True,
        )
        if not begun and (told := self._told()) is not None:
            study.enqueue_trial(told)
        return study

    def _told(self) -> dict[str, Any] | None:
        """What the files say of all keys, as a trial keeps it, where that lies within the search."""
        project = Project.find(self.folder / "specs", trust=self.trust)
        told = {}
        for key, space in self.spaces.items():
            value: Any = {kind: getattr(project, kind).model_dump(mode="json") for kind in SPECS}
            for part in key.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            if not space.holds(value):
                return None
            told[key] = space.stored(value)
        return told

    def _next(self, study: Any, trials: int) -> Any:
        """The trial that was under way, or a new one; None where there are enough.

        A sampler's draws are a function of the seed, the trial's number and the trials before it.
        """
        import optuna

        known = study.get_trials(deepcopy=False)
        running = [trial for trial in known if trial.state == optuna.trial.TrialState.RUNNING]
        ended = [trial for trial in known if trial.state.is_finished()]
        if not running and len(ended) >= trials:
            return None
        number = running[0].number if running else len(ended)
        draws = derive_seed(self.plan["seed"], "trial", number) % 2**32
        study.sampler = optuna.samplers.TPESampler(seed=draws)
        return optuna.trial.Trial(study, running[0]._trial_id) if running else study.ask()

    def _try(self, study: Any, trial: Any) -> None:
        """Learn with the values of a trial, and tell the study how it went."""
        import torch
        from optuna.trial import TrialState

        values = {key: space.suggest(trial, key) for key, space in self.spaces.items()}
        trial.set_user_attr("values", values)
        try:
            figure = self._learn(study, trial, values)
        except _Pruned:
            study.tell(trial, state=TrialState.PRUNED)
        except (JumpMLError, torch.OutOfMemoryError) as error:
            trial.set_user_attr("error", str(error))
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, figure)

    def _learn(self, study: Any, trial: Any, values: Mapping[str, Any]) -> float:
        from jumpml.learn import build_learner, told_by

        folder = self.folder / _name(trial.number)
        if not (folder / "specs").is_dir():
            made = fixed(Project.find(self.folder / "specs", values, self.trust), self.plan)
            made.save_specs(folder / ".specs.tmp")
            (folder / ".specs.tmp").rename(folder / "specs")
        project = Project.find(folder / "specs", trust=self.trust)
        loaders, model = project.build()
        watch = _watch(study, trial, self.plan["by"])
        learner = build_learner(project.learner, loaders, model, None, folder, log=[watch])
        learner.files = told_by(project.learner, project.model, project.data)  # as `jumpml resume` tells them
        if not (folder / "run.json").exists():
            begin_record(folder, project, loaders, learner)
        learner.resume()
        learner.fit()
        if learner.progress.best is None:
            raise JumpMLError(f"no epoch had a figure {self.plan['by']!r} that is finite.")
        return learner.progress.best[0]

    def _record(self, study: Any) -> TuningRecord:
        ended = [trial for trial in study.trials if trial.state.is_finished()]
        return TuningRecord(
            name=self.folder.resolve().parents[1].name,
            folder=str(self.folder),
            metric=self.plan["by"],
            higher_is_better=self.upward,
            search=dict(self.plan["search"]),
            trials=tuple(self._trial(trial) for trial in ended),
            importance=self._importance(study),
        )

    def _trial(self, trial: Any) -> TrialRecord:
        best = max if self.upward else min
        reached = [*trial.intermediate_values.values()]
        state = {"COMPLETE": "complete", "PRUNED": "pruned"}.get(trial.state.name, "failed")
        figure = trial.value if state == "complete" else best(reached) if state == "pruned" else None
        return TrialRecord.model_validate(
            {
                "number": trial.number,
                "folder": _name(trial.number),
                "values": trial.user_attrs.get("values", {}),
                "state": state,
                "figure": figure,
                "epochs": len(reached),
                "error": trial.user_attrs.get("error", ""),
            }
        )

    def _importance(self, study: Any) -> dict[str, float]:
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances
        from optuna.trial import TrialState

        done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(done) < _ENOUGH or len({trial.value for trial in done}) < 2:
            return {}
        evaluator = FanovaImportanceEvaluator(seed=derive_seed(self.plan["seed"], "importance") % 2**32)
        return dict(get_param_importances(study, evaluator=evaluator))

    def _say(self, trial: Any, trials: int) -> None:
        """A line for who watches."""
        from rich.console import Console

        record = self._trial(trial)
        figure = "" if record.figure is None else f"{self.plan['by']} {record.figure:.4g}"
        said = "  ".join(f"{key}={json.dumps(value)}" for key, value in record.values.items())
        how = {"complete": "", "pruned": f"pruned after {record.epochs} epochs", "failed": f"failed: {record.error}"}
        parts = [f"trial {record.number + 1}/{trials}", figure, how[record.state], said]
        console = Console(stderr=True, highlight=False)
        console.print("  ".join(filter(None, parts)), markup=False, soft_wrap=True)


def _watch(study: Any, trial: Any, by: str) -> Any:
    """A log that tells the study each epoch's figure, and ends a trial that others have left behind."""
    from jumpml.learn import Log

    class Watch(Log):
        """Not a hook: what a checkpoint holds stays that of a plain run, which `jumpml resume` can finish."""

        def __init__(self) -> None:
            self._told = 0

        def steps(self, records: Sequence[Any]) -> None:
            pass

        def rewind(self, step: int, epochs: Sequence[EpochRecord]) -> None:
            self._told = sum(by.removeprefix("val/") in record.val for record in epochs)

        def epoch(self, record: EpochRecord) -> None:
            figure = record.val.get(by.removeprefix("val/"))
            if figure is None:
                return
            self._told += 1
            if self._told not in study.trials[trial.number].intermediate_values:  # told before the process was killed
                trial.report(figure, self._told)
            if trial.should_prune():
                raise _Pruned

    return Watch()


def fixed(project: Project, plan: Mapping[str, Any]) -> Project:
    """The project, with checkpoints by the figure that decides, and without a bar for each trial."""
    spec = project.learner
    checkpoint = {"every": {"epochs": 1}} if spec.checkpoint is None else spec.checkpoint.model_dump(mode="json")
    changes = {
        "checkpoint": {**checkpoint, "best": {"metric": plan["by"], "mode": plan["mode"]}},
        "log": [log for log in spec.log if log != "progress"],
    }
    return replace(project, learner=load_spec(LearnerSpec, spec, changes))


def _name(number: int) -> str:
    return f"trial-{number:03d}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside, optuna says only what goes wrong."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
