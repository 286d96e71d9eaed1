"""The weights that learning begins with: schemes by the papers, by pattern, by data, from runs, never on resume."""

from __future__ import annotations

import json
import logging
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import jumpml
from jumpml._project import Project
from jumpml.blocks import Embedding
from jumpml.core import LearnerError, PretrainedError, RunRecord, SpecError, ValueInfo
from jumpml.data import Share
from jumpml.evaluate import evaluation_mode
from jumpml.graph import Model, Node
from jumpml.learn import LSUV, Kaiming, Normal, Orthogonal, Scheme, Xavier, Zeros, initialize

if TYPE_CHECKING:
    from pathlib import Path

X = ValueInfo(shape=(64,))


def made(inputs: ValueInfo = X, **modules: nn.Module) -> Model:
    """A row of nodes, each reading the one before."""
    names = ["x", *modules]
    nodes = {name: Node(module, before) for (name, module), before in zip(modules.items(), names, strict=False)}
    return Model(inputs={"x": inputs}, nodes=nodes)


def weight(model: Model, node: str = "a") -> Tensor:
    return model.node(node).get_parameter("weight").detach()


# --- schemes ----------------------------------------------------------------------------------------------------------


def test_kaiming_has_the_papers_variance_by_what_is_read_or_made() -> None:
    for mode, fan in (("fan_in", 64), ("fan_out", 900)):
        for distribution in ("normal", "uniform"):
            model = made(a=nn.Linear(64, 900))
            initialize(model, Kaiming(mode=mode, distribution=distribution))  # type: ignore[arg-type]
            # 57,600 numbers: the standard error of a variance is about .006 of it
            assert float(weight(model).var()) == pytest.approx(2 / fan, rel=0.03)
            assert bool((weight(model).abs() <= (6 / fan) ** 0.5).all()) is (distribution == "uniform")
    model = made(a=nn.Linear(64, 900))
    initialize(model, Kaiming(nonlinearity="linear"))
    assert float(weight(model).var()) == pytest.approx(1 / 64, rel=0.03)


def test_xavier_has_the_papers_bound() -> None:
    model = made(a=nn.Linear(64, 400))
    initialize(model, Xavier(gain=2))
    bound = 2 * (6 / 464) ** 0.5
    assert 0.99 * bound < float(weight(model).abs().max()) <= bound
    initialize(model, Xavier(distribution="normal"))
    assert float(weight(model).var()) == pytest.approx(2 / 464, rel=0.03)


def test_orthogonal_rows_or_columns() -> None:
    model = made(a=nn.Linear(64, 20), b=nn.Linear(20, 50))
    initialize(model, Orthogonal(gain=3))
    torch.testing.assert_close(weight(model) @ weight(model).T, 9 * torch.eye(20), atol=1e-4, rtol=0)
    torch.testing.assert_close(weight(model, "b").T @ weight(model, "b"), 9 * torch.eye(20), atol=1e-4, rtol=0)


def test_normal_numbers_and_where_they_are_cut() -> None:
    model = made(a=nn.Linear(64, 900))
    initialize(model, Normal(std=0.1))
    assert float(weight(model).std()) == pytest.approx(0.1, rel=0.02)
    assert float(weight(model).abs().max()) > 0.3
    initialize(model, Normal(std=0.1, cut=2))
    assert float(weight(model).abs().max()) <= 0.2
    assert float(weight(model).std()) == pytest.approx(0.0880, rel=0.02)  # of a normal cut at two deviations


