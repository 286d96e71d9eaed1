"""A learner whose model grows: what follows, and that a run that is stopped anywhere ends with the same bits."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import jumpml
from jumpml.core import (
    EvaluationError,
    Figure,
    GraphError,
    LearnerError,
    ModelSpec,
    PretrainedError,
    SpecError,
    load_spec,
)
from jumpml.graph import Classes, Shrink, Widen
from jumpml.learn import AtEpoch, Grow, GrowthRule, Hook, Learner, _loop_state

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import Tensor

    from jumpml.graph import Growth, Surgery

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
    "augment": {"image": [{"shift": {"pixels": 1}}]},
    "batch_size": 32,
}
MODEL: dict[str, Any] = {
    "seed": 0,
    "nodes": {
        "encoder": {"module": "jumpml.blocks.MLP", "inputs": "image", "args": {"widths": [8, 6], "dropout": 0.2}},
        "norm": {"module": "torch.nn.BatchNorm1d", "inputs": "encoder", "args": {"num_features": 6}},
        "digit": {"module": "jumpml.blocks.Head", "inputs": "norm"},
    },
    "tasks": {
        "digit": {
            "kind": "multiclass",
            "output": "digit",
            "target": "label",
            "objective": {"when": ["supervised", "second"]},
        },
    },
    "objectives": {"keep": {"kind": "ewc", "weight": 0.1, "when": ["second"]}},
}
OPTIONS: dict[str, Any] = {
    "optimizer": {"kind": "adam", "lr": 0.01},
    "ema": {"decay": 0.9},
    "phases": {
        "supervised": {"epochs": 2, "schedule": {"kind": "one_cycle", "max_lr": 0.02}, "consolidate": True},
        "second": {"epochs": 3, "schedule": {"kind": "cosine"}},
    },
    "grow": [
        {"trigger": {"epoch": 1}, "node": "encoder.layers.1", "widen": 1.5},
        {"trigger": {"epoch": 1, "phase": "second"}, "node": "encoder", "widen": 2.0},
    ],
    "checkpoint": {"every": {"steps": 2}, "keep": 99},
    "log": [],
}


def make(folder: Path, **changes: Any) -> Learner:
    loaders = jumpml.create_dataloader(DATA)
    model = jumpml.load_model(MODEL, loaders)
    return jumpml.create_learner(loaders, model, None, {**OPTIONS, **changes}, run=folder)


def state_of(learner: Learner) -> dict[str, Tensor]:
    """Every tensor that training moves, by name."""
    state = {f"model/{name}": value for name, value in learner.model.state_dict().items()}
    if learner.ema_model is not None:
        state |= {f"ema/{name}": value for name, value in learner.ema_model.state_dict().items()}
    held = [parameter for group in learner.optimizer.param_groups for parameter in group["params"]]
    for index, moments in enumerate(learner.optimizer.state.get(parameter, {}) for parameter in held):
        state |= {f"optimizer/{index}/{name}": torch.as_tensor(value) for name, value in moments.items()}
    return state


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class KilledError(Exception):
    pass


def run_until(learner: Learner, step: int) -> None:
    """Learn, and die at a step."""
    take = type(learner).step.__get__(learner)

    def stepping(*batches: Any) -> None:
        if learner.progress.step == step:
            raise KilledError
        take(*batches)

    learner.step = stepping  # type: ignore[method-assign]
    with pytest.raises(KilledError):
        learner.fit()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Learner:
    learner = make(tmp_path_factory.mktemp("whole"))
    learner.fit()
    return learner


def test_what_grew_is_in_the_record_and_in_the_lineage(whole: Learner) -> None:
    first, second = "grew encoder.layers.1 8 -> 12", "grew encoder.layers.1 12 -> 24, encoder.layers.4 6 -> 12"
    assert [record.notes for record in whole.history.epochs] == [(first,), (), (second,), (), ()]
    assert [entry["text"] for entry in whole.model.lineage] == [first, second]
    assert whole.ema_model is not None and whole.ema_model.lineage == whole.model.lineage
    assert [value.shape for value in whole.ema_model.parameters()] == [v.shape for v in whole.model.parameters()]


# an epoch has five steps: before growth, in the epoch after it, between the two, after both
@pytest.mark.parametrize("step", [3, 6, 11, 17, 23])
def test_a_run_that_is_killed_anywhere_ends_with_the_same_bits(tmp_path: Path, whole: Learner, step: int) -> None:
    run_until(make(tmp_path), step)
    resumed = make(tmp_path)
    assert resumed.resume() and resumed.progress.step <= step
    resumed.fit()
    assert same(state_of(resumed), state_of(whole))
    assert resumed.model.lineage == whole.model.lineage


def test_without_the_moments_of_what_has_grown_the_bits_differ(tmp_path: Path, whole: Learner) -> None:
    run_until(make(tmp_path), 7)
    resumed = make(tmp_path)
    assert resumed.resume()
    resumed.optimizer.state.clear()
    resumed.fit()
    assert not same(state_of(resumed), state_of(whole))


def test_a_plateau_that_is_not_remembered_would_be_another_run(tmp_path: Path) -> None:
    rule = {"trigger": {"plateau": {"patience": 1, "min_delta": 9.0, "times": 2}}, "node": "encoder", "widen": 1.5}
    options = {"grow": [rule], "phases": {"supervised": {"epochs": 6}, "second": {"epochs": 0}}}
    never = make(tmp_path / "whole", **options)
    never.fit()
    grown = [bool(record.notes) for record in never.history.epochs]
    assert grown == [False, False, True, False, False, True]  # the first epoch is always better than none
    run_until(make(tmp_path / "killed", **options), 13)
    resumed, forgetful = (make(tmp_path / "killed", **options) for _ in range(2))
    for learner in (resumed, forgetful):
        assert learner.resume()
    resumed.fit()
    assert same(state_of(resumed), state_of(never))
    hook = next(hook for hook in forgetful._loop.hooks if isinstance(hook, Grow))
    hook.load_state_dict({"watches": [{"best": None, "waited": 0, "done": 0}]})
    forgetful.fit()
    assert not same(state_of(forgetful), state_of(never))


def outputs(learner: Learner) -> Iterator[Tensor]:
    """What the model and its average say of the validation rows, and the penalty."""
    assert learner.ema_model is not None
    batch = next(iter(learner.loaders.val))
    training = learner.model.training
    for model in (learner.model.eval(), learner.ema_model):
        with torch.no_grad():
            yield model(batch)["digit"]
            yield model.objectives["keep"]().value
    learner.model.train(training)


def test_by_hand_in_the_middle_of_an_epoch_outputs_average_and_penalty_stay(tmp_path: Path) -> None:
    learner = make(tmp_path, grow=[])
    run_until(learner, 13)
    del learner.step
    before = [value.clone() for value in outputs(learner)]
    assert float(before[1]) > 0
    growth = learner.grow(Widen("encoder", 8.0))
    for value, was in zip(outputs(learner), before, strict=True):
        assert (value - was).abs().max() <= 1e-5
    # moments stand where they stood, and what is fresh has zeros
    name = "node_encoder.layers.1.weight"
    moment = learner.optimizer.state[growth.after[name]]["exp_avg"]
    assert moment.shape == (64, 64) and moment[:8].abs().sum() > 0 and moment[8:].abs().sum() == 0
    learner.fit()
    assert sum(record.notes != () for record in learner.history.epochs) == 1
    learner.save()
    again = make(tmp_path, grow=[])
    assert again.resume()
    assert same(state_of(again), state_of(learner))


AVERAGES = [{"ema": {"decay": 0.9}}, {"ema": None, "swa": {"phase": "second", "start": 0.7}}]


@pytest.mark.parametrize("average", AVERAGES, ids=["ema", "swa"])
def test_the_best_checkpoint_before_growth_comes_back_in_its_shape(tmp_path: Path, average: dict[str, Any]) -> None:
    best = {**OPTIONS["checkpoint"], "best": {"metric": "val/loss", "mode": "max"}}  # the first epoch's is the highest
    learner = make(tmp_path, checkpoint=best, grow=OPTIONS["grow"][1:], **average)
    learner.fit()
    assert learner.progress.best is not None and learner.progress.best[1] < 15
    assert learner.restore_best()
    assert learner.model.lineage == () and learner.model.node("digit").weight.shape == (10, 6)
    figure = jumpml.eval_model(learner.loaders, learner.ema_model or learner.model, split="val")["digit/accuracy"]
    assert isinstance(figure, Figure)


def test_what_has_shrunk_is_the_best_from_there_on(tmp_path: Path) -> None:
    best = {**OPTIONS["checkpoint"], "best": {"metric": "val/loss", "mode": "max"}}
    rule = {"trigger": {"epoch": 1, "phase": "second"}, "node": "encoder", "shrink": 0.5}
    learner = make(tmp_path, checkpoint=best, grow=[rule])
    learner.fit()
    assert learner.restore_best()
    assert learner.model.node("digit").weight.shape == (10, 3)


@pytest.mark.parametrize("kind", ["sgd", "rmsprop", "adagrad", "adafactor", "rprop", "asgd", "nadam"])
def test_any_optimizer_goes_along(tmp_path: Path, kind: str) -> None:
    momentum = {"momentum": 0.9} if kind == "sgd" else {}
    learner = make(tmp_path, optimizer={"kind": kind, "lr": 0.01, **momentum}, checkpoint=None)
    learner.fit()
    held = [p for group in learner.optimizer.param_groups for p in group["params"]]
    assert [id(p) for p in held] == [id(p) for p in learner.model.parameters()]
    for parameter, state in learner.optimizer.state.items():
        for value in state.values():
            assert not isinstance(value, torch.Tensor) or value.ndim == 0 or value.shape[0] in {1, parameter.shape[0]}


def test_a_grown_model_is_copied_pickled_and_compared(whole: Learner) -> None:
    copied = copy.deepcopy(whole.model)
    assert copied.lineage == whole.model.lineage
    batch = next(iter(whole.loaders.val))
    with torch.no_grad():
        assert torch.equal(copied.eval()(batch)["digit"], whole.model.eval()(batch)["digit"])


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"node": "encodr", "widen": 2}, "grow[0].node: there is no node 'encodr'. Did you mean 'encoder'"),
        ({"node": "digit", "widen": 2}, "of 'digit': they are the output of task 'digit'"),
        ({"node": "encoder"}, "expected one of widen, shrink, deepen, low_rank, merge, branch, got none"),
        (
            {"node": "encoder", "widen": 2, "shrink": 0.5},
            "expected one of widen, shrink, deepen, low_rank, merge, branch, got widen and shrink",
        ),
        ({"node": "encoder", "widen": 2, "trigger": {}}, "expected either epoch or plateau, got neither"),
        (
            {"node": "encoder", "widen": 2, "trigger": {"epoch": 1, "phase": "third"}},
            "grow[0].trigger.phase: there is no phase 'third'. There is: self_supervised, supervised, second.",
        ),
        (
            {"node": "encoder", "widen": 2, "trigger": {"plateau": {"metric": "val/los"}}},
            "grow[0].trigger.plateau.metric: the validation has no figure 'val/los'. Did you mean 'val/loss'",
        ),
    ],
)
def test_a_rule_that_cannot_be_kept_is_refused_before_the_first_batch(
    tmp_path: Path, rule: dict[str, Any], text: str
) -> None:
    with pytest.raises(SpecError) as error:
        make(tmp_path, grow=[{"trigger": {"epoch": 1}, **rule}])
    assert text in str(error.value)


def test_a_surgery_that_cannot_be_done_leaves_the_learner_as_it_was(tmp_path: Path) -> None:
    learner = make(tmp_path, grow=[])
    before = state_of(learner)
    with pytest.raises(GraphError, match="makes no units"):
        learner.grow(Shrink("norm", 0.5))
    assert same(state_of(learner), before) and learner.history.epochs == []


class Stumbles(Hook):
    """Cannot follow a growth, and forgets itself over it."""

    name = "stumbles"

    def __init__(self) -> None:
        self.grown = 0

    def grew(self, growth: Growth) -> None:
        self.grown += 1
        raise KilledError(growth.text)

    def state_dict(self) -> dict[str, Any]:
        return {"grown": self.grown}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.grown = state["grown"]


class Follows(Hook):
    """Keeps something beside a parameter, and remembers what it was told."""

    name = "follows"

    def __init__(self) -> None:
        self.told: list[str] = []
        self.beside = torch.rand(8, 64)

    def grew(self, growth: Growth) -> None:
        self.told.append(growth.text)
        self.beside = growth.index_map.carry("node_encoder.layers.1.weight", self.beside)

    def state_dict(self) -> dict[str, Any]:
        return {"beside": self.beside}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.beside = state["beside"]


@pytest.mark.parametrize(
    "surgery", [Widen("encoder.layers.1", 2.0), Shrink("encoder.layers.1", 0.5)], ids=["grow", "shrink"]
)
@pytest.mark.parametrize(
    "optimizer", [{"kind": "adam"}, {"kind": "sgd", "momentum": 0.9, "groups": [{"nodes": "digit", "kind": "adam"}]}]
)
def test_a_growth_that_a_hook_cannot_follow_leaves_all_as_it_was(
    tmp_path: Path, surgery: Surgery, optimizer: dict[str, Any]
) -> None:
    def made(name: str, *hooks: Hook) -> Learner:
        loaders = jumpml.create_dataloader(DATA)
        options = {**OPTIONS, "grow": [], "optimizer": {"lr": 0.01, **optimizer}}
        learner = jumpml.create_learner(
            loaders, jumpml.load_model(MODEL, loaders), None, options, run=tmp_path / name, hooks=hooks
        )
        run_until(learner, 7)
        learner._run.states.read()  # as a growth does
        return learner

    plain, follows = made("plain"), Follows()
    learner = made("fails", follows, Stumbles())
    before, beside = copy.deepcopy(_loop_state.state_of(learner._loop)), follows.beside.clone()
    parameters = [*learner.model.parameters()]
    with pytest.raises(KilledError, match=r"encoder\.layers\.1 8 -> "):
        learner.grow(surgery)
    assert len(follows.told) == 2 and follows.told[1] == f"took back: {follows.told[0]}"
    assert torch.equal(follows.beside, beside)
    assert str(_loop_state.state_of(learner._loop)) == str(before)
    assert all(one is other for one, other in zip(learner.model.parameters(), parameters, strict=True))
    assert same(state_of(learner), state_of(plain))
    for each in (plain, learner):
        run_until(each, 19)
    assert same(state_of(learner), state_of(plain))


def test_what_a_growth_has_replaced_holds_no_memory(tmp_path: Path) -> None:
    learner = make(tmp_path, grow=[])
    run_until(learner, 3)
    models = [learner.model, learner.ema_model]
    held = [tensor for model in models if model for tensor in (*model.parameters(), *model.buffers())]
    for _ in range(2):
        learner.grow(Widen("encoder", 1.5))
        held += learner.model.parameters()
    now = {id(tensor) for model in models if model for tensor in (*model.parameters(), *model.buffers())}
    replaced = {id(tensor): tensor for tensor in held if id(tensor) not in now}
    assert len(replaced) > 10
    assert not sum(tensor.numel() for tensor in replaced.values())
    assert len(learner.model.regrow(())) == 2  # and yet it can be taken back
    assert [p.shape for p in learner.model.parameters()] == [p.shape for p in make(tmp_path / "new").model.parameters()]


@pytest.mark.parametrize("step", [7, 12, 18, 23])
def test_depth_and_branches_of_low_rank_are_resumed_to_the_bit(tmp_path: Path, step: int) -> None:
    rules = [
        {"trigger": {"epoch": 1}, "node": "encoder", "deepen": 1},
        {"trigger": {"epoch": 2}, "node": "encoder", "low_rank": 2},
        {"trigger": {"epoch": 2, "phase": "second"}, "node": "encoder", "merge": True},
    ]
    whole = make(tmp_path / "whole", grow=rules)
    whole.fit()
    assert [record.notes for record in whole.history.epochs] == [
        ("deepened encoder by 1 layer",),
        (
            "gave encoder.layers.1, encoder.layers.4, encoder.layers.5.inward, encoder.layers.5.outward "
            "a branch of rank 2",
        ),
        (),
        (
            "merged the branches of encoder.layers.1, encoder.layers.4, encoder.layers.5.inward, "
            "encoder.layers.5.outward",
        ),
        (),
    ]
    run_until(make(tmp_path / "killed", grow=rules), step)
    resumed = make(tmp_path / "killed", grow=rules)
    assert resumed.resume()
    resumed.fit()
    assert same(state_of(resumed), state_of(whole))


def test_a_modality_that_comes_is_resumed_to_the_bit(tmp_path: Path) -> None:
    branch = {"name": "again", "module": "jumpml.blocks.MLP", "inputs": "image", "args": {"widths": [5, 6]}}
    rule = {"trigger": {"epoch": 1}, "node": "encoder", "branch": branch}
    whole = make(tmp_path / "whole", grow=[rule])
    whole.fit()
    assert whole.history.epochs[0].notes == ("added again, which reads image, to encoder",)
    assert whole.optimizer.state[whole.model.node("encoder").gate]["exp_avg"] != 0  # type: ignore[index]
    run_until(make(tmp_path / "killed", grow=[rule]), 12)
    resumed = make(tmp_path / "killed", grow=[rule])
    assert resumed.resume()
    resumed.fit()
    assert same(state_of(resumed), state_of(whole))


@pytest.mark.parametrize("average", AVERAGES, ids=["ema", "swa"])
@pytest.mark.parametrize("step", [11, 18, 24])
def test_a_copy_of_the_model_between_two_growths_comes_back_in_its_shape(
    tmp_path: Path, step: int, average: dict[str, Any]
) -> None:
    def remembering(folder: Path) -> Learner:
        loaders = jumpml.create_dataloader(DATA)
        keeps = {**MODEL["objectives"], "before": {"kind": "lwf", "inputs": "digit", "when": ["second"]}}
        model = jumpml.load_model({**MODEL, "objectives": keeps}, loaders)
        return jumpml.create_learner(loaders, model, None, {**OPTIONS, **average}, run=folder)

    whole = remembering(tmp_path / "whole")
    whole.fit()  # grows, takes the copy, grows
    copied = whole.model.objectives["before"].before  # type: ignore[attr-defined]
    assert copied is not None
    sizes = [sum(v.numel() for v in m.node("encoder").state_dict().values()) for m in (copied, whole.model)]
    assert sizes[0] < sizes[1]
    run_until(remembering(tmp_path / "killed"), step)
    resumed = remembering(tmp_path / "killed")
    assert resumed.resume()
    resumed.fit()
    assert same(state_of(resumed), state_of(whole))


def animals(folder: Path, names: list[str]) -> dict[str, Any]:
    """Rows of the named classes, each around a place of its own."""
    every = ["ape", "cat", "cow", "dog"]
    place = np.repeat([every.index(name) for name in names], 40)
    x = np.random.default_rng(0).normal(size=(len(place), 4)) * 0.3 + np.eye(4)[place] * 2
    path = folder / f"{len(names)}.npz"
    np.savez(path, x=x.astype(np.float32), y=np.array(every)[place])
    fields = {"x": {"kind": "tensor", "shape": [4]}, "y": {"kind": "category"}}
    return {"datasets": {"d": {"source": {"kind": "npz", "path": str(path)}, "fields": fields}}, "batch_size": 16}


ANIMALS: dict[str, Any] = {
    "seed": 0,
    "nodes": {"out": {"module": "jumpml.blocks.MLP", "inputs": "x", "args": {"widths": [8, 2]}}},
    "tasks": {"animal": {"kind": "multiclass", "output": "out", "target": "y"}},
}


def test_new_classes_come_between_two_learners(tmp_path: Path) -> None:
    few = jumpml.create_dataloader(animals(tmp_path, ["cat", "dog"]))
    model = jumpml.load_model(ANIMALS, few)
    options = {"optimizer": {"lr": 0.05}, "phases": {"supervised": {"epochs": 4}}, "log": [], "checkpoint": None}
    jumpml.create_learner(few, model, None, options).fit()
    assert jumpml.eval_model(few, model)["animal/accuracy"].value == 1.0
    batch = next(iter(few.test.plain()))
    before = model.eval()(batch)["animal"]
    more = jumpml.create_dataloader(animals(tmp_path, ["ape", "cat", "cow", "dog"]))
    with pytest.raises(GraphError, match="2 wide, and the target 'y' has 4 classes"):
        jumpml.create_learner(more, model, None, options)
    model.grow(Classes("y", more.fields["y"].classes))
    assert (model(batch)["animal"][:, [1, 3]] - before).abs().max() <= 1e-6
    jumpml.create_learner(more, model, None, options).fit()
    assert jumpml.eval_model(more, model)["animal/accuracy"].value > 0.95


@pytest.mark.parametrize("names", [["ape", "cat", "cow", "dog"], ["cat", "dog", "ape"]], ids=["between", "last"])
def test_new_classes_in_the_midst_of_learning_are_refused(tmp_path: Path, names: list[str]) -> None:
    few = jumpml.create_dataloader(animals(tmp_path, ["cat", "dog"]))
    model = jumpml.load_model(ANIMALS, few)
    options = {"phases": {"supervised": {"epochs": 2}}, "log": [], "checkpoint": None}
    learner = jumpml.create_learner(few, model, None, options)
    learner.train_epoch()
    told = (
        r"^'y' has the classes cat, dog in the data that is learned from, and no row of ape.*: its codes would be "
        r"taken for other classes\. New classes come between two learners: model\.grow\(Classes\('y', \.\.\.\)\) with "
        r"the classes of the new data in their order, and then Learner\(new_data, model, \.\.\.\)\.$"
    )
    with pytest.raises(LearnerError, match=told):
        learner.grow(Classes("y", names))
    rule = GrowthRule(trigger=AtEpoch(epoch=1), surgery=Classes("y", names))
    with pytest.raises(LearnerError, match=told):
        Learner(few, model, torch.optim.SGD(model.parameters()), hooks=[Grow([rule])])
    assert model.lineage == ()
    learner.train_epoch()


def test_data_whose_codes_are_of_other_classes_is_neither_learned_nor_measured(tmp_path: Path) -> None:
    known = jumpml.create_dataloader(animals(tmp_path, ["cat", "dog"]))
    model = jumpml.load_model(ANIMALS, known)
    turned = animals(tmp_path, ["cat", "dog"])
    turned["datasets"]["d"]["fields"]["y"] = {"kind": "category", "classes": ["dog", "cat"]}
    other = jumpml.create_dataloader(turned)
    told = "code 0 of 'y' is 'cat' to the model, and 'dog' in this data. Name the model's classes in the data file, "
    with pytest.raises(GraphError) as refused:
        jumpml.create_learner(other, model, None, {"log": [], "checkpoint": None})
    assert told in str(refused.value)
    with pytest.raises(EvaluationError) as unmeasured:
        jumpml.eval_model(other, model)
    assert str(unmeasured.value).startswith(f"task 'animal': {told}")
    model.grow(Classes("y", ["ape", "cat", "dog"]))
    with pytest.raises(EvaluationError, match="code 0 of 'y' is 'ape' to the model, and 'cat' in this data"):
        jumpml.eval_model(known, model)  # rows of before, whose codes are no longer the model's
    more = animals(tmp_path, ["cat", "dog"])
    more["datasets"]["d"]["fields"]["y"] = {"kind": "category", "classes": ["ape", "cat", "dog"]}
    assert jumpml.eval_model(jumpml.create_dataloader(more), model)["animal/accuracy"].n > 0


def test_a_node_of_a_run_that_grew_comes_in_its_shape(tmp_path: Path, whole: Learner) -> None:
    run = tmp_path / "run"
    learner = make(run)
    learner.fit()
    (run / "specs").mkdir()
    (run / "specs" / "digits.model.yaml").write_text(load_spec(ModelSpec, MODEL).to_yaml(), encoding="utf-8")
    loaders = jumpml.create_dataloader(DATA)
    taken = {
        "seed": 1,
        "nodes": {
            "head": {"module": "torch.nn.LazyLinear", "inputs": "body", "args": {"out_features": 2}},
            "body": {"pretrained": {"run": str(run), "node": "encoder"}, "inputs": "image"},
        },
        "objectives": {"small": {"kind": "l2", "inputs": "head"}},
    }
    model = jumpml.load_model(taken, loaders).eval()
    batch = next(iter(loaders.val))
    with torch.no_grad():
        expected = whole.model.eval()(batch, outputs=["encoder"])["encoder"]
        assert torch.equal(model(batch, outputs=["body"])["body"], expected)
    assert model.node("head").weight.shape == (2, 12)
    assert [entry["at"] for entry in model.lineage] == [
        {"body.layers.1": 12},
        {"body.layers.1": 24, "body.layers.4": 12},
    ]
    averaged = {**MODEL, "nodes": {**MODEL["nodes"]}}
    averaged["nodes"]["encoder"] = {**MODEL["nodes"]["encoder"], "weights": {"file": str(run), "part": "average"}}
    model = jumpml.load_model(averaged, loaders).eval()
    with torch.no_grad():
        assert learner.ema_model is not None
        expected = learner.ema_model(batch, outputs=["encoder"])["encoder"]
        assert torch.equal(model(batch, outputs=["encoder"])["encoder"], expected)


def test_nodes_that_do_not_all_fit_a_run_that_grew_stay_in_their_shape(tmp_path: Path) -> None:
    make(tmp_path).fit()
    loaders = jumpml.create_dataloader(DATA)
    extra = {"module": "torch.nn.LazyLinear", "inputs": "norm", "args": {"out_features": 2}}
    small = {"kind": "l2", "inputs": "extra"}
    other = {"nodes": {**MODEL["nodes"], "extra": extra}, "objectives": {**MODEL["objectives"], "small": small}}
    model = jumpml.load_model({**MODEL, **other}, loaders)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(PretrainedError, match="has no weights of a node 'extra'"):
        model.load_nodes(tmp_path)
    assert same(dict(model.state_dict()), before) and model.lineage == ()
    assert [*model.load_nodes(tmp_path, strict=False)] == ["encoder", "norm", "digit"]
    assert len(model.lineage) == 2
    deeper = {"module": "jumpml.blocks.MLP", "inputs": "image", "args": {"widths": [8, 6, 6]}}
    model = jumpml.load_model({**MODEL, "nodes": {**MODEL["nodes"], "encoder": deeper}}, loaders)
    with pytest.raises(GraphError, match=r"names units of 'encoder\.layers\.4'"):  # of the second growth
        model.load_weights("encoder", tmp_path)
    assert model.lineage == ()


@pytest.mark.parametrize("options", [{"compile": {"backend": "eager"}}, {"accumulate": 2, "clip_norm": 1.0}])
def test_a_compiled_step_is_made_anew_and_several_batches_are_one_step(tmp_path: Path, options: dict[str, Any]) -> None:
    short = {"phases": {"supervised": {"epochs": 2}, "second": {"epochs": 1}}}
    whole = make(tmp_path / "whole", **short, **options)
    whole.fit()
    assert len(whole.model.lineage) == 2
    run_until(make(tmp_path / "killed", **short, **options), 4)
    resumed = make(tmp_path / "killed", **short, **options)
    assert resumed.resume()
    resumed.fit()
    assert same(state_of(resumed), state_of(whole))


def test_a_checkpoint_follows_each_growth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rare = {"every": {"epochs": 9}, "keep": 9}
    phases = {"supervised": {"epochs": 3}, "second": {"epochs": 0}}
    learner = make(tmp_path, checkpoint=rare, grow=OPTIONS["grow"][:1], phases=phases)
    states, asked = learner._run.states, []
    save = states.save

    def saving() -> None:
        asked.append(learner.progress.step)
        save()

    monkeypatch.setattr(states, "save", saving)  # a slow disk may leave out what is written in between
    learner.fit()
    assert asked == [0, 5, 15]
