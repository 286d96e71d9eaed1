"""Every objective that JumpML brings passes the checks that users run on theirs."""

from __future__ import annotations

from dataclasses import dataclass, field
from inspect import isabstract
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch
from torch import nn

import jumpml.objectives
from jumpml.core import Task, ValueInfo
from jumpml.graph import Model, Node
from jumpml.objectives import (
    BYOL,
    CKA,
    CLIP,
    CPC,
    CTC,
    DINO,
    EWC,
    JEPA,
    L1,
    L2,
    L2SP,
    SI,
    VIME,
    BarlowTwins,
    BatchHardTriplet,
    BinaryCrossEntropy,
    Contrastive,
    Corn,
    Cosine,
    CrossEntropy,
    Decorrelation,
    Dice,
    Distillation,
    FixMatch,
    Function,
    GaussianNLL,
    Huber,
    Jacobian,
    KullbackLeibler,
    LatentPrediction,
    LeJEPA,
    LossModule,
    LwF,
    Masked,
    MeanAbsoluteError,
    MeanSquaredError,
    MeanTeacher,
    MoCo,
    NextToken,
    NextValue,
    NTXent,
    ObjectiveModule,
    Orthogonality,
    PoissonNLL,
    PositionDistillation,
    Pretext,
    PseudoLabel,
    Quantile,
    Ranking,
    SimSiam,
    SupervisedContrastive,
    SwAV,
    TotalVariation,
    Triplet,
    TS2Vec,
    VICReg,
    reduce,
)
from jumpml.testing import check_objective

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

ROWS = 6
PAIR = ("out", "target")
TRIO = ("a", "b", "c")


@dataclass(frozen=True)
class Case:
    make: Callable[[], ObjectiveModule]
    draw: Callable[[], tuple[Tensor, ...]] = tuple
    options: dict[str, Any] = field(default_factory=dict)


def normal(*shape: int) -> Tensor:
    return torch.randn(ROWS, *shape)


def codes(count: int, *shape: int) -> Tensor:
    return torch.randint(count, (ROWS, *shape))


def numbers() -> tuple[Tensor, ...]:
    return normal(2), normal(2)


def slow_numbers() -> tuple[Tensor, ...]:
    return *numbers(), normal(4), normal(4)


def parameters() -> dict[str, Any]:
    return {"parameters": dict(nn.Conv1d(2, 3, 3).named_parameters())}


def hidden(*shape: int) -> Tensor:
    """Some elements of each row but the last."""
    drawn = torch.rand(ROWS, *shape) < 0.5
    drawn[:-1].flatten(1)[:, 0], drawn[-1] = True, False
    return drawn


