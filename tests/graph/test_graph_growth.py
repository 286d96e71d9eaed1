"""Growth: a model has more units afterwards, or fewer, and computes what it did where it should."""

from __future__ import annotations

import copy
import itertools
import json
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from jumpml import blocks
from jumpml.core import FieldInfo, GraphError, ObjectiveError, Task, ValueInfo
from jumpml.graph import Branch, Classes, Deepen, LowRank, Merge, Model, NewTask, Node, Shrink, Widen, classes_problem
from jumpml.objectives import EWC, CrossEntropy

PICTURE, SERIES, ROW = (1, 8, 8), (7, 8), (4,)


def model(module: nn.Module, shape: tuple[int, ...] = ROW, *, reads: str = "body", **given: Any) -> Model:
    """A body, and a linear layer on it."""
    nodes = {"body": Node(module, "x"), "out": Node(nn.LazyLinear(2), reads)}
    return Model(inputs={"x": ValueInfo(shape=shape)}, nodes=nodes, outputs=["out"], seed=0, **given)


def answer(made: Model, rows: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    (shape,) = (value.shape for value in made.inputs.values())
    made.eval()
    with torch.no_grad():
        return made({"x": torch.rand(rows, *shape, generator=generator)})["out"]


class Turned(nn.Module):
    """Two axes change places."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return input.transpose(1, 2)


BODIES: dict[str, tuple[Any, tuple[int, ...], str]] = {
    "linear": (lambda: nn.Linear(4, 6), ROW, "body"),
    "mlp": (lambda: blocks.MLP([6, 5]), ROW, "body"),
    "residual mlp": (lambda: blocks.ResidualMLP(6, depth=2), ROW, "body"),
    "conv encoder": (lambda: blocks.ConvEncoder([4, 6]), PICTURE, "body"),
    "convolutions, flat": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.PReLU(4), nn.MaxPool2d(2), nn.Flatten()),
        PICTURE,
        "body",
    ),
    "depthwise": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, groups=4), nn.ReLU(), nn.Flatten(1)),
        PICTURE,
        "body",
    ),
    "transposed": (
        lambda: nn.Sequential(nn.ConvTranspose2d(1, 4, 2), nn.Conv2d(4, 2, 3), nn.Flatten()),
        PICTURE,
        "body",
    ),
    "resnet": (lambda: blocks.ResNet([4, 6], layers=1), PICTURE, "body"),
    "convnext": (lambda: blocks.ConvNeXt([4, 8], layers=1), PICTURE, "body"),
    "vit": (lambda: blocks.ViT(4, 8, 1, 2), PICTURE, "body"),
    "lstm": (lambda: blocks.Recurrent(5, depth=2, cell="lstm"), SERIES, "body.last"),
    "gru of both ways": (lambda: nn.GRU(8, 5, 2, bidirectional=True, batch_first=True), SERIES, "body.0"),
    "attention": (lambda: blocks.TransformerEncoder(depth=2, heads=2), SERIES, "body"),
    "attention of one head": (lambda: blocks.TransformerEncoder(depth=1, heads=1), SERIES, "body"),
    "attention of one head, by places": (lambda: blocks.TransformerEncoder(1, heads=1, rotary=False), SERIES, "body"),
    "one unit, turned": (
        lambda: nn.Sequential(nn.Linear(8, 1), Turned(), nn.Conv1d(1, 4, 1), Turned(), nn.Flatten()),
        SERIES,
        "body",
    ),
    "tcn": (lambda: blocks.TCN([6, 6]), SERIES, "body"),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_wider_model_computes_the_same_and_learns_with_what_is_new(name: str) -> None:
    make, shape, reads = BODIES[name]
    made = model(make(), shape, reads=reads)
    before, count = answer(made), sum(p.numel() for p in made.parameters())
    growth = made.grow(Widen("body", 1.5))
    assert (answer(made) - before).abs().max() <= 1e-5
    assert sum(p.numel() for p in made.parameters()) > count
    assert growth.index_map.axes
    made.train()
    made({"x": torch.rand(4, *shape)})["out"].square().sum().backward()
    for parameter in made.parameters():  # the zeros that new units are read with have a gradient
        assert parameter.grad is not None and parameter.grad.shape == parameter.shape
    widened = [name for name, axes in growth.index_map.axes.items() if 1 in axes and -1 in axes[1]]
    gradients = [growth.after[name].grad for name in widened]
    assert any(gradient is not None and bool(gradient.abs().sum() > 0) for gradient in gradients)


@pytest.mark.parametrize("name", BODIES)
def test_units_that_nothing_reads_go_first(name: str) -> None:
    make, shape, reads = BODIES[name]
    made = model(make(), shape, reads=reads)
    before, sizes = answer(made), [p.shape for p in made.parameters()]
    made.grow(Widen("body", 1.5))
    layer = next(iter(made.lineage[0]["at"]))
    made.regrow(())
    made.grow(Widen(layer, 2.0))
    made.grow(Shrink(layer, 0.5))
    assert torch.equal(answer(made), before)
    assert [p.shape for p in made.parameters()] == sizes


def test_a_lineage_builds_the_shape_again() -> None:
    made, anew = (model(blocks.MLP([6, 5]), objectives={"keep": EWC("all")}) for _ in range(2))
    made.grow(Widen("body", 1.5))
    made.grow(Shrink("body.layers.1", 0.5))
    lineage = json.loads(json.dumps(made.lineage))
    assert [entry["text"] for entry in lineage] == [
        "grew body.layers.1 6 -> 9, body.layers.3 5 -> 8",
        "shrank body.layers.1 9 -> 4",
    ]
    anew.regrow(lineage)
    anew.load_state_dict(made.state_dict())
    assert torch.equal(answer(anew), answer(made)) and anew.lineage == made.lineage
    assert anew.regrow(lineage) == []


def test_a_lineage_is_taken_back_as_far_as_the_model_knows_what_it_was() -> None:
    made = model(blocks.MLP([6, 5]))
    before, state = answer(made), {name: value.clone() for name, value in made.state_dict().items()}
    made.grow(Widen("body", 1.5))
    copied = copy.deepcopy(made)
    (back,) = made.regrow(())
    assert torch.equal(answer(made), before) and made.lineage == ()
    assert {name: value.shape for name, value in made.state_dict().items()} == {n: v.shape for n, v in state.items()}
    assert back.index_map.axes["node_body.layers.1.weight"] == {0: (0, 1, 2, 3, 4, 5)}
    with pytest.raises(GraphError, match="only the last 0 can be taken back"):
        copied.regrow(())


@pytest.mark.parametrize("rotary", [True, False])
def test_one_head_gets_another_beside_it(rotary: bool) -> None:
    made = model(blocks.TransformerEncoder(depth=1, heads=1, rotary=rotary), SERIES)
    before = answer(made)
    growth = made.grow(Widen("body.layers.0.attention", 3.0))
    assert growth.text == "grew body.layers.0.attention.inward 1 -> 3"
    assert made.node("body.layers.0.attention").heads == 3
    assert (answer(made) - before).abs().max() <= 1e-6
    made.grow(Shrink("body.layers.0.attention", 0.3))
    assert made.node("body.layers.0.attention").heads == 1 and torch.equal(answer(made), before)


def test_one_unit_is_followed_through_a_turn() -> None:
    made = model(BODIES["one unit, turned"][0](), SERIES)
    before = answer(made)
    assert made.grow(Widen("body.0", 2.0)).text == "grew body.0 1 -> 2"
    assert made.node("body.2").weight.shape == (4, 2, 1)
    assert (answer(made) - before).abs().max() <= 1e-6


class TorchAttention(nn.Module):
    """Attention of torch's among the units of a row."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.heads(x.unsqueeze(1), x.unsqueeze(1), x.unsqueeze(1), need_weights=False)[0].squeeze(1)


def test_what_of_a_transformer_cannot_grow_says_what_can() -> None:
    normed = model(nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6)))
    with pytest.raises(GraphError, match=r"whatever a new one gives; what can grow is what is read before its outputs"):
        normed.grow(Widen("body", 2.0))
    torchs = model(TorchAttention())
    told = r"so that no head can be added alone\. Take jumpml\.blocks\.TransformerEncoder, whose heads can grow"
    for name in ("body", "body.heads"):
        with pytest.raises(GraphError, match=told):
            torchs.grow(Widen(name, 2.0))
    layer = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True)
    whole = model(nn.Sequential(nn.Unflatten(1, (1, 4)), layer, nn.Flatten()))
    before = answer(whole)
    assert whole.grow(Widen("body", 2.0)).text == "grew body.1.linear1 6 -> 12"
    torch.testing.assert_close(answer(whole), before)


