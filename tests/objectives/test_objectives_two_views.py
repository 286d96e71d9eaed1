"""Contrast, correlation and prediction between two views: values by hand, properties, and what is refused."""

from __future__ import annotations

from math import exp, log, sqrt
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from jumpml.core import ObjectiveError, ValueInfo
from jumpml.graph import Model, Node, Widen
from jumpml.objectives import CLIP, BarlowTwins, NTXent, SimSiam

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.objectives import TwoViews

METHODS: dict[str, type[TwoViews]] = {"NTXent": NTXent, "BarlowTwins": BarlowTwins, "SimSiam": SimSiam}


def connected(method: type[Any], width: int, **options: Any) -> Any:
    """Without a projector where none is asked for, so that values have a closed form."""
    objective = method("encoder", views="strong", **{"projector": (), **options})
    objective.connect([ValueInfo(shape=(width,))], {})
    return objective


def views(rows: int = 7, width: int = 5) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(rows, width, dtype=torch.float64), torch.randn(rows, width, dtype=torch.float64)


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / sqrt(sum(x * x for x in a) * sum(y * y for y in b))


# --- values, by plain loops over what the papers write ----------------------------------------------------------------


def test_nt_xent_is_equation_1_of_simclr() -> None:
    first, second = views()
    z = [row for pair in zip(first.tolist(), second.tolist(), strict=True) for row in pair]  # views 2k - 1 and 2k

    def loss(i: int, j: int) -> float:
        others = sum(exp(cosine(z[i], z[k]) / 0.3) for k in range(len(z)) if k != i)
        return -log(exp(cosine(z[i], z[j]) / 0.3) / others)

    n = len(first)
    expected = sum(loss(2 * k, 2 * k + 1) + loss(2 * k + 1, 2 * k) for k in range(n)) / (2 * n)
    value = connected(NTXent, 5, temperature=0.3)(first, second).value
    assert value.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("rows", [2, 3, 8])
def test_nt_xent_of_orthogonal_rows(rows: int) -> None:
    x = torch.eye(rows)
    # the other view at cosine 1, 2 (n - 1) views at cosine 0
    expected = log(exp(2) + 2 * (rows - 1)) - 2
    assert connected(NTXent, rows, temperature=0.5)(x, 3 * x).value.item() == pytest.approx(expected, rel=1e-6)


def test_barlow_twins_is_equation_1_of_the_paper() -> None:
    first, second = views()
    n, width = first.shape

    def correlation(i: int, j: int) -> float:
        a, b = first[:, i].tolist(), second[:, j].tolist()
        a, b = [x - sum(a) / n for x in a], [x - sum(b) / n for x in b]
        # with the 1e-5 in the variance that the authors' batch normalization has
        spread = sqrt((sum(x * x for x in a) / n + 1e-5) * (sum(x * x for x in b) / n + 1e-5))
        return sum(x * y for x, y in zip(a, b, strict=True)) / n / spread

    agreement = sum((1 - correlation(i, i)) ** 2 for i in range(width))
    between = sum(correlation(i, j) ** 2 for i in range(width) for j in range(width) if i != j)
    value = connected(BarlowTwins, 5, redundancy=0.02)(first, second).value
    assert value.item() == pytest.approx(agreement + 0.02 * between, rel=1e-9)


def test_barlow_twins_of_opposite_views() -> None:
    x = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    # correlations of -1 on the diagonal and 0 beside it: 2 dimensions of (1 + 1)^2
    assert connected(BarlowTwins, 2)(x, -x).value.item() == pytest.approx(8, rel=1e-4)


def test_sim_siam_is_equation_2_of_the_paper() -> None:
    first, second = views()
    objective = connected(SimSiam, 5, predictor=(4,)).double()
    p, q = objective.predictor(first).tolist(), objective.predictor(second).tolist()
    rows = range(len(first))
    forth = sum(-cosine(p[i], second.tolist()[i]) for i in rows) / len(rows)
    back = sum(-cosine(q[i], first.tolist()[i]) for i in rows) / len(rows)
    assert objective(first, second).value.item() == pytest.approx((forth + back) / 2, rel=1e-12)


def test_sim_siam_at_its_best_is_minus_one() -> None:
    objective = connected(SimSiam, 3, predictor=(3,))
    objective.predictor = nn.Sequential()
    x = torch.randn(4, 3)
    assert objective(x, 2 * x).value.item() == pytest.approx(-1, rel=1e-6)


