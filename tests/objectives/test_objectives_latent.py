"""Latent vectors of what was hidden, foretold: values by hand, what reads what, and the texts of what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import jumpml
from jumpml.core import FieldInfo, GraphError, LearnerError, ObjectiveError, SpecError, ValueInfo
from jumpml.data import Column, DataLoaders, Hide, random_split
from jumpml.graph import Model, Node
from jumpml.learn import Learner, Phase
from jumpml.objectives import JEPA, LatentPrediction, reduce

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from jumpml.objectives.self_supervised._latents import Latents

SHAPES = {"x": (6, 2), "image": (1, 8, 8), "row": (5,)}


class Patches(nn.Module):
    """A picture as a vector for each square of four pixels by four, or as a map of them."""

    def __init__(self, *, tokens: bool) -> None:
        super().__init__()
        self.layer, self.tokens = nn.Conv2d(1, 3, 4, 4), tokens

    def forward(self, image: Tensor) -> Tensor:
        return self.layer(image).flatten(2).transpose(1, 2) if self.tokens else self.layer(image)


def model(objective: Latents, module: nn.Module | None = None, field: str = "x") -> Model:
    value = ValueInfo(shape=SHAPES[field])
    nodes = {"code": Node(module or nn.Linear(SHAPES[field][-1], 4), field)}
    return Model(inputs={field: value}, nodes=nodes, objectives={"o": objective}, seed=0)


def batch(field: str, hidden: Callable[[Tensor], Tensor], rows: int = 3) -> dict[str, Tensor]:
    """A draw that hides what `hidden` says of the place of each element, with zeros in its place."""
    whole = torch.randn(rows, *SHAPES[field], generator=torch.Generator().manual_seed(0))
    size = SHAPES[field]
    place = torch.arange(whole[0].numel()).view(size).expand_as(whole)
    hid = hidden(place)
    return {f"{field}@v.0": whole.masked_fill(hid, 0.0), f"{field}.hidden@v.0": hid, f"{field}.whole@v.0": whole}


def first_steps(place: Tensor) -> Tensor:
    """Of six steps of two channels, the first two."""
    return place < 4


def loss(made: Model, given: dict[str, Tensor]) -> Any:
    return made.plan_losses("supervised", given)(given)[0]["o"]


def test_hidden_positions_become_what_the_momentum_encoder_gives_of_the_whole() -> None:
    objective = LatentPrediction(("code", "x"), views="v")
    made = model(objective)
    objective.begin()
    with torch.no_grad():
        made.node("code").get_parameter("weight").mul_(-1.0)  # the model has moved, the copy has not
    given = batch("x", first_steps)
    node, slow = made.node("code"), cast("Any", objective.encoder)
    target = F.layer_norm(slow({"x": given["x.whole@v.0"]})["code"], (4,))
    foretold = objective.predictor(node(given["x@v.0"]))
    expected = (foretold - target).square().mean(2)[:, :2].mean(1)
    value, present = loss(made, given)
    torch.testing.assert_close(value, expected)
    assert present.all()
    value.sum().backward()
    assert node.get_parameter("weight").grad is not None


def test_smooth_l1_is_a_line_beyond_beta() -> None:
    objective = LatentPrediction(("code", "x"), views="v", beta=0.25)
    made = model(objective)
    given = batch("x", first_steps)
    target = F.layer_norm(objective.slow([given["x.whole@v.0"]]), (4,))
    foretold = objective.predictor(made.node("code")(given["x@v.0"]))
    difference = (foretold - target).abs()
    expected = torch.where(difference < 0.25, difference.square() / 0.5, difference - 0.125).mean(2)[:, :2].mean(1)
    torch.testing.assert_close(loss(made, given).value, expected)


def test_a_row_of_which_nothing_was_hidden_does_not_count() -> None:
    for objective in (LatentPrediction(("code", "x"), views="v"), JEPA(("code", "x"), views="v")):
        made = model(objective)
        given = batch("x", first_steps)
        given["x.hidden@v.0"] = given["x.hidden@v.0"] & torch.tensor([True, False, True])[:, None, None]
        found = loss(made, given)
        assert found.present.tolist() == [True, False, True]
        told = objective.counted(None, given["x.hidden@v.0"], None)
        assert told is not None
        assert told.equal(found.present)
        assert bool(reduce(found).isfinite())


@pytest.mark.parametrize("tokens", [True, False])
def test_positions_of_a_picture_are_its_squares_line_by_line(tokens: bool) -> None:
    """The second of four squares is hidden, but for a corner of it: positions of which a part is hidden count."""
    objective = LatentPrediction(("code", "image"), views="v")
    made = model(objective, Patches(tokens=tokens), "image")

    def second(place: Tensor) -> Tensor:
        return (place // 8 < 4) & (place % 8 >= 4) & (place != 4)

    given = batch("image", second)
    asked = objective.hidden_positions(given["image.hidden@v.0"])
    assert asked.tolist() == [[False, True, False, False]] * 3
    code = made.node("code")(given["image@v.0"])
    code = code if tokens else code.flatten(2).transpose(1, 2)
    slow = objective.slow([given["image.whole@v.0"]])
    slow = slow if tokens else slow.flatten(2).transpose(1, 2)
    expected = (objective.predictor(code) - F.layer_norm(slow, (3,))).square().mean(2)[:, 1]
    torch.testing.assert_close(loss(made, given).value, expected)


def test_one_vector_a_row_is_foretold_as_a_whole() -> None:
    objective = LatentPrediction(("code", "row"), views="v", predictor=(7,))
    made = model(objective, field="row")
    given = batch("row", lambda place: place == 0)
    assert [type(layer) for layer in objective.predictor] == [nn.Linear, nn.GELU, nn.Linear]
    target = F.layer_norm(objective.slow([given["row.whole@v.0"]]), (4,))
    expected = (objective.predictor(made.node("code")(given["row@v.0"])) - target).square().mean(1)
    torch.testing.assert_close(loss(made, given).value, expected)


def jepa(**options: Any) -> JEPA:
    return JEPA(("code", "x"), views="v", width=8, depth=2, heads=2, **options)


def test_jepa_reads_of_what_is_hidden_nothing_but_where_it_lies() -> None:
    objective = jepa()
    made = model(objective)
    embedding, hidden = torch.randn(3, 6, 4), torch.arange(6).expand(3, 6) < 2
    before = objective.foretell(embedding, hidden)
    torch.testing.assert_close(objective.foretell(embedding.masked_fill(hidden.unsqueeze(2), 9.0), hidden), before)
    assert not torch.allclose(objective.foretell(embedding.masked_fill(~hidden.unsqueeze(2), 9.0), hidden), before)
    assert not torch.allclose(before[:, 0], before[:, 1])  # places differ
    given = batch("x", first_steps)
    target = F.layer_norm(objective.slow([given["x.whole@v.0"]]), (4,))
    foretold = objective.foretell(made.node("code")(given["x@v.0"]), hidden)
    expected = F.smooth_l1_loss(foretold, target, reduction="none").mean(2)[:, :2].mean(1)
    torch.testing.assert_close(loss(made, given).value, expected)


@pytest.mark.parametrize("make", [lambda: LatentPrediction(("code", "x"), views="v"), jepa])
def test_each_encoder_runs_once(make: Callable[[], Latents]) -> None:
    objective = make()
    made = model(objective)
    read: list[Tensor] = []
    slow = cast("Any", objective.encoder).node("code")
    for module in (made.node("code"), slow):
        module.register_forward_hook(lambda _, given, __: read.append(given[0]))
    given = batch("x", first_steps)
    loss(made, given).value.sum().backward()
    assert [value is given[key] for value, key in zip(read, ("x@v.0", "x.whole@v.0"), strict=True)] == [True, True]
    assert not any(parameter.requires_grad for parameter in slow.parameters())
    trained = {name.split(".")[0] for name, parameter in made.named_parameters() if parameter.grad is not None}
    assert trained == {"node_code", "objective_o"}


def test_half_precision_is_compared_in_float32() -> None:
    objective = jepa()
    made = model(objective)
    given = batch("x", first_steps)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(made, given).value
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(made, given).value, rtol=0.1, atol=0.05)


# --- from files -------------------------------------------------------------------------------------------------------

DATA: dict[str, Any] = {
    "datasets": {
        "digits": {
            "source": {"kind": "sklearn", "name": "digits"},
            "fields": {
                "image": {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]},
                "label": {"kind": "category", "column": "target"},
            },
            "split": {"train": 0.1, "val": 0.05, "test": 0.85, "stratify": "label"},
        }
    },
    "features": {"image": [{"standardize": {}}]},
    "views": {
        "blocks": {"image": [{"hide": {"share": 0.5, "patch": 4}}]},
        "moved": {"image": [{"shift": {"pixels": 1}}]},
    },
    "batch_size": 32,
}
MODEL: dict[str, Any] = {
    "seed": 0,
    "nodes": {
        "encoder": {
            "module": "jumpml.blocks.ViT",
            "inputs": "image",
            "args": {"patch": 2, "width": 16, "depth": 1, "heads": 2, "tokens": True},
        },
        "mean": {"module": "jumpml.blocks.Pool", "inputs": "encoder"},
        "digit": {"module": "jumpml.blocks.Head", "inputs": "mean"},
    },
    "tasks": {"digit": {"kind": "multiclass", "output": "digit", "target": "label"}},
}
KINDS: dict[str, dict[str, Any]] = {
    "latent_prediction": {"momentum": {"start": 0.9, "end": 1.0}},
    "jepa": {"width": 16, "depth": 1, "heads": 2, "momentum": 0.9},
}


def learner(kind: str, folder: Path | None = None, **changes: Any) -> jumpml.Learner:
    own = {"kind": kind, "inputs": ["encoder", "image"], "views": "blocks", "when": ["self_supervised"]}
    loaders = jumpml.create_dataloader(DATA)
    made = jumpml.load_model({**MODEL, "objectives": {"latent": {**own, **KINDS[kind], **changes}}}, loaders)
    options = {
        "optimizer": {"kind": "adam", "lr": 0.003},
        "phases": {"self_supervised": {"epochs": 3}, "supervised": {"epochs": 1}},
        "checkpoint": {"every": {"steps": 5}} if folder else None,
        "log": [],
    }
    return jumpml.create_learner(loaders, made, options=options, run=folder)


def bits(one: jumpml.Learner) -> bytes:
    return b"".join(value.numpy().tobytes() for value in one.model.state_dict().values())


@pytest.mark.parametrize("kind", [*KINDS])
def test_it_learns_and_a_run_that_is_resumed_ends_with_the_same_bits(kind: str, tmp_path: Path) -> None:
    whole = learner(kind)
    losses = [record.losses["latent"] for record in whole.ss_learn()]
    assert losses[-1] < losses[0]
    half = learner(kind, tmp_path)
    half._loop.enter("self_supervised")
    for _, given in zip(range(8), half.remaining(), strict=False):
        half.step(given)
        if half.progress.batch == len(half.loaders.train):
            break
    half.save()
    ends = []
    for withheld in (False, True):
        again = learner(kind, tmp_path)
        assert again.resume()
        if withheld:  # the negative control: the momentum encoder where the model is
            objective: Any = again.model.objectives["latent"]
            fast = dict(again.model.named_parameters())
            with torch.no_grad():
                for name, value in objective.encoder.named_buffers():
                    if name in fast:
                        value.copy_(fast[name])
        again.ss_learn()
        ends.append(bits(again))
    assert ends[0] == bits(whole)
    assert ends[1] != ends[0]


def test_what_foretells_is_not_deployed() -> None:
    made = learner("jepa").model
    assert not any("objective" in name for name in made.until("digit").state_dict())
    assert any(name.startswith("objective_latent.layers") for name in made.state_dict())


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_view_that_hides_nothing_is_refused() -> None:
    with pytest.raises((SpecError, GraphError, LearnerError)) as caught:
        learner("jepa", views="moved")
    assert "the view 'moved' does not tell 'image.hidden': it has no step `hide` on 'image'." in str(caught.value)


def told(*shapes: tuple[int, ...]) -> list[ValueInfo | None]:
    embedding, field = shapes
    return [ValueInfo(shape=embedding), ValueInfo(shape=field, dtype="bool"), ValueInfo(shape=field)]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: LatentPrediction("code", views="v"),
            "LatentPrediction: expected a node and a field, got code.",
        ),
        (
            lambda: LatentPrediction(("code", "x"), views=("v", "w")),
            "LatentPrediction: expected one view, which is drawn once; got v, w.",
        ),
        (
            lambda: JEPA(("code", "x"), views=()),
            "JEPA: expected one view, which is drawn once; got none.",
        ),
        (
            lambda: LatentPrediction(("code", "x"), views="v", beta=-1.0),
            "LatentPrediction: expected beta of 0 or more, got -1.0.",
        ),
        (
            lambda: JEPA(("code", "x"), views="v", width=9, heads=2),
            "JEPA: expected numbers of 1 or more, and a width that is a multiple of heads; got a width of 9, a depth "
            "of 2 and 2 heads.",
        ),
        (
            lambda: JEPA(("code", "x"), views="v", momentum=2.0),
            "JEPA: expected a momentum from 0 to 1, got 2.0.",
        ),
        (
            lambda: JEPA(("code", "row"), views="v").connect(told((4,), (5,)), {}),
            "JEPA: 'code' gives one vector a row, and nothing is left beside it to foretell it from. Name a node that "
            "gives one a position, or take kind: latent_prediction.",
        ),
        (
            lambda: LatentPrediction(("code", "image"), views="v").connect(told((5, 4), (1, 8, 8)), {}),
            "LatentPrediction: expected embedding as [batch, positions, width], with as many positions as 8 x 8 of "
            "'image' has equal patches; 'code' is [batch, 5, 4] float32. Or let the node give one vector a row.",
        ),
        (
            lambda: LatentPrediction(("code", "image"), views="v").connect([ValueInfo(shape=(4,)), None, None], {}),
            "LatentPrediction: what is known of 'image.whole'? Name a field that nodes read.",
        ),
        (
            lambda: LatentPrediction(("code", "x"), views="v").connect(told((), (6, 2)), {}),
            "LatentPrediction: expected embedding as [batch, width] or [batch, positions, width] or [batch, width, "
            "rows, columns] float32; 'code' is [batch] float32. Flatten or pool it in a node first, such as "
            "torch.nn.Flatten.",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, text: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        make()
    assert str(caught.value) == text


class Windows(nn.Module):
    """A recording as a vector for every eight of its samples."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv1d(1, 4, 8, 8)

    def forward(self, sound: Tensor) -> Tensor:
        return self.layer(sound).transpose(1, 2)