def test_what_stands_in_the_way_is_named() -> None:
    normed = model(nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6)))
    with pytest.raises(GraphError, match=r"'body\.1' \(torch\.nn\.LayerNorm\) normalizes over them, so that its"):
        normed.grow(Widen("body", 2.0))
    with pytest.raises(GraphError, match="'out': they are the model's output 'out'"):
        normed.grow(Widen("out", 2.0))
    with pytest.raises(GraphError, match="there is no node 'boddy'"):
        normed.grow(Widen("boddy", 2.0))
    with pytest.raises(GraphError, match="'body' makes no units"):
        model(nn.ReLU()).grow(Widen("body", 2.0))
    with pytest.raises(GraphError, match="expected a factor above 1"):
        Widen("body", 1.0)
    with pytest.raises(GraphError, match="expected a factor between 0 and 1"):
        Shrink("body", 1.0)
    task = {"kind": Task(kind="multiclass", output="out", target="y")}
    nodes = {"body": Node(nn.Linear(4, 6), "x"), "out": Node(nn.Linear(6, 2), "body")}
    tasked = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=nodes, tasks=task)
    with pytest.raises(GraphError, match="of 'out': they are the output of task 'kind'"):
        tasked.grow(Widen("out", 2.0))


class Sly(nn.Module):
    """Reads its weights in a way that no call shows."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 6)
        self.next = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The next layer's output, and a number that depends on how many weights there are."""
        return self.next(self.layer(x)) + self.layer.weight.shape[0]


