"""The learner on the digits: phases, exactness, errors."""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import jumpml
from jumpml.core import CheckpointError, LearnerError, Loss, NonFiniteLossError, SpecError, Task
from jumpml.data import Column, DataLoaders, Mixture, Weighted
from jumpml.learn import Checkpoints, Learner, Phase, Saving
from jumpml.learn.hooks._examples import ExampleRecorder

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from jumpml.data import Order

DATA = {
    "datasets": {
        "digits": {
            "source": {"kind": "sklearn", "name": "digits"},
            "fields": {
                "image": {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]},
                "label": {"kind": "category", "column": "target"},
            },
            # few rows train, so that an epoch has five batches, the last of them ragged
            "split": {"train": 0.08, "val": 0.1, "test": 0.82, "stratify": "label"},
        }
    },
    "features": {"image": [{"standardize": {}}]},
    "augment": {"image": [{"shift": {"pixels": 1}}, {"noise": {"std": 0.05}}]},
    "views": {"strong": {"image": [{"rotate": {"degrees": 15}}]}},
    "batch_size": 32,
}
MODEL = {
    "seed": 0,
    "nodes": {
        "flat": {"module": "torch.nn.Flatten", "inputs": "image"},
        "encoder": {"module": "jumpml.blocks.MLP", "inputs": "flat", "args": {"widths": [32, 16], "dropout": 0.2}},
        "norm": {"module": "torch.nn.BatchNorm1d", "inputs": "encoder", "args": {"num_features": 16}},
        "digit": {"module": "jumpml.blocks.Head", "inputs": "norm"},
    },
    "tasks": {"digit": {"kind": "multiclass", "output": "digit", "target": "label"}},
    "objectives": {
        "agree": {
            "kind": "vicreg",
            "inputs": "encoder",
            "views": "strong",
            "projector": [8],
            "when": ["self_supervised"],
        },
        "keep": {"kind": "ewc", "weight": 0.1, "when": ["second"]},
    },
}
OPTIONS = {
    "optimizer": {"kind": "adam", "lr": 0.01},
    "clip_norm": 1.0,
    "ema": {"decay": 0.9},
    "phases": {
        "self_supervised": {"epochs": 1, "train": [{"upto": "encoder"}], "lr": 0.003},
        "supervised": {"epochs": 2, "schedule": {"kind": "one_cycle", "max_lr": 0.02}, "consolidate": True},
        "second": {"epochs": 1, "train": ["encoder", "digit"], "schedule": {"kind": "cosine"}},
    },
    "checkpoint": {"every": {"steps": 3}, "keep": 2, "best": {"metric": "val/digit/accuracy"}},
    "log": ["jsonl"],
}


def options(**changes: Any) -> dict[str, Any]:
    return {**OPTIONS, **changes}


def model_with(**changes: Any) -> dict[str, Any]:
    return {
        **MODEL,
        "objectives": {
            **MODEL["objectives"],
            "seen": {"kind": "l2", "inputs": "digit", "weight": 0, "when": ["second"]},
        },
        **changes,
    }


def make(folder: Path, spec: dict[str, Any] | None = None, model: dict[str, Any] | None = None) -> Learner:
    loaders = jumpml.create_dataloader(DATA)
    return jumpml.create_learner(
        loaders, jumpml.load_model(model or model_with(), loaders), None, spec or OPTIONS, run=folder
    )


def state_of(learner: Learner) -> dict[str, Tensor]:
    """Every tensor that training moves, by name."""
    state = {f"model/{name}": value for name, value in learner.model.state_dict().items()}
    if learner.ema_model is not None:
        state |= {f"ema/{name}": value for name, value in learner.ema_model.state_dict().items()}
    for index, moments in learner.optimizer.state_dict()["state"].items():
        state |= {f"optimizer/{index}/{name}": torch.as_tensor(value) for name, value in moments.items()}
    for task, history in learner.history.examples.items():
        state |= {f"examples/{task}/{key}": torch.from_numpy(value) for key, value in vars(history).items()}
    return state


def differing(first: dict[str, Tensor], second: dict[str, Tensor]) -> list[str]:
    """Names whose tensors are not the same bits; refuses to compare nothing."""
    if not first or first.keys() != second.keys():
        raise AssertionError(f"nothing to compare, or other names: {sorted(first.keys() ^ second.keys())}")
    return [
        name for name, value in first.items() if not torch.equal(value.nan_to_num(7e7), second[name].nan_to_num(7e7))
    ]


