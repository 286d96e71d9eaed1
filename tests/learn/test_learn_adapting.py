"""A model adapts to unlabelled rows: by values, to the bit again, undone where it makes things worse."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from iris_files import batch_norm, iris_data, iris_model, mlp
from sklearn.datasets import load_digits
from torch import Tensor, nn

import jumpml
from jumpml.core import LearnerError, Task, ValueInfo
from jumpml.graph import Model, Node
from jumpml.learn import Adaptation, AdaptationMethod, Adapted, BatchStatistics, Entropy, Learner, Probe
from jumpml.objectives import BYOL

if TYPE_CHECKING:
    from collections.abc import Mapping

Batch = dict[str, Tensor]


def net_of(norm: str = "batch") -> nn.Sequential:
    layers = {"batch": nn.BatchNorm1d(8), "group": nn.GroupNorm(2, 8), "none": nn.Identity()}
    return nn.Sequential(nn.Linear(4, 8), layers[norm], nn.ReLU(), nn.Linear(8, 3))


def model_of(norm: str = "batch", kind: str = "multiclass", seed: int = 0) -> Model:
    torch.manual_seed(seed)
    net = net_of(norm)
    if norm == "batch":
        net[1].running_mean.normal_()  # type: ignore[union-attr, operator]
        net[1].running_var.uniform_(0.5, 2)  # type: ignore[union-attr, operator]
    task = Task(kind=kind, output="net", target="y")
    return Model(inputs={"x": ValueInfo(shape=(4,))}, nodes={"net": Node(net, "x")}, tasks={"t": task})


def batches_of(count: int = 3, rows: int = 16, seed: int = 1) -> list[Batch]:
    generator = torch.Generator().manual_seed(seed)
    return [{"x": torch.randn(rows, 4, generator=generator) * 2 + 1} for _ in range(count)]


def norm_of(model: nn.Module) -> nn.BatchNorm1d:
    (layer,) = (part for part in model.modules() if isinstance(part, nn.BatchNorm1d))
    return layer


METHODS: dict[str, AdaptationMethod] = {
    "statistics": BatchStatistics(),
    "statistics with a prior": BatchStatistics(prior=16, memory=20),
    "tent": Entropy(guarded=False, lr=0.1),
    "sar": Entropy(lr=0.1, reliable=1),
    "sar, pooled": Entropy(lr=0.1, reliable=1, prior=4, memory=None, steps=2),
}

# --- values -----------------------------------------------------------------------------------------------------------


def test_statistics_of_the_batch_alone_are_those_of_a_layer_that_trains() -> None:
    model, (batch,) = model_of(), batches_of(1)
    adapted = Adapted(model, BatchStatistics(), probe=None)
    expected = copy.deepcopy(model).train()(batch)["t"]
    torch.testing.assert_close(adapted(batch)["t"], expected)
    torch.testing.assert_close(adapted.model(batch)["t"], expected)  # they stay with the layer


@settings(max_examples=25)
@given(sizes=st.lists(st.integers(2, 9), min_size=1, max_size=4), prior=st.integers(0, 20))
def test_statistics_are_those_of_all_rows_that_came_pooled_with_the_prior(sizes: list[int], prior: int) -> None:
    model = model_of()
    adapted = Adapted(model, BatchStatistics(prior=prior), probe=None)
    rows = torch.randn(sum(sizes), 4, generator=torch.Generator().manual_seed(len(sizes)))
    adapted.adapt({"x": part} for part in rows.split(sizes))
    layer, first = norm_of(model), model.node("net")[0](rows).detach()  # type: ignore[index]
    number = prior + len(rows)
    mean = (prior * layer.running_mean + first.sum(0)) / number  # type: ignore[operator]
    square = (prior * (layer.running_var + layer.running_mean**2) + first.square().sum(0)) / number  # type: ignore
    torch.testing.assert_close(norm_of(adapted.model).running_mean, mean, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(norm_of(adapted.model).running_var, square - mean**2, atol=1e-5, rtol=1e-4)


def test_what_is_remembered_is_bounded_and_an_episode_remembers_nothing() -> None:
    batches = batches_of()
    whole = Adapted(model_of(), BatchStatistics(), probe=None).adapt(batches)
    none = Adapted(model_of(), BatchStatistics(memory=0), probe=None).adapt(batches)
    episodes = Adapted(model_of(), BatchStatistics(), episodic=True, probe=None).adapt(batches)
    last = norm_of(Adapted(model_of(), BatchStatistics(), probe=None).adapt(batches[-1:]).model).running_mean
    means = [norm_of(one.model).running_mean for one in (whole, none, episodes)]
    assert not torch.equal(means[0], last)  # type: ignore[arg-type]
    torch.testing.assert_close(means[1], last)
    assert torch.equal(means[2], last)  # type: ignore[arg-type]


def test_without_guards_a_step_is_tents() -> None:
    model, (batch,) = model_of(), batches_of(1)
    adapted = Adapted(model, Entropy(guarded=False, lr=0.1), probe=None)
    adapted(batch)
    net = copy.deepcopy(model.node("net")).train()
    logits = net(batch["x"])
    loss = -(logits.softmax(1) * logits.log_softmax(1)).sum(1).mean()
    layer = norm_of(net)
    gradients = torch.autograd.grad(loss, [layer.weight, layer.bias])
    for name, gradient in zip(("weight", "bias"), gradients, strict=True):
        moved = getattr(norm_of(adapted.model), name)
        torch.testing.assert_close(moved, getattr(layer, name) - 0.1 * gradient, atol=1e-6, rtol=1e-5)


def test_with_guards_a_step_is_sars() -> None:
    model, (batch,) = model_of("group"), batches_of(1)
    adapted = Adapted(model, Entropy(lr=0.1, reliable=0.95), probe=None)
    adapted(batch)
    net = copy.deepcopy(model.node("net"))
    layer: Any = net[1]  # type: ignore[index]
    most = 0.95 * math.log(3)

    def entropy() -> Tensor:
        logits = net(batch["x"])
        return -(logits.softmax(1) * logits.log_softmax(1)).sum(1)

    reliable = entropy() < most
    assert 0 < reliable.sum() < len(reliable)
    first = torch.autograd.grad(entropy()[reliable].mean(), [layer.weight, layer.bias])
    norm = torch.cat(first).norm()
    with torch.no_grad():
        for parameter, gradient in zip((layer.weight, layer.bias), first, strict=True):
            parameter.add_(gradient * 0.05 / norm)
    reliable &= entropy() < most
    second = torch.autograd.grad(entropy()[reliable].mean(), [layer.weight, layer.bias])
    before: Any = model.node("net")[1]  # type: ignore[index]
    after: Any = adapted.model.node("net")[1]  # type: ignore[index]
    for name, gradient in zip(("weight", "bias"), second, strict=True):
        torch.testing.assert_close(getattr(after, name), getattr(before, name) - 0.1 * gradient)


def test_no_reliable_row_moves_nothing_and_too_much_certainty_takes_all_back() -> None:
    model, (batch,) = model_of("group"), batches_of(1)
    still = Adapted(model, Entropy(lr=0.1, reliable=0.001), probe=None)
    still(batch)
    assert_alike(still.model, model)
    with torch.no_grad():
        model.node("net")[3].weight.mul_(100)  # type: ignore[index, operator]
    certain = Adapted(model, Entropy(lr=0.1), probe=None)
    certain(batch)
    assert_alike(certain.model, model)
    tent = Adapted(model, Entropy(lr=10.0, guarded=False), probe=None)
    tent(batch)
    with pytest.raises(AssertionError):
        assert_alike(tent.model, model)


@pytest.mark.parametrize(("kind", "classes"), [("binary", 1), ("multilabel", 3), ("ordinal", 3)])
def test_other_classifications_become_more_certain_too(kind: str, classes: int) -> None:
    task = Task(kind=kind, output="net", target="y")
    net = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, classes))
    model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes={"net": Node(net, "x")}, tasks={"t": task})
    (batch,) = batches_of(1)
    adapted = Adapted(model, Entropy(lr=0.1, guarded=False, steps=5), probe=None)

    def entropy(outputs: Mapping[str, Tensor]) -> float:
        logits = outputs["t"].detach()
        return float(F.binary_cross_entropy_with_logits(logits, logits.sigmoid()))

    assert entropy(adapted(batch)) < entropy(model(batch))


# --- to the bit -------------------------------------------------------------------------------------------------------


def assert_alike(one: nn.Module, other: nn.Module) -> None:
    left, right = one.state_dict(), other.state_dict()
    assert left.keys() == right.keys()
    for name in left:
        assert torch.equal(left[name], right[name]), name


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("training", [True, False])
def test_the_model_stays_as_it_is(name: str, training: bool) -> None:
    model = model_of()
    model.train_only(["net"])
    model.train(training)
    before, stream = copy.deepcopy(model), torch.get_rng_state()
    adapted = Adapted(model, METHODS[name], known=[{**batches_of(1)[0], "y": torch.arange(16) % 3}])
    with torch.inference_mode():
        adapted.adapt(batches_of())
    assert_alike(model, before)
    assert torch.equal(torch.get_rng_state(), stream)
    assert [m.training for m in model.modules()] == [m.training for m in before.modules()]
    assert [p.requires_grad for p in model.parameters()] == [p.requires_grad for p in before.parameters()]
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("episodic", [True, False])
def test_a_state_that_was_stored_goes_on_to_the_bit(name: str, episodic: bool) -> None:
    def fresh() -> Adapted:
        return Adapted(model_of(), METHODS[name], episodic=episodic, probe=None)

    batches = batches_of(4)
    whole = fresh()
    outputs = [whole(batch)["t"] for batch in batches]
    first = fresh().adapt(batches[:2])
    held = copy.deepcopy(first.state_dict())
    first(batches[3])  # what goes on changes nothing of what was stored
    second = fresh()
    second.load_state_dict(held)
    assert all(torch.equal(second(b)["t"], o) for b, o in zip(batches[2:], outputs[2:], strict=True))
    assert second.batches == 4
    without = fresh()
    alike = all(torch.equal(without(b)["t"], o) for b, o in zip(batches[2:], outputs[2:], strict=True))
    assert alike is episodic
    second.reset()
    assert torch.equal(second(batches[0])["t"], outputs[0])


def test_a_state_of_another_method_is_refused() -> None:
    state = Adapted(model_of(), BatchStatistics()).state_dict()
    with pytest.raises(LearnerError, match="this state is of another method, or of another model: other parts of it"):
        Adapted(model_of("group"), Entropy()).load_state_dict(state)


# --- what is undone ---------------------------------------------------------------------------------------------------


class Spoil(AdaptationMethod):
    """Makes a model worse in a way of its own."""

    name = "spoil"

    def __init__(self, factor: float = 0.0, shift: float = 0.0) -> None:
        self.factor, self.shift = factor, shift

    def problem(self, model: Model) -> str:
        return ""

    def begin(self, model: Model) -> None:
        self._model, self.moved = model, ["node_net.3.weight", "node_net.3.bias"]

    def adapt(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        state = self._model.state_dict()
        state["node_net.3.weight"].mul_(self.factor)
        state["node_net.3.bias"][0] += self.shift
        return self.outputs(batch)

    @torch.no_grad()
    def outputs(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self._model(batch)


def known_of(model: Model) -> list[Batch]:
    (batch,) = batches_of(1, rows=60, seed=5)
    with torch.no_grad():
        return [{**batch, "y": copy.deepcopy(model).eval()(batch)["t"].argmax(1)}]


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        (Spoil(math.nan), "outputs of 't' are no finite numbers any more"),
        (Spoil(1.0, 100.0), "decisions of 't' collapse onto fewer than half as many classes"),
        (Spoil(-1.0), "more of the known rows are decided wrongly by 't' than the probe puts up with"),
    ],
)
def test_what_makes_things_worse_is_undone_and_told(method: Spoil, reason: str) -> None:
    model = model_of("group")
    model.eval()
    adapted = Adapted(model, method, known=known_of(model))
    batches = batches_of(2)
    assert all(torch.equal(adapted(batch)["t"], model(batch)["t"]) for batch in batches)
    assert adapted.undone == [f"batch 1: {reason}", f"batch 2: {reason}"]
    assert adapted.told == (
        f"Adapted at test time by spoil, batch after batch: 2 batches, of which 2 were undone: {reason} (2)."
    )
    assert_alike(adapted.model, model)


def test_the_error_of_numbers_may_grow_by_a_share_of_itself() -> None:
    model = model_of("group", kind="regression")
    (batch,) = batches_of(1)
    with torch.no_grad():
        known = {**batch, "y": copy.deepcopy(model).eval()(batch)["t"] + 1}  # an error of 1
    reason = "the error on the known rows grows by 't' than the probe puts up with"
    for shift, undone in ((-0.1, []), (-0.2, [f"batch 1: {reason}"])):  # by a third of it: 3.3% and 6.7%
        adapted = Adapted(model, Spoil(1.0, shift), known=[known])
        adapted(batch)
        assert adapted.undone == undone


def test_without_a_probe_nothing_is_undone() -> None:
    model = model_of("group")
    adapted = Adapted(model, Spoil(1.0, 100.0), probe=None, known=known_of(model))
    assert (adapted(batches_of(1)[0])["t"].argmax(1) == 0).all()
    assert not adapted.undone
    assert adapted.told == "Adapted at test time by spoil, batch after batch: 1 batch, none of which was undone."


@pytest.fixture(scope="module")
def digits() -> tuple[Model, list[Batch], Tensor, Tensor]:
    """A trained model, known rows, and test rows."""
    pixels, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(labels)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    train, val, test = order.split([1000, 200, 597])
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(10):
        for rows in train[torch.randperm(1000)].split(100):
            optimizer.zero_grad()
            F.cross_entropy(net(x[rows]), y[rows]).backward()
            optimizer.step()
    task = Task(kind="multiclass", output="net", target="y")
    model = Model(inputs={"x": ValueInfo(shape=(64,))}, nodes={"net": Node(net, "x")}, tasks={"digit": task})
    known = [{"x": x[rows], "y": y[rows]} for rows in val.split(64)]
    return model.eval(), known, x[test], y[test]


def accuracy(model: Any, x: Tensor, y: Tensor) -> float:
    parts = zip(x.split(64), y.split(64), strict=True)
    return sum(int((model({"x": rows})["digit"].argmax(1) == true).sum()) for rows, true in parts) / len(y)


@pytest.mark.parametrize("method", [BatchStatistics(), Entropy()], ids=lambda method: method.name)
def test_rows_sorted_by_class_are_left_alone_and_others_are_not(
    digits: tuple[Model, list[Batch], Tensor, Tensor], method: AdaptationMethod
) -> None:
    model, known, x, y = digits
    order = y.argsort()
    plain = accuracy(model, x, y)
    bare = Adapted(model, method, probe=None)
    guarded = Adapted(model, method, known=known)
    assert accuracy(bare, x[order], y[order]) < plain - 0.1
    assert accuracy(guarded, x[order], y[order]) == plain
    reason = "which classes its rows are of explains their statistics"
    assert guarded.undone == [f"batch {number}: {reason}" for number in range(1, 11)]
    dim = x * 0.3  # of less contrast, in any order of classes
    guarded = Adapted(model, method, known=known)
    assert accuracy(guarded, dim, y) > accuracy(model, dim, y) + 0.1
    assert not guarded.undone


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "method", "text"),
    [
        (
            ("group",),
            BatchStatistics(),
            "statistics: the model has no batch normalization, whose statistics these are.",
        ),
        (("none",), Entropy(), "entropy: the model has no normalization layer with a scale and a shift to move."),
        (
            ("batch", "regression"),
            Entropy(),
            r"no task of the model decides classes of rows; there is 't' \(regression\)",
        ),
    ],
)
def test_a_method_that_does_not_suit_the_model_is_refused(
    model: tuple[Any, ...], method: AdaptationMethod, text: str
) -> None:
    with pytest.raises(LearnerError, match=text):
        Adapted(model_of(*model), method)


@pytest.mark.parametrize("method", [BatchStatistics(), Entropy()], ids=lambda method: method.name)
def test_one_row_has_no_statistics(method: AdaptationMethod) -> None:
    (batch,) = batches_of(1, rows=1)
    with pytest.raises(
        LearnerError, match=r"a batch of one row has no variance to normalize by. Give larger batches, or"
    ):
        Adapted(model_of(), method)(batch)
    Adapted(model_of(), BatchStatistics(prior=16))(batch)  # 16 rows of training have one


def test_one_row_that_is_left_over_is_predicted_as_it_is() -> None:
    model, (batch,) = model_of(), batches_of(1)
    model.eval()
    last = {"x": batch["x"][:1]}
    known = [{**batch, "y": torch.zeros(16, dtype=torch.int64)}, {**last, "y": torch.zeros(1, dtype=torch.int64)}]
    for probe in (Probe(tolerance=1), None):
        adapted = Adapted(model, Entropy(), probe=probe, known=known)
        adapted(batch)
        undone = len(adapted.undone)
        assert torch.equal(adapted(last)["t"], model(last)["t"])
        assert adapted.undone[undone:] == ["batch 2: one row has no variance to normalize by"]


def test_outputs_that_are_no_numbers_are_refused() -> None:
    (batch,) = batches_of(1)
    batch["x"][0, 0] = math.nan
    for probe in (Probe(), None):
        with pytest.raises(
            LearnerError, match="the outputs of 't' are no finite numbers, so that nothing can be adapted"
        ):
            Adapted(model_of("group"), Entropy(), probe=probe)(batch)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: BatchStatistics(prior=-1), "statistics: expected prior of 0 or more, got -1."),
        (lambda: BatchStatistics(memory=-2), "statistics: expected memory of 0 or more, got -2."),
        (lambda: Entropy(prior=-1), "entropy: expected prior of 0 or more, got -1."),
        (lambda: Entropy(lr=0), "entropy: expected lr above 0, got 0."),
        (lambda: Entropy(steps=0), "entropy: expected steps of 1 or more, got 0."),
        (lambda: Entropy(reliable=1.5), "entropy: expected reliable above 0 and up to 1, got 1.5."),
        (lambda: Probe(rows=-1), "probe: expected tolerance and rows of 0 or more, got tolerance 0.05 and rows -1."),
    ],
)
def test_numbers_that_make_no_sense_are_refused(make: Any, text: str) -> None:
    with pytest.raises(LearnerError) as caught:
        make()
    assert str(caught.value) == text


# --- a learner's ------------------------------------------------------------------------------------------------------

IRIS = iris_data(features={"x": [{"standardize": {}}]})
NET = iris_model({"encoder": mlp(8, 6), "norm": batch_norm("encoder", 6)})


def learner_of(**options: Any) -> Learner:
    loaders = jumpml.create_dataloader(IRIS)
    said = {
        "optimizer": {"lr": 0.05},
        "phases": {"supervised": {"epochs": 8}},
        "log": [],
        "checkpoint": None,
        **options,
    }
    learner = jumpml.create_learner(loaders, jumpml.load_model(NET, loaders), None, said)
    learner.fit()
    return learner


@pytest.mark.parametrize("averaged", [False, True])
def test_a_learner_evaluates_predicts_and_adapts_what_it_deploys(averaged: bool) -> None:
    learner = learner_of(**({"ema": {"decay": 0.5}} if averaged else {}))
    model = learner.ema_model if averaged else learner.model
    assert model is not None
    results = learner.evaluate(["accuracy"])
    assert results.record == jumpml.eval_model(learner.loaders, model, ["accuracy"]).record
    assert results.record.averaged_weights is averaged
    before = learner.predict("test")["species"]
    model.eval()
    outputs = [model(batch)["species"].detach() for batch in learner.loaders.test.plain()]
    assert torch.equal(before.output, torch.cat(outputs))

    method = BatchStatistics()
    adapted = learner.adapt(learner.loaders.test.plain(), Adaptation(method=method, probe=None))
    expected = Adapted(model, method, probe=None).adapt(learner.loaders.test.plain())
    assert adapted.batches == 2
    after = learner.predict("test", adapt=adapted)["species"]
    outputs = [expected(batch)["species"] for batch in learner.loaders.test.plain()]
    assert torch.equal(after.output, torch.cat(outputs))
    assert torch.equal(after.target, before.target)
    assert not torch.equal(after.output, before.output)
    assert_alike(learner.ema_model or learner.model, model)
    results = learner.evaluate(adapt=learner.adapt(method=method))
    assert results.record.notes[-1].startswith("Adapted at test time by statistics, batch after batch: 2 batches, ")


def test_its_probe_knows_validation_rows() -> None:
    learner = learner_of()
    adapted = learner.adapt(method=Adaptation(method=Turn(), probe=Probe(tolerance=0)))
    learner.evaluate(adapt=adapted)
    assert adapted.undone == [
        f"batch {n}: more of the known rows are decided wrongly by 'species' than the probe puts up with"
        for n in (1, 2)
    ]
    blind = learner.adapt(method=Adaptation(method=Turn(), probe=Probe(rows=0)))
    learner.evaluate(adapt=blind)
    assert not blind.undone


class Turn(AdaptationMethod):
    """Turns two of three classes round."""

    name = "spoil"

    def problem(self, model: Model) -> str:
        return ""

    def begin(self, model: Model) -> None:
        self._model, self.moved = model, [n for n, _ in model.named_parameters() if n.startswith("node_out")]

    def adapt(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        state = self._model.state_dict()
        for name in self.moved:
            state[name].copy_(state[name].roll(1, 0))
        return self.outputs(batch)

    @torch.no_grad()
    def outputs(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self._model(batch)


def test_nobody_has_said_how() -> None:
    with pytest.raises(LearnerError, match=r"nobody has said how to adapt. Give the learner file the key `adapt`, or"):
        learner_of().adapt()


def test_what_objectives_hold_predicts_nothing() -> None:
    torch.manual_seed(0)
    agree = BYOL("net", views="strong", projector=(8, 4), when="self_supervised")
    task = Task(kind="multiclass", output="net", target="y")
    nodes = {"net": Node(net_of(), "x")}
    model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=nodes, tasks={"t": task}, objectives={"agree": agree})
    known = [{**batch, "y": torch.arange(16) % 3} for batch in batches_of()]
    adapted = Adapted(model, BatchStatistics(), known=known)
    adapted(batches_of(1)[0])
    moved = {name for name in adapted.method.moved if "running" in name}
    assert moved == {"node_net.1.running_mean", "node_net.1.running_var"}
