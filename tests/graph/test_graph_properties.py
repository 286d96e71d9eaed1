"""Random graphs: a plan computes what a naive walk computes, runs no node too much, and forgets the order of nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from jumpml.core import Loss, ValueInfo
from jumpml.graph import Model, Node

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

FIELDS = ("f0", "f1", "f2")
INPUTS = {name: ValueInfo(shape=(3,)) for name in FIELDS}
Reads = dict[str, list[str]]


class Mix(nn.Module):
    """A different function for every number; gives a tuple, a dict or a tensor; counts its calls."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number, self.calls = number, 0
        self.gain = nn.Parameter(torch.tensor(1.0 + number / 7))

    def forward(self, *inputs: Tensor) -> Any:
        self.calls += 1
        mixed = sum((torch.sin(value * (place + 1)) for place, value in enumerate(inputs)), torch.zeros(()))
        return pack(self.number, mixed * self.gain)


def pack(number: int, value: Tensor) -> Any:
    return (value, {"a": value, "b": -value}, (value, -value))[number % 3]


def part(number: int, second: bool) -> str:
    return ("", (".a", ".b")[second], (".0", ".1")[second])[number % 3]


@st.composite
def graphs(draw: st.DrawFn) -> Reads:
    """Up to seven nodes, each of which reads one to three fields or parts of earlier nodes."""
    reads: Reads = {}
    for number in range(draw(st.integers(1, 7))):
        earlier = [*FIELDS, *(f"n{n}{part(n, second)}" for n in range(number) for second in (False, True))]
        reads[f"n{number}"] = draw(st.lists(st.sampled_from(earlier), min_size=1, max_size=3))
    return reads


def number_of(node: str) -> int:
    return int(node[1:])


def naive(reference: str, reads: Reads, batch: Mapping[str, Tensor], draw: str | None) -> Tensor:
    """The value by plain recursion, each node anew."""
    name, _, piece = reference.partition(".")
    if name in FIELDS:
        return batch.get(f"{name}@{draw}", batch[name])
    output = Mix(number_of(name))(*(naive(read, reads, batch, draw) for read in reads[name]))
    return output if not piece else output[int(piece) if piece.isdigit() else piece]


def behind(references: Collection[str], reads: Reads) -> set[str]:
    """All fields and nodes that references depend on, themselves included."""
    names = {reference.partition(".")[0] for reference in references}
    return names.union(*(behind(reads[name], reads) for name in names if name in reads))


def build(reads: Reads, **rest: Any) -> Model:
    nodes = {name: Node(Mix(number_of(name)), read) for name, read in reads.items()}
    model = Model(inputs=INPUTS, nodes=nodes, **rest)
    for name in nodes:
        mix(model, name).calls = 0
    return model


def mix(model: Model, name: str) -> Mix:
    module = model.node(name)
    if not isinstance(module, Mix):
        pytest.fail("not ours")
    return module


def last(reads: Reads, second: bool) -> str:
    name = list(reads)[-1]
    return name + part(number_of(name), second)


class Both(nn.Module):
    """An objective that keeps what it is given."""

    weight, parameters_of, when, per_example = 1.0, (), ("all",), True
    schedule, draws, differentiates = None, 2, ()

    def __init__(self, inputs: tuple[str, ...], views: tuple[str, ...]) -> None:
        super().__init__()
        self.inputs, self.views = inputs, views

    def connect(self, values: object, parameters: object) -> None: ...

    def forward(self, *inputs: Tensor, present: Tensor | None = None) -> Loss:
        self.given = inputs
        return Loss(sum((value.sum(1) for value in inputs), torch.zeros(())), present)


def batches(draws: Collection[str] = (), touched: Collection[str] = ()) -> dict[str, Tensor]:
    keys = [*FIELDS, *(f"{name}@{draw}" for name in touched for draw in draws)]
    return {key: torch.randn(4, 3, generator=torch.Generator().manual_seed(i)) for i, key in enumerate(keys)}


def assert_runs(model: Model, expected: Mapping[str, int]) -> None:
    """Every node ran so many times, and every other not at all."""
    assert {name: mix(model, name).calls for name in model.node_names if mix(model, name).calls} == expected


def test_assert_runs_can_fail():
    model = build({"n0": ["f0"]})
    model(batches(), ["n0"])
    assert_runs(model, {"n0": 1})
    with pytest.raises(AssertionError):
        assert_runs(model, {})


@settings(max_examples=60, deadline=None)
@given(graphs(), st.booleans(), st.randoms(use_true_random=False))
def test_a_plan_is_a_naive_walk(reads, second, random):
    wanted, batch = last(reads, second), batches()
    model = build(reads)
    got = model.plan([wanted], FIELDS)(batch)[wanted]
    assert torch.equal(got, naive(wanted, reads, batch, None))
    needed = behind([wanted], reads)
    assert_runs(model, dict.fromkeys(needed & reads.keys(), 1))
    assert set(model.plan([wanted], FIELDS).fields) == needed & set(FIELDS)
    assert model.ancestors(wanted) | {wanted.partition(".")[0]} == model.behind([wanted]) == needed
    names = list(reads)
    random.shuffle(names)
    permuted = build({name: reads[name] for name in names})
    assert torch.equal(permuted(batch, [wanted])[wanted], got)


@settings(max_examples=60, deadline=None)
@given(graphs(), st.booleans(), st.sets(st.sampled_from(FIELDS)), st.sets(st.integers(0, 6)))
def test_views_and_freezing_change_no_value(reads, second, touched, trained):
    wanted = last(reads, second)
    depends = behind([wanted], reads)
    touched = touched | {next(name for name in FIELDS if name in depends)}
    draws = ("weak.0", "strong.0")
    batch = batches(draws, touched)
    objective = Both((wanted,), ("weak", "strong"))
    model = build(reads, objectives={"o": objective})
    model.train_only([name for name in reads if number_of(name) in trained])
    plan = model.plan_losses("any", batch)
    _, values = plan(batch)
    for draw, given_ in zip(draws, objective.given, strict=True):
        assert torch.equal(given_, naive(wanted, reads, batch, draw))
    moved = {name for name in depends & reads.keys() if behind([name], reads) & touched}
    assert_runs(model, {name: 2 if name in moved else 1 for name in depends & reads.keys()})
    for key, value in values.items():
        reference, _, draw = key.partition("@")
        assert torch.equal(value, naive(reference, reads, batch, draw or None))
    frozen = {name for name in reads if number_of(name) not in trained}
    alone = {name for name in frozen if behind([name], reads) & reads.keys() <= frozen}
    assert all(
        value.requires_grad != (key.partition("@")[0].partition(".")[0] in alone) for key, value in values.items()
    )