def test_what_is_no_surgery_is_told() -> None:
    model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes={"body": Node(nn.Linear(4, 6), "x")}, outputs=["body"])
    wrong: Any = "body"
    with pytest.raises(GraphError) as error:
        model.grow(wrong)
    assert str(error.value) == "expected a surgery of jumpml.graph, such as Widen('encoder', 2.0), got 'body'."


def test_a_surgery_that_would_change_an_output_is_not_done() -> None:
    made = model(Sly())
    before, names = answer(made), {name: p.shape for name, p in made.named_parameters()}
    with pytest.raises(GraphError, match="'body' would not be what it was; its numbers would change by 6"):
        made.grow(Widen("body.layer", 2.0))
    assert torch.equal(answer(made), before) and made.lineage == ()
    assert {name: p.shape for name, p in made.named_parameters()} == names


# --- depth ------------------------------------------------------------------------------------------------------------


DEEPENED = [name for name in BODIES if name not in {"lstm", "gru of both ways"}]


@pytest.mark.parametrize("name", DEEPENED)
def test_a_deeper_model_computes_the_same_and_has_layers_that_learn(name: str) -> None:
    make, shape, reads = BODIES[name]
    made, anew = (model(make(), shape, reads=reads) for _ in range(2))
    before = answer(made)
    growth = made.grow(Deepen("body", 2))
    assert growth.text == "deepened body by 2 layers"
    assert (answer(made) - before).abs().max() <= 1e-5
    fresh = [name for name in growth.after if name not in growth.index_map.before]
    assert fresh
    made.train()
    made({"x": torch.rand(4, *shape)})["out"].square().sum().backward()
    gradients = [growth.after[name].grad for name in fresh]
    assert any(gradient is not None and bool(gradient.abs().sum() > 0) for gradient in gradients)
    anew.regrow(json.loads(json.dumps(made.lineage)))
    anew.load_state_dict(made.state_dict())
    assert torch.equal(answer(anew), answer(made))