def test_stretches_of_a_recording_are_positions() -> None:
    sounds = Column(torch.rand(24, 1, 64, generator=torch.Generator().manual_seed(0)), "audio")
    views = {"hidden": {"sound": [Hide(0.5, patch=16)]}}
    loaders = DataLoaders({"sound": sounds}, random_split(24), views=views, batch_size=6)
    loaders.bind(["sound"])
    objective = JEPA(("code", "sound"), views="hidden", width=8, depth=1, heads=2)
    made = Model(
        inputs={"sound": loaders.info("sound")},
        nodes={"code": Node(Windows(), "sound")},
        objectives={"o": objective},
        fields=loaders.fields,
        seed=0,
    )
    one = Learner(loaders, made, torch.optim.Adam(made.parameters()), phases={"supervised": Phase(epochs=1)})
    given = next(one.remaining())
    asked = objective.hidden_positions(given["sound.hidden@hidden.0"])
    assert asked.shape == (6, 8)
    assert asked.sum(1).tolist() == [4] * 6  # two stretches of sixteen samples
    assert asked.view(6, 4, 2).all(2).equal(asked.view(6, 4, 2).any(2))
    one.step(given)


def test_tokens_are_positions_one_by_one() -> None:
    field = FieldInfo(name="text", kind="text", value=ValueInfo(shape=(6,), dtype="int64"), hides=frozenset({"v"}))
    objective = LatentPrediction(("code", "text"), views="v")
    made = Model(
        inputs={"text": field.value},
        nodes={"code": Node(nn.Embedding(9, 4), "text")},
        objectives={"o": objective},
        fields={"text": field},
        seed=0,
    )
    tokens = torch.arange(6).expand(2, 6)
    hidden = tokens == 3
    given = {"text@v.0": tokens.masked_fill(hidden, 1), "text.hidden@v.0": hidden, "text.whole@v.0": tokens}
    target = F.layer_norm(objective.slow([tokens]), (4,))
    foretold = objective.predictor(made.node("code")(given["text@v.0"]))
    torch.testing.assert_close(loss(made, given).value, (foretold - target).square().mean(2)[:, 3])
