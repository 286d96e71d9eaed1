"""What a learner refuses before the first batch: batches of one row, views beside the point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from jumpml.core import FieldInfo, GraphError, LearnerError, Task, ValueInfo
from jumpml.data import Column, DataLoaders, Mixup, Noise, OneHot
from jumpml.graph import Model, Node, is_drawn
from jumpml.learn import Learner, Phase
from jumpml.objectives import BYOL, CLIP, CrossEntropy, MoCo, NTXent, VICReg
from jumpml.pretrained import OnnxModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from jumpml.core import Objective

FIELDS = {"y": FieldInfo(name="y", kind="category", value=ValueInfo(shape=(), dtype="int64"), classes=("no", "yes"))}
VIEWS = {"noisy": {"x": [Noise(std=0.1)]}, "plain": {"x": []}, "still": {"x": []}}
SHAPES = {"x": (4,), "image": (1, 3, 3)}


def loaders_of(rows: int, batch_size: int, **options: Any) -> DataLoaders:
    generator = torch.Generator().manual_seed(0)
    columns = {
        "x": Column(torch.rand(rows + 4, 4, generator=generator), "tensor"),
        "image": Column(torch.rand(rows + 4, 1, 3, 3, generator=generator), "image"),
        "y": Column(torch.arange(rows + 4) % 2, "category", classes=("no", "yes")),
    }
    splits = {
        "train": torch.arange(rows),
        "val": torch.arange(rows, rows + 2),
        "test": torch.arange(rows + 2, rows + 4),
    }
    return DataLoaders(columns, splits, batch_size=batch_size, views=VIEWS, **options)


def model_of(*layers: nn.Module, field: str = "x", objectives: Mapping[str, Objective] | None = None) -> Model:
    """A body on a field, and a head on the body that tells two classes."""
    nodes = {
        "body": Node(torch.nn.Sequential(*layers), field),
        "flat": Node(torch.nn.Flatten(), "body"),
        "out": Node(torch.nn.LazyLinear(2), "flat"),
    }
    return Model(
        inputs={field: ValueInfo(shape=SHAPES[field])},
        nodes=nodes,
        tasks={"y": Task(kind="multiclass", output="out", target="y")},
        objectives={"y": CrossEntropy(("out", "y")), **(objectives or {})},
        fields=FIELDS,
    )


def learner_of(model: Model, rows: int, batch_size: int, **phases: Phase) -> Learner:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return Learner(loaders_of(rows, batch_size), model, optimizer, phases=phases or {"supervised": Phase(epochs=1)})


@pytest.mark.parametrize(
    ("rows", "batch_size", "what", "fix"),
    [
        (9, 4, "9 train rows in batches of 4 leave a last batch of", "Take another batch_size, such as 3."),
        (3, 2, "3 train rows in batches of 2 leave a last batch of", "Take another batch_size, such as 3."),
        (8, 1, "every batch has", "Take another batch_size, such as 2."),
        (1, 4, "every batch has", "Give the train split more rows."),
    ],
)
def test_batch_normalization_needs_two_rows(rows: int, batch_size: int, what: str, fix: str) -> None:
    with pytest.raises(LearnerError) as caught:
        learner_of(model_of(torch.nn.BatchNorm1d(4)), rows, batch_size)
    assert str(caught.value) == f"batch_size: {what} one row, and batch normalization in node 'body' needs two. {fix}"


@pytest.mark.parametrize(
    "refused",
    [(torch.nn.BatchNorm1d(4), "x"), (torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyBatchNorm1d()), "image")],
)
def test_what_is_refused_would_fail_and_what_is_not_trains(refused: Any) -> None:
    module, field = refused
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
        module.train()(torch.rand(1, *SHAPES[field]))
    with pytest.raises(LearnerError, match="needs two"):
        learner_of(model_of(module, field=field), 9, 4)
    learner_of(model_of(module, field=field), 9, 5).fit()
    # many values a row: pictures, and sequences
    learner_of(model_of(torch.nn.BatchNorm2d(1), field="image"), 9, 4).fit()
    learner_of(model_of(torch.nn.Unflatten(1, (2, 2)), torch.nn.BatchNorm1d(2)), 9, 4).fit()


def test_only_what_trains_in_a_phase_that_runs_needs_two_rows() -> None:
    frozen = Phase(epochs=1, freeze=("body",))
    learner_of(model_of(torch.nn.BatchNorm1d(4)), 9, 4, supervised=frozen).fit()
    learner_of(model_of(torch.nn.BatchNorm1d(4)), 9, 4, supervised=frozen, later=Phase(epochs=0)).fit()
    aside = {"agree": VICReg("body", views="noisy", when="warm")}
    text = r"objective 'agree' \(VICReg\) and batch normalization in node 'body' need two\."
    with pytest.raises(LearnerError, match=text):
        learner_of(model_of(torch.nn.BatchNorm1d(4), objectives=aside), 9, 4, warm=Phase(epochs=1), supervised=frozen)


def test_a_view_must_touch_what_the_objective_depends_on() -> None:
    objectives = {"agree": VICReg("flat", views="noisy", when="warm")}
    model = model_of(torch.nn.Conv2d(1, 2, 1), field="image", objectives=objectives)
    with pytest.raises(LearnerError) as caught:
        learner_of(model, 8, 4, warm=Phase(epochs=1))
    assert str(caught.value) == (
        "objective 'agree': the view 'noisy' changes x, and flat depends on nothing of that but on image. Let the view "
        "change what the node reads, or name another node."
    )


@pytest.mark.parametrize(
    ("views", "told"), [("plain", "'plain'"), (["plain", "still"], "'plain' and 'still'")], ids=["one", "two"]
)
def test_views_that_are_equal_are_not_compared(views: Any, told: str) -> None:
    def learner(*layers: nn.Module, views: Any = views) -> Learner:
        objectives = {"agree": VICReg("flat", views=views, when="warm")}
        return learner_of(model_of(*layers, objectives=objectives), 8, 4, warm=Phase(epochs=1))

    with pytest.raises(LearnerError) as caught:
        learner(torch.nn.Linear(4, 3))
    assert str(caught.value) == (
        f"objective 'agree': no step of the view {told} changes x: its draws are equal. Give it steps; or a node that "
        "is read dropout, which differs from draw to draw."
    )
    learner(torch.nn.Linear(4, 3), views=["plain", "noisy"]).fit()
    learner(torch.nn.Linear(4, 3), torch.nn.Dropout(0.5)).fit()


def test_what_is_drawn_is_found_without_a_trace() -> None:
    layers = torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.Dropout(0.5)
    model, sure = model_of(*layers), model_of(*layers[:2])
    before, state = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    assert (is_drawn(model, ["flat"]), is_drawn(sure, ["flat"]), is_drawn(model, ["x"])) == (True, False, False)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state) and model.training


def test_classes_must_stay_codes() -> None:
    model = model_of(torch.nn.Identity())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(GraphError) as caught:
        Learner(loaders_of(8, 4, features={"y": [OneHot()]}), model, optimizer)
    assert str(caught.value) == (
        "task 'y': classes must stay codes, and 'y' has features. Take it out of `features`; where a node reads it, "
        "let another field have its column."
    )


def test_a_mixture_must_mix_every_target_of_what_it_mixes() -> None:
    y = Column(torch.arange(12) % 2, "category", classes=("no", "yes"))
    columns = {"x": Column(torch.rand(12, 3), "tensor"), "y": y, "z": y}
    splits = {"train": torch.arange(8), "val": torch.arange(8, 10), "test": torch.arange(10, 12)}

    def learner(*targets: str) -> Learner:
        loaders = DataLoaders(columns, splits, batch_size=4, augment={"x, y": [Mixup(alpha=0.5)]})
        model = Model(
            inputs={"x": loaders.info("x")},
            nodes={name: Node(torch.nn.LazyLinear(2), "x") for name in ("a", "b")},
            tasks={
                target: Task(kind="multiclass", output=out, target=target)
                for target, out in zip(targets, "ab", strict=False)
            },
            objectives={target: CrossEntropy((out, target)) for target, out in zip(targets, "ab", strict=False)},
            fields=loaders.fields,
        )
        return Learner(loaders, model, torch.optim.SGD(model.parameters(), lr=0.1))

    learner("y")
    with pytest.raises(LearnerError) as caught:
        learner("y", "z")
    assert "`augment` mixes 'x' of different rows, and would leave their 'z' as it is." in str(caught.value)
    assert "Name 'z' in that key of `augment` too, or leave the mixing out." in str(caught.value)


# --- nodes that run ONNX files ----------------------------------------------------------------------------------------


def onnx_model_of(*before: nn.Module) -> Model:
    """An ONNX file between what comes before it and a head."""
    onnx: Any = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 4]) for name in "ab"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["a"], ["b"])], "g", values[:1], values[1:])
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    nodes = {
        "body": Node(torch.nn.Sequential(*before), "x"),
        "old": Node(OnnxModel(made.SerializeToString()), "body"),
        "out": Node(torch.nn.LazyLinear(2), "old"),
    }
    return Model(
        inputs={"x": ValueInfo(shape=(4,))},
        nodes=nodes,
        tasks={"y": Task(kind="multiclass", output="out", target="y")},
        objectives={"y": CrossEntropy(("out", "y"))},
    )


def test_an_onnx_file_never_trains() -> None:
    for pattern in ("old", "upto:old"):
        with pytest.raises(LearnerError) as caught:
            learner_of(onnx_model_of(torch.nn.ReLU()), 8, 4, supervised=Phase(epochs=1, train=(pattern, "out")))
        text = "phase 'supervised': node 'old' runs an ONNX file, which never trains. Leave it out."
        assert str(caught.value) == text


def test_no_gradient_flows_through_an_onnx_file() -> None:
    with pytest.raises(LearnerError) as caught:
        learner_of(onnx_model_of(torch.nn.Linear(4, 4)), 8, 4)
    assert str(caught.value) == (
        "phase 'supervised': no gradient flows through node 'old', an ONNX file, to body, which it reads. Freeze: "
        "freeze: [body]; or let 'old' read fields and what does not train."
    )
    for model, freeze in ((onnx_model_of(torch.nn.Linear(4, 4)), ("body",)), (onnx_model_of(torch.nn.ReLU()), ())):
        learner = learner_of(model, 8, 4, supervised=Phase(epochs=1, freeze=freeze))
        before = {name: value.clone() for name, value in model.named_parameters()}
        learner.fit()
        changed = {name.partition(".")[0] for name, value in model.named_parameters() if not value.equal(before[name])}
        assert changed == {"node_out"}


def test_a_phase_takes_one_name_for_a_tuple_of_one() -> None:
    names: Any = {"train": "body", "freeze": "aux*", "data": "first"}
    assert Phase(**names) == Phase(train=("body",), freeze=("aux*",), data=("first",))


ALONE = "only what belongs to the objective itself would learn"
STILL = "its momentum encoder would follow weights that stand still"


@pytest.mark.parametrize(
    ("objective", "phase", "text"),
    [
        (
            NTXent("flat", views="noisy", when="first"),
            Phase(epochs=1, freeze=("body",)),
            f"'o' (NTXent) reads 'flat', and none of body trains in this phase: {ALONE}.",
        ),
        (
            BYOL("flat", views="noisy", when="first"),
            Phase(epochs=1, train=("out",)),
            f"'o' (BYOL) reads 'flat', and none of body trains in this phase: {STILL}.",
        ),
        (
            MoCo("out", views="noisy", when="first", queue=16),
            Phase(epochs=1, freeze=("all",)),
            f"'o' (MoCo) reads 'out', and none of body, out trains in this phase: {STILL}.",
        ),
        (
            CLIP(("out", "out2"), when="first"),
            Phase(epochs=1, train=("elsewhere",)),
            f"'o' (CLIP) reads 'out', 'out2', and none of body, out, out2 trains in this phase: {ALONE}.",
        ),
        (
            VICReg("plain", views="noisy", when="first"),
            Phase(epochs=1),
            f"'o' (VICReg) reads 'plain', and nothing that makes it has weights to train: {ALONE}.",
        ),
    ],
)
def test_a_method_on_nodes_that_do_not_train_is_refused(objective: Objective, phase: Phase, text: str) -> None:
    nodes = {
        "body": Node(torch.nn.Linear(4, 6), "x"),
        "flat": Node(torch.nn.Flatten(), "body"),
        "out": Node(torch.nn.Linear(6, 2), "flat"),
        "out2": Node(torch.nn.Linear(6, 2), "flat"),
        "plain": Node(torch.nn.Flatten(), "x"),
        "elsewhere": Node(torch.nn.Linear(4, 2), "x"),
    }
    objectives = {"o": objective, "other": CrossEntropy(("elsewhere", "y"), when="all")}
    model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=nodes, objectives=objectives, fields=FIELDS)
    with pytest.raises(LearnerError) as caught:
        learner_of(model, 8, 4, first=phase)
    assert str(caught.value).startswith(f"phase 'first': objective {text}")
    told, able = str(caught.value).removeprefix(f"phase 'first': objective {text} "), text.partition("none of ")[2]
    last = able.partition(" trains")[0].split(", ")[-1]
    train = f"Train it (train: [{last}])" if able else "Name a node with weights"
    assert told == f"{train}, or leave the objective out of the phase, by its `when`."
    if objective.inputs[0] != "plain":  # where something trains it is taken, and so where it is not active
        learner_of(model, 8, 4, first=Phase(epochs=1), second=phase)


def test_a_queue_for_fewer_rows_than_a_batch_has_is_refused() -> None:
    body = torch.nn.Linear(4, 6)
    with pytest.raises(LearnerError) as caught:
        learner_of(model_of(body, objectives={"o": MoCo("body", views="noisy", queue=7)}), 8, 4)
    assert str(caught.value) == (
        "objective 'o': its queue has place for 3 rows of a batch, and batch_size is 4. Give it 8 or more."
    )
    learner_of(model_of(body, objectives={"o": MoCo("body", views="noisy", queue=8)}), 8, 4)