def test_depth_needs_one_tensor() -> None:
    made = model(nn.LSTM(8, 5, batch_first=True), SERIES, reads="body.0")
    with pytest.raises(GraphError, match=r"'body' \(torch\.nn\.LSTM\) gives no single tensor, so that no"):
        made.grow(Deepen("body"))
    with pytest.raises(GraphError, match="expected 1 layer or more, got 0"):
        Deepen("body", 0)


def test_what_has_been_deepened_is_widened_and_what_is_behind_a_task_learns() -> None:
    made = model(nn.Linear(4, 6))
    before = answer(made)
    made.grow(Deepen("body"))
    made.grow(Widen("body", 2.0))
    assert (answer(made) - before).abs().max() <= 1e-5
    assert [entry["text"] for entry in made.lineage] == [
        "deepened body by 1 layer",
        "grew body.0 6 -> 12, body.1.inward 6 -> 12",
    ]


# --- branches of low rank ---------------------------------------------------------------------------------------------


LAYERED = [name for name in BODIES if name not in {"lstm", "gru of both ways", "transposed"}]


@pytest.mark.parametrize("name", LAYERED)
def test_a_branch_of_low_rank_learns_in_the_place_of_the_weights_and_is_merged_into_them(name: str) -> None:
    make, shape, reads = BODIES[name]
    made = model(make(), shape, reads=reads)
    before, names = answer(made), {name: p.shape for name, p in made.named_parameters()}
    growth = made.grow(LowRank("body", 2))
    assert (answer(made) - before).abs().max() <= 1e-5
    fresh = [name for name in growth.after if name not in growth.index_map.before]
    assert fresh and all(name.endswith((".down", ".up")) for name in fresh)
    assert not set(names) - set(growth.after)  # what was there has its name
    made.train_only(["body"])
    made.train()
    made({"x": torch.rand(4, *shape)})["out"].square().sum().backward()
    for new in fresh:
        weight = growth.after[new.rpartition(".")[0] + ".weight"]
        assert weight.grad is None and not weight.requires_grad
        assert growth.after[new].grad is not None
    with torch.no_grad():
        for new in fresh:
            drawn = torch.randn(growth.after[new].shape, generator=torch.Generator().manual_seed(0))
            growth.after[new].add_(0.2 * drawn)
    moved = answer(made)
    assert (moved - before).abs().max() > 1e-6
    made.grow(Merge("body"))
    assert (answer(made) - moved).abs().max() <= 1e-5 * moved.abs().max().clamp(min=1)
    assert {name: p.shape for name, p in made.named_parameters()} == names
    made.train_only(["body", "out"])
    assert all(parameter.requires_grad for parameter in made.parameters())


def test_branches_of_low_rank_widen_with_their_layers() -> None:
    for name in ("mlp", "conv encoder", "attention"):
        make, shape, reads = BODIES[name]
        made = model(make(), shape, reads=reads)
        made.grow(LowRank("body", 2))
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(0.05)
        before = answer(made)
        made.grow(Widen("body", 2.0))
        assert (answer(made) - before).abs().max() <= 1e-5