TOLD = {"fields": ["target.hidden", "target.whole"]}
LABEL = torch.tensor([0, 1, 0, 2, 1, 0])
WEIGHTS = [1.0, 2.0, 0.5]
CASES = {
    "cross_entropy": Case(lambda: CrossEntropy(PAIR, class_weights=WEIGHTS), lambda: (normal(3), codes(3))),
    "cross_entropy_focal": Case(
        lambda: CrossEntropy(PAIR, focal=2, label_smoothing=0.1), lambda: (normal(3, 4), codes(3, 4))
    ),
    "cross_entropy_at_positions": Case(lambda: CrossEntropy(PAIR), lambda: (normal(3, 2, 2), codes(3, 2, 2))),
    "binary": Case(lambda: BinaryCrossEntropy(PAIR, positive_weight=2.0), lambda: (normal(1), codes(2))),
    "binary_focal": Case(lambda: BinaryCrossEntropy(PAIR, focal=1.5), lambda: (normal(3), codes(2, 3).float())),
    "corn": Case(lambda: Corn(PAIR), lambda: (normal(2), codes(3))),
    "mse": Case(lambda: MeanSquaredError(PAIR), numbers),
    "mae": Case(lambda: MeanAbsoluteError(PAIR), numbers),
    "huber": Case(lambda: Huber(PAIR, delta=0.5), numbers),
    "gaussian_nll": Case(lambda: GaussianNLL(TRIO), lambda: (*numbers(), normal(2))),
    "poisson_nll": Case(lambda: PoissonNLL(PAIR), lambda: (normal(1), codes(5, 1).float())),
    "quantile": Case(lambda: Quantile(PAIR), lambda: (normal(6), normal(2))),
    "kl": Case(lambda: KullbackLeibler(PAIR), lambda: (normal(4), normal(4).softmax(1))),
    "kl_of_logits": Case(lambda: KullbackLeibler(PAIR, target="logits"), lambda: (normal(4, 2), normal(4, 2))),
    "ctc": Case(lambda: CTC(PAIR), lambda: (normal(7, 4), torch.tensor([[1, 2, 0], [3, 3, 1], [2, 0, 0]] * 2))),
    "dice": Case(lambda: Dice(PAIR), lambda: (normal(3, 2, 2), codes(3, 2, 2))),
    "cosine": Case(lambda: Cosine(PAIR), numbers),
    "contrastive": Case(lambda: Contrastive(TRIO), lambda: (*numbers(), codes(2))),
    "supervised_contrastive": Case(lambda: SupervisedContrastive(PAIR, temperature=0.5), lambda: (normal(3), LABEL)),
    "supervised_contrastive_on_views": Case(
        lambda: SupervisedContrastive(PAIR, temperature=0.5, views="v"), lambda: (normal(3), normal(3), LABEL, LABEL)
    ),
    "triplet": Case(lambda: Triplet(TRIO), lambda: (*numbers(), normal(2))),
    "batch_hard_triplet": Case(lambda: BatchHardTriplet(PAIR), lambda: (normal(3), LABEL)),
    "ranking": Case(lambda: Ranking(PAIR), lambda: (normal(1), normal(1))),
    "ranking_in_groups": Case(
        lambda: Ranking(TRIO, margin=0.5), lambda: (normal(1), normal(1), LABEL), {"fields": ["b", "c"]}
    ),
    "cka": Case(lambda: CKA(PAIR), lambda: (normal(3), normal(2, 2))),
    "decorrelation": Case(lambda: Decorrelation("out"), lambda: (normal(3),)),
    "decorrelation_of_two": Case(lambda: Decorrelation(PAIR), lambda: (normal(3), normal(2))),
    "vicreg": Case(lambda: VICReg("out", views="v", projector=(3,)), numbers),
    "nt_xent": Case(lambda: NTXent("out", views="v", projector=(3,)), numbers),
    "clip": Case(lambda: CLIP(PAIR), numbers, {"fields": ["out", "target"]}),
    "barlow_twins": Case(lambda: BarlowTwins("out", views="v", projector=(3,)), numbers),
    # its targets have no gradient: test_objectives_two_views.py has it
    "simsiam": Case(lambda: SimSiam("out", views="v", projector=(3,)), numbers, {"without": ["gradient"]}),
    "byol": Case(lambda: following(BYOL("out", views="v", projector=(3,))), slow_numbers, {"fields": ["x"]}),
    "moco": Case(lambda: following(MoCo("out", views="v", projector=(3,), queue=16)), slow_numbers, {"fields": ["x"]}),
    "dino": Case(
        lambda: following(DINO("out", views=("v", "w"), crops=(2, 1), projector=(3,), prototypes=5)),
        lambda: (*numbers(), normal(2), normal(4), normal(4), normal(4)),
        {"fields": ["x"]},
    ),
    "swav": Case(
        lambda: SwAV("out", views=("v", "w"), crops=(2, 1), projector=(3,), prototypes=5),
        lambda: (*numbers(), normal(2)),
        {"without": ["gradient"]},  # likewise its assignments: test_objectives_slow_views.py
    ),
    "lejepa": Case(lambda: LeJEPA("out", views="v", projector=(3,), slices=8), numbers),
    "masked": Case(
        lambda: Masked(PAIR, views="v", normalize=True), lambda: (normal(5), hidden(1, 4, 4), normal(1, 4, 4)), TOLD
    ),
    "masked_patches": Case(
        lambda: Masked(PAIR, views="v", decoder=(), layers=1, heads=2),
        lambda: (normal(4, 6), hidden(2, 4, 4), normal(2, 4, 4)),
        TOLD,
    ),
    "masked_map": Case(
        lambda: Masked(PAIR, views="v"), lambda: (normal(3, 2, 1), hidden(1, 4, 4), normal(1, 4, 4)), TOLD
    ),
    "vime": Case(
        lambda: VIME(PAIR, views="v", decoder=(4,)),
        lambda: (normal(4), normal(3), hidden(3), normal(3)),
        {"fields": ["target", "target.hidden", "target.whole"]},
    ),
    "pretext": Case(lambda: Pretext(PAIR, views="v", answers=4), lambda: (normal(4), codes(4)), {}),
    "l1": Case(lambda: L1("out"), lambda: (normal(2, 2),)),
    "l2": Case(lambda: L2("out"), lambda: (normal(2, 2),)),
    "orthogonality": Case(lambda: Orthogonality("out"), lambda: (normal(3, 2),)),
    "total_variation": Case(lambda: TotalVariation("out"), lambda: (normal(2, 3, 2),)),
    "total_variation_of_steps": Case(lambda: TotalVariation("out", axes=(0,)), lambda: (normal(4, 2),)),
    "l1_of_parameters": Case(lambda: L1(parameters_of="all"), options=parameters()),
    "l2_of_parameters": Case(lambda: L2(parameters_of="all"), options=parameters()),
    "orthogonality_of_parameters": Case(lambda: Orthogonality(parameters_of="all"), options=parameters()),
    "total_variation_of_parameters": Case(lambda: TotalVariation(parameters_of="all"), options=parameters()),
    "ewc": Case(lambda: EWC("all"), options=parameters()),
    "si": Case(lambda: SI("all"), options=parameters()),
    "l2_sp": Case(lambda: L2SP("all"), options=parameters()),
    "lwf": Case(lambda: forgetting("out"), lambda: (normal(3), normal(4)), {"fields": ["x"]}),
    "lwf_of_a_node": Case(lambda: forgetting("body"), lambda: (normal(5), normal(4)), {"fields": ["x"]}),
    "pseudo_label": Case(lambda: PseudoLabel("out", threshold=0.4, kind="multiclass"), lambda: (normal(3),)),
    "pseudo_label_without_label": Case(
        lambda: PseudoLabel(PAIR, threshold=0.6, kind="multilabel"),
        lambda: (normal(3), torch.tensor([True, False, False] * 2)),
    ),
    "fixmatch": Case(
        lambda: FixMatch("out", views=("a", "b"), threshold=0.4, temperature=0.5, kind="multiclass"),
        lambda: (normal(3), normal(3)),
    ),
    "mean_teacher": Case(
        lambda: followed(MeanTeacher("out", views="v")),
        lambda: (normal(3), normal(3), normal(4), normal(4)),
        {"fields": ["x"]},
    ),
    "latent_prediction": Case(
        lambda: foretelling(LatentPrediction(("out", "x"), views="v")),
        lambda: (normal(4, 3), codes(2, 4, 2) > 0, normal(4, 2), normal(4, 2)),
        {"fields": ["x.hidden", "x.whole", "x"]},
    ),
    "jepa": Case(
        lambda: foretelling(JEPA(("out", "x"), views="v", width=4, depth=1, heads=2, beta=0)),
        lambda: (normal(4, 3), codes(2, 4, 2) > 0, normal(4, 2), normal(4, 2)),
        {"fields": ["x.hidden", "x.whole", "x"]},
    ),
    "ts2vec": Case(lambda: TS2Vec("out", views="v"), lambda: (normal(5, 3), normal(5, 3))),
    "cpc": Case(lambda: CPC(PAIR, ahead=2), lambda: (normal(5, 3), normal(5, 2)), {"fields": []}),
    "next_value": Case(lambda: NextValue(PAIR, horizon=2), lambda: (normal(5, 3), normal(5, 2))),
    "next_token": Case(lambda: NextToken(PAIR, vocabulary=4), lambda: (normal(5, 3), codes(4, 5))),
    "distillation": Case(lambda: Distillation(PAIR, kind="multiclass"), lambda: (normal(3), normal(3))),
    "position_distillation": Case(
        lambda: PositionDistillation(TRIO, kind="segmentation"), lambda: (normal(3, 4), normal(3, 4), codes(3, 4))
    ),
    "module": Case(lambda: LossModule(nn.SmoothL1Loss(), PAIR), lambda: (normal(1), normal())),
    "module_of_classes": Case(lambda: LossModule(nn.CrossEntropyLoss(), PAIR), lambda: (normal(3), codes(3))),
    "module_of_the_batch": Case(lambda: LossModule(Whole(), PAIR), numbers),
    "function": Case(lambda: Function(torch.nn.functional.mse_loss, PAIR, args={"reduction": "none"}), numbers),
    "function_of_the_batch": Case(lambda: Function(nn.functional.mse_loss, PAIR, per_example=False), numbers),
}


