"""What a copy of the learner finds out, and that the learner stays as it was, to the bit."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from torch import nn

import jumpml
from jumpml.core import LearnerError, NonFiniteLossError, Task
from jumpml.data import Column, DataLoaders, random_split
from jumpml.learn import BatchSizes, Hook, Learner, OverfitReport, Phase, Saving, StepProfile
from jumpml.learn._loop_state import state_of
from jumpml.learn.trials._batch_sizes import BatchSize
from jumpml.learn.trials._find_lr import falling, smoothed, steepest
from jumpml.learn.trials._memory import bytes_of, told_bytes
from jumpml.objectives import L2, CrossEntropy, MeanSquaredError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from jumpml.core import EpochRecord

SVG = "{http://www.w3.org/2000/svg}"


def data(*, rows: int = 96, batch_size: int = 8, noise: bool = False) -> DataLoaders:
    """Rows of four numbers; the class is the first one's sign, or has nothing to do with them."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, 4, generator=generator)
    told = torch.rand(rows, generator=generator) > 0.5 if noise else x[:, 0] > 0
    columns = {
        "x": Column(torch.zeros_like(x) if noise else x, "tensor"),
        "y": Column(told.long(), "category", classes=("no", "yes")),
        "size": Column(x[:, 1:2].clone(), "number"),
    }
    return DataLoaders(columns, random_split(rows, train=0.5, val=0.25, test=0.25), batch_size=batch_size)


def make(loaders: DataLoaders | None = None, *, lr: float = 0.01, objectives: Any = None, **changes: Any) -> Learner:
    loaders = loaders or data()
    both = {"y": CrossEntropy(("out", "y")), "near": MeanSquaredError(("extent", "size"), weight=0.1)}
    torch.manual_seed(0)
    model = jumpml.Model(
        inputs={"x": loaders.info("x")},
        nodes={
            "body": jumpml.Node(nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5)), "x"),
            "out": jumpml.Node(nn.Linear(16, 2), "body"),
            "extent": jumpml.Node(nn.Linear(16, 1), "body"),
        },
        tasks={"y": Task(kind="multiclass", output="out", target="y")},
        objectives=objectives or both,
        fields=loaders.fields,
    )
    given = {"phases": {"supervised": Phase(epochs=2)}, "ema": 0.9, **changes}
    return Learner(loaders, model, torch.optim.Adam(model.parameters(), lr=lr), **given)


