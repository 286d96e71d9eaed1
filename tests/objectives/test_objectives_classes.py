"""Class weights, focusing, positions and quantiles: closed forms, and what is refused."""

from __future__ import annotations

from math import log
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import jumpml
from jumpml.core import ObjectiveError, SpecError, ValueInfo
from jumpml.data import Column
from jumpml.objectives import (
    BinaryCrossEntropy,
    Contrastive,
    CrossEntropy,
    ObjectiveModule,
    Quantile,
    SupervisedContrastive,
    reduce,
)

PAIR = ("out", "label")
LOG3 = log(3)  # logits (0, ln 3) are the probabilities (1/4, 3/4)
ROOT = 2**0.5
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=15, deadline=None)


@pytest.mark.parametrize(
    ("objective", "inputs", "expected"),
    [
        (CrossEntropy(PAIR, class_weights=[3, 5]), ([[0.0, LOG3]] * 2, [0, 1]), [3 * log(4), 5 * log(4 / 3)]),
        # Lin et al.: (1 - p)^2 times the loss
        (CrossEntropy(PAIR, focal=2), ([[0.0, LOG3]] * 2, [0, 1]), [0.75**2 * log(4), 0.25**2 * log(4 / 3)]),
        (CrossEntropy(PAIR, focal=1, class_weights=[3, 5]), ([[0.0, LOG3]], [1]), [5 * 0.25 * log(4 / 3)]),
        (
            CrossEntropy(PAIR, focal=1),
            ([[0.0, LOG3]], [[0.5, 0.5]]),
            [0.5 * 0.75 * log(4) + 0.5 * 0.25 * log(4 / 3)],
        ),
        # the mean over the positions whose code is there; the last row has none
        (
            CrossEntropy(PAIR),
            ([[[0.0, 0.0, 0.0], [LOG3, LOG3, LOG3]]] * 2, [[0, 1, -1], [-1, -1, -1]]),
            [(log(4) + log(4 / 3)) / 2, 0.0],
        ),
        (BinaryCrossEntropy(PAIR, focal=2), ([LOG3, LOG3], [0, 1]), [0.75**2 * log(4), 0.25**2 * log(4 / 3)]),
        (BinaryCrossEntropy(PAIR, focal=1, positive_weight=2), ([LOG3], [1]), [2 * 0.25 * log(4 / 3)]),
        # q (t - p) above, (1 - q) (p - t) below, over elements and quantiles
        (Quantile(PAIR, quantiles=(0.25, 0.75)), ([[1.0, 2.0]], [2.0]), [0.25 * 1 / 2]),
        (Quantile(PAIR, quantiles=(0.25,)), ([[5.0], [0.0]], [[1.0], [2.0]]), [0.75 * 4, 0.25 * 2]),
        (Quantile(PAIR, quantiles=(0.5,)), ([[1.0, 2.0]], [[0.0, 4.0]]), [(0.5 + 1.0) / 2]),
        (Contrastive(("a", "b", "s"), margin=2), ([[0.0]] * 3, [[1.0], [1.0], [3.0]], [1, 0, 0]), [1.0, 1.0, 0.0]),
        (Contrastive(("a", "b", "s")), ([[0.0, 0.0]], [[3.0, 4.0]], [[1.0]]), [25.0]),
    ],
)
def test_golden_table(objective: ObjectiveModule, inputs: tuple[Any, ...], expected: list[float]) -> None:
    torch.testing.assert_close(objective(*map(torch.tensor, inputs)).value, torch.tensor(expected))


@few
@given(seed=seeds)
def test_focal_without_focusing_is_torchs_cross_entropy(seed: int) -> None:
    """A power near zero goes through the other formula, and gives torch's value."""
    g = torch.Generator().manual_seed(seed)
    logits, codes = torch.randn(5, 4, 3, generator=g), torch.randint(4, (5, 3), generator=g)
    weights = torch.rand(4, generator=g).tolist()
    kwargs: dict[str, Any] = {"class_weights": weights, "label_smoothing": 0.1}
    focal, plain = (CrossEntropy(PAIR, **kwargs, focal=power)(logits, codes).value for power in (1e-9, 0.0))
    torch.testing.assert_close(focal, plain)


