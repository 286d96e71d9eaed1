"""Scores of how foreign a row is: their thresholds, and how well they tell strangers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.core import Figure, OutOfDomain, derive_seed
from jumpml.diagnose._distance import KNN, Mahalanobis
from jumpml.diagnose._elements import elements_of
from jumpml.diagnose._rows import train_moments
from jumpml.diagnose._strangers import auroc, make_strangers
from jumpml.evaluate import embed, embed_split, embedding_width, featurised, inputs_of, sample_positions, wilson

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.data import DataLoaders
    from jumpml.graph import Model

MOST_ROWS = 5000  # of a split; more would change the scores little (Sun et al. keep 1% of theirs)
MOST_STRANGERS = 512  # of each kind
MOST_WIDTH = 2048  # the covariance of more is slow to invert and says little on so few rows
BELOW = 0.95  # share of the validation rows below the threshold
NEIGHBOUR = 10


def out_of_domain(loaders: DataLoaders, model: Model, node: str, seed: int) -> tuple[list[OutOfDomain], list[str]]:
    """Fit both scores on train rows, set their thresholds on validation rows, and measure them on test rows.

    Args:
        loaders: The data.
        model: In evaluation mode.
        node: Whose value stands for a row.
        seed: Of the rows and of the strangers.

    Returns:
        A record a score, and what was left out.
    """
    width = embedding_width(model, node)
    if width > MOST_WIDTH:
        fix = "A narrower node before the output would allow them."
        return [], [f"out-of-domain scores of {node!r} are left out: it gives {width} numbers a row. {fix}"]
    generator = torch.Generator().manual_seed(derive_seed(seed, "out of domain", node))
    needs = model.needs(node)
    rows = {
        split: sample_positions(loaders, split, MOST_ROWS, generator, fields=needs)
        for split in ("train", "val", "test")
    }
    train, val, test = (embed_split(loaders, model, node, split, at) for split, at in rows.items())
    foreign = _strangers(loaders, model, node, generator)
    scores = {"mahalanobis": Mahalanobis.fit(train), "knn": KNN.fit(train, k=min(NEIGHBOUR, len(train)))}
    records = []
    for method, score in scores.items():
        threshold = float(score.score(val).double().quantile(BELOW))
        familiar = score.score(test)
        records.append(
            OutOfDomain(
                method=method,
                node=node,
                threshold=threshold,
                test_above=_share_above(familiar, threshold),
                auroc={kind: auroc(familiar, score.score(rows)) for kind, rows in foreign.items()},
            )
        )
    if foreign:
        return records, []
    return records, [f"{node}: no strangers were made, since its only input is a number, a category or a text."]


def _strangers(loaders: DataLoaders, model: Model, node: str, generator: torch.Generator) -> dict[str, Tensor]:
    """The embeddings of each kind of stranger."""
    fields = inputs_of(model, node)
    positions = sample_positions(loaders, "test", MOST_STRANGERS, generator, fields=model.needs(node))
    batch = {name: values.cpu() for name, values in featurised(loaders, "test", fields, positions).items()}
    moments = {name: train_moments(loaders, name) for name in fields if batch[name].is_floating_point()}
    kinds = make_strangers(batch, elements_of(loaders, model, fields), moments, generator)
    return {kind: embed(model, node, rows) for kind, rows in kinds.items()}


def _share_above(scores: Tensor, threshold: float) -> Figure:
    above = int((scores > threshold).sum())
    low, high = wilson(above, len(scores))
    return Figure(value=above / len(scores), low=low, high=high, n=len(scores))
