"""Figures of embeddings while a model learns: what they are, what reads them, and that they change no bit of it."""

from __future__ import annotations

import copy
import logging
import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F
from iris_files import iris_data, iris_model, mlp
from torch import nn

import jumpml
from jumpml.core import LearnerError, Loss, SpecError
from jumpml.data import Column, DataLoaders, Noise, random_split
from jumpml.evaluate import alignment, embed, knn, linear_probe, rank_me, spread, uniformity
from jumpml.graph import Model, Node
from jumpml.learn import EmbeddingProbe, Embeddings, Learner, Phase, Saving
from jumpml.learn.hooks._collapse import Watched, watch
from jumpml.objectives import CrossEntropy, ObjectiveModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from jumpml.core import ValueInfo

DATA = iris_data(views={"noisy": {"x": [{"noise": {"std": 0.3}}]}, "other": {"x": [{"noise": {"std": 0.1}}]}})
NET = iris_model(
    {"encoder": mlp(8, 6, dropout=0.2)},
    objectives={
        "agree": {
            "kind": "vicreg",
            "inputs": "encoder",
            "views": "noisy",
            "projector": [8],
            "when": ["self_supervised"],
        }
    },
)
LEARN: dict[str, Any] = {
    "optimizer": {"lr": 0.01},
    "phases": {"self_supervised": {"epochs": 3}, "supervised": {"epochs": 2}},
    "log": [],
}
PROBE = {"node": "encoder", "label": "species"}
ALL = ["linear_probe", "knn", "rank_me", "spread", "alignment", "uniformity"]


def learner_of(folder: Path, embeddings: Sequence[Any] = (PROBE,), **options: Any) -> Learner:
    loaders = jumpml.create_dataloader(DATA)
    said = {**LEARN, "embeddings": [*embeddings], **options}
    return jumpml.create_learner(loaders, jumpml.load_model(NET, loaders), None, said, run=folder)


def test_every_figure_stands_in_the_record_of_every_phase(tmp_path: Path) -> None:
    learner = learner_of(tmp_path)
    learner.fit()
    for record in learner.history.epochs:
        assert list(record.val) == [f"embedding/encoder/{name}" for name in ALL]
        assert all(map(math.isfinite, record.val.values()))
    assert "val/embedding/encoder/knn" in learner.history.table()[0]


def test_the_last_record_has_the_figures_of_the_model_as_it_then_is(tmp_path: Path) -> None:
    learner = learner_of(tmp_path)
    learner.fit()
    model, loaders = learner.model.eval(), learner.loaders
    parts = [(next(iter(_whole(loader))), loader) for loader in (loaders.train, loaders.val)]
    (train, labels), (rows, truths) = ((embed(model, "encoder", batch), batch["species"]) for batch, _ in parts)
    loaders.train.serve(["x"], ["noisy.0", "noisy.1"])
    loaders.train.load_state_dict({"epoch": 0, "batch": 0})
    draws = [[], []]
    for batch in loaders.train:
        for draw, part in enumerate(draws):
            part.append(embed(model, "encoder", {"x": batch[f"x@noisy.{draw}"]}))
    expected = {
        "linear_probe": linear_probe(train, labels, rows, truths),
        "knn": knn(train, labels, rows, truths),
        "rank_me": rank_me(rows),
        "spread": spread(rows),
        "alignment": alignment(*map(torch.cat, draws)),
        "uniformity": uniformity(rows),
    }
    found = {name.rpartition("/")[2]: value for name, value in learner.history.epochs[-1].val.items()}
    assert found == pytest.approx(expected, abs=1e-5)
    assert list(found) == ALL


def _whole(loader: Any) -> Any:
    return loader.resized(1000).plain()


def bits(learner: Learner) -> list[Tensor]:
    state = [*learner.model.state_dict().values(), torch.get_rng_state()]
    return [*state, torch.tensor(learner.history.epochs[-1].losses["total"])]


def test_learning_has_the_same_bits_with_it_and_without(tmp_path: Path) -> None:
    """Dropout and noisy views draw at every step: a draw of the hook's would show."""
    torch.manual_seed(3)
    plain, watched = (learner_of(tmp_path / str(n), probes) for n, probes in enumerate([(), (PROBE,)]))
    for learner in (plain, watched):
        learner.fit()
    assert not plain.history.epochs[0].val and watched.history.epochs[0].val
    for one, other in zip(bits(plain), bits(watched), strict=True):
        assert torch.equal(one, other)
    assert plain.model.training == watched.model.training