def test_the_target_of_sim_siam_has_no_gradient() -> None:
    first, second = (x.requires_grad_() for x in views())
    objective = connected(SimSiam, 5, predictor=(4,)).double()
    for parameter in objective.predictor.parameters():
        nn.init.zeros_(parameter)  # nothing is predicted: only through the targets could a gradient come
    objective.predictor[3].bias = nn.Parameter(torch.ones(5, dtype=torch.float64))
    objective(first, second).value.backward()
    assert not first.grad.any()  # pyright: ignore[reportOptionalMemberAccess]
    assert not second.grad.any()  # pyright: ignore[reportOptionalMemberAccess]


def test_the_projector_of_sim_siam_ends_with_a_normalization() -> None:
    last = connected(SimSiam, 5, projector=(6, 4)).projector[-1]
    assert isinstance(last, nn.BatchNorm1d)
    assert (last.num_features, last.affine) == (4, False)


def clip(**options: Any) -> CLIP:
    return CLIP(("image_code", "text_code"), **options)


def test_clip_is_figure_3_of_the_paper() -> None:
    first, second = views()
    a, b, n = first.tolist(), second.tolist(), len(first)
    logits = [[cosine(x, y) / 0.2 for y in b] for x in a]
    forth = sum(log(sum(exp(x) for x in logits[i])) - logits[i][i] for i in range(n)) / n
    back = sum(log(sum(exp(logits[j][i]) for j in range(n))) - logits[i][i] for i in range(n)) / n
    objective = clip(temperature=0.2).double()
    assert objective(first, second).value.item() == pytest.approx((forth + back) / 2, rel=1e-7)


@pytest.mark.parametrize("rows", [2, 5])
def test_clip_of_orthogonal_rows(rows: int) -> None:
    expected = log(exp(1 / 0.07) + rows - 1) - 1 / 0.07
    assert clip()(torch.eye(rows), torch.eye(rows)).value.item() == pytest.approx(expected, rel=1e-3, abs=1e-7)


def test_the_temperature_of_clip_is_learned_and_held() -> None:
    objective = clip(temperature=0.0101)
    optimizer = torch.optim.SGD(objective.parameters(), lr=1e4)
    x = torch.eye(4) + 4
    for _ in range(3):  # sharper is better here, without end
        optimizer.zero_grad()
        objective(x, x).value.backward()
        optimizer.step()
        objective.after_update()
    assert objective.log_scale.exp().item() == pytest.approx(100, rel=1e-6)
    objective(x, x.flip(0)).value.backward()  # and it can come back
    assert objective.log_scale.grad is not None
    assert objective.log_scale.grad > 0


@pytest.mark.parametrize("rows", [0, 1])
def test_clip_refuses_a_batch_in_which_hardly_a_row_has_both(rows: int) -> None:
    present = torch.arange(3) < rows
    with pytest.raises(ObjectiveError) as caught:
        clip()(torch.eye(3), torch.eye(3), present=present)
    assert str(caught.value) == (
        f"CLIP: expected two rows or more in a batch, since a row is contrasted with others; got {rows}. Of 3 rows the "
        "others lack what it reads. Take a larger batch_size; where several processes learn, each has a share of it."
    )


# --- properties -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@given(st.integers(0, 2**31), st.integers(2, 9), st.integers(2, 6))
def test_neither_order_nor_scale_nor_absent_rows_matter(method: str, seed: int, rows: int, width: int) -> None:
    g = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(rows, width, dtype=torch.float64, generator=g) for _ in range(2))
    objective = connected(METHODS[method], width).double()
    value = objective(first, second).value
    order = torch.randperm(rows, generator=g)
    torch.testing.assert_close(objective(first[order], second[order]).value, value)
    torch.testing.assert_close(objective(second, first).value, value)
    if method == "NTXent":
        torch.testing.assert_close(objective(3 * first, 0.1 * second).value, value)
    nothing = torch.full((2, width), torch.nan, dtype=torch.float64)
    present = torch.tensor([True] * rows + [False] * 2)
    longer = [torch.cat([x, nothing]) for x in (first, second)]
    torch.testing.assert_close(objective(*longer, present=present).value, value)


