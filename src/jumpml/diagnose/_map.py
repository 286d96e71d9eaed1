"""A node's values laid flat: which rows it holds to be alike."""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from jumpml.core import TASK_KINDS, DiagnosisError, EmbeddingMap, MissingExtraError, derive_seed, did_you_mean
from jumpml.diagnose._embedding import embedding_node
from jumpml.evaluate import embed_split, embedding_width, find_neighbours, sample_positions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from jumpml.data import DataLoaders
    from jumpml.graph import Model

MOST_ROWS = 2000  # points that a picture can show
MOST_WIDTH = 4096
DIGITS = 4  # significant, of a point's place


@dataclass(frozen=True, kw_only=True)
class MappedNode:
    """A node of which a map is drawn.

    Attributes:
        node: The node, or ``node.part``.
        label: A category field whose classes colour the rows; none where None.
        layout: ``pca``, the two directions in which the values vary most; or ``umap``, which keeps neighbours together
            and says nothing by its distances (McInnes et al. 2018, https://arxiv.org/abs/1802.03426; by umap-learn).
    """

    node: str
    label: str | None = None
    layout: Literal["pca", "umap"] = "pca"


def mapped_nodes(loaders: DataLoaders, model: Model, named: Sequence[MappedNode]) -> list[MappedNode]:
    """The nodes of which a map is drawn: those that are named, and what the output of each task of classes reads."""
    found = {one.node: one for one in named}
    for name, task in model.tasks.items():
        if TASK_KINDS[task.kind].at == "row" and TASK_KINDS[task.kind].decides in {"class", "embedding"}:
            node = embedding_node(model, name)
            coloured = task.target in loaders.fields and loaders.fields[task.target].classes
            found.setdefault(node, MappedNode(node=node, label=task.target if coloured else None))
    return list(found.values())


def draw_map(loaders: DataLoaders, model: Model, mapped: MappedNode, seed: int) -> tuple[EmbeddingMap | None, str]:
    """Lay the test rows' embeddings flat.

    Args:
        loaders: The data.
        model: In evaluation mode.
        mapped: Which node, and how.
        seed: Of the rows that are taken where there are many, and of UMAP's.

    Returns:
        The map, or why there is none.

    Raises:
        DiagnosisError: There is no such node or field, or the field is no category.
        MissingExtraError: UMAP is asked for and not installed.
    """
    _check(loaders, model, mapped)
    width = embedding_width(model, mapped.node)
    if width > MOST_WIDTH:
        return None, f"the map of {mapped.node!r} is left out: it gives {width} numbers a row. Pool them in a node."
    seeded = derive_seed(seed, "map", mapped.node)
    generator = torch.Generator().manual_seed(seeded)
    positions = sample_positions(loaders, "test", MOST_ROWS, generator, fields=model.needs(mapped.node))
    if len(positions) < 3 or width < 2:
        return None, f"the map of {mapped.node!r} is left out: it needs three test rows and two numbers a row."
    rows = embed_split(loaders, model, mapped.node, "test", positions)
    codes = torch.full((len(rows),), -1)
    if mapped.label is not None:
        codes = loaders.test.take(mapped.label, positions).cpu().flatten().long()
    places, share = _principal(rows) if mapped.layout == "pca" else (_umap(rows, seeded), None)
    return EmbeddingMap(
        node=mapped.node,
        label=mapped.label or "",
        layout=mapped.layout,
        x=_rounded(places[:, 0]),
        y=_rounded(places[:, 1]),
        codes=tuple(codes.tolist()),
        classes=tuple(loaders.fields[mapped.label].classes or ()) if mapped.label else (),
        share=share,
        alike=_alike(rows, codes),
    ), ""


def _check(loaders: DataLoaders, model: Model, mapped: MappedNode) -> None:
    nodes = [name for name in model.values if name not in model.inputs]
    if mapped.node not in nodes:
        raise DiagnosisError(f"there is no node {mapped.node!r} to map. {did_you_mean(mapped.node, nodes)}")
    if mapped.label is not None and mapped.label not in loaders.fields:
        near = did_you_mean(mapped.label, loaders.fields)
        raise DiagnosisError(f"the map of {mapped.node!r}: there is no field {mapped.label!r}. {near}")
    if mapped.label is not None and not loaders.fields[mapped.label].classes:
        kind = loaders.fields[mapped.label].kind
        text = f"the field {mapped.label!r} is of kind {kind}: name one with classes, which colour the rows."
        raise DiagnosisError(f"the map of {mapped.node!r}: {text}")


def _principal(rows: Tensor) -> tuple[Tensor, float]:
    """Coordinates ``[n, 2]`` along the two directions of most variance, and the share of it that they hold.

    Each direction points to where its largest loading is positive, so that the same rows give the same map.
    """
    centred = rows.double() - rows.double().mean(0)
    _, values, directions = torch.linalg.svd(centred, full_matrices=False)
    two = directions[:2]
    largest = two.gather(1, two.abs().argmax(1, keepdim=True))
    two = two * torch.where(largest < 0, -1.0, 1.0)
    share = values[:2].square().sum() / values.square().sum().clamp(min=1e-300)
    return centred @ two.T, float(share)


def _umap(rows: Tensor, seed: int) -> Tensor:
    try:
        package: Any = importlib.import_module("umap")
    except ImportError:
        raise MissingExtraError("umap-learn", "umap", "a map by UMAP") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a seed costs it its threads
        laid = package.UMAP(n_components=2, random_state=seed % 2**32).fit_transform(rows.numpy())
    return torch.as_tensor(laid).double()


def _alike(rows: Tensor, codes: Tensor) -> float | None:
    """How often the nearest other row, by cosine and among those with a class, is of a row's class."""
    known = codes >= 0
    if int(known.sum()) < 2:
        return None
    nearest = find_neighbours(rows[known], codes[known])["nearest"]
    return float((nearest == codes[known]).double().mean())


def _rounded(values: Tensor) -> tuple[float, ...]:
    return tuple(float(f"{value:.{DIGITS}g}") for value in values.tolist())
