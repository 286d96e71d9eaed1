"""Clipping, precision, compilation, the order in memory: what they change, and what they leave exact."""

from __future__ import annotations

import copy
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam

import jumpml
from jumpml.core import LearnerError, SpecError
from jumpml.learn import Compile, Learner, Phase
from jumpml.learn.steps._execution import laid_out_alike
from jumpml.learn.steps._update import Update

if TYPE_CHECKING:
    from pathlib import Path

DATA: dict[str, Any] = {
    "datasets": {
        "digits": {
            "source": {"kind": "sklearn", "name": "digits"},
            "fields": {
                "image": {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]},
                "label": {"kind": "category", "column": "target"},
            },
            "split": {"train": 0.08, "val": 0.1, "test": 0.82, "stratify": "label"},
        }
    },
    "features": {"image": [{"standardize": {}}]},
    "batch_size": 32,
}
NET: dict[str, Any] = {
    "seed": 0,
    "nodes": {
        "conv": {
            "module": "torch.nn.Conv2d",
            "inputs": "image",
            "args": {"in_channels": 1, "out_channels": 6, "kernel_size": 3},
        },
        "norm": {"module": "torch.nn.BatchNorm2d", "inputs": "conv", "args": {"num_features": 6}},
        "encoder": {"module": "jumpml.blocks.MLP", "inputs": "norm", "args": {"widths": [16, 8], "dropout": 0.2}},
        "digit": {"module": "jumpml.blocks.Head", "inputs": "encoder"},
    },
    "tasks": {"digit": {"kind": "multiclass", "output": "digit", "target": "label"}},
}


def learner_of(folder: Path, net: dict[str, Any] = NET, **options: Any) -> Learner:
    loaders = jumpml.create_dataloader(DATA)
    model = jumpml.load_model(net, loaders)
    said = {"optimizer": {"kind": "adam", "lr": 0.01}, "phases": {"supervised": {"epochs": 2}}, "log": [], **options}
    return jumpml.create_learner(loaders, model, None, said, run=folder)


def trained(folder: Path, net: dict[str, Any] = NET, **options: Any) -> dict[str, torch.Tensor]:
    learner = learner_of(folder, net, **options)
    learner.fit()
    return learner.model.state_dict()


def away(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> float:
    return max(float((first[name].double() - second[name].double()).abs().max()) for name in first)


# --- clipping ---------------------------------------------------------------------------------------------------------


def test_clipping_by_value_cuts_each_element() -> None:
    net = nn.Linear(2, 2)
    optimizer = SGD(net.parameters(), lr=1.0)
    before = [p.detach().clone() for p in net.parameters()]
    for parameter in net.parameters():
        parameter.grad = torch.full_like(parameter, 3.0)
    net.weight.grad[0, 0] = -0.01  # type: ignore[index]
    Update(optimizer, clip_value=0.1).move([*net.parameters()])
    moved = [
        float((a - b).detach().flatten()[k]) for a, b in zip(before, net.parameters(), strict=True) for k in (0, 1)
    ]
    assert moved == pytest.approx([-0.01, 0.1, 0.1, 0.1])


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"clip_norm": 1.0, "clip_value": 1.0}, r"clip_value: clip_norm clips the gradient already\. Leave one of the"),
        ({"clip_value": 0.0}, r"clip_value: expected a number above 0, got 0"),
        ({"precision": "float8"}, r"precision: expected one of float32, bfloat16, float16, got 'float8'"),
        ({"compile": {"backend": "inductr"}}, r"compile\.backend: torch has no backend 'inductr'\. Known: .*inductor"),
        (
            {"compile": {"backend": "eager", "mode": "max-autotune"}},
            r"compile\.mode: the backend 'eager' has no modes\. Leave it out",
        ),
        ({"compile": {"mode": "fast"}}, r"compile\.mode: expected one of reduce-overhead"),
    ],
)
def test_what_a_file_says_wrongly(said: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=text):
        learner_of(tmp_path, **said)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"clip_norm": -1.0}, r"clip_norm: expected a number above 0, got -1"),
        ({"precision": "half"}, r"precision: expected one of float32, bfloat16, float16, got 'half'"),
        ({"compile": Compile(backend="none")}, r"compile\.backend: torch has no backend 'none'"),
    ],
)
def test_what_a_program_says_wrongly(said: dict[str, Any], text: str) -> None:
    loaders = jumpml.create_dataloader(DATA)
    model = jumpml.load_model(NET, loaders)
    with pytest.raises(LearnerError, match=text):
        Learner(loaders, model, SGD(model.parameters(), lr=0.1), **said)