@pytest.mark.parametrize("method", METHODS)
def test_half_precision_loses_nothing_in_the_loss(method: str) -> None:
    first, second = (x.to(torch.bfloat16) for x in views(32, 8))
    objective = connected(METHODS[method], 8)
    with torch.autocast("cpu", torch.bfloat16):
        value = objective(first, second).value
    torch.testing.assert_close(value, objective(first.float(), second.float()).value, rtol=1e-6, atol=1e-6)
    assert value.dtype == torch.float32


def test_half_precision_loses_nothing_in_clip() -> None:
    first, second = (x.to(torch.bfloat16) for x in views(32, 8))
    with torch.autocast("cpu", torch.bfloat16):
        value = clip()(first, second).value
    torch.testing.assert_close(value, clip()(first.float(), second.float()).value, rtol=1e-6, atol=1e-6)


# --- what is refused --------------------------------------------------------------------------------------------------

NO_VIEW = "expected one view, which is drawn twice, or two; got none."
LONE = "Choose a batch_size that leaves no single row over at the end of an epoch."
FLAT = "Flatten or pool it in a node first, such as torch.nn.Flatten."


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: NTXent("e", views=()), f"NTXent: {NO_VIEW}"),
        (lambda: BarlowTwins("e", views=()), f"BarlowTwins: {NO_VIEW}"),
        (lambda: SimSiam("e", views=()), f"SimSiam: {NO_VIEW}"),
        (lambda: NTXent("e", views="v", temperature=0), "NTXent: expected a temperature above 0, got 0."),
        (lambda: NTXent("e", views="v", temperature=-0.1), "NTXent: expected a temperature above 0, got -0.1."),
        (lambda: clip(temperature=0.0), "CLIP: expected a temperature above 0, got 0.0."),
        (
            lambda: BarlowTwins("e", views="v", redundancy=-1),
            "BarlowTwins: expected a redundancy of 0 or more, got -1.",
        ),
        (
            lambda: SimSiam("e", views="v", predictor=()),
            "SimSiam: expected the widths of one inner predictor layer or more, got none.",
        ),
        (
            lambda: connected(NTXent, 3)(torch.zeros(1, 3), torch.zeros(1, 3)),
            f"NTXent: expected two rows or more in a batch, since a row is contrasted with others; got 1. {LONE}",
        ),
        (
            lambda: connected(BarlowTwins, 3)(torch.zeros(1, 3), torch.zeros(1, 3)),
            f"BarlowTwins: expected two rows or more in a batch, since a correlation needs two; got 1. {LONE}",
        ),
        (
            lambda: connected(SimSiam, 3)(torch.zeros(1, 3), torch.zeros(1, 3)),
            f"SimSiam: expected two rows or more in a batch, since batch normalization needs two; got 1. {LONE}",
        ),
        (
            lambda: clip()(torch.zeros(1, 3), torch.zeros(1, 3)),
            f"CLIP: expected two rows or more in a batch, since a row is contrasted with others; got 1. {LONE}",
        ),
        (
            lambda: clip().connect([ValueInfo(shape=(4,)), ValueInfo(shape=(5,))], {}),
            "CLIP: expected second as [batch, 4] float32 like 'image_code'; 'text_code' is [batch, 5] float32. Give "
            "both nodes one width, by a linear layer at the end of each.",
        ),
        (
            lambda: clip().connect([ValueInfo(shape=(4, 2)), None], {}),
            f"CLIP: expected first as [batch, width] float32; 'image_code' is [batch, 4, 2] float32. {FLAT}",
        ),
        (
            lambda: NTXent("e", views="v").connect([ValueInfo(shape=(4, 2))], {}),
            f"NTXent: expected embedding as [batch, width] float32; 'e' is [batch, 4, 2] float32. {FLAT}",
        ),
    ],
)
def test_what_is_refused(make: Any, text: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        make()
    assert str(caught.value) == text


def test_a_look_at_the_units_moves_no_statistics_of_a_projector() -> None:
    nodes = {"body": Node(nn.Linear(4, 6), "x"), "encoder": Node(nn.Linear(6, 5), "body")}
    objective = SimSiam("encoder", views="strong")
    model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=nodes, objectives={"agree": objective}).train()
    before = {name: value.clone() for name, value in objective.named_buffers()}
    model.grow(Widen("body", 2.0))
    assert before
    assert all(torch.equal(value, before[name]) for name, value in objective.named_buffers())
    assert objective.training
