"""Shape inference: what it makes real, what it leaves alone, and how it says what does not fit."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor, nn

from jumpml.blocks import MLP, Concat, ConvEncoder, Head
from jumpml.core import GraphError, ValueInfo

IMAGE = {"image": ValueInfo(shape=(1, 8, 8))}


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x[:, :1]


class Named(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"code": x[:, :2], "mean": x.mean(), "last.state": x}


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(0)


class Nothing(nn.Module):
    def forward(self, x: Tensor) -> None:
        return None


class Counts(nn.Module):
    """Changes a buffer even in evaluation mode, and draws."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.get_buffer("calls").add_(1)
        return x + torch.rand(())


def fails(text: str):
    return pytest.raises(GraphError, match=f"^{re.escape(text)}$")


def test_lazy_modules_become_real_and_shapes_are_known(make):
    model = make({"encoder": (ConvEncoder([8, 16]), "image"), "digit": (Head(10), "encoder")}, inputs=IMAGE)
    assert type(model.node("digit")) is nn.Linear
    assert model.values == {
        "image": ValueInfo(shape=(1, 8, 8)),
        "encoder": ValueInfo(shape=(16,)),
        "digit": ValueInfo(shape=(10,)),
    }
    assert {p.device.type for p in model.parameters()} == {"cpu"}


def test_integers_flow(make):
    model = make({"e": (nn.Embedding(5, 3), "code")}, inputs={"code": ValueInfo(shape=(), dtype="int64")})
    assert model.values["e"] == ValueInfo(shape=(3,))


def test_the_pass_feeds_no_singular_matrix(make):
    class Whiten(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.inv(x)

    assert make({"w": (Whiten(), "x")}, inputs={"x": ValueInfo(shape=(3, 3))}).values["w"].shape == (3, 3)


def test_parts_of_tuples_and_dicts(make):
    nodes = {
        "pair": (Pair(), "x"),
        "named": (Named(), "pair.0"),
        "out": (Concat(), ["pair.1", "named.code", "named.last.state"]),
    }
    model = make(nodes)
    shapes = {name: value.shape for name, value in model.values.items()}
    # "named.mean" is a single number and so no value: it has no rows
    assert shapes == {
        "x": (4,), "pair.0": (4,), "pair.1": (1,), "named.code": (2,), "named.last.state": (4,), "out": (7,)
    }  # fmt: skip
    x = torch.randn(3, 4)
    assert torch.equal(model({"x": x}, ["out"])["out"], torch.cat([x[:, :1], x[:, :2], x], 1))


def test_a_module_may_read_a_whole_tuple(make):
    class First(nn.Module):
        def forward(self, pair: tuple[Tensor, Tensor]) -> Tensor:
            return pair[0]

    assert make({"pair": (Pair(), "x"), "first": (First(), "pair")}).values["first"].shape == (4,)


def test_the_pass_leaves_no_trace(make):
    norm, counts, drop = nn.BatchNorm1d(4), Counts(), nn.Dropout(0.5)
    norm.eval()
    before = torch.get_rng_state()
    make({"norm": (norm, "x"), "counts": (counts, "norm"), "drop": (drop, "counts")})
    assert torch.equal(torch.get_rng_state(), before)
    assert norm.num_batches_tracked == 0
    assert torch.equal(norm.get_buffer("running_mean"), torch.zeros(4))
    assert counts.get_buffer("calls") == 0
    assert (norm.training, drop.training) == (False, True)
    assert all(p.grad is None and p.requires_grad for p in norm.parameters())


def test_nodes_that_cannot_train_on_one_row_are_known(make):
    norm, wide = nn.BatchNorm1d(4), nn.Sequential(nn.Unflatten(1, (2, 2)), nn.BatchNorm1d(2))
    nodes = {"norm": (norm, "x"), "wide": (wide, "x"), "inner": (nn.Sequential(nn.LazyBatchNorm1d()), "norm")}
    assert make(nodes).need_two_rows == {"norm", "inner"}
    assert not norm._forward_pre_hooks, "the pass takes its hooks along"


def test_the_pass_leaves_no_trace_where_it_fails(make):
    encoder = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(5, 1))
    before = torch.get_rng_state()
    with pytest.raises(GraphError):
        make({"encoder": (encoder, "x")})
    assert encoder[0].num_batches_tracked == 0
    assert encoder.training
    assert torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), before)


def test_lazy_weights_follow_the_seed_and_the_name_alone(make):
    def weights(names: list[str], seed: int) -> dict[str, Tensor]:
        model = make({name: (MLP([3]), "x") for name in names}, seed=seed)
        return {name: model.node(name).layers[1].weight for name in names}

    before = torch.get_rng_state()
    first, second, other = weights(["a", "b"], 0), weights(["new", "b", "a"], 0), weights(["a", "b"], 1)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in "ab")
    assert not torch.equal(first["a"], first["b"])
    assert not torch.equal(first["a"], other["a"])


def test_lazy_weights_without_a_seed_are_drawn_as_in_plain_pytorch(make):
    torch.manual_seed(3)
    model = make({"a": (MLP([3, 2]), "x")})
    torch.manual_seed(3)
    plain = MLP([3, 2])
    plain(torch.zeros(2, 4))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), plain.parameters(), strict=True))


