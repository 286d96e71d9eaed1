"""From the learner file to an adaptation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml.core import GraphError, Problem
from jumpml.learn.adapting._adaptation import Adaptation, view_problem
from jumpml.learn.adapting._entropy import Entropy
from jumpml.learn.adapting._memo import MEMO
from jumpml.learn.adapting._normalization import norms_of
from jumpml.learn.adapting._probe import Probe
from jumpml.learn.adapting._statistics import BatchStatistics
from jumpml.learn.adapting._ttt import TTT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jumpml.core import AdaptSpec
    from jumpml.data import DataLoaders
    from jumpml.graph import Model
    from jumpml.learn.adapting._method import AdaptationMethod

_METHODS: dict[str, Callable[..., AdaptationMethod]] = {
    "statistics": BatchStatistics,
    "entropy": Entropy,
    "ttt": TTT,
    "memo": MEMO,
}


def build_adaptation(spec: AdaptSpec | None) -> Adaptation | None:
    """What the file says, if it says anything."""
    if spec is None:
        return None
    options: dict[str, Any] = spec.model_dump(exclude={"kind", "probe", "episodic"})
    probe = None if spec.probe is None else Probe(**spec.probe.model_dump())
    episodic = getattr(spec, "episodic", True)
    return Adaptation(method=_METHODS[spec.kind](**options), episodic=episodic, probe=probe)


def find_adaptation_problems(spec: AdaptSpec | None, model: Model, loaders: DataLoaders) -> Iterator[Problem]:
    """What the file says wrongly of it.

    Args:
        spec: What it says.
        model: What is adapted.
        loaders: They serve the views.
    """
    how = build_adaptation(spec)
    if spec is None or how is None:
        return
    yield from _idle_keys(spec, model)
    try:
        problem = how.method.problem(model)
    except GraphError as error:
        yield Problem(("adapt", "nodes"), str(error))
        return
    if problem:
        yield Problem(("adapt",), problem)
    elif problem := view_problem(loaders, model, how.method):
        yield Problem(("adapt", "view") if spec.kind == "memo" else ("adapt",), problem)


def _idle_keys(spec: AdaptSpec, model: Model) -> Iterator[Problem]:
    """Keys that would change nothing."""
    if spec.kind == "entropy" and not spec.guarded and spec.says("reliable"):
        yield Problem(("adapt", "reliable"), "without guards every row is learned from.", "Leave one of the two out.")
    if spec.kind == "entropy" and not norms_of(model):
        for key in ("prior", "memory"):
            if spec.says(key):
                yield Problem(("adapt", key), "the model has no batch normalization.", "Leave it out.")
    elif spec.kind == "entropy" and spec.prior is None and spec.says("memory"):
        yield Problem(("adapt", "memory"), "without prior no statistics are taken.", "Leave one of the two out.")
    elif getattr(spec, "episodic", False) and spec.says("memory"):
        yield Problem(("adapt", "memory"), "each batch begins anew and remembers nothing.", "Leave one of the two out.")