def test_biases_are_zeroed_or_kept_and_norms_stay() -> None:
    model = made(a=nn.Linear(64, 8), norm=nn.LayerNorm(8), c=nn.Linear(8, 3))
    nn.init.constant_(model.node("norm").get_parameter("bias"), 5.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    told = initialize(model, Zeros(), nodes={"c": Zeros(biases="keep")})
    after = model.state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {"node_a.weight", "node_a.bias", "node_c.weight"}
    assert not any(bool(after[name].any()) for name in changed)
    assert (told["a"].weights, told["a"].zeroed, told["c"].zeroed, list(told)) == (
        ("weight",),
        ("bias",),
        (),
        ["a", "c"],
    )


@pytest.mark.parametrize("layer", [nn.LSTM(6, 4, num_layers=2, proj_size=3), nn.GRU(6, 4), nn.GRUCell(6, 4)])
def test_gates_are_drawn_apart(layer: nn.Module) -> None:
    from jumpml.learn._drawable import drawables
    from jumpml.learn.initial._initialize import Part, _draw

    record = _draw("a", Part(Orthogonal(), [*drawables(layer)]), 0)
    matrices = {name: value for name, value in layer.named_parameters() if value.ndim > 1}
    assert set(record.weights) == {*matrices}
    for name, value in matrices.items():
        for gate in value.detach().split(4) if "_hr" not in name else [value.detach()]:
            small = gate @ gate.T if gate.shape[0] <= gate.shape[1] else gate.T @ gate
            torch.testing.assert_close(small, torch.eye(len(small)), atol=1e-5, rtol=0)
    assert not any(bool(value.any()) for name, value in layer.named_parameters() if "bias" in name)


def test_what_else_has_weights_of_its_own_kind() -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(10, 8, padding_idx=2)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.place = nn.Parameter(torch.ones(1, 5, 8))  # its own: no layer's

        def forward(self, x: Tensor) -> Tensor:
            words = self.words(x) + self.place
            return self.attention(words, words, words)[0]

    model = made(ValueInfo(shape=(5,), dtype="int64"), a=Attends(), b=nn.Conv1d(5, 6, 3), c=nn.ConvTranspose1d(6, 4, 3))
    told = initialize(model, Orthogonal())
    net: Any = model.node("a")
    assert told["a"].weights == ("words.weight", "attention.in_proj_weight", "attention.out_proj.weight")
    for part in net.attention.in_proj_weight.detach().chunk(3):
        torch.testing.assert_close(part @ part.T, torch.eye(8), atol=1e-5, rtol=0)
    assert not bool(net.words.weight[2].any())
    assert bool((net.place == 1).all())
    turned = weight(model, "c").transpose(0, 1).flatten(1)  # what is made first
    torch.testing.assert_close(turned @ turned.T, torch.eye(4), atol=1e-5, rtol=0)


def test_tied_weights_are_drawn_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.out = nn.Embedding(11, 8), nn.Linear(8, 11)
            self.out.weight = self.words.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.words(x))

    model = Model(
        inputs={"x": ValueInfo(shape=(6,), dtype="int64")},
        nodes={"a": Node(Tied(), "x"), "b": Node(Embedding(5, num_codes=11), "x")},
    )
    told = initialize(model, Normal())
    assert (told["a"].weights, told["b"].weights) == (("words.weight",), ("weight",))
    net: Any = model.node("a")
    assert net.out.weight is net.words.weight


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from([Kaiming(), Xavier(), Orthogonal(), Normal(), Normal(cut=2), Zeros()]),
    st.integers(0, 2**31),
    st.booleans(),
)
def test_each_weight_is_a_function_of_the_seed_and_its_name(scheme: Scheme, seed: int, more: bool) -> None:
    """Another node beside it, and torch's own generator, change nothing; the generator is left as it was."""
    alone = made(a=nn.Linear(64, 7))
    beside = made(a=nn.Linear(64, 7), b=nn.Linear(7, 7)) if more else made(a=nn.Linear(64, 7))
    initialize(alone, scheme, seed=seed)
    state = torch.get_rng_state()
    torch.rand(1)
    kept = torch.get_rng_state()
    initialize(beside, scheme, seed=seed)
    assert torch.equal(torch.get_rng_state(), kept) and not torch.equal(kept, state)
    assert torch.equal(weight(alone), weight(beside))
    initialize(alone, scheme, seed=seed + 1)
    assert torch.equal(weight(alone), weight(beside)) is isinstance(scheme, Zeros)


def test_a_shared_module_is_drawn_once() -> None:
    shared = nn.Linear(64, 64)
    model = made(a=shared, b=nn.ReLU(), c=shared)
    assert [*initialize(model, Orthogonal())] == ["a"]


def test_patterns_and_which_counts() -> None:
    model = made(enc1=nn.Linear(64, 64), enc2=nn.Linear(64, 64), head=nn.Linear(64, 3))
    head = weight(model, "head").clone()
    told = initialize(model, Zeros(), nodes={"enc*": Orthogonal(), "enc2": Normal(), "head": None})
    assert {name: record.scheme for name, record in told.items()} == {
        "enc1": "orthogonal (gain 1)",
        "enc2": "normal (std 0.02)",
    }
    assert torch.equal(weight(model, "head"), head)
    assert [*initialize(model, nodes={"upto:enc2": Zeros()})] == ["enc1", "enc2"]


