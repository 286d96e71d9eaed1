"""What can be found wrong without training, once data and model stand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jumpml._verbs import load_model
from jumpml.core import JumpMLError, Problem, join_errors, refusal, with_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch

    from jumpml.core import DeploySpec, FileSpec, LearnerSpec
    from jumpml.data import DataLoaders
    from jumpml.graph import Model
    from jumpml.learn import Learner


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """What `Project.check` found that is not wrong but worth knowing.

    Attributes:
        findings: One sentence each.
        data: The data's summary.
        model: The model's summary.
    """

    findings: tuple[str, ...]
    data: str
    model: str

    def summary(self) -> str:
        """Everything, for a terminal."""
        found = "\n".join(f"  {finding}" for finding in self.findings) or "  nothing"
        return f"{self.data}\n\n{self.model}\n\nworth knowing:\n{found}"


def check_parts(
    loaders: DataLoaders,
    model: Model,
    learner: LearnerSpec,
    deploy: DeploySpec,
    *,
    files: Sequence[FileSpec],
    trust: Sequence[str],
) -> CheckReport:
    """Find what does not fit together; nothing is written.

    Args:
        loaders: The data.
        model: The model.
        learner: The learner file.
        deploy: The deploy file.
        files: All files, which name the line of what is wrong.
        trust: Packages that model files may name classes of.

    Raises:
        SpecError: A file does not fit another; all mistakes of the file with their lines.
        JumpMLError: The same for several files; or something fails that no line can be named for.
    """
    from jumpml.deploy import check_deployment

    found: list[str] = []
    _raise_all(
        files,
        lambda: _refuse_unmeasured(loaders, model, learner),
        lambda: found.extend(_try(loaders, model, learner)),
        lambda: check_deployment(deploy, model, partial(load_model, dataloader=loaders, trust=trust)),
    )
    said = (*_unmet(model), *_untrained(model), *_idle_at_test(model, learner), *_unheard(learner), *_unsuited(learner))
    findings = (*loaders.findings(), *said, *found)
    return CheckReport(findings=findings, data=loaders.summary(findings=False), model=str(model))


def _unmet(model: Model) -> Iterator[str]:
    for field, nodes in model.unmet.items():
        verb = "gets" if len(nodes) == 1 else "get"
        yield f"{' and '.join(nodes)} {verb} None for {field!r}, which this data does not have."


def _untrained(model: Model) -> Iterator[str]:
    """Tasks whose output no objective depends on, so that it stays as it began."""
    trained = model.behind(value for objective in model.objectives.values() for value in objective.inputs)
    for name, task in model.tasks.items():
        node = model.node_of(task.output)
        if (
            node
            and node not in trained
            and node not in model.loaded
            and any(True for _ in model.node(node).parameters())
        ):
            fix = "Give the task an objective, or another one that reads it."
            yield f"task {name!r}: no objective of any phase trains its output {task.output!r}. {fix}"


def _idle_at_test(model: Model, learner: LearnerSpec) -> Iterator[str]:
    """Objectives that are to be learned at test time, which nothing in the learner file does."""
    if learner.adapt is not None and learner.adapt.kind == "ttt":
        return
    for name, objective in model.objectives.items():
        if "test_time" in objective.when:
            fix = "Give the learner file that key, or leave test_time out of the objective's `when`."
            yield f"objective {name!r}: only `adapt: {{kind: ttt}}` runs its phase test_time. {fix}"


def _unheard(learner: LearnerSpec) -> Iterator[str]:
    """What is said for a teacher that learns, where one that does not stands in its place."""
    from jumpml.curriculum import build_teacher

    said = learner.curriculum
    if said is None or said.teacher is None or build_teacher(said.teacher).learns:
        return
    idle = ("reward", "every", "floor") if said.teacher.kind == "uniform" else ("reward", "every")
    for key in (key for key in idle if said.says(key)):
        fix = "Leave it out, or take a teacher that learns, such as exp3s."
        yield f"curriculum: `{key}` changes nothing beside the teacher {said.teacher.kind!r}. {fix}"


def _unsuited(learner: LearnerSpec) -> Iterator[str]:
    """Rewards that a teacher was not made for."""
    said = learner.curriculum
    if said is None or said.teacher is None:
        return
    kind, reward = said.teacher.kind, said.reward.kind
    if kind == "tscl" and reward in {"loss", "gradient_norm"}:
        fix = "Take loss_drop, or a gain such as spg."
        yield f"curriculum: tscl goes by how far an arm came on, and {reward!r} is where it stands. {fix}"
    if kind == "online_mixing" and reward != "loss":
        fix = "Say `reward: loss`, or take another teacher."
        yield f"curriculum: online_mixing goes by losses, and may choose nearly evenly by {reward!r}. {fix}"


def _unexpected(loaders: DataLoaders, learner: LearnerSpec, device: torch.device) -> Iterator[str]:
    """What takes longer, or is less, than its key sounds like."""
    if learner.precision == "float16" and device.type == "cpu":
        fix = "Take bfloat16 or float32 on this machine."
        yield f"precision: a CPU multiplies in float16 many times more slowly than in float32. {fix}"
    batches = len(loaders.train)
    if learner.accumulate > batches:
        fix = f"Say {batches} at most."
        yield f"accumulate: an epoch has {batches} batches, which make one update, and not {learner.accumulate}. {fix}"


def _raise_all(files: Sequence[FileSpec], *checks: Callable[[], None]) -> None:
    errors = []
    for check in checks:
        try:
            check()
        except JumpMLError as error:
            errors.append(with_lines(error, *files))
    if errors:
        raise join_errors(errors) from None


def _refuse_unmeasured(loaders: DataLoaders, model: Model, learner: LearnerSpec) -> None:
    problems = [*_unmeasured(loaders, model, learner)]
    if problems:
        raise refusal(JumpMLError, problems)


def _unmeasured(loaders: DataLoaders, model: Model, learner: LearnerSpec) -> Iterator[Problem]:
    """What would train and then fail, because there is nothing to measure."""
    if not model.tasks:
        fix = "A task names an output node, a target field and a kind."
        yield Problem(("tasks",), "the model has none, so that nothing could be measured or deployed.", fix)
    best = learner.checkpoint.best if learner.checkpoint else None
    for name, task in model.tasks.items():
        if _all_missing(loaders, "test", task.target):
            text = f"{task.target!r} is missing in all test rows, so that nothing could be measured."
            yield Problem(("tasks", name, "target"), text)
        if best and best.metric.startswith(f"val/{name}/") and _all_missing(loaders, "val", task.target):
            text = f"{task.target!r} is missing in all val rows, so that no checkpoint could be the best."
            yield Problem(("checkpoint", "best", "metric"), text)


def _all_missing(loaders: DataLoaders, split: str, field: str) -> bool:
    if not loaders.fields[field].missing:
        return False
    return not any(bool(batch[f"{field}.present"].any()) for batch in getattr(loaders, split).plain())


def _try(loaders: DataLoaders, model: Model, spec: LearnerSpec) -> list[str]:
    """Make the learner, put a batch through the objectives of each of its phases, and find what is in vain or late."""
    from jumpml.learn import build_learner, idle_balance, late_rows

    learner = build_learner(spec, loaders, model, None, Path("runs"), alone=True)  # writes nothing before it learns
    for name, phase in learner.phases.items():
        if phase.epochs and model.active(name):
            _try_phase(learner, name)
    return [*_unexpected(loaders, spec, learner.loaders.device), *idle_balance(learner), *late_rows(learner)]


def _try_phase(learner: Learner, name: str) -> None:
    try:
        learner.try_batch(name)
    except JumpMLError:
        raise
    except Exception as error:  # a module may raise anything on values that its shape does not tell of
        notes = ", ".join(getattr(error, "__notes__", ()))
        where = f"the first batch fails in the phase {name!r}{', ' if notes else ''}{notes}"
        raise JumpMLError(f"{where}: {type(error).__name__}: {error}") from error