def bits(learner: Learner) -> list[Tensor]:
    """Everything that learning moves, the loaders' place and the global generators."""
    found: list[Tensor] = []

    def walk(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            found.append(value.detach().clone())
        elif isinstance(value, dict):
            for key in value:
                walk(value[key])
        elif isinstance(value, (list, tuple)):
            for each in value:
                walk(each)
        else:
            found.append(torch.tensor([ord(letter) for letter in repr(value)]))

    walk(state_of(learner._loop))
    walk([learner.model.training, [p.grad is None for p in learner.model.parameters()], len(learner.history.epochs)])
    walk([p.requires_grad for p in learner.model.parameters()])
    for loader in (learner.loaders.train, learner.loaders.val, learner.loaders.test):
        walk([loader.state_dict(), loader.epoch, loader.seed])
        with loader.borrowed():
            walk(sorted(next(iter(loader)).items()))
    walk([torch.get_rng_state(), repr(random.getstate()), repr(np.random.get_state())])
    return found


def equal(first: list[Tensor], second: list[Tensor]) -> bool:
    if not first:
        raise AssertionError("nothing to compare")
    return len(first) == len(second) and all(map(torch.equal, first, second))


HELPERS: dict[str, Callable[[Learner], Any]] = {
    "find_lr": lambda learner: learner.find_lr(steps=20, low=1e-5),
    "overfit_batch": lambda learner: learner.overfit_batch(steps=10),
    "dry_run": lambda learner: learner.dry_run(),
    "profile": lambda learner: learner.profile(steps=2),
    "batch_sizes": lambda learner: learner.batch_sizes(sizes=[4, 8]),
}


@pytest.mark.parametrize("name", HELPERS)
@pytest.mark.parametrize("epochs", [0, 1])
def test_the_learner_stays_as_it_was(name: str, epochs: int, tmp_path: Path) -> None:
    learner = make(saving=Saving(folder=tmp_path / "checkpoints", best="val/loss"))
    for _ in range(epochs):
        learner.train_epoch()
        learner.save()  # and wait until it is written
    before, files = bits(learner), sorted(tmp_path.rglob("*"))
    HELPERS[name](learner)
    assert equal(before, bits(learner))
    assert sorted(tmp_path.rglob("*")) == files


@pytest.mark.parametrize("name", HELPERS)
def test_the_learner_stays_as_it_was_in_the_middle_of_an_epoch(name: str) -> None:
    learner = make()
    learner.step(*next(iter(learner.windows())))  # its losses are not read yet
    before = bits(learner)
    HELPERS[name](learner)
    assert equal(before, bits(learner))


@pytest.mark.parametrize("name", HELPERS)
def test_training_afterwards_is_training_without(name: str) -> None:
    plain, tried = make(), make()
    plain.train_epoch()
    tried.train_epoch()
    HELPERS[name](tried)
    plain.fit()
    tried.fit()
    assert equal(bits(plain), bits(tried))


def test_the_comparison_can_fail() -> None:
    with pytest.raises(AssertionError, match="nothing"):
        equal([], [])
    learner = make()
    before = bits(learner)
    learner.train_epoch()
    assert not equal(before, bits(learner))


@pytest.mark.parametrize("name", ["find_lr", "overfit_batch", "profile", "batch_sizes"])
def test_what_is_found_prints_draws_and_is_a_record(name: str) -> None:
    found = HELPERS[name](make())
    assert type(found).model_validate_json(found.model_dump_json()) == found
    root = ElementTree.fromstring(found.draw())
    assert found._repr_svg_() == found.draw()
    assert len(root.findall(f"{SVG}svg")) >= 1
    assert "'supervised'" in str(found)


def test_a_hook_that_cannot_be_copied_is_told() -> None:
    class Holding(Hook):
        name = "holding"

        def attach(self, learner: Learner) -> None:
            self.batches = iter(learner.loaders.train)  # a generator

    learner = make(hooks=[Holding()])
    told = (
        "the learner cannot be copied, and only a copy may learn here: TypeError: cannot pickle 'generator' object. "
        "A hook or module of yours that holds a file or a process needs a method __deepcopy__."
    )
    with pytest.raises(LearnerError, match=re.escape(told)):
        learner.find_lr()


def test_logs_hear_nothing_of_a_copy(tmp_path: Path) -> None:
    from jumpml.learn import JsonlLog

    learner = make(log=[JsonlLog(tmp_path)])
    for helper in HELPERS.values():
        helper(learner)
    assert list(tmp_path.iterdir()) == []


# --- find_lr ------------------------------------------------------------------------------------------------------


def test_a_rate_is_suggested_between_too_low_and_too_high() -> None:
    found = make(data(rows=400)).find_lr()
    assert found.diverged
    assert found.suggestion is not None
    assert found.steepest is not None
    assert 1e-4 < found.steepest < 1  # Adam on a small net
    assert 1e-4 < found.suggestion < 1
    assert found.rates[0] == pytest.approx(1e-7)
    assert f"suggested  {found.suggestion:.2g}" in str(found)


def test_a_second_test_finds_the_same() -> None:
    learner = make()
    learner.train_epoch()
    assert learner.find_lr() == learner.find_lr()


def test_groups_keep_their_relation(monkeypatch: pytest.MonkeyPatch) -> None:
    loaders = data()
    model = make(loaders).model
    groups = [
        {"params": list(model.node("body").parameters()), "lr": 0.001},
        {"params": [*model.node("out").parameters(), *model.node("extent").parameters()], "lr": 0.01},
    ]
    learner = Learner(loaders, model, torch.optim.SGD(groups))
    seen = []
    original = torch.optim.SGD.step

    def step(self: Any, closure: None = None) -> None:
        seen.append([group["lr"] for group in self.param_groups])
        original(self, closure)

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    found = learner.find_lr(low=1e-5, high=1e-2, steps=10)
    assert [rates[1] / rates[0] for rates in seen] == pytest.approx([10.0] * 10)
    assert [rates[0] for rates in seen] == pytest.approx(list(found.rates))


def test_no_rate_is_suggested_where_none_teaches() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = (1 + 0.1 * torch.randn(80, generator=generator)).tolist()
    assert falling(noise, smoothed(noise)) is None
    assert falling([1.0] * 50, [1.0] * 50) is None
    rising = [float(i) for i in range(50)]
    assert falling(rising, smoothed(rising)) is None
    found = make(data(noise=True), objectives={"y": CrossEntropy(("out", "y"))}).find_lr(high=1e-4)
    assert found.suggestion is None
    assert "The loss fell at none of them: look at the data and the objectives (overfit_batch)." in str(found)
    assert "suggested" not in found.draw()


def test_the_stretch_of_a_known_curve_is_found_through_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    curve = [2.0] * 40 + [2.0 - 0.08 * i for i in range(20)] + [0.5 + 0.5 * i for i in range(20)]
    noisy = [
        value + noise for value, noise in zip(curve, (0.1 * torch.randn(80, generator=generator)).tolist(), strict=True)
    ]
    for losses in (curve, noisy):
        smooth = smoothed(losses)
        stretch = falling(losses, smooth)
        assert stretch is not None
        assert 36 <= stretch[0] <= 46
        assert 55 <= stretch[1] <= 62
        assert stretch[0] <= steepest(smooth, stretch) <= stretch[1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"low": 1.0, "high": 0.1}, "expected learning rates with 0 < low < high, got low 1 and high 0.1."),
        ({"steps": 3}, "expected at least 10 steps, got 3."),
        ({"phase": "supervise"}, "there is no phase 'supervise'. Did you mean 'supervised'?"),
    ],
)
def test_arguments_that_make_no_sense_are_told(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(LearnerError, match=re.escape(told)):
        make().find_lr(**arguments)


def test_a_loss_that_is_nan_from_the_start_is_told() -> None:
    learner = make()
    with torch.no_grad():
        next(learner.model.node("out").parameters()).fill_(torch.inf)
    with pytest.raises(LearnerError, match="no finite number after 0 steps at learning rates from 1e-07: begin lower"):
        learner.find_lr()
    with pytest.raises(NonFiniteLossError, match=r"became non-finite at step 1 of learning one batch by heart\. Lower"):
        learner.overfit_batch()


# --- overfit_batch --------------------------------------------------------------------------------------------------


def test_a_batch_that_can_be_learned_is() -> None:
    found = make(lr=0.05).overfit_batch(steps=150)
    assert found.objectives["y"].verdict == "learned"
    assert found.objectives["y"].right == 1.0
    assert found.silent == {}
    assert found.learned


def test_labels_that_have_nothing_to_do_with_the_rows_are_not_learned() -> None:
    found = make(data(noise=True), lr=0.05).overfit_batch(steps=150)
    assert found.objectives["y"].verdict == "stuck"
    assert not found.learned
    assert re.search(r"y +0\.\d+ +0\.\d+ +\d+\.\d% +not learned", str(found)), found


def test_a_rate_that_is_too_low_asks_for_more() -> None:
    found = make(lr=1e-3).overfit_batch(steps=40)
    assert found.objectives["near"].verdict == "falling"
    assert "still falling: give it more steps, or a higher learning rate" in str(found)


def test_a_penalty_is_not_judged() -> None:
    near = MeanSquaredError(("extent", "size"), weight=0.1)
    objectives = {"y": CrossEntropy(("out", "y")), "near": near, "small": L2(parameters_of=("body",), weight=1e-4)}
    found = make(objectives=objectives, lr=0.05).overfit_batch(steps=300)
    assert found.objectives["small"].verdict == "penalty"
    assert found.learned


class Cut(nn.Module):
    """A layer that lets no gradient through, and one weight that nothing reads."""

    def __init__(self) -> None:
        super().__init__()
        self.used = nn.Linear(16, 16)
        self.idle = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.used(x).detach() + x


def test_nodes_that_do_not_learn_are_named() -> None:
    loaders = data()
    torch.manual_seed(0)
    dead = nn.Linear(4, 16)
    with torch.no_grad():
        dead.bias.fill_(-1e3)  # behind it every ReLU is off
    model = jumpml.Model(
        inputs={"x": loaders.info("x")},
        nodes={
            "dead": jumpml.Node(nn.Sequential(dead, nn.ReLU()), "x"),
            "cut": jumpml.Node(Cut(), "dead"),
            "out": jumpml.Node(nn.Linear(16, 2), "cut"),
        },
        tasks={"y": Task(kind="multiclass", output="out", target="y")},
        objectives={"y": CrossEntropy(("out", "y"))},
        fields=loaders.fields,
    )
    groups = [
        {"params": [*model.node("dead").parameters(), *model.node("cut").parameters()], "lr": 0.1},
        {"params": [*model.node("out").parameters()], "lr": 0.0},
    ]
    found = Learner(loaders, model, torch.optim.SGD(groups)).overfit_batch(steps=10)
    assert found.silent == {
        "dead": "the gradient is always zero of its weights.",
        "cut": "no gradient reaches its weights.",
        "out": "the optimizer does not move its weights.",
    }
    assert "node 'dead': the gradient is always zero of its weights." in str(found)


def test_the_report_words_what_it_finds() -> None:
    with pytest.raises(LearnerError, match="expected at least 10 steps, got 1"):
        make().overfit_batch(steps=1)
    report = OverfitReport(phase="p", rows=8, objectives={}, silent={})
    assert report.learned


# --- dry_run --------------------------------------------------------------------------------------------------------


def test_a_dry_run_is_two_batches_of_every_phase(tmp_path: Path) -> None:
    phases = {"first": Phase(epochs=3), "supervised": Phase(epochs=5)}
    objectives = {"y": CrossEntropy(("out", "y"), when=("first", "supervised"))}
    saving = Saving(folder=tmp_path / "checkpoints", best="val/y/accuracy")
    learner = make(phases=phases, objectives=objectives, saving=saving)
    history = learner.dry_run()
    assert [(record.phase, record.step) for record in history.epochs] == [("first", 2), ("supervised", 4)]
    assert all("y/accuracy" in record.val for record in history.epochs)
    assert not tmp_path.joinpath("checkpoints").exists()
    assert [record.step for record in learner.dry_run(3).epochs] == [3, 6]


def test_a_dry_run_finds_what_fails_at_the_end() -> None:
    class Failing(Hook):
        name = "failing"

        def closed(self, record: EpochRecord) -> None:
            raise LearnerError("the last thing of all")

    with pytest.raises(LearnerError, match="the last thing of all"):
        make(hooks=[Failing()]).dry_run()


# --- profile --------------------------------------------------------------------------------------------------------


def test_a_profile_has_every_node_and_objective_and_its_parameters() -> None:
    found = make().profile(steps=3)
    by_name = {(part.kind, part.name): part for part in found.parts}
    assert set(by_name) == {
        ("node", "body"),
        ("node", "out"),
        ("node", "extent"),
        ("objective", "y"),
        ("objective", "near"),
    }
    assert by_name["node", "out"].parameters == 16 * 2 + 2
    assert by_name["node", "out"].weights == 4 * (16 * 2 + 2)
    assert by_name["node", "out"].kept >= 8 * 2 * 4  # its output at least
    assert all(part.forward > 0 for part in found.parts)
    assert by_name["node", "body"].backward > 0
    assert (found.rows, found.device) == (8, "cpu")
    shown = str(found)
    assert all(name in shown for name in ("waiting for data", "body", "near (objective)", "optimizer", "all else"))


def _profile(**changes: Any) -> StepProfile:
    part = {
        "name": "encoder",
        "kind": "node",
        "forward": 0.2,
        "backward": 0.3,
        "parameters": 9,
        "weights": 36,
        "kept": 8,
    }
    whole = {"phase": "p", "device": "cpu", "rows": 10, "steps": 3, "data": 0.1, "parts": [part]}
    return StepProfile.model_validate({**whole, "optimizer": 0.2, "rest": 0.2, "peak": 1000, **changes})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "node 'encoder': 50% of the time (20% forward, 30% backward)."),
        ({"data": 3.0}, "data: 77% of the time is waiting for batches. Let more workers decode (`workers`)"),
        (
            {"optimizer": 2.0},
            "optimizer: 71% of the time is its update. Larger batches have fewer steps",
        ),
        ({"rest": 2.0}, "the loop around the model: 71% of the time; the model is quick for its rows."),
        ({"parts": []}, "optimizer: 40% of the time is its update."),
    ],
)
def test_the_bottleneck_is_what_takes_longest(changes: dict[str, Any], told: str) -> None:
    assert told in _profile(**changes).bottleneck