@pytest.mark.parametrize("norm", [nn.GroupNorm(1, 1), nn.Identity()])
def test_what_a_branch_of_low_rank_makes_inside_is_told_apart_from_what_it_gives(norm: nn.Module) -> None:
    """One module makes both: by its name alone, the wrong ones grew, or none."""
    layers = nn.Sequential(nn.Conv2d(2, 1, 3), norm, nn.Flatten())
    made = Model(
        inputs={"x": ValueInfo(shape=(2, 5, 5))},
        nodes={"body": Node(layers, "x"), "out": Node(nn.LazyLinear(3), "body")},
        outputs=["out"],
    )
    made.grow(LowRank("body", 1))
    growth = made.grow(Widen("body", 3.0))
    free = isinstance(norm, nn.Identity)  # a norm over groups keeps the channels as they are
    layer: Any = made.node("body.0")
    assert layer.down.shape == (3, 2, 3, 3)
    assert layer.up.shape == (3 if free else 1, 3, 1, 1)
    assert layer.weight.shape[0] == (3 if free else 1)
    assert growth.text == "grew body.0.down 1 -> 3" + (", body.0 1 -> 3" if free else "")


def test_what_no_branch_fits_is_told() -> None:
    with pytest.raises(GraphError, match=r"'body' has no linear or convolutional layer \(in one group\)"):
        model(nn.ReLU()).grow(LowRank("body", 2))
    with pytest.raises(GraphError, match="expected a rank of 1 or more, got 0"):
        LowRank("body", 0)
    with pytest.raises(GraphError, match="'body' has no branch of low rank"):
        model(nn.Linear(4, 6)).grow(Merge("body"))


# --- classes ----------------------------------------------------------------------------------------------------------


def labelled(*classes: str) -> FieldInfo:
    value = ValueInfo(shape=(), dtype="int64", classes=len(classes))
    return FieldInfo(name="y", kind="category", value=value, classes=classes)


def classifier(*classes: str, kind: str = "multiclass") -> Model:
    width = 1 if kind == "binary" else len(classes) - (kind == "ordinal")
    return Model(
        inputs={"x": ValueInfo(shape=(4,))},
        nodes={"body": Node(nn.Linear(4, 6), "x"), "out": Node(nn.Linear(6, width), "body")},
        tasks={"kind": Task(kind=kind, output="out", target="y")},
        objectives={"kind": CrossEntropy(("out", "y"))} if kind == "multiclass" else {},
        fields={"y": labelled(*classes)},
        seed=0,
    )


def test_new_classes_stand_in_their_order_and_the_others_keep_their_logits() -> None:
    made, x = classifier("cat", "dog"), torch.rand(5, 4)
    before = made({"x": x})["kind"]
    growth = made.grow(Classes("y", ["ape", "cat", "cow", "dog"]))
    after = made({"x": x})["kind"]
    assert (after[:, [1, 3]] - before).abs().max() <= 1e-6 and after.shape == (5, 4)
    assert growth.text == "gave out the classes ape, cow"
    assert made.fields["y"].classes == ("ape", "cat", "cow", "dog")
    assert growth.index_map.axes == {"node_out.weight": {0: (-1, 0, -1, 1)}, "node_out.bias": {0: (-1, 0, -1, 1)}}
    assert made.losses({"x": x, "y": torch.tensor([0, 1, 2, 3, 3])})["kind"].isfinite().all()
    numbers = FieldInfo(name="x", kind="tensor", value=ValueInfo(shape=(4,)))
    made.check_fields({"x": numbers, "y": labelled("ape", "cat", "cow", "dog")})
    anew = classifier("cat", "dog")
    anew.regrow(json.loads(json.dumps(made.lineage)))
    anew.load_state_dict(made.state_dict())
    assert torch.equal(anew({"x": x})["kind"], after) and anew.fields == made.fields


