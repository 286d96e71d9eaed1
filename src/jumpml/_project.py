"""A folder of files as one project: check it, run it, go on with it."""

from __future__ import annotations

import json
import platform
import shlex
import tempfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from jumpml._check import CheckReport, check_parts
from jumpml._dry_run import shortened, shortened_deploy
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
    Mistake,
    ModelSpec,
    RunRecord,
    SpecError,
    anchored,
    join_errors,
    load_spec,
    to_yaml,
    write_file,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jumpml.data import DataLoaders
    from jumpml.diagnose import MappedNode
    from jumpml.graph import Model
    from jumpml.learn import Learner, Processes

_SUFFIXES = (".yaml", ".yml", ".json", ".py")
_NEEDED = ("data", "model")


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
        by_kind = _split_overrides(overrides or {})
        paths = _files(folder)
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
        if processes.first and not (folder / "run.json").exists():  # a resumed run keeps the record of its beginning
            self.save_run(folder, loaders, learner)
        learner.files = processes.from_first(lambda: told_by(kept.learner, kept.model, kept.data))
        resumed = learner.resume(allow_changes=allow_changes)
        if resumed and allow_changes and processes.first:
            kept.save_specs(folder / "specs")  # from now on the run is theirs
            kept.amend_run(folder, loaders, model)
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
        _save(folder / "evaluation.json", results.record)
        say("diagnose", "attribution, hard examples, out-of-domain")
        diagnosis = diagnose(loaders, model, history, maps=self._maps())
        _save(folder / "diagnosis.json", diagnosis.record)
        say("deploy", ", ".join(["float32", *self.deploy.variants]))
        deployment = deploy_model(results, model, self.deploy, folder=folder, trust=self.trust)
        _save(folder / "deployment.json", deployment.record)
        run = RunRecord.model_validate_json((folder / "run.json").read_text(encoding="utf-8"))
        learned: dict[str, Any] = {"tasks": tuple(history.by_task())}
        if model.lineage:  # it is another model than at the beginning
            grown = tuple(surgery["text"] for surgery in model.lineage)
            learned |= {"graph": model.record(), "growth": grown}
        run = run.model_copy(update=learned)
        _save(folder / "run.json", run)
        card = report_card(results, diagnosis, deployment, epochs=history.epochs, course=history.course, run=run)
        card.save(folder)
        deployment.add_card(card.html)
        say("report", "card.html, README.md and card.json")

    def save_specs(self, folder: Path) -> None:
        """The resolved files, which find what lies outside from anywhere: the folder alone repeats the run."""
        for kind in SPECS:
            spec: FileSpec = getattr(self, kind)
            write_file(folder / f"{self.name}.{kind}.yaml", to_yaml(self._resolved(kind, folder, spec)))

    def _resolved(self, kind: str, folder: Path, spec: FileSpec) -> dict[str, Any]:
        value = spec.model_dump(mode="json")
        if kind == "data":
            value["root"] = str(spec.folder.resolve())
        if kind == "model":
            value = _with_graphs(self.model, value, folder)
            if value["data"] is not None:
                value["data"] = f"{self.name}.data.yaml"
        if kind == "learner":
            _anchor(value["initialize"]["checkpoint"], "file", spec.folder)
            _anchor((value["curriculum"] or {}).get("difficulty"), "run", spec.folder)
        if kind == "deploy":
            for name, variant in value["variants"].items():
                if variant["distill"]:
                    source = load_spec(ModelSpec, spec.folder / variant["distill"]["into"])
                    variant["distill"]["into"] = _save_model(source, folder, name)
        return value

    def save_run(self, folder: Path, loaders: DataLoaders, learner: Learner) -> None:
        """The record of what is run, ``run.json``."""
        model = learner.model
        record = RunRecord(
            name=self.name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            specs=self._specs(),
            environment=environment(),
            data=loaders.record(),
            graph=model.record(),
            weights=dict(model.loaded),
            initialized=dict(learner.initialized),
            command=Launched.here().command(self.command),
        )
        _save(folder / "run.json", record)

    def amend_run(self, folder: Path, loaders: DataLoaders, model: Model) -> None:
        """Let ``run.json`` say what is run from now on; when and by which command it began stays."""
        run = RunRecord.model_validate_json((folder / "run.json").read_text(encoding="utf-8"))
        now = {"specs": self._specs(), "data": loaders.record(), "graph": model.record()}
        _save(folder / "run.json", run.model_copy(update=now))

    def _specs(self) -> dict[str, Any]:
        return {kind: getattr(self, kind).model_dump(mode="json") for kind in SPECS}


