"""A teacher in the loop: what is served and what runs, what it is told, and that a resumed run is the same run."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from taught import ROWS, make_learner, make_loaders, same, weights_of
from torch import nn

import jumpml
from jumpml.blocks import MMoE
from jumpml.core import LearnerError, NonFiniteLossError, SpecError, derive_seed
from jumpml.curriculum import Exp3S, LinearPacing, Teacher, Uniform
from jumpml.data import Bucketed, Epoch, Order, Stream
from jumpml.graph import Model, Node, Widen
from jumpml.learn import (
    SPG,
    Axis,
    Classes,
    Compile,
    Difficulty,
    GradientNorm,
    Hook,
    JsonlLog,
    Learner,
    LossDrop,
    LossReward,
    MetricGain,
    Pace,
    Part,
    Phase,
    PredictionGain,
    Prioritizing,
    Replay,
    Saving,
    TargetGain,
    Teaching,
    Views,
)
from jumpml.objectives import L2, CrossEntropy, Huber, NTXent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from jumpml.learn import Reward, Step

ARMS: dict[str, Callable[[], Any]] = {
    "datasets": lambda: "datasets",
    "tasks": lambda: "tasks",
    "objectives": lambda: "objectives",
    "classes": lambda: Classes("kind", share=1),
    "classes in company": lambda: Classes("kind"),
    "views": lambda: Views(["plain", "weak", "strong"]),
    "difficulty": lambda: Difficulty(3),
    "datasets x tasks": lambda: ["datasets", "tasks"],
    "tasks x views": lambda: ["tasks", Views(["augment", "strong"])],
}
REWARDS: dict[str, Callable[[], Reward]] = {
    "spg": SPG,
    "prediction_gain": PredictionGain,
    "loss": LossReward,
    "gradient_norm": GradientNorm,
    "target_gain": lambda: TargetGain(rows=9),
    "loss_drop": LossDrop,
}


PAIRS = [*zip(ARMS, [*REWARDS] * 2, strict=False), ("tasks", "loss_drop"), ("tasks", "target_gain")]


class Told(Teacher):
    """A uniform teacher that remembers what it was told."""

    kind = "told"

    def shares(self) -> Any:
        return np.ones(len(self.arms))

    def identity(self) -> str:
        return "told"

    def begin(self, arms: Any, floor: float = 0.0) -> None:
        super().begin(arms, floor)
        self.heard: list[tuple[str, float]] = []
        self.ways: list[float] = []

    def learn(self, arm: int, reward: float, drawn: Any) -> None:
        self.heard.append((self.arms[arm].name, reward))

    def advance(self, progress: float) -> None:
        super().advance(progress)
        self.ways.append(progress)


class Diary(Hook):
    """What each batch was and which objectives ran."""

    name = "diary"
    positions = True

    def __init__(self) -> None:
        self.rows: list[list[int]] = []
        self.ran: list[set[str]] = []

    def learned(self, step: Step) -> None:
        self.rows.append(step.batch["@position"].tolist())
        self.ran.append(set(step.losses))


def taught(arms: str = "datasets", reward: str = "spg", *, teacher: Teacher | None = None, **options: Any) -> Teaching:
    return Teaching(teacher or Exp3S(eta=0.5), ARMS[arms](), REWARDS[reward](), **options)


# --- what is served and what runs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("arms", [name for name in ARMS if "company" not in name])
def test_every_batch_is_of_one_arm_and_only_its_objectives_run(arms: str) -> None:
    diary, teaching = Diary(), taught(arms, teacher=Told())
    learner = make_learner([teaching, diary], epochs=4, record_examples=False)
    learner.fit()
    assert len(diary.rows) == 4 * 8  # 58 rows in batches of 8, as without a teacher
    order, told = learner.loaders.train, teaching.teacher
    assert isinstance(told, Told) and len(told.heard) == 32
    by_name = {arm.facts.name: arm for arm in teaching.arms("supervised")}
    for (name, _), rows, ran in zip(told.heard, diary.rows, diary.ran, strict=True):
        arm = by_name[name]
        mask = torch.zeros(len(order.rows), dtype=torch.bool)
        mask[arm.order.epoch(0, 0, 8).positions] = True
        assert mask[rows].all()
        assert len(rows) == min(8, arm.facts.rows)
        assert ran == set(arm.runs or ("kind", "size"))
    for name, arm in by_name.items():  # each row of an arm once before any twice
        pairs = zip(told.heard, diary.rows, strict=True)
        drawn = Counter(row for (other, _), rows in pairs if other == name for row in rows)
        every, more = divmod(drawn.total(), arm.facts.rows)
        wanted = {every: arm.facts.rows - more, every + 1: more}
        wanted = {times: rows for times, rows in wanted.items() if times and rows}
        assert Counter(drawn.values()) == wanted


def test_rows_of_a_task_are_those_that_have_its_target() -> None:
    arms = {arm.facts.name: arm for arm in _attached("datasets x tasks").arms("supervised")}
    size = make_loaders().train.decoded("size").isnan().flatten()
    for name, arm in arms.items():
        assert bool(size[arm.order.epoch(0, 0, 8).positions].any()) == name.endswith("kind")
    assert {name: arm.facts.coordinates for name, arm in arms.items()}["b/size"] == (1, 1)
    assert arms["c/kind"].facts.rows == ROWS["c"]


def _attached(arms: str) -> Teaching:
    teaching = taught(arms)
    make_learner([teaching])
    return teaching


@pytest.mark.parametrize("paced", [False, True])
def test_a_class_has_company_of_all_classes(paced: bool) -> None:
    diary, teaching = Diary(), Teaching(Told(), Classes("kind", share=0.25))
    hooks = [teaching, *([Pace(LinearPacing(start=0.5))] if paced else []), diary]
    learner = make_learner(hooks, epochs=4, record_examples=False)
    learner.fit()
    codes = learner.loaders.train.decoded("kind")
    own, others = Counter[int](), Counter[int]()
    assert isinstance(teaching.teacher, Told)
    for (name, _), rows in zip(teaching.teacher.heard, diary.rows, strict=True):
        assert len(rows) == 8
        assert {("red", "green", "blue")[code] for code in codes[rows[:2]].tolist()} == {name}
        own.update(rows[:2])
        others.update(rows[2:])
    assert len({codes[row].item() for row in others}) == 3
    if not paced:  # each class's, and each arm's company, once before any twice
        by_class = [sorted(own[row] for row in (codes == code).nonzero().flatten().tolist()) for code in range(3)]
        assert all(times[-1] - times[0] <= 1 for times in by_class)
        assert max(others.values()) - min(others[row] for row in range(len(codes))) <= 3


@pytest.mark.parametrize("share", [0, 1.5])
def test_a_share_of_a_batch_is_a_share(share: float) -> None:
    told = f"arms by classes: expected a share above 0 and at most 1, got {share!r}."
    with pytest.raises(LearnerError, match=re.escape(told)):
        Classes("kind", share)


def test_what_other_arms_teach_is_not_told_to_be_idle(caplog: pytest.LogCaptureFixture) -> None:
    loaders = make_loaders()
    loaders.bind(["x"])
    model = Model(
        inputs={"x": loaders.info("x")},
        nodes={
            "mix": Node(MMoE(["kind", "size"], [8], count=2), "x"),
            "to_kind": Node(nn.LazyLinear(3), "mix.kind"),
            "to_size": Node(nn.LazyLinear(1), "mix.size"),
        },
        objectives={"kind": CrossEntropy(("to_kind", "kind")), "size": Huber(("to_size", "size"))},
        fields=loaders.fields,
        seed=0,
    )
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    Learner(loaders, model, optimizer, hooks=[Teaching(Uniform(), "objectives")]).train_epoch()
    assert "no gradient reaches" not in caplog.text


def test_penalties_run_on_every_arm() -> None:
    diary = Diary()
    penalty = {"l2": L2((), parameters_of=["trunk"], weight=1e-3)}
    make_learner([taught("objectives"), diary], objectives=penalty).fit()
    assert {frozenset(ran) for ran in diary.ran} == {frozenset({"kind", "l2"}), frozenset({"size", "l2"})}


def test_an_arms_view_takes_the_place_of_augmentation() -> None:
    class Seen(Hook):
        name = "seen"
        positions = True
        far: dict[str, list[float]]

        def learned(self, step: Step) -> None:
            clean = learner.loaders.train.decoded("x")[step.batch["@position"]]
            away = (step.batch["x"] - clean).std().item()
            self.far.setdefault(teaching.teacher.arms[chosen[-1]].name, []).append(away)

    chosen: list[int] = []

    class Noted(Told):
        def learn(self, arm: int, reward: float, drawn: Any) -> None:
            raise AssertionError

        def shares(self) -> Any:
            return np.eye(3)[len(chosen) % 3]

        def advance(self, progress: float) -> None:
            super().advance(progress)
            chosen.append((len(chosen) + 1) % 3)

    seen = Seen()
    seen.far = {}
    teacher = Noted()
    teacher.learns = False  # type: ignore[misc]
    teaching = Teaching(teacher, Views(["plain", "weak", "strong"]), floor=0)
    learner = make_learner([teaching, seen])
    learner.fit()
    assert max(seen.far["plain"]) == 0
    assert 0.05 < np.mean(seen.far["weak"]) < 0.2  # noise of .1 and of 2
    assert 1 < np.mean(seen.far["strong"]) < 3


def test_a_phase_with_one_arm_goes_as_without_a_teacher() -> None:
    phases = {"first": Phase(epochs=1), "supervised": Phase(epochs=1)}
    early = {"early": CrossEntropy(("to_kind", "kind"), when=["first"])}
    diary, other = Diary(), Diary()
    make_learner([Teaching(Told(), "tasks"), diary], phases=phases, objectives=early).fit()
    make_learner([other], phases=phases, objectives=early).fit()
    assert diary.rows[:8] == other.rows[:8] and diary.rows[8:] != other.rows[8:]


# --- what the teacher is told ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("reward", ["spg", "prediction_gain", "loss", "gradient_norm"])
def test_rewards_are_what_they_say(reward: str) -> None:
    """By hand from a copy of the model before and after each update, on the batches of the arm."""
    teaching = taught("tasks", reward, teacher=Told())
    learner = make_learner([teaching], epochs=1)
    told = teaching.teacher
    for batch in learner.remaining():
        choice = teaching._choices.next
        assert choice is not None
        name = teaching.teacher.arms[choice.arm].name
        before = {key: value.detach().clone() for key, value in learner.model.named_parameters()}
        fresh = dict(teaching._choices.fresh)
        learner.step(batch)
        after = learner.model.state_dict()
        heard = told.heard[-1]  # type: ignore[attr-defined]
        assert heard[0] == name
        arm = teaching.arms("supervised")[choice.arm]
        if reward == "gradient_norm":
            norm = sum(float(p.grad.square().sum()) for p in learner.model.parameters() if p.grad is not None) ** 0.5
            assert heard[1] == pytest.approx(norm, rel=1e-5)
            continue
        if reward == "spg":
            seed = derive_seed(0, "fresh", "supervised", name)
            rows, _ = Stream(arm.order, 8, seed).read(fresh.get(name, 0))
        else:
            rows = choice.batches[0]
        plain = learner.loaders.train.batch(rows, ["x", "kind", "size"])
        losses = []
        for state in ({**after, **before}, after):  # only weights differ: the running means have moved already
            copy = make_learner(loaders=make_loaders()).model
            copy.load_state_dict(state)
            copy.eval()
            with torch.no_grad():
                value = copy.losses(plain)[name]
            losses.append(float(value.mean()))
        if reward == "loss":
            (recorded,) = [record.losses[name] for record in learner._loop.read()]
            assert heard[1] == pytest.approx(recorded, rel=1e-6)
        else:
            assert heard[1] == pytest.approx(losses[0] - losses[1], abs=1e-5)


def test_measuring_leaves_no_trace_in_what_is_learned() -> None:
    ends = [weights_of(_fitted(taught("datasets x tasks", reward, teacher=Told()))) for reward in REWARDS]
    for other in ends[1:]:
        assert same(ends[0], other)
    silent = weights_of(_fitted(Teaching(Uniform(), ARMS["datasets x tasks"]())))
    assert same(ends[0], silent)


def _fitted(teaching: Teaching, **options: Any) -> Learner:
    learner = make_learner([teaching], **options)
    learner.fit()
    return learner


def test_a_drop_is_against_the_arms_last_visit() -> None:
    losses, drops = Told(), Told()
    _fitted(Teaching(losses, "tasks", LossReward()))
    _fitted(Teaching(drops, "tasks", LossDrop()))
    last: dict[str, float] = {}
    wanted = []
    for name, loss in losses.heard:
        if name in last:
            wanted.append((name, pytest.approx(last[name] - loss, abs=1e-6)))
        last[name] = loss
    assert drops.heard == wanted


def test_a_target_is_always_the_same_rows_that_count() -> None:
    """The sum of all gains of one target is what its loss has fallen by, from the first update to the last."""
    teacher = Told()
    learner = make_learner([Teaching(teacher, "datasets", TargetGain(["size"], rows=5))], epochs=1)
    teaching = next(hook for hook in learner.hooks if isinstance(hook, Teaching))
    learner.train_epoch()
    reward = teaching.reward
    assert isinstance(reward, TargetGain)
    ((rows, batch),) = reward._probes["size",]
    assert rows == 5 and not batch["size"].isnan().any()
    seen = [value for _, value in teacher.heard]
    assert len(seen) == 8 and max(map(abs, seen)) > 0


def test_a_metric_is_rewarded_by_epoch_and_task() -> None:
    teacher = Told()
    learner = make_learner([Teaching(teacher, "tasks", MetricGain())], epochs=4)
    learner.fit()
    figures = [record.val for record in learner.history.epochs]
    known = {name: next(key for key in figures[0] if key.startswith(name)) for name in ("kind", "size")}
    signs = {"kind": 1, "size": -1}
    for name, gain in teacher.heard:
        key = known[name]
        gains = [signs[name] * (b[key] - a[key]) for a, b in pairwise(figures)]
        assert any(gain == pytest.approx(one) for one in gains)
    assert 3 <= len(teacher.heard) <= 6


def test_a_metric_goes_on_exactly(tmp_path: Path) -> None:
    def make(folder: str) -> Learner:
        saving = Saving(folder=tmp_path / folder)
        return make_learner([Teaching(Exp3S(eta=1.0), "tasks", MetricGain())], saving=saving, epochs=5)

    whole, first, second = make("whole"), make("parts"), make("parts")
    whole.fit()
    for _ in range(3):
        first.train_epoch()
    assert second.resume()
    second.fit()
    assert same(weights_of(whole), weights_of(second))


def test_pacing_keeps_within_an_arm() -> None:
    diary, teacher = Diary(), Told()
    teaching = Teaching(teacher, "datasets")
    pace = Pace(LinearPacing(start=0.3, over=1.0))
    learner = make_learner([teaching, pace, diary], epochs=2)
    learner.fit()
    hard = learner.loaders.difficulty
    assert hard is not None
    ends = {"a": (0, 40), "b": (40, 52), "c": (52, 58)}
    for number, ((name, _), rows) in enumerate(zip(teacher.heard, diary.rows, strict=True)):
        start, stop = ends[name]
        assert all(start <= row < stop for row in rows)
        if number == 0:  # of the arm's rows the easiest three tenths
            easiest = hard[start:stop].sort().values[: math.ceil(0.3 * (stop - start))]
            assert all(hard[row] <= easiest[-1] for row in rows)


def test_a_task_that_is_over_is_no_arm() -> None:
    diary = Diary()
    learner = make_learner([Teaching(Told(), ["datasets", "tasks"]), diary], epochs=2)
    learner.train_epoch()
    learner.stop_task("kind", "it is good enough")
    learner.train_epoch()
    assert set().union(*diary.ran[:8]) == {"kind", "size"} and set().union(*diary.ran[8:]) == {"size"}


def test_it_goes_on_when_the_model_grows() -> None:
    learner = make_learner([taught("tasks")], epochs=2)
    learner.train_epoch()
    teaching = next(hook for hook in learner.hooks if isinstance(hook, Teaching))
    before, told = dict(teaching._choices.places), teaching.teacher.state_dict()
    learner.grow(Widen("trunk", 12))
    assert teaching._choices.places == before and teaching.teacher.state_dict() == told
    learner.train_epoch()
    assert sum(teaching._choices.places.values()) == 2 * sum(before.values())


def test_rewards_are_told_every_so_many_updates() -> None:
    teacher = Told()
    learner = make_learner([Teaching(teacher, "datasets", every=3)], epochs=1)
    heard = []
    for batch in learner.remaining():
        learner.step(batch)
        heard.append(len(teacher.heard))
    assert heard == [0, 0, 3, 3, 3, 6, 6, 6]


def test_a_teacher_hears_how_much_of_the_phase_is_over() -> None:
    teacher = Told()
    make_learner([Teaching(teacher, "datasets")], epochs=2).fit()
    assert teacher.ways == pytest.approx([place / 16 for place in range(16)])


def test_the_log_has_shares_and_rewards(tmp_path: Path) -> None:
    learner = _fitted(taught("tasks"), log=[JsonlLog(tmp_path)])
    lines = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    told = [line for line in lines if any(key.startswith("share/") for key in str(line).split("'"))]
    assert len(told) == 3  # once an epoch
    for point in learner.history.course:
        shares = {name: value for name, value in point.figures.items() if name.startswith("share/")}
        assert set(shares) == {"share/kind", "share/size"} and sum(shares.values()) == pytest.approx(1)
        for name, share in shares.items():  # what was not chosen has no reward
            assert (f"reward/{name.removeprefix('share/')}" in point.figures) == (share > 0)


def test_losses_and_examples_are_of_what_ran() -> None:
    diary = Diary()
    learner = make_learner([taught("tasks"), diary], epochs=4)
    learner.fit()
    for number, record in enumerate(learner.history.epochs):
        ran = [diary.ran[place] for place in range(8 * number, 8 * number + 8)]
        rows = [len(diary.rows[place]) for place in range(8 * number, 8 * number + 8)]
        for name in ("kind", "size"):
            own = [count for count, names in zip(rows, ran, strict=True) if name in names]
            assert record.rows.get(name, 0) == sum(own)
            assert (name in record.losses) == bool(own)
        assert record.losses["total"] > 0
    for name, history in learner.history.examples.items():
        seen = {row for rows, ran in zip(diary.rows, diary.ran, strict=True) if name in ran for row in rows}
        known = ~np.isnan(history.loss).all(axis=0)
        assert {int(row) for row in np.flatnonzero(known)} == seen


def test_what_an_epoch_served_is_told() -> None:
    diary = Diary()
    learner = make_learner([taught("datasets"), diary], epochs=2)
    learner.fit()
    served = [row for rows in diary.rows[8:] for row in rows]
    assert learner.loaders.train.order(1).tolist() == served
    assert learner.loaders.train.order(0).tolist() == [row for rows in diary.rows[:8] for row in rows]


# --- exact on resume ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arms", "reward"), PAIRS)
@pytest.mark.parametrize("options", [{}, {"accumulate": 3}], ids=["plain", "accumulate"])
def test_a_resumed_run_is_the_same_run(arms: str, reward: str, options: dict[str, Any], tmp_path: Path) -> None:
    def make(folder: str) -> Learner:
        return make_learner(
            [taught(arms, reward, every=2)], saving=Saving(folder=tmp_path / folder), ema=0.9, **options
        )

    whole = make("whole")
    whole.fit()
    first = make("parts")
    with first.random:
        for place, batches in enumerate(first.windows()):
            first.step(*batches)
            if place == 1:
                break
        first.save()
    second = make("parts")
    assert second.resume()
    second.fit()
    assert same(weights_of(whole), weights_of(second))
    assert [r.losses for r in whole.history.epochs] == [r.losses for r in second.history.epochs]
    for name, history in whole.history.examples.items():
        for key in ("loss", "margin", "predicted"):
            np.testing.assert_array_equal(getattr(history, key), getattr(second.history.examples[name], key))


def test_without_its_state_a_resumed_run_is_another(tmp_path: Path) -> None:
    class Forgetful(Hook):
        name = "forgetful"

        def attach(self, learner: Learner) -> None:
            teaching = next(hook for hook in learner._loop.hooks if isinstance(hook, Teaching))
            teaching.load_state_dict = lambda state: None  # type: ignore[method-assign]

    ends = []
    for number, forgets in enumerate((False, True)):

        def make(hooks: Sequence[Hook] = (), number: int = number) -> Learner:
            saving = Saving(folder=tmp_path / str(number))
            return make_learner([taught("datasets"), *hooks], saving=saving, record_examples=False)

        first = make()
        with first.random:
            for place, batch in enumerate(first.remaining()):
                first.step(batch)
                if place == 2:
                    break
            first.save()
        second = make()
        if forgets:
            Forgetful().attach(second)
        second.resume()
        second.fit()
        ends.append(weights_of(second))
    assert not same(*ends)


@pytest.mark.parametrize("arms", ["datasets", "classes in company"])
def test_what_is_drawn_goes_by_the_learners_seed_wherever_the_loaders_stood(arms: str) -> None:
    ends = []
    for seed, stood in ((1, 0), (1, 7), (2, 0)):
        loaders = make_loaders()
        loaders.seed = stood
        diary = Diary()
        make_learner([taught(arms), diary], loaders=loaders, seed=seed, epochs=1).fit()
        ends.append(diary.rows)
    assert ends[0] == ends[1] != ends[2]


def test_batches_that_are_asked_for_again_are_the_same() -> None:
    learner = make_learner([taught("datasets x tasks")])
    first = next(learner.remaining())
    again = next(learner.remaining())
    assert same(first, again)
    learner.step(again)
    other = next(learner.remaining())
    assert not same(first, other)


def test_batches_may_be_taken_in_advance() -> None:
    teacher = Told()
    learner = make_learner([Teaching(teacher, "tasks")], epochs=1)
    for batch in list(learner.remaining()):
        learner.step(batch)
    assert len(teacher.heard) == 8


def test_a_batch_of_the_users_own_is_of_no_arm() -> None:
    teacher, diary = Told(), Diary()
    learner = make_learner([Teaching(teacher, "tasks"), diary])
    batch = next(iter(learner.loaders.train.plain()))
    learner.step({**batch, "@position": torch.arange(8)})
    assert teacher.heard == [] and diary.ran == [{"kind", "size"}]


def test_trials_learn_on_a_copy() -> None:
    teaching = taught("tasks")
    learner = make_learner([teaching], epochs=2)
    learner.train_epoch()
    before = weights_of(learner)
    learner.find_lr(steps=10)
    learner.dry_run()
    learner.profile(steps=2)
    assert same(before, weights_of(learner))
    learner.fit()
    other = _fitted(taught("tasks"), epochs=2)
    assert same(weights_of(learner), weights_of(other))


def test_pacing_is_laid_over_a_teacher_once_however_often_a_phase_is_set_up() -> None:
    def make() -> Learner:
        return make_learner([taught("datasets"), Pace(LinearPacing(start=0.2, over=1.0, order="random"))], epochs=2)

    plain, tried = make(), make()
    tried.try_batch("supervised")
    plain.fit()
    tried.fit()
    assert same(weights_of(plain), weights_of(tried))


@pytest.mark.parametrize("paced", [False, True])
def test_a_teacher_of_whose_two_tasks_one_is_over_lets_the_other_go_on_alone(paced: bool, tmp_path: Path) -> None:
    def make() -> Learner:
        pace = [Pace(LinearPacing(start=0.2, over=1.0, order="random"))] if paced else []
        return make_learner([taught("tasks"), *pace], epochs=4, saving=Saving(folder=tmp_path))

    whole = make()
    whole.train_epoch()
    whole.stop_task("size", "enough")
    whole.save()
    parts = make()
    assert parts.resume()
    for learner in (whole, parts):
        record = learner.train_epoch()
        assert set(record.losses) == {"kind", "total"}
        served = learner.loaders.train.order(1)
        assert (len(served.unique()) < len(served)) == paced
    assert same(weights_of(whole), weights_of(parts))


def test_one_batch_learned_by_heart_is_learned_by_all_objectives() -> None:
    views = {"pull": NTXent("trunk", views=["weak", "strong"], projector=(8, 8))}
    learner = make_learner([taught("objectives")], objectives=views, epochs=2)
    learner.train_epoch()
    before = weights_of(learner)
    assert set(learner.overfit_batch(10).objectives) == {"kind", "size", "pull"}
    assert learner.profile(steps=12).parts  # batches are taken in advance, across an epoch's end
    assert same(before, weights_of(learner))


def test_a_batch_that_lacks_an_arms_view_may_be_learned_from_again() -> None:
    diary = Diary()
    views = {"pull": NTXent("trunk", views=["weak", "strong"], projector=(8, 8))}
    learner = make_learner([taught("objectives"), diary], objectives=views, record_examples=False)
    for batch in learner.remaining():
        if "x@weak.0" not in batch:
            learner.step(batch)
            learner.step(batch)
            break
        learner.step(batch)
    assert "pull" not in diary.ran[-1]


@pytest.mark.parametrize("options", [{"precision": "bfloat16"}, {"precision": "float16"}, {"clip_norm": 0.1}])
def test_it_goes_with_other_ways_to_compute(options: dict[str, Any]) -> None:
    for reward in REWARDS:
        learner = _fitted(taught("tasks", reward), epochs=1, **options)
        assert learner.progress.step == 8


def test_compiled_plans_compute_the_same() -> None:
    plain, compiled = (
        _fitted(taught("tasks", teacher=Told()), epochs=1, compile=how) for how in (False, Compile(backend="eager"))
    )
    for name, value in weights_of(plain).items():
        torch.testing.assert_close(value, weights_of(compiled)[name])


# --- what is refused ------------------------------------------------------------------------------------------------


class Own(Order):
    def epoch(self, seed: int, epoch: int, batch_size: int) -> Epoch:
        return Epoch(torch.arange(8), (8,))

    def batches(self, batch_size: int) -> int:
        return 1


class Empty(Axis):
    kind = "empty"

    def parts(self, model: Any, loaders: Any, phase: str, datasets: Any) -> Any:
        there = torch.zeros(58, dtype=torch.bool)
        return {"full": Part(mask=~there), "bare": Part(mask=there)}


@pytest.mark.parametrize(
    ("arms", "options", "says"),
    [
        (Classes("kinds"), {}, r"curriculum\.arms\.classes: the data has no field 'kinds'\. Did you mean 'kind'"),
        (Classes("size"), {}, r"expected a category, whose classes are arms; 'size' is a number"),
        (
            Views(["weak", "strnog"]),
            {},
            r"curriculum\.arms\.views\.1: the data has no view 'strnog'",
        ),
        (["tasks", Views(["weak", "wek"])], {}, r"curriculum\.arms\.1\.views\.1: the data has no view 'wek'"),
        (Empty(), {}, r"arm 'bare' has no train rows in phase 'supervised'\. Give it rows, or choose from other arms"),
        (
            "tasks",
            {"when": ["suprvised"]},
            r"curriculum\.when: there is no phase 'suprvised'\. Did you",
        ),
        (
            "tasks",
            {"reward": SPG(["kid"])},
            r"curriculum\.reward\.of: there is no objective 'kid'\. Did you",
        ),
        (
            "tasks",
            {"reward": LossReward(["kind"])},
            r"told by the update itself, and objective 'kind' does not",
        ),
    ],
)
def test_what_there_is_not_is_named(arms: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(LearnerError, match=says):
        make_learner([Teaching(Uniform() if "reward" not in options else Exp3S(), arms, **options)])


def test_a_teacher_needs_two_arms_and_an_order_that_knows_rows() -> None:
    with pytest.raises(LearnerError, match=r"two arms or more to choose from: in 'supervised' there is none"):
        make_learner([Teaching(Uniform(), "datasets")], loaders=make_loaders(order=Own()))
    with pytest.raises(LearnerError, match=r"this order \(Own\) cannot draw from some of its rows alone"):
        make_learner([Teaching(Uniform(), Classes("kind"))], loaders=make_loaders(order=Own()))
    phases = {"supervised": Phase(epochs=1, data=("a",))}
    with pytest.raises(LearnerError, match=r"in 'supervised' there is 'a'\. Choose from other arms"):
        make_learner([Teaching(Uniform(), "datasets")], phases=phases)
    phases = {"first": Phase(epochs=1, data=("a",)), "supervised": Phase(epochs=1)}
    late = {"early": CrossEntropy(("to_kind", "kind"), when=["first"])}
    make_learner([Teaching(Uniform(), "datasets")], phases=phases, objectives=late).fit()
    with pytest.raises(LearnerError, match=r"two arms or more to choose from: in 'first' there is 'a'"):
        make_learner([Teaching(Uniform(), "datasets", when=["first"])], phases=phases, objectives=late)


def test_an_arm_of_one_row_is_refused_where_something_needs_two() -> None:
    class Lone(Axis):
        kind = "lone"

        def parts(self, model: Any, loaders: Any, phase: str, datasets: Any) -> Any:
            first = torch.arange(58) < 1
            return {"one": Part(mask=first), "rest": Part(mask=~first)}

    says = r"arm 'one' has a batch of one row, and batch normalization in node 'trunk' needs two\. Give it more rows"
    with pytest.raises(LearnerError, match=says):
        make_learner([Teaching(Uniform(), Lone())])
    short = Bucketed(make_loaders().train.drawing(), torch.arange(58) % 7)  # of 40, 12 and 6 rows
    with pytest.raises(LearnerError, match="arm 'b' has a batch of one row"):
        make_learner([Teaching(Uniform(), "datasets")], loaders=make_loaders(11, short))
    make_learner([Teaching(Uniform(), "datasets")], loaders=make_loaders(11)).fit()  # whose batches are all full


def test_an_objective_that_is_not_active_tells_nothing() -> None:
    late = {"early": CrossEntropy(("to_kind", "kind"), when=["first"])}
    phases = {"first": Phase(epochs=1), "supervised": Phase(epochs=1)}
    with pytest.raises(LearnerError, match=r"objective 'early' is not active in phase 'supervised', where the teacher"):
        make_learner([Teaching(Exp3S(), "datasets", SPG(["early"]))], phases=phases, objectives=late)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Teaching(Uniform(), "taks"), "no arms of the kind 'taks'. Did you mean 'tasks'"),
        (lambda: Teaching(Uniform(), []), "expected arms of one kind or of several different ones, got none"),
        (lambda: Teaching(Uniform(), ["tasks", "tasks"]), "several different ones, got tasks, tasks"),
        (lambda: Teaching(Uniform(), "tasks", floor=2), "expected a floor from 0 to 1 and `every` from 1, got 2 and 1"),
        (lambda: Teaching(Uniform(), "tasks", every=0), "got 0.05 and 0"),
        (lambda: Views(["weak"]), r"expected two different views or more, got \['weak'\]"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Callable[[], object], says: str) -> None:
    with pytest.raises(LearnerError, match=says):
        make()


def test_rewards_on_validation_need_what_tells() -> None:
    with pytest.raises(LearnerError, match=r"metric_gain goes by the figure of an arm's task, and (arm )?'a' has no"):
        make_learner([Teaching(Exp3S(), "datasets", MetricGain())])
    loaders = make_loaders()
    loaders.val.rows = loaders.val.maker.rows = loaders.val.rows[loaders.val.decoded("size").isnan().flatten()]
    with pytest.raises(LearnerError, match=r"no validation row counts for size\. Give the validation split such rows"):
        make_learner([Teaching(Exp3S(), "tasks", TargetGain())], loaders=loaders)
    with pytest.raises(LearnerError, match="target_gain: expected one row or more, got 0"):
        TargetGain(rows=0)


def test_bins_need_to_know_how_hard_rows_are() -> None:
    loaders = make_loaders()
    loaders.difficulty = None
    with pytest.raises(LearnerError, match=r"arms\.difficulty: the data does not say how hard its rows are"):
        make_learner([Teaching(Uniform(), Difficulty(2))], loaders=loaders)
    loaders = make_loaders()
    loaders.difficulty = torch.ones(58, dtype=torch.float64)
    with pytest.raises(LearnerError, match=r"arms\.difficulty: all 58 train rows are equally hard \(1\)"):
        make_learner([Teaching(Uniform(), Difficulty(2))], loaders=loaders)
    for given, told in (
        (torch.rand(57), r"expected a number for each of 58 train rows, got the shape \[57\]"),
        (torch.full((58,), math.nan), "58 of 58 train rows have none"),
    ):
        with pytest.raises(LearnerError, match=rf"arms\.difficulty: {told}"):
            make_learner([Teaching(Uniform(), Difficulty(2, given))])
    with pytest.raises(LearnerError, match="expected two bins or more, got 1"):
        Difficulty(1)


def test_phases_that_learn_nothing_are_refused() -> None:
    told = r"curriculum\.when: no phase in which the teacher chooses \(first\) has epochs and an objective\. Name one"
    phases = {"first": Phase(epochs=0), "supervised": Phase(epochs=1)}
    with pytest.raises(LearnerError, match=told):
        make_learner([taught("datasets", when="first")], phases=phases)


def test_bins_go_by_what_is_given() -> None:
    given = torch.arange(58.0).roll(11)
    teaching = Teaching(Uniform(), Difficulty(2, given))
    make_learner([teaching])
    easy, hard = ({*arm.order.epoch(0, 0, 8).positions.tolist()} for arm in teaching.arms("supervised"))
    assert easy == {*given.argsort()[:29].tolist()} and hard == {*given.argsort()[29:].tolist()}


def test_rows_that_come_by_their_losses_would_leave_an_arm() -> None:
    with pytest.raises(LearnerError, match=r"prioritized says how often rows come, and so does the teacher"):
        make_learner([taught("datasets"), Prioritizing()])


def test_replay_needs_all_that_a_phase_computes() -> None:
    make_learner([taught("datasets"), Replay(20, batch=4)], epochs=1).fit()
    with pytest.raises(LearnerError, match=r"curriculum\.arms: replay learns kept rows by all objectives of a phase"):
        make_learner([taught("tasks"), Replay(20, batch=4)])


def test_a_reward_that_is_not_finite_is_named() -> None:
    class Bad(LossReward):  # type: ignore[misc]
        def updated(self, choice: Any, steps: Any) -> Any:
            return torch.tensor(float("nan"))

    with pytest.raises(LearnerError, match=r"the reward 'loss' of arm '[abc]' is nan, though the losses that were"):
        _fitted(Teaching(Exp3S(), "datasets", Bad()))


def test_a_loss_that_is_not_finite_is_told_as_ever() -> None:
    learner = make_learner([taught("tasks")])
    with torch.no_grad():
        next(learner.model.parameters()).fill_(torch.nan)
    with pytest.raises(NonFiniteLossError, match="became non-finite"):
        learner.fit()


# --- from files -----------------------------------------------------------------------------------------------------


def test_a_learner_file_asks_for_it(tmp_path: Path) -> None:
    column = {"kind": "number"}
    rows = [f"{i % 7},{i % 5},{'ab'[i % 2]}" for i in range(60)]
    (tmp_path / "one.csv").write_text("\n".join(["x,y,c", *rows]))
    (tmp_path / "two.csv").write_text("\n".join(["x,y,c", *rows[:24]]))
    fields = {"x": column, "y": column, "c": {"kind": "category"}}
    split = {"duplicates": "allow"}
    data = {
        "datasets": {
            name: {"source": {"kind": "csv", "path": str(tmp_path / f"{name}.csv")}, "fields": fields, "split": split}
            for name in ("one", "two")
        },
        "batch_size": 8,
    }
    loaders = jumpml.create_dataloader(data)
    net = {
        "nodes": {"out": {"module": "jumpml.blocks.Head", "inputs": "x"}},
        "tasks": {"y": {"kind": "regression", "output": "out", "target": "y"}},
    }
    model = jumpml.load_model(net, loaders)
    told = {
        "curriculum": {"teacher": {"kind": "exp3s", "eta": 0.5}, "arms": ["datasets", {"classes": "c"}], "every": 2},
        "phases": {"supervised": {"epochs": 2}},
        "log": ["jsonl"],
    }
    learner = jumpml.create_learner(loaders, model, None, told, run=tmp_path / "run")
    learner.fit()
    names = {key for point in learner.history.course for key in point.figures if key.startswith("share/")}
    assert names == {"share/one/a", "share/one/b", "share/two/a", "share/two/b"}
    wrong = {**told, "curriculum": {**told["curriculum"], "arms": {"classes": "y"}}}
    with pytest.raises(SpecError, match=r"curriculum\.arms\.classes: expected a category"):
        jumpml.create_learner(loaders, jumpml.load_model(net, loaders), None, wrong, run=tmp_path / "other")