def forgetting(output: str) -> LwF:
    """An objective of a model, which has been consolidated."""
    nodes = {"body": Node(nn.Linear(4, 5), "x"), "out": Node(nn.Linear(5, 3), "body")}
    model = Model(
        inputs={"x": ValueInfo(shape=(4,))},
        nodes=nodes,
        tasks={"out": Task(kind="multiclass", output="out", target="y")},
        objectives={"before": LwF(output)},
    )
    before = cast("LwF", model.objectives["before"])
    before.consolidate(model)
    return before


def followed(objective: MeanTeacher) -> MeanTeacher:
    """An objective of a model, of which it holds a slow copy."""
    Model(
        inputs={"x": ValueInfo(shape=(4,))},
        nodes={"body": Node(nn.Linear(4, 5), "x"), "out": Node(nn.Linear(5, 3), "body")},
        tasks={"out": Task(kind="multiclass", output="out", target="y")},
        objectives={"slow": objective},
    )
    return objective


def following(objective: ObjectiveModule) -> ObjectiveModule:
    """An objective of a model, with a slow copy of it."""
    Model(
        inputs={"x": ValueInfo(shape=(4,))},
        nodes={"out": Node(nn.Linear(4, 2), "x")},
        objectives={"agree": objective},
    )
    return objective