def test_codes_of_other_classes_are_refused() -> None:
    made, numbers = classifier("cat", "dog"), FieldInfo(name="x", kind="tensor", value=ValueInfo(shape=(4,)))
    made.check_fields({"x": numbers, "y": labelled("cat", "dog")})
    told = (
        "task 'kind': code 0 of 'y' is 'cat' to the model, and 'dog' in this data. Name the model's classes in the "
        "data file, in their order: `classes: [cat, dog]`."
    )
    with pytest.raises(GraphError) as caught:
        made.check_fields({"x": numbers, "y": labelled("dog", "cat")})
    assert told in str(caught.value)


@given(st.permutations(["a", "b", "c", "d", "e"]), st.integers(1, 5), st.integers(1, 5))
def test_codes_are_of_the_same_classes_or_the_first_that_differs_is_told(names: list[str], one: int, two: int) -> None:
    known, field = labelled(*"abcde"[:one]), labelled(*names[:two])
    problem = classes_problem(known, field)
    differ = [code for code, pair in enumerate(itertools.zip_longest("abcde"[:one], names[:two])) if len({*pair}) > 1]
    assert problem.startswith(f"code {differ[0]} of 'y' is ") if differ else not problem
    assert ("no class" in problem) == bool(differ and differ[0] >= min(one, two))
    assert not classes_problem(None, field)


def test_of_many_classes_some_are_named() -> None:
    known = labelled(*(f"c{number}" for number in range(40)))
    problem = classes_problem(known, labelled(*(f"c{number}" for number in range(39))))
    assert problem.startswith("code 39 of 'y' is 'c39' to the model, and no class in this data.")
    assert problem.endswith("`classes: [c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, ..., c39]`.")


def test_weights_of_classes_are_weighed_anew() -> None:
    made = classifier("cat", "dog")
    made.objectives["kind"]._asked_weights = {"cat": 3.0}  # type: ignore[attr-defined]
    with pytest.raises(ObjectiveError, match="names need classes, and nothing is known of 'y'"):
        made.grow(Classes("y", ["cat", "cow", "dog"]))
    assert made.lineage == () and made.fields["y"].classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("made", "surgery", "text"),
    [
        (classifier("a", "b"), Classes("y", ["a", "c"]), "'y' had the classes b too: a class that is learned stays."),
        (classifier("a", "b"), Classes("y", ["b", "a"]), "'y' has no new class."),
        (classifier("a", "b"), Classes("z", ["b", "a"]), "the model knows no classes of 'z'"),
        (classifier("a", "b", kind="binary"), Classes("y", ["a", "b", "c"]), "task 'kind' is binary: it has no output"),
        (classifier("a", "b", "c", kind="ordinal"), Classes("y", ["a", "b", "c", "d"]), "task 'kind' is ordinal"),
    ],
)
def test_classes_that_cannot_come_are_told(made: Model, surgery: Classes, text: str) -> None:
    with pytest.raises(GraphError, match=text):
        made.grow(surgery)


# --- branches, modalities, tasks --------------------------------------------------------------------------------------


def test_a_modality_comes_by_a_gate_of_zero_and_is_learned() -> None:
    made, batch = classifier("cat", "dog"), {"x": torch.rand(5, 4)}
    before = made(batch)["kind"]
    sound = Branch("body", "ear", "jumpml.blocks.MLP", "sound", {"widths": [3, 6]}, {"sound": ValueInfo(shape=(9,))})
    growth = made.grow(sound)
    assert growth.text == "added ear, which reads sound, to body"
    batch["sound"] = torch.rand(5, 9)
    assert torch.equal(made(batch)["kind"], before)
    assert {*made.inputs} == {"x", "sound"} and made.select(["upto:out"]) == ("ear", "body", "out")
    assert growth.index_map.before["node_body.inner.weight"] == "node_body.weight"
    optimizer = torch.optim.SGD(made.parameters(), lr=0.5)
    for _ in range(2):  # the gate moves first, then the branch has a gradient
        optimizer.zero_grad()
        made.losses({**batch, "y": torch.tensor([0, 1, 0, 1, 1])})["kind"].mean().backward()
        optimizer.step()
    assert growth.after["node_ear.layers.1.weight"].grad is not None
    assert bool(growth.after["node_ear.layers.1.weight"].grad.abs().sum() > 0)
    anew = classifier("cat", "dog")
    anew.regrow(json.loads(json.dumps(made.lineage)))
    anew.load_state_dict(made.state_dict())
    assert torch.equal(anew(batch)["kind"], made(batch)["kind"])
    made.grow(Widen("body", 2.0))  # what is added to a node is widened with it
    assert made.node("ear").layers[-1].out_features == 12  # type: ignore[union-attr, index]