def test_a_sure_row_has_a_finite_gradient_under_focusing() -> None:
    logits = torch.tensor([[100.0, 0.0]], requires_grad=True)
    reduce(CrossEntropy(PAIR, focal=0.5)(logits, torch.tensor([0]))).backward()
    single = torch.tensor([200.0], requires_grad=True)
    reduce(BinaryCrossEntropy(PAIR, focal=0.5)(single, torch.tensor([1]))).backward()
    assert logits.grad is not None and single.grad is not None
    assert logits.grad.isfinite().all() and single.grad.isfinite().all()


def test_a_row_without_any_position_does_not_count() -> None:
    logits = torch.randn(2, 3, 4, requires_grad=True)
    codes = torch.tensor([[0, 1, 2, -1], [-1, -1, -1, -1]])
    loss = CrossEntropy(PAIR)(logits, codes)
    assert loss.present is not None
    assert loss.present.tolist() == [True, False]
    expected = F.cross_entropy(logits[:1, :, :3], codes[:1, :3])
    torch.testing.assert_close(reduce(loss), expected)
    absent = CrossEntropy(PAIR)(logits, codes, present=torch.tensor([False, True]))
    assert absent.present is not None
    assert not absent.present.any()


@few
@given(seed=seeds)
def test_the_least_pinball_loss_is_at_the_quantile(seed: int) -> None:
    """Koenker & Bassett's theorem, on a grid of candidates and the sample's own quantile."""
    sample = torch.randn(101, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    objective = Quantile(PAIR, quantiles=(0.3,)).double()
    best = sample.quantile(0.3)
    candidates = torch.cat([best[None], torch.linspace(-3, 3, 41, dtype=torch.float64)])
    losses = [float(reduce(objective(c.expand(101, 1), sample))) for c in candidates]
    assert losses[0] <= min(losses) + 1e-12


def test_supervised_contrastive_is_the_papers_sum_written_out() -> None:
    g = torch.Generator().manual_seed(0)
    embedding, label = torch.randn(7, 3, generator=g), torch.tensor([0, 1, 0, 2, 1, 0, -1])
    unit = F.normalize(embedding, dim=1)
    rows = []
    for i in range(6):
        others = [j for j in range(6) if j != i]
        total = sum(torch.exp(unit[i] @ unit[j] / 0.5) for j in others)
        same = [j for j in others if label[j] == label[i]]
        if same:
            terms = [torch.log(torch.exp(unit[i] @ unit[j] / 0.5) / total) for j in same]
            rows.append(-torch.stack(terms).mean())
    value = SupervisedContrastive(PAIR, temperature=0.5)(embedding, label).value
    torch.testing.assert_close(value, torch.stack(rows).mean())


def test_supervised_contrastive_takes_draws_of_views_as_rows_of_the_class() -> None:
    first, second, label = torch.randn(4, 3), torch.randn(4, 3), torch.tensor([0, 1, 2, 3])
    drawn = SupervisedContrastive(PAIR, views="strong")(first, second, label, label).value
    joined = SupervisedContrastive(PAIR)(torch.cat([first, second]), torch.cat([label, label])).value
    torch.testing.assert_close(drawn, joined)


def test_absent_rows_of_supervised_contrastive_change_nothing() -> None:
    embedding, label = torch.randn(6, 3), torch.tensor([0, 1, 0, 1, 1, 0])
    present = torch.tensor([True, True, True, True, False, False])
    broken = torch.where(present[:, None], embedding, float("nan")).requires_grad_()
    loss = SupervisedContrastive(PAIR)(broken, label, present=present).value
    loss.backward()
    alone = embedding[:4].clone().requires_grad_()
    expected = SupervisedContrastive(PAIR)(alone, label[:4]).value
    expected.backward()
    assert broken.grad is not None and alone.grad is not None
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(broken.grad[:4], alone.grad)
    assert (broken.grad[4:] == 0).all()


def test_supervised_contrastive_of_rows_without_fellows_is_zero() -> None:
    embedding = torch.randn(3, 2, requires_grad=True)
    loss = SupervisedContrastive(PAIR)(embedding, torch.tensor([0, 1, 2])).value
    loss.backward()
    assert float(loss.detach()) == 0
    assert embedding.grad is not None
    assert embedding.grad.isfinite().all()


# --- weights from the data --------------------------------------------------------------------------------------------

COUNTED = ValueInfo(shape=(), dtype="int64", classes=3, class_counts={"a": 6, "b": 3, "c": 0})


def test_balanced_weights_give_every_class_the_same_say() -> None:
    objective = CrossEntropy(PAIR, class_weights="balanced")
    objective.connect([ValueInfo(shape=(3,)), COUNTED], {})
    assert objective.class_weights is not None
    assert objective.class_weights.tolist() == [9 / (3 * 6), 9 / (3 * 3), 9 / 3]  # a class without rows counts as one
    assert not objective.state_dict()


def test_class_weights_may_be_given_by_name() -> None:
    objective = CrossEntropy(PAIR, class_weights={"c": 4})
    objective.connect([ValueInfo(shape=(3,)), COUNTED], {})
    assert objective.class_weights is not None
    assert objective.class_weights.tolist() == [1, 1, 4]


def test_a_balanced_positive_weight_is_the_negatives_over_the_positives() -> None:
    objective = BinaryCrossEntropy(PAIR, positive_weight="balanced")
    target = ValueInfo(shape=(), dtype="int64", classes=2, class_counts={"no": 30, "yes": 10})
    objective.connect([ValueInfo(shape=(1,)), target], {})
    assert float(objective.positive_weight or 0) == 3.0


def test_balanced_labels_have_each_its_own_negatives_over_positives() -> None:
    objective = BinaryCrossEntropy(PAIR, positive_weight="balanced")
    counts = {"a": 30, "b": 10, "none has": 0, "all have": 40}
    target = ValueInfo(shape=(4,), classes=4, class_counts=counts, counted=40)
    objective.connect([ValueInfo(shape=(4,)), target], {})
    assert objective.positive_weight is not None
    torch.testing.assert_close(objective.positive_weight, torch.tensor([1 / 3, 3.0, 40.0, 1 / 40]))
    # where nothing is known, every label's positives and negatives have one say: logits of 0 have no gradient
    has = torch.zeros(40, 4)
    for place, count in enumerate(counts.values()):
        has[:count, place] = 1
    logits = torch.zeros(40, 4, requires_grad=True)
    reduce(objective(logits, has)).backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad.sum(0)[:2], torch.zeros(2))