class Drawing(Embeddings):  # type: ignore[misc]
    """What would be wrong."""

    def validated(self, phase: str, epoch: int) -> dict[str, float]:
        torch.rand(1)
        return super().validated(phase, epoch)


def test_a_hook_that_draws_would_change_them(tmp_path: Path) -> None:
    learners = []
    for number, kind in enumerate((Embeddings, Drawing)):
        loaders = jumpml.create_dataloader(DATA)
        hooks = [kind([EmbeddingProbe(node="encoder", label="species")])]
        said = {**LEARN, "checkpoint": None}
        model = jumpml.load_model(NET, loaders)
        learners.append(jumpml.create_learner(loaders, model, None, said, run=tmp_path / str(number), hooks=hooks))
        learners[-1].fit()
    name, _ = next(learners[0].model.node("encoder").named_parameters())
    assert not torch.equal(*(learner.model.node("encoder").get_parameter(name) for learner in learners))


def test_it_is_measured_after_so_many_epochs_and_after_the_last(tmp_path: Path) -> None:
    learner = learner_of(tmp_path, [{**PROBE, "every": 2, "figures": ["knn"]}])
    learner.fit()
    measured = [(record.phase, record.epoch) for record in learner.history.epochs if record.val]
    assert measured == [("self_supervised", 2), ("self_supervised", 3), ("supervised", 2)]
    assert list(learner.history.epochs[1].val) == ["embedding/encoder/knn"]


def test_the_best_checkpoint_is_chosen_by_one_while_no_task_is_learned(tmp_path: Path) -> None:
    best = {"every": {"epochs": 1}, "keep": 1, "best": {"metric": "val/embedding/encoder/rank_me"}}
    learner = learner_of(tmp_path, [PROBE], phases={"self_supervised": {"epochs": 6}}, checkpoint=best)
    learner.ss_learn()
    figures = [record.val["embedding/encoder/rank_me"] for record in learner.history.epochs]
    place = max(range(6), key=figures.__getitem__)
    assert learner.progress.best == (figures[place], learner.history.epochs[place].step)
    learner.restore_best()
    rows = embed(learner.model.eval(), "encoder", next(iter(_whole(learner.loaders.val))))
    assert rank_me(rows) == pytest.approx(figures[place], rel=1e-5)


def test_a_task_figure_beside_them_chooses_it_in_the_phase_that_has_one(tmp_path: Path) -> None:
    best = {"best": {"metric": "val/species/accuracy"}}
    learner = learner_of(tmp_path, checkpoint=best)
    learner.ss_learn()
    assert learner.progress.best is None
    learner.fit()
    assert learner.progress.best is not None
    assert {"species/accuracy", "loss", "embedding/encoder/knn"} <= {*learner.history.epochs[-1].val}


def test_a_phase_ends_and_a_rate_is_cut_by_one(tmp_path: Path) -> None:
    stop = {"metric": "val/embedding/encoder/knn", "patience": 1, "min_delta": 2.0}
    learner = learner_of(tmp_path / "stop", early_stop=stop, phases={"self_supervised": {"epochs": 9}})
    learner.ss_learn()
    assert len(learner.history.epochs) == 3
    assert learner.history.epochs[-1].notes[0].startswith("early stop: val/embedding/encoder/knn has not been better")
    cut = {"kind": "plateau", "metric": "val/embedding/encoder/uniformity", "patience": 0, "min_delta": 9.0}
    learner = learner_of(tmp_path / "cut", phases={"self_supervised": {"epochs": 3, "schedule": cut}})
    learner.ss_learn()
    rates = [record.lr for record in learner.history.epochs]
    assert rates[0] == rates[1] > rates[2]  # the second epoch's figure was not better by 9