def foretelling(objective: ObjectiveModule) -> ObjectiveModule:
    """An objective of a model of steps, of which it holds a slow copy."""
    nodes = {"out": Node(nn.Linear(2, 3), "x")}
    Model(inputs={"x": ValueInfo(shape=(4, 2))}, nodes=nodes, objectives={"o": objective})
    return objective


class Whole(nn.Module):
    """A loss of the whole batch with a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (self.scale * prediction - target).square().mean()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_it_conforms(case: Case) -> None:
    torch.manual_seed(0)
    check_objective(case.make(), case.draw(), **case.options)


# What can be a table of the data: vectors of numbers that are no predictions.
PREDICTED = {"logits", "prediction", "mean", "log_variance", "log_rate", "student"}
GAPPED = [
    (name, place)
    for name, case in CASES.items()
    for place, value in enumerate(case.draw())
    if value.is_floating_point() and value.ndim == 2 and value.shape[1] > 1
    if not isinstance(case.make(), LwF)  # which reads what nodes read, where no gap is
    if not case.make().views and not {*case.make().roles[place : place + 1]} & PREDICTED
]


@pytest.mark.parametrize(("name", "place"), GAPPED)
def test_missing_elements_of_a_tables_rows_reach_neither_loss_nor_gradient(name: str, place: int) -> None:
    torch.manual_seed(0)
    objective, values = CASES[name].make(), list(CASES[name].draw())
    values[place][0, 0] = torch.nan
    told = [
        ValueInfo(shape=tuple(value.shape[1:]), dtype=str(value.dtype).removeprefix("torch."), gaps=at == place)
        for at, value in enumerate(values)
    ]
    objective.connect(told, {})
    leaves = [value.requires_grad_() for at, value in enumerate(values) if at != place and value.is_floating_point()]
    total = reduce(objective(*values))
    assert bool(total.isfinite())
    gradients = torch.autograd.grad(total, leaves, allow_unused=True) if leaves and total.requires_grad else ()
    assert all(gradient is None or bool(gradient.isfinite().all()) for gradient in gradients)


def test_every_objective_is_in_the_table() -> None:
    made = {type(case.make()) for case in CASES.values()}
    exported = {getattr(jumpml.objectives, name) for name in jumpml.objectives.__all__}
    known = {x for x in exported if isinstance(x, type) and issubclass(x, ObjectiveModule) and not isabstract(x)}
    # what a Jacobian reads depend on each other, which no two given tensors do: test_objectives_between.py has it
    assert known - {Jacobian} <= made
