"""Single rows in the loop: which may come yet, what each counts, how often it comes; exact on resume."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch
from iris_files import iris_data, iris_model, mlp
from kept import Kept
from torch.optim import SGD

import jumpml
from jumpml.core import LearnerError, Loss
from jumpml.curriculum import BabyStep, LinearPacing, RootPacing, SelfPaced, StepPacing, SuperLoss, Uniform, ranked
from jumpml.data import Column, DataLoaders
from jumpml.learn import (
    Classes,
    Hook,
    Learner,
    Pace,
    Phase,
    Prioritizing,
    Saving,
    Teaching,
    Tempering,
    Weighing,
    difficulty_by,
    late_rows,
)
from jumpml.learn.examples._row_losses import row_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import Tensor

    from jumpml.core import EpochRecord
    from jumpml.curriculum import Pacing
    from jumpml.learn import Step

NET = iris_model({"body": mlp(8)})


class Seen(Hook):
    """Which rows came, and their losses, by step."""

    name = "seen"
    positions = True

    def __init__(self) -> None:
        self.places: list[Tensor] = []
        self.losses: list[Tensor] = []

    def learned(self, step: Step) -> None:
        self.places.append(step.batch["@position"])
        if "species" in step.losses:
            self.losses.append(step.losses["species"].value)


def loaders_of(**said: Any) -> DataLoaders:
    loaders = jumpml.create_dataloader({**iris_data(), **said})
    values = torch.rand(len(loaders.train.rows), generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    loaders.difficulty = values
    return loaders


def learner_of(
    *hooks: Hook,
    loaders: DataLoaders | None = None,
    epochs: int = 4,
    net: Any = None,
    folder: Path | None = None,
    **options: Any,
) -> Learner:
    loaders = loaders or loaders_of()
    model = jumpml.load_model(net or NET, loaders)
    given = {"phases": {"supervised": Phase(epochs=epochs)}, **options}
    saving = Saving(folder=folder, steps=3, epochs=None) if folder else None
    return Learner(loaders, model, SGD(model.parameters(), lr=0.1), hooks=hooks, saving=saving, **given)


# --- pacing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["easy_first", "hard_first", "random"])
def test_rows_come_when_the_pacing_lets_them(order: str) -> None:
    seen, pacing = Seen(), LinearPacing(0.1, 0.5, order)
    learner = learner_of(seen, Pace(pacing))
    learner.fit()
    rows = len(learner.loaders.train.rows)
    assert learner.loaders.difficulty is not None
    place = ranked(learner.loaders.difficulty, order).argsort()
    plain = learner_of(other := Seen())
    plain.fit()
    assert [len(batch) for batch in seen.places] == [len(batch) for batch in other.places]
    batches = len(learner.loaders.train)
    for number, batch in enumerate(seen.places):
        share = pacing.shares(torch.tensor(number / (4 * batches), dtype=torch.float64))
        assert place[batch].max() < math.ceil(float(share) * rows - 1e-9)
    assert not torch.equal(seen.places[0], other.places[0])
    for mine, its in zip(seen.places[2 * batches :], other.places[2 * batches :], strict=True):
        assert torch.equal(mine, its)  # once all may come


def test_buckets_open_by_what_the_epochs_lose() -> None:
    class Open(Hook):
        name = "open"

        def __init__(self) -> None:
            self.shares: list[float] = []

        def closed(self, record: EpochRecord) -> None:
            self.shares.append(pace.read()["pacing"])

    pace, kept = Pace(BabyStep(buckets=4, patience=3, epochs=2)), Open()
    learner_of(pace, kept, epochs=7).fit()
    assert kept.shares == [0.25, 0.5, 0.5, 0.75, 0.75, 1.0, 1.0]


def test_the_models_own_losses_rank_the_rows_of_the_next_epoch() -> None:
    seen = Seen()
    learner = learner_of(seen, Pace(StepPacing(0.2, 1.0), "own"), epochs=3)
    rows = len(learner.loaders.train.rows)
    last = torch.full((rows,), torch.nan)
    for epoch in range(3):
        begin = len(seen.places)
        learner.train_epoch()
        came = {*torch.cat(seen.places[begin:]).tolist()}
        assert len(came) == math.ceil(0.2 * rows)
        if epoch:
            middle = last.nanmedian()
            known = last.where(~last.isnan(), middle)
            least = known.sort().values[: len(came)]
            assert sorted(known[sorted(came)].tolist()) == least.tolist()
        for places, losses in zip(seen.places[begin:], seen.losses[begin:], strict=True):
            for place in places.unique():
                last[place] = losses[places == place].max()
    assert last.isnan().any()


def test_phases_are_paced_each_for_itself_and_others_not() -> None:
    phases = {"first": Phase(epochs=2), "supervised": Phase(epochs=2)}
    net = {**NET, "tasks": {"species": {**NET["tasks"]["species"], "objective": {"when": ["all"]}}}}
    seen, plain = Seen(), Seen()
    learner_of(seen, Pace(LinearPacing(0.1, 1.0), when="supervised"), phases=phases, net=net).fit()
    learner_of(plain, phases=phases, net=net).fit()
    half = len(plain.places) // 2
    assert all(map(torch.equal, seen.places[:half], plain.places[:half]))
    both = Seen()
    learner_of(both, Pace(LinearPacing(0.1, 1.0)), phases=phases, net=net).fit()
    assert len(both.places[0].unique()) == len(both.places[half].unique()) < 16


def test_phases_without_a_loss_a_row_are_left_as_they_are_where_difficulty_is_their_own() -> None:
    loaders = loaders_of(views={"one": {"x": [{"noise": {"std": 0.1}}]}})
    net = {**NET, "objectives": {"near": {"kind": "vicreg", "inputs": "body", "views": "one", "when": ["first"]}}}
    phases = {"first": Phase(epochs=2), "supervised": Phase(epochs=2)}

    def places(*hooks: Hook) -> list[Tensor]:
        learner_of(seen := Seen(), *hooks, loaders=loaders, phases=phases, net=net).fit()
        return seen.places

    plain, own, given = places(), places(Pace(StepPacing(0.2, 1.0), "own")), places(Pace(StepPacing(0.2, 1.0)))
    half = len(plain) // 2
    assert all(map(torch.equal, own[:half], plain[:half]))
    assert not torch.equal(own[half], plain[half])
    assert not torch.equal(given[0], plain[0])


@pytest.mark.parametrize(
    ("pacing", "epochs", "share"),
    [
        (BabyStep(buckets=5, epochs=3), 4, "0.4"),  # the second opens for the fourth epoch
        (BabyStep(buckets=5, epochs=3), 12, "0.8"),
        (BabyStep(buckets=5, epochs=3), 13, ""),
        (StepPacing(0.3, 1.0), 4, "0.3"),  # its step is where the phase ends
        (StepPacing(0.3, 0.9), 4, ""),
        (LinearPacing(0.2, 1.0), 4, ""),
    ],
)
def test_rows_that_may_never_come_are_told(pacing: Pacing, epochs: int, share: str) -> None:
    pace = Pace(pacing)
    learner = learner_of(pace, epochs=epochs)
    remembers = " unless the loss stops falling before" if isinstance(pacing, BabyStep) else ""
    told = (
        f"phase 'supervised': pacing {pacing.kind} still keeps to {share} of the rows in the last batch{remembers}, "
        "and the others may never come. Let all rows come sooner, or give the phase more epochs."
    )
    assert [*late_rows(learner)] == ([told] if share else [])
    assert [*late_rows(learner_of(epochs=epochs))] == []


def test_what_is_told_to_never_come_does_not() -> None:
    learner = learner_of(seen := Seen(), Pace(StepPacing(0.3, 1.0)))
    learner.fit()
    assert len(torch.cat(seen.places).unique()) == math.ceil(0.3 * len(learner.loaders.train.rows))


def test_a_reference_models_losses_are_those_of_plain_rows() -> None:
    loaders = loaders_of(augment={"x": [{"noise": {"std": 1.0}}]})
    model = jumpml.load_model(NET, loaders)
    found = difficulty_by(model, loaders)
    with torch.no_grad():
        logits = model({"x": loaders.train.decoded("x"), "species": loaders.train.decoded("species")})["species"]
    expected = torch.nn.functional.cross_entropy(logits, loaders.train.decoded("species"), reduction="none")
    assert torch.allclose(found, expected.double(), atol=1e-6)


def test_a_rows_loss_is_the_mean_over_the_objectives_that_count_it() -> None:
    there = torch.tensor([True, False, True, False])
    losses = {"a": Loss(torch.tensor([1.0, 2.0, 3.0, 4.0])), "b": Loss(torch.tensor([5.0, torch.nan, 7.0, 8.0]), there)}
    assert row_loss(losses, {"a": 1.0, "b": 3.0}).tolist() == [4.0, 2.0, 6.0, 4.0]
    none = row_loss({"b": losses["b"]}, {"b": 1.0})
    assert none.isnan().tolist() == [False, True, False, True]


# --- weights ---------------------------------------------------------------------------------------------------------


def test_the_gradient_is_that_of_the_super_loss() -> None:
    """The envelope theorem: autograd through the whole formula, sigma included, gives what weights of sigma give."""
    learner = learner_of(Weighing(SuperLoss(threshold=0.9, regularization=0.25)), kept := Kept())
    batch = next(learner.remaining())
    losses = learner.model.losses(batch)["species"]
    beta = (losses - 0.9) / 0.25
    w = torch.stack([halley(b) for b in (beta.clamp(min=-2 / math.e) / 2)])
    sigma = torch.exp(-w)
    whole = ((losses - 0.9) * sigma + 0.25 * sigma.log().square()).mean()
    expected = torch.autograd.grad(whole, [*learner.model.parameters()])
    learner.step(batch)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(kept.gradients[0], expected, strict=True))


def halley(x: Tensor) -> Tensor:
    """Lambert's W by Newton's method, with its gradient by implicit differentiation; -1 where it branches."""
    if float(x.detach()) <= -1 / math.e + 1e-7:
        return x * 0 - 1
    w = torch.zeros((), dtype=torch.float64) if x > -0.3 else torch.tensor(-0.9, dtype=torch.float64)
    for _ in range(200):
        w = w - (w * w.exp() - x.detach().double()) / (w.exp() * (w + 1)).clamp(min=1e-12)
    slope = 1 / (w.exp() * (1 + w)).clamp(min=1e-6)
    return (w + slope * (x.double() - x.detach().double())).float()


def test_self_paced_rows_count_by_the_last_epochs_losses() -> None:
    class Told(Hook):
        name = "told"
        positions = True

        def __init__(self) -> None:
            self.found: list[tuple[Tensor, Tensor]] = []

        def weigh(self, losses: Mapping[str, Loss], batch: Mapping[str, Tensor]) -> None:
            self.found.append((losses["species"].value, hook.weigh(losses, batch)["species"]))

    hook, told, seen = Weighing(SelfPaced(start=0.5, end=0.5)), Told(), Seen()
    learner = learner_of(hook, told, seen, epochs=2)
    learner.train_epoch()
    assert all(bool((weights == 1).all()) for _, weights in told.found)
    last = torch.empty(len(learner.loaders.train.rows))
    for places, losses in zip(seen.places, seen.losses, strict=True):
        last[places] = losses
    limit = last.sort().values[math.ceil(len(last) / 2) - 1]
    told.found.clear()
    learner.train_epoch()
    for losses, weights in told.found:
        assert torch.equal(weights, (losses <= limit).float())


# --- priorities ------------------------------------------------------------------------------------------------------


def test_rows_come_by_a_power_of_their_loss_and_count_as_much_less() -> None:
    seen, hook = Seen(), Prioritizing(alpha=1.0, beta=0.4)
    learner = learner_of(seen, hook, epochs=3)
    rows = len(learner.loaders.train.rows)
    learner.train_epoch()
    assert torch.equal(torch.cat(seen.places).sort().values, torch.arange(rows))  # nothing is known yet
    last = torch.empty(rows, dtype=torch.float64)
    for places, losses in zip(seen.places, seen.losses, strict=True):
        last[places] = losses.double()
    share = (last + 1e-6) / (last + 1e-6).sum()
    batches = len(seen.places)
    learner.train_epoch()
    counts = torch.bincount(torch.cat(seen.places[batches:]), minlength=rows)
    assert ((counts - share * rows).abs() <= 1 + 1e-6).all()


def test_the_weights_make_up_for_how_often_rows_come() -> None:
    """Schaul et al. 2016: (N P)^-beta over the largest; with beta 1 in the last epoch."""
    hook, seen = Prioritizing(alpha=0.7, beta=0.4), Seen()
    learner = learner_of(hook, seen, epochs=3)
    rows = len(learner.loaders.train.rows)
    last = torch.full((rows,), torch.nan, dtype=torch.float64)
    for beta in (0.4, 0.7, 1.0):
        known = (last.nan_to_num(nan=1.0) + 1e-6) ** 0.7
        expected = (rows * known / known.sum()) ** -beta
        if learner.stage is None:
            learner._run.enter("supervised")
        given = hook.weigh({"species": Loss(torch.ones(rows))}, {"@position": torch.arange(rows)})["species"]
        assert torch.allclose(given.double(), expected / expected.max(), rtol=1e-4)
        begin = len(seen.places)
        learner.train_epoch()
        for places, losses in zip(seen.places[begin:], seen.losses[begin:], strict=True):
            for place in places.unique():
                last[place] = losses[places == place].max().double()


# --- temperatures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "classes"), [(True, True), (True, False), (False, True)])
def test_temperatures_are_learned_by_the_gradient_of_their_logarithms(rows: bool, classes: bool) -> None:
    hook = Tempering(rows=rows, classes=classes, lr=0.5, weight_decay=0.0)
    learner = learner_of(hook, kept := Kept())
    batch = next(learner.remaining())
    model, target, place = learner.model, batch["species"], batch["@position"]
    both = rows and classes
    start = math.log(0.5) if both else 0.0
    own = torch.full((len(learner.loaders.train.rows),), start, requires_grad=rows)
    its = torch.full((3,), start, requires_grad=classes)
    parts = [*([own[place].exp()] if rows else []), *([its[target].exp()] if classes else [])]
    loss = torch.nn.functional.cross_entropy(
        model(batch)["species"] / torch.stack(parts).sum(0)[:, None], target, reduction="none"
    )
    expected = torch.autograd.grad(loss.mean(), [*model.parameters()], retain_graph=True)
    by_row = torch.autograd.grad(loss.sum(), own, retain_graph=True)[0] if rows else None
    by_class = torch.autograd.grad(loss.mean(), its)[0] if classes else None
    learner.step(batch)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(kept.gradients[0], expected, strict=True))
    found = hook.temperatures("species")
    assert {*found} == {*(["rows"] if rows else []), *(["classes"] if classes else [])}
    if by_row is not None:
        assert torch.allclose(found["rows"].log(), start - 0.5 * by_row, atol=1e-5)
    if by_class is not None:
        assert torch.allclose(found["classes"].log(), start - 0.5 * by_class, atol=1e-5)


def test_nothing_else_is_tempered() -> None:
    """Not what is validated, recorded of outputs, or copied: the objectives are plain once a batch is done."""
    hook = Tempering(lr=5.0)
    learner = learner_of(hook)
    learner.train_epoch()
    model = learner.model
    batch = next(iter(learner.loaders.val.plain()))
    logits = model(batch)["species"]
    plain = torch.nn.functional.cross_entropy(logits, batch["species"], reduction="none")
    assert torch.allclose(model.losses(batch)["species"], plain)
    objective: Any = model.objectives["species"]
    assert not objective._forward_pre_hooks
    assert not any("temper" in name for name in model.state_dict())
    assert not torch.allclose(hook.temperatures("species")["rows"], torch.tensor(0.5))


def test_new_classes_begin_as_all_did() -> None:
    hook = Tempering(rows=False, lr=2.0)
    learner = learner_of(hook)
    learner.train_epoch()
    before = hook.temperatures("species")["classes"]
    for more, kept in (("setosa", "versicolor", "virginica", "new"), 3), (("setosa", "versicolor", "virginica"), 3):
        told = replace(learner.model.fields["species"], classes=more)
        learner.model._fields = {**learner.model.fields, "species": told}
        hook.grew(cast("Any", None))
        found = hook.temperatures("species")["classes"]
        assert torch.equal(found[:kept], before)
        assert found[kept:].tolist() == [1.0] * (len(more) - kept)


# --- exact on resume -------------------------------------------------------------------------------------------------


RULES: dict[str, Callable[[], Hook]] = {
    "own": lambda: Pace(LinearPacing(0.3, 0.9), "own"),
    "baby_step": lambda: Pace(BabyStep(buckets=5, patience=1, epochs=2)),
    "super_loss": lambda: Weighing(SuperLoss("average", regularization=0.25)),
    "self_paced": lambda: Weighing(SelfPaced("linear", 0.4, 0.8, 0.9)),
    "prioritized": lambda: Prioritizing(1.0, 0.5),
    "data_parameters": lambda: Tempering(lr=2.0),
}


def forgetful(hook: Hook) -> Hook:
    hook.load_state_dict = lambda state: None  # pyright: ignore[reportAttributeAccessIssue]
    return hook


@pytest.mark.parametrize("rule", RULES)
def test_a_run_that_stopped_within_an_epoch_ends_with_the_same_bits(rule: str, tmp_path: Path) -> None:
    def run(name: str, stop: int | None, withheld: bool = False) -> Tensor:
        made = learner_of(RULES[rule](), folder=tmp_path / name, epochs=5)
        if stop is not None:
            windows = made.windows()
            for number in range(stop):
                batches = next(windows, None)
                if batches is None:
                    made.train_epoch()
                    windows = made.windows()
                    batches = next(windows)
                made.step(*batches)
                del number
            made.save()
            hook = RULES[rule]()
            made = learner_of(forgetful(hook) if withheld else hook, folder=tmp_path / name, epochs=5)
            assert made.resume()
        made.fit()
        return torch.cat([p.detach().flatten() for p in made.model.parameters()])

    batches = len(loaders_of().train)
    whole = run("whole", None)
    for stop in (batches + 3, 2 * batches + 1):
        assert torch.equal(whole, run(f"stopped-{stop}", stop))
    assert not torch.equal(whole, run("withheld", 2 * batches + 3, withheld=True))


def test_pacing_by_the_data_has_no_state(tmp_path: Path) -> None:
    pace = Pace(RootPacing())
    learner_of(pace)
    assert pace.state_dict() == {"kind": "root", "pacing": {}}


# --- beside a teacher ------------------------------------------------------------------------------------------------


def test_pacing_limits_each_arm_of_a_teacher() -> None:
    loaders, seen = loaders_of(), Seen()
    pace = Pace(StepPacing(0.2, 1.0))
    learner = learner_of(Teaching(Uniform(), Classes("species", share=1)), pace, seen, loaders=loaders, epochs=3)
    learner.fit()
    species = loaders.train.decoded("species")
    assert loaders.difficulty is not None
    came = torch.cat(seen.places).unique()
    for code in species.unique():
        rows = (species == code).nonzero().flatten()
        least = rows[loaders.difficulty[rows].argsort()][: math.ceil(0.2 * len(rows) - 1e-9)]
        assert {*came[species[came] == code].tolist()} == {*least.tolist()}
    assert all(len(species[places].unique()) == 1 for places in seen.places)


def test_priorities_beside_a_teacher_are_refused() -> None:
    found = error(Teaching(Uniform(), Classes("species")), Prioritizing())
    text = "prioritized says how often rows come, and so does the teacher that chooses arms. Leave one of the two out."
    assert text in found


# --- what is wrong ---------------------------------------------------------------------------------------------------


def error(*hooks: Hook, **options: Any) -> str:
    with pytest.raises(LearnerError) as caught:
        learner_of(*hooks, **options)
    return str(caught.value)


def test_difficulty_that_is_not_there_is_refused() -> None:
    loaders = loaders_of()
    assert loaders.difficulty is not None
    rows = len(loaders.train.rows)
    loaders.difficulty[:2] = torch.nan
    missing = (
        f"curriculum.difficulty: 2 of {rows} train rows have none: it is missing there, NaN or infinite. Fill it in."
    )
    assert missing in error(Pace(RootPacing()), loaders=loaders)
    loaders.difficulty = torch.full((rows,), 0.5, dtype=torch.float64)
    constant = f"curriculum.difficulty: all {rows} train rows are equally hard (0.5): there is nothing to rank by."
    assert constant in error(Pace(RootPacing()), loaders=loaders)
    loaders.difficulty = None
    assert error(Pace(RootPacing()), loaders=loaders) == (
        "curriculum.difficulty: the data file says of no data set how hard rows are. "
        "Give one `difficulty: {column: ...}`, say `own` or `{run: FOLDER}` here, or take `order: random`."
    )
    learner_of(Pace(RootPacing(order="random")), loaders=loaders)


def test_phases_that_learn_nothing_are_refused() -> None:
    for hook in (Pace(RootPacing()), Weighing(SuperLoss()), Prioritizing(), Tempering()):
        assert error(hook, phases={"supervised": Phase(epochs=0)}) == (
            "curriculum.when: no phase that is meant (supervised) has epochs and an objective. "
            "Name one that learns, or leave it out."
        )
    found = error(Pace(RootPacing(), when="supervized"))
    assert "there is no phase 'supervized'. Did you mean 'supervised'?" in found


WHOLE: dict[str, Any] = {
    "seed": 0,
    "nodes": {"body": mlp(8)},
    "objectives": {"near": {"kind": "vicreg", "inputs": "body", "views": "one", "when": ["supervised"]}},
}


@pytest.mark.parametrize(
    ("hook", "what"),
    [
        (lambda: Pace(RootPacing(), "own"), "difficulty: own"),
        (lambda: Weighing(SuperLoss()), "super_loss"),
        (Prioritizing, "prioritized"),
    ],
)
def test_losses_of_a_whole_batch_have_no_rows(hook: Callable[[], Hook], what: str) -> None:
    loaders = loaders_of(views={"one": {"x": [{"noise": {"std": 0.1}}]}})
    found = error(hook(), loaders=loaders, net=WHOLE, record_examples=False)
    assert f"{what} needs a loss for each row, and no active objective has one: there is near." in found


def test_objectives_and_tasks_that_are_not_there() -> None:
    assert "there is no objective 'specie'. Did you mean 'species'?" in error(Weighing(SuperLoss(), ["specie"]))
    net = {**NET, "objectives": {"small": {"kind": "l2", "parameters": "all"}}}
    found = error(Weighing(SuperLoss(), ["small"]), net=net)
    assert "super_loss needs a loss for each row, and objective 'small' has one for a whole batch." in found
    assert "there is no task 'specie'. Did you mean 'species'?" in error(Tempering(["specie"]))


def test_rows_that_augmentation_mixes_have_no_losses_of_their_own() -> None:
    for hook in (Weighing(SuperLoss()), Prioritizing(), Tempering(), Pace(RootPacing(), "own")):
        loaders = loaders_of(augment={"x, species": [{"mixup": {}}]})
        assert "augmentation mixes rows" in error(hook, loaders=loaders, record_examples=False)


def test_numbers_have_no_classes_to_guess_or_temper() -> None:
    columns = {"x": Column(torch.rand(20, 4), "tensor"), "y": Column(torch.rand(20, 1), "number")}
    splits = {"train": torch.arange(12), "val": torch.arange(12, 16), "test": torch.arange(16, 20)}
    loaders = DataLoaders(columns, splits)
    net = {**NET, "tasks": {"y": {"kind": "regression", "output": "out", "target": "y"}}}
    told = "objective 'y': super_loss: `threshold: classes` is the loss of a guess by a cross entropy of two classes"
    assert told in error(Weighing(SuperLoss("classes")), loaders=loaders, net=net)
    told = "data_parameters temper logits of classes, and no active task is multiclass or binary."
    assert told in error(Tempering(), loaders=loaders, net=net)


def test_the_loss_of_a_guess_is_that_of_what_the_objective_chooses_among() -> None:
    def usual(task: dict[str, Any]) -> float:
        net = {**NET, "tasks": {"species": {"kind": "multiclass", "output": "out", "target": "species", **task}}}
        learner = learner_of(hook := Weighing(SuperLoss()), net=net, epochs=1)
        learner.fit()
        return float(hook.state_dict()["rules"]["species"]["usual"])

    assert usual({}) == pytest.approx(math.log(3))
    assert usual({"objective": {"focal": 2.0}}) != pytest.approx(math.log(3), abs=0.1)  # an average: a guess has less


def test_temperatures_are_refused_beside_compiled_losses() -> None:
    found = error(Tempering(), compile=True)
    assert "data_parameters stand before the losses, which code that torch.compile makes does not allow." in found


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Prioritizing(alpha=-1), "prioritized: expected alpha of 0 or more, got -1."),
        (lambda: Prioritizing(beta=2), "prioritized: expected beta from 0 to 1, got 2."),
        (
            lambda: Tempering(rows=False, classes=False),
            "data_parameters: neither rows nor classes have temperatures: let one of them be true.",
        ),
        (
            lambda: Tempering(lr=0),
            "data_parameters: expected lr above 0 and weight_decay of 0 or more, got 0 and 0.0001.",
        ),
    ],
)
def test_numbers_out_of_range_are_refused(make: Callable[[], Hook], text: str) -> None:
    with pytest.raises(LearnerError) as caught:
        make()
    assert str(caught.value) == text


# --- another run goes on ----------------------------------------------------------------------------------------------

KINDS: Mapping[str, Callable[[], Hook]] = {
    "root": lambda: Pace(RootPacing(0.3, 0.8), "own"),
    "of the data": lambda: Pace(RootPacing(0.3, 0.8)),
    "baby_step": lambda: Pace(BabyStep(buckets=3), "own"),
    "self_paced": lambda: Weighing(SelfPaced()),
    "super_loss": lambda: Weighing(SuperLoss()),
    "prioritized": Prioritizing,
    "data_parameters": Tempering,
}


OTHERS = [
    ("root", "baby_step"),
    ("of the data", "root"),
    ("prioritized", "self_paced"),
    ("self_paced", "data_parameters"),
]


@pytest.mark.parametrize(("then", "now"), [*zip(KINDS, KINDS, strict=True), *OTHERS])
def test_a_run_goes_on_with_another_kind_and_with_other_rows(then: str, now: str, tmp_path: Path) -> None:
    first = learner_of(KINDS[then](), folder=tmp_path, epochs=2)
    first.train_epoch()
    with first.random:
        first.step(next(first.remaining()))
        first.save()
    split = {"train": 0.4, "val": 0.2, "test": 0.4, "stratify": "species", "duplicates": "together"}
    data = copy.deepcopy(iris_data())
    data["datasets"]["iris"]["split"] = split
    rows = loaders_of(**data) if then == now else None
    second = learner_of(KINDS[now](), folder=tmp_path, epochs=3, loaders=rows)
    assert second.resume(allow_changes=True)
    second.fit()
    assert second.progress.closed("supervised") == 3
    if rows is not None:
        assert len(first.loaders.train.rows) > len(rows.train.rows)
        (history,) = second.history.examples.values()
        assert history.loss.shape == (2, len(rows.train.rows))
