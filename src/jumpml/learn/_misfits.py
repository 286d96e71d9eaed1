"""What does not fit together, found before the first batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.optim import SGD

from jumpml.core import GraphError, LearnerError, Problem, did_you_mean, field_of, refusal
from jumpml.learn._idle_encoders import idle_encoders
from jumpml.learn._validation import wrong_figure
from jumpml.learn.continual._consolidation import why_vain
from jumpml.learn.schedules._schedules import TorchSchedule, plateaus_of, schedules_of
from jumpml.objectives import PseudoLabel, TS2Vec

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from torch.optim import Optimizer

    from jumpml.data import DataLoaders
    from jumpml.graph import Model
    from jumpml.learn._phase import Phase
    from jumpml.learn.steps._execution import Execution

# phases that an objective may name though no learner has them
BUILT_IN = ("self_supervised", "supervised", "test_time")


def check_fit(
    model: Model,
    loaders: DataLoaders,
    optimizer: Optimizer,
    phases: Mapping[str, Phase],
    measured: Collection[str] = (),
) -> None:
    """Refuse what does not fit together.

    Args:
        model: The model.
        loaders: The data.
        optimizer: The optimizer.
        phases: By name.
        measured: The figures that hooks measure.

    Raises:
        LearnerError: An objective or a phase names what there is not, a phase has nothing to do, the last batch is too
            short for what needs two rows, or the optimizer holds parameters of another model.
    """
    own = {id(parameter) for parameter in model.parameters()}
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    foreign = sum(id(parameter) not in own for parameter in held)
    if foreign:
        raise LearnerError(
            f"the optimizer holds {foreign} of {len(held)} parameters that are not the model's: make it from "
            "model.parameters() of this very model, after the model is made."
        )
    problems = [*find_misfits(model, loaders, phases, measured), *_wrong_schedulers(phases, optimizer)]
    if problems:
        raise refusal(LearnerError, problems)


def check_steps(
    execution: Execution, device: torch.device, *, accumulate: int, clips: tuple[float | None, float | None]
) -> None:
    """Refuse steps that cannot be made.

    Raises:
        LearnerError: This machine cannot compute so, or a number makes no sense.
    """
    problems = [*execution.problems(device)]
    if accumulate < 1:
        problems.append(Problem(("accumulate",), f"expected 1 or more, got {accumulate}."))
    if None not in clips:
        text = "clip_norm clips the gradient already."
        problems.append(Problem(("clip_value",), text, "Leave one of the two out."))
    for name, clip in zip(("clip_norm", "clip_value"), clips, strict=True):
        if clip is not None and not clip > 0:
            problems.append(Problem((name,), f"expected a number above 0, got {clip:g}."))
    if problems:
        raise refusal(LearnerError, problems)


def check_lengths(model: Model, loaders: DataLoaders) -> None:
    """Refuse a model that cannot take a text as short as ``bucket`` cuts it.

    Raises:
        LearnerError: A node, or a task's output, depends on the whole length.
    """
    shortest = {name: value for name, value in loaders.shortest().items() if name in model.inputs}
    if not shortest:
        return
    try:
        model.check_shapes(shortest)
    except GraphError as error:
        field, value = field_of(next(iter(shortest))), next(iter(shortest.values()))
        whole = loaders.fields[field].value.shape[0]
        needs = f"it needs all {whole} tokens of {field!r}, which `bucket` cuts to {value.shape[0]} or more"
        fix = "Pool over the tokens before, as jumpml.blocks.Pool does, or leave `bucket` out of the data file."
        raise refusal(LearnerError, [Problem(p.path, f"{needs}: {p.text}", fix) for p in error.problems]) from error


def find_misfits(
    model: Model, loaders: DataLoaders, phases: Mapping[str, Phase], measured: Collection[str] = ()
) -> list[Problem]:
    """All that does not fit in model, data, phases and the figures that hooks measure, whatever the optimizer."""
    patterns = [*_wrong_patterns(model, phases), *_unknown_data(loaders, phases)]
    return [
        *_unknown_phases(model, phases),
        *_wrong_views(model, loaders),
        *_unmixed_targets(model, loaders),
        *_filled_targets(model, loaders),
        *_moved_steps(model, loaders),
        *_all_labelled(model, loaders),
        *_idle_phases(model, phases),
        *_vain_consolidation(model, phases),
        *_unmeasured_plateaus(model, phases, measured),
        *_long_batches(model, loaders, phases),
        *([] if patterns else [*_no_gradient(model, phases), *idle_encoders(model, phases)]),
        *(patterns or _lone_rows(model, loaders, phases)),
    ]


def _unmixed_targets(model: Model, loaders: DataLoaders) -> Iterator[Problem]:
    """Tasks whose inputs are mixed between rows, and whose target is not."""
    for mixed in loaders.policies.mixed:
        for name, task in model.tasks.items():
            read = [field for field in mixed if field in model.ancestors(task.output)]
            if read and task.target not in mixed:
                text = f"`augment` mixes {read[0]!r} of different rows, and would leave their {task.target!r} as it is."
                fix = f"Name {task.target!r} in that key of `augment` too, or leave the mixing out."
                yield Problem(("tasks", name, "target"), text, fix)


def _filled_targets(model: Model, loaders: DataLoaders) -> Iterator[Problem]:
    """Tables of targets whose features put numbers where some are missing: these would be learned."""
    for name, task in model.tasks.items():
        field = loaders.fields.get(task.target)
        partly = [column.name for column in field.columns if column.missing > field.missing] if field else []
        step = next((step.name for step in loaders.features.steps(task.target) if step.fills), None) if partly else None
        if step:
            text = f"{', '.join(partly)} of {task.target!r} is missing in some rows, and {step} would fill it in."
            yield Problem(("tasks", name, "target"), text, "With `standardize: {fill: false}` it stays missing.")


def idle(name: str) -> Problem:
    """That no objective is active in a phase."""
    fix = f"Give an objective `when: [{name}]`, or leave the phase out (`epochs: 0`)."
    return Problem(("phases", name), "no objective is active in this phase.", fix)


def refuse_idle(name: str, model: Model) -> None:
    """Refuse a phase without objectives.

    Raises:
        LearnerError: None is active in it.
    """
    if not model.active(name):
        raise refusal(LearnerError, [idle(name)])


def _idle_phases(model: Model, phases: Mapping[str, Phase]) -> Iterator[Problem]:
    for name, phase in phases.items():
        # self-supervision is there without being asked for, and passed over where nothing is active in it
        if phase.epochs and name != "self_supervised" and not model.active(name):
            yield idle(name)


def _vain_consolidation(model: Model, phases: Mapping[str, Phase]) -> Iterator[Problem]:
    missing = why_vain(model)
    for name, phase in phases.items():
        if phase.consolidate and missing:
            fix = "Leave it out, or give the model what is missing."
            yield Problem(("phases", name, "consolidate"), missing, fix)


def _unmeasured_plateaus(model: Model, phases: Mapping[str, Phase], measured: Collection[str]) -> Iterator[Problem]:
    """Schedules that follow a figure that there is not."""
    for name, phase in phases.items():
        for plateau in plateaus_of(phase.schedule) if phase.epochs and model.active(name) else ():
            path = ("phases", name, "schedule", "metric")
            learned = {*model.active(name)} & {*model.tasks}
            if not learned and plateau.metric.removeprefix("val/") not in measured:
                text = f"no task is learned in phase {name!r}, and so nothing is measured that the rate could follow."
                yield Problem(path, text, "Give that phase a schedule of its own.")
            else:
                yield from wrong_figure(path, plateau.metric, model, plateau.mode, measured)


def _wrong_schedulers(phases: Mapping[str, Phase], optimizer: Optimizer) -> Iterator[Problem]:
    """Schedulers of torch that refuse their arguments; they are made for an optimizer with as many groups."""
    for name, phase in phases.items():
        for schedule in schedules_of(phase.schedule):
            if isinstance(schedule, TorchSchedule):
                groups = [{"params": [torch.zeros(1, requires_grad=True)]} for _ in optimizer.param_groups]
                try:
                    schedule.scheduler(SGD(groups, lr=1.0, momentum=0.9), **schedule.arguments)
                except (TypeError, ValueError) as error:
                    kind = getattr(schedule.scheduler, "__name__", str(schedule.scheduler))
                    yield Problem(("phases", name, "schedule"), f"{kind} refuses its arguments: {error}.")


def _unknown_phases(model: Model, phases: Mapping[str, Phase]) -> Iterator[Problem]:
    known = {*phases, *BUILT_IN}
    for name, objective in model.objectives.items():
        for phase in objective.when:
            if phase not in {*known, "all"}:
                fix = did_you_mean(phase, known)
                yield Problem(_place(model, name, "when"), f"there is no phase {phase!r}.", fix)


def _wrong_views(model: Model, loaders: DataLoaders) -> Iterator[Problem]:
    for name, objective in model.objectives.items():
        read = {source for value in objective.inputs for source in _sources(model, value)}
        for view in dict.fromkeys(objective.views):
            touched = loaders.view_fields.get(view)
            path = _place(model, name, "views")
            if touched is None:
                near = did_you_mean(view, loaders.view_fields)
                yield Problem(path, f"the data has no view {view!r}.", near)
            elif not touched & read:
                text = (
                    f"the view {view!r} changes {', '.join(sorted(touched))}, and {', '.join(objective.inputs)} "
                    f"depends on nothing of that but on {', '.join(sorted(read & {*loaders.fields}))}."
                )
                yield Problem(path, text, "Let the view change what the node reads, or name another node.")


def _moved_steps(model: Model, loaders: DataLoaders) -> Iterator[Problem]:
    """Views that put other steps beside each other than those that are compared."""
    for name, objective in model.objectives.items():
        if isinstance(objective, TS2Vec):
            read = {source for value in objective.inputs for source in _sources(model, value)}
            for view in dict.fromkeys(objective.views):
                for field in sorted(loaders.policies.moved.get(view, frozenset()) & read):
                    text = f"the view {view!r} moves the steps of {field!r}, and each is compared with the same step."
                    fix = "Let it hide stretches, scale or add noise: mask_steps, scale, noise."
                    yield Problem(_place(model, name, "views"), text, fix)


def _all_labelled(model: Model, loaders: DataLoaders) -> Iterator[Problem]:
    """Objectives for rows without a label, where each row has one."""
    for name, objective in model.objectives.items():
        if isinstance(objective, PseudoLabel):
            for field in map(field_of, objective.inputs[1:]):
                if field in loaders.fields and not loaders.fields[field].missing:
                    text = f"it learns from rows without {field!r}, and every row has a value of it."
                    fix = f"Leave {field!r} out of its inputs to learn from all rows, or mix in a data set without it."
                    yield Problem(_place(model, name, "inputs"), text, fix)


def _sources(model: Model, value: str) -> frozenset[str]:
    known = value in model.values and value not in model.inputs
    return model.ancestors(value) if known else frozenset((value, field_of(value)))


def _place(model: Model, objective: str, key: str) -> tuple[str, ...]:
    """Where a model file says it: a task's own objective stands with its task."""
    return ("tasks", objective, "objective", key) if objective in model.tasks else ("objectives", objective, key)


