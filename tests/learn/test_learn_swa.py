"""SWA: the mean of the last epochs' weights, normalisation computed anew, its own rate, exact on resume."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from iris_files import batch_norm, iris_data, iris_model, mlp
from torch import Tensor, nn
from torch.optim import SGD

import jumpml
from jumpml.core import LearnerError, LearnerSpec, SpecError
from jumpml.graph import Deepen
from jumpml.learn import SWA, Constant, Cosine, Hook, Learner, Linear, Phase, has_average, is_average, with_swa
from jumpml.learn.schedules._rates import pieces_of

if TYPE_CHECKING:
    from pathlib import Path

    from jumpml.core import EpochRecord

DATA = iris_data()
NET = iris_model({"encoder": mlp(8, 6, dropout=0.1), "norm": batch_norm("encoder", 6)})


class Weights(Hook):
    """The weights at the end of each epoch."""

    name = "weights"

    def __init__(self) -> None:
        self.seen: list[dict[str, Tensor]] = []

    def attach(self, learner: Learner) -> None:
        self.learner = learner

    def closed(self, record: EpochRecord) -> None:
        self.seen.append({name: p.detach().clone() for name, p in self.learner.model.named_parameters()})


def learner_of(folder: Path, hooks: Any = (), **options: Any) -> Learner:
    loaders = jumpml.create_dataloader(DATA)
    said = {"optimizer": {"lr": 0.01}, "phases": {"supervised": {"epochs": 8}}, "log": [], **options}
    return jumpml.create_learner(loaders, jumpml.load_model(NET, loaders), None, said, run=folder, hooks=hooks)


def test_the_average_is_the_mean_of_the_last_epochs_weights(tmp_path: Path) -> None:
    weights = Weights()
    learner = learner_of(tmp_path, [weights], swa={"start": 0.75}, checkpoint={"best": {"metric": "val/loss"}})
    none_yet = learner.ema_model
    assert none_yet is None
    assert not has_average(learner.model)
    learner.fit()
    averaged = learner.ema_model
    assert averaged is not None
    assert is_average(averaged)
    assert has_average(learner.model)
    assert not averaged.training
    for name, value in averaged.named_parameters():
        expected = torch.stack([weights.seen[epoch][name] for epoch in (6, 7)]).mean(0)
        torch.testing.assert_close(value, expected)
    figures = [record.val["loss"] for record in learner.history.epochs]
    raw = jumpml.eval_model(learner.loaders, learner.model, ["log_loss"], "val")["species/log_loss"].value
    mean = jumpml.eval_model(learner.loaders, averaged, ["log_loss"], "val")["species/log_loss"].value
    assert figures[-1] == pytest.approx(mean, abs=1e-5)  # validation measures the average
    assert abs(mean - raw) > 1e-5


def test_batch_normalization_is_computed_anew_on_the_train_rows(tmp_path: Path) -> None:
    learner = learner_of(tmp_path, swa={"start": 0.5}, checkpoint=None)
    learner.fit()
    averaged = learner.ema_model
    assert averaged is not None
    batches = [*learner.loaders.train.plain()]
    with torch.no_grad():
        given = [averaged(batch, outputs=["encoder"])["encoder"] for batch in batches]
    norm = averaged.node("norm")
    assert isinstance(norm, nn.BatchNorm1d) and norm.running_mean is not None
    torch.testing.assert_close(norm.running_mean, torch.stack([x.mean(0) for x in given]).mean(0))
    assert norm.momentum == 0.1
    raw = learner.model.node("norm")
    assert isinstance(raw, nn.BatchNorm1d) and raw.running_mean is not None
    assert not torch.allclose(raw.running_mean, norm.running_mean)


def test_normalization_of_frozen_nodes_stays(tmp_path: Path) -> None:
    phases = {"supervised": {"epochs": 4, "freeze": ["norm"]}}
    learner = learner_of(tmp_path, swa={"start": 0.5}, checkpoint=None, phases=phases)
    learner.fit()
    averaged = learner.ema_model
    assert averaged is not None
    assert torch.equal(averaged.node("norm").running_mean, torch.zeros(6))  # type: ignore[arg-type]


def test_its_rate_is_reached_from_where_the_schedule_has_come_to(tmp_path: Path) -> None:
    options = {"schedule": {"kind": "cosine", "min_lr": 0.002}, "swa": {"start": 0.5, "lr": 0.004, "anneal": 2}}
    learner = learner_of(tmp_path, checkpoint=None, **options)
    rates = []
    for _ in learner.epochs():
        learner.train_epoch()
        rates.append(learner.optimizer.param_groups[0]["lr"])
    assert rates[3] == pytest.approx(0.002 + 0.002 / 14, rel=1e-3)  # the first step of the way is already set
    assert rates[5:] == pytest.approx([0.004] * 3)
    assert 0.003 < rates[4] < 0.0032  # half of the way


def test_the_schedule_up_to_the_averaging_is_as_long_as_that() -> None:
    chain = with_swa((Linear(epochs=2), Cosine()), 10, start=0.6, lr=0.1, anneal=1.5)
    pieces = [(type(piece.schedule).__name__, piece.start, piece.count) for piece in pieces_of(chain, 100, 10)]
    assert pieces == [("Linear", 0, 20), ("Cosine", 20, 40), ("Settle", 60, 15), ("Constant", 75, 25)]
    assert with_swa(None, 4, start=0.0, lr=0.1, anneal=0) == (Constant(lr=0.1),)


@pytest.mark.parametrize("withheld", [False, True])
@pytest.mark.parametrize("at", [17, 44, 50])
def test_a_stopped_run_goes_on_exactly(at: int, withheld: bool, tmp_path: Path) -> None:
    options = {
        "swa": {"start": 0.5, "lr": 0.004},
        "schedule": {"kind": "cosine"},
        "checkpoint": {"every": {"steps": 1}, "keep": 99, "best": {"metric": "val/loss"}},
    }

    def torn() -> Learner:
        learner = learner_of(tmp_path / "torn", **options)
        original = learner.step

        def step_or_die(*batches: Any) -> None:
            if learner.progress.step == at:
                raise KeyboardInterrupt
            original(*batches)

        learner.step = step_or_die  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            learner.fit()
        return learner_of(tmp_path / "torn", **options)

    whole, again = learner_of(tmp_path / "whole", **options), torn()
    whole.fit()
    if withheld:
        (swa,) = (hook for hook in again._loop.hooks if isinstance(hook, SWA))
        swa.load_state_dict({**swa.state_dict(), "count": 0})
    again.fit()
    assert whole.ema_model is not None and again.ema_model is not None
    mine, other = whole.ema_model.state_dict(), again.ema_model.state_dict()
    begun = at >= 4 * 7  # before the fifth epoch has begun there is nothing to withhold
    assert all(torch.equal(value, other[name]) for name, value in mine.items()) is not (withheld and begun)


def test_a_loop_of_ones_own() -> None:
    loaders = jumpml.create_dataloader(DATA)
    model = jumpml.load_model(NET, loaders)
    swa, optimizer, seen = SWA(), SGD(model.parameters(), lr=0.1), []
    swa.begin(model)
    assert swa.model is None
    for _ in range(3):
        for batch in loaders.train:
            optimizer.zero_grad()
            model.losses(batch)["species"].mean().backward()
            optimizer.step()
        swa.take()
        seen.append(copy.deepcopy(model.state_dict()))
    swa.renew(loaders.train.plain())
    assert swa.model is not None
    weight = dict(swa.model.named_parameters())["node_out.weight"]
    torch.testing.assert_close(weight, torch.stack([state["node_out.weight"] for state in seen]).mean(0))


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"swa": {}, "ema": {}}, r"swa: `ema` averages the weights already\. Leave one of the two out"),
        ({"swa": {"phase": "superised"}}, r"swa\.phase: there is no phase 'superised'\. Did you mean 'supervised'"),
        ({"swa": {"start": 1.0}}, r"swa\.start: expected a number below 1, got 1"),
        ({"swa": {"anneal": 2}}, r"swa\.anneal: there is no rate to go to\. Set lr beside it, or leave it out"),
    ],
)
def test_what_a_file_says_wrongly(said: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=text):
        learner_of(tmp_path, **said)


def test_a_file_that_holds_every_key_says_nothing_wrongly(tmp_path: Path) -> None:
    resolved = LearnerSpec.model_validate({"swa": {}}).model_dump(mode="json")
    assert resolved["swa"]["anneal"] == 1.0  # so are the files of a run's folder, which `jumpml resume` reads
    learner_of(tmp_path, swa=resolved["swa"])


def test_what_a_program_says_wrongly() -> None:
    with pytest.raises(LearnerError, match="swa: expected start from 0 to below 1, got 1"):
        SWA(start=1.0)
    loaders = jumpml.create_dataloader(DATA)
    model = jumpml.load_model(NET, loaders)
    optimizer = SGD(model.parameters(), lr=0.1)
    with pytest.raises(LearnerError, match=r"swa\.phase: there is no phase 'second'"):
        Learner(loaders, model, optimizer, hooks=[SWA(phase="second")])
    with pytest.raises(LearnerError, match="ema and swa: a learner keeps one average"):
        Learner(loaders, model, optimizer, ema=0.9, hooks=[SWA()])


def test_a_model_that_grows_while_it_is_averaged_is_refused() -> None:
    loaders = jumpml.create_dataloader(DATA)
    model = jumpml.load_model(NET, loaders)
    phases = {"supervised": Phase(epochs=2)}
    learner = Learner(loaders, model, SGD(model.parameters(), lr=0.1), phases=phases, hooks=[SWA(start=0.0)])
    learner.train_epoch()
    with pytest.raises(LearnerError, match="swa: the model grew while its weights were averaged"):
        learner.grow(Deepen("out"))
    assert learner.model.lineage == ()
    learner.train_epoch()  # nothing is half done