def test_a_branch_reads_what_is_there_and_a_node_that_names_its_arguments_takes_one() -> None:
    made = Model(
        inputs={"x": ValueInfo(shape=(4,))},
        nodes={"body": Node(nn.Linear(4, 6), {"input": "x"}), "out": Node(nn.Linear(6, 2), "body")},
        outputs=["out"],
    )
    before = answer(made)
    made.grow(Branch("body", "beside", "torch.nn.LazyLinear", ["x"], {"out_features": 6}))
    assert torch.equal(answer(made), before)


@pytest.mark.parametrize(
    ("surgery", "text"),
    [
        (
            Branch("body", "ear", "torch.nn.LazyLinear", "x", {"out_features": 5}),
            r"the branch gives \[2, 5\], and what it",
        ),
        (Branch("body", "ear", "torch.nn.LazyLinear", "z", {"out_features": 6}), "reads 'z', which is neither a field"),
        (Branch("body", "out", "torch.nn.LazyLinear", "x", {"out_features": 6}), "there is a node 'out' already"),
        (Branch("body", "ear", "os.system", "x"), "'os.system' is outside the trusted packages"),
        (Branch("body", "ear", "torch.nn.Linear", "x"), "branch 'ear' cannot be made: .* missing 2 required"),
    ],
)
def test_a_branch_that_does_not_fit_is_told_and_nothing_is_done(surgery: Branch, text: str) -> None:
    made = classifier("cat", "dog")
    names = [name for name, _ in made.named_parameters()]
    with pytest.raises(GraphError, match=text):
        made.grow(surgery)
    assert [name for name, _ in made.named_parameters()] == names
    assert made.node_names == ("body", "out") and made({"x": torch.rand(2, 4)})["kind"].shape == (2, 2)


def size_task() -> NewTask:
    target = FieldInfo(name="size", kind="category", value=ValueInfo(shape=(), dtype="int64"), classes=("s", "m", "l"))
    return NewTask(
        name="size",
        task=Task(kind="multiclass", output="size_out", target="size"),
        node=Node(nn.LazyLinear(3), "body"),
        objective=CrossEntropy(("size_out", "size")),
        target=target,
    )


def test_a_task_more() -> None:
    made, batch = classifier("cat", "dog"), {"x": torch.rand(5, 4)}
    before = made(batch)["kind"]
    growth = made.grow(size_task())
    assert growth.text == "added task size, whose output is size_out"
    assert torch.equal(made(batch)["kind"], before) and made(batch)["size"].shape == (5, 3)
    batch |= {"y": torch.zeros(5, dtype=torch.int64), "size": torch.ones(5, dtype=torch.int64)}
    assert made.losses(batch).keys() == {"kind", "size"}
    with pytest.raises(GraphError, match="there is a task or an objective 'size' already"):
        made.grow(size_task())
    anew = classifier("cat", "dog")
    with pytest.raises(GraphError, match="Let the program add it to this model too"):
        anew.regrow(made.lineage)
    anew.grow(size_task())
    assert anew.regrow(made.lineage) == []
    made.regrow(())
    assert made.tasks.keys() == {"kind"} and made.objectives.keys() == {"kind"} and "size" not in made.fields
