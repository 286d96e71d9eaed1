"""Every self-supervised kind that a file can name learns from rows alone as it should.

A kind that lands is found by itself: it runs on the made-up rows with its defaults, or as `OPTIONS` says, and on data
of its own where `EXAMPLES` has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
import torch
from torch import nn

from jumpml.blocks import TCN, CausalDecoder, TransformerEncoder
from jumpml.data import Column, DataLoaders, Hide, MaskSteps, Noise, QuarterTurn, random_split
from jumpml.graph import Node
from jumpml.objectives import CLIP, CPC, JEPA, VIME, LatentPrediction, Masked, NextToken, NextValue, Pretext, TS2Vec
from jumpml.objectives._build import KINDS
from jumpml.testing import check_self_supervised

if TYPE_CHECKING:
    from collections.abc import Callable

SELF_SUPERVISED = [kind for kind, made in KINDS.items() if ".self_supervised." in made.__module__]
OPTIONS: dict[str, dict[str, Any]] = {
    "vicreg": {"projector": (16, 16)},
}


def of_series(made: Any, node: nn.Module | None = None) -> dict[str, Any]:
    """Waves of some lengths, and a node that reads no later step."""
    generator = torch.Generator().manual_seed(0)
    length, start = torch.rand(2, 96, 1, generator=generator)
    waves = torch.sin((torch.arange(12) + 12 * start) * (0.3 + length)).unsqueeze(2)
    noisy = waves + 0.1 * torch.randn(96, 12, 1, generator=generator)
    views = {"noisy": {"steps": [Noise(0.2), MaskSteps(0.3)]}}
    columns = {"steps": Column(noisy, "series")}
    loaders = DataLoaders(columns, random_split(96), views=views, batch_size=16)
    return {"objective": made, "loaders": loaders, "nodes": {"encoder": Node(node or TCN([8, 8]), "steps")}}


def of_texts() -> dict[str, Any]:
    """Tokens that run through the numbers, upwards or downwards."""
    generator = torch.Generator().manual_seed(0)
    start, up = torch.randint(8, (2, 96, 1), generator=generator)
    tokens = (start + torch.where(up % 2 == 0, 1, -1) * torch.arange(10)) % 8 + 2
    nodes = {
        "words": Node(nn.Embedding(10, 8), "message"),
        "encoder": Node(CausalDecoder(depth=1, heads=2), "words"),
    }
    loaders = DataLoaders({"message": Column(tokens, "text")}, random_split(96), batch_size=16)
    return {"objective": NextToken(("encoder", "message"), vocabulary=10), "loaders": loaders, "nodes": nodes}


def of_hidden_steps(made: Any) -> dict[str, Any]:
    """The same waves, of which a view hides stretches, and a node that reads all that is left."""
    given = of_series(made)
    columns = {"steps": Column(given["loaders"].train.maker.table.values["steps"], "series")}
    views = {"noisy": {"steps": [Hide(0.5, patch=3)]}}
    loaders = DataLoaders(columns, random_split(96), views=views, batch_size=16)
    reader = nn.Sequential(nn.Linear(1, 16), TransformerEncoder(depth=1, heads=2))
    return {**given, "loaders": loaders, "nodes": {"encoder": Node(reader, "steps")}}


def of_cells(made: Any, step: Any) -> dict[str, Any]:
    """Rows of two numbers that are each other's mirror, some of which a view hides."""
    half = torch.randn(96, 4, generator=torch.Generator().manual_seed(0))
    columns = {"x": Column(torch.cat([half, -half], 1), "tensor")}
    loaders = DataLoaders(columns, random_split(96), views={"noisy": {"x": [step]}}, batch_size=16)
    net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 16))
    return {"objective": made, "loaders": loaders, "nodes": {"encoder": Node(net, "x")}}


def of_pictures(made: Any) -> dict[str, Any]:
    """Pictures that grow brighter from below, which a view turns."""
    rise = torch.linspace(0, 1, 6).reshape(1, 1, 6, 1) * torch.rand(96, 1, 6, 6)
    columns = {"image": Column(rise, "image")}
    loaders = DataLoaders(columns, random_split(96), views={"noisy": {"image": [QuarterTurn()]}}, batch_size=16)
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 32), nn.ReLU(), nn.Linear(32, 16))
    return {"objective": made, "loaders": loaders, "nodes": {"encoder": Node(net, "image")}}


def of_pairs() -> dict[str, Any]:
    """Two fields of the same rows, each with an encoder of its own."""
    generator = torch.Generator().manual_seed(0)
    row, noise = torch.randn(2, 96, 8, generator=generator)
    columns = {"left": Column(row, "tensor"), "right": Column(row.flip(1) + 0.3 * noise, "tensor")}
    loaders = DataLoaders(columns, random_split(96), batch_size=16)
    nodes = {name: Node(nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 16)), name[:-5]) for name in BOTH}
    return {"objective": CLIP(BOTH), "loaders": loaders, "nodes": nodes}


BOTH = ("left_code", "right_code")
EXAMPLES: dict[str, Callable[[], dict[str, Any]]] = {
    "clip": of_pairs,
    "masked": lambda: of_cells(Masked(("encoder", "x"), views="noisy"), Hide(0.4)),
    "vime": lambda: of_cells(VIME(("encoder", "x"), views="noisy"), Hide(0.4, fill="others")),
    "pretext": lambda: of_pictures(Pretext(("encoder", "image"), views="noisy")),
    "ts2vec": lambda: of_series(TS2Vec("encoder", views="noisy")),
    "latent_prediction": lambda: of_hidden_steps(LatentPrediction(("encoder", "steps"), views="noisy", momentum=0.99)),
    "jepa": lambda: of_hidden_steps(JEPA(("encoder", "steps"), views="noisy", width=16, heads=2, momentum=0.99)),
    "cpc": lambda: of_series(CPC("encoder", ahead=3)),
    "next_value": lambda: of_series(NextValue(("encoder", "steps"), horizon=2)),
    "next_token": of_texts,
}
"""By kind, the arguments of `check_self_supervised`."""


@pytest.mark.parametrize("kind", SELF_SUPERVISED)
def test_it_conforms(kind: str) -> None:
    torch.manual_seed(0)  # of the nodes' first weights, whatever ran before
    if kind in EXAMPLES:
        check_self_supervised(**EXAMPLES[kind]())
    else:
        check_self_supervised(KINDS[kind](inputs="encoder", views="noisy", **OPTIONS.get(kind, {})))


@pytest.mark.parametrize("kind", SELF_SUPERVISED)
def test_it_is_refused_where_nothing_that_it_reads_trains(kind: str) -> None:
    """By what every kind says of itself; `test_learn_misfits.py` has the refusal."""
    assert cast("Any", KINDS[kind]).needs_learning


@pytest.mark.parametrize("kind", [kind for kind in SELF_SUPERVISED if cast("Any", KINDS[kind]).draws == 2])
def test_a_collapse_under_two_views_says_what_to_change(kind: str) -> None:
    """`learn.Embeddings` tells it; what is masked or foretold cannot collapse so easily, and may say nothing."""
    assert cast("Any", KINDS[kind]).if_collapsed