def test_modules_of_a_wrapped_net() -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2)))
    model = Model.wrap(net, {"x": torch.zeros(2, 4)})
    told = initialize(model, Orthogonal(), nodes={"2": Zeros()})
    assert {name: record.scheme for name, record in told.items()} == {
        "0": "orthogonal (gain 1)",
        "2.0": "zeros",
        "2.1": "zeros",
    }


@pytest.mark.parametrize(
    ("nodes", "text"),
    [
        ({"bodi": Zeros()}, "Did you mean 'body'?"),
        (
            {"act": Zeros()},
            "initialize.nodes.act: there is nothing to draw in act: no weight of a linear, convolutional, recurrent, "
            "attention or embedding layer.",
        ),
        ({"body": LSUV()}, "lsuv passes a train batch, for body. Give the data, as loaders=...."),
    ],
)
def test_what_is_refused(nodes: dict[str, Scheme], text: str) -> None:
    model = made(body=nn.Linear(64, 3), act=nn.ReLU())
    before = weight(model, "body").clone()
    with pytest.raises(LearnerError) as error:
        initialize(model, Orthogonal(), nodes=nodes)
    assert text in str(error.value)
    assert torch.equal(weight(model, "body"), before)


# --- by data ----------------------------------------------------------------------------------------------------------

DATA: dict[str, Any] = {
    "datasets": {
        "d": {
            "source": {"kind": "sklearn", "name": "digits"},
            "fields": {
                "image": {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]},
                "label": {"kind": "category", "column": "target"},
            },
            "split": {"stratify": "label"},
        }
    },
    "batch_size": 64,
}
DEEP: dict[str, Any] = {
    "nodes": {
        "encoder": {
            "layers": [
                {"module": "torch.nn.Conv2d", "args": {"in_channels": 1, "out_channels": 4, "kernel_size": 3}},
                "torch.nn.ReLU",
                "torch.nn.Flatten",
                *[
                    layer
                    for read in (144, *[24] * 5)
                    for layer in (
                        {"module": "torch.nn.Linear", "args": {"in_features": read, "out_features": 24}},
                        "torch.nn.ReLU",
                    )
                ],
            ],
            "inputs": "image",
        },
        "norm": {"module": "torch.nn.BatchNorm1d", "inputs": "encoder", "args": {"num_features": 24}},
        "digit": {"module": "jumpml.blocks.Head", "inputs": "norm"},
    },
    "tasks": {"digit": {"kind": "multiclass", "output": "digit", "target": "label"}},
}


def test_lsuv_gives_every_layer_the_same_variance_on_the_first_train_batch() -> None:
    loaders = jumpml.create_dataloader(DATA)
    model = jumpml.load_model(DEEP, loaders, seed=0)
    state, buffers = loaders.train.state_dict(), [value.clone() for value in model.buffers()]

    def deviations() -> dict[str, float]:
        found: dict[str, float] = {}

        def note(name: str) -> Any:
            def hook(_: Any, __: Any, output: Tensor) -> None:
                found[name] = float(output.std(correction=0))

            return hook

        layers = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)}
        handles = [layer.register_forward_hook(note(name)) for name, layer in layers.items()]
        loaders.seed = 5
        loaders.train.load_state_dict({"epoch": 0, "batch": 0})
        with evaluation_mode(model), torch.no_grad():
            model(next(iter(loaders.train)))
        loaders.train.load_state_dict(state)
        for handle in handles:
            handle.remove()
        return found

    before = deviations()
    assert before["node_encoder.13"] < 0.15  # torch's own layers lose it on the way
    told = initialize(model, LSUV(tolerance=0.02), loaders=loaders, seed=5)
    after = deviations()
    assert all(abs(deviation**2 - 1) <= 0.02 for deviation in after.values())
    own = {f"node_encoder.{path}": value for path, value in told["encoder"].deviations.items()}
    assert own == pytest.approx({name: value for name, value in after.items() if "encoder" in name})
    assert (told["encoder"].unreached, str(told["digit"])) == ((), "lsuv, 1 weight")
    assert loaders.train.state_dict() == state
    assert all(map(torch.equal, model.buffers(), buffers))  # the normalization's statistics, too


def test_lsuv_goes_by_the_whole_batch_where_processes_share_it() -> None:
    found = []
    for share in (None, Share(1, 2)):
        loaders = jumpml.create_dataloader(DATA)
        loaders.train.share = share  # as a learner of several processes leaves it for the next one
        model = jumpml.load_model(DEEP, loaders, seed=0)
        found.append(initialize(model, LSUV(tolerance=0.02), loaders=loaders, seed=5)["encoder"])
        assert loaders.train.share is share
    assert found[0] == found[1]