# --- precision --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_half_precision_run_has_float32_weights_and_learns_nearly_the_same(
    precision: str, accumulate: int, tmp_path: Path
) -> None:
    whole = trained(tmp_path / "a", accumulate=accumulate, checkpoint=None)
    half = trained(tmp_path / "b", accumulate=accumulate, checkpoint=None, precision=precision)
    assert {v.dtype for v in half.values()} == {v.dtype for v in whole.values()}
    assert 0 < away(whole, half) < 0.2


JOINT = {"kind": "adam", "lr": 0.01, "groups": [{"nodes": "digit", "kind": "sgd", "lr": 0.01}]}


@pytest.mark.parametrize(  # fused, not fused, and several: torch's scaler goes two ways
    "optimizer", [{"kind": "sgd", "lr": 0.01}, {"kind": "adam"}, {"kind": "rprop"}, JOINT], ids=str
)
def test_an_update_whose_gradients_overflow_is_left_out_and_the_scale_falls(
    optimizer: dict[str, Any], tmp_path: Path
) -> None:
    learner = learner_of(tmp_path, precision="float16", optimizer=optimizer, checkpoint=None)
    before = {name: value.clone() for name, value in learner.model.named_parameters()}
    scaler = learner._loop.update._scaler
    assert scaler is not None
    scaler._init_scale = 2.0**26  # beyond what float16 holds
    batches = [*learner.loaders.train]
    learner.step(batches[0])
    assert all(torch.equal(value, before[name]) for name, value in learner.model.named_parameters())
    assert scaler.get_scale() == 2.0**25
    while scaler.get_scale() > 2.0**16:
        learner.step(batches[0])
    learner.step(batches[1])
    assert not all(torch.equal(value, before[name]) for name, value in learner.model.named_parameters())


class Killed(BaseException):
    """What stands in for a killed process."""


@pytest.mark.parametrize(
    ("options", "withheld"),
    [
        ({"precision": "float16"}, "update"),
        ({"precision": "bfloat16", "accumulate": 2}, "optimizer"),
        ({"channels_last": True, "optimizer": {"kind": "sgd", "lr": 0.1, "momentum": 0.9}}, "optimizer"),
        ({"compile": {"backend": "aot_eager"}, "clip_value": 0.01}, "optimizer"),
    ],
)
def test_a_stopped_run_goes_on_exactly(options: dict[str, Any], withheld: str, tmp_path: Path) -> None:
    options = {**options, "checkpoint": {"every": {"steps": 1}, "keep": 30}}

    def make(folder: str) -> Learner:
        learner = learner_of(tmp_path / folder, **options)
        if learner.progress.step == 0 and (scaler := learner._loop.update._scaler):
            scaler._init_scale = 2.0**26  # so that it moves, and a scale that is forgotten shows
        return learner

    def torn(folder: str) -> Learner:
        learner = make(folder)
        original = learner.step

        def step_or_die(*batches: Any) -> None:
            if learner.progress.step == 2:
                raise Killed
            original(*batches)

        learner.step = step_or_die  # type: ignore[method-assign]
        with pytest.raises(Killed):
            learner.fit()
        return make(folder)

    whole, again, forgetful = make("whole"), torn("torn"), torn("other")
    whole.fit()
    again.fit()
    assert away(whole.model.state_dict(), again.model.state_dict()) == 0
    if withheld == "update":
        forgetful._loop.update.load_state_dict({**forgetful._loop.update.state_dict(), "scale": 1.0})
    else:
        for state in forgetful.optimizer.state.values():
            for value in state.values():
                value.zero_()
    forgetful.fit()
    assert away(whole.model.state_dict(), forgetful.model.state_dict()) > 0


