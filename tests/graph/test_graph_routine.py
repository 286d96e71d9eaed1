"""A plan written out as one function: any name and any key goes, nothing is kept, copies and pickles run."""

from __future__ import annotations

import copy
import enum
import gc
import keyword
import pickle
import weakref
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from jumpml.core import GraphError, ValueInfo
from jumpml.graph import Model, Node

AWKWARD = ["'", '"""', "\\", "a\nb", "{x}", "%s", "ﬁ", "v0", "modules", "None", "no_grad", "\ud800", "__import__('os')"]


class Part(enum.Enum):
    FIRST = "first"
    SECOND = "second"


class Parts(nn.Module):
    """A dict with keys of several types."""

    def forward(self, x: Tensor) -> dict[Any, Tensor]:
        return {"a": x, 1: x + 1, Part.FIRST: x + 2, "it's": x + 4}


class Named(nn.Module):
    """Any arguments, by name; adds them up with weights by their order."""

    def forward(self, **named: Tensor) -> Tensor:
        return torch.stack([(place + 1) * value for place, value in enumerate(named.values())]).sum(0)


def model_of(nodes: dict[str, Node], *fields: str) -> Model:
    return Model(inputs={name: ValueInfo(shape=(4,)) for name in fields}, nodes=nodes)


@pytest.mark.parametrize("name", AWKWARD)
def test_any_field_and_node_is_only_a_name(name):
    model = model_of({f"{name}!": Node(nn.Linear(4, 4), name)}, name)
    x = torch.randn(2, 4)
    assert torch.equal(model({name: x}, [f"{name}!"])[f"{name}!"], model.node(f"{name}!")(x))
    with pytest.raises(GraphError) as caught:
        model({"other": x}, [f"{name}!"])
    assert str(caught.value) == f"the batch lacks {name!r}; it holds: other."


@given(
    st.lists(st.text(min_size=1, max_size=8).filter(lambda name: name != "self"), min_size=1, max_size=5, unique=True)
)
def test_any_argument_is_given_by_its_name(arguments):
    check_arguments(arguments)


@pytest.mark.parametrize("argument", [*AWKWARD, *keyword.kwlist[:4], "self_", "é"])
def test_awkward_arguments_are_given_by_their_names(argument):
    check_arguments([argument, "other"])


def check_arguments(arguments: list[str]) -> None:
    fields = [f"field {place}" for place in range(len(arguments))]
    model = model_of({"sum": Node(Named(), dict(zip(arguments, fields, strict=True)))}, *fields)
    batch = {name: torch.randn(2, 4) for name in fields}
    expected = model.node("sum")(**dict(zip(arguments, batch.values(), strict=True)))
    assert torch.equal(model(batch, ["sum"])["sum"], expected)


def test_parts_are_picked_by_keys_of_any_type():
    names = ["parts.a", "parts.1", "parts.Part.FIRST", "parts.it's"]
    model = model_of({"parts": Node(Parts(), "x"), "sum": Node(Named(), {"a": "parts.a", "b": "parts.it's"})}, "x")
    x = torch.zeros(2, 4)
    values = model({"x": x}, names)
    assert [float(values[name][0, 0]) for name in names] == [0.0, 1.0, 2.0, 4.0]
    assert torch.equal(model({"x": x}, ["sum"])["sum"], torch.full((2, 4), 8.0))


def test_a_key_error_within_a_module_stays_its_own():
    class Lookup(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return {True: x}[x.shape[0] > 1]

    model = model_of({"lookup": Node(Lookup(), "x")}, "x")
    with pytest.raises(KeyError) as caught:
        model({"x": torch.zeros(1, 4)}, ["lookup"])
    [note] = caught.value.__notes__
    assert note.startswith("in node 'lookup'")
    assert note.endswith("which was given x [1, 4] float32")


def test_a_batch_of_the_wrong_type_is_no_missing_field():
    model = model_of({"a": Node(nn.Identity(), "x")}, "x")
    plan = model.plan(["a"], ["x"])
    with pytest.raises(TypeError):
        plan(3)  # type: ignore[arg-type]


class Watched(nn.Module):
    """Notes what it gives, without keeping it."""

    def __init__(self, seen: list[weakref.ref[Tensor]]) -> None:
        super().__init__()
        self.seen = seen

    def forward(self, x: Tensor) -> Tensor:
        alive = [given() is not None for given in self.seen]
        self.alive = sum(alive)
        y = x + 1
        self.seen.append(weakref.ref(y))
        return y


def test_without_gradient_a_value_goes_when_nothing_reads_it_any_more():
    seen: list[weakref.ref[Tensor]] = []
    modules = [Watched(seen) for _ in range(6)]
    nodes = {f"n{place}": Node(module, f"n{place - 1}" if place else "x") for place, module in enumerate(modules)}
    model = model_of(nodes, "x")
    seen.clear()
    gc.collect()
    with torch.no_grad():
        out = model({"x": torch.zeros(2, 4)}, ["n5", "n1"])
    assert list(out) == ["n5", "n1"]
    assert [module.alive for module in modules] == [0, 1, 1, 2, 2, 2]  # its input, and n1, which is asked for


def test_hooks_of_modules_are_called(make):
    model = make({"a": (nn.Linear(4, 4), "x"), "b": (nn.Linear(4, 4), "a")})
    called: list[str] = []
    for name in model.node_names:
        model.node(name).register_forward_hook(lambda *_, name=name: called.append(name))
    model({"x": torch.zeros(2, 4)}, ["b"])
    assert called == ["a", "b"]


def test_plans_copy_and_pickle(make):
    model = make({"a": (nn.Linear(4, 4), "x"), "b": (nn.Linear(4, 4), "a")})
    batch = {"x": torch.randn(2, 4)}
    plan = model.plan(["b"], ["x"])
    other = pickle.loads(pickle.dumps(plan))
    assert torch.equal(other(batch)["b"], plan(batch)["b"])
    whole, copied = copy.deepcopy((model, plan))
    with torch.no_grad():
        whole.get_parameter("node_b.bias").add_(1)
    torch.testing.assert_close(copied(batch)["b"], plan(batch)["b"] + 1)  # a plan goes with its model


def test_equal_plans_share_their_code(make):
    nodes = {"a": (nn.Linear(4, 4), "x"), "b": (nn.Linear(4, 4), "a")}
    first, second = make(nodes).plan(["b"], ["x"]), make(nodes).plan(["b"], ["x"])
    codes = [plan._routine._run.__code__ for plan in (first, second)]
    assert codes[0] is codes[1]