def test_the_averaged_model_is_measured_where_there_is_one(tmp_path: Path) -> None:
    learner = learner_of(tmp_path, ema={"decay": 0.5})
    learner.fit()
    average = learner.ema_model
    assert average is not None
    batch = next(iter(_whole(learner.loaders.val)))
    figure = learner.history.epochs[-1].val["embedding/encoder/spread"]
    assert figure == pytest.approx(spread(embed(average.eval(), "encoder", batch)), rel=1e-5)
    assert figure != pytest.approx(spread(embed(learner.model.eval(), "encoder", batch)), rel=1e-5)


# --- in Python --------------------------------------------------------------------------------------------------------


class Attract(ObjectiveModule):
    """Two views shall point one way, and nothing holds rows apart."""

    roles = ("embedding",)
    per_example = False
    if_collapsed = "give it something that holds rows apart"

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        super().connect(values, parameters)

    def forward(self, first: Tensor, second: Tensor, present: Tensor | None = None) -> Loss:
        return Loss(-F.cosine_similarity(first, second).mean())


def collapsing(folder: Path | None = None, *, epochs: int = 10, told: bool = True, fixed: bool = False) -> Learner:
    generator = torch.Generator().manual_seed(0)
    columns = {
        "x": Column(torch.randn(96, 8, generator=generator), "tensor"),
        "y": Column(torch.arange(96) % 3, "category", ("a", "b", "c")),
    }
    loaders = DataLoaders(columns, random_split(96), views={"noisy": {"x": [Noise(0.5)]}}, batch_size=16)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 16))
    model = Model(
        inputs={"x": loaders.info("x")},
        nodes={"encoder": Node(net, "x")},
        objectives={"attract": Attract("encoder", views="noisy", when="self_supervised")},
        fields=loaders.fields,
    )
    return Learner(
        loaders,
        model,
        torch.optim.Adam(net.parameters(), lr=0.0 if fixed else 0.02),
        phases={"self_supervised": Phase(epochs=epochs)},
        saving=None if folder is None else Saving(folder=folder, epochs=1),
        hooks=[(Embeddings if told else Forgetful)([EmbeddingProbe(node="encoder", label="y")])],
    )


