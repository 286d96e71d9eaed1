"""From what a file says to hooks, and what is wrong with it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from jumpml.balance import build_balancer
from jumpml.core import Problem, did_you_mean
from jumpml.learn._validation import wrong_figure
from jumpml.learn.hooks._balancing import Balancing, find_balance_problems
from jumpml.learn.hooks._cosines import Cosines
from jumpml.learn.hooks._early_stop import EarlyStop
from jumpml.learn.hooks._embedding_probe import EmbeddingProbe
from jumpml.learn.hooks._embeddings import Embeddings
from jumpml.learn.hooks._statistics import Statistics
from jumpml.learn.hooks._swa import SWA
from jumpml.learn.hooks._task_stop import REPLAYED, TaskStop, find_stop_problems
from jumpml.learn.teaching._build_teaching import build_teaching

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from jumpml.core import BalanceSpec, LearnerSpec, TaskStopSpec
    from jumpml.graph import Model
    from jumpml.learn._hook import Hook
    from jumpml.learn._phase import Phase
    from jumpml.learn.examples._build_examples import HowHard


def build_hooks(spec: LearnerSpec, how_hard: HowHard) -> list[Hook]:
    """What joins the loop as the file says: averages of last epochs, early stopping, figures, balancing, a teacher.

    Args:
        spec: The file.
        how_hard: Tells how hard rows are, where a teacher's arms differ in that.
    """
    hooks: list[Hook] = []
    if spec.swa:
        hooks.append(SWA(start=spec.swa.start, phase=spec.swa.phase))
    if (stop := spec.early_stop) and stop.watched:
        hooks.append(EarlyStop(stop.watched, patience=stop.patience, min_delta=stop.min_delta, mode=stop.mode))
    if stop and stop.tasks:
        hooks.append(TaskStop({name: _task_stop(name, told) for name, told in stop.tasks.items()}))
    if spec.statistics:
        hooks.append(Statistics())
    if spec.embeddings:
        hooks.append(Embeddings(build_probes(spec)))
    if (balancer := build_balancer(spec.balance, spec.seed)) is not None:
        hooks.append(Balancing(balancer, spec.balance.over))
    if (cosines := _cosines(spec.balance)) is not None:
        hooks.append(cosines)
    if (teaching := build_teaching(spec.curriculum, how_hard)) is not None:
        hooks.append(teaching)
    return hooks


def _task_stop(task: str, told: TaskStopSpec) -> EarlyStop:
    figure = f"val/{task}/{told.metric}"
    return EarlyStop(figure, patience=told.patience, min_delta=told.min_delta, mode=told.mode)


def _cosines(spec: BalanceSpec) -> Cosines | None:
    if spec.kind != "sum" or spec.cosines is None:
        return None
    return Cosines(spec.cosines, at=spec.at, over=spec.over)


def build_probes(spec: LearnerSpec) -> list[EmbeddingProbe]:
    """What the file measures of embeddings."""
    said = [one.model_dump(exclude={"map"}) for one in spec.embeddings]  # which the card draws
    return [EmbeddingProbe(**{**one, "figures": one["figures"] or ()}) for one in said]


def find_map_problems(spec: LearnerSpec) -> Iterator[Problem]:
    """Maps that cannot be drawn when all is learned."""
    for place, one in enumerate(spec.embeddings):
        if one.map == "umap" and not find_spec("umap"):
            text = "the package 'umap-learn' is not installed."
            yield Problem(("embeddings", place, "map"), text, "pip install 'jumpml[umap]', or leave it at pca.")


def find_hook_problems(
    spec: LearnerSpec, model: Model, phases: Mapping[str, Phase], measured: Collection[str]
) -> Iterator[Problem]:
    """What a file says wrongly of them.

    Args:
        spec: The file.
        model: Its tasks are measured.
        phases: All of them, by name.
        measured: The figures that hooks measure.
    """
    if spec.swa and spec.ema:
        yield Problem(("swa",), "`ema` averages the weights already.", "Leave one of the two out.")
    if spec.swa and spec.swa.phase not in phases:
        near = did_you_mean(spec.swa.phase, phases)
        yield Problem(("swa", "phase"), f"there is no phase {spec.swa.phase!r}.", near)
    if spec.swa and spec.swa.lr is None and spec.swa.says("anneal"):
        yield Problem(("swa", "anneal"), "there is no rate to go to.", "Set lr beside it, or leave it out.")
    if stop := spec.early_stop:
        if stop.watched:
            yield from wrong_figure(("early_stop", "metric"), stop.watched, model, stop.mode, measured)
        yield from find_stop_problems(stop.tasks, model)
        if stop.tasks and spec.replay:
            yield REPLAYED
        for name, told in stop.tasks.items():
            if name in model.tasks:
                path, figure = ("early_stop", "tasks", name, "metric"), f"val/{name}/{told.metric}"
                yield from wrong_figure(path, figure, model, told.mode)
    yield from find_map_problems(spec)
    if spec.statistics and not spec.log:
        yield Problem(("statistics",), "nothing is logged.", "Name a log, or leave them out.")
    if (looks := build_balancer(spec.balance) or _cosines(spec.balance)) is not None:
        yield from find_balance_problems(looks, spec.balance.over, model, phases)
