"""Every joint-embedding method in a learner: exact on resume, asks nothing of the device, in any precision."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch
from iris_files import IRIS, iris_data

import jumpml

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from readings import Readings

    from jumpml.learn import Learner

DATA = iris_data(
    datasets={"iris": {**IRIS, "split": {"duplicates": "together"}}},
    views={"strong": {"x": [{"noise": {"std": 0.2}}]}, "local": {"x": [{"noise": {"std": 0.5}}]}},
    batch_size=15,
)
CROPS = {"views": ["strong", "local"], "crops": [2, 1]}
METHODS: dict[str, dict[str, Any]] = {
    "nt_xent": {},
    "clip": {"inputs": ["encoder", "other"], "views": None, "projector": None},
    "vicreg": {},
    "barlow_twins": {},
    "simsiam": {"predictor": [4]},
    "byol": {"predictor": [8], "momentum": {"start": 0.5, "end": 1.0}},
    "moco": {"queue": 40, "momentum": 0.5},
    "dino": {"prototypes": 8, "momentum": 0.5, **CROPS},
    "swav": {"prototypes": 8, **CROPS},
    "lejepa": {"slices": 8, **CROPS},
}


def net(kind: str) -> dict[str, Any]:
    asked = {"inputs": "encoder", "views": "strong", "projector": [8, 6], **METHODS[kind], "kind": kind}
    method = {key: value for key, value in asked.items() if value is not None}
    layers = [
        {"module": "torch.nn.Linear", "args": {"in_features": 4, "out_features": 8}},
        {"module": "torch.nn.BatchNorm1d", "args": {"num_features": 8}},
        {"module": "torch.nn.ReLU"},
        {"module": "torch.nn.Linear", "args": {"in_features": 8, "out_features": 5}},
    ]
    return {
        "seed": 0,
        "nodes": {
            "encoder": {"layers": layers, "inputs": "x"},
            "other": {"module": "torch.nn.LazyLinear", "inputs": "x", "args": {"out_features": 5}},
            "out": {"module": "jumpml.blocks.Head", "inputs": "encoder"},
        },
        "tasks": {"species": {"kind": "multiclass", "output": "out", "target": "species"}},
        "objectives": {
            "agree": {**method, "when": ["self_supervised", "supervised"]},
            "small": {"kind": "l2", "inputs": "other", "when": "all", "weight": 0.1},
        },
    }


def make(kind: str, folder: Path | None = None, **options: Any) -> Learner:
    loaders = jumpml.create_dataloader(DATA)
    said = {
        "phases": {"self_supervised": {"epochs": 2}, "supervised": {"epochs": 1}},
        "optimizer": {"kind": "adam", "lr": 0.01},
        "log": [],
        "checkpoint": {"keep": 9} if folder else None,
        **options,
    }
    return jumpml.create_learner(loaders, jumpml.load_model(net(kind), loaders), None, said, run=folder)


def bits(learner: Learner) -> dict[str, bytes]:
    models = {"": learner.model, "average ": learner.ema_model}
    return {
        f"{which}{name}": value.numpy().tobytes()
        for which, model in models.items()
        if model is not None
        for name, value in model.state_dict().items()
    }


def forget_random(learner: Learner) -> None:
    learner._loop.random.load_state_dict(make("nt_xent")._loop.random.state_dict())


def forget(name: str) -> Callable[[Learner], None]:
    def spoil(learner: Learner) -> None:
        held: Any = learner.model.objectives["agree"]
        held.get_buffer(name).copy_(torch.randn(held.get_buffer(name).shape).sign())

    return spoil


def forget_place(learner: Learner) -> None:
    held: Any = learner.model.objectives["agree"]
    held.queue.place.add_(7).remainder_(40)


# what each keeps beside weights and the slow copy (whose control is in test_learn_momentum.py), by how it is withheld
KEPT: dict[str, list[Callable[[Learner], None]]] = {
    "moco": [forget("queue.rows"), forget_place],
    "dino": [forget("center")],
    "lejepa": [forget_random],
}


@pytest.mark.parametrize("kind", METHODS)
def test_a_stop_in_the_middle_changes_no_bit_and_what_is_kept_is_needed(kind: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"accumulate": 2, "ema": {"decay": 0.9}}
    whole = make(kind, **options)
    whole.fit()
    half = make(kind, tmp_path / "half", **options)
    half._run.enter("self_supervised")
    with half._run.at_work():
        for _, window in zip(range(3), half.windows(), strict=False):
            half.step(*window)
    half.save()
    for number, spoil in enumerate([None, *KEPT.get(kind, [])]):
        shutil.copytree(tmp_path / "half", tmp_path / str(number))
        again = make(kind, tmp_path / str(number), **options)
        assert again.resume()
        assert again.progress.step == 3
        if spoil:
            spoil(again)
        again.fit()
        assert (bits(again) == bits(whole)) is (spoil is None)
        weight = "node_encoder.0.weight"  # not only what was withheld is another
        assert (bits(again)[weight] == bits(whole)[weight]) is (spoil is None)


@pytest.mark.parametrize("kind", METHODS)
@pytest.mark.parametrize(
    "options", [{}, {"accumulate": 2, "ema": {}}, {"precision": "bfloat16"}, {"compile": {"backend": "eager"}}], ids=str
)
def test_a_step_reads_nothing(kind: str, options: dict[str, Any], readings: Readings) -> None:
    learner = make(kind, record_examples=False, **options)
    learner._run.enter("self_supervised")
    first, second, *rest = learner.windows()
    learner.step(*first)
    learner.step(*second)
    readings.found.clear()
    with readings:
        for window in rest[:-1]:
            learner.step(*window)
    assert rest[:-1]
    assert not readings.found


@pytest.mark.parametrize("kind", METHODS)
def test_compiled_it_learns_the_same(kind: str) -> None:
    plain, compiled = make(kind), make(kind, compile={"backend": "eager"})
    for learner in (plain, compiled):
        learner.ss_learn()
    assert bits(plain) == bits(compiled)


@pytest.mark.parametrize("kind", METHODS)
def test_in_half_precision_the_loss_is_nearly_the_same(kind: str) -> None:
    whole, half = make(kind), make(kind, precision="bfloat16")
    found = [learner.ss_learn()[0].losses["agree"] for learner in (whole, half)]
    assert found[1] == pytest.approx(found[0], rel=0.1)  # the temperature of dino makes much of little


@pytest.mark.parametrize("kind", ["moco", "dino"])
def test_an_average_takes_a_queue_and_a_centre_as_they_are(kind: str) -> None:
    learner = make(kind, ema={"decay": 0.5})
    learner.ss_learn()
    average: Any = learner.ema_model
    own, other = learner.model.state_dict(), average.state_dict()
    kept = [name for name in own if "queue" in name or "center" in name]
    assert kept
    # the average is made before objectives are told of the update: what they kept then was that of the update before
    before = {name: own[name].clone() for name in kept}
    learner.step(next(learner.remaining()))
    assert all(torch.equal(other[name], before[name]) and other[name].dtype == own[name].dtype for name in kept)
    assert not any(torch.equal(own[name], before[name]) for name in kept)  # and they have moved on


@pytest.mark.parametrize("kind", METHODS)
def test_validation_moves_nothing_and_is_the_same_each_time(kind: str) -> None:
    learner = make(kind)
    learner.ss_learn()
    before = bits(learner)
    loader = learner.loaders.train
    loader.serve(["x", "species"], learner.model.draws("self_supervised"))
    batch = next(iter(loader))
    learner.model.eval()
    with torch.no_grad():
        first, second = (learner.model.losses(batch, "self_supervised")["agree"] for _ in range(2))
    assert torch.equal(first, second)
    assert bits(learner) == before


def test_nothing_of_a_method_is_deployed() -> None:
    learner = make("moco")
    until = learner.model.until("out")
    assert not any("objective" in name for name in until.state_dict())
