"""Nodes that take two rows and not three are found when the model is built, and told by name."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor, nn

from jumpml.core import GraphError, Task


class View(nn.Module):
    """Two rows, always."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(2, -1)


class Memory(nn.Module):
    """A number of its own for each of two rows."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = nn.Parameter(torch.zeros(2, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.memory


class Pairs(nn.Module):
    """An even number of rows."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0] // 2, 2, *x.shape[1:]).flip(1).reshape(x.shape)


class Loop(nn.Module):
    """Walks over rows, and over the values of one: any number will do."""

    def forward(self, x: Tensor) -> Tensor:
        rows = [torch.stack([x[row, column] for column in range(x.shape[1])]) for row in range(x.shape[0])]
        return torch.stack(rows)


class Branch(nn.Module):
    """Asks for a value."""

    def forward(self, x: Tensor) -> Tensor:
        return x if float(x.sum()) > 0 else -x


class Foreign(nn.Module):
    """Another library's: it knows tensors by their memory."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.from_numpy(x.numpy() + 1)


class BranchOnView(nn.Module):
    """Needs values, and two rows."""

    def forward(self, x: Tensor) -> Tensor:
        return x if bool(x.isnan().any()) else x.reshape(2, -1)


def told(node: str, module: type, middle: str) -> str:
    end = "With 2 rows it passes: does it hold the number of rows fixed, as in x.view(2, -1)?"
    return f"node {node!r}: {module.__module__}.{module.__qualname__} {middle} {end}"


@pytest.mark.parametrize(
    ("module", "middle"),
    [
        (View(), "turns 3 rows into [2, 6] float32: the batch must stay the first axis of its output."),
        (
            Memory(),
            "fails on inner [batch, 4] float32. In a pass of 3 rows, RuntimeError: The size of tensor a (3) must match "
            "the size of tensor b (2) at non-singleton dimension 0.",
        ),
        (
            Pairs(),
            "fails on inner [batch, 4] float32. In a pass of 3 rows, RuntimeError: shape '[1, 2, 4]' is invalid for "
            "input of size 12.",
        ),
        (BranchOnView(), "turns 3 rows into [2, 6] float32: the batch must stay the first axis of its output."),
    ],
)
def test_a_node_that_holds_the_number_of_rows_fixed_is_named(make, module, middle):
    nodes = {"first": (nn.Linear(4, 4), "x"), "inner": (nn.Tanh(), "first"), "bad": (module, "inner")}
    with pytest.raises(GraphError, match=f"^{re.escape(told('bad', type(module), middle))}$"):
        make({**nodes, "last": (nn.Identity(), "bad")})


@pytest.mark.parametrize("module", [Loop(), Branch(), Foreign(), nn.Sequential(Branch(), Loop(), nn.Linear(4, 4))])
def test_a_node_that_takes_any_number_is_taken(make, module):
    model = make({"good": (module, "x"), "out": (nn.Linear(4, 2), "good")})
    x = torch.rand(7, 4)
    assert torch.equal(model({"x": x}, ["out"])["out"], model.node("out")(module(x)))


def test_a_task_whose_output_grows_with_the_batch_is_named(make):
    class Alike(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x @ x.T

    tasks = {"kind": Task(kind="multiclass", output="alike", target="y")}
    text = "task 'kind': 'alike' is [batch, 2] float32, and [batch, 3] float32 in a batch of 3."
    with pytest.raises(GraphError, match=f"^{re.escape(text)}$"):
        make({"alike": (Alike(), "x")}, tasks=tasks)