def environment() -> dict[str, str]:
    """Versions and machine, for the record."""
    import torch

    packages = ("jumpml", "torch", "numpy", "scikit-learn", "torchmetrics", "captum", "onnx", "onnxruntime")
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "python": platform.python_version(),
        **versions,
        "platform": platform.platform(),
        "threads": str(torch.get_num_threads()),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }


class Stages:
    """Tells a terminal which stage a run is in.

    Args:
        silent: Whether nobody watches: of several processes the first one tells.
    """

    def __init__(self, *, silent: bool = False) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False, quiet=silent)

    def __call__(self, stage: str, text: str) -> None:
        from rich.markup import escape

        self._console.print(f"[bold]{stage}[/bold]  {escape(text)}", soft_wrap=True)


def _save(path: Path, record: Any) -> None:
    write_file(path, record.model_dump_json(indent=2) + "\n")


def _save_model(spec: ModelSpec, folder: Path, name: str) -> str:
    """Write a model file, and those that it nests, into a folder of its own, so that it can bear any name."""
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    write_file(place / f"{spec.stem}.model.yaml", to_yaml(_with_graphs(spec, spec.model_dump(mode="json"), place)))
    return f"{name}/{spec.stem}.model.yaml"


def _anchor(told: Any, key: str, folder: Path) -> None:
    """Let a path that a file may say be found from anywhere; text in the place of the mapping says none."""
    if isinstance(told, dict):
        told[key] = str((folder / told[key]).resolve())


def _with_graphs(spec: ModelSpec, value: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A model file's values, which find what lies outside; the files that it nests are written into the folder."""
    for name, node in spec.nodes.items():
        value["nodes"][name] = anchored(value["nodes"][name], spec.folder)
        if node.graph is not None:
            inner = load_spec(ModelSpec, spec.folder / node.graph)
            value["nodes"][name]["graph"] = _save_model(inner, folder, name)
    return value


def _split_overrides(overrides: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    by_kind: dict[str, dict[str, Any]] = {kind: {} for kind in SPECS}
    for key, value in overrides.items():
        kind, _, rest = key.partition(".")
        if kind not in by_kind or not rest:
            problem = f"expected a key that begins with data., model., learner. or deploy., got {key!r}."
            raise SpecError("--set", [Mistake(key="", problem=problem)])
        by_kind[kind][rest] = value
    return by_kind


def _files(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise SpecError(folder, [Mistake(key="", problem="there is no such folder.")])
    found = {kind: _candidates(folder, kind) for kind in SPECS}
    mistakes = [
        Mistake(key="", problem=f"the folder holds no *.{kind}.yaml.", fix="`jumpml new` makes a folder to start from.")
        for kind in _NEEDED
        if not found[kind]
    ]
    if mistakes:
        raise SpecError(folder, mistakes)
    stem = found["data"][0].name.partition(".")[0]
    paths = {}
    for kind, candidates in found.items():
        own = [path for path in candidates if path.name.partition(".")[0] == stem] or candidates
        if len(candidates) > 1 and (kind == "data" or len(own) > 1):
            names = ", ".join(path.name for path in candidates)
            raise SpecError(folder, [Mistake(key="", problem=f"expected one {kind} file, found {names}.")])
        if own:
            paths[kind] = own[0]
    return paths


def _candidates(folder: Path, kind: str) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.name.endswith(tuple(f".{kind}{s}" for s in _SUFFIXES))
    )