def test_the_comparison_can_fail() -> None:
    with pytest.raises(AssertionError, match="nothing to compare"):
        differing({}, {})
    with pytest.raises(AssertionError, match="other names"):
        differing({"a": torch.ones(1)}, {"b": torch.ones(1)})
    assert differing({"a": torch.ones(1)}, {"a": torch.zeros(1)}) == ["a"]


class Killed(BaseException):
    """What stands in for a killed process."""


def kill_at(learner: Learner, step: int) -> None:
    """Make the learner die at the start of a step."""
    original = learner.step

    def step_or_die(batch: Any) -> Any:
        if learner.progress.step == step:
            raise Killed
        return original(batch)

    learner.step = step_or_die  # type: ignore[method-assign]


def losses_of(learner: Learner) -> list[Any]:
    return [(r.phase, r.epoch, r.step, r.losses, r.val, r.lr) for r in learner.history.epochs]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Tensor], list[Any]]:
    """An uninterrupted run: 20 steps of 5 a epoch."""
    learner = make(tmp_path_factory.mktemp("whole"))
    learner.fit()
    assert learner.progress.step == 20
    return state_of(learner), losses_of(learner)


@pytest.mark.parametrize("step", [0, 1, 3, 4, 5, 7, 9, 10, 14, 15, 16, 19])
def test_a_killed_run_ends_with_the_same_bits(
    tmp_path: Path, whole: tuple[dict[str, Tensor], list[Any]], step: int
) -> None:
    first = make(tmp_path)
    kill_at(first, step)
    with pytest.raises(Killed):
        first.fit()
    torch.rand(17)  # another process would stand elsewhere in its global stream
    second = make(tmp_path)
    assert second.progress.step <= step
    second.fit()
    assert differing(whole[0], state_of(second)) == []
    assert losses_of(second) == whole[1]


