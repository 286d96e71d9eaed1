"""One step looked at closely: what its batch, its nodes, its objectives and their gradients are."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file

from jumpml.core import PRESENT, RunError, sha256_of, write_json
from jumpml.learn.saving._checkpoints import write_packed
from jumpml.learn.saving._snapshot import restored
from jumpml.objectives import reduce

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from jumpml.graph import Model
    from jumpml.learn._stage import Stage
    from jumpml.learn.saving._snapshot import Snapshot

REPLAY = "replay"  # the folder beside checkpoints where such steps are saved


@dataclass(frozen=True)
class Figures:
    """Some values in short.

    Attributes:
        finite: The share that is neither NaN nor infinite.
        low, high: The range of those.
        norm: The Euclidean length of those.
    """

    finite: float
    low: float
    high: float
    norm: float

    @classmethod
    def of(cls, values: Iterable[Tensor]) -> Figures:
        """Of all elements of some tensors."""
        flat = [value.detach().flatten().double() for value in values if value.numel()]
        every = torch.cat(flat) if flat else torch.zeros(1, dtype=torch.float64)
        good = every[every.isfinite()]
        if not len(good):
            return cls(0.0, math.nan, math.nan, math.nan)
        return cls(len(good) / len(every), float(good.min()), float(good.max()), float(good.norm()))

    def cells(self) -> list[str]:
        """As a table has it."""
        finite = "all" if self.finite == 1 else f"{self.finite:.1%}"
        return [finite, f"{self.low:.3g}", f"{self.high:.3g}", f"{self.norm:.3g}"]


@dataclass(frozen=True, kw_only=True)
class RelivedStep:
    """What a step was, as it was lived again.

    Attributes:
        step: Its number.
        phase: The phase.
        origin: In words, where the first value that is not finite is; empty where there is none.
        fields: The batch.
        outputs: What each node gave.
        weights: Each node's parameters, before the update.
        losses: Each objective's mean, before its weight.
        gradients: By objective, those of each node's parameters.
    """

    step: int
    phase: str
    origin: str
    fields: Mapping[str, Figures]
    outputs: Mapping[str, Figures]
    weights: Mapping[str, Figures]
    losses: Mapping[str, float]
    gradients: Mapping[str, Mapping[str, Figures]] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.table()

    def table(self) -> str:
        """All of it, for people."""
        began = f"it began in {self.origin}" if self.origin else "every value is finite"
        head = ["finite", "min", "max", "norm"]
        parts = [
            f"step {self.step}, phase {self.phase}: {began}",
            _table(["field", *head], {name: figures.cells() for name, figures in self.fields.items()}),
            _table(["output of", *head], {name: figures.cells() for name, figures in self.outputs.items()}),
            _table(["weights of", *head], {name: figures.cells() for name, figures in self.weights.items()}),
            _table(["objective", "mean"], {name: [f"{value:.4g}"] for name, value in self.losses.items()}),
        ]
        for objective, nodes in self.gradients.items():
            rows = {name: figures.cells() for name, figures in nodes.items()}
            parts.append(_table([f"gradient of {objective} in", *head], rows))
        return "\n\n".join(parts)


def look_at(
    model: Model, stage: Stage, batches: Sequence[Mapping[str, Tensor]], weights: Mapping[str, float], step: int
) -> RelivedStep:
    """Live a step's losses and gradients, and tell what they are; of several batches, those of the first bad one.

    Args:
        model: As it is before the step, in training mode.
        stage: Its phase.
        batches: What is learned from.
        weights: By objective, what its mean is multiplied by.
        step: Its number.
    """
    seen = None
    for batch in batches:
        seen = _look(model, stage, batch, weights, step)
        if seen.origin:
            break
    if seen is None:
        raise RunError(f"step {step} has no batch.")
    return seen


def _look(
    model: Model, stage: Stage, batch: Mapping[str, Tensor], weights: Mapping[str, float], step: int
) -> RelivedStep:
    losses, values = stage.plan(dict(batch))
    parameters = {node: dict(model.node(node).named_parameters()) for node in model.node_names}
    means = {name: reduce(loss) for name, loss in losses.items()}
    gradients = {
        name: _gradients(mean * weights[name], parameters, stage.trained)
        for name, mean in means.items()
        if mean.requires_grad
    }
    # what a row lacks is NaN, and no loss counts it
    floats = {
        name: value[batch[name + PRESENT]] if name + PRESENT in batch else value
        for name, value in batch.items()
        if value.is_floating_point()
    }
    seen = {
        "fields": {name: Figures.of([value]) for name, value in floats.items()},
        "outputs": {n: Figures.of([v]) for n, v in values.items() if v.is_floating_point()},
        "weights": {node: Figures.of(named.values()) for node, named in parameters.items() if named},
        "losses": {name: float(mean.detach()) for name, mean in means.items()},
        "gradients": gradients,
    }
    return RelivedStep(step=step, phase=stage.name, origin=_origin(**seen, parameters=parameters), **seen)


def _gradients(
    loss: Tensor, parameters: Mapping[str, Mapping[str, nn.Parameter]], trained: Sequence[nn.Parameter]
) -> dict[str, Figures]:
    """By node, of the parameters that the loss depends on."""
    train = {id(parameter) for parameter in trained}
    named = {node: [p for p in own.values() if id(p) in train] for node, own in parameters.items()}
    flat = [p for own in named.values() for p in own]
    found = iter(torch.autograd.grad(loss, flat, retain_graph=True, allow_unused=True) if flat else ())
    by_node = {node: [next(found) for _ in own] for node, own in named.items()}
    reached = {node: [g for g in own if g is not None] for node, own in by_node.items()}
    return {node: Figures.of(own) for node, own in reached.items() if own}


def _origin(
    *,
    fields: Mapping[str, Figures],
    outputs: Mapping[str, Figures],
    weights: Mapping[str, Figures],
    losses: Mapping[str, float],
    gradients: Mapping[str, Mapping[str, Figures]],
    parameters: Mapping[str, Mapping[str, nn.Parameter]],
) -> str:
    for name, figures in fields.items():
        if figures.finite < 1:
            return f"the field {name!r} of the batch"
    for node, figures in weights.items():
        if figures.finite < 1:
            bad = next(name for name, value in parameters[node].items() if not value.isfinite().all())
            return f"node {node!r}: its parameter {bad!r} is non-finite before the step"
    for node, figures in outputs.items():
        if figures.finite < 1:
            return f"node {node!r}: its output is non-finite though its inputs and weights are finite"
    for name, value in losses.items():
        if not math.isfinite(value):
            return f"objective {name!r}: its loss is non-finite though what it reads is finite"
    for name, nodes in gradients.items():
        bad = [node for node, figures in nodes.items() if figures.finite < 1]
        if bad:  # gradients come from the end: the last node is the first that is reached
            return f"objective {name!r}: its gradient in node {bad[-1]!r} is non-finite though its loss is finite"
    return ""


def save_step(folder: Path, step: int, kept: Snapshot) -> Path:
    """Write what is needed to live a step again: ``step-00000012.safetensors``, and the rest as JSON beside it.

    Raises:
        OSError: It cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:08d}.safetensors"
    checksum = write_packed(path, kept.tensors["state.safetensors"])
    write_json(path.with_suffix(".json"), {"sha256": checksum, "state": kept.tree})
    return path


def load_step(path: Path) -> dict[str, Any]:
    """What `save_step` wrote.

    Raises:
        RunError: It is not there, or damaged.
    """
    try:
        told = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if told["sha256"] != sha256_of(path):
            raise RunError(f"{path} is damaged: its checksum is not the one that was written.")
        return restored(told["state"], load_file(path))
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error}.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path.with_suffix('.json')} is damaged: {error}.") from None


def _table(head: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """Columns under their names, the first to the left and the others to the right."""
    lines = [list(head), *([name, *cells] for name, cells in rows.items())]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
    told = (
        [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))] for line in lines
    )
    return "\n".join("  ".join(line).rstrip() for line in told)
