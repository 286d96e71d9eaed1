"""Balancers that look at losses, beside a reference; what is absent stays as it is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam
from torchjd import scalarization as torchjd

from jumpml.balance import DWA, FAMO, GradNorm, LossBalancer, Uncertainty
from jumpml.balance._adam import SmallAdam
from jumpml.core import LearnerError

NAMES = ("a", "b", "c")
CPU = torch.device("cpu")


def losses(steps: int) -> Tensor:
    """Made-up means that fall at several rates."""
    generator = torch.Generator().manual_seed(0)
    falling = torch.exp(-torch.arange(steps)[:, None] * torch.tensor([0.2, 0.05, 0.01]))
    return falling * torch.tensor([3.0, 1.0, 400.0]) * (1 + 0.1 * torch.rand(steps, 3, generator=generator))


def begun(balancer: LossBalancer) -> LossBalancer:
    balancer.begin(NAMES, CPU)
    return balancer


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_the_small_adam_is_adam(decay: float) -> None:
    value = nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
    own, other = SmallAdam(value.detach().clone(), 0.1, decay), Adam([value], lr=0.1, weight_decay=decay)
    for gradient in losses(20):
        own.step(gradient)
        value.grad = gradient.clone()
        other.step()
    torch.testing.assert_close(own.value, value.detach())


def test_an_element_that_sits_out_is_as_if_there_had_been_no_step() -> None:
    gradients = losses(6)
    whole, some = SmallAdam(torch.zeros(3), 0.1), SmallAdam(torch.zeros(3), 0.1)
    for gradient in gradients[:3]:
        some.step(gradient)
        whole.step(gradient)
    for gradient in gradients[3:]:
        some.step(gradient, torch.tensor([True, False, True]))
    assert some.value[1] == whole.value[1]
    for gradient in gradients[3:]:
        whole.step(gradient)
    torch.testing.assert_close(some.value[[0, 2]], whole.value[[0, 2]])
    assert some.value[1] != whole.value[1]


def test_uncertainty_is_torchjds_twice() -> None:
    own, other = begun(Uncertainty(lr=0.05)), torchjd.UW(3)
    optimizer = Adam(other.parameters(), lr=0.05)
    for means in losses(30):
        values = means.clone().requires_grad_()
        optimizer.zero_grad()
        other(values).backward()
        assert values.grad is not None
        torch.testing.assert_close(own.multipliers(None, None), 2 * values.grad)
        own.observe(means, None)
        optimizer.step()


def test_a_variance_settles_at_the_loss() -> None:
    balancer, means = begun(Uncertainty(lr=0.05)), torch.tensor([0.1, 1.0, 30.0])
    for _ in range(2000):
        balancer.observe(means, None)
    torch.testing.assert_close(balancer.multipliers(None, None) * means, torch.ones(3), rtol=1e-3, atol=1e-3)


def test_a_loss_that_is_not_above_zero_moves_no_variance() -> None:
    """There is none at which it could settle: the multiplier would grow for ever."""
    balancer, means = begun(Uncertainty(lr=0.05)), torch.tensor([-0.9, 0.0, 2.0])
    for _ in range(1000):
        balancer.observe(means, None)
    multipliers = balancer.multipliers(None, None)
    assert multipliers[:2].tolist() == [1.0, 1.0]
    assert multipliers[2] == pytest.approx(0.5, rel=1e-2)


def test_dwa_is_torchjds() -> None:
    own, other = begun(DWA(temperature=1.3)), torchjd.DWA(temperature=1.3)
    for means in losses(6):
        values = means.clone().requires_grad_()
        other(values).backward()
        assert values.grad is not None
        torch.testing.assert_close(own.multipliers(None, None), values.grad)
        other.step()
        own.closed({**dict(zip(NAMES, means.tolist(), strict=True)), "total": 9.0})


def test_dwa_leaves_at_one_what_had_no_rows_or_a_loss_below_zero() -> None:
    balancer = begun(DWA(temperature=1.0))
    balancer.closed({"a": 1.0, "b": 0.0, "c": -1.0})
    balancer.closed({"a": 1.0, "b": 5.0, "c": -3.0})
    assert balancer.multipliers(None, None).tolist() == [1.0, 1.0, 1.0]


def test_famo_is_torchjds_on_the_losses_of_the_next_update() -> None:
    own, other = begun(FAMO(lr=0.1, decay=0.01)), torchjd.FAMO(3, lr=0.1, weight_decay=0.01)
    for step, means in enumerate(losses(30)):
        if step:
            other.update(means)
        values = means.clone().requires_grad_()
        other(values).backward()
        assert values.grad is not None
        torch.testing.assert_close(own.multipliers(means, None), values.grad, rtol=1e-4, atol=1e-6)


def test_famo_needs_the_means() -> None:
    with pytest.raises(TypeError, match="famo needs the means of the update"):
        begun(FAMO()).multipliers(None, None)


class GradNormAsInThePaper:
    """Algorithm 1 of Chen et al. 2018, by autograd of its equation 2 with the targets held."""

    def __init__(self, alpha: float, lr: float) -> None:
        self.weights = nn.Parameter(torch.ones(3))
        self.alpha, self.optimizer, self.first = alpha, Adam([self.weights], lr=lr), None

    def step(self, norms: Tensor, means: Tensor) -> None:
        self.first = means if self.first is None else self.first
        lengths = self.weights * norms
        relative = means / self.first
        target = lengths.mean().detach() * (relative / relative.mean()) ** self.alpha
        self.optimizer.zero_grad()
        (lengths - target).abs().sum().backward()
        self.optimizer.step()
        with torch.no_grad():
            self.weights.mul_(3 / self.weights.sum())


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.5])
def test_gradnorm_is_the_papers_algorithm(alpha: float) -> None:
    balancer, paper = GradNorm("body", alpha=alpha, lr=0.01), GradNormAsInThePaper(alpha, 0.01)
    begun(balancer)
    for means in losses(25):
        torch.testing.assert_close(balancer.multipliers(None, None), paper.weights.detach())
        norms = means.sqrt()
        balancer.look(norms)
        balancer.observe(means, None)
        paper.step(norms, means)


KINDS: list[Any] = [Uncertainty(lr=0.1), FAMO(), GradNorm("body", lr=0.1)]


def moved(balancer: Any) -> list[float]:
    """The vector that it learns."""
    state = balancer.state_dict()
    return state.get("weights", state.get("logits", state))["value"].tolist()


@pytest.mark.parametrize("balancer", KINDS, ids=lambda b: b.kind)
def test_what_is_absent_is_left_out(balancer: Any) -> None:
    """Its mean is a zero of no rows; neither it nor the others become NaN, and what is known of it stays."""
    begun(balancer)
    there = torch.tensor([True, False, True])
    for step, means in enumerate(losses(12)):
        now = there if step > 3 else None
        means[~there] = 0.0 if step > 3 else means[~there]
        before = moved(balancer)
        assert balancer.multipliers(means if balancer.foresees else None, now).isfinite().all()
        balancer.look(means)
        balancer.observe(means, now)
        waits = balancer.foresees and not step  # FAMO needs two updates to compare
        assert (moved(balancer)[1] == before[1]) == (step > 3 or waits)


@pytest.mark.parametrize("there", [None, torch.tensor([True, True, False])])
def test_gradnorm_rests_where_a_gradient_ran_over(there: Tensor | None) -> None:
    """As in the first updates in float16, whose scale is too large at first."""
    balancer, other = GradNorm("body"), GradNorm("body")
    begun(balancer)
    begun(other)
    balancer.look(torch.tensor([float("inf"), 1.0, 2.0]))
    balancer.observe(torch.tensor([1.0, 2.0, 3.0]), there)
    assert balancer.multipliers(None, None).tolist() == [1.0, 1.0, 1.0]
    for one in (balancer, other):
        one.look(torch.tensor([3.0, 1.0, 2.0]))
        one.observe(torch.tensor([1.0, 2.0, 3.0]), there)
    assert balancer.multipliers(None, None).tolist() == pytest.approx(other.multipliers(None, None).tolist())
    assert other.multipliers(None, None).tolist() != [1.0, 1.0, 1.0]


@pytest.mark.parametrize("absent_first", [True, False])
@pytest.mark.parametrize("balancer", [FAMO(), GradNorm("body")], ids=lambda b: b.kind)
def test_one_that_comes_late_is_taken_from_there(balancer: Any, absent_first: bool) -> None:
    begun(balancer)
    there = torch.tensor([True, not absent_first, True])
    for means in losses(5):
        balancer.multipliers(means * there, there)
        balancer.look(means * there)
        balancer.observe(means * there, there)
    given = balancer.multipliers(losses(6)[5], None)
    assert given.isfinite().all()
    assert (given > 0).all()


@pytest.mark.parametrize("make", [lambda: Uncertainty(lr=0.1), FAMO, lambda: GradNorm("body"), DWA])
def test_a_state_goes_on_and_without_it_does_not(make: Any) -> None:
    def run(balancer: Any, means: Tensor) -> None:
        for row in means:
            balancer.multipliers(row, None)
            balancer.look(row)
            balancer.observe(row, None)
            balancer.closed(dict(zip(NAMES, row.tolist(), strict=True)))

    whole, stopped, fresh = (begun(make()) for _ in range(3))
    run(whole, losses(20))
    run(stopped, losses(20)[:9])
    resumed = begun(make())
    resumed.load_state_dict(stopped.state_dict())
    run(resumed, losses(20)[9:])
    run(fresh, losses(20)[9:] if not isinstance(whole, DWA) else losses(20)[19:])
    last = losses(21)[20]
    assert resumed.multipliers(last, None).tolist() == whole.multipliers(last, None).tolist()
    assert fresh.multipliers(last, None).tolist() != whole.multipliers(last, None).tolist()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Uncertainty(0.0), "uncertainty: expected lr above 0, got 0.0."),
        (lambda: DWA(-1.0), "dwa: expected temperature above 0, got -1.0."),
        (lambda: FAMO(float("inf")), "famo: expected lr above 0, got inf."),
        (lambda: GradNorm("body", lr=0.0), "gradnorm: expected lr above 0, got 0.0."),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, told: str) -> None:
    with pytest.raises(LearnerError) as error:
        make()
    assert str(error.value) == told