def test_lsuv_tells_what_it_could_not_scale() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.dead, self.unused = nn.Linear(64, 4), nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.dead(self.used(x.flatten(1)) * 0)

    loaders = jumpml.create_dataloader(DATA)
    model = Model(inputs={"image": ValueInfo(shape=(1, 8, 8))}, nodes={"a": Node(Mixed(), "image")})
    record = initialize(model, LSUV(), loaders=loaders)["a"]
    assert ([*record.deviations], record.unreached) == (["used"], ("dead", "unused"))
    assert str(record) == "lsuv, 3 weights; not scaled: dead, unused"


# --- from another run, and through files ------------------------------------------------------------------------------

OPTIONS: dict[str, Any] = {"phases": {"supervised": {"epochs": 2}}, "log": [], "optimizer": {"kind": "sgd", "lr": 0.05}}


def learner(folder: Path, initialize: Any = None, **more: Any) -> Any:
    loaders = jumpml.create_dataloader(DATA)
    model = jumpml.load_model(DEEP, loaders, seed=0)
    told = {"initialize": initialize} if initialize is not None else {}
    return jumpml.create_learner(loaders, model, None, OPTIONS | told | more, run=folder)


def bits(model: Model) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_file_says_how_learning_begins(tmp_path: Path) -> None:
    by_file = learner(tmp_path / "a", {"scheme": "orthogonal", "nodes": {"digit": {"kind": "zeros", "biases": "keep"}}})
    by_hand = learner(tmp_path / "b")
    initialize(by_hand.model, Orthogonal(), nodes={"digit": Zeros(biases="keep")})
    assert same(bits(by_file.model), bits(by_hand.model))
    assert [*by_file.initialized] == ["encoder", "digit"]
    averaged = learner(tmp_path / "c", {"scheme": "orthogonal"}, ema={"decay": 0.9})
    assert torch.equal(averaged.ema_model.node("digit").weight, averaged.model.node("digit").weight)


def test_another_seed_of_the_learner_draws_other_weights(tmp_path: Path) -> None:
    first, second = (learner(tmp_path / str(seed), {"scheme": "kaiming"}, seed=seed) for seed in (0, 1))
    assert not same(bits(first.model), bits(second.model))


def test_a_resumed_run_is_not_begun_anew(tmp_path: Path) -> None:
    """Also where what it began from is gone; withheld, the beginning would show."""
    whole = learner(tmp_path / "whole", {"scheme": "lsuv"})
    whole.fit()
    first = learner(tmp_path / "run", {"scheme": "lsuv"})
    first.train_epoch()
    first.save()
    second = learner(tmp_path / "run", {"scheme": "lsuv"})
    assert second.progress.step == first.progress.step > 0
    assert not second.initialized
    assert same(bits(second.model), bits(first.model))
    second.fit()
    assert same(bits(second.model), bits(whole.model))
    other = learner(tmp_path / "other")
    other.fit()
    assert not same(bits(other.model), bits(whole.model))


def test_a_run_begins_with_another_runs_weights(tmp_path: Path) -> None:
    old = learner(tmp_path / "old")
    old.fit()
    start = {"file": str(tmp_path / "old"), "nodes": ["encoder", "norm"]}
    new = learner(tmp_path / "new", {"scheme": "orthogonal", "checkpoint": start})
    for node in ("encoder", "norm"):
        assert same(bits(new.model.node(node)), bits(old.model.node(node)))
    assert {name: record.whole for name, record in new.model.loaded.items()} == {"encoder": True, "norm": True}
    assert [*new.initialized] == ["digit"]  # what came from the run is not drawn
    new.train_epoch()
    new.save()
    shutil.rmtree(tmp_path / "old")
    again = learner(tmp_path / "new", {"scheme": "orthogonal", "checkpoint": start})
    assert same(bits(again.model), bits(new.model))


