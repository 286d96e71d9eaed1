"""Test-time training and MEMO: what they do by values, on the draws that loaders serve, and what they refuse."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import jumpml
from jumpml.core import LearnerError, Task, ValueInfo
from jumpml.graph import Model, Node
from jumpml.learn import MEMO, TTT, AdaptationMethod, Adapted, Learner
from jumpml.objectives import CrossEntropy, Function, MeanSquaredError, VICReg

if TYPE_CHECKING:
    from collections.abc import Mapping

Batch = dict[str, Tensor]
AT_TEST = ("supervised", "test_time")


def model_of(**objectives: Any) -> Model:
    """An encoder with a decoder and a head; by default it can give back what it reads."""
    torch.manual_seed(0)
    nodes = {
        "encoder": Node(nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Dropout(0.5)), "x"),
        "decoder": Node(nn.Linear(6, 4), "encoder"),
        "out": Node(nn.Linear(6, 3), "encoder"),
    }
    return Model(
        inputs={"x": ValueInfo(shape=(4,))},
        nodes=nodes,
        tasks={"t": Task(kind="multiclass", output="out", target="y")},
        objectives=objectives or {"back": MeanSquaredError(("decoder", "x"), when=AT_TEST, weight=2.0)},
        seed=0,
    )


def batches_of(count: int = 3, rows: int = 8) -> list[Batch]:
    generator = torch.Generator().manual_seed(1)
    made = [torch.randn(rows, 4, generator=generator) for _ in range(count)]
    return [
        {"x": x, **{f"x@noise.{n}": x + 0.3 * torch.randn(rows, 4, generator=generator) for n in range(4)}}
        for x in made
    ]


def parameters(model: Model, *nodes: str) -> dict[str, Tensor]:
    return {f"{node}.{n}": p.detach() for node in nodes for n, p in model.node(node).named_parameters()}


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 3])
def test_test_time_training_goes_down_the_objective_and_leaves_the_head(steps: int) -> None:
    model, (batch,) = model_of(), batches_of(1)
    adapted = Adapted(model, TTT(lr=0.1, steps=steps), probe=None)
    outputs = adapted(batch)
    by_hand = copy.deepcopy(model).eval()
    encoder, decoder = by_hand.node("encoder"), by_hand.node("decoder")
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.1, momentum=0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        (2 * (decoder(encoder(batch["x"])) - batch["x"]).square().mean(1).mean()).backward()
        optimizer.step()
    nodes = ("encoder", "decoder", "out")
    torch.testing.assert_close(parameters(adapted.model, *nodes), parameters(by_hand, *nodes))
    torch.testing.assert_close(outputs["t"], by_hand(batch)["t"].detach())
    assert adapted.method.moved == [
        f"node_{node}.{name}" for node in ("encoder", "decoder") for name, _ in by_hand.node(node).named_parameters()
    ]


def test_only_the_nodes_that_are_named_move() -> None:
    model, (batch,) = model_of(), batches_of(1)
    adapted = Adapted(model, TTT(lr=0.1, nodes="encoder"), probe=None)
    adapted(batch)
    assert not torch.equal(adapted.model.node("encoder")[0].weight, model.node("encoder")[0].weight)  # type: ignore
    assert all(map(torch.equal, adapted.model.node("decoder").parameters(), model.node("decoder").parameters()))


def test_test_time_training_by_two_views() -> None:
    model, (batch,) = model_of(agree=VICReg("encoder", views="noise", projector=(5,), when=AT_TEST)), batches_of(1)
    method = TTT(lr=0.1)
    assert method.draws(model) == ("noise.0", "noise.1")
    adapted = Adapted(model, method, probe=None)
    adapted(batch)
    objective: Any = adapted.model.objectives["agree"]
    assert all(map(torch.equal, objective.parameters(), model.objectives["agree"].parameters()))  # type: ignore

    def loss(of: Model) -> Tensor:
        return of.losses(batch, "test_time")["agree"].detach()

    assert loss(adapted.model) < loss(copy.deepcopy(model).eval())


def test_memo_lowers_the_entropy_of_the_mean_over_draws() -> None:
    model, batches = model_of(), batches_of(2)
    adapted = Adapted(model, MEMO("noise", copies=3, lr=0.1), probe=None)
    outputs = [adapted(batch)["t"] for batch in batches]
    for batch, output in zip(batches, outputs, strict=True):  # each from the beginning
        by_hand = copy.deepcopy(model).eval()
        chances = torch.stack([by_hand({"x": batch[f"x@noise.{n}"]})["t"].softmax(1) for n in range(3)]).mean(0)
        moved = [*by_hand.node("encoder").parameters(), *by_hand.node("out").parameters()]
        gradients = torch.autograd.grad(-(chances * chances.log()).sum(1).mean(), moved)
        with torch.no_grad():
            for parameter, gradient in zip(moved, gradients, strict=True):
                parameter.sub_(0.1 * gradient)
        torch.testing.assert_close(output, by_hand(batch)["t"].detach())
    assert adapted.episodic


def test_what_an_objective_draws_is_a_function_of_the_seed() -> None:
    def noisy(decoded: Tensor, x: Tensor) -> Tensor:
        return (decoded - x * torch.rand_like(x)).square().mean(1)

    def adapted(seed: int) -> list[Tensor]:
        model = model_of(back=Function(noisy, ("decoder", "x"), when=AT_TEST))
        one = Adapted(model, TTT(lr=0.1), probe=None, seed=seed)
        return [one(batch)["t"] for batch in batches_of()]

    first, again, other = adapted(0), adapted(0), adapted(1)
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first[0], other[0])


METHODS: dict[str, AdaptationMethod] = {"ttt": TTT(lr=0.1), "memo": MEMO("noise", copies=4, lr=0.1, steps=2)}


@pytest.mark.parametrize("name", METHODS)
def test_a_state_goes_on_to_the_bit_and_the_model_stays(name: str) -> None:
    model, batches = model_of(), batches_of(4)
    before, stream = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    whole = Adapted(model, METHODS[name], probe=None)
    outputs = [whole(batch)["t"] for batch in batches]
    first, second = (Adapted(model, METHODS[name], probe=None) for _ in range(2))
    second.load_state_dict(first.adapt(batches[:2]).state_dict())
    assert all(torch.equal(second(b)["t"], o) for b, o in zip(batches[2:], outputs[2:], strict=True))
    without = Adapted(model, METHODS[name], probe=None)
    alike = [torch.equal(without(b)["t"], o) for b, o in zip(batches[2:], outputs[2:], strict=True)]
    assert alike == [name == "memo"] * 2
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(stream, torch.get_rng_state())


# --- a learner's ------------------------------------------------------------------------------------------------------

DIGITS: dict[str, Any] = {
    "datasets": {
        "digits": {
            "source": {"kind": "sklearn", "name": "digits"},
            "fields": {
                "image": {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]},
                "label": {"kind": "category", "column": "target"},
            },
            "split": {"train": 0.4, "val": 0.3, "test": 0.3, "stratify": "label"},
        }
    },
    "features": {"image": [{"standardize": {}}]},
    "views": {"strong": {"image": [{"rotate": {"degrees": 15}}, {"noise": {"std": 0.1}}]}},
    "batch_size": 64,
}
NET: dict[str, Any] = {
    "seed": 0,
    "nodes": {
        "flat": {"module": "torch.nn.Flatten", "inputs": "image"},
        "encoder": {"module": "jumpml.blocks.MLP", "inputs": "flat", "args": {"widths": [32, 16]}},
        "digit": {"module": "jumpml.blocks.Head", "inputs": "encoder"},
    },
    "tasks": {"digit": {"kind": "multiclass", "output": "digit", "target": "label"}},
    "objectives": {
        "agree": {
            "kind": "vicreg",
            "inputs": "encoder",
            "views": "strong",
            "projector": [8],
            "when": ["supervised", "test_time"],
        }
    },
}


@pytest.fixture(scope="module")
def learner() -> Learner:
    loaders = jumpml.create_dataloader(DIGITS)
    said = {"optimizer": {"lr": 0.01}, "phases": {"supervised": {"epochs": 4}}, "log": [], "checkpoint": None}
    made = jumpml.create_learner(loaders, jumpml.load_model(NET, loaders), None, said)
    made.fit()
    return made


@pytest.mark.parametrize("method", [TTT(lr=0.01), MEMO("strong", lr=0.01)], ids=lambda method: method.name)
def test_a_learner_serves_the_draws_and_repeats_them(learner: Learner, method: AdaptationMethod) -> None:
    before = learner.predict("test")["digit"].output
    first, again = (learner.predict("test", adapt=learner.adapt(method=method))["digit"].output for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, before)
    assert (first.argmax(1) == before.argmax(1)).float().mean() > 0.9
    adapted = learner.adapt(method=method)
    for batch in learner.loaders.val.plain(adapted.draws, number=1):
        adapted(batch)
    assert adapted.batches == len(learner.loaders.val)


def test_what_a_view_tells_is_served_where_only_test_time_asks() -> None:
    net = copy.deepcopy(NET)
    turned = {"kind": "pretext", "inputs": ["encoder", "image"], "views": "turned", "when": ["test_time"]}
    net["objectives"] = {"turned": turned}
    data = {**DIGITS, "views": {"turned": {"image": [{"quarter_turn": {}}]}}}
    loaders = jumpml.create_dataloader(data)
    model = jumpml.load_model(net, loaders)
    fresh = jumpml.create_learner(loaders, model, None, {"log": [], "checkpoint": None})
    adapted = fresh.adapt(method=TTT(lr=0.1))
    assert "image.answer@turned.0" in next(loaders.test.plain(adapted.draws))
    before, after = fresh.predict()["digit"].output, fresh.predict(adapt=adapted)["digit"].output
    assert not torch.equal(before, after)
    assert not any(name.startswith("objective") for name in adapted.method.moved)


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objectives", "method", "text"),
    [
        (
            {"none": MeanSquaredError(("decoder", "x"))},
            TTT(),
            "ttt: no objective is active at test time. Give",
        ),
        (
            {"ce": CrossEntropy(("out", "y"), when=("test_time",))},
            TTT(),
            "ttt: objective 'ce' reads the target 'y', which rows to predict do not have.",
        ),
        ({}, TTT(nodes="out"), "ttt: of out no node with parameters leads to back."),
        ({}, MEMO("noise", nodes="decoder"), "memo: of decoder no node with parameters leads to a task with classes."),
    ],
)
def test_a_method_that_does_not_suit_the_model_is_refused(
    objectives: Mapping[str, Any], method: AdaptationMethod, text: str
) -> None:
    with pytest.raises(LearnerError, match=text.replace(".", r"\.")):
        Adapted(model_of(**objectives), method)


def test_numbers_have_no_entropy() -> None:
    nodes = {"out": Node(nn.Linear(4, 1), "x")}
    task = Task(kind="regression", output="out", target="y")
    model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=nodes, tasks={"t": task})
    with pytest.raises(LearnerError, match=r"memo: it makes classes more certain, and no task of the model decides"):
        Adapted(model, MEMO("noise"))


def test_a_batch_without_draws_is_refused() -> None:
    (batch,) = batches_of(1)
    del batch["x@noise.1"]
    with pytest.raises(LearnerError) as caught:
        Adapted(model_of(), MEMO("noise", copies=2))(batch)
    assert str(caught.value) == (
        "memo needs the draws noise.1, which the batch lacks. Serve them: loaders.test.plain(adapted.draws)."
    )


@pytest.mark.parametrize(
    ("views", "view", "text"),
    [
        ({}, "strong", "memo: the data has no view 'strong'. It has none: give it `views`."),
        ({"strong": {"image": []}}, "strnog", "memo: the data has no view 'strnog'. Did you mean 'strong'?"),
        (
            {"other": {"age": [{"noise": {"std": 0.1}}]}},
            "other",
            "memo: the view 'other' changes age, and no task reads that.",
        ),
    ],
)
def test_views_that_change_nothing_are_refused(views: dict[str, Any], view: str, text: str) -> None:
    fields = {**DIGITS["datasets"]["digits"]["fields"], "age": {"kind": "number", "column": "target"}}
    data = {**DIGITS, "datasets": {"digits": {**DIGITS["datasets"]["digits"], "fields": fields}}, "views": views}
    loaders = jumpml.create_dataloader(data)
    model = jumpml.load_model({**NET, "objectives": {}}, loaders)
    learner = jumpml.create_learner(loaders, model, None, {"log": [], "checkpoint": None})
    with pytest.raises(LearnerError) as caught:
        learner.adapt(method=MEMO(view))
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: MEMO("v", copies=1), "memo: expected copies of 2 or more, got 1."),
        (lambda: MEMO("v", lr=-1), "memo: expected lr above 0, got -1."),
        (lambda: TTT(steps=0), "ttt: expected steps of 1 or more, got 0."),
    ],
)
def test_numbers_that_make_no_sense_are_refused(make: Any, text: str) -> None:
    with pytest.raises(LearnerError) as caught:
        make()
    assert str(caught.value) == text
