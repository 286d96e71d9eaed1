"""What is measured of a node's value, and what of that cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jumpml.core import LearnerError, Problem, did_you_mean, field_of
from jumpml.evaluate import EMBEDDING_FIGURES, LABELLED_FIGURES, inputs_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jumpml.core import Objective
    from jumpml.data import DataLoaders
    from jumpml.graph import Model


@dataclass(frozen=True, kw_only=True)
class EmbeddingProbe:
    """What is measured of a node's value, one vector a row.

    Attributes:
        node: The node, or ``node.part``.
        label: A category field, for `linear_probe` and `knn`.
        view: A view, drawn twice for `alignment`; that of an objective on the node where None.
        every: After so many epochs, and after a phase's last.
        rows: Rows of a split at most.
        figures: Which; all that can be measured where empty.

    Raises:
        LearnerError: ``every`` or ``rows`` is too small, or there is no such figure.
    """

    node: str
    label: str | None = None
    view: str | None = None
    every: int = 1
    rows: int = 2000
    figures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.every < 1 or self.rows < 2:
            text = f"expected every 1 or more and rows 2 or more, got {self.every} and {self.rows}."
            raise LearnerError(f"embeddings of {self.node!r}: {text}")
        for figure in self.figures:
            if figure not in EMBEDDING_FIGURES:
                near = did_you_mean(figure, EMBEDDING_FIGURES)
                raise LearnerError(f"embeddings of {self.node!r}: there is no figure {figure!r}. {near}")


def figures_of(probe: EmbeddingProbe, model: Model) -> tuple[str, ...]:
    """The figures that a probe gives: those that it names, or all that can be measured."""
    lacking = {*(() if probe.label else LABELLED_FIGURES), *(() if draws_of(probe, model) else ("alignment",))}
    return probe.figures or tuple(name for name in EMBEDDING_FIGURES if name not in lacking)


def measured_by(probes: Sequence[EmbeddingProbe], model: Model) -> list[str]:
    """The names of all that probes measure, as an epoch's record has them."""
    known = [probe for probe in probes if probe.node in model.values]
    return [f"embedding/{probe.node}/{figure}" for probe in known for figure in figures_of(probe, model)]


def draws_of(probe: EmbeddingProbe, model: Model) -> tuple[str, ...]:
    """The two draws that alignment compares: of the probe's view, or as an objective on the node draws; none else."""
    views = [probe.view] if probe.view else _drawn_on(probe.node, model)
    if not views:
        return ()
    first, second = [*views, *views][:2]
    return (f"{first}.0", f"{second}.{int(first == second)}")


def _drawn_on(node: str, model: Model) -> list[str]:
    return next(([*objective.views] for objective in objectives_on(node, model).values() if objective.views), [])


def objectives_on(node: str, model: Model, phase: str | None = None) -> dict[str, Objective]:
    """The objectives that depend on a node's value, all or those of a phase."""
    names = model.objectives if phase is None else model.active(phase)
    return {name: model.objectives[name] for name in names if _depends(model.objectives[name], node, model)}


def _depends(objective: Objective, node: str, model: Model) -> bool:
    return model.node_of(node) in model.behind(objective.inputs)


def find_probe_problems(probes: Sequence[EmbeddingProbe], model: Model, loaders: DataLoaders) -> Iterator[Problem]:
    """What cannot be measured.

    Args:
        probes: What is asked.
        model: Its nodes.
        loaders: Its data.
    """
    for place, probe in enumerate(probes):
        path = ("embeddings", place)
        nodes = [name for name in model.values if name not in model.inputs]
        if probe.node not in nodes:
            near = did_you_mean(probe.node, nodes)
            yield Problem((*path, "node"), f"there is no node {probe.node!r}.", near)
            continue
        if probe.node in [other.node for other in probes[:place]]:
            yield Problem((*path, "node"), f"the node {probe.node!r} is named twice.", "Join the two.")
        if not len(loaders.val.rows):
            yield Problem(path, "the data has no validation rows.", "Give `val` a share of the split.")
        yield from _label_problems(path, probe, loaders)
        yield from _view_problems(path, probe, model, loaders)


def _label_problems(path: tuple[str | int, ...], probe: EmbeddingProbe, loaders: DataLoaders) -> Iterator[Problem]:
    asked = [name for name in LABELLED_FIGURES if name in probe.figures]
    if probe.label is None:
        if asked:
            yield Problem((*path, "figures"), f"{asked[0]} needs a label.", "Name a category field under `label`.")
    elif probe.label not in loaders.fields:
        yield Problem(
            (*path, "label"), f"there is no field {probe.label!r}.", did_you_mean(probe.label, loaders.fields)
        )
    elif (kind := loaders.fields[probe.label].kind) != "category":
        text = f"the field {probe.label!r} is of kind {kind}."
        yield Problem((*path, "label"), text, "Name a category: what is measured is a class a row.")


def _view_problems(
    path: tuple[str | int, ...], probe: EmbeddingProbe, model: Model, loaders: DataLoaders
) -> Iterator[Problem]:
    if probe.view is None:
        if "alignment" in probe.figures and not draws_of(probe, model):
            text = "alignment needs a view, and no objective on the node draws one."
            yield Problem((*path, "figures"), text, "Name one of the data file's under `view`.")
    elif probe.view not in loaders.view_fields:
        near = did_you_mean(probe.view, loaders.view_fields)
        yield Problem((*path, "view"), f"the data has no view {probe.view!r}.", near)
    elif not loaders.view_fields[probe.view] & {field_of(name) for name in inputs_of(model, probe.node)}:
        changed = ", ".join(sorted(loaders.view_fields[probe.view]))
        text = f"the view {probe.view!r} changes nothing that the node {probe.node!r} reads; it changes {changed}."
        yield Problem((*path, "view"), text)