def test_the_profiler_says_nothing_of_itself(capfd: pytest.CaptureFixture[str]) -> None:
    make().profile(steps=1)
    said = capfd.readouterr()
    assert said.out + said.err == ""


def test_a_profile_adds_up() -> None:
    found = _profile()
    assert found.seconds == pytest.approx(1.0)
    assert "10 rows a step on cpu, phase 'p': 1e+03 ms a step, 10 rows/s" in str(found)
    with pytest.raises(LearnerError, match="expected at least 1 step, got 0"):
        make().profile(steps=0)


def test_an_update_of_several_batches_is_one_step() -> None:
    found = make(accumulate=3).profile(steps=2)
    assert found.rows == 24
    assert len(make(accumulate=3).find_lr(steps=12).rates) <= 12


def test_a_compiled_learner_is_profiled_without() -> None:
    from jumpml.learn import Compile

    found = make(compile=Compile(backend="eager")).profile(steps=1)
    assert found.compiles
    assert [part.name for part in found.parts if part.kind == "node"] == ["body", "out", "extent"]
    assert "without torch.compile, which melts nodes into each other" in str(found)


# --- batch sizes ------------------------------------------------------------------------------------------------------


def test_memory_grows_with_the_rows_by_a_straight_line() -> None:
    found = make(data(rows=1024)).batch_sizes(sizes=[16, 64, 256])
    peaks = [each.peak for each in found.sizes]
    assert peaks == sorted(peaks)
    weights = 4 * sum(parameter.numel() for parameter in make().model.parameters())
    assert found.fixed > 3 * weights  # weights and two moments; gradients come on top
    assert found.each > 4 * (4 + 16 + 16)  # what the body keeps for each row
    again = make(data(rows=1024)).batch_sizes(sizes=[16, 64, 256])
    assert [each.peak for each in again.sizes] == peaks
    for each in found.sizes:
        assert found.fixed + found.each * each.rows == pytest.approx(each.peak, rel=0.1)