# --- memory -----------------------------------------------------------------------------------------------------------


def test_channels_last_changes_the_order_in_memory_and_nothing_else(tmp_path: Path) -> None:
    options = {"optimizer": {"kind": "sgd", "lr": 0.1, "momentum": 0.9}, "ema": {}, "checkpoint": None}
    plain, last = learner_of(tmp_path / "a", **options), learner_of(tmp_path / "b", channels_last=True, **options)
    weight = last.model.node("conv").weight
    seen: list[bool] = []
    last.model.node("conv").register_forward_pre_hook(
        lambda _, given: seen.append(given[0].is_contiguous(memory_format=torch.channels_last))
    )
    plain.fit()
    last.fit()
    assert weight.is_contiguous(memory_format=torch.channels_last)  # type: ignore[operator]
    assert seen and all(seen)
    assert away(plain.model.state_dict(), last.model.state_dict()) < 1e-3


def test_moments_follow_their_parameters_order() -> None:
    net = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = Adam(net.parameters())
    net(torch.randn(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    state = optimizer.state_dict()
    moment = state["state"][0]["exp_avg"]
    state["state"][0]["exp_avg"] = moment.contiguous()  # as a checkpoint has it
    optimizer.load_state_dict(state)
    assert optimizer.state[net.weight]["exp_avg"].stride() != net.weight.stride()
    laid_out_alike(optimizer)
    assert optimizer.state[net.weight]["exp_avg"].stride() == net.weight.stride()
    assert torch.equal(optimizer.state[net.weight]["exp_avg"], moment)


# --- compilation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_compiled_run_is_the_run(backend: str, tmp_path: Path) -> None:
    plain = trained(tmp_path / "a", checkpoint=None)
    compiled = trained(tmp_path / "b", checkpoint=None, compile={"backend": backend})
    assert away(plain, compiled) < 1e-4


def test_torch_does_not_give_up_compiling_after_eight_learners(tmp_path: Path) -> None:
    torch._dynamo.reset()
    for turn in range(10):
        torch._dynamo.utils.counters.clear()
        learner = learner_of(tmp_path / str(turn), compile={"backend": "eager"}, checkpoint=None)
        learner.step(next(iter(learner.loaders.train)))
        assert torch._dynamo.utils.counters["frames"]["ok"] > 0


def test_each_phase_is_compiled_anew() -> None:
    loaders = jumpml.create_dataloader(DATA)
    model = jumpml.load_model(NET, loaders)
    for objective in model.objectives.values():
        objective.when = ("all",)
    phases = {"supervised": Phase(epochs=1), "head": Phase(epochs=1, train=("digit",))}
    learner = Learner(loaders, model, SGD(model.parameters(), lr=0.1), phases=phases, compile=Compile(backend="eager"))
    learner.train_epoch()
    first = learner.stage
    frozen = model.node("conv").weight.clone()  # type: ignore[operator]
    learner._run.phase("head")
    assert learner.stage is not first
    assert learner.stage is not None and first is not None and learner.stage.plan is not first.plan
    assert torch.equal(model.node("conv").weight, frozen)  # type: ignore[arg-type]


def test_without_a_compiler_inductor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    loaders = jumpml.create_dataloader(DATA)
    model = jumpml.load_model(NET, loaders)
    with pytest.raises(LearnerError, match=r"compile: .* this machine has no C\+\+ compiler\. Install g\+\+ or clang"):
        Learner(loaders, model, SGD(model.parameters(), lr=0.1), compile=True)


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_inductors_run_is_the_run(tmp_path: Path) -> None:
    still = copy.deepcopy(NET)
    still["nodes"]["encoder"]["args"].pop("dropout")  # it draws masks of its own
    said = {"checkpoint": None, "optimizer": {"kind": "sgd", "lr": 0.1}}  # Adam steps by rounding where no slope is
    plain = trained(tmp_path / "a", still, **said)
    assert away(plain, trained(tmp_path / "b", still, **said, compile=True)) < 1e-4
    drawn = [trained(tmp_path / name, checkpoint=None, compile=True) for name in ("c", "d")]
    assert away(*drawn) == 0