def _wrong_patterns(model: Model, phases: Mapping[str, Phase]) -> Iterator[Problem]:
    for name, phase in phases.items():
        for key, patterns in (("train", phase.train), ("freeze", phase.freeze)):
            try:
                model.select(patterns)
            except GraphError as error:
                yield Problem(("phases", name, key), str(error))


def _unknown_data(loaders: DataLoaders, phases: Mapping[str, Phase]) -> Iterator[Problem]:
    known = loaders.train.datasets
    for name, phase in phases.items():
        for dataset in phase.data:
            if dataset not in known:
                text = f"there is no data set {dataset!r} whose train rows could be drawn."
                yield Problem(("phases", name, "data"), text, did_you_mean(dataset, known))


def _no_gradient(model: Model, phases: Mapping[str, Phase]) -> Iterator[Problem]:
    """Nodes that are asked to train and never do, or whose gradient would have to flow through such a node."""
    fixed = model.without_gradient
    for name, phase in phases.items():
        for pattern in phase.train:
            if pattern.removeprefix("upto:") in fixed:
                text = f"node {pattern.removeprefix('upto:')!r} runs an ONNX file, which never trains."
                yield Problem(("phases", name, "train"), text, "Leave it out.")
        if not phase.epochs:
            continue
        trained = {*model.select(phase.train)} - {*model.select(phase.freeze)}
        for node in fixed & _reached(model, name):
            before = [n for n in model.node_names if n in model.ancestors(node) & trained and _learns(model, n)]
            if before:
                text = f"no gradient flows through node {node!r}, an ONNX file, to {', '.join(before)}, which it reads."
                fix = f"Freeze: freeze: [{', '.join(before)}]; or let {node!r} read fields and what does not train."
                yield Problem(("phases", name, "train"), text, fix)


