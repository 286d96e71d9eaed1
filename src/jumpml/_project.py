"""A folder of files as one project: check it, run it, go on with it."""

from __future__ import annotations

import json
import shlex
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from jumpml._check import CheckReport, check_parts
from jumpml._dry_run import shortened, shortened_deploy
from jumpml._project_files import find_files, save_files, split_overrides
from jumpml._run_record import RUN_FILE, amend_record, begin_record, end_record, save_record
from jumpml._stages import Stages
from jumpml._together import together, told_of
from jumpml._verbs import (
    create_dataloader,
    deploy_model,
    diagnose,
    eval_model,
    load_model,
    new_run_folder,
    report_card,
)
from jumpml.core import (
    SPECS,
    CheckpointError,
    DataSpec,
    DeploySpec,
    FileSpec,
    Launched,
    LearnerSpec,
    ModelSpec,
    SpecError,
    join_errors,
    load_spec,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jumpml.data import DataLoaders
    from jumpml.diagnose import MappedNode
    from jumpml.graph import Model
    from jumpml.learn import Learner, Processes


@dataclass(frozen=True, kw_only=True)
class Project:
    """The four files of a folder, read and validated.

    Attributes:
        name: The data file's name up to the first dot.
        data, model, learner, deploy: What the files say; defaults for the last two where a file is missing.
        trust: Packages that the files may name code of, beside ``torch.nn`` and ``jumpml``.

    Example:
        ``Project.find("examples/digits").run()`` does what ``jumpml run examples/digits`` does.
    """

    name: str
    data: DataSpec
    model: ModelSpec
    learner: LearnerSpec
    deploy: DeploySpec
    trust: tuple[str, ...] = ()
    command: str = field(default="", compare=False)

    @classmethod
    def find(cls, folder: str | Path, overrides: Mapping[str, Any] | None = None, trust: Sequence[str] = ()) -> Self:
        """Read the files of a folder.

        Args:
            folder: It holds ``*.data.yaml`` and ``*.model.yaml``; ``*.learner.yaml`` and ``*.deploy.yaml`` may be
                missing.
            overrides: Values by dotted key that begins with the file, such as ``learner.phases.supervised.epochs``.
            trust: Packages that the files may name code of.

        Raises:
            SpecError: A file is missing, or there are several and none is named as the data file is.
            JumpMLError: Several files hold mistakes; the text has all of them.
        """
        folder = Path(folder)
        by_kind = split_overrides(overrides or {})
        paths = find_files(folder)
        specs: dict[str, FileSpec] = {}
        errors: list[SpecError] = []
        for kind, spec_class in SPECS.items():
            try:
                specs[kind] = load_spec(spec_class, paths.get(kind, {}), by_kind[kind])
            except SpecError as error:
                errors.append(error)
        if errors:
            raise join_errors(errors)
        said = [f"--set={key}={json.dumps(value)}" for key, value in (overrides or {}).items()]
        said += [f"--trust={package}" for package in trust]
        return cls(
            name=paths["data"].name.partition(".")[0],
            trust=tuple(trust),
            command=shlex.join(["jumpml", "run", str(folder), *said]),
            **specs,  # type: ignore[arg-type]
        )

    def check(self) -> CheckReport:
        """Find what can be found wrong without training: one batch goes through every phase's objectives.

        Raises:
            SpecError: A file is wrong, or does not fit another; all mistakes of the file with their lines.
            JumpMLError: The same for several files; or something fails that no line can be named for.
        """
        return self.checked()[1]

    def checked(self, loaders: DataLoaders | None = None) -> tuple[DataLoaders, CheckReport]:
        """The same, and the loaders that it was found with.

        Args:
            loaders: Those of these files, where they have been built before.
        """
        files = (self.data, self.model, self.learner, self.deploy)
        loaders, model = self.build(loaders)
        return loaders, check_parts(loaders, model, self.learner, self.deploy, files=files, trust=self.trust)

    def build(self, loaders: DataLoaders | None = None) -> tuple[DataLoaders, Model]:
        """The loaders and the model.

        Args:
            loaders: Those of these files, where they have been built before; reading and fitting take their time.
        """
        loaders = loaders or create_dataloader(self.data, trust=self.trust)
        seed = self.learner.seed if self.model.seed is None else self.model.seed
        return loaders, load_model(self.model, loaders, seed, trust=self.trust)

    def run(self, out: str | Path = "runs") -> Path:
        """Data, learn, evaluate, diagnose, deploy, report.

        With `distribute`, processes that a launcher has started do so together: all learn, and the first does the rest.

        Args:
            out: The folder of all runs.

        Returns:
            The run's folder.

        Raises:
            JumpMLError: Something is wrong; before training where it can be known then.
        """
        processes, loaders = self.agreed()
        folder = processes.from_first(lambda: new_run_folder(self.name, out))
        kept = self.begin(folder) if processes.first else self
        return self.go_on(folder, kept, loaders=loaders)

    def agreed(self) -> tuple[Processes, DataLoaders]:
        """The processes that learn together, once each has found nothing wrong, and this one's loaders.

        Raises:
            JumpMLError: As `check`; all raise where one does.
        """
        from jumpml.learn import join_processes

        processes = join_processes(self.learner)
        loaders, _ = together(processes, self.checked)
        return processes, loaders

    def begin(self, folder: Path) -> Project:
        """Write the resolved files into a run's folder.

        Args:
            folder: The run's; it is made if need be.

        Returns:
            The project of these files.
        """
        temporary = folder / ".specs.tmp"  # half a folder of files would resume as another run
        self.save_specs(temporary)
        temporary.rename(folder / "specs")
        return Project.find(folder / "specs", trust=self.trust)

    def dry_run(self, batches: int = 2) -> None:
        """Do everything that `run` does on a few batches, in a folder that goes away.

        Args:
            batches: How many, of each split; every phase has one epoch.

        Raises:
            JumpMLError: What would go wrong in the run.
        """
        _, loaders = self.agreed()
        _, model = self.build(loaders)
        short = replace(self, learner=shortened(self.learner, model), deploy=shortened_deploy(self.deploy))
        with tempfile.TemporaryDirectory(prefix="jumpml-dry-run-") as folder:
            short.go_on(Path(folder), short, loaders=loaders.few(batches))

    def make_learner(self) -> Learner:
        """The learner that the files describe, before its first step; it saves and logs nothing.

        Example:
            ``Project.find("examples/digits").make_learner().find_lr()``
        """
        from jumpml.learn import build_learner

        loaders, model = self.build()
        silent = self.learner.model_copy(update={"log": (), "checkpoint": None})
        return build_learner(silent, loaders, model, None, Path(), alone=True)

    def go_on(
        self, folder: Path, kept: Project, *, loaders: DataLoaders | None = None, allow_changes: bool = False
    ) -> Path:
        """Run, or go on with, the run of a folder.

        Args:
            folder: The run's.
            kept: The project of the files that the folder has, or is to have.
            loaders: Those of these files, where they have been built before.
            allow_changes: Also where the project is not the one that the newest checkpoint was made with; the folder's
                files are those of this one then.

        Raises:
            JumpMLError: Something is wrong.
        """
        say = Stages(silent=Launched.here().rank > 0)
        loaders, learner = self.learn(folder, kept, say, loaders=loaders, allow_changes=allow_changes)
        learner.processes.leave()
        if not learner.processes.first:
            return folder
        self._report(folder, loaders, learner, say)
        if learner.unsaved:
            raise CheckpointError(f"the run is done and {folder / 'card.html'} is written, but {learner.unsaved}")
        return folder

    def learn(
        self,
        folder: Path,
        kept: Project,
        say: Stages,
        *,
        loaders: DataLoaders | None = None,
        allow_changes: bool = False,
    ) -> tuple[DataLoaders, Learner]:
        """Learn, or go on learning, in the folder of a run; where it is done, take its weights.

        Args:
            folder: The run's.
            kept: As in `go_on`; so are the others.
            say: Tells who watches.
            loaders: See there.
            allow_changes: See there.

        Returns:
            The loaders, and the learner with the best weights, or the last.

        Raises:
            JumpMLError: Something is wrong.
        """
        from jumpml.learn import build_learner, told_by

        say("data", f"{self.name}: {self.data.source}")
        loaders, model = self.build(loaders)
        for node, weights in model.loaded.items():
            say("weights", f"{node} begins with {weights}")
        begun = {*model.loaded}
        learner = build_learner(self.learner, loaders, model, None, folder)
        processes = learner.processes
        if self.learner.distribute.kind != "none":
            say("processes", told_of(processes))
        for node, weights in {**model.loaded, **learner.initialized}.items():
            if node not in begun:
                say("weights", f"{node} begins with {weights}")
        if processes.first and not (folder / RUN_FILE).exists():  # a resumed run keeps the record of its beginning
            begin_record(folder, self, loaders, learner)
        learner.files = processes.from_first(lambda: told_by(kept.learner, kept.model, kept.data))
        resumed = learner.resume(allow_changes=allow_changes)
        if resumed and allow_changes and processes.first:
            kept.save_specs(folder / "specs")  # from now on the run is theirs
            amend_record(folder, kept, loaders, model)
        say("learn", f"from step {learner.progress.step}" if resumed else f"on {next(model.parameters()).device}")
        learner.fit()
        learner.restore_best()
        if len(learner.model.tasks) > 1:
            say("tasks", f"over the run\n{learner.history.by_task()}")
        return loaders, learner

    def _maps(self) -> list[MappedNode]:
        """The nodes whose values the learner file watches."""
        from jumpml.diagnose import MappedNode

        return [MappedNode(node=one.node, label=one.label, layout=one.map) for one in self.learner.embeddings]

    def _report(self, folder: Path, loaders: DataLoaders, learner: Learner, say: Stages) -> None:
        from jumpml.learn import evaluate_beside

        model, history = learner.ema_model or learner.model, learner.history
        say("evaluate", "on the test rows")
        results = eval_model(loaders, model)
        if learner.adaptation:
            say("adapt", f"to the test rows, by {learner.adaptation.method.name}")
            adapted = evaluate_beside(results, model, learner.adapt())
            results.record = results.record.model_copy(update={"adapted": adapted})
        save_record(folder / "evaluation.json", results.record)
        say.reached(results.record)
        say("diagnose", "attribution, hard examples, out-of-domain")
        diagnosis = diagnose(loaders, model, history, maps=self._maps())
        save_record(folder / "diagnosis.json", diagnosis.record)
        say("deploy", ", ".join(["float32", *self.deploy.variants]))
        deployment = deploy_model(results, model, self.deploy, folder=folder, trust=self.trust)
        save_record(folder / "deployment.json", deployment.record)
        say.bundled(deployment.record)
        run = end_record(folder, model, history)
        card = report_card(results, diagnosis, deployment, epochs=history.epochs, course=history.course, run=run)
        card.save(folder)
        deployment.add_card(card.html)
        say("report", "card.html, README.md and card.json")

    def save_specs(self, folder: Path) -> None:
        """The resolved files, which find what lies outside from anywhere: the folder alone repeats the run."""
        save_files(self.name, {kind: getattr(self, kind) for kind in SPECS}, folder)