def test_what_fits_is_told_only_where_a_limit_is_known() -> None:
    learner = make(data(rows=2048))
    free = learner.batch_sizes(sizes=[16, 32])
    assert free.fits is None
    assert "how many fit is not told: a CPU has no limit of its own" in str(free)
    bound = learner.batch_sizes(sizes=[16, 32], memory=int(free.fixed + 300 * free.each))
    assert bound.fits == 256
    assert "256 rows fit into" in str(bound)
    assert str(bound).endswith("(extrapolated beyond 32)")
    roomy = learner.batch_sizes(sizes=[16, 32], memory="1TB")
    assert roomy.fits == 1024
    assert str(roomy).endswith("(extrapolated beyond 32), with room for more than there are train rows")
    assert learner.batch_sizes(sizes=[16, 32], memory="1kB").fits == 0
    assert "nothing fits into 1 kB" in str(learner.batch_sizes(sizes=[16, 32], memory="1kB"))


def test_sizes_are_doubled_around_the_present_one() -> None:
    found = make(data(rows=96, batch_size=16)).batch_sizes()  # 48 train rows
    assert [each.rows for each in found.sizes] == [4, 8, 16, 32]


def test_the_device_that_runs_full_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    from jumpml.learn.trials import _batch_sizes as module

    def measure(learner: Any, phase: str, size: int, device: Any) -> BatchSize:
        if size > 16:
            raise torch.OutOfMemoryError("full")
        return BatchSize(rows=size, seconds=1.0, peak=size * 10)

    monkeypatch.setattr(module, "_measure", measure)
    found = make().batch_sizes(sizes=[8, 16, 32])
    assert (found.fits, found.full) == (16, 32)
    assert "16 rows fit; at 32 the device's memory ran out" in str(found)
    with pytest.raises(
        LearnerError, match=r"a batch of 32 rows does not fit into the memory of cpu: try fewer \(sizes\)"
    ):
        make().batch_sizes(sizes=[32])


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        ((1.0, 1.0, 1.9), "from 16 rows on, larger batches bring less than a tenth more rows a second"),
        ((1.0, 1.0, 1.0), "the largest batch that was tried, of 32 rows, has the most rows a second"),
    ],
)
def test_of_sizes_that_were_not_tried_no_speed_is_told(seconds: tuple[float, ...], told: str) -> None:
    sizes = tuple(BatchSize(rows=8 * 2**n, seconds=each, peak=8) for n, each in enumerate(seconds))
    found = BatchSizes(phase="p", device="cpu", sizes=sizes, fixed=0, each=1, limit=None, fits=None)
    assert told in str(found).splitlines()


