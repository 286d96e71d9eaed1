"""What a view tells reaches the objectives that ask for it by name, and nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import jumpml
from jumpml.core import ANSWER, HIDDEN, WHOLE, GraphError, Loss, ValueInfo
from jumpml.data import Column, DataLoaders, Hide, Noise, QuarterTurn, Standardize
from jumpml.graph import Model, Node
from jumpml.objectives import ObjectiveModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor


class Fill(ObjectiveModule):
    """The squared error at what was hidden."""

    roles = ("prediction", "hidden", "whole", "answer")
    optional = 1
    draws: int | tuple[int, int] = 1
    known: Sequence[ValueInfo | None] = ()

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        super().connect(values, parameters)
        self.known = values

    def forward(self, prediction: Tensor, hidden: Tensor, whole: Tensor, present: Tensor | None = None) -> Loss:
        hidden = hidden.flatten(1)
        square = (prediction - whole.flatten(1)).square().masked_fill(~hidden, 0.0)
        return Loss(square.sum(1) / hidden.sum(1).clamp(min=1), present)


VIEWS = {
    "masked": {"image": [Hide(0.5, 2)]},
    "other": {"image": [Hide(0.25)]},
    "noisy": {"image": [Noise(0.1)]},
    "turned": {"image": [QuarterTurn()]},
}


def data(*, missing: int = 0) -> DataLoaders:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(48, 1, 6, 6, generator=generator).round()
    present = torch.arange(48) >= missing
    columns = {"image": Column(images.where(present.view(-1, 1, 1, 1), torch.nan), "image")}
    columns["kind"] = Column(torch.arange(48) % 2, "category", classes=("a", "b"))
    rows = torch.arange(48)
    splits = {"train": rows[:32], "val": rows[32:40], "test": rows[40:]}
    features = {"image": [Standardize()]} if missing else {}
    return DataLoaders(columns, splits, views=VIEWS, features=features, batch_size=16)


def model(loaders: DataLoaders | None, view: str | Sequence[str] = "masked", *names: str) -> Model:
    reads = ("out", *(names or ("image.hidden", "image.whole")))
    nodes = {"flat": Node(nn.Flatten(), "image"), "out": Node(nn.LazyLinear(36), "flat")}
    return Model(
        inputs={"image": ValueInfo(shape=(1, 6, 6))},
        nodes=nodes,
        objectives={"fill": Fill(reads, views=view, when="self_supervised")},
        fields=loaders.fields if loaders else {},
        seed=0,
    )


def options(epochs: int) -> dict[str, Any]:
    phases = {"self_supervised": {"epochs": epochs}, "supervised": {"epochs": 0}}
    return {"optimizer": {"kind": "adam", "lr": 0.01}, "phases": phases, "log": []}


@pytest.mark.parametrize("known", [True, False], ids=["built with data", "built without"])
def test_an_objective_learns_from_what_a_view_tells(known: bool, tmp_path: Path) -> None:
    loaders = data()
    net = model(loaders if known else None)
    fill: Any = net.objectives["fill"]
    assert fill.known == [ValueInfo(shape=(36,)), ValueInfo(shape=(1, 6, 6), dtype="bool"), ValueInfo(shape=(1, 6, 6))]
    learner = jumpml.create_learner(loaders, net, None, options(2), run=tmp_path)
    assert net.draws("self_supervised") == ("masked.0",)
    learner.fit()
    batch = next(iter(loaders.train))
    assert set(batch) == {f"image{suffix}@masked.0" for suffix in ("", HIDDEN, WHOLE)}, "nothing that nobody asks for"
    loss = net.losses(batch, "self_supervised")["fill"]
    guess = net({"image": batch["image@masked.0"]}, outputs=["out"])["out"]
    torch.testing.assert_close(loss, fill(guess, batch["image.hidden@masked.0"], batch["image.whole@masked.0"]).value)


def test_rows_without_the_field_do_not_count(tmp_path: Path) -> None:
    loaders = data(missing=5)
    net = model(loaders)
    learner = jumpml.create_learner(loaders, net, None, options(1), run=tmp_path)
    learner.fit()
    rows = [batch["image.present"] for batch in loaders.train]
    assert sum(int((~present).sum()) for present in rows) == 5
    assert all(parameter.isfinite().all() for parameter in net.parameters())


@pytest.mark.parametrize("step", [1, 3])
def test_a_stop_in_the_middle_leaves_no_trace(tmp_path: Path, step: int) -> None:
    whole, first = (
        jumpml.create_learner(loaders, model(loaders), None, options(2), run=tmp_path / name)
        for name, loaders in (("whole", data()), ("run", data()))
    )
    whole.fit()
    original = first.step

    def stop(batch: Any) -> None:
        if first.progress.step == step:
            raise KeyboardInterrupt
        original(batch)

    first.step = stop  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        first.fit()
    loaders = data()
    again = jumpml.create_learner(loaders, model(loaders), None, options(2), run=tmp_path / "run")
    assert again.progress.step == step - 1  # the last checkpoint: at the start, and after the first epoch
    again.fit()
    states = [learner.model.state_dict() for learner in (whole, again)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    loaders = data()  # the seed is what is hidden depends on
    other = jumpml.create_learner(loaders, model(loaders), None, {**options(2), "seed": 1}, run=tmp_path / "other")
    other.fit()
    assert not torch.equal(other.model.state_dict()["node_out.weight"], states[0]["node_out.weight"])


@pytest.mark.parametrize(
    ("view", "names", "text"),
    [
        (
            "noisy",
            ("image.hidden", "image.whole"),
            "the view 'noisy' does not tell 'image.hidden': it has no step `hide` on 'image'. There is: masked, other.",
        ),
        (
            "mask",
            ("image.hidden", "image.whole"),
            "the view 'mask' does not tell 'image.hidden': it has no step `hide` on 'image'. Did you mean 'masked'?",
        ),
        (
            "turned",
            ("image.answer", "image.whole"),
            "the view 'turned' does not tell 'image.whole': it has no step `hide` on 'image'. There is: masked, other.",
        ),
        (
            "masked",
            ("image.hidden", "image.answer"),
            "the view 'masked' does not tell 'image.answer': it has no step `quarter_turn`, `jigsaw` or `order` on "
            "'image'. There is: turned.",
        ),
        (
            "masked",
            ("kind.hidden", "image.whole"),
            "the view 'masked' does not tell 'kind.hidden': it has no step `hide` on 'kind'. No view of the data has "
            "one.",
        ),
        ((), ("image.hidden", "image.whole"), "reads 'image.hidden', which only a view tells. Give it `views`."),
    ],
)
def test_a_view_that_does_not_tell_is_found_before_training(view: str, names: tuple[str, ...], text: str) -> None:
    loaders = data()
    with pytest.raises(GraphError) as caught:
        model(loaders, view, *names)
    assert text in str(caught.value)
    assert str(caught.value).count("image.hidden") + str(caught.value).count("image.whole") < 2, "once is enough"
    late = model(None, view, *names)  # nothing is known of the data yet
    with pytest.raises(GraphError) as caught:
        late.check_fields(loaders.fields)
    assert text in str(caught.value)


def test_nodes_cannot_read_what_a_view_tells() -> None:
    nodes = {"out": Node(nn.Flatten(), "image.whole")}
    with pytest.raises(GraphError, match=r"reads 'image\.whole', but 'image' is a field"):
        Model(inputs={"image": ValueInfo(shape=(1, 6, 6))}, nodes=nodes, fields=data().fields)


def test_how_many_answers_there_are_comes_from_the_view() -> None:
    net = model(data(), "turned", "image.answer", "kind")
    fill: Any = net.objectives["fill"]
    assert fill.inputs[1] == "image" + ANSWER
    assert (fill.known[1], fill.known[1].classes) == (ValueInfo(shape=(), dtype="int64"), 4)