def test_balanced_labels_are_counted_in_the_train_rows_that_have_labels() -> None:
    labels = Column(
        torch.tensor([[1.0, 0], [1, 1], [1, 0], [torch.nan] * 2, [0, 0], [1, 1]]), "multilabel", classes=("a", "b")
    )
    known = labels.info("tags", train=torch.arange(5)).value
    assert (known.class_counts, known.counted) == ({"a": 3, "b": 1}, 4)


def iris(**task: Any) -> Any:
    data = jumpml.create_dataloader(
        {
            "datasets": {
                "iris": {
                    "source": {"kind": "sklearn", "name": "iris"},
                    "fields": {
                        "x": {"kind": "tensor", "column": "data", "shape": [4]},
                        "species": {"kind": "category", "column": "target"},
                    },
                    "split": {"stratify": "species", "duplicates": "together"},
                }
            }
        }
    )
    task = {"kind": "multiclass", "output": "out", "target": "species"} | task
    nodes = {"out": {"module": "jumpml.blocks.Head", "inputs": "x"}}
    return data, jumpml.load_model({"nodes": nodes, "tasks": {"species": task}, "seed": 0}, data)


def test_balanced_weights_come_from_the_train_rows_alone() -> None:
    loaders, model = iris(objective={"class_weights": "balanced"})
    codes = torch.cat([batch["species"] for batch in loaders.train.plain()])
    counts = torch.bincount(codes)
    assert [*loaders.fields["species"].value.class_counts.values()] == counts.tolist()
    torch.testing.assert_close(model.objectives["species"].class_weights, len(codes) / (3 * counts).float())


def test_an_unknown_class_is_named_with_its_like() -> None:
    with pytest.raises(SpecError, match=r"class_weights: 'species' has no class 'setos'\. Known: 0, 1, 2|Did you mean"):
        iris(objective={"class_weights": {"setos": 2}})


