"""How good a node's values are as embeddings, measured while the model learns."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, final

import torch

from jumpml.core import LearnerError, derive_seed, refusal
from jumpml.evaluate import (
    LABELLED_FIGURES,
    alignment,
    embed,
    embed_split,
    evaluation_mode,
    inputs_of,
    knn,
    linear_probe,
    rank_me,
    sample_positions,
    spread,
    uniformity,
)
from jumpml.learn._hook import Hook
from jumpml.learn.hooks._collapse import watch
from jumpml.learn.hooks._embedding_probe import draws_of, figures_of, find_probe_problems, measured_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from jumpml.data import DataLoaders
    from jumpml.graph import Model
    from jumpml.learn._learner import Learner
    from jumpml.learn.hooks._collapse import Watched
    from jumpml.learn.hooks._embedding_probe import EmbeddingProbe

_LOG = logging.getLogger("jumpml")
ALIGNED = 512  # train rows that are drawn twice
ALONE = {"rank_me": rank_me, "spread": spread, "uniformity": uniformity}


@final
class Embeddings(Hook):
    """Measures nodes' values at the ends of epochs, as `embedding/<node>/<figure>` of the epoch's record.

    A linear probe and nearest neighbours are fitted on train rows in evaluation mode and scored on validation rows;
    RankMe, uniformity and spread are of validation rows alone; alignment is of the first train rows of the first epoch,
    drawn twice. All of it is the averaged model's, where weights are averaged. Rows and draws are the same each time
    and no generator of the training moves: the weights have the same bits with and without.

    Embeddings that collapse in a phase with views are warned of, once, and the epoch's record notes it; so are their
    projections, where it shows first. What is low and rises, as at the beginning, is not.

    Args:
        probes: What is measured, a node each.

    Raises:
        LearnerError: A node has two of them.

    Example:
        >>> from jumpml.learn import EmbeddingProbe
        >>> Embeddings([EmbeddingProbe(node="encoder", label="digit", every=5)]).name
        'embeddings'
    """

    name = "embeddings"

    def __init__(self, probes: Sequence[EmbeddingProbe]) -> None:
        nodes = [probe.node for probe in probes]
        twice = next((node for node in nodes if nodes.count(node) > 1), None)
        if twice is not None:
            raise LearnerError(f"embeddings: the node {twice!r} is named twice. Join the two.")
        self._probes = tuple(probes)
        self._learner: Learner | None = None
        self._told: list[str] = []
        self._spread: dict[str, float] = {}

    def attach(self, learner: Learner) -> None:
        """Its model is measured, on its data."""
        problems = [*find_probe_problems(self._probes, learner.model, learner.loaders)]
        if problems:
            raise refusal(LearnerError, problems)
        self._learner = learner

    def measures(self, model: Model) -> list[str]:
        """All figures of all probes."""
        return measured_by(self._probes, model)

    def validated(self, phase: str, epoch: int) -> dict[str, float]:
        """Measure what is due after the epoch."""
        if self._learner is None:
            return {}
        learner, last = self._learner, epoch == self._learner.phases[phase].epochs
        model, found = learner.ema_model or learner.model, {}
        for probe in self._probes:
            if last or epoch % probe.every == 0:
                figures, rows = measure(probe, learner.loaders, model)
                found |= {f"embedding/{probe.node}/{name}": value for name, value in figures.items()}
                for watched in watch(probe.node, rows, model, phase):
                    self._tell(watched, f"Phase {phase!r}, epoch {epoch}", last=last)
        return found

    def _tell(self, watched: Watched, where: str, *, last: bool) -> None:
        """Tell of a collapse, once: when it is not on the way up, or the phase is over."""
        before, self._spread[watched.name] = self._spread.get(watched.name, 0.0), watched.spread
        rises = watched.spread > before and not last
        if self._learner is None or rises or not watched.problem or watched.name in self._told:
            return
        self._told.append(watched.name)
        if self._learner.processes.first:
            _LOG.warning("%s: %s", where, watched.problem)
        self._learner.note(watched.problem)

    def state_dict(self) -> dict[str, Any]:
        """How alive the embeddings were, and of which a collapse was told."""
        return {"told": list(self._told), "spread": dict(self._spread)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._told, self._spread = list(state["told"]), dict(state["spread"])

    def identity(self) -> str:
        """What is measured."""
        return "; ".join(map(str, self._probes))


def measure(probe: EmbeddingProbe, loaders: DataLoaders, model: Model) -> tuple[dict[str, float], Tensor]:
    """A probe's figures, and the validation rows' embeddings ``[rows, width]``.

    Figures are NaN where an embedding is not finite, or where there are no two rows.

    Args:
        probe: What is measured.
        loaders: The data.
        model: It is in the mode it was in when this returns, as are torch's generators.
    """
    wanted = figures_of(probe, model)
    devices = [loaders.device] if loaders.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), evaluation_mode(model):
        torch.manual_seed(derive_seed("embeddings"))  # a module may draw in evaluation too
        val = _some(probe, loaders, model, "val")
        if len(val) < 2:  # the others' data sets lack what the node reads
            return dict.fromkeys(wanted, math.nan), torch.empty(0, 0)
        rows = embed_split(loaders, model, probe.node, "val", val)
        if not rows.isfinite().all():
            return dict.fromkeys(wanted, math.nan), rows
        found = {name: figure(rows) for name, figure in ALONE.items() if name in wanted}
        found |= _labelled(probe, loaders, model, [name for name in LABELLED_FIGURES if name in wanted])
        if "alignment" in wanted:
            found["alignment"] = alignment(*_two_draws(probe, loaders, model))
    return {name: found[name] for name in wanted}, rows


def _some(probe: EmbeddingProbe, loaders: DataLoaders, model: Model, split: str, *, labelled: bool = False) -> Tensor:
    """Positions of so many rows that the node has a value of; with a label, where that is asked."""
    generator = torch.Generator().manual_seed(derive_seed("embeddings", split, probe.node))
    every = len(getattr(loaders, split).rows)
    positions = sample_positions(loaders, split, every, generator, fields=model.needs(probe.node))
    if labelled and probe.label is not None:
        positions = positions[getattr(loaders, split).take(probe.label, positions).cpu() >= 0]
    return positions[: probe.rows]


def _labelled(probe: EmbeddingProbe, loaders: DataLoaders, model: Model, wanted: Sequence[str]) -> dict[str, float]:
    """The figures that need labels, NaN where the rows that have one are of one class, or there are none."""
    if not wanted or probe.label is None:
        return {}
    parts: list[Tensor] = []
    for split in ("train", "val"):
        positions = _some(probe, loaders, model, split, labelled=True)
        if not len(positions):
            return dict.fromkeys(wanted, math.nan)
        embeddings = embed_split(loaders, model, probe.node, split, positions)
        parts += [embeddings, getattr(loaders, split).take(probe.label, positions).cpu()]
    train, labels, rows, truths = parts
    if len(labels.unique()) < 2 or not (train.isfinite().all() and rows.isfinite().all()):
        return dict.fromkeys(wanted, math.nan)
    ways = {"linear_probe": linear_probe, "knn": knn}
    return {name: ways[name](train, labels, rows, truths) for name in wanted}


def _two_draws(probe: EmbeddingProbe, loaders: DataLoaders, model: Model) -> tuple[Tensor, Tensor]:
    """The embeddings of the first train rows of the first epoch, drawn twice."""
    draws = draws_of(probe, model)
    parts: tuple[list[Tensor], list[Tensor]] = ([], [])
    for batch in _drawn(loaders, inputs_of(model, probe.node), draws):
        for draw, part in zip(draws, parts, strict=True):
            own = {name: batch.get(f"{name}@{draw}", batch[name]) for name in batch if "@" not in name}
            present = model.rows([probe.node], own)
            values = embed(model, probe.node, own)
            part.append(values if present is None else values[present.cpu()])
    first, second = (torch.cat(part)[:ALIGNED] for part in parts)
    return first, second


def _drawn(loaders: DataLoaders, fields: Sequence[str], draws: Sequence[str]) -> Iterator[Mapping[str, Tensor]]:
    """So many train rows; afterwards the loader stands where it stood."""
    with loaders.train.borrowed():
        loaders.train.serve(fields, draws)
        loaders.train.load_state_dict({"epoch": 0, "batch": 0})
        served = 0
        for batch in loaders.train:
            yield batch
            served += len(next(iter(batch.values())))
            if served >= ALIGNED:
                return
