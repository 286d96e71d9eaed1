"""What a node's error says: the node, what it was given and by whom, what torch said, and what would fit."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor, nn

from jumpml.blocks import ConvEncoder
from jumpml.core import GraphError, ValueInfo

EQUAL = "make them equal."


def layer(dims: int = 8) -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(dims, 2, 16, batch_first=True)


@pytest.mark.parametrize(
    ("module", "shape", "end"),
    [
        (nn.Linear(5, 2), (4,), f"It has in_features=5, and is given 4 along the last axis: {EQUAL}"),
        (nn.Conv2d(3, 4, 3), (1, 8, 8), f"It has in_channels=3, and is given 1 along the second axis: {EQUAL}"),
        (
            nn.ConvTranspose2d(3, 4, 3),
            (1, 8, 8),
            f"It has in_channels=3, and is given 1 along the second axis: {EQUAL}",
        ),
        (nn.Conv2d(1, 4, 3), (9,), "It reads [batch, channels, height, width], and is given 2 axes."),
        (nn.Conv1d(1, 4, 3), (9, 1, 1), "It reads [batch, channels, length], and is given 4 axes."),
        (nn.Conv3d(1, 4, 3), (1, 9, 9), "It reads [batch, channels, depth, height, width], and is given 4 axes."),
        (nn.BatchNorm1d(3), (4,), f"It has num_features=3, and is given 4 along the second axis: {EQUAL}"),
        (nn.BatchNorm2d(3), (3, 4), "It reads [batch, channels, height, width], and is given 3 axes."),
        (
            nn.InstanceNorm1d(3, affine=True),
            (4, 5),
            f"has num_features=3, and is given 4 along the second axis: {EQUAL}",
        ),
        (nn.GroupNorm(2, 4), (6, 3), f"It has num_channels=4, and is given 6 along the second axis: {EQUAL}"),
        (nn.LayerNorm([3]), (4,), "It has normalized_shape=[3], and is given rows of [4]."),
        (nn.RMSNorm([3]), (4,), "It has normalized_shape=[3], and is given rows of [4]."),
        (nn.PReLU(3), (4,), f"It has num_parameters=3, and is given 4 along the second axis: {EQUAL}"),
        (nn.LSTM(3, 2, batch_first=True), (5, 4), f"has input_size=3, and is given 4 along the last axis: {EQUAL}"),
        (nn.GRU(3, 2, batch_first=True), (5, 4), f"It has input_size=3, and is given 4 along the last axis: {EQUAL}"),
        (
            nn.GRU(3, 2, batch_first=True),
            (5, 4, 3),
            "It reads [batch, steps, features], and is given 4 axes.",
        ),
        (nn.GRUCell(3, 2), (4,), f"It has input_size=3, and is given 4 along the last axis: {EQUAL}"),
        (layer(), (5, 6), f"It has d_model=8, and is given 6 along the last axis: {EQUAL}"),
        (
            nn.TransformerEncoder(layer(), 2),
            (5, 6),
            f"Its torch.nn.TransformerEncoderLayer has d_model=8, and is given 6 along the last axis: {EQUAL}",
        ),
        (nn.MaxPool2d(2), (4,), "tensor expected for input."),  # what torch says must do
        (nn.Embedding(5, 2), (), "It reads int64 codes below 5, and is given float32."),
        (nn.EmbeddingBag(5, 2), (3,), "It reads int64 codes below 5, and is given float32."),
        (ConvEncoder([4]), (4,), "ConvEncoder reads pictures [batch, channels, height, width]; got [2, 4]."),
        (
            nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(2, 1)),
            (4,),
            f"Its torch.nn.Linear has in_features=2, and is given 3 along the last axis: {EQUAL}",
        ),
    ],
)
def test_what_would_fit(make, module, shape, end):
    with pytest.raises(GraphError, match=f"{re.escape(end)}$"):
        make({"n": (module, "x")}, inputs={"x": ValueInfo(shape=shape)})


@pytest.mark.parametrize(
    ("module", "shapes", "end"),
    [
        (nn.Bilinear(4, 3, 2), [(5,), (3,)], f"It has in1_features=4, and is given 5 along the last axis: {EQUAL}"),
        (
            nn.Bilinear(4, 3, 2),
            [(4,), (4,)],
            f"It has in2_features=3, and is given 4 along the last axis of its input2: {EQUAL}",
        ),
        (
            nn.MultiheadAttention(8, 2, batch_first=True),
            [(5, 6), (5, 8), (5, 8)],
            f"It has embed_dim=8, and is given 6 along the last axis: {EQUAL}",
        ),
        (
            nn.MultiheadAttention(8, 2, kdim=8, vdim=6, batch_first=True),
            [(5, 8), (5, 8), (5, 8)],
            f"It has vdim=6, and is given 8 along the last axis of its value: {EQUAL}",
        ),
        (
            nn.TransformerDecoderLayer(8, 2, 16, batch_first=True),
            [(5, 8), (5, 6)],
            f"Its torch.nn.MultiheadAttention has kdim=8, and is given 6 along the last axis of its key: {EQUAL}",
        ),
    ],
)
def test_what_would_fit_of_several_inputs(make, module, shapes, end):
    inputs = {f"x{place}": ValueInfo(shape=shape) for place, shape in enumerate(shapes)}
    with pytest.raises(GraphError, match=f"{re.escape(end)}$"):
        make({"n": (module, list(inputs))}, inputs=inputs)


def test_other_types(make):
    for dtype, end in {
        "int64": "It reads floating point numbers, and is given int64: embed or one-hot a category first.",
        "float64": (
            "It has weights of float32, and is given float64: the model and what it reads must be of one type."
        ),
    }.items():
        with pytest.raises(GraphError, match=f"{re.escape(end)}$"):
            make({"n": (nn.Linear(1, 1), "x")}, inputs={"x": ValueInfo(shape=(1,), dtype=dtype)})


def test_a_module_of_ones_own_is_told_nothing_false(make):
    class Codes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("only on Sundays")

    with pytest.raises(GraphError, match=r"In a pass of 2 rows, ValueError: only on Sundays\.$"):
        make({"n": (Codes(), "x")}, inputs={"x": ValueInfo(shape=(3,), dtype="int64")})


def test_three_nodes_deep(make):
    """The error names the node that fails, what it was given and by whom."""
    nodes = {
        "series": (nn.LSTM(4, 6, batch_first=True, bidirectional=True), "x"),
        "mixed": (nn.TransformerEncoder(layer(12), 1), "series.0"),
        "pooled": (nn.Flatten(), "mixed"),
        "out": (nn.Bilinear(60, 5, 2), {"input1": "pooled", "input2": "z"}),
    }
    inputs = {"x": ValueInfo(shape=(5, 4)), "z": ValueInfo(shape=(3,))}
    text = (
        "node 'out': torch.nn.Bilinear fails on pooled [batch, 60] float32, z [batch, 3] float32. In a pass of 2 rows, "
        "RuntimeError: bilinear(): input2 size does not match weight size: got 3 but expected 5. It has "
        f"in2_features=5, and is given 3 along the last axis of its input2: {EQUAL}"
    )
    with pytest.raises(GraphError, match=f"^{re.escape(text)}$"):
        make(nodes, inputs=inputs)


@pytest.mark.parametrize(
    ("module", "reads"),
    [
        (nn.LSTM(4, 2), 1),
        (nn.GRU(4, 2), 1),
        (nn.Sequential(nn.RNN(4, 2)), 1),
        (nn.MultiheadAttention(4, 2), 3),
        (nn.TransformerEncoderLayer(4, 2, 8), 1),
        (nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), 1, enable_nested_tensor=False), 1),
        (nn.TransformerDecoderLayer(4, 2, 8), 2),
    ],
)
def test_a_layer_that_would_mix_the_rows_is_refused(make, module, reads):
    first = module[0] if isinstance(module, nn.Sequential) else module
    text = (
        f"node 'n': torch.nn.{type(first).__name__} reads [steps, batch, features], and would take the rows of a batch "
        "for the steps of a series. Give it batch_first: true (batch_first=True)."
    )
    with pytest.raises(GraphError, match=f"^{re.escape(text)}$"):
        make({"n": (module, ["x"] * reads)}, inputs={"x": ValueInfo(shape=(5, 4))})


def test_a_layer_that_gets_rows_without_steps_is_refused(make):
    text = (
        "node 'n': torch.nn.GRU would take the rows of a batch for the steps of one series: it is given 2 axes. It "
        "reads [batch, steps, features]."
    )
    with pytest.raises(GraphError, match=f"^{re.escape(text)}$"):
        make({"n": (nn.GRU(4, 2, batch_first=True), "x")})


def test_rows_are_not_mixed_by_a_layer_within_a_module_of_ones_own(make):
    class StepsFirst(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.lstm(x.transpose(0, 1))[0].transpose(0, 1)

    model = make({"n": (StepsFirst(), "x")}, inputs={"x": ValueInfo(shape=(5, 4))})
    x = torch.rand(3, 5, 4)
    torch.testing.assert_close(model({"x": x}, ["n"])["n"][:1], model({"x": x[:1]}, ["n"])["n"])
