"""Schedules of the learning rate: against torch's own, in a chain, on a plateau, and exact on resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from iris_files import iris_data, iris_model
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, OneCycleLR, ReduceLROnPlateau, StepLR

import jumpml
from jumpml.core import LearnerError, SpecError
from jumpml.learn import (
    Constant,
    Cosine,
    Learner,
    Linear,
    OneCycle,
    Phase,
    Plateau,
    Schedule,
    ScheduleFunction,
    TorchSchedule,
    Warmup,
)
from jumpml.learn.schedules._rates import Rates, without_parameters

if TYPE_CHECKING:
    from pathlib import Path


def optimizer_of(lr: float = 0.1, more: tuple[float, ...] = ()) -> SGD:
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (lr, *more)]
    return SGD(groups, lr=lr, momentum=0.9)


def rates_of(
    schedule: Schedule | tuple[Schedule, ...] | None,
    steps: int,
    *,
    an_epoch: int = 4,
    lr: float | None = None,
    optimizer: SGD | None = None,
) -> Rates:
    optimizer = optimizer or optimizer_of()
    initial = [without_parameters(group) for group in optimizer.param_groups]
    return Rates(optimizer, initial, lr=lr, schedule=schedule, steps=steps, an_epoch=an_epoch)


def course(schedule: Schedule | tuple[Schedule, ...] | None, steps: int, *, an_epoch: int = 4) -> list[float]:
    """The rate of each step of a phase, and of two more."""
    optimizer = optimizer_of()
    rates, found = rates_of(schedule, steps, an_epoch=an_epoch, optimizer=optimizer), []
    for _ in range(steps + 2):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        rates.advance()
    return found


def torchs(make: Any, steps: int, **arguments: Any) -> list[float]:
    optimizer = optimizer_of()
    scheduler, found = make(optimizer, **arguments), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@given(steps=st.integers(2, 40), last=st.floats(0, 0.09), share=st.floats(0.1, 0.9), peak=st.floats(0.01, 10))
def test_functions_are_torchs(steps: int, last: float, share: float, peak: float) -> None:
    cosine = torchs(CosineAnnealingLR, steps, T_max=steps - 1, eta_min=last)
    assert course(Cosine(min_lr=last), steps)[:steps] == pytest.approx(cosine, abs=1e-9)
    line = torchs(LinearLR, steps, start_factor=1.0, end_factor=last * 10, total_iters=steps - 1)
    assert course(Linear(end_lr=last), steps)[:steps] == pytest.approx(line, abs=1e-9)
    if share * steps - 1 > 0.01:
        told = {"max_lr": peak, "total_steps": steps, "pct_start": share, "cycle_momentum": False}
        cycle = torchs(OneCycleLR, steps - 1, **told)
        assert course(OneCycle(max_lr=peak, warmup=share), steps)[: steps - 1] == pytest.approx(
            cycle, rel=1e-6, abs=1e-9
        )


@given(
    steps=st.integers(1, 30),
    schedule=st.sampled_from(
        [
            None,
            Constant(),
            Constant(lr=0.3),
            Cosine(by="epoch"),
            Linear(start_lr=0.0, end_lr=None),
            OneCycle(max_lr=1.0),
            Plateau(metric="val/loss"),
            TorchSchedule(scheduler=StepLR, arguments={"step_size": 2}),
        ]
    ),
)
def test_past_its_end_a_schedule_holds_its_last_rate(steps: int, schedule: Schedule | None) -> None:
    *_, last, after, then = course(schedule, steps)
    assert last == after == then > -1e-12


def test_one_step_is_enough_for_every_kind() -> None:
    assert course(OneCycle(max_lr=1.0), 1)[0] > 0
    assert course(OneCycle(max_lr=1.0, warmup=0.1), 10)[0] == 1  # a warm-up of one step; torch's divides by zero
    assert course(Cosine(), 1)[0] == course(Linear(), 1)[0] == 0.1
    assert course(Constant(warmup=0.5), 1)[0] == 0.1


def test_by_epoch_the_rate_is_the_same_within_an_epoch() -> None:
    assert course(Linear(by="epoch"), 12)[:12] == pytest.approx([0.1] * 4 + [0.05] * 4 + [0.0] * 4)
    halving = TorchSchedule(scheduler=StepLR, arguments={"step_size": 1, "gamma": 0.5}, by="epoch")
    assert course(halving, 12)[:12] == pytest.approx([0.1] * 4 + [0.05] * 4 + [0.025] * 4)


@pytest.mark.parametrize(
    ("warmup", "rise"),
    [(0.5, 6), (Warmup(steps=3), 3), (Warmup(epochs=1), 4), (Warmup(epochs=0.5, start=0.2), 2), (Warmup(steps=99), 12)],
)
def test_a_warm_up_rises_to_the_rate_and_the_schedule_follows(warmup: float | Warmup, rise: int) -> None:
    start = warmup.start if isinstance(warmup, Warmup) else 0.0
    expected = [0.1 * (start + (1 - start) * (step + 1) / rise) for step in range(rise)]
    rest = course(Cosine(), 12 - rise)[: 12 - rise] if rise < 12 else []
    assert course(Cosine(warmup=warmup), 12)[:12] == pytest.approx(expected + rest)


def test_a_chain_gives_each_its_length_and_the_last_the_rest() -> None:
    chain = (
        Linear(start_lr=0.0, end_lr=None, steps=3),
        Constant(epochs=0.5),
        TorchSchedule(scheduler=StepLR, arguments={"step_size": 1, "gamma": 0.5}, steps=3),
        Constant(lr=0.2),
    )
    assert course(chain, 10)[:10] == pytest.approx([0.0, 0.05, 0.1, 0.1, 0.1, 0.1, 0.05, 0.025, 0.2, 0.2])
    assert course(chain, 4)[:4] == pytest.approx([0.0, 0.05, 0.1, 0.1])  # a phase that is over earlier


def test_groups_keep_their_ratio() -> None:
    optimizer = optimizer_of(0.1, (0.01, 0.3))
    rates = rates_of(Cosine(min_lr=0.02), 5, lr=0.2, optimizer=optimizer)
    for _ in range(4):
        found = [group["lr"] for group in optimizer.param_groups]
        assert found == pytest.approx([found[0], found[0] / 10, found[0] * 3])
        rates.advance()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.02, 0.002, 0.06])


def test_a_schedule_of_ones_own() -> None:
    class Halving(ScheduleFunction):
        def at(self, place: int, count: int, lr: float) -> float:
            return lr * 0.5**place

    assert course(Halving(), 3)[:3] == pytest.approx([0.1, 0.05, 0.025])


@given(
    figures=st.lists(st.floats(0, 1) | st.just(float("nan")), min_size=1, max_size=30),
    patience=st.integers(0, 3),
    cooldown=st.integers(0, 3),
    delta=st.sampled_from([0.0, 0.1]),
)
def test_a_plateau_cuts_as_torchs_does(figures: list[float], patience: int, cooldown: int, delta: float) -> None:
    schedule = Plateau(metric="val/loss", factor=0.5, patience=patience, cooldown=cooldown, min_delta=delta)
    mine, theirs = optimizer_of(), optimizer_of()
    rates = rates_of(schedule, 99, an_epoch=1, optimizer=mine)
    told = {"factor": 0.5, "patience": patience, "cooldown": cooldown, "threshold": delta, "threshold_mode": "abs"}
    reference = ReduceLROnPlateau(theirs, **told, eps=0.0)
    for figure in figures:
        rates.advance()
        rates.closed({"loss": figure})
        reference.step(figure)
        assert mine.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"])


def test_a_plateau_has_a_floor_and_a_direction() -> None:
    optimizer = optimizer_of()
    schedule = Plateau(metric="val/t/accuracy", factor=0.1, patience=0, min_lr=0.05)
    rates = rates_of(schedule, 9, optimizer=optimizer)
    for accuracy, lr in ((0.5, 0.1), (0.6, 0.1), (0.6, 0.05), (0.5, 0.05)):
        rates.closed({"t/accuracy": accuracy})
        assert optimizer.param_groups[0]["lr"] == pytest.approx(lr)
    rates.closed({})  # an epoch that nothing was measured in
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.05)


@given(
    at=st.integers(0, 14),
    schedule=st.sampled_from(
        [
            OneCycle(max_lr=1.0),
            (Linear(start_lr=0.0, end_lr=None, steps=3), Cosine(warmup=Warmup(steps=2), steps=5), Constant()),
            TorchSchedule(scheduler=torch.optim.lr_scheduler.MultiStepLR, arguments={"milestones": [3, 3, 7]}),
            TorchSchedule(scheduler=OneCycleLR, arguments={"max_lr": 1.0, "total_steps": 20}),
            (Constant(steps=4), TorchSchedule(scheduler=StepLR, arguments={"step_size": 2}, by="epoch")),
            Plateau(metric="val/loss", patience=0, cooldown=1, factor=0.7),
        ]
    ),
)
def test_every_state_resumes_exactly(at: int, schedule: Schedule | tuple[Schedule, ...]) -> None:
    def live(rates: Rates, optimizer: SGD, steps: range) -> list[dict[str, Any]]:
        seen = []
        for step in steps:
            optimizer.step()
            rates.advance()
            rates.closed({"loss": float(step % 3)})
            seen.append(without_parameters(optimizer.param_groups[0]))
        return seen

    optimizer = optimizer_of()
    rates = rates_of(schedule, 15, optimizer=optimizer)
    live(rates, optimizer, range(at))
    state, groups = rates.state_dict(), optimizer.state_dict()
    expected = live(rates, optimizer, range(at, 15))
    other = optimizer_of()
    resumed = rates_of(schedule, 15, optimizer=other)
    other.load_state_dict(groups)
    resumed.load_state_dict(state)
    assert live(resumed, other, range(at, 15)) == expected


def test_what_a_scheduler_left_is_gone_in_the_next_phase() -> None:
    optimizer = optimizer_of()
    initial = [without_parameters(group) for group in optimizer.param_groups]
    cycle = TorchSchedule(scheduler=OneCycleLR, arguments={"max_lr": 1.0, "total_steps": 20})
    rates_of(cycle, 9, optimizer=optimizer)
    assert without_parameters(optimizer.param_groups[0]) != initial[0]  # its momentum moves too
    Rates(optimizer, initial, lr=None, schedule=None, steps=9, an_epoch=3)
    assert without_parameters(optimizer.param_groups[0]) == initial[0]


def test_a_rate_that_is_a_tensor_is_set_in_place() -> None:
    rate = torch.tensor(0.1)
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=rate)
    rates_of(Linear(), 3, optimizer=optimizer).advance()  # type: ignore[arg-type]
    assert optimizer.param_groups[0]["lr"] is rate
    assert float(rate) == pytest.approx(0.05)


# --- through the learner ----------------------------------------------------------------------------------------------

DATA = iris_data(batch_size=64)
NET = iris_model({})


def learner_of(options: dict[str, Any], folder: Path) -> Learner:
    loaders = jumpml.create_dataloader(DATA)
    model = jumpml.load_model(NET, loaders)
    return jumpml.create_learner(loaders, model, None, {"log": [], **options}, run=folder)


def test_a_list_in_a_file(tmp_path: Path) -> None:
    chain = [
        {"kind": "linear", "start_lr": 0.0, "end_lr": None, "epochs": 1},
        {"kind": "torch", "name": "StepLR", "args": {"step_size": 1, "gamma": 0.5}, "by": "epoch"},
    ]
    options = {"optimizer": {"lr": 0.1}, "schedule": chain, "phases": {"supervised": {"epochs": 4}}}
    learner = learner_of(options, tmp_path)
    learner.fit()
    assert [record.lr for record in learner.history.epochs] == pytest.approx([0.1, 0.05, 0.025, 0.025])


def test_a_plateau_in_a_file_is_measured(tmp_path: Path) -> None:
    said = {"kind": "plateau", "metric": "val/species/accuracy", "patience": 0, "factor": 0.5, "min_delta": 1.0}
    options = {"optimizer": {"lr": 0.1}, "schedule": said, "phases": {"supervised": {"epochs": 3}}}
    learner = learner_of(options, tmp_path)
    learner.fit()
    assert [set(record.val) for record in learner.history.epochs] == [{"species/accuracy", "loss"}] * 3
    assert learner.optimizer.param_groups[0]["lr"] == pytest.approx(0.025)  # nothing is better by 1 than the first


def test_a_scheduler_that_the_user_steps_too_is_noticed() -> None:
    loaders = jumpml.create_dataloader(DATA)
    model = jumpml.load_model(NET, loaders)
    optimizer = SGD(model.parameters(), lr=0.1)
    phases = {"supervised": Phase(epochs=3, schedule=Cosine())}
    learner = Learner(loaders, model, optimizer, phases=phases)
    mine = StepLR(optimizer, step_size=1, gamma=0.5)
    batch = next(iter(loaders.train))
    learner.step(batch)
    mine.step()
    with pytest.raises(
        LearnerError, match=r"was moved from outside, from [\d.]+ to [\d.]+ before step 2 of the phase.*"
    ):
        learner.step(batch)


def test_without_a_schedule_the_rate_is_the_users() -> None:
    loaders = jumpml.create_dataloader(DATA)
    model = jumpml.load_model(NET, loaders)
    optimizer = SGD(model.parameters(), lr=0.1)
    learner = Learner(loaders, model, optimizer)
    mine = StepLR(optimizer, step_size=1, gamma=0.5)
    for batch in loaders.train:
        learner.step(batch)
        mine.step()
    assert optimizer.param_groups[0]["lr"] == 0.025


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"kind": "cosin"}, r"schedule\.kind: expected one of .*, got 'cosin'\. Did you mean 'cosine'"),
        ({"kind": "cosine", "epochs": 2}, r"schedule\.epochs: a schedule alone lasts as long as its phase\. Leave it"),
        ([], r"schedule: expected (at least 1 entry|a list of at least 1), got a list of 0"),
        (
            [{"kind": "cosine"}, {"kind": "constant"}],
            r"schedule\[0\]: expected epochs or steps: how long it lasts before",
        ),
        (
            [{"kind": "cosine", "epochs": 1, "steps": 4}, {"kind": "constant"}],
            r"schedule\[0\]\.steps: expected either epochs or steps, got both",
        ),
        (
            [{"kind": "cosine", "epochs": 1}, {"kind": "constant", "steps": 1}],
            r"schedule\[1\]\.steps: the last schedule takes what is left\. Leave it out",
        ),
        ({"kind": "cosine", "warmup": {}}, r"schedule\.warmup: expected either epochs or steps, got neither"),
        (
            {"kind": "torch", "name": "StepL"},
            r"schedule\.name: torch\.optim\.lr_scheduler has no 'StepL' for files\. Did",
        ),
        ({"kind": "torch", "name": "ReduceLROnPlateau"}, r"schedule\.name: .* Write kind: plateau\."),
        ({"kind": "torch", "name": "LambdaLR"}, r"schedule\.name: .* A file holds no functions"),
        (
            {"kind": "torch", "name": "StepLR", "args": {"step": 1}},
            r"schedule\.args: StepLR: missing a required argument: 'step_size'\. It takes step_size, gamma, last_epoch",
        ),
        (
            {"kind": "torch", "name": "CyclicLR", "args": {"base_lr": 0.1, "max_lr": 0.2, "mode": "none"}},
            r"schedule: CyclicLR refuses its arguments: mode is invalid",
        ),
        (
            {"kind": "plateau", "metric": "val/specie/auroc"},
            r"schedule\.metric: the validation has no figure 'val/specie/auroc'\. Did you mean 'val/species/auroc'",
        ),
    ],
)
def test_what_a_file_says_wrongly(said: Any, text: str, tmp_path: Path) -> None:
    with pytest.raises((SpecError, LearnerError), match=text):
        learner_of({"schedule": said}, tmp_path)


def test_a_warm_up_has_one_length() -> None:
    with pytest.raises(ValueError, match="a warm-up: expected one of share, epochs and steps"):
        Warmup(steps=1, epochs=1)
