"""Closed forms and torch's own values of the further families, and the texts of what is refused."""

from __future__ import annotations

from math import log
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import jumpml
from jumpml.core import ModelSpec, ObjectiveError, SpecError, ValueInfo, load_spec
from jumpml.objectives import (
    CTC,
    L1,
    L2,
    BatchHardTriplet,
    Cosine,
    Dice,
    Function,
    GaussianNLL,
    Huber,
    KullbackLeibler,
    LossModule,
    MeanAbsoluteError,
    ObjectiveModule,
    Orthogonality,
    PoissonNLL,
    Ranking,
    TotalVariation,
    Triplet,
    build_objectives,
    reduce,
)

PAIR = ("out", "target")
TRIO = ("a", "b", "c")
LOG3 = log(3)


@pytest.mark.parametrize(
    ("objective", "inputs", "expected"),
    [
        (MeanAbsoluteError(PAIR), ([[1.0, 2.0]], [[0.0, 4.0]]), [1.5]),
        # half the square below delta, delta (d - delta / 2) above
        (Huber(PAIR, delta=2), ([[1.0], [5.0]], [[0.0], [0.0]]), [0.5, 8.0]),
        # from p = (1/4, 3/4) to the uniform distribution, as a divergence from the target
        (KullbackLeibler(PAIR), ([[0.0, 0.0]], [[0.25, 0.75]]), [0.25 * log(0.5) + 0.75 * log(1.5)]),
        (
            KullbackLeibler(PAIR, target="logits"),
            ([[0.0, 0.0]], [[0.0, LOG3]]),
            [0.25 * log(0.5) + 0.75 * log(1.5)],
        ),
        (Cosine(PAIR), ([[1.0, 0.0], [1.0, 0.0]], [[3.0, 0.0], [-1.0, 0.0]]), [0.0, 2.0]),
        # a right pixel and a wrong one for each class: 1 - (2 * 0.5 + 1) / (1 + 1 + 1), on probabilities of a half
        (Dice(PAIR), ([[[0.0, 0.0], [0.0, 0.0]]], [[0, 1]]), [1 - 2 / 3]),
        (Triplet(TRIO, margin=1), ([[0.0, 0.0]], [[3.0, 4.0]], [[0.0, 2.0]]), [4.0]),
        # two rows of class 0 at distance 1, a stranger at 3 and at 2
        (BatchHardTriplet(PAIR, margin=2), ([[0.0], [1.0], [3.0]], [0, 0, 1]), (0.0 + 1.0) / 2),
        (Ranking(PAIR), ([[0.0], [LOG3]], [[1.0], [0.0]]), log(4)),
        (Ranking(TRIO, margin=1.0), ([0.0, 5.0, 0.5], [1.0, 0.0, 0.0], [0, 1, 0]), 1.5),
        (Orthogonality("out"), ([[[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [0.0, 1.0]]],), [0.0, 9 / 4]),
        # three vectors in a plane: its columns (1, 0, 1) and (0, 1, 0) have the squares 2 and 1
        (Orthogonality("out"), ([[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]],), [1 / 4]),
        (TotalVariation("out"), ([[[1.0, 3.0, 2.0]]],), [1.5]),
        (TotalVariation("out", axes=(0,)), ([[[1.0, 5.0], [3.0, 4.0]]],), [1.5]),
        (Function(lambda x: x.square(), "out"), ([[1.0, 3.0]],), [5.0]),
        (Function(lambda x, by: (x / by).mean(), "out", args={"by": 2}, per_example=False), ([[1.0], [3.0]],), 1.0),
    ],
)
def test_golden_table(objective: ObjectiveModule, inputs: tuple[Any, ...], expected: Any) -> None:
    torch.testing.assert_close(objective(*map(torch.tensor, inputs)).value, torch.tensor(expected))


def test_likelihoods_are_torchs_with_all_constants() -> None:
    g = torch.Generator().manual_seed(0)
    mean, log_variance, target = (torch.randn(5, 2, generator=g) for _ in range(3))
    expected = F.gaussian_nll_loss(mean, target, log_variance.exp(), full=True, reduction="none")
    torch.testing.assert_close(GaussianNLL(TRIO)(mean, log_variance, target).value, expected.mean(1))
    normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
    torch.testing.assert_close(GaussianNLL(TRIO)(mean, log_variance, target).value, -normal.log_prob(target).mean(1))
    counts = torch.tensor([[0.0], [1.0], [7.0], [2.0], [3.0]])
    poisson = torch.distributions.Poisson(mean[:, :1].exp())
    torch.testing.assert_close(PoissonNLL(PAIR)(mean[:, :1], counts).value, -poisson.log_prob(counts)[:, 0])


def test_ctc_is_torchs_mean() -> None:
    logits = torch.randn(3, 8, 5, generator=torch.Generator().manual_seed(0))
    sequence, lengths = torch.tensor([[1, 2, 0], [4, 4, 3], [2, 0, 0]]), torch.tensor([2, 3, 1])
    paths = logits.log_softmax(2).transpose(0, 1)
    expected = F.ctc_loss(paths, sequence, torch.full((3,), 8), lengths)  # over each length, then over rows
    torch.testing.assert_close(reduce(CTC(PAIR)(logits, sequence)), expected)


@pytest.mark.parametrize("module", [nn.SmoothL1Loss(), nn.MSELoss(), nn.HuberLoss(delta=0.3), nn.SoftMarginLoss()])
def test_a_module_of_torchs_has_its_own_mean_over_rows(module: nn.Module) -> None:
    prediction, target = torch.randn(6, 3), torch.randn(6, 3).sign()
    torch.testing.assert_close(reduce(LossModule(module, PAIR)(prediction, target)), module(prediction, target))
    assert module.reduction == "mean"  # the user's own is left as it was


def test_penalties_on_parameters_are_means_over_all_of_them() -> None:
    layer = nn.Conv1d(2, 3, 2)
    parameters = dict(layer.named_parameters())
    flat = torch.cat([p.flatten() for p in layer.parameters()])
    for objective, expected in (
        (L1(parameters_of="all"), flat.abs().mean()),
        (L2(parameters_of="all"), flat.square().mean()),
        (TotalVariation(parameters_of="all"), layer.weight.diff(dim=2).abs().mean()),
    ):
        objective.connect([], parameters)
        torch.testing.assert_close(objective().value, expected)
    rows = layer.weight.flatten(1)
    objective = Orthogonality(parameters_of="all")
    objective.connect([], parameters)
    torch.testing.assert_close(objective().value, (rows @ rows.T - torch.eye(3)).square().mean())


def test_the_orthogonality_of_an_orthogonal_layer_is_nothing() -> None:
    layer = nn.init.orthogonal_(torch.empty(5, 3))
    objective = Orthogonality(parameters_of="all")
    objective.connect([], {"w": nn.Parameter(layer)})
    assert float(objective().value.detach()) < 1e-10


def test_the_targets_of_a_divergence_get_no_gradient() -> None:
    student, teacher = torch.randn(2, 3, requires_grad=True), torch.randn(2, 3, requires_grad=True)
    reduce(KullbackLeibler(PAIR, target="logits")(student, teacher)).backward()
    assert student.grad is not None
    assert teacher.grad is None


# --- refusals ---------------------------------------------------------------------------------------------------------


def info(*shape: int, dtype: str = "float32") -> ValueInfo:
    return ValueInfo(shape=shape, dtype=dtype)


@pytest.mark.parametrize(
    ("objective", "values", "text"),
    [
        (
            MeanAbsoluteError(PAIR),
            [info(3), info(dtype="int64")],
            "MeanAbsoluteError: expected target as float32; 'target' is [batch] int64. For classes take kind: "
            "multiclass or binary.",
        ),
        (
            GaussianNLL(TRIO),
            [info(1), info(2), info(1)],
            "GaussianNLL: expected log_variance as [batch, 1] float32 like 'c'; 'b' is [batch, 2] float32. "
            "Give 'b' the "
            "target's shape.",
        ),
        (
            PoissonNLL(PAIR),
            [info(2), info(1)],
            "PoissonNLL: expected log_rate as [batch, 1] float32 like 'target'; 'out' is [batch, 2] float32. "
            "Give 'out' "
            "the target's shape.",
        ),
        (
            KullbackLeibler(PAIR),
            [info(3), info(dtype="int64")],
            "KullbackLeibler: expected target as one share a class, [batch, 3] float32; 'target' is [batch] int64. For "
            "class codes take kind: cross_entropy.",
        ),
        (
            CTC(PAIR),
            [info(4), None],
            "CTC: expected logits as [batch, steps, codes] float32; 'out' is [batch, 4] float32. The blank is code 0; "
            "give the last axis one place a code.",
        ),
        (
            CTC(PAIR),
            [info(4, 3), info(9, dtype="int64")],
            "CTC: expected logits as at least 9 steps, one a label; 'out' is [batch, 4, 3] float32. Give the network "
            "more steps, or shorten the sequences.",
        ),
        (
            CTC(PAIR),
            [ValueInfo(shape=(4, 3)), ValueInfo(shape=(2,), dtype="int64", classes=5)],
            "CTC: expected logits as 5 codes, as 'target' has; 'out' is [batch, 4, 3] float32. Make it wider.",
        ),
        (
            Dice(PAIR),
            [ValueInfo(shape=(3, 4, 4)), ValueInfo(shape=(4, 4), dtype="int64", classes=5)],
            "Dice: expected logits as 5 classes, as 'target' has; 'out' is [batch, 3, 4, 4] float32. "
            "Give it 5 channels.",
        ),
        (
            Dice(PAIR),
            [info(3), None],
            "Dice: expected logits as [batch, classes, *] float32 with two classes or more; 'out' is [batch, "
            "3] float32. "
            "It measures regions; for one class a row take kind: cross_entropy.",
        ),
        (
            Dice(PAIR),
            [info(3, 4, 4), info(8, 8, dtype="int64")],
            "Dice: expected target as class codes [batch, *] int64 at the positions of 'out', [batch, 3, 4, 4] "
            "float32; "
            "'target' is [batch, 8, 8] int64. Use a mask of their size.",
        ),
        (
            Cosine(PAIR),
            [info(3), info(4)],
            "Cosine: expected first as float32 like 'target', [batch, 4] float32; 'out' is [batch, 3] float32. "
            "Give both "
            "one width.",
        ),
        (
            Triplet(TRIO),
            [info(3), info(3), info(4)],
            "Triplet: expected other as float32 like 'a', [batch, 3] float32; 'c' is [batch, 4] float32. Give "
            "all three "
            "one width.",
        ),
        (
            BatchHardTriplet(PAIR),
            [info(3), info(1)],
            "BatchHardTriplet: expected label as class codes [batch] int64; 'target' is [batch, 1] float32. Use a "
            "category field without features.",
        ),
        (
            Ranking(PAIR),
            [info(2), None],
            "Ranking: expected score as [batch] or [batch, 1] float32; 'out' is [batch, 2] float32. Use a linear node "
            "with one output.",
        ),
        (
            Orthogonality("out"),
            [info(4)],
            "Orthogonality: expected activation as [batch, vectors, width] float32; 'out' is [batch, 4] "
            "float32. For the "
            "features of a vector take kind: decorrelation.",
        ),
        (
            TotalVariation("out"),
            [info(4)],
            "TotalVariation: expected activation as [batch, channels, *space]; 'out' is [batch, 4] float32. "
            "Say with axes "
            "where neighbours lie.",
        ),
        (
            TotalVariation("out", axes=(1,)),
            [info(4, 1)],
            "TotalVariation: expected activation as two places or more along axes [1]; 'out' is [batch, 4, 1] float32. "
            "Say with axes where neighbours lie.",
        ),
        (
            LossModule(nn.TripletMarginLoss(), PAIR),
            [info(3), info(3)],
            "LossModule: torch.nn.modules.loss.TripletMarginLoss cannot be computed on 'out' [batch, 3] float32, "
            "'target' [batch, 3] float32. TypeError: TripletMarginLoss.forward() missing 1 required positional "
            "argument: "
            "'negative'.",
        ),
        (
            Function(torch.sum, "out"),
            [info(3)],
            "Function: sum cannot be computed on 'out' [batch, 3] float32. ObjectiveError: Function: expected "
            "one loss a "
            "row, [2] or [2, *], from sum; got []. For one of the whole batch say per_example=False.",
        ),
        (
            Function(torch.abs, "out", per_example=False),
            [info(3)],
            "Function: abs cannot be computed on 'out' [batch, 3] float32. ObjectiveError: Function: expected one loss "
            "of the whole batch from abs, a scalar; got [2, 3].",
        ),
        (
            Function(lambda x: 0.0, "out"),
            [info(3)],
            "Function: <lambda> cannot be computed on 'out' [batch, 3] float32. ObjectiveError: Function: expected a "
            "tensor from <lambda>, got a float.",
        ),
    ],
)
def test_what_does_not_fit_is_refused(objective: ObjectiveModule, values: list[ValueInfo | None], text: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        objective.connect(values, {})
    assert str(caught.value) == text


def test_parameters_that_a_penalty_is_not_made_for_are_named() -> None:
    text = (
        r"TotalVariation: the nodes that it names have no parameters that it is made for; there are: weight \[2, 3\]."
    )
    with pytest.raises(ObjectiveError, match=text):
        TotalVariation(parameters_of="all").connect([], dict(nn.Linear(3, 2, bias=False).named_parameters()))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Huber(PAIR, delta=0), "Huber: expected a delta above 0, got 0."),
        (
            lambda: KullbackLeibler(PAIR, target="shares"),
            "KullbackLeibler: expected target as 'probabilities' or 'logits', got 'shares'.",
        ),
        (lambda: CTC(PAIR, blank=-1), "CTC: expected blank as a code of 0 or more, got -1."),
        (lambda: Dice(PAIR, smooth=0), "Dice: expected smooth above 0, got 0."),
        (lambda: Triplet(TRIO, margin=0), "Triplet: expected a margin above 0, got 0."),
        (lambda: BatchHardTriplet(PAIR, margin=0), "BatchHardTriplet: expected a margin above 0, got 0."),
        (lambda: Ranking(PAIR, margin=0), "Ranking: expected a margin above 0, got 0."),
        (lambda: Ranking("a"), "Ranking: expected 2 to 3 inputs (score, target, group), got 1."),
        (L1, "L1: expected a node whose output, or whose parameters, it is a penalty on; got neither."),
        (
            lambda: L2("out", parameters_of="out"),
            "L2: expected a node whose output, or whose parameters, it is a penalty on; got both.",
        ),
        (
            lambda: TotalVariation("out", axes=(-1,)),
            "TotalVariation: expected axes of 0 or more, such as [0] for steps before channels; got [-1].",
        ),
        (
            lambda: TotalVariation(parameters_of="all", axes=(1,)),
            "TotalVariation: axes are those of a node's output; of parameters it is all but the first two.",
        ),
        (
            lambda: LossModule(F.mse_loss, PAIR),  # type: ignore[arg-type]
            "LossModule: expected an nn.Module, got a function. For a function take Function.",
        ),
        (
            lambda: LossModule(nn.MSELoss(reduction="sum"), PAIR),
            "LossModule: rows are averaged, so that no loss grows with the batch; leave reduction='sum' out.",
        ),
        (
            lambda: LossModule(nn.KLDivLoss(reduction="batchmean"), PAIR),
            "LossModule: a row's elements are averaged too; leave reduction='batchmean' out, or take kind: kl.",
        ),
        (lambda: LossModule(nn.MSELoss(), ()), "LossModule: expected the names of what it reads, got none."),
        (lambda: Function(3, "out"), "Function: expected a function of tensors, got a int."),  # type: ignore[arg-type]
    ],
)
def test_wrong_options_are_refused(make: Any, text: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        make()
    assert str(caught.value) == text


# --- through files ----------------------------------------------------------------------------------------------------

NODES = {
    "out": {"module": "torch.nn.LazyLinear", "inputs": "x", "args": {"out_features": 1}},
    "code": {"module": "torch.nn.LazyLinear", "inputs": "x", "args": {"out_features": 4}},
}
IRIS = {
    "datasets": {
        "iris": {
            "source": {"kind": "sklearn", "name": "diabetes"},
            "fields": {
                "x": {"kind": "tensor", "column": "data", "shape": [10]},
                "y": {"kind": "number", "column": "target"},
            },
        }
    }
}


def write_losses(folder: Any) -> None:
    package = folder / "my_losses"
    package.mkdir()
    (package / "__init__.py").write_text("def log_cosh(p, t, by=1.0):\n    return ((p - t) / by).cosh().log()\n")


def load(objectives: dict[str, Any], trust: tuple[str, ...] = (), **task: Any) -> Any:
    task = {"kind": "regression", "output": "out", "target": "y"} | task
    nodes = {name: node for name, node in NODES.items() if name == "out" or "calm" in objectives}
    spec = {"nodes": nodes, "tasks": {"y": task}, "objectives": objectives, "seed": 0}
    return jumpml.load_model(spec, jumpml.create_dataloader(IRIS), trust=trust)


def test_a_loss_of_torchs_comes_by_its_name() -> None:
    module = {"kind": "module", "module": "torch.nn.SmoothL1Loss", "args": {"beta": 0.5}, "inputs": ["out", "y"]}
    model = load({"smooth": module})
    batch = next(iter(jumpml.create_dataloader(IRIS).train.plain()))
    expected = F.smooth_l1_loss(model(batch)["y"], batch["y"], beta=0.5)
    torch.testing.assert_close(model.losses(batch)["smooth"].mean(), expected)


def test_a_trusted_function_is_a_loss(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write_losses(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    function = {"kind": "function", "function": "my_losses:log_cosh", "args": {"by": 100.0}, "inputs": ["out", "y"]}
    model = load({"soft": function}, trust=("my_losses",))
    batch = next(iter(jumpml.create_dataloader(IRIS).train.plain()))
    expected = ((model(batch)["y"] - batch["y"]) / 100).cosh().log()[:, 0]
    torch.testing.assert_close(model.losses(batch)["soft"], expected)
    with pytest.raises(SpecError, match=r"objectives\.soft: 'my_losses:log_cosh' is outside the trusted packages"):
        load({"soft": function})


@pytest.mark.parametrize(
    ("objective", "text"),
    [
        ({"module": "os.system"}, "'os.system' is outside the trusted packages (torch.nn, jumpml)."),
        ({"module": "torch.nn.SmothL1Loss"}, "'torch.nn' has no 'SmothL1Loss'. Did you mean 'SmoothL1Loss'"),
        (
            {"module": "torch.nn.SmoothL1Loss", "args": {"gamma": 1}},
            "torch.nn.modules.loss.SmoothL1Loss does not take these arguments. TypeError: ",
        ),
        ({"kind": "function", "function": "os:system"}, "'os:system' is outside the trusted packages (none)."),
    ],
)
def test_a_loss_that_cannot_be_made_is_refused_at_its_place(objective: dict[str, Any], text: str) -> None:
    with pytest.raises(SpecError) as caught:
        load({"odd": {"kind": "module", "inputs": ["out", "y"]} | objective})
    assert f"objectives.odd: {text}" in str(caught.value)


def test_the_weights_of_a_loss_follow_the_models_seed() -> None:
    loss = {
        "kind": "module",
        "module": "torch.nn.Linear",
        "args": {"in_features": 4, "out_features": 1},
        "inputs": "code",
    }
    spec = load_spec(ModelSpec, {"nodes": NODES, "objectives": {"odd": loss}, "seed": 3})
    state = torch.get_rng_state()
    first, second = (build_objectives(spec)["odd"] for _ in range(2))
    assert torch.equal(first.module.weight, second.module.weight)  # type: ignore[attr-defined]
    assert torch.equal(state, torch.get_rng_state())


def test_a_task_may_take_another_objective_that_fits() -> None:
    assert isinstance(load({}, objective={"kind": "huber", "delta": 3.0}).objectives["y"], Huber)
    assert isinstance(load({}, objective={"kind": "mae"}).objectives["y"], MeanAbsoluteError)
    smooth = {"kind": "module", "module": "torch.nn.SmoothL1Loss", "args": {"beta": 0.5}, "weight": 2}
    own = load({}, objective=smooth).objectives["y"]
    assert isinstance(own, LossModule)
    assert (own.inputs, own.weight, own.module.beta) == (("out", "y"), 2.0, 0.5)


def test_a_segmentation_may_take_dice() -> None:
    nodes = {"pixels": {"module": "torch.nn.Identity", "inputs": "x"}}
    own = {"kind": "dice", "smooth": 0.5, "weight": 2}
    tasks = {"parts": {"kind": "segmentation", "output": "pixels", "target": "mask", "objective": own}}
    objective = build_objectives(load_spec(ModelSpec, {"nodes": nodes, "tasks": tasks}))["parts"]
    assert isinstance(objective, Dice)
    assert (objective.smooth, objective.weight, objective.inputs) == (0.5, 2.0, ("pixels", "mask"))


@pytest.mark.parametrize(
    ("objective", "text"),
    [
        ({"kind": "hubert"}, "objective.kind: 'hubert' does not fit a regression task. Did you mean 'huber'?"),
        (
            {"kind": "cross_entropy"},
            "objective.kind: 'cross_entropy' does not fit a regression task. There is: function, huber, mae, "
            "module, mse.",
        ),
        (
            {"kind": "huber", "focal": 2},
            "objective.focal is an option of cross_entropy and binary_cross_entropy; the objective of this regression "
            "task is huber.",
        ),
        ({"delta": 2}, "objective.delta is an option of huber; the objective of this regression task is mse."),
        ({"kind": "module"}, "objective.module is missing; kind: module needs it."),
    ],
)
def test_an_objective_that_does_not_fit_a_task_is_refused(objective: dict[str, Any], text: str) -> None:
    with pytest.raises(SpecError) as caught:
        load({}, objective=objective)
    assert text in str(caught.value)


def test_a_penalty_is_on_a_node_or_on_parameters() -> None:
    model = load({"small": {"kind": "l2", "parameters": "code"}, "calm": {"kind": "l1", "inputs": "code"}})
    assert model.objectives["small"].parameters_of == ("code",)
    weights = torch.cat([p.flatten() for p in model.node("code").parameters()])
    batch = next(iter(jumpml.create_dataloader(IRIS).train.plain()))
    torch.testing.assert_close(model.losses(batch)["small"], weights.square().mean())
    with pytest.raises(SpecError, match="expected either inputs, a node's output, or parameters, those of nodes"):
        load({"odd": {"kind": "l2"}})
