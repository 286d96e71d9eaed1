"""Figures for a service of experiments: MLflow, Weights & Biases."""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, final

from jumpml.core import MissingExtraError, write_file
from jumpml.learn.logs._logs import Log, epoch_figures, step_figures

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from jumpml.core import EpochRecord
    from jumpml.learn.logs._logs import StepRecord

_MOST_METRICS, _MOST_PARAMETERS, _LONGEST = 1000, 100, 500  # MLflow takes no more in one call, or in one value


class TrackerLog(Log):
    """A run at a service of experiments. What a service was told it cannot forget: a resumed run is a new one there.

    So that it has the figures from the beginning, what was told is kept beside the run's records and told again up to
    the checkpoint; the service's old run is removed.

    Args:
        folder: The run's folder: ``runs/<experiment>/<name>``.
        settings: What to note of the run: the learner file and the like.
    """

    kind: str

    def __init__(self, folder: Path, settings: Mapping[str, Any] | None = None) -> None:
        self._folder = folder
        self._settings = dict(_flat(settings or {}))
        self._journal = folder / f"{self.kind}.jsonl"
        self._require()

    def steps(self, records: Sequence[StepRecord]) -> None:
        """The last of the steps."""
        self._tell(records[-1].step, step_figures(records[-1]), journal=True)

    def epoch(self, record: EpochRecord) -> None:
        """Means over the epoch, and validation figures."""
        self._tell(record.step, epoch_figures(record))

    def rewind(self, step: int, epochs: Sequence[EpochRecord]) -> None:
        """Remove the service's run, and begin a new one with what stands up to this step."""
        kept = [line for line in _lines(self._journal) if line["step"] <= step]
        self._remove()
        self._journal.unlink(missing_ok=True)
        by_step = [(line["step"], line["figures"], True) for line in kept]
        by_step += [(record.step, epoch_figures(record), False) for record in epochs]
        for number, figures, journal in sorted(by_step, key=lambda each: each[0]):
            self._tell(number, figures, journal=journal)

    def _tell(self, step: int, figures: Mapping[str, float], *, journal: bool = False) -> None:
        self._send(step, figures)
        if journal:
            self._journal.parent.mkdir(parents=True, exist_ok=True)
            with self._journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, "figures": dict(figures)}) + "\n")

    @abstractmethod
    def _require(self) -> None:
        """Raise `MissingExtraError` where the service's package is not installed."""

    @abstractmethod
    def _send(self, step: int, figures: Mapping[str, float]) -> None:
        """Tell the service; the first time, begin a run."""

    @abstractmethod
    def _remove(self) -> None:
        """Take back the service's run, where there is one."""


@final
class MLflowLog(TrackerLog):
    """A run of MLflow.

    It goes where the environment variable ``MLFLOW_TRACKING_URI`` says, and where it says nothing into ``mlflow.db`` in
    the run's folder. A resumed run deletes the run before it, as MLflow deletes: it can be restored.

    Args:
        folder: The run's folder; its parent's name is the experiment, its own the run's name.
        settings: Become the run's parameters.

    Raises:
        MissingExtraError: MLflow is not installed.
    """

    kind = "mlflow"

    def __init__(self, folder: Path, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__(folder, settings)
        self._client: Any = None
        self._run: str | None = None
        self._note = folder / "mlflow.json"  # which run is this one's, for the process that resumes it

    def begin(self, phase: str, epochs: int, done: int, steps: int) -> None:
        """The run goes on."""
        if self._run is not None:
            self._client.update_run(self._run, "RUNNING")

    def pause(self) -> None:
        """The run may be over."""
        if self._run is not None:
            self._client.set_terminated(self._run, "FINISHED")

    def _require(self) -> None:
        try:
            import mlflow  # type: ignore[import-not-found]  # noqa: F401
        except ImportError:
            raise MissingExtraError("mlflow", "mlflow", "the log 'mlflow'") from None

    def _send(self, step: int, figures: Mapping[str, float]) -> None:
        from mlflow.entities import Metric  # type: ignore[import-not-found]

        run = self._run or self._begin()
        metrics = [Metric(_plain(name), value, 0, step) for name, value in figures.items()]
        for start in range(0, len(metrics), _MOST_METRICS):
            self._client.log_batch(run, metrics=metrics[start : start + _MOST_METRICS])

    def _begin(self) -> str:
        from mlflow.entities import Param  # type: ignore[import-not-found]

        client = self._connect()
        name = self._folder.resolve().parent.name or "jumpml"
        known = client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else client.create_experiment(name)
        run = client.create_run(experiment, run_name=self._folder.name).info.run_id
        parameters = [Param(_plain(key), str(value)[:_LONGEST]) for key, value in self._settings.items()]
        for start in range(0, len(parameters), _MOST_PARAMETERS):
            client.log_batch(run, params=parameters[start : start + _MOST_PARAMETERS])
        write_file(self._note, json.dumps({"run": run}))
        self._run = run
        return run

    def _connect(self) -> Any:
        if self._client is None:
            from mlflow import MlflowClient  # type: ignore[import-not-found]

            self._folder.mkdir(parents=True, exist_ok=True)
            own = f"sqlite:///{self._folder.resolve() / 'mlflow.db'}"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what its own dependencies think of it
                self._client = MlflowClient(tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or own)
        return self._client

    def _remove(self) -> None:
        if self._note.exists():
            self._connect().delete_run(json.loads(self._note.read_text(encoding="utf-8"))["run"])
            self._note.unlink()
        self._run = None


@final
class WandbLog(TrackerLog):
    """A run of Weights & Biases, kept in the run's folder until you send it: ``wandb sync wandb/offline-run-...``.

    Nothing leaves the machine unless the environment variable ``WANDB_MODE`` says ``online``.

    Args:
        folder: The run's folder; its parent's name is the project, its own the run's name.
        settings: Become the run's configuration.

    Raises:
        MissingExtraError: The package wandb is not installed.
    """

    kind = "wandb"

    def __init__(self, folder: Path, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__(folder, settings)
        self._run: Any = None

    def _require(self) -> None:
        try:
            import wandb  # type: ignore[import-not-found]  # noqa: F401
        except ImportError:
            raise MissingExtraError("wandb", "wandb", "the log 'wandb'") from None

    def _send(self, step: int, figures: Mapping[str, float]) -> None:
        if self._run is None:
            import wandb  # type: ignore[import-not-found]

            self._folder.mkdir(parents=True, exist_ok=True)
            self._run = wandb.init(
                project=self._folder.resolve().parent.name or "jumpml",
                name=self._folder.name,
                dir=str(self._folder),
                mode=os.environ.get("WANDB_MODE", "offline"),
                config=self._settings,
                reinit="create_new",  # a program may have a run of its own, or train twice
                settings=wandb.Settings(console="off", silent=True),
            )
        self._run.log(dict(figures), step=step)

    def _remove(self) -> None:
        if self._run is not None:
            self._run.finish()
            self._run = None
        for old in (self._folder / "wandb").glob("offline-run-*"):
            shutil.rmtree(old, ignore_errors=True)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The journal's lines, but for one that a crash has torn."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings as dotted keys."""
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _plain(name: str) -> str:
    """A name as MLflow takes it; ``lr`` is a metric, and so no folder of others where it keeps files."""
    return re.sub(r"[^\w\-. /]", "_", name.replace("/lr/", "/lr "))[:250]