def test_an_objectives_own_parameters_follow_the_seed(make, sum_of):
    def scale(seed: int, name: str = "o") -> Tensor:
        model = make({"a": (nn.Identity(), "x")}, objectives={name: sum_of("a")}, seed=seed)
        return model.get_parameter(f"objective_{name}.scale")

    before = torch.get_rng_state()
    assert torch.equal(scale(0), scale(0))
    assert not torch.equal(scale(0), scale(1))
    assert not torch.equal(scale(0), scale(0, "other"))
    assert torch.equal(torch.get_rng_state(), before)


def test_linear_that_does_not_fit(make):
    text = (
        "node 'digit': torch.nn.Linear fails on body [batch, 3] float32. In a pass of 2 rows, RuntimeError: mat1 and "
        "mat2 shapes cannot be multiplied (2x3 and 5x10). It has in_features=5, and is given 3 along the last axis: "
        "make them equal."
    )
    with fails(text):
        make({"body": (nn.Linear(4, 3), "x"), "digit": (nn.Linear(5, 10), "body")})


def test_whole_numbers_into_a_linear_layer(make):
    end = "It reads floating point numbers, and is given int64: embed or one-hot a category first."
    with pytest.raises(GraphError, match=f"{re.escape(end)}$"):
        make({"n": (nn.Linear(1, 1), "x")}, inputs={"x": ValueInfo(shape=(1,), dtype="int64")})


def test_two_inputs_for_a_module_that_takes_one(make):
    text = (
        "node 'n': torch.nn.Linear fails on x [batch, 4] float32, x [batch, 4] float32. In a pass of 2 rows, "
        "TypeError: Linear.forward() takes 2 positional arguments but 3 were given. Its forward takes (input). To "
        "give it several values as one, put a jumpml.blocks.Concat node before it."
    )
    with fails(text):
        make({"n": (nn.Linear(4, 1), ["x", "x"])})


def test_a_mapping_with_a_wrong_name(make):
    text = (
        "node 'n': torch.nn.Linear fails on x [batch, 4] float32. In a pass of 2 rows, TypeError: Linear.forward() "
        "got an unexpected keyword argument 'image'. Its forward takes (input)."
    )
    with fails(text):
        make({"n": (nn.Linear(4, 1), {"image": "x"})})


def test_a_tuple_where_a_tensor_is_wanted(make):
    end = "An input that is a tuple or dict has parts: read one of them, as in 'node.0' or 'node.key'."
    with pytest.raises(GraphError, match=rf"fails on pair a tuple of 2\. .*{re.escape(end)}$"):
        make({"pair": (Pair(), "x"), "n": (nn.Linear(4, 1), "pair")})
    with pytest.raises(GraphError, match=rf"fails on named a dict of code, mean, last\.state\. .*{re.escape(end)}$"):
        make({"named": (Named(), "x"), "n": (nn.Linear(4, 1), "named")})


def test_outputs_that_are_no_values(make):
    text = (
        "node 'n': test_graph_shapes.Mean turns 2 rows into [4] float32: the batch must stay the first axis of its "
        "output. Does the module average over rows, or does it want batch_first=True?"
    )
    with fails(text.replace("test_graph_shapes", Mean.__module__)):
        make({"n": (Mean(), "x")})
    text = f"node 'n': {Mean.__module__}.Nothing returns nothing (None); expected a tensor, or a tuple or dict of them."
    with fails(text):
        make({"n": (Nothing(), "x")})


def test_parts_that_do_not_exist(make):
    where = Mean.__module__
    cases = {
        "pair.2": f"node 'pair' ({where}.Pair) has no part '2'. There is: 0, 1.",
        "named.cod": f"node 'named' ({where}.Named) has no part 'cod'. Did you mean 'code'?",
        "named.mean": (
            f"that part of node 'named' ({where}.Named) is [] float32. A value is one tensor with the batch as its "
            f"first axis."
        ),
        "plain.0": "node 'plain' (torch.nn.Identity) gives one tensor, [batch, 4] float32. Read 'plain'.",
    }
    nodes = {"pair": (Pair(), "x"), "named": (Named(), "x"), "plain": (nn.Identity(), "x")}
    for reference, text in cases.items():
        with fails(f"node 'n': reads {reference!r}, but {text}"):
            make({**nodes, "n": (nn.Identity(), reference)})


def test_tasks_and_objectives_read_one_tensor(make, sum_of):
    where = Mean.__module__
    text = f"objective 'o': reads 'pair', but node 'pair' ({where}.Pair) gives 2 values. Pick one: pair.0, pair.1."
    with fails(text):
        make({"pair": (Pair(), "x")}, objectives={"o": sum_of("pair")})
    model = make({"pair": (Pair(), "x")}, objectives={"o": sum_of("pair.1")})
    assert model.objectives["o"].connected == [ValueInfo(shape=(1,))]


def test_an_objective_that_does_not_fit_is_named(make):
    from jumpml.core import ObjectiveError
    from jumpml.objectives import CrossEntropy

    with pytest.raises(
        ObjectiveError, match=r"^objective 'o': CrossEntropy: expected logits as .*; 'a' is \[batch, 1\]"
    ):
        make({"a": (nn.Linear(4, 1), "x")}, objectives={"o": CrossEntropy(("a", "y"))})
