"""Growth: a model has more units afterwards, or fewer, and computes what it did where it should."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import torch
from torch import nn

from jumpml import blocks
from jumpml.core import GraphError, Task, ValueInfo
from jumpml.graph import Model, Node, Shrink, Widen
from jumpml.objectives import EWC

PICTURE, SERIES, ROW = (1, 8, 8), (7, 8), (4,)


def model(module: nn.Module, shape: tuple[int, ...] = ROW, *, reads: str = "body", **given: Any) -> Model:
    """A body, and a linear layer on it."""
    nodes = {"body": Node(module, "x"), "out": Node(nn.LazyLinear(2), reads)}
    return Model(inputs={"x": ValueInfo(shape=shape)}, nodes=nodes, outputs=["out"], seed=0, **given)


def answer(made: Model, rows: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    (shape,) = (value.shape for value in made.inputs.values())
    made.eval()
    with torch.no_grad():
        return made({"x": torch.rand(rows, *shape, generator=generator)})["out"]


BODIES: dict[str, tuple[Any, tuple[int, ...], str]] = {
    "linear": (lambda: nn.Linear(4, 6), ROW, "body"),
    "mlp": (lambda: blocks.MLP([6, 5]), ROW, "body"),
    "residual mlp": (lambda: blocks.ResidualMLP(6, depth=2), ROW, "body"),
    "conv encoder": (lambda: blocks.ConvEncoder([4, 6]), PICTURE, "body"),
    "convolutions, flat": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.PReLU(4), nn.MaxPool2d(2), nn.Flatten()),
        PICTURE,
        "body",
    ),
    "depthwise": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, groups=4), nn.ReLU(), nn.Flatten(1)),
        PICTURE,
        "body",
    ),
    "transposed": (
        lambda: nn.Sequential(nn.ConvTranspose2d(1, 4, 2), nn.Conv2d(4, 2, 3), nn.Flatten()),
        PICTURE,
        "body",
    ),
    "resnet": (lambda: blocks.ResNet([4, 6], layers=1), PICTURE, "body"),
    "convnext": (lambda: blocks.ConvNeXt([4, 8], layers=1), PICTURE, "body"),
    "vit": (lambda: blocks.ViT(4, 8, 1, 2), PICTURE, "body"),
    "lstm": (lambda: blocks.Recurrent(5, depth=2, cell="lstm"), SERIES, "body.last"),
    "gru of both ways": (lambda: nn.GRU(8, 5, 2, bidirectional=True, batch_first=True), SERIES, "body.0"),
    "attention": (lambda: blocks.TransformerEncoder(depth=2, heads=2), SERIES, "body"),
    "tcn": (lambda: blocks.TCN([6, 6]), SERIES, "body"),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_wider_model_computes_the_same_and_learns_with_what_is_new(name: str) -> None:
    make, shape, reads = BODIES[name]
    made = model(make(), shape, reads=reads)
    before, count = answer(made), sum(p.numel() for p in made.parameters())
    growth = made.grow(Widen("body", 1.5))
    assert (answer(made) - before).abs().max() <= 1e-5
    assert sum(p.numel() for p in made.parameters()) > count
    assert growth.index_map.axes
    made.train()
    made({"x": torch.rand(4, *shape)})["out"].square().sum().backward()
    for parameter in made.parameters():  # the zeros that new units are read with have a gradient
        assert parameter.grad is not None and parameter.grad.shape == parameter.shape
    widened = [name for name, axes in growth.index_map.axes.items() if 1 in axes and -1 in axes[1]]
    gradients = [growth.after[name].grad for name in widened]
    assert any(gradient is not None and bool(gradient.abs().sum() > 0) for gradient in gradients)


@pytest.mark.parametrize("name", BODIES)
def test_units_that_nothing_reads_go_first(name: str) -> None:
    make, shape, reads = BODIES[name]
    made = model(make(), shape, reads=reads)
    before, sizes = answer(made), [p.shape for p in made.parameters()]
    made.grow(Widen("body", 1.5))
    layer = next(iter(made.lineage[0]["at"]))
    made.regrow(())
    made.grow(Widen(layer, 2.0))
    made.grow(Shrink(layer, 0.5))
    assert torch.equal(answer(made), before)
    assert [p.shape for p in made.parameters()] == sizes


def test_a_lineage_builds_the_shape_again() -> None:
    made, anew = (model(blocks.MLP([6, 5]), objectives={"keep": EWC("all")}) for _ in range(2))
    made.grow(Widen("body", 1.5))
    made.grow(Shrink("body.layers.1", 0.5))
    lineage = json.loads(json.dumps(made.lineage))
    assert [entry["text"] for entry in lineage] == [
        "grew body.layers.1 6 -> 9, body.layers.3 5 -> 8",
        "shrank body.layers.1 9 -> 4",
    ]
    anew.regrow(lineage)
    anew.load_state_dict(made.state_dict())
    assert torch.equal(answer(anew), answer(made)) and anew.lineage == made.lineage
    assert anew.regrow(lineage) == []


def test_a_lineage_is_taken_back_as_far_as_the_model_knows_what_it_was() -> None:
    made = model(blocks.MLP([6, 5]))
    before, state = answer(made), {name: value.clone() for name, value in made.state_dict().items()}
    made.grow(Widen("body", 1.5))
    copied = copy.deepcopy(made)
    (back,) = made.regrow(())
    assert torch.equal(answer(made), before) and made.lineage == ()
    assert {name: value.shape for name, value in made.state_dict().items()} == {n: v.shape for n, v in state.items()}
    assert back.index_map.axes["node_body.layers.1.weight"] == {0: (0, 1, 2, 3, 4, 5)}
    with pytest.raises(GraphError, match="only the last 0 can be taken back"):
        copied.regrow(())


def test_what_stands_in_the_way_is_named() -> None:
    normed = model(nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6)))
    with pytest.raises(GraphError, match=r"'body\.1' \(torch\.nn\.LayerNorm\) normalizes over them, so that its"):
        normed.grow(Widen("body", 2.0))
    with pytest.raises(GraphError, match="'out': they are the model's output 'out'"):
        normed.grow(Widen("out", 2.0))
    with pytest.raises(GraphError, match="there is no node 'boddy'"):
        normed.grow(Widen("boddy", 2.0))
    with pytest.raises(GraphError, match="'body' makes no units"):
        model(nn.ReLU()).grow(Widen("body", 2.0))
    with pytest.raises(GraphError, match="expected a factor above 1"):
        Widen("body", 1.0)
    with pytest.raises(GraphError, match="expected a factor between 0 and 1"):
        Shrink("body", 1.0)
    task = {"kind": Task(kind="multiclass", output="out", target="y")}
    nodes = {"body": Node(nn.Linear(4, 6), "x"), "out": Node(nn.Linear(6, 2), "body")}
    tasked = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=nodes, tasks=task)
    with pytest.raises(GraphError, match="of 'out': they are the output of task 'kind'"):
        tasked.grow(Widen("out", 2.0))


class Sly(nn.Module):
    """Reads its weights in a way that no call shows."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 6)
        self.next = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The next layer's output, and a number that depends on how many weights there are."""
        return self.next(self.layer(x)) + self.layer.weight.shape[0]


def test_a_surgery_that_would_change_an_output_is_not_done() -> None:
    made = model(Sly())
    before, names = answer(made), {name: p.shape for name, p in made.named_parameters()}
    with pytest.raises(GraphError, match="'body' would not be what it was; its numbers would change by 6"):
        made.grow(Widen("body.layer", 2.0))
    assert torch.equal(answer(made), before) and made.lineage == ()
    assert {name: p.shape for name, p in made.named_parameters()} == names