def test_what_fits_of_another_run_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    old = learner(tmp_path / "old")
    old.fit()
    loaders = jumpml.create_dataloader(DATA)
    other = json.loads(json.dumps(DEEP))
    other["nodes"]["extra"] = {
        "module": "torch.nn.Linear",
        "inputs": "norm",
        "args": {"in_features": 24, "out_features": 5},
    }
    other["nodes"]["digit"]["inputs"] = "extra"
    model = jumpml.load_model(other, loaders, seed=1)
    before = {name: value.clone() for name, value in bits(model).items()}
    with pytest.raises(PretrainedError) as error:
        model.load_nodes(tmp_path / "old")
    assert same(bits(model), before) and not model.loaded  # encoder and norm would have fitted
    extra, digit = sorted(str(error.value).splitlines(), key=lambda line: "Linear" in line)
    assert "these are not the weights of Linear: 1 of 2 fit. Of another shape or type: weight" in digit
    assert extra.endswith("has no weights of a node 'extra'. There is: digit, encoder, norm.")
    model = jumpml.load_model(other, loaders, seed=1)
    with caplog.at_level(logging.WARNING, logger="jumpml"):
        told = model.load_nodes(tmp_path / "old", strict=False)
    assert [*told] == ["encoder", "norm", "digit"]
    assert (told["digit"].matched, [*told["digit"].unlike]) == (("bias",), ["weight"])
    assert "Node 'extra' has no namesake in" in caplog.text
    assert "Node 'digit' begins with 1 of 2 weights from" in caplog.text


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (
            {"nodes": {"encodr": "zeros"}},
            "line 3, column 5: initialize.nodes.encodr: the pattern 'encodr' names no node. Did you mean 'encoder' or",
        ),
        ({"scheme": "orthogonl"}, "line 2, column 3: initialize.scheme"),
        ({"checkpoint": {"file": "nowhere"}}, "line 3, column 5: initialize.checkpoint.file: there is no file"),
        ({"scheme": {"kind": "lsuv", "gain": 2}}, "line 4, column 5: initialize.scheme.gain: this key is unknown"),
    ],
)
def test_mistakes_in_a_file_have_their_line(tmp_path: Path, told: dict[str, Any], text: str) -> None:
    path = tmp_path / "a.learner.yaml"
    path.write_text(yaml.safe_dump({"initialize": told, **OPTIONS}, sort_keys=False))
    loaders = jumpml.create_dataloader(DATA)
    model = jumpml.load_model(DEEP, loaders, seed=0)
    with pytest.raises((SpecError, LearnerError)) as error:
        jumpml.create_learner(loaders, model, None, path, run=tmp_path / "run")
    assert "a.learner.yaml: 1 mistake" in str(error.value)
    assert text in str(error.value)


def test_a_run_keeps_the_record_of_how_it_began(tmp_path: Path) -> None:
    old = learner(tmp_path / "old")
    old.fit()
    begins = {"scheme": "kaiming", "checkpoint": {"file": "old", "nodes": ["encoder"]}}
    for kind, content in {"data": DATA, "model": DEEP, "learner": OPTIONS | {"initialize": begins}}.items():
        (tmp_path / f"a.{kind}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    folder = Project.find(tmp_path).run(tmp_path / "runs")
    record = RunRecord.model_validate_json((folder / "run.json").read_text())
    assert record.weights["encoder"].whole
    assert {name: one.scheme for name, one in record.initialized.items()} == {"digit": "kaiming (normal, fan_in, relu)"}
    kept = yaml.safe_load((folder / "specs" / "a.learner.yaml").read_text())
    assert kept["initialize"]["checkpoint"]["file"] == str((tmp_path / "old").resolve())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_deep_net_learns_where_its_own_weights_lose_the_signal(seed: int, tmp_path: Path) -> None:
    """Sixteen layers of 24: whatever the seed, the loss after two epochs is lower than without (stated beforehand)."""
    deep = json.loads(json.dumps(DEEP))
    deep["nodes"]["encoder"]["layers"] = [
        "torch.nn.Flatten",
        *[
            layer
            for read in (64, *[24] * 15)
            for layer in (
                {"module": "torch.nn.Linear", "args": {"in_features": read, "out_features": 24}},
                "torch.nn.ReLU",
            )
        ],
    ]
    deep["nodes"]["digit"]["inputs"] = "encoder"
    del deep["nodes"]["norm"]

    def loss(scheme: str) -> float:
        loaders = jumpml.create_dataloader(DATA)
        model = jumpml.load_model(deep, loaders, seed=seed)
        options = OPTIONS | {"initialize": {"scheme": scheme}, "seed": seed, "checkpoint": None}
        made = jumpml.create_learner(loaders, model, None, options, run=tmp_path / scheme)
        made.fit()
        return made.history.epochs[-1].losses["digit"]

    assert loss("lsuv") < loss("default")