@pytest.mark.parametrize(
    ("objective", "values", "text"),
    [
        (
            CrossEntropy(PAIR, class_weights="balanced"),
            [ValueInfo(shape=(3,)), None],
            "CrossEntropy: class_weights: 'balanced' needs how many train rows each class has, and nothing is known of "
            "'label'. Give the data to load_model, and take a category as target; or write a list, one weight a class.",
        ),
        (
            CrossEntropy(PAIR, class_weights=[1, 2]),
            [ValueInfo(shape=(3,)), None],
            "CrossEntropy: expected class_weights for 3 classes, as 'out' has; got 2.",
        ),
        (
            CrossEntropy(PAIR),
            [ValueInfo(shape=(3, 8, 8)), ValueInfo(shape=(4, 4), dtype="int64")],
            "CrossEntropy: expected target as class codes [batch, 8, 8] int64; 'label' is [batch, 4, 4] int64. Classes "
            "are the first axis after the batch, and 'out' is [batch, 3, 8, 8] float32.",
        ),
        (
            BinaryCrossEntropy(PAIR, positive_weight="balanced"),
            [ValueInfo(shape=(1,)), ValueInfo(shape=(1,))],
            "BinaryCrossEntropy: positive_weight: 'balanced' needs train rows of both classes of 'label'; there are "
            "none that are known. Give the data to load_model, and take a category of two classes or a multilabel as "
            "target; or write a number.",
        ),
        (
            Quantile(PAIR),
            [ValueInfo(shape=(4,)), ValueInfo(shape=(2,))],
            "Quantile: expected prediction as 2 x 3 numbers a row, 3 quantiles for each of [batch, 2] float32 in "
            "'label'; 'out' is [batch, 4] float32. Use a linear node with 6 outputs.",
        ),
        (
            Quantile(PAIR),
            [ValueInfo(shape=(3,)), ValueInfo(shape=(), dtype="int64")],
            "Quantile: expected target as float32; 'label' is [batch] int64. Classes have no quantiles.",
        ),
        (
            Contrastive(("a", "b", "same")),
            [ValueInfo(shape=(3,)), ValueInfo(shape=(4,)), None],
            "Contrastive: expected first as float32 in the shape of 'b', [batch, 4] float32; 'a' is [batch, 3] "
            "float32. Give both one width.",
        ),
        (
            Contrastive(("a", "b", "same")),
            [None, None, ValueInfo(shape=(), dtype="int64", classes=5)],
            "Contrastive: expected same as one answer a row, yes or no; 'same' is [batch] int64. Use a number "
            "that is 0 or 1, or a category of two classes.",
        ),
        (
            SupervisedContrastive(PAIR),
            [ValueInfo(shape=(3, 4)), None],
            "SupervisedContrastive: expected embedding as [batch, width] float32; 'out' is [batch, 3, 4] float32. "
            "Flatten or pool it in a node first, such as torch.nn.Flatten.",
        ),
    ],
)
def test_what_does_not_fit_is_refused(objective: ObjectiveModule, values: list[ValueInfo | None], text: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        objective.connect(values, {})
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: CrossEntropy(PAIR, class_weights="balance"),
            "CrossEntropy: expected class_weights as a list, by class, or 'balanced'; got 'balance'.",
        ),
        (
            lambda: CrossEntropy(PAIR, class_weights=[1, -1]),
            "CrossEntropy: expected class_weights of 0 or more, got -1.",
        ),
        (lambda: CrossEntropy(PAIR, focal=-1), "CrossEntropy: expected focal as a power of 0 or more, got -1."),
        (
            lambda: BinaryCrossEntropy(PAIR, focal=-1),
            "BinaryCrossEntropy: expected focal as a power of 0 or more, got -1.",
        ),
        (
            lambda: Quantile(PAIR, quantiles=(0.5, 0.1)),
            "Quantile: expected quantiles in (0, 1) that rise, such as 0.1, 0.5, 0.9; got [0.5, 0.1].",
        ),
        (lambda: Contrastive(("a", "b", "s"), margin=0), "Contrastive: expected a margin above 0, got 0."),
        (
            lambda: SupervisedContrastive(PAIR, temperature=0),
            "SupervisedContrastive: expected a temperature above 0, got 0.",
        ),
    ],
)
def test_wrong_options_are_refused(make: Any, text: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        make()
    assert str(caught.value) == text


def test_an_objective_that_does_not_fit_a_task_is_refused() -> None:
    with pytest.raises(SpecError, match=r"objective\.kind: 'mse' does not fit a multiclass task"):
        iris(objective={"kind": "mse"})
