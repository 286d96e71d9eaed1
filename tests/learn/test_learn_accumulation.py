"""N batches of k are one batch of N times k: with missing targets, a ragged last window, several objectives."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from iris_files import iris_data, iris_model, mlp
from torch import Tensor, nn
from torch.optim import SGD

import jumpml
from jumpml.core import LearnerError, Loss, SpecError, ValueInfo
from jumpml.graph import LossPlan, Model, Node
from jumpml.learn import Hook, Learner, Phase, Step
from jumpml.learn.steps._descent import Descent
from jumpml.learn.steps._window import Window
from jumpml.objectives import L2, CrossEntropy, MeanSquaredError, ObjectiveModule

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WEIGHTS = {"class": 1.0, "number": 0.3, "marks": 0.5, "small": 0.01}


def model_of() -> Model:
    """Three tasks that miss targets of their own, one of them by positions, and a penalty on parameters."""
    torch.manual_seed(0)
    nodes = {
        "body": Node(nn.Sequential(nn.Linear(4, 8), nn.Tanh()), "x"),
        "class": Node(nn.Linear(8, 3), "body"),
        "number": Node(nn.Linear(8, 1), "body"),
        "marks": Node(nn.Sequential(nn.Linear(8, 10), nn.Unflatten(1, (2, 5))), "body"),
    }
    objectives = {
        "class": CrossEntropy(("class", "label"), weight=WEIGHTS["class"]),
        "number": MeanSquaredError(("number", "amount"), weight=WEIGHTS["number"]),
        "marks": CrossEntropy(("marks", "mark"), weight=WEIGHTS["marks"]),
        "small": L2(parameters_of="all", weight=WEIGHTS["small"]),
    }
    return Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=nodes, objectives=objectives).double()


def rows_of(count: int, seed: int) -> dict[str, Tensor]:
    made = torch.Generator().manual_seed(seed)
    there = torch.rand(count, generator=made) < 0.6
    known = torch.rand(count, generator=made) < 0.3
    mark = torch.randint(-1, 2, (count, 5), generator=made)
    return {
        "x": torch.randn(count, 4, generator=made, dtype=torch.float64),
        "label": torch.where(there, torch.randint(0, 3, (count,), generator=made), -1),
        "label.present": there,
        "amount": torch.where(known, torch.randn(count, generator=made, dtype=torch.float64), torch.nan),
        "amount.present": known,
        "mark": mark.where(torch.rand(count, 1, generator=made) < 0.7, torch.tensor(-1)),
    }


def gradients(model: Model, batches: Sequence[dict[str, Tensor]]) -> list[Tensor]:
    plan = model.plan_losses("supervised", batches[0].keys())
    model.zero_grad()
    descent = Descent(WEIGHTS)
    if len(batches) == 1:
        descent.back(descent.starts(plan(batches[0])[0]).values())
    else:
        window = Window(plan, batches)
        for batch in batches:
            losses, _ = plan(batch)
            descent.back(descent.starts(losses, window, len(batch["x"])).values())
        assert not any(window.miscounted().values())
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


@settings(deadline=None)
@given(sizes=st.lists(st.integers(1, 6), min_size=2, max_size=5), seed=st.integers(0, 99))
def test_the_gradients_of_several_batches_are_those_of_one(sizes: list[int], seed: int) -> None:
    model = model_of()
    whole = rows_of(sum(sizes), seed)
    parts = [
        dict(zip(whole, pieces, strict=True)) for pieces in zip(*(v.split(sizes) for v in whole.values()), strict=True)
    ]
    expected, got = gradients(model, [whole]), gradients(model, parts)
    assert len(got) == 8
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


def test_the_mean_of_means_would_be_another() -> None:
    """That the comparison above can fail: with unequal masks, averaging over batches is wrong by far more."""
    model, whole = model_of(), rows_of(12, 3)
    parts = [{name: value[rows] for name, value in whole.items()} for rows in (slice(0, 5), slice(5, 12))]
    expected = gradients(model, [whole])
    means = [torch.stack(pair).mean(0) for pair in zip(*(gradients(model, [part]) for part in parts), strict=True)]
    assert max(float((a - b).abs().max()) for a, b in zip(means, expected, strict=True)) > 1e-3


def test_the_losses_of_a_window_are_those_of_one_batch() -> None:
    model, whole = model_of(), rows_of(12, 3)
    plan = model.plan_losses("supervised", whole.keys())
    parts = [{name: value[rows] for name, value in whole.items()} for rows in (slice(0, 5), slice(5, 12))]
    window = Window(plan, parts)
    steps = [Step(1, 0.1, plan(part)[0], {}, part, len(part["x"])) for part in parts]
    for name, (value, present) in plan(whole)[0].items():
        torch.testing.assert_close(window.losses(steps)[name].value, value, rtol=1e-12, atol=1e-14)
        assert (present is None) == (window.losses(steps)[name].present is None)


class Own(ObjectiveModule):
    """Counts rows by what a node gives: nobody can tell before."""

    roles = ("prediction",)

    def connect(self, values: Any, parameters: Any) -> None:
        pass

    def forward(self, prediction: Tensor, present: Tensor | None = None) -> Loss:
        return Loss(prediction.square().mean(1), prediction.isfinite().all(1))


class Wrong(Own):
    """Tells something else before."""

    def counted(self, *inputs: Tensor | None, present: Tensor | None = None) -> Tensor | None:
        return torch.zeros(1, dtype=torch.bool)


def own_model(objective: ObjectiveModule) -> Model:
    torch.manual_seed(0)
    nodes = {"out": Node(nn.Linear(4, 3), "x")}
    return Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=nodes, objectives={"own": objective})


def test_an_objective_that_counts_by_itself_is_refused() -> None:
    model = own_model(Own(("out",)))
    plan = model.plan_losses("supervised", ["x"])
    batches = [{"x": torch.randn(5, 4)} for _ in range(2)]
    window = Window(plan, batches)
    with pytest.raises(LearnerError, match=r"'own' counts rows by a mask of its own.*Give it a method counted"):
        Descent({"own": 1.0}).starts(plan(batches[0])[0], window, 5)


def test_one_that_counts_otherwise_than_it_told_is_found_when_the_log_is_read(tmp_path: Path) -> None:
    loaders = jumpml.create_dataloader(DATA)
    nodes = {"out": Node(nn.Linear(4, 3), "x")}
    model = Model(inputs={"x": loaders.info("x")}, nodes=nodes, objectives={"own": Wrong(("out",))})
    learner = Learner(
        loaders, model, SGD(model.parameters(), lr=0.1), accumulate=2, phases={"supervised": Phase(epochs=1)}
    )
    with pytest.raises(LearnerError, match=r"'own' counted other rows than it had told before, so its mean is wrong"):
        learner.train_epoch()


# --- through the learner ----------------------------------------------------------------------------------------------

DATA = iris_data()
NET = iris_model({"encoder": mlp(8, 6)})


def learner_of(folder: Path, batch_size: int, **options: Any) -> Learner:
    loaders = jumpml.create_dataloader({**DATA, "batch_size": batch_size})
    model = jumpml.load_model(NET, loaders)
    said = {
        "optimizer": {"kind": "sgd", "lr": 0.1},
        "phases": {"supervised": {"epochs": 3}},
        "log": ["jsonl"],
        **options,
    }
    return jumpml.create_learner(loaders, model, None, said, run=folder)


def test_a_run_with_accumulation_is_the_run_with_larger_batches(tmp_path: Path) -> None:
    options = {"schedule": {"kind": "cosine"}, "clip_norm": 0.5, "ema": {"decay": 0.9}, "checkpoint": None}
    runs = []
    for name, size, accumulate in (("whole", 48, 1), ("parts", 16, 3)):
        learner = learner_of(tmp_path / name, size, accumulate=accumulate, **options)
        learner.fit()
        runs.append(learner)
    whole, parts = runs
    assert whole.progress.step == parts.progress.step == 9
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(parts.model.state_dict()[name], value, rtol=1e-5, atol=1e-7)
    for one, other in zip(whole.history.epochs, parts.history.epochs, strict=True):
        assert one.losses == pytest.approx(other.losses, rel=1e-5)
        assert one.lr == other.lr
    lines = [(tmp_path / name / "steps.jsonl").read_text().splitlines() for name in ("whole", "parts")]
    assert len(lines[0]) == len(lines[1]) == 9
    a, b = whole.history.examples["species"], parts.history.examples["species"]
    assert torch.allclose(torch.from_numpy(a.loss), torch.from_numpy(b.loss), rtol=1e-4, atol=1e-6)


class Moments(Hook):
    """What hooks are told."""

    name = "moments"

    def __init__(self) -> None:
        self.told: list[tuple[str, int, int]] = []

    def learned(self, step: Step) -> None:
        self.told.append(("learned", step.number, len(step.batch["x"])))

    def updated(self, step: Step) -> None:
        self.told.append(("updated", step.number, len(step.batch["x"])))


def test_hooks_are_told_of_every_batch_and_of_every_update(tmp_path: Path) -> None:
    loaders = jumpml.create_dataloader({**DATA, "batch_size": 20})
    model, moments = jumpml.load_model(NET, loaders), Moments()
    phases = {"supervised": Phase(epochs=1)}
    learner = Learner(loaders, model, SGD(model.parameters(), lr=0.1), phases=phases, accumulate=3, hooks=[moments])
    learner.train_epoch()
    assert len(loaders.train.rows) == 105
    assert moments.told == [
        *[("learned", 1, 20)] * 3,
        ("updated", 1, 20),
        *[("learned", 2, 20)] * 2,
        ("learned", 2, 5),
        ("updated", 2, 5),
    ]


class Killed(BaseException):
    """What stands in for a killed process."""


def kill_at(learner: Learner, step: int) -> None:
    """Make the learner die in a step, with its first batch learned from."""
    original = learner._loop._learn

    def learn_or_die(*given: Any) -> Any:
        learned = original(*given)
        if learner.progress.step == step:
            raise Killed
        return learned

    learner._loop._learn = learn_or_die  # type: ignore[method-assign]


@pytest.mark.parametrize("withheld", [False, True])
def test_a_run_that_stops_inside_windows_goes_on_exactly(tmp_path: Path, withheld: bool) -> None:
    def make(folder: Path) -> Learner:
        loaders = jumpml.create_dataloader({**DATA, "batch_size": 10})
        net = copy.deepcopy(NET)
        net["nodes"]["encoder"]["args"]["dropout"] = 0.3  # type: ignore[index]
        options = {
            "accumulate": 3,
            "schedule": {"kind": "one_cycle", "max_lr": 0.1},
            "phases": {"supervised": {"epochs": 3}},
            "checkpoint": {"every": {"steps": 1}, "keep": 20},
            "log": [],
        }
        return jumpml.create_learner(loaders, jumpml.load_model(net, loaders), None, options, run=folder)

    whole = make(tmp_path / "whole")
    whole.fit()
    torn = make(tmp_path / "torn")
    kill_at(torn, 2)
    with pytest.raises(Killed):
        torn.fit()
    again = make(tmp_path / "torn")
    assert again.progress.batch == 6
    if withheld:
        again.progress.batch = 0
    again.fit()
    same = [torch.equal(value, again.model.state_dict()[name]) for name, value in whole.model.state_dict().items()]
    assert all(same) is not withheld


def test_no_batch_at_all() -> None:
    loaders = jumpml.create_dataloader(DATA)
    model = jumpml.load_model(NET, loaders)
    with pytest.raises(LearnerError, match=r"an update needs a batch: step\(\) was given none"):
        Learner(loaders, model, SGD(model.parameters(), lr=0.1)).step()


def test_accumulating_nothing(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="accumulate: expected a number of at least 1, got 0"):
        learner_of(tmp_path, 16, accumulate=0)
    loaders = jumpml.create_dataloader(DATA)
    model = jumpml.load_model(NET, loaders)
    with pytest.raises(LearnerError, match="accumulate: expected 1 or more, got 0"):
        Learner(loaders, model, SGD(model.parameters(), lr=0.1), accumulate=0)


def test_the_plan_tells_who_counts_before_anything_runs() -> None:
    model, rows = model_of(), rows_of(6, 1)
    plan = model.plan_losses("supervised", rows.keys())
    assert isinstance(plan, LossPlan)
    told = plan.counted(rows)
    for name, (_, present) in plan(rows)[0].items():
        assert (told[name] is None) == (present is None)
        assert present is None or torch.equal(told[name], present)  # type: ignore[arg-type]