def _reached(model: Model, phase: str) -> set[str]:
    """The nodes that a phase's objectives depend on."""
    read = [value for name in model.active(phase) for value in model.objectives[name].inputs]
    nodes = {node for value in read if (node := model.node_of(value))}
    return nodes.union(*(model.ancestors(node) for node in nodes))


def _learns(model: Model, node: str) -> bool:
    return any(True for _ in model.node(node).parameters())


def _long_batches(model: Model, loaders: DataLoaders, phases: Mapping[str, Phase]) -> Iterator[Problem]:
    """Objectives that keep earlier rows, and not enough for a batch."""
    active = {active for name, phase in phases.items() if phase.epochs for active in model.active(name)}
    for name in model.objectives:
        most = getattr(model.objectives[name], "most_rows", None)
        if name in active and most is not None and min(loaders.batch_size, len(loaders.train.rows)) > most:
            text = f"its queue has place for {most} rows of a batch, and batch_size is {loaders.batch_size}."
            yield Problem(_place(model, name, "queue"), text, f"Give it {2 * loaders.batch_size} or more.")


def _lone_rows(model: Model, loaders: DataLoaders, phases: Mapping[str, Phase]) -> list[Problem]:
    """A batch of one row where something needs two: of one row there is no variance."""
    size = loaders.batch_size
    by_rows: dict[int, dict[str, None]] = {}
    for name, phase in phases.items():
        if phase.epochs:
            rows = loaders.train.count(phase.data) if phase.data else len(loaders.train.rows)
            by_rows.setdefault(rows, {}).update(dict.fromkeys(_needs(model, name, phase)))
    return [lone for rows, needing in by_rows.items() if needing for lone in _lone_row(rows, size, [*needing])]


