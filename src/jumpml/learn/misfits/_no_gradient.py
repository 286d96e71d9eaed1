"""Nodes that no gradient reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from jumpml.graph import Model
    from jumpml.learn._phase import Phase


def no_gradient(model: Model, phases: Mapping[str, Phase]) -> Iterator[Problem]:
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
        for node in fixed & reached(model, model.active(name)):
            before = [n for n in model.node_names if n in model.ancestors(node) & trained and has_weights(model, n)]
            if before:
                text = f"no gradient flows through node {node!r}, an ONNX file, to {', '.join(before)}, which it reads."
                fix = f"Freeze: freeze: [{', '.join(before)}]; or let {node!r} read fields and what does not train."
                yield Problem(("phases", name, "train"), text, fix)


def reached(model: Model, objectives: Iterable[str]) -> frozenset[str]:
    """The nodes and inputs that objectives depend on."""
    return model.behind(value for name in objectives for value in model.objectives[name].inputs)


def has_weights(model: Model, unit: str) -> bool:
    """Whether a node, or a module inside a wrapped net, has parameters."""
    return any(True for _ in model.node(unit).parameters())