def test_withholding_one_generator_shows_in_the_bits(
    tmp_path: Path, whole: tuple[dict[str, Tensor], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make(tmp_path)
    kill_at(first, 8)
    with pytest.raises(Killed):
        first.fit()
    original = Checkpoints.load

    def forgetful(self: Checkpoints, step: int) -> dict[str, Any]:
        state = original(self, step)
        state["random"]["torch"] = torch.Generator().manual_seed(1).get_state()
        return state

    monkeypatch.setattr(Checkpoints, "load", forgetful)
    second = make(tmp_path)
    second.fit()
    assert "model/node_digit.weight" in differing(whole[0], state_of(second))


def test_the_same_seed_gives_the_same_bits_and_another_does_not(
    tmp_path: Path, whole: tuple[dict[str, Tensor], list[Any]]
) -> None:
    again = make(tmp_path / "again")
    again.fit()
    assert differing(whole[0], state_of(again)) == []
    other = make(tmp_path / "other", options(seed=1))
    other.fit()
    assert differing(whole[0], state_of(other))


def test_a_program_that_is_started_again_goes_on(tmp_path: Path, whole: tuple[dict[str, Tensor], list[Any]]) -> None:
    def program() -> Learner:
        learner = make(tmp_path)
        learner.ss_learn()
        for _ in learner.epochs():
            learner.train_epoch()
            if learner.progress.step == 10:
                break
        return learner

    assert program().progress.step == 10
    learner = program()
    assert [record.phase for record in learner.history.epochs] == ["self_supervised", "supervised", "supervised"]
    assert losses_of(learner) == whole[1][:3]


def test_the_log_on_disk_equals_the_history_after_a_kill(tmp_path: Path) -> None:
    first = make(tmp_path)
    kill_at(first, 13)
    with pytest.raises(Killed):
        first.fit()
    with (tmp_path / "steps.jsonl").open("a") as file:
        file.write('{"step": 1')  # torn by a crash
    learner = make(tmp_path)
    learner.fit()
    steps = [json.loads(line)["step"] for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 21))
    epochs = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [epoch["step"] for epoch in epochs] == [record.step for record in learner.history.epochs]


def test_what_does_not_train_is_frozen(tmp_path: Path) -> None:
    learner = make(tmp_path)
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    learner.ss_learn()
    after = learner.model.state_dict()
    moved = {name.partition(".")[0] for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved == {"node_encoder", "objective_agree"}


def test_the_epochs_mean_is_over_rows(tmp_path: Path) -> None:
    learner = make(
        tmp_path,
        options(phases={"self_supervised": {"epochs": 0}, "supervised": {"epochs": 1}}),
        {**MODEL, "objectives": {}},
    )
    record = learner.train_epoch()
    lines = (tmp_path / "steps.jsonl").read_text().splitlines()
    losses = [json.loads(line)["losses"]["digit"] for line in lines]
    sizes = [32, 32, 32, 32, 15]  # 8% of 1,797 rows
    mean = sum(size * loss for size, loss in zip(sizes, losses, strict=True)) / sum(sizes)
    assert record.losses["digit"] == pytest.approx(mean, rel=1e-12)


def test_examples_are_recorded_by_row(tmp_path: Path) -> None:
    learner = make(tmp_path)
    learner.fit()
    history = learner.history.examples["digit"]
    assert history.loss.shape == (2, 143)
    assert set(history.rows.tolist()) == set(learner.loaders.train.rows.tolist())
    # the mean over rows is the epoch's loss: the rows are all there, once
    assert history.loss[1].mean() == pytest.approx(learner.history.epochs[2].losses["digit"], rel=1e-5)
    right = history.predicted[1] == _codes(learner)
    assert ((history.margin[1] > 0) == right).all()


def _codes(learner: Learner) -> Any:
    return torch.cat([batch["label"] for batch in learner.loaders.train.plain()]).numpy()


def test_the_average_is_another_model_that_is_evaluated_apart(tmp_path: Path) -> None:
    learner = make(tmp_path)
    learner.fit()
    average = learner.ema_model
    assert average is not None
    assert jumpml.eval_model(learner.loaders, average).record.averaged_weights
    notes = jumpml.eval_model(learner.loaders, learner.model).record.notes
    assert any("the learner keeps an average of them too: learner.ema_model" in note for note in notes)


def test_the_best_checkpoint_comes_back(tmp_path: Path) -> None:
    learner = make(tmp_path)
    learner.fit()
    values = [(r.val["digit/accuracy"], r.step) for r in learner.history.epochs if r.val]
    best = max(value for value, _ in values)
    assert learner.progress.best == next((v, s) for v, s in values if v == best)
    assert learner.restore_best()
    assert learner.ema_model is not None
    from jumpml.evaluate import score

    assert score(learner.loaders, learner.ema_model, ["digit/accuracy"])["digit/accuracy"] == best


def test_consolidation_holds_the_weights(tmp_path: Path) -> None:
    def moved(weight: float) -> float:
        """How far the weights went from their anchor, in the Fisher information's measure."""
        spec = copy.deepcopy(model_with())
        spec["objectives"]["keep"]["weight"] = weight
        learner = make(tmp_path / str(weight), model=spec)
        learner.fit()
        batch = next(iter(learner.loaders.train.plain()))
        return learner.model.losses(batch, "second")["keep"].item()

    assert 0 < moved(1000.0) < 0.5 * moved(0.001)


def test_a_loss_that_explodes_names_step_objective_and_node(tmp_path: Path) -> None:
    spec = {**MODEL, "objectives": {}}
    fast = options(
        optimizer={"kind": "sgd", "lr": 1e20},
        clip_norm=None,
        phases={"supervised": {"epochs": 3}, "self_supervised": {"epochs": 0}},
    )
    learner = make(tmp_path, fast, spec)
    with pytest.raises(NonFiniteLossError) as caught:
        learner.fit()
    text = str(caught.value)
    assert "the loss of objective 'digit' became non-finite at step" in text
    assert (
        "it began in node 'digit'" in text or "it began in node 'encoder'" in text or "it began in node 'norm'" in text
    )
    assert "The checkpoint of step 0 is good." in text
    assert "Lower the learning rate" in text
    assert all(value.isfinite().all() for value in learner.model.parameters())
    assert Checkpoints(tmp_path / "checkpoints").steps() == [0]


def test_without_checkpoints_the_objective_is_named_and_how_to_learn_more(tmp_path: Path) -> None:
    fast = options(
        optimizer={"kind": "sgd", "lr": 1e20},
        clip_norm=None,
        checkpoint=None,
        phases={"self_supervised": {"epochs": 0}},
    )
    learner = make(tmp_path, fast, {**MODEL, "objectives": {}})
    with pytest.raises(NonFiniteLossError, match="With checkpoints on, the node where it began would be named"):
        learner.fit()


# --- errors -----------------------------------------------------------------------------------------------------------


def parts() -> tuple[Any, Any]:
    loaders = jumpml.create_dataloader(DATA)
    return loaders, jumpml.load_model({**MODEL, "objectives": {}}, loaders)


def test_self_supervision_without_an_objective(tmp_path: Path) -> None:
    learner = make(tmp_path, options(phases={}), {**MODEL, "objectives": {}})
    with pytest.raises(
        LearnerError, match=r"^phase 'self_supervised': no objective is active in this phase\. Give an objective `when:"
    ):
        learner.ss_learn()


def test_a_phase_in_which_nothing_trains() -> None:
    loaders, model = parts()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    learner = Learner(loaders, model, optimizer, phases={"supervised": Phase(train=("flat",))})
    with pytest.raises(LearnerError, match=r"^phase 'supervised': nothing trains in this phase: its nodes"):
        learner.train_epoch()


def test_a_phase_that_no_objective_knows() -> None:
    loaders, model = parts()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(LearnerError, match=r"^phase 'third': no objective is active in this phase"):
        Learner(loaders, model, optimizer, phases={"supervised": Phase(), "third": Phase()})


def test_an_optimizer_of_another_model() -> None:
    loaders, model = parts()
    _, other = parts()
    with pytest.raises(LearnerError, match=r"holds \d+ of \d+ parameters that are not the model's"):
        Learner(loaders, model, torch.optim.SGD(other.parameters(), lr=0.1))


def test_an_unknown_phase_of_an_objective(tmp_path: Path) -> None:
    objectives = {"small": {"kind": "l1", "inputs": "encoder", "when": ["supervisd"]}}
    with pytest.raises(
        LearnerError, match=r"^objective 'small': there is no phase 'supervisd'\. Did you mean 'supervised'"
    ):
        make(tmp_path, options(phases={}), {**MODEL, "objectives": objectives})


def test_an_unknown_view(tmp_path: Path) -> None:
    objectives = {"agree": {"kind": "vicreg", "inputs": "encoder", "views": "strng", "when": ["self_supervised"]}}
    with pytest.raises(
        LearnerError, match=r"^objective 'agree': the data has no view 'strng'\. Did you mean 'strong'\?$"
    ):
        make(tmp_path, options(phases={}), {**MODEL, "objectives": objectives})


def test_an_unknown_node_in_a_phase(tmp_path: Path) -> None:
    text = r"phases\.supervised\.train: the pattern 'encodr' names no node\. Did you mean 'encoder'"
    with pytest.raises(SpecError, match=text):
        make(tmp_path, options(phases={"supervised": {"train": "encodr"}}), {**MODEL, "objectives": {}})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"optimizer": {"kind": "adm"}}, r"optimizer\.kind: torch\.optim has no optimizer 'adm'\. Did you mean"),
        ({"optimizer": {"kind": "sgd", "momentm": 0.9}}, r"SGD takes no such argument\. Did you mean 'momentum'\?"),
        ({"optimizer": {"kind": "sgd", "momentum": -1.0}}, r"SGD refuses its arguments: Invalid momentum"),
        ({"device": "cuda:99"}, r"device: this machine has no device 'cuda:99'"),
        (
            {"checkpoint": {"best": {"metric": "val/digit/acuracy"}}},
            r"the validation has no figure 'val/digit/acuracy'\. Did you mean 'val/digit/accuracy'",
        ),
    ],
)
def test_options_that_there_are_not(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    with pytest.raises(SpecError, match=text):
        make(tmp_path, options(**{"phases": {}, **change}), {**MODEL, "objectives": {}})


def test_an_optimizer_in_code_wins_and_the_learner_says_so(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    loaders, model = parts()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    learner = jumpml.create_learner(loaders, model, optimizer, options(phases={}), run=tmp_path)
    assert learner.optimizer is optimizer
    assert "The optimizer given in code (SGD, lr 0.5) is used, not the one of the learner spec." in caplog.text


def test_saving_without_a_place() -> None:
    loaders, model = parts()
    with pytest.raises(LearnerError, match="there is no place for checkpoints"):
        Learner(loaders, model, torch.optim.SGD(model.parameters(), lr=0.1)).save()


def test_consolidating_without_ewc() -> None:
    loaders, model = parts()
    with pytest.raises(LearnerError, match="the model needs an objective that keeps what was learned: of kind ewc"):
        Learner(loaders, model, torch.optim.SGD(model.parameters(), lr=0.1)).consolidate()


def test_epochs_refuses_to_spin() -> None:
    loaders, model = parts()
    learner = Learner(loaders, model, torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(LearnerError, match=r"train_epoch\(\) was not called"):
        list(learner.epochs())


def test_the_schedule_holds_its_last_rate_past_its_epochs() -> None:
    from jumpml.learn import Cosine

    loaders, model = parts()
    phase = Phase(epochs=1, schedule=Cosine(min_lr=0.01))
    learner = Learner(loaders, model, torch.optim.SGD(model.parameters(), lr=0.1), phases={"supervised": phase})
    learner.train_epoch()
    assert learner.train_epoch().lr == learner.train_epoch().lr < 0.03


def test_state_of_parameters_that_begin_to_train_again_is_fresh(tmp_path: Path) -> None:
    saving = Saving(folder=tmp_path)
    loaders, model = parts()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    phases = {"supervised": Phase(epochs=1), "head": Phase(epochs=1, train=("digit",)), "all": Phase(epochs=1)}
    for objective in model.objectives.values():
        objective.when = ("all",)
    learner = Learner(loaders, model, optimizer, phases=phases, saving=saving)
    learner.train_epoch()
    learner._run.phase("head")
    kept = optimizer.state[model.node("digit").weight]["momentum_buffer"]  # type: ignore[union-attr]
    learner._run.enter("all")
    begun = [p for name, p in model.named_parameters() if name.startswith("node_encoder")]
    assert all(p not in optimizer.state for p in begun)
    assert optimizer.state[model.node("digit").weight]["momentum_buffer"] is kept  # type: ignore[union-attr]


def test_steps_by_hand_are_logged_under_their_own_phase(tmp_path: Path) -> None:
    learner = make(tmp_path)
    for phase in ("self_supervised", "supervised", "second"):
        learner._run.enter(phase)
        learner.step(next(learner.remaining()))
    lines = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    assert [(line["phase"], *line["losses"]) for line in lines] == [
        ("self_supervised", "agree", "total"),
        ("supervised", "digit", "total"),
    ]


def test_losses_that_reach_no_trained_parameter() -> None:
    loaders, model = parts()
    learner = Learner(loaders, model, torch.optim.SGD(model.parameters(), lr=0.1))
    batch = next(iter(loaders.train))
    learner.step(batch)
    model.requires_grad_(False)
    with pytest.raises(LearnerError, match=r"nothing to learn: the losses \('digit'\) depend on no parameter"):
        learner.step(batch)


@pytest.mark.parametrize("every", [{"steps": 1}, {"epochs": 5}])
def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path, every: dict[str, int]) -> None:
    loaders = jumpml.create_dataloader(DATA)
    model = jumpml.load_model({**MODEL, "objectives": {}}, loaders)
    # the square root of nothing: a finite value whose gradient is not
    model.node("encoder").register_forward_hook(lambda _, __, output: output + (output - output).sqrt())
    spec = options(phases={"supervised": {"epochs": 3}}, checkpoint={"every": every, "keep": 1}, clip_norm=None)
    learner = jumpml.create_learner(loaders, model, None, spec, run=tmp_path)
    with pytest.raises(NonFiniteLossError, match=r"at step 1 in objective 'digit': its gradient in node 'encoder' is"):
        learner.fit()
    (step,) = Checkpoints(tmp_path / "checkpoints").steps()
    saved = Checkpoints(tmp_path / "checkpoints").load(step)["model"]
    assert all(value.isfinite().all() for value in saved.values())


def test_another_learner_on_the_same_loaders_changes_nothing(
    tmp_path: Path, whole: tuple[dict[str, Tensor], list[Any]]
) -> None:
    learner = make(tmp_path / "first")
    learner.ss_learn()
    learner.train_epoch()
    other = jumpml.load_model({**MODEL, "objectives": {}}, learner.loaders)
    jumpml.create_learner(
        learner.loaders, other, None, options(seed=9, phases={}), run=tmp_path / "other"
    ).train_epoch()
    learner.fit()
    assert differing(whole[0], state_of(learner)) == []


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    make(tmp_path).ss_learn()
    with pytest.raises(
        CheckpointError,
        match=r'another run:\n  learner\.seed: 0 then, 1 now\n  learner\.ema: {"decay": 0\.9} then, null now\n',
    ):
        make(tmp_path, options(seed=1, ema=None))


def test_trying_a_batch_is_for_before_training(tmp_path: Path) -> None:
    learner = make(tmp_path)
    assert set(learner.try_batch("self_supervised")) == {"agree"}
    learner.ss_learn()
    with pytest.raises(LearnerError, match=r"try_batch\(\) is for before training"):
        learner.try_batch("supervised")


def test_consolidation_that_cannot_work_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(
        SpecError, match=r"phases\.supervised\.consolidate: to consolidate, the model needs an objective"
    ):
        make(tmp_path, options(phases={"supervised": {"consolidate": True}}), {**MODEL, "objectives": {}})


def test_a_rate_beside_a_one_cycle_schedule_is_refused(tmp_path: Path) -> None:
    phases = {"supervised": {"lr": 0.1, "schedule": {"kind": "one_cycle", "max_lr": 0.2}}}
    with pytest.raises(SpecError, match=r"phases\.supervised\.lr: a one_cycle schedule sets the learning rate itself"):
        make(tmp_path, options(phases=phases), {**MODEL, "objectives": {}})


@pytest.mark.parametrize("decay", [1.5, 1.0, 0.0, -0.1, float("nan")])
def test_a_decay_that_is_no_share_is_refused(decay: float) -> None:
    loaders, model = parts()
    told = f"ema: expected a decay above 0 and below 1, such as 0.999; got {decay:g}."
    with pytest.raises(LearnerError, match=f"^{re.escape(told)}$"):
        Learner(loaders, model, torch.optim.SGD(model.parameters(), lr=0.1), ema=decay)


def test_the_average_warms_up() -> None:
    from jumpml.learn.hooks._averaging import EMA

    _, model = parts()
    average = EMA(model, 0.999)
    average.update()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    before = next(average.model.parameters()).clone()
    average.update()
    # at the second update the old average counts for (1 + 2) / (10 + 2)
    assert torch.allclose(next(average.model.parameters()), before + 0.75, atol=1e-6)


def test_the_logs_of_a_run_without_checkpoints_stay_and_a_new_start_does_not_append(tmp_path: Path) -> None:
    spec = options(phases={"self_supervised": {"epochs": 0}}, checkpoint=None)
    learner = make(tmp_path, spec, {**MODEL, "objectives": {}})
    learner.train_epoch()
    assert not learner.resume()
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 1
    again = make(tmp_path, spec, {**MODEL, "objectives": {}})
    again.train_epoch()
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 1


def test_rows_served_twice_or_not_at_all_are_recorded_so() -> None:
    recorder = ExampleRecorder({"y": Task(kind="regression", output="out", target="y")})
    for values in ([1.0, 2.0], [3.0]):
        loss = Loss(torch.tensor(values), None)
        recorder.step({"y": loss}, {"out": torch.zeros(len(values), 1)}, {"y": torch.zeros(len(values), 1)})
    recorder.end_epoch(torch.tensor([3, 0, 3]), 4)
    history = recorder.history(torch.arange(4))["y"]
    np.testing.assert_array_equal(history.loss, [[2.0, np.nan, np.nan, 3.0]])
    assert history.predicted.tolist() == [[-1, -1, -1, -1]]


def test_a_run_that_draws_its_rows_otherwise_is_another_run(tmp_path: Path) -> None:
    columns = {"x": Column(torch.rand(20, 2), "tensor"), "y": Column(torch.rand(20, 1), "number")}
    splits = {"train": torch.arange(16), "val": torch.arange(16, 18), "test": torch.arange(18, 20)}

    def learner(order: Order | None) -> Learner:
        loaders = DataLoaders(columns, splits, batch_size=4, order=order)
        net = {"nodes": {"out": {"module": "jumpml.blocks.Head", "inputs": "x"}}}
        task = {"tasks": {"y": {"kind": "regression", "output": "out", "target": "y"}}}
        model = jumpml.load_model({**net, **task}, loaders)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        return Learner(loaders, model, optimizer, saving=Saving(folder=tmp_path))

    learner(None).train_epoch()
    assert learner(None).resume()
    with pytest.raises(CheckpointError, match=r"belongs to another run:\n  how rows are drawn: "):
        learner(Mixture({"all": Weighted(torch.arange(16), torch.arange(16.0))})).resume()