def _lone_row(rows: int, size: int, needing: Sequence[str]) -> list[Problem]:
    if 1 not in {size, rows % size}:
        return []
    what = "every batch has" if 1 in {size, rows} else f"{rows:,} train rows in batches of {size} leave a last batch of"
    text = f"{what} one row, and {' and '.join(needing)} need{'s' if len(needing) == 1 else ''} two."
    other = _other_size(rows, size)
    fix = f"Take another batch_size, such as {other}." if other else "Give the train split more rows."
    return [Problem(("batch_size",), text, fix)]


def _needs(model: Model, name: str, phase: Phase) -> Iterator[str]:
    """What needs two rows in a phase: losses of a whole batch, and batch normalization that trains."""
    selected = {*model.select(phase.train)} - {*model.select(phase.freeze)}
    trained = {model.node_of(name) for name in selected}
    for active in model.active(name):
        objective = model.objectives[active]
        if objective.inputs and not objective.per_example:
            yield f"objective {active!r} ({type(objective).__name__})"
        nodes = {model.node_of(value) or value for value in objective.inputs}.union(
            *(_sources(model, value) for value in objective.inputs)
        )
        for node in sorted(nodes & trained & model.need_two_rows):
            yield f"batch normalization in node {node!r}"


def _other_size(rows: int, size: int) -> int | None:
    """The nearest batch size that leaves no single row over; None where there is but one row."""
    near = (other for step in range(1, rows) for other in (size - step, size + step))
    return next((other for other in near if other > 1 and rows % other != 1), None)