def test_enough_is_where_larger_hardly_pays() -> None:
    sizes = tuple(BatchSize(rows=rows, seconds=s, peak=1) for rows, s in ((8, 0.1), (16, 0.1), (32, 0.18), (64, 0.35)))
    found = BatchSizes(phase="p", device="cpu", sizes=sizes, fixed=0, each=1, limit=None, fits=None)
    assert found.enough == 32
    assert "from 32 rows on" in str(found)


@pytest.mark.parametrize(
    ("text", "amount"), [("4GB", 4 * 10**9), ("1.5 GiB", 3 * 2**29), ("800", 800), (800, 800), ("12kb", 12000)]
)
def test_amounts_of_memory(text: str | int, amount: int) -> None:
    assert bytes_of(text) == amount


@pytest.mark.parametrize("text", ["", "GB", "four GB", "-1GB", "0", "4PB"])
def test_what_is_no_amount_of_memory_is_told(text: str) -> None:
    told = f"expected an amount of memory such as 4GB or 512MiB, got {text!r}."
    with pytest.raises(LearnerError, match=re.escape(told)):
        make().batch_sizes(memory=text)


def test_sizes_beyond_the_rows_are_told() -> None:
    with pytest.raises(
        LearnerError, match=re.escape("expected batch sizes from 1 to the 48 train rows, got [8, 4096].")
    ):
        make().batch_sizes(sizes=[4096, 8])
    assert told_bytes(2_500_000_000) == "2.5 GB"