class Forgetful(Embeddings):  # type: ignore[misc]
    """The negative control: its state is withheld."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        pass


def test_collapse_is_told_once_with_what_to_change(caplog: pytest.LogCaptureFixture) -> None:
    learner = collapsing()
    with caplog.at_level(logging.WARNING, "jumpml"):
        learner.ss_learn()
    notes = [note for record in learner.history.epochs for note in record.notes]
    assert len(notes) == 1
    assert notes[0].startswith("collapse: the embeddings of 'encoder' are nearly one and the same for all rows: their ")
    assert notes[0].endswith("To change: under 'attract', give it something that holds rows apart.")
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning.startswith("Phase 'self_supervised', epoch ")
    assert notes[0] in warning
    figures = [record.val["embedding/encoder/spread"] for record in learner.history.epochs]
    assert figures[-1] < 0.05 < figures[0]


def test_what_does_not_collapse_is_not_told() -> None:
    learner = collapsing(fixed=True)
    learner.ss_learn()
    assert not any(record.notes for record in learner.history.epochs)


@pytest.mark.parametrize(("spreads", "told"), [((0.01, 0.02, 0.03), 3), ((0.01, 0.02, 0.015, 0.01), 3), ((0.01,), 1)])
def test_what_is_low_and_rises_is_not_told_before_the_phase_is_over(
    spreads: Sequence[float], told: int, caplog: pytest.LogCaptureFixture
) -> None:
    learner = collapsing()
    hook: Any = next(hook for hook in learner._loop.hooks if hook.name == "embeddings")
    for place, spread_then in enumerate(spreads, start=1):
        hook._tell(Watched("it", spread_then, "it is low"), f"epoch {place}", last=place == len(spreads))
    assert [record.getMessage() for record in caplog.records] == [f"epoch {told}: it is low"]


@pytest.mark.parametrize("told", [True, False])
def test_what_was_told_is_not_told_again_after_a_resume(tmp_path: Path, told: bool) -> None:
    whole = collapsing()
    whole.ss_learn()
    first = next(place for place, record in enumerate(whole.history.epochs) if record.notes)
    stopped = collapsing(tmp_path, told=told)
    with stopped._run.at_work():  # up to the end of the epoch that tells of it, as a killed run would
        for _ in range(first + 1):
            stopped._run.epoch("self_supervised")
    stopped._run.states.settle()
    going_on = collapsing(tmp_path, told=told)
    assert going_on.resume()
    going_on.ss_learn()
    notes = [record.notes for record in going_on.history.epochs]
    figures = [record.val for record in going_on.history.epochs]
    assert (notes == [record.notes for record in whole.history.epochs]) is told
    assert figures == [record.val for record in whole.history.epochs]


def test_a_line_is_told_of_projections_and_of_embeddings_that_no_task_reads() -> None:
    learner = collapsing()
    rows = torch.outer(torch.linspace(-1, 1, 30).sign(), torch.arange(16.0) + 1)
    (watched,) = watch("encoder", rows, learner.model, "self_supervised")
    assert "are nearly on one line, whatever their width. To change: under 'attract', " in watched.problem
    assert [*watch("encoder", rows, learner.model, "supervised")] == []  # no view is drawn there


def test_projections_are_watched_beside_what_they_are_made_of(tmp_path: Path) -> None:
    learner = learner_of(tmp_path)
    rows = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    names = [watched.name for watched in watch("encoder", rows, learner.model, "self_supervised")]
    assert names == ["the embeddings of 'encoder'", "the projections of 'agree'"]
    with torch.no_grad():
        objective = learner.model.objectives["agree"]
        assert isinstance(objective, nn.Module)
        objective.get_parameter("projector.0.weight").zero_()[0] = 1.0
    told = [w.problem for w in watch("encoder", rows, learner.model, "self_supervised")]
    assert told[0] == ""
    assert told[1].startswith("collapse: the projections of 'agree' are nearly on one line")
    assert told[1].endswith("To change: under 'agree', raise `variance`, which holds the rows apart, or make the views "
                            "differ more.")  # fmt: skip


def labelled(known: Tensor, *, val: int = 60, **probe: Any) -> Learner:
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(400) % 2
    x = torch.randn(400, 4, generator=generator) + 3 * y[:, None]
    columns = {"x": Column(x, "tensor"), "y": Column(torch.where(known, y, -1), "category", ("no", "yes"))}
    order = torch.randperm(400, generator=generator)
    rows = {"train": order[:280], "val": order[280 : 280 + val], "test": order[340:]}
    loaders = DataLoaders(columns, rows, batch_size=16)
    model = Model(
        inputs={"x": loaders.info("x")},
        nodes={"encoder": Node(nn.Linear(4, 4), "x"), "out": Node(nn.Linear(4, 2), "encoder")},
        objectives={"ce": CrossEntropy(("out", "y"))},
        fields=loaders.fields,
    )
    hook = Embeddings([EmbeddingProbe(node="encoder", label="y", **probe)])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    return Learner(loaders, model, optimizer, phases={"supervised": Phase(epochs=1)}, hooks=[hook])


def test_rows_without_a_label_are_left_out_of_what_needs_one() -> None:
    known = torch.arange(400) % 5 == 0
    learner = labelled(known)
    val = learner.train_epoch().val
    assert val["embedding/encoder/knn"] >= 0.8
    assert "embedding/encoder/alignment" not in val  # no view is drawn
    nobody = labelled(torch.zeros(400, dtype=torch.bool)).train_epoch().val
    assert math.isnan(nobody["embedding/encoder/knn"]) and math.isnan(nobody["embedding/encoder/linear_probe"])
    assert math.isfinite(nobody["embedding/encoder/rank_me"])


def test_so_many_rows_are_measured_at_most() -> None:
    few = labelled(torch.ones(400, dtype=torch.bool), rows=3).train_epoch().val
    assert few["embedding/encoder/rank_me"] <= 3.01


def test_a_single_validation_row_gives_no_figure() -> None:
    found = labelled(torch.ones(400, dtype=torch.bool), val=1).train_epoch().val
    assert len(found) == 5 and all(map(math.isnan, found.values()))


def test_what_is_not_finite_gives_no_figure() -> None:
    learner = labelled(torch.ones(400, dtype=torch.bool))
    hook = next(hook for hook in learner._loop.hooks if hook.name == "embeddings")
    with torch.no_grad():
        learner.model.node("encoder").get_parameter("weight").fill_(math.nan)
    assert all(map(math.isnan, hook.validated("supervised", 1).values()))


def test_the_loader_stands_where_it_stood(tmp_path: Path) -> None:
    learner = learner_of(tmp_path)
    learner.ss_learn()
    before = copy.copy(vars(learner.loaders.train))
    hook = next(hook for hook in learner._loop.hooks if hook.name == "embeddings")
    hook.validated("self_supervised", 3)
    assert vars(learner.loaders.train) == before


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probe", "text"),
    [
        ({"node": "encoda"}, r"embeddings\[0\].node: there is no node 'encoda'. Did you mean 'encoder'\?"),
        ({"node": "x"}, "there is no node 'x'"),
        ({**PROBE, "label": "spezies"}, r"there is no field 'spezies'. Did you mean 'species'\?"),
        (
            {**PROBE, "label": "x"},
            "the field 'x' is of kind tensor. Name a category: what is measured is a class a row.",
        ),
        ({**PROBE, "view": "noise"}, r"the data has no view 'noise'. Did you mean 'noisy'\?"),
        ({"node": "encoder", "figures": ["knn"]}, "knn needs a label. Name a category field under `label`."),
        (
            {**PROBE, "figures": ["rank"]},
            r"expected one of linear_probe, knn, .*, got 'rank'. Did you mean 'rank_me'",
        ),
        ({**PROBE, "every": 0}, "every: expected a number of at least 1, got 0"),
        ({**PROBE, "rows": 1}, "rows: expected a number of at least 2, got 1"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_its_line(tmp_path: Path, probe: dict[str, Any], text: str) -> None:
    with pytest.raises((SpecError, LearnerError), match=text):
        learner_of(tmp_path, [probe])


def test_a_node_stands_once(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="the node 'encoder' is named twice"):
        learner_of(tmp_path, [PROBE, {"node": "encoder", "every": 2}])
    with pytest.raises(LearnerError, match="the node 'encoder' is named twice"):
        Embeddings([EmbeddingProbe(node="encoder"), EmbeddingProbe(node="encoder", every=2)])


def test_alignment_needs_a_view_and_one_that_the_node_reads(tmp_path: Path) -> None:
    net = {**NET, "objectives": {}}
    data = copy.deepcopy(DATA)
    data["datasets"]["iris"]["fields"]["copied"] = {"kind": "tensor", "column": "data", "shape": [4]}
    data["views"]["elsewhere"] = {"copied": [{"noise": {"std": 0.1}}]}
    loaders = jumpml.create_dataloader(data)
    texts = {
        "alignment needs a view, and no objective on the node draws one. Name one of the data file's under `view`.": {
            "node": "encoder", "figures": ["alignment"],
        },
        "the view 'elsewhere' changes nothing that the node 'encoder' reads; it changes copied.": {
            "node": "encoder", "view": "elsewhere",
        },
    }  # fmt: skip
    for text, probe in texts.items():
        said = {**LEARN, "phases": {}, "embeddings": [probe]}
        with pytest.raises(SpecError, match=text):
            jumpml.create_learner(loaders, jumpml.load_model(net, loaders), None, said, run=tmp_path)


def test_a_figure_that_nobody_measures_is_refused(tmp_path: Path) -> None:
    best = {"best": {"metric": "val/embedding/encoder/kmn"}}
    with pytest.raises(SpecError, match=r"no figure 'val/embedding/encoder/kmn'. Did you mean 'val/embedding/encod"):
        learner_of(tmp_path, checkpoint=best)
    plateau = {"kind": "plateau", "metric": "val/embedding/encoder/knn"}
    with pytest.raises(SpecError, match="no task is learned in phase 'self_supervised', and so nothing is measured"):
        learner_of(tmp_path, [], phases={"self_supervised": {"epochs": 1, "schedule": plateau}})


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"every": 0}, "embeddings of 'encoder': expected every 1 or more and rows 2 or more, got 0 and 2000"),
        ({"figures": ("kn",)}, r"embeddings of 'encoder': there is no figure 'kn'. Did you mean 'knn'\?"),
    ],
)
def test_a_probe_in_python_is_checked_too(options: dict[str, Any], text: str) -> None:
    with pytest.raises(LearnerError, match=text):
        EmbeddingProbe(node="encoder", **options)
